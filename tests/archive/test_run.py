"""How a job runs: the canary, the first chunk, the rest; one write at a time, few calls."""

from typing import Any

import pytest
from plan_tools import check, in_both_modes, of_many, plan
from virtual_time import WRITE, Harness

from lms_archive import (
    ApiError,
    Contract,
    Limits,
    RetryPolicy,
    RunStoppedError,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)

READS = {"course_enrollments", "archived_course_enrollments"}


def test_targets_are_archived_and_unenrolled(harness: Harness) -> None:
    """Each row has the record of its own course, and nobody else's enrollment is touched."""
    harness.load(8, 6, 1)
    harness.check(harness.apply(harness.plan(1, 2, users=range(1001, 1006))), archived=10)
    others = {(1, user) for user in range(1006, 1009)} | {(2, 1006), (3, 1001)}
    assert harness.active == others
    assert sum(harness.archived.values()) == 10


def test_no_call_holds_more_than_200(harness: Harness) -> None:
    """450 rows go as the canary, the rest of the first chunk, and chunks of at most 200."""
    harness.load(450)
    harness.check(harness.apply(), archived=450)
    assert [len(users) for _, users in harness.writes] == [1, 199, 200, 50]


@pytest.mark.parametrize(
    ("sizes", "canary", "first"),
    [
        pytest.param((3, 3), 1, [1001], id="the canary"),
        pytest.param((250, 250), 0, [*range(1001, 1201)], id="the first chunk"),
    ],
)
def test_the_first_call_is_read_back_before_a_second_is_sent(
    harness: Harness, sizes: tuple[int, ...], canary: int, first: list[int]
) -> None:
    """While a job runs nothing is sent, then both lists are read, and only then it goes on."""
    harness.load(*sizes)
    harness.apply(canary=canary)
    assert harness.writes[0] == (1, first)
    calls = harness.operations
    begin = calls.index(WRITE)
    between = calls[begin + 1 : calls.index(WRITE, begin + 1)]
    assert set(between) >= READS
    if len(first) > 1:
        assert between.index("list_jobs") < between.index("archived_course_enrollments")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_open_jobs_are_bounded(harness: Harness, most: int) -> None:
    """Never more jobs are open than allowed, as many as allowed are, and no target has two."""
    harness.load(*[9] * 7)
    client = harness.connect(limits=Limits(hand_picked=3, max_open_jobs=most))
    seen: list[int] = []

    def look() -> None:
        query = "SELECT number FROM jobs WHERE status IN ('queued', 'running')"
        jobs = [number for (number,) in harness.sql(query)]
        courses = [
            course
            for number in jobs
            for (course,) in harness.sql(
                "SELECT DISTINCT course_id FROM job_rows WHERE job_number = ?", number
            )
        ]
        assert len(courses) == len(set(courses))
        seen.append(len(jobs))

    harness.line.after.append(lambda exchange: look() if exchange.is_write else None)
    result = harness.job().plan(client).apply(client, ledger=harness.ledger)
    harness.check(result, archived=63)
    assert max(seen) == most


@pytest.mark.parametrize(("canary", "sizes"), [(0, [6]), (1, [1, 5]), (2, [1, 1, 4])])
def test_as_many_as_asked_for_are_sent_alone(
    harness: Harness, canary: int, sizes: list[int]
) -> None:
    """Each alone and read back, before the first chunk."""
    harness.load(6)
    harness.check(harness.apply(canary=canary), archived=6)
    assert [len(users) for _, users in harness.writes] == sizes


#: A wrong parameter, on a platform whose swagger cannot be read: it takes trust to send it.
UNREADABLE = (
    Contract.default()
    .with_operation("archive_course_enrollments", params={"mode": "no_such_name"})
    .with_operation("microservices", path="/manage/v1/no-such-call")
    .with_operation("swagger", path="/{service}/v1/no-such-document")
)


def test_after_a_failed_canary_resume_takes_a_new_one(harness: Harness) -> None:
    """The row that failed is never sent again; the next one goes alone, then the rest."""
    harness.load(5)
    plan = harness.plan()
    with pytest.raises(CanaryFailedError):
        plan.apply(harness.connect(contract=UNREADABLE), ledger=harness.ledger, trust_contract=True)
    result = resume(harness.ledger, harness.client)
    harness.check(result, archived=4, failed=1)
    assert [users for _, users in harness.writes] == [[1001], [1002], [1003, 1004, 1005]]
    assert [outcome.code for outcome in result.failed] == ["not_archived"]


#: What a write is answered, how the job stops, how many writes were made by then, how many rows
#: were archived, and how many have failed for good.
STOPPING: dict[str, tuple[dict[str, Any], type[Exception], str, int, int, int]] = {
    "the canary": ({"status": 400}, CanaryFailedError, "refused", 1, 0, 1),
    "the first chunk": ({"status": 422, "after": 1}, RunStoppedError, "no row of the", 2, 1, 2),
    "no permission": ({"status": 403}, PermissionDeniedError, "403", 1, 0, 0),
    "no permission any more": ({"status": 403, "after": 3}, PermissionDeniedError, "403", 4, 6, 0),
    "no such path": ({"status": 404}, NotFoundError, "404", 1, 0, 0),
    "no such method": ({"status": 405}, ApiError, "405", 1, 0, 0),
}


