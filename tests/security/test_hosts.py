"""The token goes to the platform and nowhere else, and only where nobody can listen."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from canaries import SECRETS, found_in, make_client
from wire_tools import answer, bare_server, http, items, read_request, says, scripted

from lms_archive import ApiError, Contract, InvalidInputError, StaticToken
from lms_archive.errors import ConnectionSettingsError, UnexpectedResponseError
from lms_archive.wire.download import download

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


@pytest.mark.parametrize("auth", ["password", "fixed token"])
def test_neither_a_call_nor_a_login_follows_a_redirect(auth: str) -> None:
    """To another port, host or scheme."""
    with other_host() as (place, got):
        for where in (f"http://{place}/x", f"//{place}/x", f"http://localhost:{place[10:]}/"):
            play = says(http(b"", f"Location: {where}", status="307 Moved"))
            with bare_server(play) as url, make_client(url, auth) as client:
                for method in ("GET", "PUT"):
                    with pytest.raises(ApiError, match="307"):
                        client.request(method, "/x")
    assert got == []


def test_no_link_of_a_list_is_followed() -> None:
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


def test_a_swagger_document_cannot_send_calls_to_another_host() -> None:
    """Whatever it names as its host, its server or a reference."""
    with other_host() as (place, got):
        evil = {
            "openapi": "3.0.0",
            "host": place,
            "basePath": f"//{place}",
            "servers": [{"url": f"http://{place}/"}],
            "paths": {f"http://{place}/learn/v1/enrollments": {"put": {}}, "/x": {"$ref": place}},
        }
        client, script = scripted(
            lambda sent: answer(evil) if "swagger" in sent.url else items(), auth=TOKEN
        )
        suggested = client.verify_contract().suggested_contract()
        list(client.with_options(contract=suggested).courses.list())
        assert {sent.url.split("/")[2] for sent in script.sent} == {"acme.example.com"}
    assert got == []


LINKS = [
    "http://{evil}/1.pdf",
    "//{evil}/1.pdf",
    "http://ada:x@{home}/1.pdf",
    "http://{home}@{evil}/1.pdf",
    "http://{home}\\@{evil}/1.pdf",
    "http://{home}.example.com/1.pdf",
    "https://{home}/1.pdf",
    "file:///etc/passwd",
    "http://{home}/../1.pdf",
    "http://{home}/%2e%2e/1.pdf",
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_leads_elsewhere_is_refused_before_any_call(link: str) -> None:
    """A link that leads elsewhere, or is no link, is refused before any call."""
    with other_host() as (evil, got), other_host() as (home, calls):
        client = make_client(f"http://{home}", "fixed token")
        full = link.format(evil=evil, home=home)
        with pytest.raises(UnexpectedResponseError, match="leads outside the platform"):
            download(client.session, full, "certificate")
    assert got == calls == []


@pytest.mark.parametrize(
    "link", ["{url}/c/1.pdf", "/c/1.pdf", "c/1.pdf", "\\\\evil.example.com/c", "{url}//evil/x"]
)
def test_a_link_to_the_platform_is_followed(link: str) -> None:
    """An absolute or relative link to the platform is followed there, whatever it looks like."""
    with bare_server(says(http(b"%PDF-"))) as url:
        client = make_client(url, "fixed token")
        assert download(client.session, link.format(url=url), "certificate") == b"%PDF-"
    client, script = scripted(items(), auth=TOKEN)
    download(client.session, "https://acme.example.com:443/c.pdf", "certificate")
    assert script.sent[0].url == "https://acme.example.com/c.pdf"


@pytest.mark.parametrize("path", ["@{evil}/x", "//{evil}/x", "http://{evil}/x", "/x#y", "/x?y", ""])
def test_a_path_holds_no_host_query_or_fragment(path: str) -> None:
    """A path is a path: no host, query or fragment slips in."""
    with other_host() as (evil, got), other_host() as (home, calls):
        client = make_client(f"http://{home}", "fixed token")
        with pytest.raises(InvalidInputError):
            client.request("GET", path.format(evil=evil))
        with pytest.raises(InvalidInputError):
            Contract.default().with_operation("list_users", path=path.format(evil=evil))
    assert got == calls == []


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
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


def test_nothing_is_sent_where_the_certificate_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is sent to a server whose certificate is not trusted; no variable of ours helps."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    with tls_server() as (url, got):
        for auth in ("password", "fixed token"):
            with pytest.raises(ConnectionSettingsError, match="certificate verify failed: self-"):
                make_client(url, auth, timeout=5).request("GET", "/x")
    assert got == []


def test_an_own_authority_is_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's own authority is named the way requests has it; it is checked all the same."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    with tls_server() as (url, got):
        assert make_client(url, "fixed token", timeout=5).request("GET", "/x") == {}
        assert found_in(got[0]) == ["fixed token"]
        other = url.replace("localhost", "127.0.0.1")  # a name that the certificate does not have
        with pytest.raises(ConnectionSettingsError, match="certificate is not valid for"):
            make_client(other, "fixed token", timeout=5).request("GET", "/x")
    assert len(got) == 1
