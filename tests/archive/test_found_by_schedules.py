"""What the model test has found, each in the smallest form that shows it."""

import pytest
from plan_tools import AGAIN, load_plans, of_many, plan, rows
from virtual_time import Harness

from lms_archive import ArchiveJob, Limits, resume
from lms_archive.errors import CanaryFailedError, JobTimeoutError, UnexpectedArchiveError

LAGS = """
CREATE TRIGGER lags AFTER INSERT ON archived_enrollments WHEN {when} BEGIN
    UPDATE archived_enrollments SET hidden_until = {until} WHERE id = NEW.id;
END
"""


def _lag(harness: Harness, when: str, seconds: int = 40) -> None:
    until = int((harness.time.now().timestamp() + seconds) * 1_000_000)
    harness.change(LAGS.format(when=when, until=until))


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_course_of_a_plan_whose_record_lags_is_reported_as_archived(
    harness: Harness, mode: str
) -> None:
    """The plan's record is there, the course's is not yet: it is looked for once more."""
    load_plans(harness, {50: [1, 2]})
    _lag(harness, "NEW.course_id = 2")
    result = plan(harness, 50, mode=mode).apply(harness.client, ledger=harness.ledger)
    became = {(one.course_id, one.status) for row in result.outcomes for one in row.courses}
    assert became == {(1, "archived"), (2, "archived")}
    assert len(result.incomplete) == 0


def test_a_course_archived_lately_holds_its_plan_back(harness: Harness) -> None:
    """Re-enroll of a plan would archive the course enrollment that was made just before."""
    load_plans(harness, {50: [1, 2], 60: [2, 3]})
    plan(harness, 50, mode="re-enroll").apply(harness.client, ledger=harness.ledger)
    second = plan(harness, 60, mode="re-enroll")
    assert second.counts["to_archive"] == 0
    assert {one.code for one in second.skipped} == {"archived_recently"}
    assert "archived in course 2 on 2026-03-01" in second.skipped[0].reason


def test_a_dated_record_is_of_no_undated_enrollment(harness: Harness) -> None:
    """Enrolled anew between reading and write: what was archived is told as not asked for."""
    harness.load(3, dated=False)
    planned = harness.plan()
    harness.line.once(lambda one: one.is_write, lambda: harness.enroll_anew(1, 1001))
    with pytest.raises(CanaryFailedError, match="more was archived than requested"):
        planned.apply(harness.client, ledger=harness.ledger)
    first = next(iter(resume(harness.ledger, harness.client, canary=0).outcomes))
    assert (first.kind, first.code) == ("unknown", "not_seen")


def test_behind_a_canary_that_somebody_took_canary_0_goes_on(harness: Harness) -> None:
    """No second canary follows one that was not seen, unless the user says so."""
    harness.load(4)
    planned = harness.plan()
    harness.line.once(lambda one: one.is_write, lambda: harness.unenroll(1, 1001))
    with pytest.raises(CanaryFailedError, match=r"resume\(ledger, client, canary=0\) continues"):
        planned.apply(harness.client, ledger=harness.ledger)
    with pytest.raises(CanaryFailedError):
        resume(harness.ledger, harness.client)
    assert len(harness.writes) == 1
    result = resume(harness.ledger, harness.client, canary=0)
    harness.check(result, archived=3, unknown=1)


def test_a_record_older_than_the_call_is_not_all_that_came_of_it(harness: Harness) -> None:
    """Somebody archives and enrolls anew; our call archives that one, whose record lags."""
    harness.load(3)
    planned = harness.plan()

    def replace() -> None:
        body = {"course_id": [1], "user_id": [1002], "enrollment_mode": "re_enroll"}
        harness.connect(transport=None).request("PUT", "/learn/v1/enrollments", json=body)
        _lag(harness, "NEW.user_id = 1002")
        harness.time.sleep(1)

    harness.line.once(lambda one: one.path.endswith("/archived"), replace)
    with pytest.raises(UnexpectedArchiveError, match="user 1002 in C1"):
        planned.apply(harness.client, ledger=harness.ledger)


def test_a_course_that_went_along_is_told_so_whatever_became_of_the_plan(harness: Harness) -> None:
    """The plan's enrollment was made anew meanwhile; the course was archived with it."""
    load_plans(harness, {50: [1]}, users=2)
    job = ArchiveJob.from_rows(rows([1001, 1002], plans=[50], courses=[1]), **AGAIN)
    planned = job.plan(harness.client)
    anew = (
        "UPDATE learning_plan_enrollments SET enrollment_created_at = '2026-03-01 11:00:00' "
        "WHERE user_id = 1001"
    )
    harness.line.once(lambda one: one.is_write, lambda: harness.change(anew))
    with pytest.raises(CanaryFailedError):
        planned.apply(harness.client, ledger=harness.ledger)
    result = resume(harness.ledger, harness.client, canary=0)
    told = {(one.row["user_id"], one.code) for one in result.outcomes if one.row.get("course_id")}
    assert told == {(1001, "archived_with_learning_plan"), (1002, "archived_with_learning_plan")}


def test_who_was_enrolled_anew_beside_an_open_job_is_not_settled(harness: Harness) -> None:
    """Archived by somebody else, enrolled again, and our job still open: it may take that too."""
    harness.load(4)
    client = harness.connect(limits=Limits(job_timeout=60))
    planned = harness.job().plan(client)

    def replace() -> None:
        harness.hang_jobs()
        harness.time.sleep(1)
        body = {"course_id": [1], "user_id": [1003], "enrollment_mode": "re_enroll"}
        harness.connect(transport=None).request("PUT", "/learn/v1/enrollments", json=body)

    harness.line.once(of_many, replace, after=True)
    with pytest.raises(JobTimeoutError):
        planned.apply(client, ledger=harness.ledger)
    harness.end_jobs()
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1"):
        resume(harness.ledger, client)
    result = resume(harness.ledger, client)
    assert result.counts["archived"] == 4
    assert [one.user for one in result.incomplete] == [1003]
