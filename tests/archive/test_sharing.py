"""Courses of several plans: skipped, refused or allowed, told under both readings (article)."""

from collections.abc import Callable
from typing import Literal

import pytest
from plan_tools import AGAIN, UNENROLL, check, date_of, load_plans, plan, records_of, rows, sent
from virtual_time import ENROLLED_AT, Harness

from lms_archive import ArchiveJob, InvalidInputError, resume
from lms_archive.errors import CanaryFailedError

Reading = Literal["A", "B"]
TRIO = {50: [1, 2], 60: [2, 3], 70: [4]}


def test_shared_plans_are_skipped(harness: Harness) -> None:
    """The default: both plans are left alone, naming course and plan; the third one goes."""
    load_plans(harness, TRIO)
    planned = plan(harness, 50, 60, 70)
    told = {outcome.row["learning_plan_id"]: outcome.reason for outcome in planned.skipped}
    assert {outcome.code for outcome in planned.skipped} == {"shared"}
    assert set(told) == {50, 60}
    assert "P50 shares courses with other learning plans: C2 (also in P60)" in told[50]
    assert "C2 (also in P50)" in told[60]
    assert "on_shared='allow'" in told[50]
    assert "C2 (also in P60)" in str(planned)
    assert not any("also in" in text for text in planned.warnings)
    check(harness, harness.apply(planned), archived=3, skipped=6)
    assert {target for _, target, _ in sent(harness)} == {70}


def test_the_other_plan_need_not_be_asked_for(harness: Harness) -> None:
    """What another plan of the platform shares matters, in the job or not, enrolled or not."""
    load_plans(harness, TRIO)
    harness.change("DELETE FROM learning_plan_enrollments WHERE learning_plan_id = 60")
    assert {outcome.code for outcome in plan(harness, 50).skipped} == {"shared"}


def test_fail_refuses_to_plan(harness: Harness) -> None:
    """`on_shared="fail"` raises with the names, and sends nothing."""
    load_plans(harness, TRIO)
    with pytest.raises(
        InvalidInputError, match=r"P50 shares .* C2 \(also in P60\).*nothing was sent"
    ):
        plan(harness, 50, on_shared="fail")
    assert plan(harness, 70, on_shared="fail").counts["to_archive"] == 3
    assert sent(harness) == []
    harness.change("DELETE FROM learning_plan_enrollments WHERE learning_plan_id = 50")
    empty = plan(harness, 50, on_shared="fail")
    assert empty.counts["to_archive"] == 0
    assert not any("also in" in text for text in empty.warnings)


def test_allow_where_nothing_happens(make_harness: Callable[..., Harness]) -> None:
    """Reading A: the canary is still active, and it stops; nothing is archived at all."""
    harness = make_harness(shared_courses_rule="A")
    load_plans(harness, TRIO)
    planned = plan(harness, 50, on_shared="allow")
    assert any("C2 (also in P60)" in text for text in planned.warnings)
    assert "C2 (also in P60)" in str(planned)
    with pytest.raises(CanaryFailedError, match="still active"):
        harness.apply(planned)
    assert harness.sql("SELECT 1 FROM archived_learning_plan_enrollments") == []
    assert harness.archived == {}
    assert len(sent(harness)) == 1


@pytest.mark.parametrize("reading", ["A", "B"])
def test_both_readings(make_harness: Callable[..., Harness], reading: Reading) -> None:
    """Allowed behind a plan that shares nothing, each row is reported as it came out.

    A: nothing of the shared plan is archived. B: the plan and its own course are, the shared
    course is not.
    """
    harness = make_harness(shared_courses_rule=reading)
    load_plans(harness, TRIO)
    result = harness.apply(plan(harness, 70, 50, on_shared="allow"))
    failed = 3 if reading == "A" else 0
    check(harness, result, archived=6 - failed, failed=failed)
    assert {outcome.code for outcome in result.failed} <= {"not_archived"}
    told = {
        (outcome.row["learning_plan_id"], course.course_id): course.status
        for outcome in result.outcomes
        for course in outcome.courses
    }
    own = "archived" if reading == "B" else "not_archived"
    assert told == {(70, 4): "archived", (50, 1): own, (50, 2): "not_archived"}
    assert len(result.incomplete) == (3 if reading == "B" else 0)
    left = {1, 2, 3} if reading == "A" else {2, 3}
    assert {course for course, _ in harness.active} == left


@pytest.mark.parametrize("reading", ["A", "B"])
def test_re_enroll_does_not_mind(make_harness: Callable[..., Harness], reading: Reading) -> None:
    """The article's warning is on archive and unenroll: re-enroll takes shared courses."""
    harness = make_harness(shared_courses_rule=reading)
    load_plans(harness, TRIO)
    planned = plan(harness, 50, mode="re-enroll")
    assert planned.counts["skipped"] == 0
    assert any("C2 (also in P60)" in text for text in planned.warnings)
    assert not any("tracking is reset" in text for text in planned.warnings)
    check(harness, harness.apply(planned), again=True, archived=3)
    assert date_of(harness, "course_id", 2, 1001) != ENROLLED_AT
    assert date_of(harness, "learning_plan_id", 60, 1001) == ENROLLED_AT


