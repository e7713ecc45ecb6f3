"""A web server on this machine alone, which shows a run while it goes on."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from nst_jax.errors import InputError, argument

HOST = "127.0.0.1"
_SOON = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="1"><link rel="icon" href="data:,">'
    "<title>nst-jax</title><p>The run begins."
)


class Source(Protocol):
    """What there is to serve, asked for by several threads at once. There is nothing else: no path is ever joined."""

    def page(self) -> str | None:
        """HTML; None before there is any."""
        ...

    def changes(self, since: int) -> str:
        """JSON of what has changed since a version."""
        ...

    def picture(self, file: str) -> bytes | None:
        """PNG; None where there is no such picture."""
        ...


@contextmanager
def serving(source: Source, port: int) -> Iterator[str]:
    """Serves until the end of the context, in threads of its own, which keep no process from ending.

    Args:
      source: what is served; where it fails, the answer is 500, and nothing else comes of it.
      port: of 127.0.0.1; 0 for one that is free.

    Yields:
      The address of the page.

    Raises:
      InputError: the port is taken, or not allowed.
    """
    try:
        server = _Server((HOST, port), type("_Handler", (_Handler,), {"source": source}))
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{argument('serve')}: port {port} cannot be used ({reason}); 0 takes one that is free"
        ) from None
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="serving").start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that hangs keeps nothing waiting
    allow_reuse_address = sys.platform != "win32"  # where it would let two servers have one port

    def server_bind(self) -> None:
        """Without asking for this machine's name, as HTTPServer does, which takes long where nobody knows it."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    source: Source
    timeout = 60  # seconds for a client to ask, and then to take the answer, perhaps through a slow tunnel
    server_version, sys_version = "nst-jax", ""

    def do_GET(self) -> None:
        if not self._of_this_machine():
            return self._answer(403, "text/plain", b"only as 127.0.0.1 or localhost\n")
        try:
            kind, body = self._asked(urlsplit(self.path))
        except Exception as error:
            return self._answer(500, "text/plain", f"{error!r}\n".encode("utf-8", "replace"))
        if body is None:
            return self._answer(404, "text/plain", b"not here\n")
        return self._answer(200, kind, body if isinstance(body, bytes) else body.encode("utf-8", "replace"))

    def _of_this_machine(self) -> bool:
        """A page of another site, whose name was made to mean this machine, would ask under that name.

        The port may be another: that of a tunnel from the reader's machine to this one.
        """
        try:
            return urlsplit("//" + self.headers.get("Host", "")).hostname in (HOST, "localhost")
        except ValueError:
            return False

    def _asked(self, url: Any) -> tuple[str, str | bytes | None]:
        if url.path in ("/", "/index.html"):
            return "text/html", self.source.page() or _SOON
        if url.path == "/state.json":
            since = parse_qs(url.query).get("since", ["0"])[0]
            return "application/json", self.source.changes(int(since) if since.isdecimal() else 0)
        if url.path.startswith("/lanes/"):
            return "image/png", self.source.picture(unquote(url.path.removeprefix("/lanes/")))
        return "", None

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind if kind == "image/png" else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        # A picture's address has another query for each picture it has had.
        self.send_header("Cache-Control", "max-age=3600" if kind == "image/png" else "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Standard error is the run's."""
