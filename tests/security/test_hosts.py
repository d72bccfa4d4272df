"""The token goes to the platform and nowhere else, and only where nobody can listen."""

import inspect
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from canaries import AUTHS, SECRETS, found_in, make_client
from virtual_time import Stage
from wire_tools import bare_server, http, items, read_request, says, scripted

from lms_archive import ApiError, Client, Contract, InvalidInputError, PasswordGrant, StaticToken
from lms_archive.errors import ConnectionSettingsError, UnexpectedResponseError
from lms_archive.wire.download import download
from lms_archive.wire.transport import RequestsTransport

TOKEN = StaticToken(SECRETS["fixed token"])
PEM = Path(__file__).with_name("self_signed.pem")


@contextmanager
def other_host() -> Iterator[tuple[str, list[bytes]]]:
    """A server that nothing may ever reach; its address, and what it got."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        got.append(b"a connection")
                        got.append(read_request(connection))

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", got
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", ["password", "fixed token"])
def test_redirects(auth: str, status: int) -> None:
    """To another port, host or scheme: neither a call nor a login follows."""
    with other_host() as (place, got):
        for where in (f"http://{place}/x", f"//{place}/x", f"http://localhost:{place[10:]}/"):
            play = says(http(b"", f"Location: {where}", status=f"{status} Moved"))
            with bare_server(play) as url, make_client(url, auth) as client:
                with pytest.raises(ApiError, match=f"{status}"):
                    list(client.courses.list())
                with pytest.raises(ApiError, match=f"{status}"):
                    client.request("PUT", "/x", json={"a": 1})
    assert got == []


def test_links_in_an_answer() -> None:
    """The next page is a number: no link of an answer is followed."""
    with other_host() as (place, got):
        evil = f"http://{place}/course/v1/courses?page=2"
        link = {"_links": [{"rel": "next", "href": evil}], "next": evil, "next_page_url": evil}
        page = items({"id_course": 1, "name": "C"}, has_more_data=True, cursor=evil, **link)
        client, script = scripted(page, items(), auth=TOKEN)
        list(client.courses.list())
        assert [dict(one.params)["page"] for one in script.sent] == ["1", "2"]
        assert {one.url.split("/")[2] for one in script.sent} == {"acme.example.com"}
    assert got == []


def test_servers_of_a_swagger_document(stage: Stage) -> None:
    """A document may name any host as its own: calls go where they went before."""
    with other_host() as (place, got):
        evil = {
            "openapi": "3.0.0",
            "swagger": "2.0",
            "host": place,
            "basePath": f"//{place}",
            "schemes": ["http"],
            "servers": [{"url": f"http://{place}/"}],
            "paths": {f"http://{place}/learn/v1/enrollments": {"put": {}}, "/x": {"$ref": place}},
        }
        client, script = scripted(
            lambda sent: items() if "swagger" not in sent.url else _document(evil), auth=TOKEN
        )
        report = client.verify_contract()
        report.suggested_contract()
        list(client.with_options(contract=report.suggested_contract()).courses.list())
        assert {one.url.split("/")[2] for one in script.sent} == {"acme.example.com"}
    assert got == []
    assert stage.sandbox.calls == []


def _document(data: Any) -> Any:
    from wire_tools import answer  # noqa: PLC0415  only here

    return answer(data)


LINKS = [
    "http://{evil}/1.pdf",
    "//{evil}/1.pdf",
    "http://ada:x@{home}/1.pdf",
    "http://{home}@{evil}/1.pdf",
    "http://{home}\\@{evil}/1.pdf",
    "http://{home}.example.com/1.pdf",
    "https://{home}/1.pdf",
    "ftp://{home}/1.pdf",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://{home_host}:99999/1.pdf",
    "http://[::1/1.pdf",
    "http://{home}/../1.pdf",
    "http://{home}/%2e%2e/1.pdf",
]


@pytest.mark.parametrize("link", LINKS)
def test_certificate_links(link: str) -> None:
    """A link that leads elsewhere, or is no link, is refused before any call."""
    with other_host() as (evil, got), other_host() as (home, calls):
        client = make_client(f"http://{home}", "fixed token")
        full = link.format(evil=evil, home=home, home_host=home.split(":")[0])
        with pytest.raises(UnexpectedResponseError, match="leads outside the platform"):
            download(client.session, full, "certificate")
    assert got == calls == []


@pytest.mark.parametrize(
    "link", ["{url}/c/1.pdf", "/c/1.pdf", "c/1.pdf", "\\\\evil.example.com/c", "{url}//evil/x"]
)
def test_links_to_the_platform(link: str) -> None:
    """An absolute or relative link to the platform is followed there, whatever it looks like."""
    with bare_server(says(http(b"%PDF-"))) as url:
        client = make_client(url, "fixed token")
        assert download(client.session, link.format(url=url), "certificate") == b"%PDF-"


def test_the_standard_port_may_be_written() -> None:
    """`https://acme.example.com:443/...` is the same place."""
    client, script = scripted(items(), auth=TOKEN)
    download(client.session, "https://acme.example.com:443/c.pdf", "certificate")
    assert script.sent[0].url == "https://acme.example.com/c.pdf"


@pytest.mark.parametrize(
    "path", ["@{evil}/x", "//{evil}/x", "http://{evil}/x", "x", "/x#y", "/ x", "/x?y", ""]
)
def test_paths_of_the_low_level_door(path: str) -> None:
    """A path is a path: no host, query or fragment slips in."""
    with other_host() as (evil, got), other_host() as (home, calls):
        client = make_client(f"http://{home}", "fixed token")
        with pytest.raises(InvalidInputError):
            client.request("GET", path.format(evil=evil))
        with pytest.raises(InvalidInputError):
            Contract.default().with_operation("list_users", path=path.format(evil=evil))
    assert got == calls == []


REFUSED = [
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://127.example.com",
    "http://128.0.0.1",
    "http://126.255.255.255",
    "http://0.0.0.0",
    "http://0177.0.0.1",
    "http://127.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://[::2]",
    "http://[::1%25eth0]",
    "http://[fe80::1]",
    "http://[::ffff:10.0.0.1]",
    "http://localhost@evil.example.com",
    "http://localhost\\.evil.example.com",
    "http://evil.example.com#localhost",
    "http://evil.example.com?localhost",
    "https://ada:hush@acme.example.com",
    "https://acme.example.com\t.evil.example.com",
    "https://acme.example.com\\@evil.example.com",
    "https://acme.example.com\x00.evil.example.com",
    "file:///etc/passwd",
    "//acme.example.com",
]


@pytest.mark.parametrize("url", REFUSED)
def test_addresses_that_would_show_the_token(url: str) -> None:
    """Plain http off loopback, a user in the address, and what parsers disagree on: refused."""
    with pytest.raises(InvalidInputError) as caught:
        Client(url, TOKEN)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://localhost:8000", "http://127.8.9.10", "http://[::1]:81/x"]
)
def test_addresses_of_loopback(url: str) -> None:
    """Nobody listens on loopback: plain http is for tests and tutorials."""
    assert Client(url, TOKEN).base_url == url


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_goes_through_no_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would be another host, and would read the token."""
    for no in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(no, raising=False)
    with other_host() as (proxy, got), bare_server(says(http(b"{}"))) as url:
        monkeypatch.setenv(name, f"http://{proxy}")
        client = make_client(url, "password")
        with suppress(ApiError):
            client.request("GET", "/x")
        client = make_client(url, "fixed token")
        assert client.request("GET", "/x") == {}
    assert got == []