def test_reset_in_other_plans_is_warned_of(harness: Harness) -> None:
    """Re-enroll with reset on a shared course names the course and the other plans."""
    load_plans(harness, TRIO)
    planned = plan(harness, 50, 70, mode="re-enroll", reset_tracking=True)
    (warning,) = [text for text in planned.warnings if "tracking" in text]
    assert "and their tracking is reset" in warning
    assert warning.endswith(": C2 (also in P60)")
    assert warning in str(planned)


def test_two_plans_of_one_re_enroll_job(harness: Harness) -> None:
    """For a user of both the second is skipped, naming the first; a user of one goes."""
    load_plans(harness, TRIO)
    asked = rows([1001, 1002], plans=[50]) + rows([1002, 1003], plans=[60])
    planned = ArchiveJob.from_rows(asked, **AGAIN).plan(harness.client)
    (outcome,) = planned.skipped
    assert (outcome.row["learning_plan_id"], outcome.user, outcome.code) == (60, 1002, "shared")
    assert "P60 shares a course with P50 of row 1" in outcome.reason
    result = harness.apply(planned)
    check(harness, result, again=True, archived=3, skipped=1)


@pytest.mark.parametrize(
    ("plans", "order", "archived"),
    [
        pytest.param(TRIO, [50, 60], {50}, id="the first"),
        pytest.param(TRIO, [60, 50], {60}, id="not the first by number"),
        pytest.param(
            {50: [1, 2], 60: [2, 3], 70: [3, 4]}, [50, 60, 70], {50, 70}, id="a chain of three"
        ),
    ],
)
def test_plans_of_one_re_enroll_job_by_order(
    harness: Harness, plans: dict[int, list[int]], order: list[int], archived: set[int]
) -> None:
    """The plan that is asked for first is archived, and those that share no course with it."""
    load_plans(harness, plans)
    planned = plan(harness, *order, mode="re-enroll")
    assert {chunk.target.target_id for chunk in planned.chunks} == archived
    with pytest.raises(InvalidInputError, match="shares a course with"):
        plan(harness, *order, mode="re-enroll", on_shared="fail")


def test_two_plans_of_one_re_enroll_job_allowed(harness: Harness) -> None:
    """Allowed, the shared course is archived once for each plan, and each row tells its own."""
    load_plans(harness, TRIO, users=2)
    planned = plan(harness, 50, 60, mode="re-enroll", on_shared="allow")
    result = harness.apply(planned)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert len(result.incomplete) == 0
    for user in (1001, 1002):
        told = {
            course.record_id
            for outcome in result.outcomes
            for course in outcome.courses
            if outcome.user == user and course.course_id == 2
        }
        assert told == set(records_of(harness, "course_id", 2, user))
        assert len(told) == 2
        assert len(records_of(harness, "learning_plan_id", 60, user)) == 1


def test_a_course_put_into_another_plan_meanwhile(harness: Harness) -> None:
    """Shared only since the plan was made: the platform refuses, the canary stops the job."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    planned = plan(harness, 50)
    harness.sandbox.change_learning_plan(60, courses=[3, 2])
    with pytest.raises(CanaryFailedError):
        harness.apply(planned)
    assert harness.archived == {}
    harness.sandbox.change_learning_plan(60, courses=[3])
    check(harness, resume(harness.ledger, harness.client), archived=2, failed=1)


def test_a_course_of_two_plans_names_both(harness: Harness) -> None:
    """Unenroll of a course of plans: skipped, naming every plan and the way out."""
    load_plans(harness, TRIO)
    (reason,) = {outcome.reason for outcome in plan(harness, courses=[2]).skipped}
    assert reason.startswith("C2 belongs to P50, P60: ")
    assert reason.endswith("archive the plan")


def test_a_plan_without_a_code_is_named_by_its_title(harness: Harness) -> None:
    """Two plans of one code, or of none, can be told apart in words."""
    load_plans(harness, {50: [1, 2], 60: [2]})
    harness.change("UPDATE learning_plans SET code = '' WHERE learning_plan_id = 60")
    job = ArchiveJob.for_learning_plan(50, **UNENROLL).users([1001])
    assert "C2 (also in Plan 60)" in job.plan(harness.client).skipped[0].reason


@pytest.mark.parametrize("status", [403, 404])
def test_a_platform_that_tells_nothing_of_plans(harness: Harness, status: int) -> None:
    """Courses can be planned where plans are absent or forbidden; the plan says what is unknown."""
    harness.load(2)
    harness.sandbox.faults.add("status", operation="list_learning_plans", status=status)
    planned = harness.plan()
    assert planned.counts["to_archive"] == 2
    assert any("could not read which learning plans" in text for text in planned.warnings)
