"""What was archived after the plan was made, and not by a call in this ledger, is reported so."""

import shutil

import pytest
from archive_tools import archive_elsewhere, for_course
from plan_tools import check, load_plans, plan
from virtual_time import Harness

from lms_archive import ArchivePlan, resume
from lms_archive.archive import RunEvent


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize("commits", [1, 3, 6])
def test_a_ledger_copied_without_its_wal(harness: Harness, mode: str, commits: int) -> None:
    """Its last commits are missing: what they archived is found, and nothing is sent again."""
    harness.load(4, 4)
    first, second = (for_course(course, mode=mode).all_enrollments() for course in (1, 2))
    copy = harness.folder / "copy.sqlite"
    events: list[RunEvent] = []

    def listen(event: RunEvent) -> None:
        events.append(event)
        if len(events) == commits:
            shutil.copyfile(harness.ledger, copy)
            harness.time.sleep(5)  # what is archived in the second of the canary would stop it

    harness.apply((first + second).plan(harness.client), on_event=listen)
    writes = len(harness.writes)
    result = resume(copy, harness.client)
    check(harness, result, again=mode == "re-enroll", archived=8)
    assert len(harness.writes) == writes
    assert len(result.incomplete) == 0
    assert "archived_meanwhile" in {outcome.code for outcome in result.outcomes}


def test_what_was_archived_meanwhile_is_not_called_skipped(harness: Harness) -> None:
    """A copy of the ledger that misses the last commits finds the records, and says whose."""
    harness.load(4, 4)
    planned = harness.plan()
    harness.check(harness.apply(planned), archived=8)
    writes = len(harness.writes)
    planned.save(harness.folder / "plan.sqlite")
    again = ArchivePlan.load(harness.folder / "plan.sqlite")
    result = again.apply(harness.client, ledger=harness.folder / "copy.sqlite")
    harness.check(result, archived=8)
    assert len(harness.writes) == writes
    assert len(result.incomplete) == 0
    author = harness.sql("SELECT DISTINCT archived_by FROM archived_enrollments")[0][0]
    for outcome in result.outcomes:
        assert outcome.code == "archived_meanwhile"
        assert outcome.record is not None
        record = outcome.record.archiving
        assert outcome.reason.startswith(
            f"archived as record {record.record_id} by user {author} on {record.archived_at}, "
            "after the plan was made"
        )


@pytest.mark.parametrize("reset", [False, True])
def test_what_was_re_enrolled_meanwhile_is_checked_too(harness: Harness, *, reset: bool) -> None:
    """In re-enroll the new enrollment and its tracking are reported as for any other row."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50, mode="re-enroll", reset_tracking=reset)
    harness.apply(planned)
    writes = len(harness.line.exchanges)
    result = planned.apply(harness.client, ledger=harness.folder / "copy.sqlite")
    assert not any(exchange.is_write for exchange in harness.line.exchanges[writes:])
    for outcome in result.outcomes:
        assert outcome.code == "archived_meanwhile"
        assert f"; tracking {'reset' if reset else 'kept'}" in outcome.reason
        assert [course.status for course in outcome.courses] == ["archived", "archived"]


def test_archived_by_someone_who_did_not_re_enroll(harness: Harness) -> None:
    """Asked to re-enroll, and archived and unenrolled by another: archived, and incomplete."""
    harness.load(4)
    planned = for_course(1, mode="re-enroll").all_enrollments().plan(harness.client)
    archive_elsewhere(harness, 1, 1003, mode="delete")
    harness.time.sleep(1)
    result = harness.apply(planned)
    assert [outcome.code for outcome in result.incomplete] == ["not_re_enrolled"]
    assert result.counts["archived"] == 4


def test_looking_for_records_costs_nothing_where_nobody_is_gone(harness: Harness) -> None:
    """A stale plan of which nothing changed costs the readings of a fresh one, and one a chunk."""
    harness.load(3)
    fresh = harness.apply().calls
    harness.sandbox.load(
        courses=[{"code": "C2", "id_course": 2}],
        enrollments=[
            {"user_id": user, "id_course": 2, "enrollment_status": "completed"}
            for user in (1001, 1002, 1003)
        ],
    )
    planned = harness.plan(2)
    harness.time.sleep(1000)
    stale = planned.apply(harness.client, ledger=harness.folder / "second.sqlite").calls
    assert stale["archived_course_enrollments"] == fresh["archived_course_enrollments"]
