"""List the active enrollments in courses and learning plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from lms_archive.errors import InvalidInputError
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus, StatusWord
from lms_archive.resources.arguments import checked_ids
from lms_archive.resources.listing import Listing
from lms_archive.resources.targets import pages_of_course, pages_of_learning_plan
from lms_archive.wire.pages import Page, of_target, pages
from lms_archive.wire.session import Session
from lms_archive.wire.tracebacks import short_tracebacks

__all__ = ["Enrollments"]

Statuses = EnrollmentStatus | StatusWord | Iterable[EnrollmentStatus | StatusWord]


@short_tracebacks
class Enrollments:
    """`client.enrollments`: the active enrollments of the platform."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def in_course(
        self,
        course: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        status: Statuses | None = None,
    ) -> Listing[CourseEnrollment]:
        """List the active enrollments of a course, reading page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments` (seen), 200 enrollments a call.
        The platform seems to ignore an unknown filter instead of refusing it (inferred), so check
        the items.

        Args:
            course: its id (int), or its code (str), which `client.courses.find` looks up.
            user_ids: only these users; use at most 200 in a call.
            status: only this status, or any of several.

        Raises:
            NotFoundError: the course does not exist.
            ApiError: a call failed.
        """
        filters: Any = _filters(user_ids, status)
        return Listing(CourseEnrollment, lambda: self.pages_in_course(course, **filters))

    def in_learning_plan(
        self,
        learning_plan: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        status: Statuses | None = None,
    ) -> Listing[LearningPlanEnrollment]:
        """List the active enrollments of a learning plan, reading page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments` (seen), 200
        enrollments a call; a code is looked up by `client.learning_plans.find`. Arguments are those
        of `in_course`.

        Raises:
            NotFoundError: the learning plan does not exist.
            ApiError: a call failed.
        """
        filters: Any = _filters(user_ids, status)
        return Listing(
            LearningPlanEnrollment, lambda: self.pages_in_learning_plan(learning_plan, **filters)
        )

    def pages_in_course(
        self,
        course: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        status: Statuses | None = None,
    ) -> Iterator[Page[CourseEnrollment]]:
        """Yield `Page` objects instead of enrollments, each with the platform's total.

        Arguments and errors are those of `in_course`.
        """
        filters = _filters(user_ids, status)

        def read(course_id: int) -> Iterator[Page[CourseEnrollment]]:
            parameters = {"course_id": course_id, **filters}
            listed = pages(self._session, "course_enrollments", CourseEnrollment, **parameters)
            return of_target(listed, course_id, attrgetter("course_id"))

        return pages_of_course(self._session, course, read)

    def pages_in_learning_plan(
        self,
        learning_plan: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        status: Statuses | None = None,
    ) -> Iterator[Page[LearningPlanEnrollment]]:
        """Yield `Page` objects instead of enrollments, each with the platform's total.

        Arguments and errors are those of `in_learning_plan`.
        """
        filters = _filters(user_ids, status)

        def read(learning_plan_id: int) -> Iterator[Page[LearningPlanEnrollment]]:
            parameters = {"learning_plan_id": learning_plan_id, **filters}
            listed = pages(
                self._session, "learning_plan_enrollments", LearningPlanEnrollment, **parameters
            )
            return of_target(listed, learning_plan_id, attrgetter("learning_plan_id"))

        return pages_of_learning_plan(self._session, learning_plan, read)


def _filters(
    user_ids: Iterable[int] | None, status: Statuses | None
) -> dict[str, list[int] | list[str] | None]:
    words: Any = [status] if isinstance(status, str) else status
    if words is not None and not isinstance(words, Iterable):
        raise InvalidInputError(f"status must be a status or a list of them, not {status!r:.60}")
    return {
        "user_ids": checked_ids("user_ids", user_ids),
        "status": None if words is None else [str(word) for word in words],
    }
