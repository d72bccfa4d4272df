"""List the active enrollments in courses and learning plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from lms_archive.errors import InvalidInputError
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.status import STATUS_WORDS, EnrollmentStatus, StatusWord
from lms_archive.resources.arguments import checked_ids, is_iterable
from lms_archive.resources.listing import Listing
from lms_archive.resources.signatures import shows_options
from lms_archive.resources.targets import ListsOfTargets
from lms_archive.wire.pages import Page
from lms_archive.wire.tracebacks import short_tracebacks

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

Statuses = EnrollmentStatus | StatusWord | Iterable[EnrollmentStatus | StatusWord]


class EnrollmentFilters(TypedDict, total=False):
    """The filters of active lists, for type checkers."""

    user_ids: Iterable[int] | None
    status: Statuses | None


_takes_filters = shows_options(EnrollmentFilters, {"user_ids": None, "status": None})


@short_tracebacks
class Enrollments(ListsOfTargets):
    """`client.enrollments`: the active enrollments of the platform."""

    @_takes_filters
    def in_course(
        self, course: int | str, **filters: Unpack[EnrollmentFilters]
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
            InvalidInputError: a filter cannot be used.
            NotFoundError: the course does not exist.
            ApiError: a call failed.
        """
        return self._listing(CourseEnrollment, course, filters)

    @_takes_filters
    def in_learning_plan(
        self, learning_plan: int | str, **filters: Unpack[EnrollmentFilters]
    ) -> Listing[LearningPlanEnrollment]:
        """List the active enrollments of a learning plan, reading page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments` (seen), 200
        enrollments a call; a code is looked up by `client.learning_plans.find`. Arguments are those
        of `in_course`.

        Raises:
            InvalidInputError: a filter cannot be used.
            NotFoundError: the learning plan does not exist.
            ApiError: a call failed.
        """
        return self._listing(LearningPlanEnrollment, learning_plan, filters)

    @_takes_filters
    def pages_in_course(
        self, course: int | str, **filters: Unpack[EnrollmentFilters]
    ) -> Iterator[Page[CourseEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_course`."""
        return self._pages(CourseEnrollment, course, filters)

    @_takes_filters
    def pages_in_learning_plan(
        self, learning_plan: int | str, **filters: Unpack[EnrollmentFilters]
    ) -> Iterator[Page[LearningPlanEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_learning_plan`."""
        return self._pages(LearningPlanEnrollment, learning_plan, filters)

    def _checked(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        status = filters.get("status")
        words: Any = [status] if isinstance(status, str) else status
        if words is not None and not is_iterable(words):
            raise InvalidInputError(
                f"status must be a status or a list of them, not {status!r:.60}"
            )
        statuses = None if words is None else [str(word) for word in words]
        for word in statuses or ():
            if word not in STATUS_WORDS:
                possible = ", ".join(repr(status.value) for status in EnrollmentStatus)
                raise InvalidInputError(f"status={word!r:.60} is not possible: give {possible}")
        return {
            "user_ids": checked_ids("user_ids", filters.get("user_ids")),
            "status": statuses,
        }
