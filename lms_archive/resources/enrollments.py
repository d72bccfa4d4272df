"""Active enrollments, in courses and in learning plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from lms_archive.errors import InvalidInputError
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus
from lms_archive.resources.arguments import checked_ids
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page, of_target, pages
from lms_archive.wire.session import Session

__all__ = ["Enrollments"]


class Enrollments:
    """`client.enrollments`: who is enrolled now."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        status: Iterable[EnrollmentStatus | str] | None = None,
    ) -> Listing[CourseEnrollment]:
        """The active enrollments of a course, page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments` (seen), 200 enrollments a call.
        A wrong filter seems to be ignored, not refused (inferred): check what comes.

        Args:
            course_id: the course.
            user_ids: only these users; at most 200 go well into one call.
            status: only these states, or this one.

        Raises:
            NotFoundError: there is no such course.
            ApiError: a call failed.
        """
        given: Any = _filters(user_ids, status)
        return Listing(CourseEnrollment, lambda: self.pages_in_course(course_id, **given))

    def in_learning_plan(
        self,
        learning_plan_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        status: Iterable[EnrollmentStatus | str] | None = None,
    ) -> Listing[LearningPlanEnrollment]:
        """The active enrollments of a learning plan, page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments` (seen), 200
        enrollments a call; otherwise as `in_course`.

        Raises:
            NotFoundError: there is no such learning plan.
            ApiError: a call failed.
        """
        given: Any = _filters(user_ids, status)
        return Listing(
            LearningPlanEnrollment, lambda: self.pages_in_learning_plan(learning_plan_id, **given)
        )

    def pages_in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        status: Iterable[EnrollmentStatus | str] | None = None,
    ) -> Iterator[Page[CourseEnrollment]]:
        """Yield `Page` objects instead of enrollments, each with the platform's total.

        Arguments and errors are those of `in_course`.
        """
        given = {"course_id": course_id, **_filters(user_ids, status)}
        found = pages(self._session, "course_enrollments", CourseEnrollment, **given)
        return of_target(found, course_id, attrgetter("course_id"))

    def pages_in_learning_plan(
        self,
        learning_plan_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        status: Iterable[EnrollmentStatus | str] | None = None,
    ) -> Iterator[Page[LearningPlanEnrollment]]:
        """Yield `Page` objects instead of enrollments, each with the platform's total.

        Arguments and errors are those of `in_learning_plan`.
        """
        given = {"learning_plan_id": learning_plan_id, **_filters(user_ids, status)}
        found = pages(self._session, "learning_plan_enrollments", LearningPlanEnrollment, **given)
        return of_target(found, learning_plan_id, attrgetter("learning_plan_id"))


def _filters(
    user_ids: Iterable[int] | None, status: Iterable[EnrollmentStatus | str] | None
) -> dict[str, list[int] | list[str] | None]:
    status = [status] if isinstance(status, str) else status
    if status is not None and not isinstance(status, Iterable):
        raise InvalidInputError(f"status must be a status or a list of them, not {status!r:.60}")
    return {
        "user_ids": checked_ids("user_ids", user_ids),
        "status": None if status is None else [str(word) for word in status],
    }
