"""Archived enrollments: what left the active list, and can never come back (article)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from lms_archive.errors import BadInput
from lms_archive.records.archived import ArchivedCourseEnrollment
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, of_course, pages

__all__ = ["Archived"]


class Archived:
    """`client.archived`: what has been archived."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
    ) -> Iterator[ArchivedCourseEnrollment]:
        """The archived enrollments of a course, page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments/archived` (assumed; the filters
        exist on the screen: article). A wrong filter seems to be ignored, not refused.

        Args:
            course_id: the course.
            user_ids: only these users; at most 200 go well into one call.
            archived_from: not before this aware time.
            archived_to: not after this aware time.

        Raises:
            BadInput: a time without a zone.
            NotFound: there is no such course, or the platform has no such list.
            ApiError: a call failed.
        """
        for page in self.pages_in_course(
            course_id, user_ids=user_ids, archived_from=archived_from, archived_to=archived_to
        ):
            yield from page.items

    def pages_in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
    ) -> Iterator[Page[ArchivedCourseEnrollment]]:
        """The same, a page at a time, with what the platform says of the whole."""
        for name, moment in (("archived_from", archived_from), ("archived_to", archived_to)):
            if moment is not None and moment.tzinfo is None:
                raise BadInput(f"{name} needs a time zone, such as timezone.utc: {moment}")
        found = pages(
            self._wire,
            "archived_course_enrollments",
            ArchivedCourseEnrollment,
            course_id=course_id,
            user_ids=None if user_ids is None else list(user_ids),
            archived_from=archived_from,
            archived_to=archived_to,
        )
        return of_course(found, course_id, lambda one: one.course.course_id)
