"""Each kind of fault, at the call that it was meant for."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sandbox_tools import FakeClock, Http, fill, rows

from lms_archive.sandbox import Sandbox

COURSES = "/course/v1/courses"
ARCHIVED = "/course/v1/courses/7/enrollments/archived"
WRITE = "archive_course_enrollments"
COUNTS = "SELECT (SELECT COUNT(*) FROM enrollments), (SELECT COUNT(*) FROM archived_enrollments)"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test, and slow answers, move."""
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    """A platform with six enrollments, whose background jobs take six seconds."""
    with Sandbox(clock=clock, job_seconds=6) as sandbox:
        fill(sandbox)
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[Http]:
    """A signed-in session."""
    with Http(sandbox) as http:
        yield http


@pytest.mark.parametrize(
    ("kind", "wait"), [("429", 7), ("429", "Sun, 01 Mar 2026 12:01:00 GMT"), ("503", None)]
)
def test_refusals(sandbox: Sandbox, http: Http, kind: str, wait: object) -> None:
    """429, 500 and 503 do no work, and carry Retry-After as told."""
    sandbox.faults.add(kind, method="PUT", retry_after=wait)
    answer = http.archive([7], [100])
    assert answer.status_code == int(kind)
    assert answer.json()["status"] == int(kind)
    assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
    assert rows(sandbox, COUNTS) == [(6, 0)]


