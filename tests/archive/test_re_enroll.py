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
    of_many,
    plan,
    records_of,
    rows,
    run_mortally,
    sent,
)
from virtual_time import ENROLLED_AT, Exchange, Stage

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Limits,
    resume,
)
from lms_archive.errors import CanaryFailedError, JobTimeoutError, UnexpectedArchiveError
from lms_archive.wire import Response

LONG_AGO = "UPDATE archived_enrollments SET archived_at = '2026-01-01 00:00:00'"
STANDING = "SELECT DISTINCT enrollment_status, enrollment_score FROM enrollments"
BACK = "UPDATE enrollments SET enrollment_created_at = ? WHERE course_id = 1"


def _again(stage: Stage, *courses: int, reset: bool = False, **options: Any) -> ArchivePlan:
    terms = {**AGAIN, "reset_tracking": reset}
    users = [user for (user,) in stage.sql("SELECT user_id FROM users ORDER BY 1")]
    asked = ArchiveJob.from_rows(rows(users, courses=courses or (1,)), **terms)
    return asked.plan(stage.client, **options)


def test_half_a_character_in_a_status(stage: Stage) -> None:
    """A word that no file can hold is shown escaped, and the row is accounted for."""
    stage.load(2)

    def garbled(*exchange: Any) -> Response:
        answer = stage.line(*exchange)
        if not any(one.method == "PUT" for one in stage.line.exchanges):
            return answer
        return evolve(answer, body=answer.body.replace(b'"completed"', b'"on \\ud83d hold"'))

    client = stage.connect(transport=garbled)
    result = _again(stage).apply(client, ledger=stage.ledger)
    check(stage, result, again=True, archived=1, skipped=1)
    assert all("on \\ud83d hold" in one.reason for one in result.outcomes)


@pytest.mark.parametrize("reset", [False, True])
def test_a_course_is_archived_and_enrolled_anew(stage: Stage, *, reset: bool) -> None:
    """Each user has one record and a new enrollment, in the state that tracking asks for."""
    stage.load(5)
    result = _again(stage, reset=reset).apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=5)
    assert stage.sql(STANDING) == [("enrolled", None) if reset else ("completed", 88.0)]
    assert len(stage.sql("SELECT 1 FROM tracking")) == (0 if reset else 5)
    word = "enrolled" if reset else "completed"
    for one in result.outcomes:
        since = date_of(stage, "course_id", 1, one.row["user_id"])
        assert f"enrolled again on {since}+00:00 as {word}" in one.reason
        assert isinstance(one.record, ArchivedCourseEnrollment)
        assert one.record.enrollment.score == 88


@pytest.mark.parametrize("reset", [False, True])
def test_a_plan_is_archived_and_enrolled_anew(stage: Stage, *, reset: bool) -> None:
    """Plan and courses alike; reset, the plan begins anew too."""
    load_plans(stage, {50: [1, 2]})
    result = plan(stage, 50, mode="re-enroll", reset_tracking=reset).apply(
        stage.client, ledger=stage.ledger
    )
    check(stage, result, again=True, archived=3)
    assert stage.sql(STANDING) == [("enrolled", None) if reset else ("completed", 88.0)]
    assert len(stage.sql("SELECT 1 FROM tracking")) == (0 if reset else 6)
    status = "SELECT DISTINCT enrollment_status FROM learning_plan_enrollments"
    assert stage.sql(status) == [("enrolled" if reset else "completed",)]
    assert all(date_of(stage, "course_id", 2, u) != ENROLLED_AT for u in (1001, 1002, 1003))
    assert len(result.incomplete) == 0


@pytest.mark.parametrize("size", [1, 5, 200, 201, 450])
def test_the_estimate_holds_for_re_enroll(stage: Stage, size: int) -> None:
    """The calls that the plan tells are within a tenth of those made, polls aside."""
    stage.load(size)
    planned = _again(stage)
    result = planned.apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=size)
    told, made = (
        sum(count for name, count in calls.items() if name not in ("list_jobs", "token"))
        for calls in (planned.calls, result.calls)
    )
    assert made == pytest.approx(told, rel=0.1)


