"""Each kind of fault, at the call that it was meant for."""

from typing import Any

import pytest
import requests
from sandbox_tools import COUNTS, COURSES, Http, fill, rows
from virtual_time import VirtualTime

from lms_archive.sandbox import Sandbox

WRITE = "archive_course_enrollments"
ELSEWHERE = "https://example.com/"


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A platform with six enrollments."""
    fill(sandbox)
    return sandbox


def begin_job(http: Http, users: list[int]) -> str:
    """Archive these users and return the hash of the job."""
    job_hash: str = http.archive([7], users).json()["data"]["job_id"]
    return job_hash


@pytest.mark.parametrize(
    ("kind", "details", "status", "archived"),
    [
        ("429", {"retry_after": 7}, 429, 0),
        ("500", {}, 500, 0),
        ("html", {"status": 502}, 502, 0),
        ("login_page", {}, 200, 0),
        ("login_page", {"done": True}, 200, 1),
        ("redirect", {"location": ELSEWHERE}, 302, 0),
        ("status", {"status": 499, "body": {"message": "no"}}, 499, 0),
        ("cut_before", {}, None, 0),
        ("cut_after", {}, None, 1),
        ("error_after", {"status": 503}, 503, 1),
        ("slow", {"seconds": 1}, 200, 1),
        ("expired_token", {}, 401, 0),
    ],
)
def test_a_fault_of_the_answer_prevents_the_work_or_hides_it(
    sandbox: Sandbox,
    http: Http,
    kind: str,
    details: dict[str, Any],
    status: int | None,
    archived: int,
) -> None:
    """It hits one call; what the call has done is in the file."""
    sandbox.faults.add(kind, operation=WRITE, **details)
    if status is None:
        with pytest.raises(requests.ConnectionError):
            http.archive([7], [100])
    else:
        answer = http.archive([7], [100])
        assert answer.status_code == status
        assert answer.headers.get("Location") == details.get("location")
        wait = details.get("retry_after")
        assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
        if kind in ("html", "login_page"):
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert sandbox.calls[-1].status == status
    assert rows(sandbox, COUNTS) == [(6 - archived, archived)]
    assert [fault.kind for fault in sandbox.faults.log] == [kind]
    assert http.get(COURSES).status_code == (401 if kind == "expired_token" else 200)


def test_a_fault_hits_its_operation_after_and_as_often_as_it_says(
    sandbox: Sandbox, http: Http
) -> None:
    """Of several that match, a call meets the one added first; cleared ones do not fire."""
    sandbox.faults.add("500", operation="list_courses", after=1, times=2)
    sandbox.faults.add("503", method="GET", after=1)
    http.get("/manage/v1/job")
    assert [http.get(COURSES).status_code for _ in range(4)] == [503, 500, 500, 200]
    log = [(fault.kind, fault.operation, fault.method) for fault in sandbox.faults.log]
    assert log == [(kind, "list_courses", "GET") for kind in ("503", "500", "500")]
    sandbox.faults.add("500", times=9)
    sandbox.faults.clear()
    assert http.get(COURSES).status_code == 200
    assert len(sandbox.faults.log) == 3


def test_a_slow_answer_sleeps_on_the_clock_after_the_work(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """The work is dated before the sleep."""
    sandbox.faults.add("slow", seconds=30)
    http.archive([7], [100])
    assert f"{clock.now():%H:%M:%S}" == "12:00:30"
    archived_at = rows(sandbox, "SELECT archived_at FROM archived_enrollments")
    assert archived_at == [("2026-03-01 12:00:00",)]


def test_a_late_job_is_listed_only_when_it_begins(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """Its hash finds it before; a lost answer can hide it at the same time."""
    sandbox.faults.add("job_late", seconds=10)
    job_hash = begin_job(http, [100, 101])
    clock.sleep(9)
    assert http.data("/manage/v1/job")["jobs"] == []
    assert http.job(job_hash)["status"] == "queued"
    clock.sleep(4)
    assert http.data("/manage/v1/job")["total_count"] == 1
    assert (http.job(job_hash)["percent"], rows(sandbox, COUNTS)) == (50, [(5, 1)])
    sandbox.faults.add("cut_after", operation=WRITE)
    sandbox.faults.add("job_late", seconds=10)
    with pytest.raises(requests.ConnectionError):
        http.archive([7], [102, 103])
    assert http.data("/manage/v1/job")["total_count"] == 1
    clock.sleep(16)
    assert rows(sandbox, COUNTS) == [(2, 4)]


def test_an_aborted_job_keeps_what_it_has_done(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """It stops after a fraction of its rows, or before the first."""
    sandbox.faults.add("job_aborted", fraction=0.5)
    job_hash = begin_job(http, [100, 101, 102, 103])
    clock.sleep(2)
    assert http.job(job_hash)["status"] == "running"
    clock.sleep(60)
    job = http.job(job_hash)
    assert (job["status"], job["percent"], job["errors"]) == ("aborted", 50, 0)
    assert rows(sandbox, COUNTS) == [(4, 2)]
    sandbox.faults.add("job_aborted", fraction=0)
    assert http.job(begin_job(http, [102, 103]))["status"] == "aborted"


@pytest.mark.parametrize(
    ("details", "stay"), [({"errors": 2}, [100, 101]), ({"every": 3}, [102, 105])]
)
def test_a_half_failed_job_counts_the_rows_that_stay(
    sandbox: Sandbox, http: Http, clock: VirtualTime, details: dict[str, Any], stay: list[int]
) -> None:
    """The first n rows, or every n-th."""
    sandbox.faults.add("job_partial", **details)
    job_hash = begin_job(http, [100, 101, 102, 103, 104, 105])
    clock.sleep(6)
    job = http.job(job_hash)
    assert (job["status"], job["errors"], job["total"]) == ("completed", 2, 6)
    assert [user for (user,) in rows(sandbox, "SELECT user_id FROM enrollments")] == stay


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("earthquake", {}),
        ("slow", {}),
        ("slow", {"seconds": 1, "minutes": 2}),
        ("job_partial", {}),
        ("job_partial", {"errors": 1, "every": 2}),
        ("500", {"operation": "archive"}),
    ],
)
def test_a_fault_that_cannot_be_is_refused_when_it_is_added(
    sandbox: Sandbox, kind: str, details: dict[str, Any]
) -> None:
    """Unknown kinds, operations and details, and details that are missing."""
    with pytest.raises(ValueError, match=r"fault|operation"):
        sandbox.faults.add(kind, **details)
