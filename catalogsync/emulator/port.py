"""A port of this machine, served by uvicorn's protocol in a thread of its own.

`uvicorn.Server` is left out: it looks only ten times a second whether to stop and then waits another tenth,
which is most of what a test with its own emulator would take. It also has no way to drop a connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable, Coroutine

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from catalogsync.emulator.arrivals import Arrivals, watched

ARRIVED = "catalogsync.arrived_s"
"""Where a request's scope says when it came, by the steady clock; None where that is not known."""

GRACE_S = 1
POLL_S = 0.002


class Port:
    """Answers every request on `number` (0 = a free one) with `answer`, until closed."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        number: int,
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arrivals = watched(steady_clock)
        self._config = uvicorn.Config(
            _application(answer, self._arrivals),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=60,
        )
        self._config.load()
        self._state = ServerState()
        self._transports: dict[object, asyncio.Transport] = {}
        self._loop = asyncio.new_event_loop()
        self._leaving = asyncio.Event()
        try:
            self._socket = _listen(number)
        except BaseException:
            self._loop.close()
            self._arrivals.close()
            raise
        self.number: int = self._socket.getsockname()[1]
        # The socket listens already: whoever connects before the thread accepts is kept waiting, not refused.
        self._thread = threading.Thread(target=self._run, name=f"emulator-{self.number}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and closes the port; a request in flight has a second to finish."""
        self._loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join()
        self._arrivals.close()
        self._loop.close()
        self._socket.close()

    async def pause(self, delay_s: float) -> bool:
        """Waits; true if the port is closing instead."""
        try:
            await asyncio.wait_for(self._leaving.wait(), delay_s)
        except TimeoutError:
            return False
        return True

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Starts work beside the requests; when the port closes it has as long as they have."""
        task = self._loop.create_task(work)
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def drop(self, request: Request) -> None:
        """Resets the request's connection and waits until the server has noticed."""
        transport = self._transports.get(tuple(request.client or ()))
        if transport is not None:
            transport.abort()
        while (await request.receive())["type"] != "http.disconnect":
            continue

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._protocol, sock=self._socket)
        await self._leaving.wait()
        server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        end_s = self._loop.time() + GRACE_S
        while (self._transports or self._state.tasks) and self._loop.time() < end_s:
            await asyncio.sleep(POLL_S)
        for transport in list(self._transports.values()):
            transport.abort()
        await asyncio.sleep(0)

    def _protocol(self) -> H11Protocol:
        return _Protocol(self._config, self._state, self._transports, self._arrivals)


class _Protocol(H11Protocol):
    """Remembers open connections by their far end, so that one can be dropped without an answer."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        transports: dict[object, asyncio.Transport],
        arrivals: Arrivals,
    ) -> None:
        super().__init__(config, state, {})
        self._open = transports
        self._arrivals = arrivals

    def connection_made(self, transport: BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._far_end = tuple(transport.get_extra_info("peername"))
        self._open[self._far_end] = transport
        self._arrivals.opened(self._far_end, transport.get_extra_info("socket").fileno())
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.pop(self._far_end, None)
        self._arrivals.closed(self._far_end)
        super().connection_lost(error)


def _application(answer: Callable[[Request], Awaitable[Response]], arrivals: Arrivals) -> ASGIApp:
    """Every request goes to `answer`, its scope saying under `ARRIVED` when it came. Starlette's router would answer
    some by itself: a path with a newline in it, a method nobody thought of."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        far_end = tuple(scope.get("client") or ())
        scope[ARRIVED] = arrivals.taken(far_end)
        try:
            response = await answer(Request(scope, receive, send))
        finally:
            arrivals.answered(far_end)
        await response(scope, receive, send)

    return application


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
