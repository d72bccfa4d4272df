"""What a plan warns of: instructor-led courses, and learning plans that were changed lately."""

from datetime import timedelta
from typing import Any

import pytest
from plan_tools import UNENROLL, load_plans, rows
from virtual_time import START, Harness

from lms_archive import ArchiveJob, ArchivePlan


def _plan(
    harness: Harness, *, plans: tuple[int, ...] = (), courses: tuple[int, ...] = ()
) -> ArchivePlan:
    job = ArchiveJob.from_rows(rows([1001], plans=plans, courses=courses), **UNENROLL)
    return job.plan(harness.client)


@pytest.mark.parametrize("by_code", [False, True])
@pytest.mark.parametrize("word", ["classroom", "Classroom", "webinar"])
def test_an_instructor_led_course_is_warned_about(
    harness: Harness, word: str, *, by_code: bool
) -> None:
    """Its enrollments are archived, those of its sessions are not."""
    harness.load(2, 1)
    harness.sandbox.change_course(1, course_type=word)
    row = {"course_code": "C1"} if by_code else {"course_id": 1}
    job = ArchiveJob.from_rows([{"user_id": 1001, **row}], **UNENROLL)
    plan = job.plan(harness.client)
    (text,) = [text for text in plan.warnings if "instructor-led" in text]
    assert text.startswith(f"C1 is instructor-led ({word}): course enrollments are archived, ")
    assert text in str(plan)


def test_all_enrollments_of_an_instructor_led_course_are_warned_about_once(
    harness: Harness,
) -> None:
    """However many there are."""
    harness.load(5)
    harness.sandbox.change_course(1, course_type="classroom")
    plan = ArchiveJob.for_course(1, **UNENROLL).all_enrollments().plan(harness.client)
    assert sum("instructor-led" in text for text in plan.warnings) == 1


def test_an_instructor_led_course_of_a_learning_plan_is_warned_about(harness: Harness) -> None:
    """It is archived with the plan."""
    load_plans(harness, {50: [1, 2]})
    harness.sandbox.change_course(2, course_type="classroom")
    harness.sandbox.change_learning_plan(50, updated_on="2020-01-01")
    (text,) = [text for text in _plan(harness, plans=(50,)).warnings if "instructor-led" in text]
    assert text.startswith("course C2 of P50 is instructor-led (classroom): ")


@pytest.mark.parametrize("word", ["elearning", "", "something new"])
def test_other_courses_are_not_warned_about(harness: Harness, word: str) -> None:
    """A word that is not known is not guessed."""
    harness.load(1)
    harness.change("UPDATE courses SET course_type = ?", word)
    assert not [text for text in _plan(harness, courses=(1,)).warnings if "instructor" in text]


@pytest.mark.parametrize(
    ("age", "warned"),
    [
        (timedelta(0), True),
        (timedelta(hours=23), True),
        (timedelta(days=1), False),
        (timedelta(days=400), False),
        (None, False),
    ],
)
def test_a_learning_plan_changed_within_a_day_is_warned_about(
    harness: Harness, age: timedelta | None, *, warned: bool
) -> None:
    """Archived records keep the plan as it is when the job runs."""
    load_plans(harness, {50: [1]})
    at = None if age is None else f"{START - age:%Y-%m-%d %H:%M:%S}"
    harness.change("UPDATE learning_plans SET updated_on = ?", at)
    texts = [text for text in _plan(harness, plans=(50,)).warnings if "was changed on" in text]
    expected = f"P50 was changed on {at} UTC: archived records keep the plan as it is when the job "
    assert [text.startswith(expected) for text in texts] == ([True] if warned else [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exclude_courses": [2]}, "the course is a number, so it is read as a course id"),
        ({"courses": [1, 2]}, "all 2 courses are numbers, so they are read as course ids"),
        ({"courses": ["C1", 2]}, ""),
    ],
)
def test_courses_that_are_all_numbers_are_warned_about(
    harness: Harness, options: dict[str, Any], words: str
) -> None:
    """They may be codes that lost their type."""
    harness.load(2, 2)
    plan = ArchiveJob.for_users(["u1001"], **options, **UNENROLL).plan(harness.client)
    assert ("numbers" in str(plan.warnings) or "a number" in str(plan.warnings)) == bool(words)
    assert words in str(plan.warnings)


def test_an_exclusion_in_one_part_of_a_job_is_warned_about(harness: Harness) -> None:
    """The other part may name the same user."""
    harness.load(3)
    one = ArchiveJob.for_course("C1", **UNENROLL).all_enrollments(exclude=["u1002"])
    other = ArchiveJob.for_users(["u1002"], **UNENROLL)
    words = "exclude= holds for this part of the job only"
    assert words in str((one + other).plan(harness.client).warnings)
    assert words not in str(one.plan(harness.client).warnings)