def test_pre_images_are_read_right_before_every_write(stage: Stage) -> None:
    """The last call before each write asks for those users' active enrollments."""
    stage.load(5, 3)
    client = stage.connect(limits=Limits(hand_picked=2))
    asked = ArchiveJob.from_rows(rows(range(1001, 1004), courses=[1, 2]), **AGAIN)
    asked.plan(client).apply(client, ledger=stage.ledger)
    writes = [i for i, one in enumerate(stage.line.exchanges) if one.is_write]
    assert len(writes) == 5
    for i in writes:
        before, write = stage.line.exchanges[i - 1], stage.line.exchanges[i]
        assert before.path == f"/course/v1/courses/{write.body['course_id'][0]}/enrollments"
        users = {int(value) for name, value in before.query if name == "user_id[]"}
        assert users >= set(write.body["user_id"])


def test_who_changed_meanwhile_is_dropped(stage: Stage) -> None:
    """Enrolled anew, archived or unenrolled by someone else between plan and write: not sent."""
    stage.load(6)
    planned = _again(stage)
    stage.enroll_anew(1, 1001)
    stage.unenroll(1, 1003)
    stage.line.once(lambda one: one.is_write, lambda: stage.enroll_anew(1, 1004), after=True)
    result = planned.apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=3, skipped=3)
    assert [(one.user, one.code) for one in result.skipped] == [
        (1001, "changed"),
        (1003, "changed"),
        (1004, "changed"),
    ]
    assert records_of(stage, "course_id", 1, 1004) == []


def test_who_was_archived_lately_is_not_again(stage: Stage) -> None:
    """Within 30 days nobody is archived a second time; after them everybody is."""
    stage.load(4)
    first = _again(stage).apply(stage.client, ledger=stage.ledger)
    again = _again(stage)
    assert again.counts["to_archive"] == 0
    assert {one.code for one in again.skipped} == {"archived_recently"}
    record = next(iter(first.records))
    at = f"{record.archiving.archived_at:%Y-%m-%d %H:%M:%S}"
    assert f"archived in C1 on {at} UTC already, less than 30 days ago" in again.skipped[0].reason
    stage.time.sleep(timedelta(days=30, minutes=1).total_seconds())
    assert _again(stage).counts["to_archive"] == 4


@pytest.mark.parametrize("within", [timedelta.max, timedelta(days=800_000), timedelta(days=30_000)])
def test_skip_archived_within_any_time_means_ever(stage: Stage, within: timedelta) -> None:
    """A span that begins before any date there is skips whoever was archived at all."""
    stage.load(3)
    stage.apply(_again(stage))
    stage.time.sleep(86_400 * 4_000)
    planned = _again(stage, skip_archived_within=within)
    assert {one.code for one in planned.skipped} == {"archived_recently"}
    assert planned.counts["to_archive"] == 0


def test_again_after_of_nothing_asks_nothing(stage: Stage) -> None:
    """`timedelta(0)` takes everybody and does not read the archived list; one hour is one hour."""
    stage.load(3)
    _again(stage).apply(stage.client, ledger=stage.ledger)
    reads = stage.operations.count("archived_course_enrollments")
    assert _again(stage, skip_archived_within=timedelta(0)).counts["to_archive"] == 3
    assert stage.operations.count("archived_course_enrollments") == reads
    again = _again(stage, skip_archived_within=timedelta(hours=1))
    assert again.counts["to_archive"] == 0
    assert "less than 1:00:00 ago" in again.skipped[0].reason
    stage.time.sleep(120)
    stage.change(LONG_AGO)
    assert _again(stage, skip_archived_within=timedelta(hours=1)).counts["to_archive"] == 3


@pytest.mark.parametrize("kind", ["course", "plan"])
@pytest.mark.parametrize("wait", [0.0, 10.0])
def test_a_new_ledger_after_a_crash_archives_nobody_twice(
    stage: Stage, kind: str, wait: float
) -> None:
    """The script is started anew with another ledger, even while the lost job still runs."""
    load_plans(stage, {50: [1, 2]}, users=6)

    def begin() -> ArchivePlan:
        if kind == "plan":
            return plan(stage, 50, mode="re-enroll")
        return plan(stage, courses=[1], mode="re-enroll")

    def die() -> None:
        raise KeyboardInterrupt

    planned = begin()
    stage.line.once(of_many, die, after=True)
    with pytest.raises(KeyboardInterrupt):
        planned.apply(stage.client, ledger=stage.ledger)
    stage.time.sleep(wait)
    result = begin().apply(stage.client, ledger=stage.folder / "second.sqlite")
    assert result.counts["failed"] == result.counts["unknown"] == 0
    stage.time.sleep(60)
    column, target = ("learning_plan_id", 50) if kind == "plan" else ("course_id", 1)
    for user in range(1001, 1007):
        assert len(records_of(stage, column, target, user)) == 1
        assert len(records_of(stage, "course_id", 1, user)) == 1


