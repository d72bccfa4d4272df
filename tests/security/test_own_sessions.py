"""A session, bundle, certificate and proxies of one's own, and what they cannot change."""

import pickle
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from test_hosts import PEM, other_host, tls_server
from wire_tools import bare_server, http, read_request, says

from lms_archive import ApiError, Client, InvalidInputError, RetryPolicy, StaticToken
from lms_archive.errors import ConnectionSettingsError, PlatformUnavailableError
from lms_archive.sandbox import Sandbox
from lms_archive.wire import RequestsTransport

TOKEN = "a-static-token-of-ours"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor bundles in the environment."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def connect(url: str, **options: Any) -> Client:
    """A client whose transport has these options."""
    transport = RequestsTransport(**options)
    retry = RetryPolicy(attempts=1)
    return Client(url, StaticToken(TOKEN), transport=transport, retry=retry, timeout=5)


@contextmanager
def tunnel() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that carries `CONNECT`; what it was asked for."""
    asked: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def carry(inside: socket.socket) -> None:
        asked.append(read_request(inside))
        host, _, port = asked[-1].split()[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as outside:
            inside.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(outside, inside))
            back.start()
            pump(inside, outside)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    inside, _ = listening.accept()
                    with inside:
                        carry(inside)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


def test_a_bundle_is_an_argument() -> None:
    """The bundle decides, whether it is given as text or as a path; the name is checked too."""
    with tls_server() as (url, got):
        for verify in (PEM, str(PEM)):
            with connect(url, verify=verify) as client:
                assert client.request("GET", "/x") == {}
        other = url.replace("localhost", "127.0.0.1")
        with pytest.raises(ConnectionSettingsError, match="certificate is not valid for"):
            connect(other, verify=PEM).request("GET", "/x")
    assert len(got) == 2


def test_a_client_certificate() -> None:
    """A server that asks for a certificate gets it, and refuses who has none."""
    with tls_server(client_ca=PEM) as (url, got):
        assert connect(url, verify=PEM, cert=str(PEM)).request("GET", "/x") == {}
        with pytest.raises(PlatformUnavailableError):
            connect(url, verify=PEM).request("GET", "/x")
    assert len(got) == 1


@pytest.mark.parametrize("content", [None, "garbage"])
def test_a_client_certificate_that_cannot_be_used(content: str | None, tmp_path: Path) -> None:
    """Nothing was sent, and waiting does not help: the error names the argument."""
    path = tmp_path / "client.pem"
    if content is not None:
        path.write_text(content)
    with tls_server() as (url, got):
        with pytest.raises(
            ConnectionSettingsError, match=r"certificate file cannot be used.*see cert="
        ) as e:
            connect(url, verify=PEM, cert=str(path)).request("PUT", "/x")
        assert not e.value.in_doubt
    assert got == []


def test_a_proxy_is_an_argument() -> None:
    """The proxy carries the call, and reads neither path nor token."""
    with tls_server() as (url, got), tunnel() as (proxy, asked):
        client = connect(url, verify=PEM, proxies={"https": proxy})
        assert client.request("GET", "/x") == {}
        client.close()
    assert len(got) == len(asked) == 1
    assert asked[0].startswith(b"CONNECT localhost:")
    assert TOKEN.encode() not in asked[0]
    assert TOKEN.encode() in got[0]


def test_a_proxy_that_is_not_there_is_named() -> None:
    """It is not the platform that cannot be reached; a password in its address is not shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    proxies = {"https": f"http://user:canary@127.0.0.1:{port}"}
    with pytest.raises(PlatformUnavailableError, match="the proxy cannot be reached") as caught:
        connect("https://acme.example.com", proxies=proxies).request("PUT", "/x")
    assert not caught.value.in_doubt
    assert "canary" not in str(caught.value)


def with_proxies(proxy: str) -> requests.Session:
    """A session that would send everything to a proxy."""
    session = requests.Session()
    session.proxies = {"http": proxy, "all": proxy}
    return session


def test_loopback_goes_through_no_proxy() -> None:
    """Neither the argument nor the session takes plain http to another host."""
    with other_host() as (place, got), bare_server(says(http(b"{}"))) as url:
        proxy = f"http://{place}"
        for options in (
            {"proxies": {"http": proxy, "all": proxy}},
            {"session_factory": lambda: with_proxies(proxy)},
        ):
            assert connect(url, **options).request("GET", "/x") == {}
    assert got == []


