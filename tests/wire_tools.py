"""What the tests of the wire share: answers from a script, bare sockets."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from virtual_time import VirtualTime

from lms_archive import Client, StaticToken
from lms_archive.wire import Response
from lms_archive.wire.calls import Request

URL = "https://acme.example.com"
PEM = Path(__file__).parent / "security" / "self_signed.pem"
DATE = {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}


@define
class Sent:
    """One exchange as the transport was asked for it."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Sequence[tuple[str, str]]
    body: bytes | None
    timeout: tuple[float, float]

    @property
    def form(self) -> dict[str, str]:
        """The fields of a token call."""
        pairs = (pair.partition("=") for pair in (self.body or b"").decode().split("&"))
        return {name: value for name, _, value in pairs}


Scripted = Response | BaseException | Callable[[Sent], Response]


@define(repr=False)
class Script:
    """A transport that answers from a list; the last one again and again.

    Token calls are answered from `tokens` in the same way, or with a new token each.
    """

    answers: list[Scripted]
    tokens: list[Scripted] = field(factory=list)
    sent: list[Sent] = field(factory=list)
    logins: list[Sent] = field(factory=list)

    def __call__(self, *exchange: Any) -> Response:
        """Give the next answer."""
        sent = Sent(*exchange)
        if sent.url.endswith("/oauth2/token"):
            self.logins.append(sent)
            default = token(f"token-{len(self.logins)}")
            return _played(self.tokens or [default], len(self.logins), sent)
        self.sent.append(sent)
        return _played(self.answers, len(self.sent), sent)


def _played(script: Sequence[Scripted], number: int, sent: Sent) -> Response:
    play = script[min(number, len(script)) - 1]
    if isinstance(play, BaseException):
        raise play
    return play if isinstance(play, Response) else play(sent)


def answer(data: Any = None, status: int = 200, **headers: str) -> Response:
    """An answer whose body is JSON, or the bytes or text as they are."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {**DATE, "Content-Type": "application/json", **named}, body)


def refusal(status: int, body: Any = None, **headers: str) -> Response:
    """An error as the platform answers it."""
    words = {"status": status, "name": "n", "message": f"m-{status}"} if body is None else body
    return answer(words, status, **headers)


def token(access: str = "token-1", **more: Any) -> Response:
    """A good answer to a token call."""
    return answer({"access_token": access, "expires_in": 3600, "token_type": "Bearer", **more})


def items(*records: Any, **paging: Any) -> Response:
    """A page of a list."""
    return answer({"data": {"items": list(records), **paging}})


GOOD = answer({"data": 1})
READ = Request("GET", "/course/v1/courses")
WRITE = Request("PUT", "/learn/v1/enrollments", json={"user_id": [1]})


def scripted(
    *answers: Scripted, time: VirtualTime | None = None, **options: Any
) -> tuple[Client, Script]:
    """A client with a static token (or `auth=`), whose platform is a script, in virtual time."""
    script = Script(list(answers), options.pop("tokens", []))
    auth = options.pop("auth", StaticToken("a-static-token"))
    client = Client(URL, auth, transport=script, **{"calls_per_hour": None, **options})
    return (time or VirtualTime()).wire(client), script


def read_request(connection: socket.socket) -> bytes:
    """A request, read whole: what is left unread would turn the end into a reset."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(64 * 1024)
        if not part:
            return got
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        body += connection.recv(64 * 1024)
    return head + b"\r\n\r\n" + body


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve loopback, each connection in a thread of its own; yield host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                talk(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


@contextmanager
def bare_server(play: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one script: read the request of each connection, then play; yield the URL."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        play(connection)

    with listening(talk) as place:
        yield f"http://{place}"


@contextmanager
def other_host() -> Iterator[tuple[str, list[bytes]]]:
    """Serve what nothing may ever reach; yield its host and port, and what it received."""
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        received.append(b"a connection")
        received.append(read_request(connection))

    with listening(talk) as place:
        yield place, received


@contextmanager
def tls_server(client_ca: Path | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Serve with the certificate in PEM, which nobody trusts; yield the URL, and the requests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.settimeout(5)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            received.append(read_request(encrypted))
            encrypted.sendall(http(b"{}"))

    with listening(talk) as place:
        yield f"https://localhost:{place.partition(':')[2]}", received


def is_printable(text: str) -> bool:
    """Return whether a terminal shows each character, and does nothing else with any."""
    return all(line.isprintable() for line in text.split("\n"))


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def run_all(work: Sequence[Callable[[], object]]) -> None:
    """Do everything at once, each in a thread of its own."""
    threads = [threading.Thread(target=task) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    """A play that sends these bytes and hangs up."""

    def play(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return play


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A plain HTTP answer that closes its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
