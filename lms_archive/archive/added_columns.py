"""The columns that plans and results add to the rows of a user.

The user's columns keep their names. The added columns come after them; where an added column has
the name of one of theirs, all added columns end in `_2` (or `_3`, ...). So the header shows
whether this library wrote a file: it has a complete set of added columns.
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
"""The columns that a result adds to each row."""

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
"""The columns that a plan adds to each row."""

_LISTS: Final = (
    CourseEnrollment,
    LearningPlanEnrollment,
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
)


def _rename_added(columns: Sequence[Column], others: Collection[str]) -> list[Column]:
    """Rename added columns so that none of them has the name of a user's column."""
    taken = {name.casefold() for name in others}
    suffix = next(
        suffix
        for suffix in chain([""], (f"_{number}" for number in count(2)))
        if taken.isdisjoint(f"{column.name}{suffix}" for column in columns)
    )
    return [evolve(column, name=f"{column.name}{suffix}") for column in columns]


def find_added(header: Sequence[str]) -> frozenset[str] | None:
    """Return which columns of a file this library has added, or None for a file of another origin.

    They are the last complete set, because added columns come after the user's. A list of
    enrollments is a file of this library too, without added columns.
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


def _unify_spellings(names: Iterable[str]) -> dict[str, str]:
    """Return the name under which each column of a user is written.

    Rows of several sources may name the same column `Username` and `user_name`: both are written
    in one column, under the first of these names.
    """
    first: dict[object, str] = {}
    return {name: first.setdefault(column_word(name) or (name,), name) for name in names}


def with_added(
    added: Sequence[Column],
    columns: Sequence[Column],
    rows: Iterable[tuple[Mapping[str, Any], Sequence[Any]]],
) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
    """Add the columns of a plan or of a result to the columns and rows of a user.

    Args:
        added: `PLAN_COLUMNS` or `OUTCOME_COLUMNS`.
        columns: the user's columns.
        rows: the user's cells of each row, and its values for the added columns.
    """
    written = _unify_spellings(column.name for column in columns)
    kept = [column for column in columns if written[column.name] == column.name]
    added = _rename_added(added, written)
    names = [column.name for column in added]

    def table() -> Iterator[Mapping[str, Any]]:
        for cells, values in rows:
            own = {written[name]: cell for name, cell in cells.items()}
            own.update(zip(names, values, strict=True))
            yield own

    return [*kept, *added], table()