def careless() -> requests.Session:
    """A session that verifies nothing, and has a login of another service."""
    session = requests.Session()
    session.verify = False
    session.auth = ("someone", "else")
    session.headers["Authorization"] = "Bearer of-another-service"
    session.headers["X-Trace"] = "7"
    return session


def test_no_session_turns_verification_off() -> None:
    """Nothing is sent to a server that is not trusted."""
    with tls_server() as (url, got):
        with pytest.raises(ConnectionSettingsError, match="certificate verify failed"):
            connect(url, session_factory=careless).request("GET", "/x")
        assert got == []
        assert connect(url, session_factory=careless, verify=PEM).request("GET", "/x") == {}
    assert len(got) == 1


def test_the_authorization_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the session's login nor `.netrc` replaces the bearer, or goes along with a login."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login netrc-user password netrc-word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with tls_server() as (url, got):
        connect(url, session_factory=careless, verify=PEM).request("GET", "/x")
        transport = RequestsTransport(careless, verify=PEM)
        transport("POST", f"{url}/oauth2/token", {}, [], b"x=y", (5, 5))
    first, second = (request.split(b"\r\n\r\n")[0].lower() for request in got)
    assert first.count(b"authorization:") == 1
    assert f"bearer {TOKEN}".encode() in first
    assert b"authorization:" not in second
    assert b"x-trace: 7" in first


def test_a_session_of_ones_own_does_not_follow_redirects() -> None:
    """A write that is redirected is an error, and reaches nobody else."""
    with other_host() as (place, got):
        moved = http(b"", f"Location: http://{place}/x", status="307 Temporary Redirect")
        with bare_server(says(moved)) as url:
            client = connect(url, session_factory=requests.Session)
            with pytest.raises(ApiError, match="redirects to"):
                client.request("PUT", "/x", json={"a": 1})
    assert got == []


class Caching(requests.Session):
    """A session that answers the second time from what it kept, as caching libraries do."""

    kept: Any = None

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Ask once."""
        if self.kept is not None:
            self.kept.from_cache = True
            return self.kept
        self.kept = super().request(*args, **kwargs)
        return self.kept


def test_an_answer_from_a_cache_is_refused() -> None:
    """What was read a while ago proves nothing: the second call is an error, sent to nobody."""
    with Sandbox() as sandbox:
        client = sandbox.client(transport=RequestsTransport(session_factory=Caching))
        with pytest.raises(ConnectionSettingsError, match="answered from a cache"):
            client.users.me()
        assert [call.operation for call in sandbox.calls] == ["token"]


def test_each_thread_has_a_session_of_the_factory() -> None:
    """The factory is called once for each thread that makes calls."""
    made: list[requests.Session] = []

    def factory() -> requests.Session:
        made.append(requests.Session())
        return made[-1]

    with Sandbox() as sandbox:
        client = sandbox.client(transport=RequestsTransport(factory))
        for _ in range(2):
            thread = threading.Thread(target=client.users.me)
            thread.start()
            thread.join()
            client.users.me()
    assert len(made) == 3


def test_a_session_that_is_not_to_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`trust_env=False` of the factory's session stays so."""

    def factory() -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        return session

    with tls_server() as (url, got), other_host() as (place, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
        assert connect(url, session_factory=factory, verify=PEM).request("GET", "/x") == {}
    assert (len(got), asked) == (1, [])


def test_a_transport_travels_with_its_options() -> None:
    """A pickled client connects in the same way."""
    with tls_server() as (url, got):
        client = connect(url, verify=PEM, session_factory=requests.Session)
        again = pickle.loads(pickle.dumps(client))  # noqa: S301  our own
        assert again.request("GET", "/x") == {}
    assert len(got) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a session": ({"session_factory": requests.Session()}, "session_factory must be a callable"),
    "no verification": ({"verify": False}, "certificates are always verified: verify takes"),
    "one proxy": ({"proxies": "http://user:pw@proxy"}, "proxies must be a mapping .* not a str"),
}


@pytest.mark.parametrize(("options", "text"), WRONG.values(), ids=WRONG.keys())
def test_options_that_cannot_be_used(options: dict[str, Any], text: str) -> None:
    """They are refused before anything is sent, and a password is not quoted."""
    with pytest.raises(InvalidInputError, match=text) as caught:
        RequestsTransport(**options)
    assert "pw" not in str(caught.value)


def test_a_factory_that_makes_something_else() -> None:
    """It is refused at the first call."""
    with pytest.raises(InvalidInputError, match=r"must return a requests\.Session, not None"):
        connect("https://acme.example.com", session_factory=lambda: None).request("GET", "/x")
