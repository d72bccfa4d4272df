"""The token goes to the platform and nowhere else, and only where nobody can listen."""

from pathlib import Path

import pytest
import requests
from canaries import SECRETS, make_client
from wire_tools import answer, bare_server, http, items, other_host, says, scripted

from lms_archive import ApiError, Client, Contract, InvalidInputError, StaticToken
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records import (
    ArchivedCourse,
    ArchivedCourseEnrollment,
    ArchiveDetails,
    ArchivedUser,
    CourseEnrollmentDetails,
)
from lms_archive.records.archived import read_from
from lms_archive.wire import RequestsTransport

TOKEN = StaticToken(SECRETS["fixed token"])


@pytest.mark.parametrize("auth", ["password", "fixed token"])
def test_neither_a_call_nor_a_login_follows_a_redirect(auth: str) -> None:
    """To another port, host or scheme; neither does a session of the caller's own."""
    transport = RequestsTransport(requests.Session)
    with other_host() as (place, received):
        for where in (f"http://{place}/x", f"//{place}/x", f"http://localhost:{place[10:]}/"):
            for status in ("302 Found", "307 Moved"):
                play = says(http(b"", f"Location: {where}", status=status))
                with bare_server(play) as url:
                    client = make_client(url, auth, transport=transport)
                    for method in ("GET", "PUT"):
                        with pytest.raises(ApiError, match="redirects to"):
                            client.request(method, "/x")
    assert received == []


def test_no_link_of_a_list_is_followed() -> None:
    """The next page is a number: no link of an answer is followed."""
    with other_host() as (place, got):
        evil = f"http://{place}/course/v1/courses?page=2"
        link = {"_links": [{"rel": "next", "href": evil}], "next": evil, "next_page_url": evil}
        page = items({"id_course": 1, "name": "C"}, has_more_data=True, cursor=evil, **link)
        client, script = scripted(page, items(), auth=TOKEN)
        list(client.courses.list())
        assert [dict(sent.params)["page"] for sent in script.sent] == ["1", "2"]
        assert {sent.url.split("/")[2] for sent in script.sent} == {"acme.example.com"}
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


def certified(client: Client, link: str) -> ArchivedCourseEnrollment:
    """Return a record of the client's platform with this link to a certificate."""
    record = ArchivedCourseEnrollment(
        archiving=ArchiveDetails(record_id=1),
        user=ArchivedUser(user_id=1),
        course=ArchivedCourse(course_id=1, certificate_url=link),
        enrollment=CourseEnrollmentDetails(),
    )
    return read_from(record, client.base_url)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_leads_elsewhere_is_refused_before_any_call(link: str, tmp_path: Path) -> None:
    """A link that leads elsewhere, or is no link, is refused before any call."""
    with other_host() as (evil, got), other_host() as (home, calls):
        client = make_client(f"http://{home}", "fixed token")
        full = link.format(evil=evil, home=home)
        with pytest.raises(UnexpectedResponseError, match="leads outside the platform"):
            client.archived.download_certificate(certified(client, full), tmp_path / "c.pdf")
    assert got == calls == []


@pytest.mark.parametrize(
    "link", ["{url}/c/1.pdf", "/c/1.pdf", "c/1.pdf", "\\\\evil.example.com/c", "{url}//evil/x"]
)
def test_a_link_to_the_platform_is_followed(link: str, tmp_path: Path) -> None:
    """An absolute or relative link to the platform is followed there, whatever it looks like."""
    with bare_server(says(http(b"%PDF-"))) as url:
        client = make_client(url, "fixed token")
        record = certified(client, link.format(url=url))
        path = client.archived.download_certificate(record, tmp_path / "1.pdf")
        assert path.read_bytes() == b"%PDF-"
    client, script = scripted(answer(b"%PDF-"), auth=TOKEN)
    record = certified(client, "https://acme.example.com:443/c.pdf")
    client.archived.download_certificate(record, tmp_path / "2.pdf")
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
