"""Archive and re-enroll: the same user has a new enrollment, which must never be archived too."""

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from plan_tools import (
    AGAIN,
    check,
    date_of,
    job,
    load_plans,
    plan,
    records_of,
    rows,
    run_interrupted,
    run_mortally,
    sent,
)
from virtual_time import ENROLLED_AT, Exchange, Harness

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Limits,
    resume,
)
from lms_archive.errors import CanaryFailedError
from lms_archive.wire import Response

LONG_AGO = "UPDATE archived_enrollments SET archived_at = '2026-01-01 00:00:00'"
STANDING = "SELECT DISTINCT enrollment_status, enrollment_score FROM enrollments"


def _again(harness: Harness, *, reset: bool = False, **options: Any) -> ArchivePlan:
    """Archive and re-enroll everybody in course 1."""
    return plan(harness, courses=[1], mode="re-enroll", reset_tracking=reset, **options)


def test_half_a_character_in_a_status(harness: Harness) -> None:
    """A word that no file can hold is shown escaped, and the row is accounted for."""
    harness.load(2)

    def garbled(*exchange: Any) -> Response:
        answer = harness.line(*exchange)
        if not any(exchange.method == "PUT" for exchange in harness.line.exchanges):
            return answer
        return evolve(answer, body=answer.body.replace(b'"completed"', b'"on \\ud83d hold"'))

    client = harness.connect(transport=garbled)
    result = _again(harness).apply(client, ledger=harness.ledger)
    check(harness, result, again=True, archived=1, skipped=1)
    assert all("on \\ud83d hold" in outcome.reason for outcome in result.outcomes)


@pytest.mark.parametrize("reset", [False, True])
def test_a_course_is_archived_and_enrolled_again(harness: Harness, *, reset: bool) -> None:
    """Each user has one record and a new enrollment, in the state that tracking asks for."""
    harness.load(5)
    result = harness.apply(_again(harness, reset=reset))
    check(harness, result, again=True, archived=5)
    assert harness.sql(STANDING) == [("enrolled", None) if reset else ("completed", 88.0)]
    assert len(harness.sql("SELECT 1 FROM tracking")) == (0 if reset else 5)
    word = "enrolled" if reset else "completed"
    for outcome in result.outcomes:
        since = date_of(harness, "course_id", 1, outcome.row["user_id"])
        assert f"enrolled again on {since}+00:00 as {word}" in outcome.reason
        assert isinstance(outcome.record, ArchivedCourseEnrollment)
        assert outcome.record.enrollment.score == 88


@pytest.mark.parametrize("reset", [False, True])
def test_a_plan_is_archived_and_enrolled_again(harness: Harness, *, reset: bool) -> None:
    """Plan and courses alike; reset, the plan begins again too."""
    load_plans(harness, {50: [1, 2]})
    result = harness.apply(plan(harness, 50, mode="re-enroll", reset_tracking=reset))
    check(harness, result, again=True, archived=3)
    assert harness.sql(STANDING) == [("enrolled", None) if reset else ("completed", 88.0)]
    assert len(harness.sql("SELECT 1 FROM tracking")) == (0 if reset else 6)
    status = "SELECT DISTINCT enrollment_status FROM learning_plan_enrollments"
    assert harness.sql(status) == [("enrolled" if reset else "completed",)]
    assert all(date_of(harness, "course_id", 2, u) != ENROLLED_AT for u in (1001, 1002, 1003))
    assert len(result.incomplete) == 0


def test_pre_images_are_read_right_before_every_write(harness: Harness) -> None:
    """The last call before each write asks for those users' active enrollments."""
    harness.load(5, 3)
    client = harness.connect(limits=Limits(hand_picked=2))
    asked = ArchiveJob.from_rows(rows(range(1001, 1004), courses=[1, 2]), **AGAIN)
    asked.plan(client).apply(client, ledger=harness.ledger)
    writes = [i for i, exchange in enumerate(harness.line.exchanges) if exchange.is_write]
    assert len(writes) == 5
    for i in writes:
        before, write = harness.line.exchanges[i - 1], harness.line.exchanges[i]
        assert before.path == f"/course/v1/courses/{write.body['course_id'][0]}/enrollments"
        users = {int(value) for name, value in before.query if name == "user_id[]"}
        assert users >= set(write.body["user_id"])


