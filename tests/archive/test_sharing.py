"""Courses of several plans: skipped, refused or allowed, told under both readings (article)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from plan_tools import AGAIN, UNENROLL, check, date_of, load_plans, plan, records_of, rows, sent
from virtual_time import ENROLLED_AT, Stage, VirtualTime

from lms_archive import ArchiveJob, InvalidInputError, resume
from lms_archive.errors import CanaryFailedError
from lms_archive.sandbox import Sandbox

Reading = Literal["A", "B"]
TRIO = {50: [1, 2], 60: [2, 3], 70: [4]}


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Callable[[Reading], Stage]]:
    """Make a platform that reads the warning this way."""
    with ExitStack() as stack:

        def make(reading: Reading) -> Stage:
            time = VirtualTime()
            sandbox = stack.enter_context(
                Sandbox(clock=time, job_seconds=3, shared_reading=reading)
            )
            stage = Stage(sandbox, time, tmp_path)
            stack.callback(stage.line.close)
            return stage

        yield make


def test_shared_plans_are_skipped(stage: Stage) -> None:
    """The default: both plans are left alone, naming course and plan; the third one goes."""
    load_plans(stage, TRIO)
    planned = plan(stage, 50, 60, 70)
    told = {one.row["learning_plan_id"]: one.reason for one in planned.skipped}
    assert {one.code for one in planned.skipped} == {"shared"}
    assert set(told) == {50, 60}
    assert "P50 shares courses with other learning plans: C2 (also in P60)" in told[50]
    assert "C2 (also in P50)" in told[60]
    assert "on_shared='allow'" in told[50]
    check(stage, planned.apply(stage.client, ledger=stage.ledger), archived=3, skipped=6)
    assert {target for _, target, _ in sent(stage)} == {70}


def test_the_other_plan_need_not_be_asked_for(stage: Stage) -> None:
    """What another plan of the platform shares matters, in the job or not, enrolled or not."""
    load_plans(stage, TRIO)
    stage.change("DELETE FROM learning_plan_enrollments WHERE learning_plan_id = 60")
    assert {one.code for one in plan(stage, 50).skipped} == {"shared"}


def test_fail_refuses_to_plan(stage: Stage) -> None:
    """`on_shared="fail"` raises with the names, and sends nothing."""
    load_plans(stage, TRIO)
    with pytest.raises(
        InvalidInputError, match=r"P50 shares .* C2 \(also in P60\).*nothing was sent"
    ):
        plan(stage, 50, on_shared="fail")
    assert plan(stage, 70, on_shared="fail").counts["to_archive"] == 3
    assert sent(stage) == []


def test_allow_where_nothing_happens(staged: Callable[[Reading], Stage]) -> None:
    """Reading A: the canary is still active, and it stops; nothing is archived at all."""
    stage = staged("A")
    load_plans(stage, TRIO)
    planned = plan(stage, 50, on_shared="allow")
    assert any("C2 (also in P60)" in text for text in planned.warnings)
    with pytest.raises(CanaryFailedError, match="still active"):
        planned.apply(stage.client, ledger=stage.ledger)
    assert stage.sql("SELECT 1 FROM archived_learning_plan_enrollments") == []
    assert stage.archived == {}
    assert len(sent(stage)) == 1


def test_allow_behind_a_plan_that_shares_nothing(staged: Callable[[Reading], Stage]) -> None:
    """Reading A, a plan alone and a shared one: the rows of the shared one failed, told."""
    stage = staged("A")
    load_plans(stage, TRIO)
    planned = plan(stage, 70, 50, on_shared="allow")
    result = planned.apply(stage.client, ledger=stage.ledger)
    check(stage, result, archived=3, failed=3)
    assert {one.code for one in result.failed} == {"not_archived"}
    for one in result.failed:
        assert {course.status for course in one.courses} == {"not_archived"}


def test_allow_where_shared_courses_are_spared(staged: Callable[[Reading], Stage]) -> None:
    """Reading B: the plan and its own course are archived; the shared one is told, by course."""
    stage = staged("B")
    load_plans(stage, TRIO)
    result = plan(stage, 50, on_shared="allow").apply(stage.client, ledger=stage.ledger)
    check(stage, result, archived=3)
    for one in result.outcomes:
        told = [(course.course_id, course.status) for course in one.courses]
        assert told == [(1, "archived"), (2, "not_archived")]
    assert len(result.incomplete) == 3
    assert {course for course, _ in stage.active} == {2, 3, 4}
    assert len(stage.sql("SELECT 1 FROM learning_plan_enrollments")) == 6


@pytest.mark.parametrize("reading", ["A", "B"])
def test_both_readings(staged: Callable[[Reading], Stage], reading: Reading) -> None:
    """Allowed, the same job is told as it came out, whichever way the platform reads it."""
    stage = staged(reading)
    load_plans(stage, TRIO)
    planned = plan(stage, 70, 50, on_shared="allow")
    result = planned.apply(stage.client, ledger=stage.ledger)
    failed = 3 if reading == "A" else 0
    check(stage, result, archived=6 - failed, failed=failed)
    told = {
        (one.row["learning_plan_id"], course.course_id): course.status
        for one in result.outcomes
        for course in one.courses
    }
    own = "archived" if reading == "B" else "not_archived"
    assert told == {(70, 4): "archived", (50, 1): own, (50, 2): "not_archived"}
    assert len(result.incomplete) == (3 if reading == "B" else 0)


@pytest.mark.parametrize("reading", ["A", "B"])
def test_re_enroll_does_not_mind(staged: Callable[[Reading], Stage], reading: Reading) -> None:
    """The article's warning is on archive and unenroll: re-enroll takes shared courses."""
    stage = staged(reading)
    load_plans(stage, TRIO)
    planned = plan(stage, 50, mode="re-enroll")
    assert planned.counts["skipped"] == 0
    assert any("C2 (also in P60)" in text for text in planned.warnings)
    check(stage, planned.apply(stage.client, ledger=stage.ledger), again=True, archived=3)
    assert date_of(stage, "course_id", 2, 1001) != ENROLLED_AT
    assert date_of(stage, "learning_plan_id", 60, 1001) == ENROLLED_AT


