"""The base class of resources with a list for each course and each learning plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, TypeVar

from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.resources.arguments import checked_target
from lms_archive.resources.base import OfSession
from lms_archive.resources.courses import Courses
from lms_archive.resources.learning_plans import LearningPlans
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page, of_target, pages

T = TypeVar("T")

_LISTS: Final[Mapping[type, tuple[str, str, str]]] = {
    CourseEnrollment: ("course_enrollments", "course_id", "course_id"),
    LearningPlanEnrollment: (
        "learning_plan_enrollments",
        "learning_plan_id",
        "learning_plan_id",
    ),
    ArchivedCourseEnrollment: ("archived_course_enrollments", "course_id", "course.course_id"),
    ArchivedLearningPlanEnrollment: (
        "archived_learning_plan_enrollments",
        "learning_plan_id",
        "learning_plan.learning_plan_id",
    ),
}
"""For each record: its list, the list's parameter, and where the record holds the same id."""


class ListsOfTargets(OfSession):
    """A resource with a list for each course and learning plan, named by id (int) or code (str)."""

    def _checked(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _listing(self, cls: type[T], target: int | str, filters: Mapping[str, Any]) -> Listing[T]:
        checked, target = self._checked(filters), checked_target(_noun(cls), target)
        return Listing(cls, lambda: self._read(cls, target, checked))

    def _pages(
        self, cls: type[T], target: int | str, filters: Mapping[str, Any]
    ) -> Iterator[Page[T]]:
        return self._read(cls, checked_target(_noun(cls), target), self._checked(filters))

    def _read(
        self, cls: type[T], target: int | str, filters: Mapping[str, Any]
    ) -> Iterator[Page[T]]:
        """Yield the pages of a target's list; look up its code first."""
        operation, word, attribute = _LISTS[cls]
        if isinstance(target, str):
            target = self._find(word, target)
        listed = pages(self._session, operation, cls, **{word: target}, **filters)
        yield from of_target(listed, target, attrgetter(attribute))

    def _find(self, word: str, code: str) -> int:
        if word == "course_id":
            return Courses(self._session).find(code).course_id
        return LearningPlans(self._session).find(code).learning_plan_id


def _noun(cls: type) -> str:
    return _LISTS[cls][1].removesuffix("_id").replace("_", " ")