@pytest.mark.parametrize("case", STOPPING.values(), ids=STOPPING)
def test_a_refused_write_stops_the_job(
    harness: Harness, case: tuple[dict[str, Any], type[Exception], str, int, int, int]
) -> None:
    """What runs is read back, nothing else is sent, and resume sends what was not refused."""
    fault, error, words, writes, archived, failed = case
    harness.load(3, 3, 3, 3)
    harness.sandbox.faults.add("status", method="PUT", body={}, **fault)
    with pytest.raises(error, match=words):
        harness.apply()
    assert len(harness.writes) == writes
    assert sum(harness.archived.values()) == archived
    result = resume(harness.ledger, harness.client)
    harness.check(result, archived=12 - failed, failed=failed)
    assert {outcome.code for outcome in result.failed} <= {"refused"}


def test_a_first_chunk_of_which_nothing_is_archived_stops_the_job(harness: Harness) -> None:
    """The canary may pass and the job of many do nothing: then no second is sent."""
    harness.load(5, 5)
    harness.sandbox.faults.add("job_partial", errors=200)
    with pytest.raises(RunStoppedError, match="no row of the first chunk"):
        harness.apply()
    assert [users for _, users in harness.writes] == [[1001], [1002, 1003, 1004, 1005]]
    harness.check(resume(harness.ledger, harness.client), archived=6, failed=4)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 400, "body": "bad"}, "bad"),
        ({"kind": "status", "status": 404, "body": {}}, "nothing was done"),
    ],
    ids=["refused", "not found"],
)
def test_a_chunk_that_is_refused_later_fails_and_the_rest_goes_on(
    harness: Harness, fault: dict[str, Any], reason: str
) -> None:
    """Its rows fail and are not sent again."""
    harness.load(3, 3, 3)
    harness.sandbox.faults.add(method="PUT", after=2, **fault)
    result = harness.apply()
    harness.check(result, archived=6, failed=3)
    assert {outcome.code for outcome in result.failed} == {"refused"}
    assert reason in result.failed[0].reason
    before = len(harness.writes)
    resume(harness.ledger, harness.client)
    assert len(harness.writes) == before


def test_a_lost_permission_stops_and_a_better_account_goes_on(harness: Harness) -> None:
    """403 stops with nothing sent afterwards; another account resumes the same ledger."""
    harness.load(3, 3)
    plan = harness.plan()
    with pytest.raises(PermissionDeniedError):
        plan.apply(harness.connect("power_user_without"), ledger=harness.ledger)
    assert len(harness.writes) == 1
    assert not harness.archived
    harness.check(resume(harness.ledger, harness.client), archived=6)


def test_a_token_that_expires_costs_one_call(harness: Harness) -> None:
    """A write answered 401 was not done: it goes again with a new token."""
    harness.load(3, 3)
    harness.sandbox.faults.add("expired_token", method="PUT", after=1)
    harness.check(harness.apply(), archived=6)
    assert [len(users) for _, users in harness.writes] == [1, 2, 2, 3]
    assert harness.operations.count("token") == 2


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("status", {"status": 401, "body": {}, "times": 9}),
        ("status", {"status": 400, "body": {}, "times": 9}),
        ("status", {"status": 404, "body": {}, "times": 9}),
        ("html", {"times": 9}),
        ("redirect", {"location": "/login", "times": 9}),
        ("500", {"times": 9}),
    ],
)
def test_a_login_that_fails_in_the_middle_stops_the_job(
    harness: Harness, kind: str, details: dict[str, object]
) -> None:
    """What the login page answers is no answer to the write: nothing of it counts as sent."""
    harness.load(3, 3, 3)
    harness.sandbox.faults.add("expired_token", method="PUT", after=2)
    harness.client.courses.get(1)  # the first login is well
    harness.sandbox.faults.add(kind, operation="token", **details)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as caught:
        harness.apply()
    assert caught.value.path == "/oauth2/token"
    harness.sandbox.faults.clear()
    harness.check(resume(harness.ledger, harness.client), archived=9)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_429_is_waited_for(harness: Harness, method: str) -> None:
    """Retry-After is a lower bound, on reads and on writes, and nothing is sent twice."""
    harness.load(3, 3)
    plan = harness.plan()
    harness.sandbox.faults.add("429", retry_after=120, method=method, times=2, after=1)
    begun = harness.time.passed
    harness.check(harness.apply(plan), archived=6)
    assert harness.time.passed - begun >= 240


def test_a_429_without_end_stops_before_anything_of_the_chunk(harness: Harness) -> None:
    """After an hour of 429s the job stops, and resume sends what was not sent."""
    harness.load(3)
    plan = harness.plan()
    harness.sandbox.faults.add("429", retry_after=1801, method="PUT", times=9)
    with pytest.raises(RateLimitError):
        harness.apply(plan)
    harness.sandbox.faults.clear()
    harness.check(resume(harness.ledger, harness.client), archived=3)


