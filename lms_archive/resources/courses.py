"""Courses of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.errors import InvalidInputError, NotFoundError
from lms_archive.records.active import Course
from lms_archive.resources.listing import Listing
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, pages, structured

__all__ = ["Courses"]


class Courses:
    """`client.courses`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, search: str | None = None) -> Listing[Course]:
        """Every course, or those that the platform finds for a text; page by page.

        Calls `GET /course/v1/courses` (seen), 200 courses a call.

        Raises:
            ApiError: a call failed.
        """
        return Listing(Course, lambda: self.pages(search=search))

    def pages(self, *, search: str | None = None) -> Iterator[Page[Course]]:
        """The same, a page at a time, with what the platform says of the whole."""
        return pages(self._wire, "list_courses", Course, search=search)

    def get(self, course_id: int) -> Course:
        """The course of that id.

        Calls `GET /learn/v1/courses/{course_id}` (2017).

        Raises:
            NotFoundError: there is none.
        """
        given = {"course_id": course_id}
        reply = self._wire.call("get_course", **given)
        return structured(self._wire, "get_course", Course, reply.data, None, given)

    def find(self, code: str) -> Course:
        """The course with exactly that code.

        Calls `GET /course/v1/courses` with the code as search text (seen).

        Raises:
            NotFoundError: no course has it.
            InvalidInputError: several have it, so that only an id says which is meant.
        """
        found = [course for course in self.list(search=code) if course.code == code]
        if not found:
            row = self._wire.operation("list_courses")
            words = f"no course has the code {code!r}"
            raise NotFoundError(row.method, row.path, status=200, message=words)
        if len(found) > 1:
            ids = ", ".join(str(course.course_id) for course in found)
            raise InvalidInputError(
                f"{len(found)} courses have the code {code!r} (ids {ids}): give the id"
            )
        return found[0]
