"""How a job runs: the canary, the first chunk, the rest; one write at a time, few calls."""

import pytest
from virtual_time import Stage

from lms_archive import (
    ApiError,
    ArchivedCourseEnrollment,
    ArchiveResult,
    Contract,
    Limits,
    RetryPolicy,
    RunStoppedError,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    JobTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)

READS = {"course_enrollments", "archived_course_enrollments"}


def test_one_target_is_archived_and_unenrolled(stage: Stage) -> None:
    """Every row of a course comes out archived, and nobody else's enrollment is touched."""
    stage.load(8)
    result = stage.apply(stage.plan(1, users=range(1001, 1006)))
    stage.check(result, archived=5)
    assert stage.active == {(1, user) for user in range(1006, 1009)}
    assert sum(stage.archived.values()) == 5


def test_several_targets_are_archived(stage: Stage) -> None:
    """The rows of several courses come out each with the record of its own course."""
    stage.load(3, 5, 1)
    result = stage.apply()
    stage.check(result, archived=9)
    courses = [one.course for one in result.records if isinstance(one, ArchivedCourseEnrollment)]
    assert [one.course_id for one in courses] == [1] * 3 + [2] * 5 + [3]


def test_no_call_holds_more_than_200(stage: Stage) -> None:
    """450 rows go as the canary, the rest of the first chunk, and chunks of at most 200."""
    stage.load(450)
    stage.check(stage.apply(), archived=450)
    assert [len(users) for _, users in stage.writes] == [1, 199, 200, 50]


def test_the_canary_goes_alone_and_is_read_back_first(stage: Stage) -> None:
    """One enrollment is sent, both lists are read, and only then the next call is a write."""
    stage.load(3, 3)
    stage.apply()
    calls = stage.operations
    first = calls.index("archive_course_enrollments")
    second = calls.index("archive_course_enrollments", first + 1)
    assert stage.writes[0] == (1, [1001])
    assert set(calls[first:second]) >= READS


def test_the_first_chunk_is_read_back_before_a_second_is_sent(stage: Stage) -> None:
    """While the first chunk's job runs nothing is sent, and both lists are read after it."""
    stage.load(250, 250)
    stage.apply(canary=0)
    calls = stage.operations
    first = calls.index("archive_course_enrollments")
    second = calls.index("archive_course_enrollments", first + 1)
    between = calls[first + 1 : second]
    assert between.index("list_jobs") < between.index("archived_course_enrollments")
    assert set(between) >= READS


@pytest.mark.parametrize("most", [1, 2, 5])
def test_open_jobs_are_bounded(stage: Stage, most: int) -> None:
    """Never more jobs are open than allowed, as many as allowed are, and no target has two."""
    stage.load(*[9] * 7)
    client = stage.connect(limits=Limits(hand_picked=3, max_open_jobs=most))
    seen: list[int] = []

    def look() -> None:
        query = "SELECT number FROM jobs WHERE status IN ('queued', 'running')"
        jobs = [number for (number,) in stage.sql(query)]
        courses = [
            course
            for number in jobs
            for (course,) in stage.sql(
                "SELECT DISTINCT course_id FROM job_rows WHERE job_number = ?", number
            )
        ]
        assert len(courses) == len(set(courses))
        seen.append(len(jobs))

    stage.line.after.append(lambda exchange: look() if exchange.is_write else None)
    result = stage.job().plan(client).apply(client, ledger=stage.ledger)
    stage.check(result, archived=63)
    assert max(seen) == most


def test_a_canary_of_two_sends_two_alone(stage: Stage) -> None:
    """`canary=2` sends two enrollments, each alone and read back, before the first chunk."""
    stage.load(6)
    stage.check(stage.apply(canary=2), archived=6)
    assert [len(users) for _, users in stage.writes] == [1, 1, 4]


def test_without_a_canary_the_first_chunk_goes_first(stage: Stage) -> None:
    """`canary=0` sends no enrollment alone."""
    stage.load(6)
    stage.check(stage.apply(canary=0), archived=6)
    assert [len(users) for _, users in stage.writes] == [6]


#: A wrong parameter, on a platform whose swagger cannot be read: it takes trust to send it.
UNREADABLE = (
    Contract.default()
    .with_operation("archive_course_enrollments", params={"mode": "no_such_name"})
    .with_operation("microservices", path="/manage/v1/no-such-call")
    .with_operation("swagger", path="/{service}/v1/no-such-document")
)


