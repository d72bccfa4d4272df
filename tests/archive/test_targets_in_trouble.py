"""One course or learning plan that is gone, or cannot be read, never stops the others."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from plan_tools import in_both_modes, load_plans, of_many, plan
from virtual_time import Exchange, Harness

from lms_archive import ApiError, ArchiveResult, Limits, resume
from lms_archive.errors import CanaryFailedError, NotFoundError, UnexpectedResponseError
from lms_archive.wire import Response


def _delete(harness: Harness, course: int) -> None:
    """Somebody deletes a course on the platform."""
    harness.change("DELETE FROM enrollments WHERE course_id = ?", course)
    harness.change("DELETE FROM courses WHERE id_course = ?", course)


def _codes(result: ArchiveResult, column: str = "course_id") -> dict[int, set[str]]:
    codes: dict[int, set[str]] = {}
    for outcome in result.outcomes:
        codes.setdefault(outcome.row[column], set()).add(outcome.code)
    return codes


class _Fault:
    """A transport that answers one path with a status of its own, once it is switched on."""

    def __init__(self, harness: Harness, path: str, status: int, body: bytes = b"{}") -> None:
        self._harness, self._path, self._status, self._body = harness, path, status, body
        self.on = False
        self.answered = 0

    def __call__(self) -> None:
        self.on = True

    def transport(self, method: str, url: str, *rest: Any) -> Response:
        answer = self._harness.line(method, url, *rest)
        path = url.split("?", maxsplit=1)[0]
        if not self.on or not path.endswith(self._path):
            return answer
        self.answered += 1
        return evolve(answer, status=self._status, body=self._body)


@in_both_modes
@pytest.mark.parametrize("gone", [1, 2, 3])
@pytest.mark.parametrize("wait", [0, 1000])
def test_a_course_deleted_after_the_plan(harness: Harness, mode: str, gone: int, wait: int) -> None:
    """Its rows say so, whether it is the first or the last; the others are archived."""
    harness.load(3, 3, 3)
    planned = plan(harness, courses=[1, 2, 3], mode=mode)
    _delete(harness, gone)
    harness.time.sleep(wait)
    result = harness.apply(planned)
    codes = _codes(result)
    others = {1, 2, 3} - {gone}
    assert all(codes[course] == {"archived"} for course in others)
    assert codes[gone] <= {"target_missing", "unreadable"}
    if mode == "re-enroll" or wait:
        assert codes[gone] == {"target_missing"}
        assert gone not in {course for course, _ in harness.writes}
    reasons = [
        outcome.reason for outcome in list(result.outcomes) if outcome.row["course_id"] == gone
    ]
    assert all("not found any more" in reason or "404" in reason for reason in reasons)
    again = resume(harness.ledger, harness.client)
    assert _codes(again) == codes
    assert max(harness.archived.values()) == 1


@in_both_modes
@pytest.mark.parametrize("nth", range(1, 12))
def test_a_course_deleted_before_any_call(harness: Harness, mode: str, nth: int) -> None:
    """Deleted right before the n-th call of the job: no error, nothing lost, nothing twice."""
    harness.load(3, 3, 3)
    planned = plan(harness, courses=[1, 2, 3], mode=mode)
    begun = len(harness.line.exchanges)

    def delete(_: Exchange) -> None:
        if len(harness.line.exchanges) - begun == nth:
            _delete(harness, 2)

    harness.line.before.append(delete)
    result = harness.apply(planned)
    codes = _codes(result)
    assert codes[1] == codes[3] == {"archived"}
    assert codes[2] <= {"archived", "target_missing", "unreadable"}
    assert max(harness.archived.values()) == 1


def test_a_course_deleted_while_its_job_runs_keeps_its_records(harness: Harness) -> None:
    """Deleting keeps what is archived: where that list still answers, the rows are archived."""
    harness.load(3, 3, 3)
    planned = harness.plan()
    missing = _Fault(harness, "/course/v1/courses/2/enrollments", 404)
    harness.line.once(
        lambda exchange: exchange.is_write and exchange.body["course_id"] == [2],
        missing,
        after=True,
    )
    client = harness.connect(transport=missing.transport)
    result = planned.apply(client, ledger=harness.ledger)
    harness.check(result, archived=9)


@in_both_modes
@pytest.mark.parametrize("path", ["enrollments", "enrollments/archived"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"message": ["Course not found"]}'),
        (400, b'{"message": ["Invalid course"]}'),
        (410, b"{}"),
        (200, b'{"data": {"items": [{"user_id": "?"}]}}'),
        (200, b'{"data": {"items": [], "total_count": 7}}'),
    ],
    ids=["404", "400", "410", "unreadable", "never whole"],
)
def test_a_list_of_one_course_that_fails(
    harness: Harness, mode: str, path: str, status: int, body: bytes
) -> None:
    """Whatever is wrong with one list of one course, the other courses are archived."""
    harness.load(3, 3, 3)
    planned = plan(harness, courses=[1, 2, 3], mode=mode)
    fault = _Fault(harness, f"/courses/2/{path}", status, body)
    fault()
    limits = Limits(page_size=3)  # a course of three is read on its own
    client = harness.connect(transport=fault.transport, limits=limits)
    result = planned.apply(client, ledger=harness.ledger)
    codes = _codes(result)
    assert codes[1] == codes[3] == {"archived"}
    assert codes[2] <= {"target_missing", "unreadable", "archived"}
    assert fault.answered
    fault.on = False
    again = _codes(resume(harness.ledger, harness.client))
    assert again[2] == codes[2] if codes[2] == {"target_missing"} else again[2] == {"archived"}
    assert max(harness.archived.values()) == 1


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_what_concerns_the_whole_job_still_stops_it(harness: Harness, status: int) -> None:
    """A login, a permission, the rate limit or an outage is not the fault of one course."""
    harness.load(3, 3, 3)
    planned = plan(harness, courses=[1, 2, 3], mode="re-enroll")
    fault = _Fault(harness, "/courses/2/enrollments", status)
    fault()
    client = harness.connect(transport=fault.transport)
    with pytest.raises(ApiError):
        planned.apply(client, ledger=harness.ledger)
    assert {course for course, _ in harness.writes} <= {1}
    assert resume(harness.ledger, harness.client).counts["archived"] == 9


def test_a_platform_where_nothing_is_found_stops_the_job(harness: Harness) -> None:
    """404 on every call is no word about a course: no row gets an outcome of it."""
    harness.load(3, 3, 3)
    planned = plan(harness, courses=[1, 2, 3], mode="re-enroll")
    everything = _Fault(harness, "", 404)
    harness.line.once(of_many, everything, after=True)
    client = harness.connect(transport=everything.transport)
    with pytest.raises(NotFoundError):
        planned.apply(client, ledger=harness.ledger)
    assert ArchiveResult(harness.ledger).counts["skipped"] == 0
    assert resume(harness.ledger, harness.client).counts["archived"] == 9


def test_a_login_that_is_not_found_stops_the_job(harness: Harness) -> None:
    """A 404 of the login page says nothing of the course that was asked for."""
    harness.load(3, 3)
    planned = plan(harness, courses=[1, 2], mode="re-enroll")
    harness.client.courses.get(1)
    harness.sandbox.faults.add("expired_token", operation="course_enrollments")
    harness.sandbox.faults.add("status", operation="token", status=404, times=9)
    with pytest.raises(ApiError) as caught:
        harness.apply(planned)
    assert caught.value.path == "/oauth2/token"
    harness.sandbox.faults.clear()
    assert resume(harness.ledger, harness.client).counts["archived"] == 6


def test_reading_back_that_fails_everywhere_stops_the_job(harness: Harness) -> None:
    """Where a second course in a row cannot be read back, nothing more is sent unproven."""
    harness.load(*[3] * 6)
    planned = harness.plan()
    garbled = _Fault(harness, "/enrollments/archived", 200, b"{]")
    harness.line.once(
        lambda exchange: exchange.is_write and exchange.body["course_id"] == [2],
        garbled,
        after=True,
    )
    limits = Limits(max_open_jobs=1, page_size=3)
    client = harness.connect(transport=garbled.transport, limits=limits)
    with pytest.raises(UnexpectedResponseError):
        planned.apply(client, ledger=harness.ledger)
    assert {course for course, _ in harness.writes} <= {1, 2, 3, 4}
    harness.check(resume(harness.ledger, harness.client), archived=18)


def test_writes_that_are_not_found_twice_in_a_row_stop_the_job(harness: Harness) -> None:
    """The second one may mean that the call is not there any more: nothing of it is lost."""
    harness.load(*[3] * 5)
    client = harness.connect(limits=Limits(max_open_jobs=1))
    planned = harness.job().plan(client)
    harness.sandbox.faults.add("status", status=404, body={}, method="PUT", after=2, times=99)
    with pytest.raises(NotFoundError):
        planned.apply(client, ledger=harness.ledger)
    harness.sandbox.faults.clear()
    harness.check(resume(harness.ledger, client), archived=12, failed=3)


@in_both_modes
@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("before the run", "target_missing"),
        ("before its write", "refused"),
        ("after a write", "target_missing"),
    ],
)
def test_a_learning_plan_that_is_deleted(harness: Harness, mode: str, when: str, code: str) -> None:
    """The other plan goes on; the rows of the one that is gone say so."""
    load_plans(harness, {50: [1], 60: [2]})
    planned = plan(harness, 50, 60, mode=mode)

    def delete() -> None:
        for table in ("learning_plan_courses", "learning_plan_enrollments", "learning_plans"):
            harness.change(f"DELETE FROM {table} WHERE learning_plan_id = 60")

    if when == "before the run":
        delete()
    elif when == "before its write":
        harness.line.once(lambda exchange: exchange.is_write and "/60/" in exchange.path, delete)
    else:
        harness.line.once(of_many, delete, after=True)
    result = harness.apply(planned)
    assert _codes(result, "learning_plan_id") == {50: {"archived"}, 60: {code}}
    assert resume(harness.ledger, harness.client).counts == result.counts


@in_both_modes
def test_a_course_of_a_learning_plan_that_is_deleted(harness: Harness, mode: str) -> None:
    """The plan's rows are archived and incomplete, and name the course that is missing."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50, courses=[2], mode=mode)
    harness.line.once(of_many, lambda: _delete(harness, 2), after=True)
    result = harness.apply(planned)
    plans = [outcome for outcome in list(result.outcomes) if outcome.row.get("learning_plan_id")]
    assert {outcome.kind for outcome in plans} == {"archived"}
    last = plans[-1]
    assert [course.status for course in last.courses] == ["archived", "missing"]
    assert "1 of 2 courses not as requested: course 2 missing" in last.reason
    assert last.is_incomplete
    courses = [outcome for outcome in list(result.outcomes) if outcome.row.get("course_id")]
    assert [outcome.code for outcome in courses][-1] == "target_missing"


