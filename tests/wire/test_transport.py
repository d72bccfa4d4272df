"""One HTTP exchange over real sockets: what surely never left, what ended, what is bounded."""

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
import responses
from urllib3.exceptions import MaxRetryError
from urllib3.exceptions import SSLError as Urllib3SSLError
from wire_tools import bare_server, http, read_request, says

from lms_archive import RequestNotSentError, Response
from lms_archive.wire import transport as module
from lms_archive.wire.transport import RequestsTransport

QUICK = (0.5, 0.15)


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    """A transport that is closed afterwards."""
    with closing(RequestsTransport()) as one:
        yield one


def get(transport: RequestsTransport, url: str, timeout: tuple[float, float] = QUICK) -> Response:
    """A read."""
    return transport("GET", url, {"Accept": "application/json"}, [], None, timeout)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_an_exchange(transport: RequestsTransport) -> None:
    """Method, path, query, headers and body arrive as given, and status, headers, body return."""
    got: list[bytes] = []
    reply = http(b'{"ok": true}', "X-One: 1", status="201 Created")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                got.append(read_request(connection))
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x/y"
        params = [("user_id[]", "1"), ("user_id[]", "2")]
        answer = transport("PUT", url, {"X-Own": "z"}, params, b'{"a": 1}', QUICK)
        thread.join()
    (sent,) = got
    assert sent.startswith(b"PUT /x/y?user_id%5B%5D=1&user_id%5B%5D=2 HTTP/1.1\r\n")
    assert b"X-Own: z\r\n" in sent
    assert sent.endswith(b'\r\n\r\n{"a": 1}')
    assert (answer.status, answer.body) == (201, b'{"ok": true}')
    assert answer.headers["x-one"] == "1"


def test_refused_is_not_sent(transport: RequestsTransport) -> None:
    """Where nobody listens, nothing was sent."""
    with pytest.raises(RequestNotSentError):
        get(transport, f"http://127.0.0.1:{free_port()}/")


