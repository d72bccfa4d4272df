"""Courses of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.records.active import Course
from lms_archive.resources.arguments import checked_id
from lms_archive.resources.base import Resource
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page
from lms_archive.wire.tracebacks import short_tracebacks


@short_tracebacks
class Courses(Resource[Course]):
    """`client.courses`: the courses of the platform."""

    _record = Course
    _noun = "course"
    _id = "course_id"
    _list = "list_courses"
    _get = "get_course"

    def list(self, *, search: str | None = None) -> Listing[Course]:
        """List all courses, or those that match a search, reading page by page.

        Calls `GET /course/v1/courses` (seen), 200 courses a call.

        Args:
            search: text that the platform looks for in code and title.

        Raises:
            InvalidInputError: the search is not text, or contains half a character.
            ApiError: a call failed.
        """
        return self._listing(search=search)

    def pages(self, *, search: str | None = None) -> Iterator[Page[Course]]:
        """Yield `Page` objects with the platform's totals; arguments as for `list`."""
        return self._pages(search=search)

    def get(self, course_id: int) -> Course:
        """Get a course by its id.

        Calls `GET /learn/v1/courses/{course_id}` (2017).

        Raises:
            InvalidInputError: the id is not a whole number.
            NotFoundError: the course does not exist.
            UnexpectedResponseError: the answer is about another course.
        """
        return self._fetch(checked_id("course_id", course_id, "code use find"))

    def find(self, code: str) -> Course:
        """Find the course with exactly this code.

        Calls `GET /course/v1/courses` with the code as search text (seen).

        Raises:
            NotFoundError: no course has this code.
            InvalidInputError: several courses have this code; use the id.
        """
        return self._find_exact("code", code, search=code)