def test_a_platform_that_ignores_the_mode_stops_at_the_canary(stage: Stage) -> None:
    """Where the call does something else than archive, one enrollment has been tried, no more."""
    stage.load(5, 5)
    client = stage.connect(contract=UNREADABLE)
    with pytest.raises(CanaryFailedError, match="1001 in course 1: ") as caught:
        stage.job().plan(client).apply(client, ledger=stage.ledger, trust_contract=True)
    assert caught.value.ledger == stage.ledger
    assert caught.value.counts["failed"] == 1
    assert "check how this platform names enrollment_mode" in str(caught.value)
    assert not stage.archived
    assert len(stage.active) == 10
    assert stage.writes == [(1, [1001])]


def test_after_a_failed_canary_resume_takes_a_new_one(stage: Stage) -> None:
    """The row that failed is never sent again; the next one goes alone, then the rest."""
    stage.load(5)
    plan = stage.plan()
    with pytest.raises(CanaryFailedError):
        plan.apply(stage.connect(contract=UNREADABLE), ledger=stage.ledger, trust_contract=True)
    result = resume(stage.ledger, stage.client)
    stage.check(result, archived=4, failed=1)
    assert [users for _, users in stage.writes] == [[1001], [1002], [1003, 1004, 1005]]
    assert [one.code for one in result.failed] == ["not_archived"]


def test_a_refused_canary_stops_the_job(stage: Stage) -> None:
    """A 400 to the canary sends nothing else, and its row is failed."""
    stage.load(5)
    stage.sandbox.faults.add("status", status=400, body={"message": "no"}, method="PUT")
    with pytest.raises(CanaryFailedError, match="refused"):
        stage.apply()
    assert len(stage.writes) == 1
    result = resume(stage.ledger, stage.client)
    stage.check(result, archived=4, failed=1)
    assert [one.code for one in result.failed] == ["refused"]


def test_a_first_chunk_of_which_nothing_is_archived_stops_the_job(stage: Stage) -> None:
    """The canary may pass and the job of many do nothing: then no second is sent."""
    stage.load(5, 5)
    stage.sandbox.faults.add("job_partial", errors=200)
    with pytest.raises(RunStoppedError, match="no row of the first chunk"):
        stage.apply()
    assert [users for _, users in stage.writes] == [[1001], [1002, 1003, 1004, 1005]]
    stage.check(resume(stage.ledger, stage.client), archived=6, failed=4)


def test_a_refused_first_chunk_stops_the_job(stage: Stage) -> None:
    """A platform that takes one enrollment and refuses many is not asked chunk after chunk."""
    stage.load(5, 5, 5)
    stage.sandbox.faults.add("status", status=422, body={}, method="PUT", times=9, after=1)
    with pytest.raises(RunStoppedError, match="no row of the first chunk"):
        stage.apply()
    assert len(stage.writes) == 2


def test_a_refused_chunk_fails_and_the_rest_goes_on(stage: Stage) -> None:
    """A 400 later on fails its rows alone; they are not sent again."""
    stage.load(3, 3, 3)
    stage.sandbox.faults.add("status", status=400, body="bad", method="PUT", after=2)
    result = stage.apply()
    stage.check(result, archived=6, failed=3)
    assert {one.code for one in result.failed} == {"refused"}
    assert "bad" in next(iter(result.failed)).reason
    before = len(stage.writes)
    resume(stage.ledger, stage.client)
    assert len(stage.writes) == before


def test_a_redirected_write_is_refused_and_not_followed(stage: Stage) -> None:
    """A redirect of a write fails its rows; the new place is never asked."""
    stage.load(3, 3, 3)
    elsewhere = f"{stage.sandbox.url}/elsewhere"
    stage.sandbox.faults.add("redirect", location=elsewhere, method="PUT", after=2)
    result = stage.apply()
    stage.check(result, archived=6, failed=3)
    assert all(exchange.path != "/elsewhere" for exchange in stage.line.exchanges)


def test_a_lost_permission_stops_and_a_better_account_goes_on(stage: Stage) -> None:
    """403 stops with nothing sent afterwards; another account resumes the same ledger."""
    stage.load(3, 3)
    plan = stage.plan()
    with pytest.raises(PermissionDeniedError) as caught:
        plan.apply(stage.connect("power_user_without"), ledger=stage.ledger)
    assert caught.value.ledger == stage.ledger
    assert len(stage.writes) == 1
    assert not stage.archived
    stage.check(resume(caught.value.ledger, stage.client), archived=6)


def test_a_403_in_the_middle_reads_back_what_runs(stage: Stage) -> None:
    """What was under way when the job had to stop has its outcomes, and nothing else is sent."""
    stage.load(3, 3, 3, 3)
    stage.sandbox.faults.add("status", status=403, body={}, method="PUT", after=3)
    with pytest.raises(PermissionDeniedError):
        stage.apply()
    assert len(stage.writes) == 4
    assert sum(stage.archived.values()) == 6
    stage.check(resume(stage.ledger, stage.client), archived=12)
    assert all(count == 1 for count in stage.archived.values())


