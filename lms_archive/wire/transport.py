"""One HTTP exchange: the only module that knows requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import requests
from attrs import field, frozen
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

if TYPE_CHECKING:
    from requests.models import PreparedRequest

__all__ = ["MAX_BODY", "Answer", "NotSent", "RequestsTransport", "Transport"]

MAX_BODY = 64 * 1024 * 1024
"""No answer is read beyond this many bytes, unpacked."""


class NotSent(OSError):
    """The connection was never established: the platform has seen nothing of the call."""


@frozen
class Answer:
    """What came back: status, headers, and the body, unpacked and whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Anything that carries one exchange, without following redirects and without retrying.

    It raises `NotSent` (or `ConnectionRefusedError`, `socket.gaierror`) where the call surely
    never left, and any other `OSError` where the answer was lost.
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
    ) -> Answer:
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
    ) -> Answer:
        """One exchange, its body read whole up to `MAX_BODY` and within the read time-out."""
        try:
            with self._session().request(
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
                content = _read(response, timeout[1])
                return Answer(response.status_code, response.headers, content)
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise NotSent(str(error)) from error
            raise

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
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


def _never_connected(error: requests.ConnectionError) -> bool:
    """Requests raises the same error for a refused and for a cut connection: look inside."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, (NewConnectionError, ConnectTimeoutError))