LOST = [
    ("cut_before", {}),
    ("cut_after", {}),
    ("error_after", {"status": 500}),
    ("error_after", {"status": 408}),
    ("500", {}),
    ("503", {"retry_after": 5}),
    ("html", {}),
    ("status", {"status": 200, "body": "{]"}),
    ("slow", {"seconds": 61}),
]


@in_both_modes
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(("kind", "details"), LOST)
def test_a_lost_answer_archives_nothing_twice(
    harness: Harness, kind: str, details: dict[str, object], after: int, mode: str
) -> None:
    """Canary, first chunk or later: what was done is found, what was not is sent once more.

    A new enrollment is never taken for the old one.
    """
    harness.load(3, 3)
    planned = plan(harness, courses=(1, 2), mode=mode)
    harness.sandbox.faults.add(kind, method="PUT", after=after, **details)  # type: ignore[arg-type]
    begun = harness.time.passed
    check(harness, harness.apply(planned), again=mode == "re-enroll", archived=6)
    assert len(harness.sandbox.faults.log) == 1
    assert harness.time.passed - begun >= 60
    done = kind in {"cut_after", "error_after", "slow"}
    assert len(harness.writes) == (3 if done else 4)


def test_a_lost_answer_whose_job_runs_for_long_is_awaited(harness: Harness) -> None:
    """A job that nobody named is still open after `settle`: nothing is sent while it is."""
    harness.load(6)
    harness.sandbox.faults.add("cut_after", method="PUT", after=1)
    harness.sandbox.faults.add("job_late", seconds=50)
    client = harness.connect(retry=RetryPolicy(settle=49))
    harness.line.after.append(lambda exchange: harness.time.sleep(4) if exchange.is_poll else None)
    result = harness.job().plan(client).apply(client, ledger=harness.ledger)
    harness.check(result, archived=6)
    assert len(harness.writes) == 2


@in_both_modes
def test_a_lost_half_failed_job_is_finished(harness: Harness, mode: str) -> None:
    """Of a chunk in doubt only the rows that still have their pre-image go again."""
    harness.load(8)
    planned = plan(harness, courses=[1], mode=mode)
    harness.sandbox.faults.add("cut_after", method="PUT", after=1)
    harness.sandbox.faults.add("job_partial", every=3)
    check(harness, harness.apply(planned), again=mode == "re-enroll", archived=8)
    assert harness.writes[2] == (1, [1004, 1007])


def test_answers_that_stay_lost_are_unknown_after_three_calls(harness: Harness) -> None:
    """Three times, then unknown; a later resume sends what still has its pre-image."""
    harness.load(3, 3)
    harness.sandbox.faults.add("cut_before", method="PUT", times=3, after=2)
    result = harness.apply()
    harness.check(result, archived=3, unknown=3)
    assert {outcome.code for outcome in result.unknown} == {"no_answer"}
    assert [users for _, users in harness.writes[2:]] == [[1001, 1002, 1003]] * 3
    harness.check(resume(harness.ledger, harness.client), archived=6)


def test_more_than_max_affected_sends_nothing(harness: Harness) -> None:
    """Above the ceiling there is no call and no ledger."""
    harness.load(5)
    plan = harness.plan()
    calls = len(harness.operations)
    with pytest.raises(TooManyAffectedError) as caught:
        harness.apply(plan, max_affected=4)
    assert (caught.value.affected, caught.value.max_affected) == (5, 4)
    assert len(harness.operations) == calls
    assert list(harness.folder.iterdir()) == []
    harness.check(harness.apply(plan, max_affected=5), archived=5)


@in_both_modes
def test_enrolled_again_by_someone_else_during_the_job(harness: Harness, mode: str) -> None:
    """A record of another identity is reported and stops the job; the others' outcomes are true."""
    harness.load(4, 4)
    planned = plan(harness, courses=[1, 2], mode=mode)
    harness.line.once(of_many, lambda: harness.enroll_anew(1, 1003))
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1, record 3"):
        harness.apply(planned)
    result = resume(harness.ledger, harness.client)
    check(harness, result, again=mode == "re-enroll", archived=7, unknown=1)
    (outcome,) = result.unknown
    assert outcome.code == "not_seen"
    assert outcome.differences == ("also archived: record 3, enrolled 2026-03-01 12:00:00+00:00",)


def test_unenrolled_by_someone_else_during_the_job(harness: Harness) -> None:
    """Gone without a record is unknown, stops the job, and is reported again by no resume."""
    harness.load(4, 4)
    plan = harness.plan()
    harness.line.once(of_many, lambda: harness.unenroll(1, 1003))
    with pytest.raises(RunStoppedError, match="1003") as caught:
        harness.apply(plan)
    assert not isinstance(caught.value, UnexpectedArchiveError)
    assert caught.value.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 1}
    result = resume(harness.ledger, harness.client)
    harness.check(result, archived=7, unknown=1)
    assert [(outcome.user, outcome.code) for outcome in result.unknown] == [(1003, "not_seen")]
