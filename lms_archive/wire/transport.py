"""Carry one HTTP exchange. The only module that imports requests."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import BadStatusLine, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import Any, Protocol

import requests
from attrs import field, frozen
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
        _check(
            session_factory is None or callable(session_factory),
            f"session_factory must be a callable that makes a session, not {session_factory!r:.60}",
        )
        _check(
            verify is None or isinstance(verify, (str, os.PathLike)),
            "certificates are always verified: verify takes the file of your CA certificates, "
            f"not {verify!r:.60}",
        )
        _check(
            proxies is None or isinstance(proxies, Mapping),
            "proxies must be a mapping such as {'https': 'http://proxy.example.com:3128'}, "
            f"not a {type(proxies).__name__}",
        )
        self._arguments = session_factory, verify, cert, proxies
        self._factory = session_factory or requests.Session
        self._verify = None if verify is None else os.fspath(verify)
        self._cert, self._proxies = cert, dict(proxies or {})
        self._sessions: dict[tuple[int, int], requests.Session] = {}  # by process and thread

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
        session = self._session()
        proxies: dict[str, Any] = self._proxies
        if url.startswith("http:"):  # for loopback: a proxy would be another host
            proxies = dict.fromkeys([*session.proxies, "http", "all"])
        authorization = headers.get("Authorization")

        def replace_authorization(request: PreparedRequest) -> PreparedRequest:
            """Keep the client's own, or none, instead of that of `.netrc` or of the session."""
            request.headers.pop("Authorization", None)
            if authorization is not None:
                request.headers["Authorization"] = authorization
            return request

        try:
            with session.request(
                method,
                url,
                headers=dict(headers),
                params=list(params),
                data=body,
                timeout=timeout,
                auth=replace_authorization,
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
        raise lost  # without the error of requests, which holds the whole request

    def __reduce__(self) -> tuple[type[RequestsTransport], tuple[Any, ...]]:
        """Pickle without connections."""
        return RequestsTransport, self._arguments

    def close(self) -> None:
        """Close the connections of every thread; later calls open new ones."""
        for process, thread in list(self._sessions):
            if process == os.getpid():
                self._sessions.pop((process, thread)).close()

    def _session(self) -> requests.Session:
        key = os.getpid(), threading.get_ident()
        if key not in self._sessions:
            session = self._factory()
            _check(
                isinstance(session, requests.Session),
                f"session_factory must return a requests.Session, not {session!r:.60}",
            )
            self._sessions[key] = session
        return self._sessions[key]


def _check(is_usable: bool, message: str) -> None:  # noqa: FBT001
    if not is_usable:
        raise InvalidInputError(message)


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


_BUNDLE = "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or verify= of the transport"
_PROXY = "HTTPS_PROXY or proxies= of the transport"
_CACHED = (
    "the session answered from a cache, where the platform must be asked; use a session that does "
    "not cache (requests-cache: do not install_cache())"
)
_TUNNEL = "Tunnel connection failed: "
_BAD_FILE = (
    "Could not find (a suitable TLS CA certificate bundle|the TLS (certificate|key) file)"
    "|X509|PEM lib|KEY_VALUES"
)
"""How requests and OpenSSL report that a file of certificates cannot be used."""


def plain_error(error: OSError | HTTPError) -> OSError:
    """Return a built-in error for an error from requests, with the cause in plain words.

    Requests raises the same error for a refused and for a lost connection, and its text names
    classes of urllib3; the cause is nested inside.
    """
    if isinstance(error, RequestNotSentError):
        return error
    chain = list(_chain(error))
    cause, text = chain[-1], _words(chain)
    if fault := _settings_fault(chain, text):
        return UnusableConnectionError(fault)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return error
    if text.startswith(_TUNNEL):
        return RequestNotSentError(f"the proxy answered: {text.removeprefix(_TUNNEL)}")
    if any(isinstance(link, (NewConnectionError, ConnectTimeoutError)) for link in chain):
        if isinstance(error, requests.exceptions.ProxyError):
            text = f"the proxy cannot be reached: {text}; see {_PROXY}"
        return RequestNotSentError(text)
    timed_out = isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError)
    return (TimeoutError if timed_out else ConnectionError)(text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that it wraps, down to the original cause."""
    link: BaseException | None = error
    while link is not None:
        yield link
        if not type(link).__module__.startswith(("requests.", "urllib3.")):
            return
        inner = (getattr(link, "reason", None), *link.args, link.__cause__)
        link = next((other for other in inner if isinstance(other, BaseException)), None)


def _settings_fault(chain: Sequence[BaseException], text: str) -> str | None:
    """Return what must be corrected before any connection is possible, or None."""
    error, cause = chain[0], chain[-1]
    if isinstance(cause, SSLCertVerificationError):
        reason = f"certificate verify failed: {cause.verify_message}"
        return f"{reason}; for your own certificate authority set {_BUNDLE}"
    cannot_load = isinstance(cause, (FileNotFoundError, PermissionError, IsADirectoryError))
    in_tls = any(isinstance(link, SSLError) for link in chain)
    if re.search(_BAD_FILE, str(cause)) or (cannot_load and in_tls):
        return f"a certificate file cannot be used: {text}; see cert= of the transport, {_BUNDLE}"
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return f"an address cannot be used: {cause}; see {_PROXY}"
    if text.startswith(f"{_TUNNEL}4"):
        return f"the proxy refuses: {text.removeprefix(_TUNNEL)}; see {_PROXY}"
    return None


def _words(chain: Sequence[BaseException]) -> str:
    cause = chain[-1]
    if isinstance(cause, HTTPError) or any(isinstance(link, DecodeError) for link in chain):
        return "the answer is incomplete, or cannot be decompressed"
    if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        return f"the answer is not HTTP: {str(cause).strip()}"
    text = str(getattr(cause, "strerror", None) or cause)
    return re.sub(r"^\[\w+: \w+\] | \(_ssl\.c:\d+\)$", "", text)
