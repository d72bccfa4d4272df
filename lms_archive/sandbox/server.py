"""The HTTP server: Werkzeug's, with persistent connections, one Date header, and a clean stop."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from io import BytesIO
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from lms_archive.sandbox.application import Application, ConnectionCut

_JOIN = 1.0
"""Seconds that `stop` waits for each thread; it does not wait longer for a slow answer."""
_POLL = 0.01
"""Seconds between two checks whether to stop."""


class _Handler(WSGIRequestHandler):
    """A handler with persistent connections (HTTP/1.1), which Werkzeug's handler does not have."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        self.environ = environ = self.make_environ()
        if environ.pop("wsgi.input_terminated", False):
            body = environ["wsgi.input"].read()  # sent in chunks
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        status, headers = "", list[tuple[str, str]]()

        def start_response(line: str, fields: list[tuple[str, str]], _info: Any = None) -> Any:
            nonlocal status, headers
            status, headers = line, fields

        try:
            answer = b"".join(self.server.app(environ, start_response))
        except ConnectionCut:
            self.close_connection = True
            _hang_up(self.connection)
            return
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  inherited name
        """Log nothing."""


class Server(ThreadedWSGIServer):
    """A server on loopback that runs in its own threads."""

    def __init__(self, app: Application, port: int) -> None:
        self._connections: dict[threading.Thread, socket.socket] = {}
        super().__init__("127.0.0.1", port, app, _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL,), name="lms-archive-sandbox", daemon=True
        )

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's name; Werkzeug would exit on a taken port."""
        try:
            socketserver.TCPServer.server_bind(self)
        except OSError as error:
            raise RuntimeError(f"port {self.port} is not available: {error}") from error
        self.server_name: str = "127.0.0.1"
        self.server_port: int = self.server_address[1]

    def start(self) -> None:
        """Start the server."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads."""
        self.shutdown()
        self._thread.join()
        for thread, connection in list(self._connections.items()):
            _hang_up(connection)
            thread.join(_JOIN)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in a thread that `stop` can find."""
        thread = threading.Thread(
            target=self._serve_connection, args=(request, client_address), daemon=True
        )
        self._connections[thread] = request
        thread.start()

    def _serve_connection(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            self._connections.pop(threading.current_thread(), None)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side has gone already
        connection.shutdown(socket.SHUT_RDWR)