# TLS


@contextmanager
def tls_server(client_ca: Path | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server on loopback with a certificate that nobody trusts; what it got decrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    with context.wrap_socket(connection, server_side=True) as talk:
                        got.append(read_request(talk))
                        talk.sendall(http(b"{}"))

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}", got
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("auth", AUTHS)
def test_a_certificate_that_is_not_trusted(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to a server whose certificate is not trusted; no variable of ours helps."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    with tls_server() as (url, got):
        client = make_client(url, auth, timeout=5)
        with pytest.raises(ConnectionSettingsError, match="certificate verify failed: self-signed"):
            client.request("GET", "/x")
    assert got == []


def test_a_bundle_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's own authority is named the way requests has it; it is checked all the same."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    with tls_server() as (url, got):
        assert make_client(url, "fixed token", timeout=5).request("GET", "/x") == {}
        assert found_in(got[0]) == ["fixed token"]
        other = url.replace("localhost", "127.0.0.1")  # a name that the certificate does not have
        with pytest.raises(ConnectionSettingsError, match="certificate is not valid for"):
            make_client(other, "fixed token", timeout=5).request("GET", "/x")
    assert len(got) == 1


def test_there_is_no_switch() -> None:
    """No argument of ours turns the check off, and no session has it off."""
    for one in (Client.__init__, Client.from_env, Client.with_options):
        assert not [name for name in inspect.signature(one).parameters if "verif" in name]
    for switch in (False, True):
        with pytest.raises(InvalidInputError, match="certificates are always verified"):
            RequestsTransport(verify=switch)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="unknown option 'verify'"):
        Client("https://acme.example.com", PasswordGrant("a", "b", "c", "d")).with_options(
            verify=False  # type: ignore[call-arg]
        )
