"""One HTTP exchange: the only module that knows requests."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Protocol

import requests
from attrs import field, frozen
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

if TYPE_CHECKING:
    from socket import socket

    from requests.models import PreparedRequest

__all__ = ["MAX_BODY", "RequestNotSentError", "RequestsTransport", "Response", "Transport"]

MAX_BODY = 16 * 1024 * 1024
"""No answer is read beyond this many bytes, unpacked."""


class RequestNotSentError(OSError):
    """The connection was never established: the platform has seen nothing of the call."""


@frozen
class Response:
    """What came back: status, headers, and the body, unpacked and whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Anything that carries one exchange, without following redirects and without retrying.

    It raises `RequestNotSentError` (or `ConnectionRefusedError`, `socket.gaierror`) where the call
    surely never left, and any other `OSError` where the answer was lost.
    """

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout: tuple[float, float],
        /,
    ) -> Response:
        """Carry one exchange; `timeout` is seconds to connect, seconds to read."""
        ...


class _OwnHeaders(AuthBase):
    """Keeps requests from putting a `.netrc` entry over the bearer, or where none belongs."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._authorization = headers.get("Authorization")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._authorization is not None:
            request.headers["Authorization"] = self._authorization
        return request


class _Deadlined(io.RawIOBase):
    """What a socket gives until a point in time, however slowly it drips."""

    def __init__(self, raw: Any, sock: socket) -> None:
        self._raw, self._sock, self._seconds = raw, sock, sock.gettimeout()
        self._end = time.monotonic() + (self._seconds or float("inf"))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._seconds is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the answer's head took longer than {self._seconds:g} s")
            self._sock.settimeout(min(left, self._seconds))
        count: int | None = self._raw.readinto(buffer)
        return count

    def lift(self) -> None:
        """From here on only each single wait is bounded."""
        self._end = float("inf")

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer whose head comes within the read time-out as a whole."""

    def __init__(self, sock: socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._deadline = _Deadlined(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._deadline)

    def begin(self) -> None:
        super().begin()
        self._deadline.lift()
        # What is no header would be logged by urllib3, whatever it quotes.
        self.headers.set_payload("")
        self.headers.defects = []


class _Connection:
    """Never prints what it sends, which http.client's debug level asks for."""

    debuglevel = 0
    response_class: Any = _Response


class _HTTP(_Connection, HTTPConnection):
    """Over plain http."""


class _HTTPS(_Connection, HTTPSConnection):
    """Over TLS."""


class _HTTPPool(HTTPConnectionPool):
    """Plain connections."""

    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    """TLS connections."""

    ConnectionCls = _HTTPS


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """Puts these connections in place, behind a proxy too (SOCKS has its own)."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*args, **more)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class RequestsTransport:
    """The default transport: a `requests.Session` for each thread, TLS always verified."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        """One exchange, its body read whole up to `MAX_BODY`; head and body each in time.

        Raises:
            RequestNotSentError: the connection was never established.
            OSError: the answer was lost.
        """
        session = self._session()
        # Plain http is for loopback: a proxy of the environment would be another host.
        session.trust_env = not url.startswith("http:")
        try:
            with session.request(
                method,
                url,
                headers=dict(headers),
                params=list(params),
                data=body,
                timeout=timeout,
                auth=_OwnHeaders(headers),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Response(response.status_code, response.headers, _read(response, timeout[1]))
        except requests.RequestException as error:
            lost = _plain_error(error)
        raise lost

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, _Adapter())
            self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close the connections of every thread; later calls open new ones."""
        sessions, self._sessions, self._local = self._sessions, [], threading.local()
        for session in sessions:
            session.close()


def _read(response: requests.Response, seconds: float) -> bytes:
    end = time.monotonic() + seconds
    content = bytearray()
    # Not iter_content: it waits for a full part, however slowly that drips in.
    read = getattr(response.raw, "read1", response.raw.read)
    try:
        while part := read(64 * 1024, decode_content=True):
            content += part
            if len(content) > MAX_BODY:
                break
            if time.monotonic() > end:
                raise requests.ReadTimeout(f"the answer's body took longer than {seconds:g} s")
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    return bytes(content)


def _plain_error(error: requests.RequestException) -> OSError:
    """Python's own error for that of requests, which holds the whole request.

    Requests raises the same error for a refused and for a cut connection: look inside.
    """
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
        return RequestNotSentError(str(error))
    kind = TimeoutError if isinstance(error, requests.Timeout) else ConnectionError
    return kind(str(error))