@pytest.mark.parametrize("kind", ["course", "plan"])
def test_a_new_ledger_while_the_archived_list_lags(stage: Stage, kind: str) -> None:
    """Whoever was enrolled again just now is left alone until the list could tell of it."""
    load_plans(stage, {50: [1]}, users=4)
    where: dict[str, Any] = {"courses": [1]} if kind == "course" else {}
    targets = [] if kind == "course" else [50]
    first = plan(stage, *targets, mode="re-enroll", **where)
    stage.sandbox.faults.add("archived_lag", seconds=55, times=9)

    def die() -> None:
        raise KeyboardInterrupt

    stage.line.once(of_many, die, after=True)
    with pytest.raises(KeyboardInterrupt):
        first.apply(stage.client, ledger=stage.ledger)
    stage.sandbox.faults.clear()
    stage.time.sleep(5)
    second = plan(stage, *targets, mode="re-enroll", **where)
    assert second.counts["to_archive"] == 0
    assert {one.code for one in second.skipped} == {"archived_recently"}
    assert "plan again in a few minutes" in second.skipped[-1].reason
    stage.time.sleep(60)
    third = plan(stage, *targets, mode="re-enroll", **where)
    assert {one.reason.split(" ")[0] for one in third.skipped} == {"archived"}
    check(stage, resume(stage.ledger, stage.client), again=True, archived=4)


def test_a_job_that_was_open_before_and_never_ends(stage: Stage) -> None:
    """In re-enroll nothing is sent beside an older job of this account; later it goes on."""
    stage.load(4)
    stage.line.once(lambda one: one.is_write, stage.hang_jobs, after=True)
    body = {"course_id": [1], "user_id": [1001, 1002], "enrollment_mode": "re_enroll"}
    stage.client.request("PUT", "/learn/v1/enrollments", json=body)
    before = len(sent(stage))
    planned = _again(stage)
    with pytest.raises(JobTimeoutError, match="has not ended") as caught:
        planned.apply(stage.client, ledger=stage.ledger)
    assert caught.value.ledger == stage.ledger
    assert len(sent(stage)) == before
    stage.end_jobs()
    result = resume(stage.ledger, stage.client)
    check(stage, result, again=True, archived=4)
    meanwhile = {one.user for one in result.outcomes if one.code == "archived_meanwhile"}
    assert meanwhile == {1001, 1002}
    assert all(len(records_of(stage, "course_id", 1, user)) == 1 for user in range(1001, 1005))


def test_undated_enrollments_are_left_alone(stage: Stage) -> None:
    """Without a date the old enrollment cannot be told from the new one."""
    stage.load(3, dated=False)
    planned = _again(stage)
    assert {one.code for one in planned.skipped} == {"undated"}
    assert planned.chunks == ()


def test_validity_that_has_ended_is_told(stage: Stage) -> None:
    """Enrolled anew but shut out: archived, incomplete, with the date and what to do."""
    stage.load(3)
    stage.change(
        "UPDATE enrollments SET enrollment_validity_end_datetime = '2026-01-31 00:00:00' "
        "WHERE user_id > 1001"
    )
    result = _again(stage).apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=3)
    assert [one.code for one in result.outcomes] == ["archived", "validity_ended", "validity_ended"]
    assert {one.user for one in result.incomplete} == {1002, 1003}
    told = next(iter(result.incomplete)).reason
    assert "its validity ended on 2026-01-31 00:00:00+00:00: extend it" in told


def test_validity_that_has_ended_does_not_stop_at_the_canary(stage: Stage) -> None:
    """The platform did as asked; what is wrong stood so before."""
    stage.load(3)
    stage.change("UPDATE enrollments SET enrollment_validity_end_datetime = '2026-01-31 00:00:00'")
    result = _again(stage).apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=3)
    assert len(result.incomplete) == 3


def test_archived_and_not_enrolled_anew_is_told(stage: Stage) -> None:
    """The new enrollment is gone: archived, incomplete, and nobody is sent twice."""
    stage.load(4)
    planned = _again(stage)
    seen: list[Exchange] = []

    def drop(exchange: Exchange) -> None:
        if exchange.path.endswith("/archived") and len(sent(stage)) > 1:
            seen.append(exchange)
            stage.change(
                f"DELETE FROM enrollments WHERE enrollment_created_at > '{ENROLLED_AT}'"
                " AND user_id = 1003"
            )

    stage.line.before.append(drop)
    result = planned.apply(stage.client, ledger=stage.ledger)
    assert seen
    assert result.counts["archived"] == 4
    assert [(one.user, one.code) for one in result.incomplete] == [(1003, "not_re_enrolled")]
    assert "enroll the user by hand" in next(iter(result.incomplete)).reason
    assert len(sent(stage)) == 2


