"""TLS, proxies and sessions: what the environment and arguments change, and what they cannot."""

import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from wire_tools import (
    PEM,
    bare_server,
    free_port,
    http,
    listening,
    other_host,
    read_request,
    run_all,
    says,
    tls_server,
)

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
    """Serve a proxy that carries `CONNECT`; yield its URL, and the requests to it."""
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
            run_all([lambda: pump(outside, inside), lambda: pump(inside, outside)])

    with listening(carry) as place:
        yield f"http://{place}", asked


def careless() -> requests.Session:
    """Return a session that verifies nothing, and has a login of another service."""
    session = requests.Session()
    session.verify = False
    session.auth = ("someone", "else")
    session.headers["Authorization"] = "Bearer of-another-service"
    session.headers["X-Trace"] = "7"
    return session


FACTORIES = pytest.mark.parametrize("factory", [None, careless])


# TLS


@FACTORIES
@pytest.mark.parametrize("variable", ["", None])
def test_nothing_is_sent_to_a_server_that_is_not_trusted(
    factory: Any, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a session nor an empty variable turns verification off."""
    if variable is not None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", variable)
    refused = pytest.raises(ConnectionSettingsError, match="certificate verify failed: self-")
    with tls_server() as (url, received), refused:
        connect(url, session_factory=factory).request("GET", "/x")
    assert received == []


@FACTORIES
@pytest.mark.parametrize("bundle", [PEM, str(PEM), None])
def test_a_bundle_is_an_argument_or_a_variable(
    factory: Any, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's own authority is trusted; the name in the certificate is checked all the same."""
    if bundle is None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    options = {"verify": bundle, "session_factory": factory}
    with tls_server() as (url, received):
        assert connect(url, **options).request("GET", "/x") == {}
        other = url.replace("localhost", "127.0.0.1")
        with pytest.raises(ConnectionSettingsError, match="certificate is not valid for"):
            connect(other, **options).request("GET", "/x")
    assert len(received) == 1
    assert TOKEN.encode() in received[0]


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
    proxies = {"https": f"http://user:canary@127.0.0.1:{free_port()}"}
    with pytest.raises(PlatformUnavailableError, match="the proxy cannot be reached") as caught:
        connect("https://acme.example.com", proxies=proxies).request("PUT", "/x")
    assert not caught.value.in_doubt
    assert "canary" not in str(caught.value)


def with_proxies(proxy: str) -> requests.Session:
    """Return a session that would send everything to a proxy."""
    session = requests.Session()
    session.proxies = {"http": proxy, "all": proxy}
    return session


PROXIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "the environment": lambda _: {},
    "an argument": lambda proxy: {"proxies": {"http": proxy, "all": proxy}},
    "the session": lambda proxy: {"session_factory": lambda: with_proxies(proxy)},
}


@pytest.mark.parametrize("options", PROXIES.values(), ids=PROXIES.keys())
def test_plain_http_goes_through_no_proxy(
    options: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would be another host, and would read the token."""
    with other_host() as (place, received), bare_server(says(http(b"{}"))) as url:
        for name in ("http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{place}")
        assert connect(url, **options(f"http://{place}")).request("GET", "/x") == {}
    assert received == []


# Sessions


@FACTORIES
def test_the_authorization_is_ours(
    factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the session's login nor `.netrc` replaces the bearer, or goes along with a login."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login netrc-user password netrc-word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with tls_server() as (url, got):
        connect(url, session_factory=factory, verify=PEM).request("GET", "/x")
        transport = RequestsTransport(factory, verify=PEM)
        transport("POST", f"{url}/oauth2/token", {}, [], b"x=y", (5, 5))
    first, second = (request.split(b"\r\n\r\n")[0].lower() for request in got)
    assert first.count(b"authorization:") == 1
    assert f"bearer {TOKEN}".encode() in first
    assert b"authorization:" not in second
    assert (b"x-trace: 7" in first) is (factory is careless)


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
    barrier = threading.Barrier(3)

    def factory() -> requests.Session:
        made.append(requests.Session())
        barrier.wait(5)  # all threads are alive
        return made[-1]

    with Sandbox() as sandbox:
        transport = RequestsTransport(factory)
        client = Client(sandbox.url, StaticToken(TOKEN), transport=transport)

        def work() -> None:
            for _ in range(2):
                with suppress(ApiError):
                    client.users.me()

        run_all([work] * 3)
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
