"""Waits on this machine for the browser that comes back from the page where a person lets an integration in."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from urllib.parse import parse_qsl, urlsplit

from catalogsync.errors import NoAccount, UserError

WAIT_S = 300.0
"""How long a person may take; the code itself is good for 20 minutes (notes 2)."""

IDLE_S = 10.0
"""How long a connection may say nothing: browsers open some in advance."""

HOSTS = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}

_PAGE = "<!doctype html><meta charset=utf-8><title>catalogsync</title><p>{words}</p>\n"


class Waiting:
    """A page on this machine to which the browser is sent. `next_query` is what it brings."""

    def __init__(self, arrived: queue.Queue[Mapping[str, str]]) -> None:
        self._arrived = arrived

    def next_query(self, wait_s: float | None = None) -> Mapping[str, str]:
        """What the browser brings. Raises NoAccount where it does not come."""
        wait_s = WAIT_S if wait_s is None else wait_s
        try:
            return self._arrived.get(timeout=wait_s)
        except queue.Empty:
            raise NoAccount(
                f"nobody let the integration in within {wait_s:.0f} s. Run again; with --paste where the browser "
                "cannot reach this machine"
            ) from None


@contextmanager
def waiting(redirect_uri: str, state: str) -> Iterator[Waiting]:
    """Listen at `redirect_uri` for a request with this `state`. Others get a 404 and are forgotten.

    Raises UserError where this is no address of this machine, or another program has its port.
    """
    parts = urlsplit(redirect_uri)
    if parts.scheme != "http" or parts.hostname not in HOSTS or not parts.port:
        raise UserError(f"--redirect-uri {redirect_uri} is not an address like http://127.0.0.1:8765/; or use --paste")
    arrived: queue.Queue[Mapping[str, str]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_S

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = dict(parse_qsl(asked.query, keep_blank_values=True))
            if asked.path != (parts.path or "/") or not {"code", "error"} & set(query):
                self._answer(404, "There is nothing here.")
            elif not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
                self._answer(400, "This is not the login that catalogsync waits for. Nothing was done.")
            else:
                self._answer(200, "Done here. Back to the terminal: this window can be closed.")
                arrived.put(query)

        def _answer(self, status: int, words: str) -> None:
            body = _PAGE.format(words=words).encode()
            self.send_response_only(status)
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
            for name, value in {**headers, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The address holds the code."""

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if parts.hostname == "::1" else ThreadingHTTPServer.address_family
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A connection that breaks is the browser's affair."""

    try:
        server = Server((HOSTS[parts.hostname], parts.port), Handler)
    except OSError as error:
        way_out = "register another port with the integration and give it with --redirect-uri, or use --paste"
        raise UserError(f"port {parts.port} of this machine cannot be used ({error.strerror}): {way_out}") from None
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Waiting(arrived)
        finally:
            server.shutdown()
            thread.join()
