"""A port of this machine, served by uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
START_S = 10


class Port:
    """Answers every request on `number` (0 = a free one) with `answer`, until closed."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], number: int) -> None:
        self._transports: dict[object, asyncio.Transport] = {}
        self._socket = _listen(number)
        self.number: int = self._socket.getsockname()[1]
        self._server = _Server(_config(answer, self._transports))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name=f"emulator-{self.number}", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(START_S):
            self.close()
            raise RuntimeError("the emulator did not start")

    def close(self) -> None:
        """Ends the thread and closes the port; a request in flight has a second to finish."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def drop(self, request: Request) -> None:
        """Resets the request's connection and waits until the server has noticed."""
        transport = self._transports.get(tuple(request.client or ()))
        if transport is not None:
            transport.abort()
        while (await request.receive())["type"] != "http.disconnect":
            continue


class _Server(uvicorn.Server):
    """Tells when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _config(
    answer: Callable[[Request], Awaitable[Response]], transports: dict[object, asyncio.Transport]
) -> uvicorn.Config:
    class Protocol(H11Protocol):
        """Remembers open connections by their far end, so that one can be dropped without an answer."""

        def connection_made(self, transport: BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._far_end = tuple(transport.get_extra_info("peername"))
            transports[self._far_end] = transport
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            transports.pop(self._far_end, None)
            super().connection_lost(error)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol; with it on, every
    # answer of two segments waits 40 ms for a delayed acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening
