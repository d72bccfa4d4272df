"""What the model test has found, each in the smallest form that shows it."""

import pytest
from archive_tools import archive_elsewhere
from plan_tools import AGAIN, load_plans, of_many, plan, rows
from virtual_time import Harness

from lms_archive import ArchiveJob, Limits, resume
from lms_archive.errors import CanaryFailedError, JobTimeoutError, UnexpectedArchiveError


def _hide_records(harness: Harness, condition: str) -> None:
    """Hide new records for which the condition holds for 40 seconds."""
    until = int((harness.time.now().timestamp() + 40) * 1_000_000)
    harness.change(
        f"CREATE TRIGGER lags AFTER INSERT ON archived_enrollments WHEN {condition} BEGIN "
        f"UPDATE archived_enrollments SET hidden_until = {until} WHERE id = NEW.id; END"
    )


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_course_of_a_plan_whose_record_lags_is_reported_as_archived(
    harness: Harness, mode: str
) -> None:
    """The plan's record is there, the course's is not yet: it is looked for once more."""
    load_plans(harness, {50: [1, 2]})
    _hide_records(harness, "NEW.course_id = 2")
    result = harness.apply(plan(harness, 50, mode=mode))
    statuses = {
        (course.course_id, course.status) for row in result.outcomes for course in row.courses
    }
    assert statuses == {(1, "archived"), (2, "archived")}
    assert len(result.incomplete) == 0


def test_a_course_archived_lately_holds_its_plan_back(harness: Harness) -> None:
    """Re-enroll of a plan would archive the course enrollment that was made just before."""
    load_plans(harness, {50: [1, 2], 60: [2, 3]})
    harness.apply(plan(harness, 50, mode="re-enroll"))
    second = plan(harness, 60, mode="re-enroll")
    assert second.counts["to_archive"] == 0
    assert {outcome.code for outcome in second.skipped} == {"archived_recently"}
    assert "archived in C2 on 2026-03-01" in second.skipped[0].reason


def test_a_dated_record_is_of_no_undated_enrollment(harness: Harness) -> None:
    """Enrolled again between reading and write: what was archived is reported as not asked for."""
    harness.load(3, dated=False)
    planned = harness.plan()
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.enroll_anew(1, 1001))
    with pytest.raises(CanaryFailedError, match="more was archived than requested"):
        harness.apply(planned)
    first = next(iter(resume(harness.ledger, harness.client, canary=0).outcomes))
    assert (first.kind, first.code) == ("unknown", "not_seen")


def test_behind_a_canary_that_another_client_unenrolled_canary_0_continues(
    harness: Harness,
) -> None:
    """No second canary follows one that was not seen, unless the user says so."""
    harness.load(4)
    planned = harness.plan()
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.unenroll(1, 1001))
    with pytest.raises(CanaryFailedError, match=r"resume\(ledger, client, canary=0\) continues"):
        harness.apply(planned)
    with pytest.raises(CanaryFailedError):
        resume(harness.ledger, harness.client)
    assert len(harness.writes) == 1
    result = resume(harness.ledger, harness.client, canary=0)
    harness.check(result, archived=3, unknown=1)


def test_a_record_older_than_the_call_is_not_all_that_came_of_it(harness: Harness) -> None:
    """Another client archives and enrolls again; our call archives that, and its record lags."""
    harness.load(3)
    planned = harness.plan()

    def replace() -> None:
        archive_elsewhere(harness, 1, 1002)
        _hide_records(harness, "NEW.user_id = 1002")
        harness.time.sleep(1)

    harness.line.once(lambda exchange: exchange.path.endswith("/archived"), replace)
    with pytest.raises(UnexpectedArchiveError, match="user 1002 in C1"):
        harness.apply(planned)


def test_a_course_archived_with_its_plan_is_reported_so_if_the_plan_is_not_seen(
    harness: Harness,
) -> None:
    """The plan's enrollment was made again meanwhile; the course was archived with it."""
    load_plans(harness, {50: [1]}, users=2)
    job = ArchiveJob.from_rows(rows([1001, 1002], plans=[50], courses=[1]), **AGAIN)
    planned = job.plan(harness.client)
    replace = (
        "UPDATE learning_plan_enrollments SET enrollment_created_at = '2026-03-01 11:00:00' "
        "WHERE user_id = 1001"
    )
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.change(replace))
    with pytest.raises(CanaryFailedError):
        harness.apply(planned)
    result = resume(harness.ledger, harness.client, canary=0)
    courses = [outcome for outcome in result.outcomes if outcome.row.get("course_id")]
    codes = {(outcome.row["user_id"], outcome.code) for outcome in courses}
    assert codes == {(1001, "archived_with_learning_plan"), (1002, "archived_with_learning_plan")}


def test_a_user_enrolled_again_beside_an_open_job_is_not_settled(harness: Harness) -> None:
    """Archived by another client, enrolled again, and our job still open: it may take that too."""
    harness.load(4)
    client = harness.connect(limits=Limits(job_timeout=60))
    planned = harness.job().plan(client)

    def replace() -> None:
        harness.hang_jobs()
        harness.time.sleep(1)
        archive_elsewhere(harness, 1, 1003)

    harness.line.once(of_many, replace, after=True)
    with pytest.raises(JobTimeoutError):
        planned.apply(client, ledger=harness.ledger)
    harness.end_jobs()
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1"):
        resume(harness.ledger, client)
    result = resume(harness.ledger, client)
    assert result.counts["archived"] == 4
    assert [outcome.user for outcome in result.incomplete] == [1003]