def test_not_enrolled_anew_at_the_canary_stops(stage: Stage) -> None:
    """A platform that unenrolls where it should re-enroll has touched one enrollment."""
    stage.load(4)
    planned = _again(stage)
    gone = f"DELETE FROM enrollments WHERE enrollment_created_at > '{ENROLLED_AT}'"
    stage.line.once(lambda one: one.is_write, lambda: stage.change(gone), after=True)
    with pytest.raises(CanaryFailedError, match="not enrolled again"):
        planned.apply(stage.client, ledger=stage.ledger)
    assert sum(stage.archived.values()) == 1
    check(stage, resume_rest(stage), archived=4)


def resume_rest(stage: Stage) -> ArchiveResult:
    """Resume, and put everybody's new enrollments away: `check` wants them gone."""
    result = resume(stage.ledger, stage.client)
    stage.change("DELETE FROM enrollments")
    return result


def test_a_platform_that_keeps_the_date_is_stopped_by_the_canary(stage: Stage) -> None:
    """Without a new date nothing could be told apart: one enrollment is touched, however often."""
    stage.load(4)
    planned = _again(stage)

    def keep(exchange: Exchange) -> None:
        if exchange.is_write:
            stage.change(BACK, ENROLLED_AT)

    stage.line.after.append(keep)
    with pytest.raises(CanaryFailedError, match="still active") as caught:
        planned.apply(stage.client, ledger=stage.ledger)
    assert caught.value.ledger == stage.ledger
    assert sum(stage.archived.values()) == 1
    assert [users for _, _, users in sent(stage)] == [[1001]]


def test_enrolled_anew_by_someone_else_during_a_re_enroll(stage: Stage) -> None:
    """Between the last reading and the work: what was archived instead is told, and it stops."""
    stage.load(4)
    planned = _again(stage)
    stage.line.once(of_many, lambda: stage.enroll_anew(1, 1003))
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1"):
        planned.apply(stage.client, ledger=stage.ledger)
    result = resume(stage.ledger, stage.client)
    assert result.counts["unknown"] == 1
    assert max(stage.archived.values()) == 1


@pytest.mark.parametrize(
    ("kind", "details", "after", "worked"),
    [
        ("cut_before", {}, 0, False),
        ("cut_before", {}, 1, False),
        ("cut_after", {}, 0, True),
        ("cut_after", {}, 1, True),
        ("cut_after", {}, 2, True),
        ("error_after", {"status": 408}, 1, True),
        ("html", {}, 2, False),
    ],
)
def test_a_lost_answer_of_a_re_enroll(
    stage: Stage, kind: str, details: dict[str, Any], after: int, *, worked: bool
) -> None:
    """The new enrollment is never taken for the old: nothing twice, nothing lost."""
    stage.load(3, 3)
    planned = _again(stage, 1, 2)
    stage.sandbox.faults.add(kind, method="PUT", after=after, **details)
    check(stage, planned.apply(stage.client, ledger=stage.ledger), again=True, archived=6)
    assert len(sent(stage)) == (3 if worked else 4)


def test_lost_answer_and_half_failed_job(stage: Stage) -> None:
    """Of a chunk in doubt only those go again who still have the old date."""
    stage.load(7)
    planned = _again(stage)
    stage.sandbox.faults.add("cut_after", method="PUT", after=1)
    stage.sandbox.faults.add("job_partial", every=2)
    check(stage, planned.apply(stage.client, ledger=stage.ledger), again=True, archived=7)
    assert [users for _, _, users in sent(stage)][2:] == [[1003, 1005, 1007]]


@pytest.mark.parametrize(
    ("at", "before"), [(at, True) for at in range(1, 14)] + [(2, False), (5, False), (8, False)]
)
def test_death_at_any_commit_of_a_re_enroll(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int, *, before: bool
) -> None:
    """Killed around each commit, with an answer lost on top, and resumed: all is once."""
    stage.load(4, 3)
    client = stage.connect(limits=Limits(hand_picked=2))
    planned = job(stage, courses=[1], mode="re-enroll").plan(client)
    stage.sandbox.faults.add("cut_after", method="PUT", after=2)
    run_mortally(monkeypatch, at, lambda: planned.apply(client, ledger=stage.ledger), before=before)
    check(stage, resume(stage.ledger, client), again=True, archived=4)
