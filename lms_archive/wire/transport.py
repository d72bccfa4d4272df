"""Carry one HTTP exchange. The only module that imports requests."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.client import BadStatusLine, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import Any, Protocol

import requests
from attrs import field, frozen
from requests.auth import AuthBase
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NewConnectionError,
    SSLError,
)

from lms_archive.errors import InvalidInputError
from lms_archive.wire.process import PerProcess

__all__ = [
    "MAX_BODY",
    "RequestNotSentError",
    "RequestsTransport",
    "Response",
    "Transport",
    "UnusableConnectionError",
    "plain_error",
]

MAX_BODY = 16 * 1024 * 1024
"""The most bytes that are read of an answer, after decompression."""


class RequestNotSentError(OSError):
    """The connection was never established: the platform has not received the call."""


class UnusableConnectionError(RequestNotSentError):
    """No connection is possible with these settings, however often it is attempted.

    A certificate or a bundle of certificates cannot be used, or a proxy refuses.
    """


def _any_case(headers: Mapping[str, str]) -> Mapping[str, str]:
    return CaseInsensitiveDict(headers)


@frozen
class Response:
    """The answer to a request: status, headers, and the whole body, decompressed.

    Header names may be looked up in upper or lower case.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False, converter=_any_case)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """A callable that carries one exchange, without following redirects and without retrying.

    It raises `RequestNotSentError` (or `ConnectionRefusedError`, `socket.gaierror`) where the call
    was certainly never sent, and any other `OSError` where the answer was lost.
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
    """An auth that keeps requests from using an entry of `.netrc`, with or without a token."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._authorization = headers.get("Authorization")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._authorization is not None:
            request.headers["Authorization"] = self._authorization
        return request


class _Sessions:
    """The sessions of one process, one for each thread."""

    def __init__(self, factory: Callable[[], requests.Session]) -> None:
        self._factory = factory
        self._local = threading.local()
        self._all: list[requests.Session] = []

    def get(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._factory()
            if not isinstance(session, requests.Session):
                raise InvalidInputError(
                    f"session_factory must return a requests.Session, not {session!r:.60}"
                )
            self._local.session = session
            self._all.append(session)
        return session

    def close(self) -> None:
        sessions, self._all, self._local = self._all, [], threading.local()
        for session in sessions:
            session.close()


class RequestsTransport:
    """The default transport: a `requests.Session` for each thread and process, TLS verified.

    Whatever the session is set to, certificates are verified, redirects are not followed, and the
    `Authorization` header is the client's own. Plain http, which is for loopback, uses no proxy.

    Args:
        session_factory: makes the session of a thread, `requests.Session` by default. It is
            called again in each thread and process, and must not return a session that caches.
        verify: the file (or folder) of the CA certificates to trust, in place of those of
            `REQUESTS_CA_BUNDLE` or of requests.
        cert: the file of a client certificate with its key, or the two files.
        proxies: the proxy of each scheme, such as `{"https": "http://proxy.example.com:3128"}`, in
            place of those that the environment names.

    Raises:
        InvalidInputError: an argument cannot be used; `verify=False` is refused.
    """

    def __init__(
        self,
        session_factory: Callable[[], requests.Session] | None = None,
        verify: str | os.PathLike[str] | None = None,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = session_factory, verify, cert, proxies
        factory: object = requests.Session if session_factory is None else session_factory
        if not callable(factory):
            raise InvalidInputError(
                f"session_factory must be a callable that makes a session, not {factory!r:.60}"
            )
        bundle: object = verify
        if not isinstance(bundle, (str, os.PathLike, type(None))):
            raise InvalidInputError(
                "certificates are always verified: verify takes the file of your CA certificates, "
                f"not {verify!r:.60}"
            )
        schemes: object = proxies
        if not isinstance(schemes, (Mapping, type(None))):
            example = "{'https': 'http://proxy.example.com:3128'}"
            raise InvalidInputError(
                f"proxies must be a mapping such as {example}, not a {type(proxies).__name__}"
            )
        self._verify = None if verify is None else os.fspath(verify)
        self._cert, self._proxies = cert, dict(proxies or {})
        self._sessions = PerProcess(partial(_Sessions, factory))

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        """Carry one exchange, and read its whole body (up to `MAX_BODY`) within the read time-out.

        Raises:
            UnusableConnectionError: no connection is possible with these settings.
            RequestNotSentError: the connection was never established.
            OSError: the answer was lost.
        """
        session = self._sessions.get().get()
        proxies: dict[str, Any] = dict(self._proxies)
        reads_environment = session.trust_env
        if url.startswith("http:"):  # for loopback: a proxy would be another host
            session.trust_env, proxies = False, dict.fromkeys(session.proxies)
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
                verify=self._verify or session.verify or True,
                cert=self._cert,
                proxies=proxies,
            ) as response:
                if getattr(response, "from_cache", False):  # requests-cache, CacheControl
                    raise UnusableConnectionError(_CACHED)
                return Response(response.status_code, response.headers, _read(response, timeout[1]))
        except (OSError, HTTPError) as error:
            lost = plain_error(error)
        finally:
            session.trust_env = reads_environment
        raise lost  # without the error of requests, which holds the whole request

    def __reduce__(self) -> tuple[type[RequestsTransport], tuple[Any, ...]]:
        """Pickle without connections."""
        return RequestsTransport, self._arguments

    def close(self) -> None:
        """Close the connections of every thread; later calls open new ones."""
        self._sessions.get().close()


def _read(response: requests.Response, seconds: float) -> bytes:
    end = time.monotonic() + seconds
    content = bytearray()
    # Not iter_content: it waits until a block is full, however slowly the bytes arrive.
    read = getattr(response.raw, "read1", response.raw.read)
    while part := read(64 * 1024, decode_content=True):
        content += part
        if len(content) > MAX_BODY:
            break
        if time.monotonic() > end:
            raise TimeoutError(f"the answer's body took longer than {seconds:g} s")
    return bytes(content)


def plain_error(error: OSError | HTTPError) -> OSError:
    """Return a built-in error for an error from requests, with the cause in plain words.

    Requests raises the same error for a refused and for a lost connection, and its text names
    classes of urllib3; the cause is nested inside.
    """
    chain = list(_chain(error))
    cause = chain[-1]
    refusal = _settings_fault(cause, chain)
    if refusal:
        return UnusableConnectionError(refusal)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return error
    text = _words(cause, chain)
    if text.startswith(_TUNNEL):
        return RequestNotSentError(f"the proxy answered: {text.removeprefix(_TUNNEL)}")
    if any(isinstance(link, (NewConnectionError, ConnectTimeoutError)) for link in chain):
        if isinstance(error, requests.exceptions.ProxyError):
            text = f"the proxy cannot be reached: {text}; see {_PROXY}"
        return RequestNotSentError(text)
    timed_out = isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError)
    return (TimeoutError if timed_out else ConnectionError)(text)


