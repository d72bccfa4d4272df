"""One HTTP exchange over real sockets: what surely never left, what ended, what is bounded."""

import gzip
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from virtual_time import VirtualTime
from wire_tools import (
    bare_server,
    free_port,
    http,
    listening,
    read_request,
    run_all,
    says,
)

from lms_archive import Client, StaticToken
from lms_archive.errors import ConnectionSettingsError
from lms_archive.wire import RequestNotSentError, Response
from lms_archive.wire import transport as module
from lms_archive.wire.transport import RequestsTransport, UnusableConnectionError

QUICK = (0.5, 0.15)


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    """A transport that is closed afterwards."""
    with closing(RequestsTransport()) as transport:
        yield transport


def get(transport: RequestsTransport, url: str, timeout: tuple[float, float] = QUICK) -> Response:
    """A read."""
    return transport("GET", url, {"Accept": "application/json"}, [], None, timeout)


def test_an_exchange_arrives_as_given_and_returns_whole(transport: RequestsTransport) -> None:
    """Method, path, query, headers and body arrive as given, and status, headers, body return."""
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        received.append(read_request(connection))
        connection.sendall(http(b'{"ok": true}', "X-One: 1", status="201 Created"))

    with listening(talk) as place:
        params = [("user_id[]", "1"), ("user_id[]", "2")]
        url = f"http://{place}/x/y"
        answer = transport("PUT", url, {"X-Own": "z"}, params, b'{"a": 1}', QUICK)
    (sent,) = received
    assert sent.startswith(b"PUT /x/y?user_id%5B%5D=1&user_id%5B%5D=2 HTTP/1.1\r\n")
    assert b"X-Own: z\r\n" in sent
    assert sent.endswith(b'\r\n\r\n{"a": 1}')
    assert (answer.status, answer.body) == (201, b'{"ok": true}')
    assert answer.headers["x-one"] == "1"


def _unknown_name(*_: object, **__: object) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _silent(*_: object, **__: object) -> Any:
    raise TimeoutError("timed out")


NEVER_CONNECTED: dict[str, tuple[str, Any, str]] = {
    "unknown name": ("socket.getaddrinfo", _unknown_name, "Name or service not known"),
    "silence": ("urllib3.util.connection.create_connection", _silent, "timed out"),
    "nobody listens": ("socket.timeout", TimeoutError, "^Connection refused$"),
}


@pytest.mark.parametrize(
    ("name", "replacement", "text"), NEVER_CONNECTED.values(), ids=NEVER_CONNECTED.keys()
)
def test_without_a_connection_nothing_was_sent(
    transport: RequestsTransport,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    replacement: Any,
    text: str,
) -> None:
    """An unknown name, a connection that takes too long, and one that is refused."""
    monkeypatch.setattr(name, replacement)
    with pytest.raises(RequestNotSentError, match=text):
        get(transport, f"http://127.0.0.1:{free_port()}/")


def silence_after(head: bytes) -> Callable[[socket.socket], None]:
    """A play that sends this, and then nothing for longer than we wait."""

    def play(connection: socket.socket) -> None:
        connection.sendall(head)
        time.sleep(0.2)

    return play


def reset(connection: socket.socket) -> None:
    """A play that breaks the connection instead of closing it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


INTERNALS = re.compile(
    r"\w+Pool\(|HTTPS?Connection|Max retries|NewConnection|urllib3|object at|Error\("
)
LOST = {
    "cut at once": says(),
    "reset": reset,
    "cut in the body": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "chunks of garbage": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "no gzip": says(http(b"{}", "Content-Encoding: gzip")),
    "silence after the headers": silence_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
}


@pytest.mark.parametrize("play", LOST.values(), ids=LOST.keys())
def test_a_lost_answer_may_have_been_sent(transport: RequestsTransport, play: Any) -> None:
    """A cut, garbage, a read time-out: an `OSError` in plain words, but never "not sent"."""
    with bare_server(play) as url, pytest.raises(OSError) as caught:  # noqa: PT011  any of it
        get(transport, url)
    assert not isinstance(
        caught.value, (RequestNotSentError, ConnectionRefusedError, socket.gaierror)
    )
    assert str(caught.value)
    assert not INTERNALS.search(str(caught.value))


def test_no_more_of_a_body_is_read_than_shows_that_it_is_too_much(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is just small enough comes whole; a packed body is measured unpacked."""
    monkeypatch.setattr(module, "MAX_BODY", 100_000)
    packed = http(gzip.compress(bytes(3_000_000)), "Content-Encoding: gzip")
    for reply in (http(bytes(3_000_000)), packed):
        with bare_server(says(reply)) as url:
            assert 100_000 < len(get(transport, url, (1, 5)).body) <= 100_000 + 64 * 1024
    with bare_server(says(http(b"x" * 100_000))) as url:
        assert get(transport, url, (1, 5)).body == b"x" * 100_000