@pytest.mark.parametrize("status", [404, 405])
def test_a_missing_operation_stops_the_job(stage: Stage, status: int) -> None:
    """404 and 405 on the write stop the job; nothing counts as sent."""
    stage.load(3)
    stage.sandbox.faults.add("status", status=status, body={}, method="PUT")
    with pytest.raises(ApiError) as caught:
        stage.apply()
    assert caught.value.status == status
    assert isinstance(caught.value, NotFoundError) == (status == 404)
    stage.check(resume(stage.ledger, stage.client), archived=3)


def test_a_token_that_expires_costs_one_call(stage: Stage) -> None:
    """A write answered 401 was not done: it goes again with a new token."""
    stage.load(3, 3)
    stage.sandbox.faults.add("expired_token", method="PUT", after=1)
    stage.check(stage.apply(), archived=6)
    assert [len(users) for _, users in stage.writes] == [1, 2, 2, 3]
    assert stage.operations.count("token") == 2


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
    stage: Stage, kind: str, details: dict[str, object]
) -> None:
    """What the login page answers is no answer to the write: nothing of it counts as sent."""
    stage.load(3, 3, 3)
    stage.sandbox.faults.add("expired_token", method="PUT", after=2)
    stage.client.courses.get(1)  # the first login is well
    stage.sandbox.faults.add(kind, operation="token", **details)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as caught:
        stage.apply()
    assert caught.value.path == "/oauth2/token"
    assert caught.value.ledger == stage.ledger
    stage.sandbox.faults.clear()
    stage.check(resume(stage.ledger, stage.client), archived=9)
    assert all(count == 1 for count in stage.archived.values())


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_429_is_waited_for(stage: Stage, method: str) -> None:
    """Retry-After is a lower bound, on reads and on writes, and nothing is sent twice."""
    stage.load(3, 3)
    plan = stage.plan()
    stage.sandbox.faults.add("429", retry_after=120, method=method, times=2, after=1)
    begun = stage.time.passed
    stage.check(stage.apply(plan), archived=6)
    assert stage.time.passed - begun >= 240


def test_a_429_without_end_stops_before_anything_of_the_chunk(stage: Stage) -> None:
    """After an hour of 429s the job stops, and resume sends what was not sent."""
    stage.load(3)
    plan = stage.plan()
    stage.sandbox.faults.add("429", retry_after=1801, method="PUT", times=9)
    with pytest.raises(RateLimitError):
        stage.apply(plan)
    stage.sandbox.faults.clear()
    stage.check(resume(stage.ledger, stage.client), archived=3)


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


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(("kind", "details"), LOST)
def test_a_lost_answer_archives_nothing_twice(
    stage: Stage, kind: str, details: dict[str, object], after: int
) -> None:
    """Canary, first chunk or later: what was done is found, what was not is sent once more."""
    stage.load(3, 3)
    stage.sandbox.faults.add(kind, method="PUT", after=after, **details)  # type: ignore[arg-type]
    begun = stage.time.passed
    stage.check(stage.apply(), archived=6)
    assert len(stage.sandbox.faults.log) == 1
    assert stage.time.passed - begun >= 60
    done = kind in {"cut_after", "error_after", "slow"}
    assert len(stage.writes) == (3 if done else 4)


def test_a_lost_answer_whose_job_runs_for_long_is_awaited(stage: Stage) -> None:
    """A job that nobody named is still open after `settle`: nothing is sent while it is."""
    stage.load(6)
    stage.sandbox.faults.add("cut_after", method="PUT", after=1)
    stage.sandbox.faults.add("job_late", seconds=50)
    client = stage.connect(retry=RetryPolicy(settle=49))
    stage.line.after.append(lambda exchange: stage.time.sleep(4) if exchange.is_poll else None)
    result = stage.job().plan(client).apply(client, ledger=stage.ledger)
    stage.check(result, archived=6)
    assert len(stage.writes) == 2


def test_a_lost_half_failed_job_is_finished(stage: Stage) -> None:
    """Of a chunk in doubt only the rows that still have their pre-image go again."""
    stage.load(8)
    stage.sandbox.faults.add("cut_after", method="PUT", after=1)
    stage.sandbox.faults.add("job_partial", every=3)
    stage.check(stage.apply(), archived=8)
    assert stage.writes[2] == (1, [1004, 1007])