def test_who_changed_meanwhile_is_dropped(harness: Harness) -> None:
    """Enrolled again, archived or unenrolled by someone else between plan and write: not sent."""
    harness.load(6)
    planned = _again(harness)
    harness.enroll_anew(1, 1001)
    harness.unenroll(1, 1003)
    harness.line.once(
        lambda exchange: exchange.is_write, lambda: harness.enroll_anew(1, 1004), after=True
    )
    result = harness.apply(planned)
    check(harness, result, again=True, archived=3, skipped=3)
    assert [(outcome.user, outcome.code) for outcome in result.skipped] == [
        (1001, "changed"),
        (1003, "changed"),
        (1004, "changed"),
    ]
    assert records_of(harness, "course_id", 1, 1004) == []


def test_who_was_archived_lately_is_not_again(harness: Harness) -> None:
    """Within 30 days nobody is archived a second time; after them everybody is."""
    harness.load(4)
    first = harness.apply(_again(harness))
    again = _again(harness)
    assert again.counts["to_archive"] == 0
    assert {outcome.code for outcome in again.skipped} == {"archived_recently"}
    record = next(iter(first.records))
    at = f"{record.archiving.archived_at:%Y-%m-%d %H:%M:%S}"
    assert f"archived in C1 on {at} UTC already, less than 30 days ago" in again.skipped[0].reason
    harness.time.sleep(timedelta(days=30, minutes=1).total_seconds())
    assert _again(harness).counts["to_archive"] == 4


@pytest.mark.parametrize("within", [timedelta.max, timedelta(days=800_000), timedelta(days=30_000)])
def test_skip_archived_within_any_time_means_ever(harness: Harness, within: timedelta) -> None:
    """A span that begins before any date there is skips whoever was archived at all."""
    harness.load(3)
    harness.apply(_again(harness))
    harness.time.sleep(86_400 * 4_000)
    planned = _again(harness, skip_archived_within=within)
    assert {outcome.code for outcome in planned.skipped} == {"archived_recently"}
    assert planned.counts["to_archive"] == 0


def test_again_after_of_nothing_asks_nothing(harness: Harness) -> None:
    """`timedelta(0)` takes everybody and does not read the archived list; one hour is one hour."""
    harness.load(3)
    harness.apply(_again(harness))
    reads = harness.operations.count("archived_course_enrollments")
    assert _again(harness, skip_archived_within=timedelta(0)).counts["to_archive"] == 3
    assert harness.operations.count("archived_course_enrollments") == reads
    again = _again(harness, skip_archived_within=timedelta(hours=1))
    assert again.counts["to_archive"] == 0
    assert "less than 1:00:00 ago" in again.skipped[0].reason
    harness.time.sleep(120)
    harness.change(LONG_AGO)
    assert _again(harness, skip_archived_within=timedelta(hours=1)).counts["to_archive"] == 3


TARGETS = pytest.mark.parametrize(
    ("plans", "courses"), [([], [1]), ([50], [])], ids=["course", "learning plan"]
)


@TARGETS
@pytest.mark.parametrize("wait", [0.0, 10.0])
def test_a_new_ledger_after_a_crash_archives_nobody_twice(
    harness: Harness, plans: list[int], courses: list[int], wait: float
) -> None:
    """The script is started again with another ledger, even while the lost job still runs."""
    load_plans(harness, {50: [1, 2]}, users=6)
    run_interrupted(harness, plan(harness, *plans, courses=courses, mode="re-enroll"), after=True)
    harness.time.sleep(wait)
    again = plan(harness, *plans, courses=courses, mode="re-enroll")
    result = again.apply(harness.client, ledger=harness.folder / "second.sqlite")
    assert result.counts["failed"] == result.counts["unknown"] == 0
    harness.time.sleep(60)
    for user in range(1001, 1007):
        assert len(records_of(harness, "course_id", 1, user)) == 1
        assert len(records_of(harness, "learning_plan_id", 50, user)) == len(plans)


