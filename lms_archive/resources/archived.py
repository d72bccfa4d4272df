"""Archived enrollments: what left the active list, and can never come back (article)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from lms_archive.errors import BadInput
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, of_target, pages

__all__ = ["Archived"]


class Archived:
    """`client.archived`: what has been archived.

    The lists take the filters of the screen (article), as far as the platform has them; a wrong
    filter seems to be ignored, not refused (inferred): check what comes.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: str | None = None,
    ) -> Iterator[ArchivedCourseEnrollment]:
        """The archived enrollments of a course, page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments/archived` (assumed; the filters
        exist on the screen: article).

        Args:
            course_id: the course.
            user_ids: only these users; at most 200 go well into one call.
            archived_from: not before this aware time.
            archived_to: not after this aware time.
            archived_by: only what these users archived, by id.
            user_status: only users in this state: `"1"` active, `"0"` suspended (assumed).

        Raises:
            BadInput: a time without a zone, or a period that ends before it begins.
            NotFound: there is no such course, or the platform has no such list.
            ApiError: a call failed.
        """
        found = self.pages_in_course(
            course_id,
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return (one for page in found for one in page.items)

    def in_learning_plan(
        self,
        learning_plan_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: str | None = None,
    ) -> Iterator[ArchivedLearningPlanEnrollment]:
        """The archived enrollments of a learning plan, page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived`
        (assumed; that an API exists: article). Arguments and errors are those of `in_course`.
        """
        found = self.pages_in_learning_plan(
            learning_plan_id,
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return (one for page in found for one in page.items)

    def pages_in_course(
        self, course_id: int, **filters: Any
    ) -> Iterator[Page[ArchivedCourseEnrollment]]:
        """The same, a page at a time, with what the platform says of the whole."""
        given = {"course_id": course_id, **_checked(**filters)}
        found = pages(self._wire, "archived_course_enrollments", ArchivedCourseEnrollment, **given)
        return of_target(found, course_id, lambda one: one.course.course_id)

    def pages_in_learning_plan(
        self, learning_plan_id: int, **filters: Any
    ) -> Iterator[Page[ArchivedLearningPlanEnrollment]]:
        """The same, a page at a time, with what the platform says of the whole."""
        given = {"learning_plan_id": learning_plan_id, **_checked(**filters)}
        found = pages(
            self._wire,
            "archived_learning_plan_enrollments",
            ArchivedLearningPlanEnrollment,
            **given,
        )
        return of_target(found, learning_plan_id, lambda one: one.learning_plan.learning_plan_id)


def _checked(**filters: Any) -> dict[str, Any]:
    times = [(name, filters.get(name)) for name in ("archived_from", "archived_to")]
    for name, moment in times:
        if moment is not None and moment.tzinfo is None:
            raise BadInput(f"{name} needs a time zone, such as timezone.utc: {moment}")
    (_, begin), (_, end) = times
    if begin is not None and end is not None and begin > end:
        raise BadInput(f"archived_from {begin} lies after archived_to {end}")
    lists = ("user_ids", "archived_by")
    return {
        name: list(value) if name in lists and value is not None else value
        for name, value in filters.items()
    }
