"""What archiving in a learning plan does to its courses, reported course by course."""

from datetime import timedelta

import pytest
from plan_tools import (
    AGAIN,
    UNENROLL,
    check,
    codes_of,
    date_of,
    done,
    in_both_modes,
    load_plans,
    of_many,
    plan,
    records_of,
    rows,
    run_interrupted,
    sent,
)
from virtual_time import ENROLLED_AT, Exchange, Harness

from lms_archive import ArchiveJob, ArchiveResult, Limits, resume
from lms_archive.archive import CourseOutcome
from lms_archive.errors import CanaryFailedError

BACK = (
    "INSERT INTO enrollments (course_id, user_id, enrollment_status, enrollment_level, "
    "enrollment_created_at, enrollment_time_spent) "
    f"VALUES (2, 1003, 'completed', 'student', '{ENROLLED_AT}', 0)"
)
LOST = "DELETE FROM enrollments WHERE course_id = 2 AND user_id = 1003"
#: An enrollment that waits, or is suspended, cannot be archived.
SET_STATUS = "UPDATE enrollments SET enrollment_status = ? WHERE course_id = ?"


def _became(outcomes: object) -> dict[int | str | None, list[tuple[int, str]]]:
    return {
        outcome.user: [(course.course_id, course.status) for course in outcome.courses]
        for outcome in outcomes  # type: ignore[attr-defined]
    }


@in_both_modes
def test_who_is_not_in_all_courses(harness: Harness, mode: str) -> None:
    """Archived whole, and reported with the records of their own courses; more than a page."""
    load_plans(harness, {50: [1, 2]}, users=205)
    harness.unenroll(2, 1002)
    harness.unenroll(1, 1201)
    harness.unenroll(2, 1201)
    result = harness.apply(plan(harness, 50, mode=mode))
    check(harness, result, again=mode == "re-enroll", archived=205)
    courses = _became(result.outcomes)
    assert courses.pop(1002) == [(1, "archived"), (2, "not_enrolled")]
    assert courses.pop(1201) == [(1, "not_enrolled"), (2, "not_enrolled")]
    assert set(map(tuple, courses.values())) == {((1, "archived"), (2, "archived"))}
    assert len(result.incomplete) == 0


@pytest.mark.parametrize("status", ["waiting", "suspended"])
def test_a_course_enrollment_that_cannot_be_archived(harness: Harness, status: str) -> None:
    """It stays active: the row is archived, and incomplete."""
    load_plans(harness, {50: [1, 2]})
    harness.change(f"{SET_STATUS} AND user_id = 1002", status, 2)
    result = harness.apply(plan(harness, 50))
    check(harness, result, archived=3)
    assert [outcome.user for outcome in result.incomplete] == [1002]
    assert _became(result.incomplete)[1002][1] == (2, "not_archived")
    assert date_of(harness, "course_id", 2, 1002) == ENROLLED_AT


def test_earlier_records_are_not_taken_for_these(harness: Harness) -> None:
    """A course archived in an earlier year is no proof of this archiving."""
    load_plans(harness, {50: [1]})
    result = harness.apply(plan(harness, 50))
    check(harness, result, archived=3)
    old = records_of(harness, "course_id", 1, 1001)
    harness.time.sleep(86_400 * 40)
    again = "2026-04-02 00:00:00"
    users = (1001, 1002, 1003)
    harness.sandbox.load(
        learning_plan_enrollments=[
            done(user_id=user, learning_plan_id=50, enrollment_created_at=again) for user in users
        ]
    )
    second = plan(harness, 50).apply(harness.client, ledger=harness.folder / "second.sqlite")
    assert second.counts["archived"] == 3
    assert {outcome.courses for outcome in second.outcomes} == {(CourseOutcome(1, "not_enrolled"),)}
    assert records_of(harness, "course_id", 1, 1001) == old