_TUNNEL = "Tunnel connection failed: "
_PROXY_REFUSES = re.compile(rf"{_TUNNEL}(4\d\d.*)")
_NO_BUNDLE = re.compile("Could not find a suitable TLS CA certificate bundle, invalid path: (.*)")
_BAD_CERTIFICATE = re.compile("Could not find the TLS (certificate|key) file|PEM lib|KEY_VALUES")
_VARIABLES = "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or verify= of the transport"
_CERT = "cert= of the transport"
_PROXY = "HTTPS_PROXY or proxies= of the transport"
_CACHED = (
    "the session answered from a cache, where the platform must be asked; use a session that does "
    "not cache (requests-cache: do not install_cache())"
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that it wraps, down to the original cause."""
    link: BaseException | None = error
    while link is not None:
        yield link
        if not type(link).__module__.startswith(("requests.", "urllib3.")):
            return
        inner = (getattr(link, "reason", None), *link.args, link.__cause__)
        link = next((other for other in inner if isinstance(other, BaseException)), None)


def _settings_fault(cause: BaseException, chain: Sequence[BaseException]) -> str | None:
    """Return what must be corrected before any connection is possible, or None."""
    if isinstance(cause, SSLCertVerificationError):
        reason = f"certificate verify failed: {cause.verify_message}"
        return f"{reason}; for your own certificate authority set {_VARIABLES}"
    if bundle := _NO_BUNDLE.match(str(cause)):
        return f"the CA bundle {bundle[1]!r} does not exist; see {_VARIABLES}"
    if _BAD_CERTIFICATE.search(str(cause)):
        return f"the client certificate cannot be used: {_words(cause, chain)}; see {_CERT}"
    while_loading = isinstance(cause, (FileNotFoundError, PermissionError, IsADirectoryError))
    if getattr(cause, "library", None) == "X509" or (
        while_loading and any(isinstance(link, SSLError) for link in chain)
    ):
        return f"the CA bundle cannot be read; see {_VARIABLES}"
    if refused := _PROXY_REFUSES.match(str(cause)):
        return f"the proxy refuses: {refused[1]}; see {_PROXY}"
    unusable = isinstance(
        chain[0], (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
    )
    return f"an address cannot be used: {cause}; see {_PROXY}" if unusable else None


def _words(cause: BaseException, chain: Sequence[BaseException]) -> str:
    if isinstance(cause, HTTPError) or any(isinstance(link, DecodeError) for link in chain):
        return "the answer is incomplete, or cannot be decompressed"
    if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        return f"the answer is not HTTP: {str(cause).strip()}"
    text = str(getattr(cause, "strerror", None) or cause)
    return re.sub(r"^\[\w+: \w+\] | \(_ssl\.c:\d+\)$", "", text)