def test_when_it_strikes(sandbox: Sandbox, http: Http) -> None:
    """A fault strikes its operation only, after so many calls, so many times, and is logged."""
    sandbox.faults.add("500", operation="list_courses", after=1, times=2)
    http.get("/manage/v1/job")
    statuses = [http.get(COURSES).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    log = [(fault.kind, fault.operation, fault.method) for fault in sandbox.faults.log]
    assert log == [("500", "list_courses", "GET")] * 2


def test_one_after_the_other(sandbox: Sandbox, http: Http) -> None:
    """Of several faults that fit, a call meets the one added first."""
    sandbox.faults.add("500")
    sandbox.faults.add("503")
    assert [http.get(COURSES).status_code for _ in range(3)] == [500, 503, 200]


def test_clear(sandbox: Sandbox, http: Http) -> None:
    """What is cleared does not strike."""
    sandbox.faults.add("500", times=9)
    sandbox.faults.clear()
    assert http.get(COURSES).status_code == 200
    assert sandbox.faults.log == []


def test_html(sandbox: Sandbox, http: Http) -> None:
    """A proxy's page comes with 200, and nothing was done."""
    sandbox.faults.add("html")
    answer = http.archive([7], [100])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert rows(sandbox, COUNTS) == [(6, 0)]


@pytest.mark.parametrize(("kind", "left"), [("cut_before", (6, 0)), ("cut_after", (5, 1))])
def test_cuts(sandbox: Sandbox, http: Http, kind: str, left: tuple[int, int]) -> None:
    """A cut connection ends without an answer, before the work or after it."""
    sandbox.faults.add(kind, operation=WRITE)
    with pytest.raises(requests.ConnectionError):
        http.archive([7], [100])
    assert rows(sandbox, COUNTS) == [left]
    assert sandbox.calls[-1].status is None
    assert http.get(COURSES).status_code == 200


def test_error_after(sandbox: Sandbox, http: Http) -> None:
    """The answer says 503, though the work was done."""
    sandbox.faults.add("error_after", operation=WRITE, status=503)
    assert http.archive([7], [100]).status_code == 503
    assert rows(sandbox, COUNTS) == [(5, 1)]


def test_slow(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """A slow answer does its work at once, and sleeps on the sandbox's clock before it comes."""
    before = clock.now()
    sandbox.faults.add("slow", seconds=30)
    assert http.archive([7], [100]).status_code == 200
    assert (clock.now() - before).total_seconds() == 30
    assert rows(sandbox, "SELECT archived_at FROM archived_enrollments") == [
        ("2026-03-01 12:00:00",)
    ]


def test_slow_for_an_impatient_client() -> None:
    """A client that gives up does not trouble the sandbox, which serves others meanwhile."""
    with Sandbox() as sandbox, Http(sandbox) as http, Http(sandbox) as other:
        sandbox.faults.add("slow", operation="list_courses", seconds=0.3)
        bearer = {"Authorization": str(http.session.headers["Authorization"])}
        with pytest.raises(requests.ReadTimeout):
            requests.get(sandbox.url + COURSES, headers=bearer, timeout=0.05)
        assert other.get(COURSES).status_code == 200
        time.sleep(0.4)


def test_expired_token(sandbox: Sandbox, http: Http) -> None:
    """A token expired before its time is refused, now and later."""
    sandbox.faults.add("expired_token")
    assert [http.get(COURSES).status_code for _ in range(2)] == [401, 401]


def test_redirect(sandbox: Sandbox, http: Http) -> None:
    """A redirect sends elsewhere, and nothing was done."""
    sandbox.faults.add("redirect", location="https://example.com/", method="PUT")
    answer = http.archive([7], [100])
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://example.com/")
    assert rows(sandbox, COUNTS) == [(6, 0)]


def test_any_status(sandbox: Sandbox, http: Http) -> None:
    """Any status, body and header can be answered."""
    sandbox.faults.add("status", status=499, body={"message": {"pot": ["short", "stout"]}})
    sandbox.faults.add("status", status=200, body="[1,", headers={"Content-Type": "text/x"})
    first, second = http.get(COURSES), http.get(COURSES)
    assert (first.status_code, first.json()) == (499, {"message": {"pot": ["short", "stout"]}})
    assert (second.text, second.headers["Content-Type"]) == ("[1,", "text/x")


def test_job_late(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """A late job begins later and is listed only then; its hash finds it before."""
    sandbox.faults.add("job_late", seconds=10)
    name = http.archive([7], [100, 101]).json()["data"]["job_id"]
    clock.sleep(9)
    assert http.data("/manage/v1/job")["jobs"] == []
    assert http.job(name)["status"] == "queued"
    clock.sleep(1)
    assert http.data("/manage/v1/job")["total_count"] == 1
    clock.sleep(3)
    assert (http.job(name)["percent"], rows(sandbox, COUNTS)) == (50, [(5, 1)])


def test_job_aborted(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """An aborted job stops after a fraction; what it has done stays done."""
    sandbox.faults.add("job_aborted", fraction=0.5)
    name = http.archive([7], [100, 101, 102, 103]).json()["data"]["job_id"]
    clock.sleep(2)
    assert http.job(name)["status"] == "running"
    clock.sleep(60)
    job = http.job(name)
    assert (job["status"], job["percent"], job["errors"]) == ("aborted", 50, 0)
    assert rows(sandbox, COUNTS) == [(4, 2)]


def test_job_aborted_at_once(sandbox: Sandbox, http: Http) -> None:
    """A job can be aborted before its first row."""
    sandbox.faults.add("job_aborted", fraction=0)
    name = http.archive([7], [100, 101]).json()["data"]["job_id"]
    assert http.job(name)["status"] == "aborted"


@pytest.mark.parametrize(
    ("details", "stay"), [({"errors": 2}, [100, 101]), ({"every": 3}, [102, 105])]
)
def test_job_partial(
    sandbox: Sandbox, http: Http, clock: FakeClock, details: dict[str, Any], stay: list[int]
) -> None:
    """A half-failed job tells how many rows went wrong, which stay as they were."""
    sandbox.faults.add("job_partial", **details)
    name = http.archive([7], [100, 101, 102, 103, 104, 105]).json()["data"]["job_id"]
    clock.sleep(6)
    job = http.job(name)
    assert (job["status"], job["errors"], job["total"]) == ("completed", 2, 6)
    assert [user for (user,) in rows(sandbox, "SELECT user_id FROM enrollments")] == stay


def test_archived_lag(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """New records are in the archived list only after a while; those of jobs too."""
    sandbox.faults.add("archived_lag", seconds=30, times=2)
    http.archive([7], [100])
    http.archive([7], [101, 102])
    clock.sleep(6)
    assert (http.data(ARCHIVED)["items"], rows(sandbox, COUNTS)) == ([], [(3, 3)])
    clock.sleep(24)
    assert [item["user_id"] for item in http.data(ARCHIVED)["items"]] == [100]
    clock.sleep(6)
    assert http.data(ARCHIVED)["total_count"] == 3


def test_a_lost_answer_and_a_late_job(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """Faults of the answer and of the job can strike the same call."""
    sandbox.faults.add("cut_after", operation=WRITE)
    sandbox.faults.add("job_late", seconds=10)
    with pytest.raises(requests.ConnectionError):
        http.archive([7], [100, 101])
    assert http.data("/manage/v1/job")["jobs"] == []
    clock.sleep(16)
    assert rows(sandbox, COUNTS) == [(4, 2)]


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
def test_wrong_scripts(sandbox: Sandbox, kind: str, details: dict[str, Any]) -> None:
    """A fault that cannot be is refused when it is added, not silently forgotten."""
    with pytest.raises(ValueError, match=r"fault|operation"):
        sandbox.faults.add(kind, **details)
