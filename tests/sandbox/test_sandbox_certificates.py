"""Certificates: in the archived records, and at their links."""

from collections.abc import Iterator

import pytest
import requests
from sandbox_tools import PLANS, Http, rows

from lms_archive.sandbox import Sandbox

ARCHIVED = (f"{PLANS}/50/enrollments/archived", "/course/v1/courses/7/enrollments/archived")
DONE = {"enrollment_status": "completed", "enrollment_completion_date": "2025-02-02"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A platform with a plan and its course, and links of every kind."""
    with Sandbox() as sandbox:
        links = [None, None, "/certificates/near.pdf", "https://example.com/far.pdf"]
        given = [
            {"username": f"u{i}", "certificate": i == 1, "certificate_url": link, **DONE}
            for i, link in enumerate(links)
        ]
        sandbox.load(
            users=[{"username": f"u{i}", "user_id": 100 + i} for i in range(4)],
            courses=[{"code": "C", "id_course": 7}],
            learning_plans=[{"code": "P", "learning_plan_id": 50, "courses": "C"}],
            enrollments=[{"course_code": "C", **row} for row in given],
            learning_plan_enrollments=[{"learning_plan_code": "P", **row} for row in given],
        )
        yield sandbox


def certificates(http: Http) -> list[tuple[str, str]]:
    """Archive u1 and return link and date of plan and course."""
    http.archive_plan(50, [101], enrollment_mode="re_enroll")
    items = [http.data(path)["items"][-1] for path in ARCHIVED]
    return [(item["certificate_url"], item["certificate_date"]) for item in items]


def test_links(sandbox: Sandbox) -> None:
    """Archived records carry the certificate: none, one of this host, or the link as loaded."""
    with Http(sandbox) as http:
        for user in (100, 101, 102, 103):
            http.archive_plan(50, [user])
        for path in ARCHIVED:
            none, own, near, far = [item["certificate_url"] for item in http.data(path)["items"]]
            assert own.startswith(f"{sandbox.url}/certificates/")
            assert own.endswith(".pdf")
            assert [none, near, far] == [
                None,
                "/certificates/near.pdf",
                "https://example.com/far.pdf",
            ]


def test_download(sandbox: Sandbox) -> None:
    """The link serves a PDF, for who is signed in, archived record or not; other names are 404."""
    with Http(sandbox) as http:
        (of_plan, dated), (of_course, _) = certificates(http)
        http.ask("DELETE", ARCHIVED[0], json={"ids": [1]})
        answers = [http.session.get(link, timeout=5) for link in (of_plan, of_course)]
        unknown = http.get("/certificates/near.pdf")
    stranger = requests.get(of_plan, timeout=5)
    assert dated == "2025-02-02 00:00:00"
    assert of_plan != of_course
    for answer in answers:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
        assert answer.content.startswith(b"%PDF-1.4\n")
        assert answer.content.endswith(b"%%EOF\n")
    assert [unknown.status_code, stranger.status_code] == [404, 401]
    assert sandbox.calls[-1].operation == "certificate"


def test_the_pdf_is_sound(sandbox: Sandbox) -> None:
    """Every entry of its table of objects points to that object."""
    with Http(sandbox) as http:
        pdf = http.session.get(certificates(http)[0][0], timeout=5).content
    start = int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])
    assert pdf[start:].startswith(b"xref\n0 6\n")
    offsets = [int(line[:10]) for line in pdf[start:].split(b"\n")[3:8]]
    assert [pdf[at : at + 7] for at in offsets] == [b"%d 0 obj" % n for n in range(1, 6)]


def test_no_pdf(sandbox: Sandbox) -> None:
    """By fault a download is a proxy's page, gone, or elsewhere."""
    sandbox.faults.add("html", operation="certificate")
    sandbox.faults.add("status", operation="certificate", status=404)
    sandbox.faults.add("redirect", operation="certificate", location="https://example.com/")
    with Http(sandbox) as http:
        link = certificates(http)[0][0]
        answers = [http.session.get(link, timeout=5, allow_redirects=False) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 404, 302]
    assert answers[0].headers["Content-Type"].startswith("text/html")


def test_it_stays_with_the_archived_record(sandbox: Sandbox) -> None:
    """Who is re-enrolled has no certificate yet; a completed one without a date gets today's."""
    with Http(sandbox) as http:
        certificates(http)
    new = "SELECT certificate_url, certificate_date FROM enrollments WHERE user_id = 101"
    assert rows(sandbox, new) == [(None, None)]
    sandbox.load(
        users=[{"username": "late", "user_id": 200}],
        enrollments=[{"user_id": 200, "id_course": 7, "certificate": 1}],
    )
    dated = "SELECT certificate_date > '2026' FROM enrollments WHERE user_id = 200"
    assert rows(sandbox, dated) == [(1,)]
