"""Lists of the platform that are read lazily, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from lms_archive.errors import InvalidInputError
from lms_archive.tables.columns import Column, columns_of, rows_of
from lms_archive.tables.frames import Table
from lms_archive.tables.html import MAX_ROWS, block, counted, line, table
from lms_archive.wire.pages import Page
from lms_archive.wire.tracebacks import short_tracebacks

T = TypeVar("T")

_SHOWN: Final[Mapping[str, str]] = {
    "ArchivedCourseEnrollment": "record_id user_id username course_code course_title status"
    " enrolled_at completed_at archived_at",
    "ArchivedLearningPlanEnrollment": "record_id user_id username learning_plan_code"
    " learning_plan_title status enrolled_at completed_at archived_at",
    "BackgroundJob": "job_id name status percent errors total created_at",
    "Course": "course_id code title type",
    "CourseEnrollment": "user_id username course_code course_title status level enrolled_at"
    " completed_at",
    "LearningPlan": "learning_plan_id code title is_published courses_count updated_at",
    "LearningPlanCourse": "course_id code title type",
    "LearningPlanEnrollment": "user_id username learning_plan_code learning_plan_title status"
    " enrolled_at completed_at",
    "User": "user_id username first_name last_name is_active last_login_at",
}


@short_tracebacks
class Listing(Table, Generic[T]):
    """A list of records on the platform, which is read only when it is used.

    Each loop over it, `to_csv`, `to_pandas` and `to_arrow` reads the list again, one page in
    memory at a time; `list(...)` keeps the records. In a notebook it shows the first page.
    """

    __slots__ = ("_cls", "_pages")

    def __init__(self, cls: type[T], pages: Callable[[], Iterator[Page[T]]]) -> None:
        self._cls, self._pages = cls, pages

    def __iter__(self) -> Iterator[T]:
        return (record for page in self._pages() for record in page.items)

    def head(self, count: int = 10) -> list[T]:
        """Return the first *count* records; reads only the pages that hold them.

        Raises:
            InvalidInputError: `count` is not a whole number of at least 0.
            ApiError: a call failed.
        """
        if type(count) is not int or count < 0:
            raise InvalidInputError(f"count must be a whole number of at least 0, not {count!r}")
        return list(islice(self, count))

    def __repr__(self) -> str:
        return f"<Listing of {self._cls.__name__}: read when it is iterated>"

    def __reduce__(self) -> Any:
        raise InvalidInputError(
            "a listing is read through its client: pickle the client, or list(listing)"
        )

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        return columns_of(self._cls), rows_of(self)

    def _repr_html_(self) -> str:
        page = next(self._pages(), None)
        items = page.items[:MAX_ROWS] if page else ()
        total = page.total if page else 0
        header = _SHOWN[self._cls.__name__].split()
        rows = ([row[name] for name in header] for row in rows_of(items))
        return block(
            line(f"{self._cls.__name__}: {counted(len(items), total, 'record')}", strong=True),
            table(header, rows),
        )