def test_unknown_host_is_not_sent(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the name has no address, nothing was sent."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RequestNotSentError, match="Name or service not known"):
        get(transport, "http://no-such-host.example.com/")


def test_connect_time_out_is_not_sent(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the connection took too long to come about, nothing was sent."""

    def silent(*_: object, **__: object) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)
    with pytest.raises(RequestNotSentError, match="timed out"):
        get(transport, "http://127.0.0.1:9/")


def silence_after(head: bytes) -> Callable[[socket.socket], None]:
    """A play that sends this, and then nothing for longer than we wait."""

    def play(connection: socket.socket) -> None:
        connection.sendall(head)
        time.sleep(0.2)

    return play


LOST = {
    "cut at once": [says()],
    "cut after the headers": [says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")],
    "cut in the body": [says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")],
    "cut in a chunk": [says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")],
    "chunks of garbage": [says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}")],
    "no HTTP": [says(b"SSH-2.0-OpenSSH_9.6\r\n")],
    "no gzip": [says(http(b"{}", "Content-Encoding: gzip"))],
    "silence": [silence_after(b"")],
    "silence after the headers": [silence_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")],
}


@pytest.mark.parametrize("plays", LOST.values(), ids=LOST.keys())
def test_a_lost_answer_may_have_been_sent(transport: RequestsTransport, plays: Any) -> None:
    """A cut, garbage and a read time-out are an `OSError`, but never `RequestNotSentError`."""
    with bare_server(*plays) as url, pytest.raises(OSError) as caught:  # noqa: PT011  any of it
        get(transport, url)
    assert not isinstance(
        caught.value, (RequestNotSentError, ConnectionRefusedError, socket.gaierror)
    )


def test_a_reset_may_have_been_sent(transport: RequestsTransport) -> None:
    """A reset connection raises what a refused one raises in requests, and is told apart."""

    def reset(connection: socket.socket) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with bare_server(reset) as url, pytest.raises(ConnectionError) as caught:
        get(transport, url)
    assert not isinstance(caught.value, (RequestNotSentError, ConnectionRefusedError))


def test_tls_failure_is_not_called_not_sent(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is not trusted ends the call; nobody says that nothing was sent."""

    def untrusted(*_: object, **__: object) -> Any:
        reason = Urllib3SSLError("certificate verify failed: self-signed certificate")
        raise requests.exceptions.SSLError(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", untrusted)
    with pytest.raises(ConnectionError, match="certificate verify failed"):
        get(transport, "https://acme.example.com/")


def test_certificates_are_always_verified(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call asks for verification, and for the time-outs it was given."""
    asked: list[dict[str, Any]] = []

    def send(_: object, __: requests.PreparedRequest, **how: Any) -> requests.Response:
        asked.append(how)
        response = requests.Response()
        response.status_code, response.raw = 200, http_raw(b"{}")
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert get(transport, "https://acme.example.com/", (3, 7)).body == b"{}"
    (how,) = asked
    assert (how["verify"], how["timeout"], how["stream"]) == (True, (3, 7), True)


def http_raw(body: bytes) -> Any:
    """What an adapter hands to a response."""
    from io import BytesIO  # noqa: PLC0415  only here

    from urllib3 import HTTPResponse  # noqa: PLC0415  only here

    return HTTPResponse(BytesIO(body), preload_content=False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_no_redirect_is_followed(transport: RequestsTransport, method: str, status: int) -> None:
    """A redirect is an answer like any other; nothing goes to where it points."""
    with responses.RequestsMock() as mock:
        where = {"Location": "https://evil.example.com/"}
        mock.add(method, "https://acme.example.com/x", status=status, headers=where)
        answer = transport(method, "https://acme.example.com/x", {}, [], None, QUICK)
        assert len(mock.calls) == 1
    assert (answer.status, answer.headers["Location"]) == (status, where["Location"])


def test_a_body_beyond_the_limit(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than what shows that it is too much."""
    monkeypatch.setattr(module, "MAX_BODY", 100_000)
    with bare_server(says(http(b"x" * 3_000_000))) as url:
        body = get(transport, url, (1, 5)).body
    assert 100_000 < len(body) <= 100_000 + 64 * 1024


def test_a_body_at_the_limit(transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is just small enough comes whole."""
    monkeypatch.setattr(module, "MAX_BODY", 100_000)
    with bare_server(says(http(b"x" * 100_000))) as url:
        assert get(transport, url, (1, 5)).body == b"x" * 100_000


@pytest.mark.parametrize("layers", [1, 2])
def test_a_compressed_bomb_is_bounded(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    """A small body that unpacks to 100 MB costs a few megabytes, packed once or twice."""
    monkeypatch.setattr(module, "MAX_BODY", 1_000_000)
    pack = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join([*(pack.compress(bytes(1_000_000)) for _ in range(100)), pack.flush()])
    for _ in range(layers - 1):
        bomb = gzip.compress(bomb)
    head = f"Content-Encoding: {', '.join(['gzip'] * layers)}"
    with bare_server(says(http(bomb, head))) as url:
        tracemalloc.start()
        try:
            body = get(transport, url, (1, 5)).body
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 1_000_000 < len(body) < 1_200_000
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("layers", "head"), [(1, "gzip"), (2, "gzip, gzip"), (0, "identity"), (0, "unknown")]
)
def test_packed_answers(transport: RequestsTransport, layers: int, head: str) -> None:
    """A packed body is unpacked."""
    body = b'{"data": "' + b"a" * 200_000 + b'"}'
    packed = body
    for _ in range(layers):
        packed = gzip.compress(packed)
    with bare_server(says(http(packed, f"Content-Encoding: {head}"))) as url:
        assert get(transport, url, (1, 5)).body == body


def test_chunks(transport: RequestsTransport) -> None:
    """A body in chunks is put together."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with bare_server(says(head, b'2\r\n{"\r\n', b'5\r\na":1}\r\n', b"0\r\n\r\n")) as url:
        assert get(transport, url).body == b'{"a":1}'


def test_a_body_without_length(transport: RequestsTransport) -> None:
    """A body that ends with its connection is read to that end."""
    with bare_server(says(b"HTTP/1.0 200 OK\r\n\r\n", b"{}")) as url:
        assert get(transport, url).body == b"{}"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
    ],
    ids=["length", "chunked", "until the end"],
)
def test_a_body_that_drips_ends(transport: RequestsTransport, head: bytes, drop: bytes) -> None:
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


def test_a_session_for_each_thread(transport: RequestsTransport) -> None:
    """Threads never share a session; one thread keeps its own."""
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(transport._session())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 4
    assert transport._session() is transport._session()


def test_connections_are_kept(transport: RequestsTransport) -> None:
    """Two calls of a thread use one connection."""
    connections: list[int] = []

    def twice(connection: socket.socket) -> None:
        connections.append(1)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        connection.sendall(head)
        read_request(connection)
        connection.sendall(head)

    with bare_server(twice) as url:
        assert [get(transport, url).body for _ in range(2)] == [b"{}", b"{}"]
    assert connections == [1]


def test_close() -> None:
    """Closing closes every thread's connections; a later call opens new ones."""
    transport = RequestsTransport()
    with bare_server(says(http(b"{}"))) as url:
        get(transport, url)
        old = transport._session()
        transport.close()
        assert get(transport, url).body == b"{}"
        assert transport._session() is not old
        transport.close()
        transport.close()


def test_answers_hide_their_content() -> None:
    """Neither headers nor body of an answer are shown where it is printed."""
    assert repr(Response(200, {"Set-Cookie": "secret"}, b"secret")) == "Response(status=200)"


def test_cookies_do_no_harm(transport: RequestsTransport) -> None:
    """A proxy's cookie is kept apart from the headers that we send."""
    with responses.RequestsMock() as mock:
        mock.add("GET", "https://acme.example.com/x", headers={"Set-Cookie": "a=b"}, body=b"{}")
        headers = {"Authorization": "Bearer t"}
        for _ in range(2):
            transport("GET", "https://acme.example.com/x", headers, [], None, QUICK)
        assert [call.request.headers["Authorization"] for call in mock.calls] == ["Bearer t"] * 2


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_head_that_drips_ends(transport: RequestsTransport, head: bytes) -> None:
    """Status and headers that come byte by byte do not outlast the read time-out by much."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(3_000):
            connection.sendall(b"x")
            time.sleep(0.02)

    begun = time.monotonic()
    with bare_server(drip) as url, pytest.raises(TimeoutError):
        get(transport, url)
    assert time.monotonic() - begun < 30  # it drips for a minute


def test_each_answer_has_its_own_time(transport: RequestsTransport) -> None:
    """The deadline is one answer's: a connection kept open serves the next as long."""

    def late(connection: socket.socket) -> None:
        for _ in range(4):
            time.sleep(0.06)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            read_request(connection)

    with bare_server(late) as url:
        assert [get(transport, url).body for _ in range(4)] == [b"{}"] * 4