def test_answers_that_stay_lost_are_unknown_after_three_calls(stage: Stage) -> None:
    """Three times, then unknown; a later resume sends what still has its pre-image."""
    stage.load(3, 3)
    stage.sandbox.faults.add("cut_before", method="PUT", times=3, after=2)
    result = stage.apply()
    stage.check(result, archived=3, unknown=3)
    assert {one.code for one in result.unknown} == {"no_answer"}
    assert [users for _, users in stage.writes[2:]] == [[1001, 1002, 1003]] * 3
    stage.check(resume(stage.ledger, stage.client), archived=6)


def test_nothing_is_sent_again_while_a_job_in_doubt_is_open(stage: Stage) -> None:
    """Where it never gets quiet the job stops, however often it is resumed; later it goes on."""
    stage.load(6)
    stage.sandbox.faults.add("error_after", method="PUT", after=1)
    stage.line.once(
        lambda one: one.is_write and len(one.body["user_id"]) > 1, stage.hang_jobs, after=True
    )
    plan = stage.plan()
    for _ in range(2):
        with pytest.raises(JobTimeoutError) as caught:
            stage.apply(plan)
        assert caught.value.ledger == stage.ledger
        assert len(stage.writes) == 2
        result = ArchiveResult(stage.ledger)
        stage.check(result, archived=1, unknown=5)
        assert {one.code for one in result.unknown} == {"job_not_ended"}
    stage.end_jobs()
    stage.check(resume(stage.ledger, stage.client), archived=6)
    assert len(stage.writes) == 2


def test_more_than_max_affected_sends_nothing(stage: Stage) -> None:
    """Above the ceiling there is no call and no ledger."""
    stage.load(5)
    plan = stage.plan()
    calls = len(stage.operations)
    with pytest.raises(TooManyAffectedError) as caught:
        stage.apply(plan, max_affected=4)
    assert (caught.value.affected, caught.value.max_affected) == (5, 4)
    assert len(stage.operations) == calls
    assert list(stage.folder.iterdir()) == []
    stage.check(stage.apply(plan, max_affected=5), archived=5)


def test_unenrolled_by_someone_else_during_the_job(stage: Stage) -> None:
    """Gone without a record is unknown, stops the job, and is told again by no resume."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(
        lambda one: one.is_write and len(one.body["user_id"]) > 1, lambda: stage.unenroll(1, 1003)
    )
    with pytest.raises(RunStoppedError, match="1003") as caught:
        stage.apply(plan)
    assert not isinstance(caught.value, UnexpectedArchiveError)
    assert caught.value.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 1}
    result = resume(stage.ledger, stage.client)
    stage.check(result, archived=7, unknown=1)
    assert [one.code for one in result.unknown] == ["not_seen"]
    assert [one.user for one in result.unknown] == [1003]


def test_enrolled_anew_by_someone_else_during_the_job(stage: Stage) -> None:
    """A record of another identity is told and stops the job; the others' outcomes are true."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(
        lambda one: one.is_write and len(one.body["user_id"]) > 1,
        lambda: stage.enroll_anew(1, 1003),
    )
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1, record 3") as caught:
        stage.apply(plan)
    assert caught.value.ledger == stage.ledger
    result = resume(stage.ledger, stage.client)
    stage.check(result, archived=7, unknown=1)
    (one,) = result.unknown
    assert one.code == "not_seen"
    assert one.differences == ("also archived: record 3, enrolled 2026-03-01 12:00:00+00:00",)


def test_archived_twice_by_someone_else_is_told_with_its_row(stage: Stage) -> None:
    """Archived as asked, then enrolled and archived anew: told, and the row says so."""
    stage.load(4)
    plan = stage.plan()
    stage.line.once(
        lambda one: one.is_write and len(one.body["user_id"]) > 1,
        lambda: stage.change(
            "INSERT INTO archived_enrollments (archived_at, archived_by, user_id, username, "
            "course_id, course_name, course_code, course_uid, course_type, enrollment_status, "
            "enrollment_level, enrollment_time_spent, user_is_active, user_is_suspended, "
            "user_level, enrollment_created_at) VALUES ('2026-03-01 12:00:09', 1, 1002, 'u1002', "
            "1, 'C1', 'C1', 'E', 'elearning', 'enrolled', 'student', 0, 1, 0, 'user', "
            "'2026-03-01 12:00:05')"
        ),
    )
    with pytest.raises(UnexpectedArchiveError, match="user 1002"):
        stage.apply(plan)
    result = resume(stage.ledger, stage.client)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert [one.user for one in result.incomplete] == [1002]
    assert "also archived" in next(iter(result.incomplete)).differences[0]