def test_reset_in_other_plans_is_warned_of(stage: Stage) -> None:
    """Re-enroll with reset on a shared course names the course and the other plans."""
    load_plans(stage, TRIO)
    planned = plan(stage, 50, 70, mode="re-enroll", reset_tracking=True)
    (warning,) = [text for text in planned.warnings if "tracking" in text]
    assert "and their tracking is reset" in warning
    assert warning.endswith(": C2 (also in P60)")
    assert warning in str(planned)


def test_shared_courses_in_the_printed_plan(stage: Stage) -> None:
    """The dry run names them with the plans' names, skipped or allowed."""
    load_plans(stage, TRIO)
    assert "C2 (also in P60)" in str(plan(stage, 50))
    assert "C2 (also in P60)" in str(plan(stage, 50, on_shared="allow"))


def test_two_plans_of_one_re_enroll_job(stage: Stage) -> None:
    """For a user of both the second is skipped, naming the first; a user of one goes."""
    load_plans(stage, TRIO)
    asked = rows([1001, 1002], plans=[50]) + rows([1002, 1003], plans=[60])
    planned = ArchiveJob.from_rows(asked, **AGAIN).plan(stage.client)
    (one,) = planned.skipped
    assert (one.row["learning_plan_id"], one.user, one.code) == (60, 1002, "shared")
    assert "P60 shares a course with P50 of row 1" in one.reason
    result = planned.apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=True, archived=3, skipped=1)


@pytest.mark.parametrize("first", [50, 60])
def test_two_plans_of_one_re_enroll_job_by_order(stage: Stage, first: int) -> None:
    """The plan that is asked for first is the one that goes."""
    load_plans(stage, TRIO)
    planned = plan(stage, first, 110 - first, mode="re-enroll")
    assert {chunk.target.target_id for chunk in planned.chunks} == {first}
    with pytest.raises(InvalidInputError, match="shares a course with"):
        plan(stage, 50, 60, mode="re-enroll", on_shared="fail")


def test_two_plans_of_one_re_enroll_job_allowed(stage: Stage) -> None:
    """Allowed, the shared course is archived once for each plan, and each row tells its own."""
    load_plans(stage, TRIO, users=2)
    planned = plan(stage, 50, 60, mode="re-enroll", on_shared="allow")
    result = planned.apply(stage.client, ledger=stage.ledger)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert len(result.incomplete) == 0
    for user in (1001, 1002):
        told = {
            course.record_id
            for one in result.outcomes
            for course in one.courses
            if one.user == user and course.course_id == 2
        }
        assert told == set(records_of(stage, "course_id", 2, user))
        assert len(told) == 2
        assert len(records_of(stage, "learning_plan_id", 60, user)) == 1


def test_a_course_put_into_another_plan_meanwhile(stage: Stage) -> None:
    """Shared only since the plan was made: the platform refuses, the canary stops the job."""
    load_plans(stage, {50: [1, 2], 60: [3]})
    planned = plan(stage, 50)
    stage.sandbox.change_learning_plan(60, courses=[3, 2])
    with pytest.raises(CanaryFailedError):
        planned.apply(stage.client, ledger=stage.ledger)
    assert stage.archived == {}
    stage.sandbox.change_learning_plan(60, courses=[3])
    check(stage, resume(stage.ledger, stage.client), archived=2, failed=1)


def test_a_course_of_two_plans_names_both(stage: Stage) -> None:
    """Unenroll of a course of plans: skipped, naming every plan and the way out."""
    load_plans(stage, TRIO)
    (reason,) = {one.reason for one in plan(stage, courses=[2]).skipped}
    assert reason.startswith("C2 belongs to P50, P60: ")
    assert reason.endswith("archive the plan")


def test_a_plan_without_a_code_is_named_by_its_title(stage: Stage) -> None:
    """Two plans of one code, or of none, can be told apart in words."""
    load_plans(stage, {50: [1, 2], 60: [2]})
    stage.change("UPDATE learning_plans SET code = '' WHERE learning_plan_id = 60")
    job = ArchiveJob.for_learning_plan(50, **UNENROLL).users([1001])
    assert "C2 (also in Plan 60)" in job.plan(stage.client).skipped[0].reason


@pytest.mark.parametrize("status", [403, 404])
def test_a_platform_that_tells_nothing_of_plans(stage: Stage, status: int) -> None:
    """Courses can be planned where plans are absent or forbidden; the plan says what is unknown."""
    stage.load(2)
    stage.sandbox.faults.add("status", operation="list_learning_plans", status=status)
    planned = stage.plan()
    assert planned.counts["to_archive"] == 2
    assert any("could not read which learning plans" in text for text in planned.warnings)