BODY = b'{"data": "' + b"a" * 200_000 + b'"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE: dict[str, list[bytes]] = {
    "gzip": [http(gzip.compress(BODY), "Content-Encoding: gzip")],
    "gzip twice": [http(gzip.compress(gzip.compress(BODY)), "Content-Encoding: gzip, gzip")],
    "identity": [http(BODY, "Content-Encoding: identity")],
    "chunks": [CHUNKED, f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n", b"0\r\n\r\n"],
    "until the end": [b"HTTP/1.0 200 OK\r\n\r\n", BODY],
}


@pytest.mark.parametrize("parts", WHOLE.values(), ids=WHOLE.keys())
def test_a_body_is_unpacked_and_whole(transport: RequestsTransport, parts: list[bytes]) -> None:
    """Packed, in chunks, or without a length."""
    with bare_server(says(*parts)) as url:
        assert get(transport, url, (1, 5)).body == BODY


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
    ],
    ids=["length", "chunked", "until the end"],
)
def test_a_body_that_drips_is_given_up_at_the_read_timeout(
    transport: RequestsTransport, head: bytes, drop: bytes
) -> None:
    """A body that comes byte by byte does not outlast the read time-out by much."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(3_000):
            connection.sendall(drop)
            time.sleep(0.02)

    begun = time.monotonic()
    with bare_server(drip) as url, pytest.raises(TimeoutError, match=r"longer than 0\.15"):
        get(transport, url)
    assert time.monotonic() - begun < 30  # it drips for a minute


def test_each_thread_has_a_connection_of_its_own(transport: RequestsTransport) -> None:
    """Threads that call at once never share a connection; the calls of a thread do."""
    connections: list[int] = []
    barrier = threading.Barrier(4)

    def talk(connection: socket.socket) -> None:
        connections.append(1)
        for _ in range(2):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            read_request(connection)

    with bare_server(talk) as url:

        def work() -> None:
            barrier.wait(5)
            for _ in range(2):
                get(transport, url, (5, 5))

        run_all([work] * 4)
    assert len(connections) == 4


def test_closing_ends_every_connection() -> None:
    """Closing ends every connection; a later call opens a new one."""
    transport = RequestsTransport()
    ended: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        ended.append(connection.recv(1))

    with bare_server(talk) as url:
        for number in range(2):
            assert get(transport, url, (5, 5)).body == b"{}"
            assert len(ended) == number
            transport.close()
            wait_until(lambda wanted=number + 1: len(ended) == wanted)  # type: ignore[misc]
    transport.close()
    assert ended == [b"", b""]


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for another thread, for at most five seconds."""
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError


# Settings that allow no connection


def quick_error(url: str) -> ConnectionSettingsError:
    """The error of a read with all its attempts, which must not take any time."""
    time = VirtualTime()
    client = time.wire(Client(url, StaticToken("t"), timeout=5))
    with client, pytest.raises(ConnectionSettingsError) as caught:
        client.request("GET", "/x")
    assert client.session.calls == {"request": 1}
    assert time.slept == []
    assert not caught.value.in_doubt
    assert not INTERNALS.search(str(caught.value))
    return caught.value


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no bundle and no proxy."""
    for name in ("no_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "bundle, invalid path: {path}"), ("garbage", "no certificate or crl found")],
    ids=["missing", "not a bundle"],
)
def test_a_bundle_that_cannot_be_used_fails_at_once(
    content: str | None, text: str, tmp_path: Path, env: pytest.MonkeyPatch
) -> None:
    """A wrong path of a CA bundle is said in the first attempt, which is the only one."""
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    env.setenv("REQUESTS_CA_BUNDLE", str(path))
    with bare_server(says(b"")) as url:
        error = quick_error(url.replace("http:", "https:"))
    said = f"{text.format(path=path)}; see cert= of the transport, REQUESTS_CA_BUNDLE"
    assert said in str(error)


def test_a_proxy_that_refuses_fails_at_once(env: pytest.MonkeyPatch) -> None:
    """A proxy that asks for a login is named in the first attempt."""
    with bare_server(says(http(b"", status="407 Proxy Authentication Required"))) as proxy:
        env.setenv("HTTPS_PROXY", proxy)
        error = quick_error("https://acme.example.com")
    assert "the proxy refuses: 407 Proxy Authentication Required" in str(error)


def test_a_proxy_that_does_not_reach_the_platform_is_tried_again(
    env: pytest.MonkeyPatch, transport: RequestsTransport
) -> None:
    """A 502 of the proxy passes; the platform has seen nothing of the call."""
    with bare_server(says(http(b"", status="502 Bad Gateway"))) as proxy:
        env.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(RequestNotSentError, match="the proxy answered: 502 Bad Gateway") as e:
            get(transport, "https://acme.example.com/x")
    assert not isinstance(e.value, UnusableConnectionError)
