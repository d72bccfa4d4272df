"""What was archived after the plan was made, and not by a call in this ledger, is reported so."""

import shutil

import pytest
from plan_tools import AGAIN, check, load_plans, plan
from virtual_time import Stage

from lms_archive import ArchiveJob, ArchivePlan, resume
from lms_archive.archive import RunEvent


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize("commits", [1, 3, 6])
def test_a_ledger_copied_without_its_wal(stage: Stage, mode: str, commits: int) -> None:
    """Its last commits are missing: what they archived is found, and nothing is sent again."""
    stage.load(4, 4)
    first, second = (
        ArchiveJob.for_course(course, **{**AGAIN, "mode": mode}).all_enrollments()
        for course in (1, 2)
    )
    copy = stage.folder / "copy.sqlite"
    events: list[RunEvent] = []

    def listen(event: RunEvent) -> None:
        events.append(event)
        if len(events) == commits:
            shutil.copyfile(stage.ledger, copy)

    (first + second).plan(stage.client).apply(stage.client, ledger=stage.ledger, on_event=listen)
    writes = len(stage.writes)
    result = resume(copy, stage.client)
    check(stage, result, again=mode == "re-enroll", archived=8)
    assert len(stage.writes) == writes
    assert len(result.incomplete) == 0
    assert "archived_meanwhile" in {outcome.code for outcome in list(result.outcomes)}


def test_what_was_archived_meanwhile_is_not_called_skipped(stage: Stage) -> None:
    """A copy of the ledger that misses the last commits finds the records, and says whose."""
    stage.load(4, 4)
    planned = stage.plan()
    stage.check(stage.apply(planned), archived=8)
    writes = len(stage.writes)
    planned.save(stage.folder / "plan.saved")
    again = ArchivePlan.load(stage.folder / "plan.saved")
    result = again.apply(stage.client, ledger=stage.folder / "copy.sqlite")
    stage.check(result, archived=8)
    assert len(stage.writes) == writes
    assert len(result.incomplete) == 0
    author = stage.sql("SELECT DISTINCT archived_by FROM archived_enrollments")[0][0]
    for outcome in list(result.outcomes):
        assert outcome.code == "archived_meanwhile"
        assert outcome.record is not None
        assert (
            f"archived as record {outcome.record.archiving.record_id} by user {author} on "
            f"{outcome.record.archiving.archived_at}, after the plan was made" in outcome.reason
        )


@pytest.mark.parametrize("reset", [False, True])
def test_what_was_re_enrolled_meanwhile_is_checked_too(stage: Stage, *, reset: bool) -> None:
    """In re-enroll the new enrollment and its tracking are reported as for any other row."""
    load_plans(stage, {50: [1, 2]})
    planned = plan(stage, 50, mode="re-enroll", reset_tracking=reset)
    planned.apply(stage.client, ledger=stage.ledger)
    writes = len(stage.line.exchanges)
    result = planned.apply(stage.client, ledger=stage.folder / "copy.sqlite")
    assert not any(exchange.is_write for exchange in stage.line.exchanges[writes:])
    for outcome in list(result.outcomes):
        assert outcome.code == "archived_meanwhile"
        assert f"; tracking {'reset' if reset else 'kept'}" in outcome.reason
        assert [course.status for course in outcome.courses] == ["archived", "archived"]


def test_archived_by_someone_who_did_not_re_enroll(stage: Stage) -> None:
    """Asked to re-enroll, and archived and unenrolled by another: archived, and incomplete."""
    stage.load(4)
    job_again = ArchiveJob.for_course(1, **AGAIN).all_enrollments()
    planned = job_again.plan(stage.client)
    body = {"course_id": [1], "user_id": [1003], "enrollment_mode": "delete"}
    stage.client.request("PUT", "/learn/v1/enrollments", json=body)
    result = planned.apply(stage.client, ledger=stage.ledger)
    assert [outcome.code for outcome in list(result.incomplete)] == ["not_re_enrolled"]
    assert result.counts["archived"] == 4


def test_looking_for_records_costs_nothing_where_nobody_is_gone(stage: Stage) -> None:
    """A stale plan of which nothing changed costs the readings of a fresh one, and one a chunk."""
    stage.load(3)
    fresh = stage.apply().calls
    stage.sandbox.load(
        courses=[{"code": "C2", "id_course": 2}],
        enrollments=[
            {"user_id": user, "id_course": 2, "enrollment_status": "completed"}
            for user in (1001, 1002, 1003)
        ],
    )
    planned = stage.plan(2)
    stage.time.sleep(1000)
    stale = planned.apply(stage.client, ledger=stage.folder / "second.sqlite").calls
    assert stale["archived_course_enrollments"] == fresh["archived_course_enrollments"]