def test_a_plan_whose_course_cannot_be_read_is_looked_at_again(harness: Harness) -> None:
    """Until each course is read the rows are unknown, and resume decides them."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    planned = plan(harness, 50, 60)
    garbled = _Fault(harness, "/courses/3/enrollments/archived", 200, b"{]")
    harness.line.once(
        lambda exchange: exchange.is_write and "/60/" in exchange.path, garbled, after=True
    )
    client = harness.connect(transport=garbled.transport)
    result = planned.apply(client, ledger=harness.ledger)
    assert result.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 3}
    assert {outcome.code for outcome in list(result.unknown)} == {"unreadable"}
    again = resume(harness.ledger, harness.client)
    assert again.counts["archived"] == 6
    assert len(again.incomplete) == 0


def test_a_last_comparison_that_fails_is_a_warning(harness: Harness) -> None:
    """A plan that is deleted after it was archived does not undo the outcomes."""
    load_plans(harness, {50: [1]})
    planned = plan(harness, 50)
    missing = _Fault(harness, "/learningplans/50", 404)
    harness.line.once(of_many, missing, after=True)
    client = harness.connect(transport=missing.transport)
    result = planned.apply(client, ledger=harness.ledger)
    assert result.counts["archived"] == 3
    assert any("cannot be compared" in text for text in result.warnings)


def test_a_canary_on_a_deleted_course_is_taken_elsewhere(harness: Harness) -> None:
    """A course that is not there proves nothing: the next one is the canary."""
    harness.load(3, 3)
    planned = harness.plan()
    _delete(harness, 1)
    result = harness.apply(planned)
    assert _codes(result)[2] == {"archived"}
    assert [len(users) for course, users in harness.writes if course == 2] == [1, 2]


def test_a_canary_that_cannot_be_read_back_stops(harness: Harness) -> None:
    """Nothing is proven by an answer that cannot be understood."""
    harness.load(3, 3)
    planned = harness.plan()
    garbled = _Fault(harness, "/courses/1/enrollments/archived", 200, b"{]")
    harness.line.once(lambda exchange: exchange.is_write, garbled, after=True)
    with pytest.raises(CanaryFailedError, match="cannot be read back"):
        planned.apply(harness.connect(transport=garbled.transport), ledger=harness.ledger)
    assert len(harness.writes) == 1
    harness.check(resume(harness.ledger, harness.client), archived=6)


@pytest.fixture(autouse=True)
def _nobody_twice(harness: Harness) -> Iterator[None]:
    """Whatever happens in these tests, no enrollment is archived twice."""
    yield
    twice = harness.sql(
        "SELECT course_id, user_id, enrollment_created_at FROM archived_enrollments "
        "GROUP BY 1, 2, 3 HAVING count(*) > 1"
    )
    assert twice == []
