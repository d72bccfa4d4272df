"""Courses and learning plans alike: the lists and the write of whatever a target is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.client import Client
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus
from lms_archive.wire.pages import Page

__all__ = ["Active", "Archived", "active_pages", "archived_pages", "name_of"]

Active = CourseEnrollment | LearningPlanEnrollment
Archived = ArchivedCourseEnrollment | ArchivedLearningPlanEnrollment


def active_pages(
    client: Client,
    target: PlannedTarget,
    *,
    user_ids: Iterable[int] | None = None,
    status: Iterable[EnrollmentStatus | str] | None = None,
) -> Iterator[Page[Active]]:
    """The active enrollments of a target, a page at a time."""
    lists: dict[str, Callable[..., Iterator[Page[Active]]]] = {
        "course": client.enrollments.pages_in_course,
        "learning_plan": client.enrollments.pages_in_learning_plan,
    }
    return lists[target.kind](target.target_id, user_ids=user_ids, status=status)


def archived_pages(
    client: Client,
    target: PlannedTarget,
    *,
    user_ids: Iterable[int] | None = None,
    archived_from: datetime | None = None,
) -> Iterator[Page[Archived]]:
    """The archived enrollments of a target, a page at a time."""
    lists: dict[str, Callable[..., Iterator[Page[Archived]]]] = {
        "course": client.archived.pages_in_course,
        "learning_plan": client.archived.pages_in_learning_plan,
    }
    return lists[target.kind](target.target_id, user_ids=user_ids, archived_from=archived_from)


def name_of(one: Active) -> tuple[str | None, str | None]:
    """The code and the title of the target, as one of its enrollments tells them."""
    if isinstance(one, CourseEnrollment):
        return one.course_code, one.course_title
    return one.learning_plan_code, one.learning_plan_title
