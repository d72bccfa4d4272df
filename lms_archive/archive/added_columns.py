"""The columns that plans and results add to the rows of a user, and how files of ours are known.

The user's columns keep their names, whatever these are. Ours come after them; where one of ours
has a name of theirs, all of ours end in `_2` (or `_3`, ...). So a file of ours is known by its
header: it has a whole set of our columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, Final

from attrs import evolve

from lms_archive.archive.selection.columns import column_word
from lms_archive.archive.values.outcomes import CODES, KINDS
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.tables.columns import Column, columns_of

__all__ = ["OUTCOME_COLUMNS", "PLAN_COLUMNS", "added_in", "beside", "spellings", "with_outcomes"]

OUTCOME_COLUMNS: Final = (
    Column("outcome", "word", words=KINDS),
    Column("outcome_code", "word", words=tuple(CODES)),
    Column("outcome_reason", "text"),
    Column("outcome_differences", "text"),
    Column("outcome_line", "integer"),
    Column("outcome_row", "integer"),
    Column("outcome_user_id", "integer"),
    Column("outcome_target_id", "integer"),
    Column("outcome_record_id", "integer"),
    Column("outcome_archived_at", "time"),
    Column("outcome_note", "text"),
)
"""What a result adds to each row."""

PLAN_COLUMNS: Final = (
    Column("plan", "word", words=("archive", "skip")),
    Column("plan_code", "text"),
    Column("plan_reason", "text"),
    Column("plan_chunk", "text"),
    Column("plan_user_id", "integer"),
    Column("plan_username", "text"),
    Column("plan_enrolled_at", "time"),
    Column("plan_status", "text"),
    Column("plan_completed_at", "time"),
)
"""What a plan adds to each row."""

_LISTS: Final = (
    CourseEnrollment,
    LearningPlanEnrollment,
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
)


def beside(columns: Sequence[Column], given: Collection[str]) -> list[Column]:
    """Name columns of ours so that none of them has a name of the user's."""
    taken = {name.casefold() for name in given}
    suffix = next(
        suffix
        for suffix in chain([""], (f"_{number}" for number in count(2)))
        if taken.isdisjoint(f"{column.name}{suffix}" for column in columns)
    )
    return [evolve(column, name=f"{column.name}{suffix}") for column in columns]


def added_in(header: Sequence[str]) -> frozenset[str] | None:
    """Say which columns of a file this library has added, or None where it is not a file of ours.

    They are the last whole set, since ours come after the user's. Lists of enrollments are files
    of ours as well, to which nothing was added.
    """
    names = set(header)
    for last in reversed(header):
        for columns in (OUTCOME_COLUMNS, PLAN_COLUMNS):
            end = columns[-1].name
            if last.startswith(end):
                added = frozenset(f"{column.name}{last[len(end) :]}" for column in columns)
                if added <= names:
                    return added
    lists = ({column.name for column in columns_of(cls)} for cls in _LISTS)
    return frozenset() if any(columns <= names for columns in lists) else None


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Say under which name each column of a user is written.

    That is its own, but for rows of several sources that call the same thing `Username` and
    `user_name`: those are one column, under the first of these names.
    """
    first: dict[object, str] = {}
    return {name: first.setdefault(column_word(name) or (name,), name) for name in names}


def with_outcomes(
    given: Sequence[Column], rows: Iterable[tuple[Mapping[str, Any], Sequence[Any]]]
) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
    """Put what a result adds beside the columns and rows of a user.

    Args:
        given: the user's columns.
        rows: the cells of each row as given, and what `OUTCOME_COLUMNS` hold of it.
    """
    written = spellings(column.name for column in given)
    kept = [column for column in given if written[column.name] == column.name]
    added = beside(OUTCOME_COLUMNS, written)
    names = [column.name for column in added]

    def table() -> Iterator[Mapping[str, Any]]:
        for cells, ours in rows:
            own = {written[name]: cell for name, cell in cells.items()}
            yield {**own, **dict(zip(names, ours, strict=True))}

    return [*kept, *added], table()