@TARGETS
def test_a_new_ledger_while_the_archived_list_lags(
    harness: Harness, plans: list[int], courses: list[int]
) -> None:
    """Whoever was enrolled again just now is left alone until the list could tell of it."""
    load_plans(harness, {50: [1]}, users=4)
    first = plan(harness, *plans, courses=courses, mode="re-enroll")
    harness.sandbox.faults.add("archived_lag", seconds=55, times=9)
    run_interrupted(harness, first, after=True)
    harness.sandbox.faults.clear()
    harness.time.sleep(5)
    second = plan(harness, *plans, courses=courses, mode="re-enroll")
    assert second.counts["to_archive"] == 0
    assert {outcome.code for outcome in second.skipped} == {"archived_recently"}
    assert "plan again in a few minutes" in second.skipped[-1].reason
    harness.time.sleep(60)
    third = plan(harness, *plans, courses=courses, mode="re-enroll")
    assert {outcome.reason.split(" ")[0] for outcome in third.skipped} == {"archived"}
    check(harness, resume(harness.ledger, harness.client), again=True, archived=4)


def test_undated_enrollments_are_left_alone(harness: Harness) -> None:
    """Without a date the old enrollment cannot be told from the new one."""
    harness.load(3, dated=False)
    planned = _again(harness)
    assert {outcome.code for outcome in planned.skipped} == {"undated"}
    assert planned.chunks == ()


@pytest.mark.parametrize("first", [1001, 1002])
def test_validity_that_has_ended_is_told(harness: Harness, first: int) -> None:
    """Enrolled again but shut out: archived and incomplete, and no canary stops for it."""
    harness.load(3)
    harness.change(
        "UPDATE enrollments SET enrollment_validity_end_datetime = '2026-01-31 00:00:00' "
        "WHERE user_id >= ?",
        first,
    )
    result = harness.apply(_again(harness))
    check(harness, result, again=True, archived=3)
    assert {outcome.user for outcome in result.incomplete} == set(range(first, 1004))
    assert {outcome.code for outcome in result.incomplete} == {"validity_ended"}
    told = result.incomplete[0].reason
    assert "its validity ended on 2026-01-31 00:00:00+00:00: extend it" in told


def test_archived_and_not_enrolled_again_is_told(harness: Harness) -> None:
    """The new enrollment is gone: archived, incomplete, and nobody is sent twice."""
    harness.load(4)
    planned = _again(harness)
    seen: list[Exchange] = []

    def drop(exchange: Exchange) -> None:
        if exchange.path.endswith("/archived") and len(sent(harness)) > 1:
            seen.append(exchange)
            harness.change(
                f"DELETE FROM enrollments WHERE enrollment_created_at > '{ENROLLED_AT}'"
                " AND user_id = 1003"
            )

    harness.line.before.append(drop)
    result = harness.apply(planned)
    assert seen
    assert result.counts["archived"] == 4
    assert [(outcome.user, outcome.code) for outcome in result.incomplete] == [
        (1003, "not_re_enrolled")
    ]
    assert "enroll the user by hand" in next(iter(result.incomplete)).reason
    assert len(sent(harness)) == 2


def test_not_enrolled_again_at_the_canary_stops(harness: Harness) -> None:
    """A platform that unenrolls where it should re-enroll has touched one enrollment."""
    harness.load(4)
    planned = _again(harness)
    gone = f"DELETE FROM enrollments WHERE enrollment_created_at > '{ENROLLED_AT}'"
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.change(gone), after=True)
    with pytest.raises(CanaryFailedError, match="not enrolled again"):
        harness.apply(planned)
    assert sum(harness.archived.values()) == 1
    check(harness, resume_rest(harness), archived=4)


def resume_rest(harness: Harness) -> ArchiveResult:
    """Resume, and put everybody's new enrollments away: `check` wants them gone."""
    result = resume(harness.ledger, harness.client)
    harness.change("DELETE FROM enrollments")
    return result


@pytest.mark.parametrize(
    ("at", "before"), [(at, True) for at in range(1, 14)] + [(2, False), (5, False), (8, False)]
)
def test_death_at_any_commit_of_a_re_enroll(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, at: int, *, before: bool
) -> None:
    """Killed around each commit, with an answer lost on top, and resumed: all is once."""
    harness.load(4, 3)
    client = harness.connect(limits=Limits(hand_picked=2))
    planned = job(harness, courses=[1], mode="re-enroll").plan(client)
    harness.sandbox.faults.add("cut_after", method="PUT", after=2)
    run_mortally(
        monkeypatch, at, lambda: planned.apply(client, ledger=harness.ledger), before=before
    )
    check(harness, resume(harness.ledger, client), again=True, archived=4)
