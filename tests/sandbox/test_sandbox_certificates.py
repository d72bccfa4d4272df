"""Certificates: in the archived records, and at their links."""

import pytest
import requests
from sandbox_tools import PLANS, Http, rows

from lms_archive.sandbox import Sandbox

ARCHIVED = (f"{PLANS}/50/enrollments/archived", "/course/v1/courses/7/enrollments/archived")
LINKS = [None, None, "/certificates/near.pdf", "https://example.com/far.pdf"]
DONE = {"enrollment_status": "completed", "enrollment_completion_date": "2025-02-02"}


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A platform with a plan and its course, and links of every kind."""
    enrolled = [
        {"username": f"u{i}", "certificate": i == 1, "certificate_url": link, **DONE}
        for i, link in enumerate(LINKS)
    ]
    sandbox.load(
        users=[{"username": f"u{i}", "user_id": 100 + i} for i in range(4)],
        courses=[{"code": "C", "id_course": 7}],
        learning_plans=[{"code": "P", "learning_plan_id": 50, "courses": "C"}],
        enrollments=[{"course_code": "C", **row} for row in enrolled],
        learning_plan_enrollments=[{"learning_plan_code": "P", **row} for row in enrolled],
    )
    return sandbox


def test_archived_records_carry_the_certificate(sandbox: Sandbox, http: Http) -> None:
    """None, one of this host, or the link as loaded; dated when the enrollment was completed."""
    for user in (100, 101, 102, 103):
        http.archive_plan(50, [user])
    for path in ARCHIVED:
        none, own, *loaded = http.items(path, "certificate_url")
        assert own.startswith(f"{sandbox.url}/certificates/")
        assert [none, *loaded] == [None, *LINKS[2:]]
        assert http.items(path, "certificate_date")[1] == "2025-02-02 00:00:00"


def test_every_signed_in_account_downloads_a_certificate(sandbox: Sandbox, http: Http) -> None:
    """Even after its record was deleted; other names are 404, without a token it is 401."""
    http.archive_plan(50, [101])
    (link,) = http.items(ARCHIVED[0], "certificate_url")
    http.call("DELETE", ARCHIVED[0], json={"ids": [1]})
    answer = http.session.get(link, timeout=5)
    assert answer.content.startswith(b"%PDF-")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert http.get("/certificates/near.pdf").status_code == 404
    assert requests.get(link, timeout=5).status_code == 401
    assert sandbox.calls[-1].operation == "certificate"


def test_a_new_enrollment_has_no_certificate_yet(sandbox: Sandbox, http: Http) -> None:
    """It stays with the archived record; a certificate without a date gets today's."""
    http.archive_plan(50, [101], enrollment_mode="re_enroll")
    renewed = "SELECT certificate_url, certificate_date FROM enrollments WHERE user_id = 101"
    assert rows(sandbox, renewed) == [(None, None)]
    sandbox.load(
        users=[{"username": "late", "user_id": 200}],
        enrollments=[{"user_id": 200, "id_course": 7, "certificate": 1}],
    )
    dated = "SELECT certificate_date FROM enrollments WHERE user_id = 200"
    assert rows(sandbox, dated) == [("2026-03-01 12:00:00",)]