@pytest.mark.parametrize(
    ("mode", "change", "status"),
    [
        ("unenroll", BACK, "still_enrolled"),
        ("re-enroll", LOST, "not_re_enrolled"),
    ],
    ids=["left behind", "not enrolled again"],
)
def test_a_course_that_is_not_as_requested(
    harness: Harness, mode: str, change: str, status: str
) -> None:
    """Archived, and active all the same or not enrolled again: reported, and not sent again."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50, mode=mode)

    def interfere() -> None:
        harness.time.sleep(5)
        harness.sandbox.advance()
        harness.change(change)

    harness.line.once(of_many, interfere, after=True)
    result = harness.apply(planned)
    check(harness, result, again=mode == "re-enroll", archived=3)
    assert _became(result.incomplete) == {1003: [(1, "archived"), (2, status)]}
    assert len(sent(harness)) == 2


def test_course_records_that_lag_are_waited_for(harness: Harness) -> None:
    """The archived lists may show records late: no course is told as not archived for that."""
    load_plans(harness, {50: [1, 2]}, users=4)
    planned = plan(harness, 50)
    harness.sandbox.faults.add("archived_lag", seconds=20, times=9)
    result = harness.apply(planned)
    check(harness, result, archived=4)
    assert len(result.incomplete) == 0


@in_both_modes
def test_courses_of_a_plan_are_reported_after_a_resume(harness: Harness, mode: str) -> None:
    """A run that died after the call: the resume reads the courses back just the same."""
    load_plans(harness, {50: [1, 2]}, users=5)
    harness.client = harness.connect(limits=Limits(hand_picked=3))
    planned = plan(harness, 50, mode=mode)
    run_interrupted(harness, planned, after=True)
    harness.time.sleep(7200)
    result = resume(harness.ledger, harness.client)
    check(harness, result, again=mode == "re-enroll", archived=5)
    assert {c.status for outcome in result.outcomes for c in outcome.courses} == {"archived"}
    assert all(len(outcome.courses) == 2 for outcome in result.outcomes)


def test_a_course_row_whose_plan_row_fails_is_told(harness: Harness) -> None:
    """A row that was to be archived with a plan is not reported as archived when nothing was."""
    load_plans(harness, {50: [1]})
    asked = rows([1001, 1002, 1003], plans=[50]) + rows([1002, 1003], courses=[1])
    planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(harness.client)
    assert [outcome.code for outcome in planned.skipped] == ["archived_with_learning_plan"] * 2
    harness.change("DELETE FROM learning_plan_enrollments WHERE user_id = 1002")
    harness.time.sleep(1000)  # the plan's reading is too old then, and is made again
    result = harness.apply(planned)
    codes = [(outcome.kind, outcome.code) for outcome in result.outcomes]
    assert codes[3:] == [
        ("skipped", "not_archived_with_learning_plan"),
        ("skipped", "archived_with_learning_plan"),
    ]
    reason = list(result.outcomes)[3].reason
    assert "row 1 is skipped" in reason
    assert "plan this row again" in reason
    again = resume(harness.ledger, harness.client)
    assert [outcome.code for outcome in again.outcomes] == [code for _, code in codes]


def test_a_platform_whose_clocks_differ_a_little(harness: Harness) -> None:
    """Archive times a few seconds before the `Date` header still prove the courses."""
    load_plans(harness, {50: [1, 2]})

    def earlier(_: Exchange) -> None:
        past = harness.time.now() - timedelta(seconds=5)
        harness.change(
            "UPDATE archived_enrollments SET archived_at = ? WHERE archived_at > ?",
            f"{past:%Y-%m-%d %H:%M:%S}",
            f"{past:%Y-%m-%d %H:%M:%S}",
        )

    harness.line.before.append(earlier)
    result = harness.apply(plan(harness, 50))
    assert {course.status for row in result.archived for course in row.courses} == {"archived"}


@pytest.mark.parametrize(
    ("left", "named"),
    [
        ((), None),
        ((2,), "1 of 3 courses not as requested: course 2 not_archived"),
        ((1, 3), "2 of 3 courses not as requested: course 1 not_archived, course 3 not_archived"),
    ],
)
def test_the_reason_names_the_courses_that_are_not_as_asked(
    harness: Harness, left: tuple[int, ...], named: str | None
) -> None:
    """Those that were not archived, with what happened to each; not those that were."""
    load_plans(harness, {50: [1, 2, 3]})
    harness.unenroll(1, 1002)  # not enrolled is as asked
    for course in left:
        harness.change(SET_STATUS, "waiting", course)
    result = harness.apply(plan(harness, 50))
    reasons = {outcome.user: outcome.reason for outcome in result.outcomes}
    for user in (1001, 1003):
        assert reasons[user].endswith(named or f"archived as record {user - 1000}")
    assert {outcome.code for outcome in result.outcomes} == {"archived"}
    if left == (1, 3):
        assert reasons[1002].endswith("1 of 3 courses not as requested: course 3 not_archived")
    else:
        assert reasons[1002] != reasons[1001]


def test_courses_are_named_whatever_else_is_wrong_with_the_row(harness: Harness) -> None:
    """Archived and re-enrolled with a validity that has ended: both are in the reason."""
    load_plans(harness, {50: [1, 2]})
    harness.change(
        "UPDATE learning_plan_enrollments SET enrollment_validity_end_datetime = "
        "'2026-01-31 00:00:00'"
    )
    harness.change(SET_STATUS, "waiting", 2)
    result = harness.apply(plan(harness, 50, mode="re-enroll"))
    assert {outcome.code for outcome in result.outcomes} == {"validity_ended"}
    for outcome in list(result.outcomes):
        assert "its validity ended on 2026-01-31" in outcome.reason
        assert outcome.reason.endswith("1 of 2 courses not as requested: course 2 not_archived")


def test_no_courses_are_named_where_the_plan_was_not_archived(harness: Harness) -> None:
    """A row that failed says only that: nothing was asked of its courses alone."""
    load_plans(harness, {50: [1, 2]})
    harness.sandbox.faults.add(
        "job_partial", operation="archive_learning_plan_enrollments", errors=1
    )
    result = harness.apply(plan(harness, 50))
    (failed,) = list(result.failed)
    assert failed.code == "not_archived"
    assert [course.status for course in failed.courses] == ["not_archived", "not_archived"]
    assert "not as requested" not in failed.reason


def test_a_course_row_is_decided_where_the_job_stops(harness: Harness) -> None:
    """The canary of its plan is refused: the result is final, and a resume does not change it."""
    load_plans(harness, {50: [1, 2]}, users=1)
    planned = plan(harness, 50, courses=[1], mode="re-enroll")
    harness.sandbox.faults.add("status", method="PUT", status=400)
    with pytest.raises(CanaryFailedError):
        harness.apply(planned)
    stopped = ArchiveResult(harness.ledger)
    assert stopped.is_finished
    assert codes_of(stopped) == ["refused", "not_archived_with_learning_plan"]
    assert [outcome.needs_attention for outcome in stopped.outcomes] == [True, True]
    assert codes_of(resume(harness.ledger, harness.client)) == codes_of(stopped)


def test_a_course_row_that_was_not_archived_with_its_plan(harness: Harness) -> None:
    """The user left the course right before the call: the plan is archived, that course is not."""
    load_plans(harness, {50: [1, 2]})
    asked = rows([1001, 1002, 1003], plans=[50]) + rows([1002], courses=[1])
    planned = ArchiveJob.from_rows(asked, **AGAIN).plan(harness.client)
    harness.line.once(of_many, lambda: harness.unenroll(1, 1002))
    result = harness.apply(planned)
    assert records_of(harness, "course_id", 1, 1002) == []
    assert codes_of(result) == ["archived"] * 3 + ["not_archived_with_learning_plan"]
    row = result.outcomes[3]
    assert row.needs_attention
    assert "is archived, and this course not enrolled; plan this row again" in row.reason


def test_two_plans_that_share_a_course_name_records_of_their_own(harness: Harness) -> None:
    """Each archives the course once: no record is reported for both plans."""
    load_plans(harness, {50: [1, 2], 60: [2, 3]}, users=5)
    harness.client = harness.connect(limits=Limits(hand_picked=2))
    result = harness.apply(plan(harness, 50, 60, mode="re-enroll", on_shared="allow"))
    assert result.counts["archived"] == 10
    reported = [c.record_id for row in result.outcomes for c in row.courses if c.course_id == 2]
    records = harness.sql("SELECT id FROM archived_enrollments WHERE course_id = 2")
    assert sorted(map(str, reported)) == sorted(str(record) for (record,) in records)
    assert len(set(reported)) == 10
