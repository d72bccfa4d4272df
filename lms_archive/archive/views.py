"""The views of plans and results: outcomes, pending rows and archived records, read lazily.

A view has a length, and each loop, index or slice reads it again; a slice is a list.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import index
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from attrs import field, frozen

from lms_archive.archive.added_columns import OUTCOME_COLUMNS, PLAN_COLUMNS, with_added
from lms_archive.archive.ledger import (
    cells_in,
    outcome_count_in,
    outcome_table_in,
    outcomes_in,
    pending_in,
    read_events,
    read_progress,
    target_kinds_in,
)
from lms_archive.archive.rendering import (
    Line,
    html,
    outcome_grid,
    record_grid,
)
from lms_archive.archive.selection import Selection, indexed
from lms_archive.archive.values.events import Noted, Warned
from lms_archive.archive.values.outcomes import Outcome, OutcomeView, PendingRow, Skip, user_of
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.errors import LmsArchiveError
from lms_archive.files import path_from
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.tables.columns import Column, columns_of, inferred_columns, rows_of
from lms_archive.tables.frames import Table

T = TypeVar("T")

_RECORDS = {
    "course": ArchivedCourseEnrollment,
    "learning_plan": ArchivedLearningPlanEnrollment,
}


def ledger_path_from(value: str | os.PathLike[str]) -> Path:
    """Return the path of a ledger, or raise an error for a value that is not a path."""
    return path_from(value, "ledger", "ledger.sqlite")


class RowView(Table, Generic[T]):
    """A table of which the length is known, with index and slices; a slice is a list."""

    __slots__ = ()

    def __iter__(self) -> Iterator[T]:
        return self._part(0)

    def __len__(self) -> int:
        raise NotImplementedError

    @overload
    def __getitem__(self, item: int) -> T: ...
    @overload
    def __getitem__(self, item: slice) -> list[T]: ...
    def __getitem__(self, item: int | slice) -> T | list[T]:
        length = len(self)
        if isinstance(item, slice):
            wanted = range(length)[item]
            if not wanted:
                return []
            first, last = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
            items = list(self._part(first, last - first + 1))
            return items[:: wanted.step] if len(wanted) > 1 else items
        number = index(item)
        if not -length <= number < length:
            raise IndexError(f"index {number} is out of range: there are {length:,}")
        (row,) = self._part(number % length, 1)
        return row

    def _part(self, first: int, count: int | None = None) -> Iterator[T]:
        """Yield *count* items, or all, from number *first* on."""
        raise NotImplementedError

    def _indexed(self) -> Iterable[Any]:
        """Return what has the position and the label of each row."""
        return self

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame; needs the extra `pandas`.

        The index holds the label of each row in its DataFrame, or for other rows the position in
        the input, from 0, so that a view can be joined to the input.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        return indexed(super().to_pandas(), self._indexed())


@frozen(repr=False)
class Outcomes(RowView[Outcome]):
    """Outcomes in input order, read from the ledger during iteration."""

    ledger: Path = field(converter=ledger_path_from)
    view: OutcomeView | None = None

    def __len__(self) -> int:
        return outcome_count_in(self.ledger, self.view)

    def _part(self, first: int, count: int | None = None) -> Iterator[Outcome]:
        return outcomes_in(self.ledger, self.view, first=first, count=count)

    def __repr__(self) -> str:
        which = (self.view or "outcomes").replace("needs", "need")
        return f"<Outcomes {_length(self)} {which}>"

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """Return all columns of the user, even for an empty view, and the added columns."""
        note = note_in(self.ledger)
        stored = outcome_table_in(self.ledger, self.view)
        rows = ((cells, (*values, note)) for cells, values in stored)
        return with_added(OUTCOME_COLUMNS, inferred_columns(cells_in(self.ledger)), rows)

    def _repr_html_(self) -> str:
        title = Line(f"Outcomes: {self.view or 'all rows'}", strong=True)
        return html([title, outcome_grid(self)])


@frozen(repr=False)
class SkippedRows(RowView[Outcome]):
    """The rows that a plan does not send, in input order, as the outcomes that they will have."""

    selection: Selection
    skips: Sequence[Skip]

    def __len__(self) -> int:
        return len(self.skips)

    def _part(self, first: int, count: int | None = None) -> Iterator[Outcome]:
        for skip in self.skips[first : None if count is None else first + count]:
            row = self.selection[skip.row]
            yield Outcome.of(row, skip.code, skip.reason, user_id=skip.user_id)

    def __repr__(self) -> str:
        return f"<SkippedRows {len(self):,} skipped>"

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """Return all columns of the user, and the columns of the outcomes."""
        rows = (
            (
                outcome.row,
                _added(
                    outcome=outcome.kind,
                    outcome_code=outcome.code,
                    outcome_reason=outcome.reason,
                    outcome_line=outcome.line,
                    outcome_row=outcome.position,
                    outcome_user_id=outcome.user_id,
                ),
            )
            for outcome in self
        )
        return with_added(OUTCOME_COLUMNS, _columns_of(self.selection), rows)

    def _repr_html_(self) -> str:
        return html([Line("Outcomes: skipped", strong=True), outcome_grid(self)])


@frozen(repr=False)
class Pending(RowView[PendingRow]):
    """Rows without an outcome, in input order, read from the ledger during iteration.

    Some of them may already have been sent: call `resume` before you plan them again.
    """

    ledger: Path = field(converter=ledger_path_from)

    def _part(self, first: int, count: int | None = None) -> Iterator[PendingRow]:
        for row in islice(islice(pending_in(self.ledger), first, None), count):
            yield PendingRow(row.line, row.cells, row.target, user_of(row), row.position, row.label)

    def __len__(self) -> int:
        return read_progress(self.ledger).pending

    def __repr__(self) -> str:
        return f"<Pending {_length(self)} pending>"

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """Return the columns of the outcomes, so that `from_csv` recognizes the file."""
        rows = (
            (row.row, _added(outcome="pending", outcome_line=row.line, outcome_row=row.position))
            for row in self
        )
        return with_added(OUTCOME_COLUMNS, inferred_columns(cells_in(self.ledger)), rows)


@frozen(repr=False)
class Records(RowView[ArchivedRecord]):
    """The archived records of a result, in input order, read from the ledger during iteration.

    As a table they have the columns of `ArchivedCourseEnrollment` or of
    `ArchivedLearningPlanEnrollment`, or of both where the job has targets of both kinds. The index
    of `to_pandas` is that of the outcomes.
    """

    ledger: Path = field(converter=ledger_path_from)

    def __len__(self) -> int:
        return outcome_count_in(self.ledger, "archived")

    def _part(self, first: int, count: int | None = None) -> Iterator[ArchivedRecord]:
        part = outcomes_in(self.ledger, "archived", first=first, count=count)
        return (outcome.record for outcome in part if outcome.record is not None)

    def __repr__(self) -> str:
        return f"<Records {_length(self)} archived>"

    def _indexed(self) -> Outcomes:
        return Outcomes(self.ledger, "archived")

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        kinds = target_kinds_in(self.ledger)
        classes = [cls for kind, cls in _RECORDS.items() if kind in kinds]
        return columns_of(*(classes or [ArchivedCourseEnrollment])), rows_of(self)

    def _repr_html_(self) -> str:
        return html([record_grid(self)])


def texts_in(ledger: Path, cls: type[Noted | Warned]) -> tuple[str, ...]:
    """Return the texts of these events, each once: every run of a job has its own."""
    return tuple(dict.fromkeys(event.text or "" for event in read_events(ledger, cls)))


def note_in(ledger: Path) -> str | None:
    """Return the notes passed to `apply` and each `resume`, or None."""
    return "; ".join(map(str, texts_in(ledger, Noted))) or None


def plan_table(
    plan: PlanData, selection: Selection
) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
    """Return the table of a plan: each row of the user, what will be done, and to whom."""
    planned = {
        member.row: (chunk.chunk_id, member) for chunk in plan.chunks for member in chunk.members
    }
    skips = {skip.row: skip for skip in plan.skips}

    def values(row: int) -> tuple[Any, ...]:
        if row in planned:
            chunk_id, member = planned[row]
            return (
                *("archive", None, None, chunk_id, member.user_id, member.username),
                *(member.enrolled_at, member.status, member.completed_at),
            )
        skip = skips[row]
        user = (skip.user_id, skip.username)
        return ("skip", skip.code, skip.reason, None, *user, None, None, None)

    rows = ((row.cells, values(row.index)) for row in selection)
    return with_added(PLAN_COLUMNS, _columns_of(selection), rows)


def _columns_of(selection: Selection) -> list[Column]:
    """Return the columns of the user; every column is one, even without a cell."""
    headers = (dict.fromkeys(part.header) for part in selection.rows)
    return inferred_columns(chain(headers, (row.cells for row in selection)))


def _length(view: Outcomes | Pending | Records) -> str:
    """Return the length of a view for its repr, which must not fail."""
    try:
        return f"{len(view):,}"
    except LmsArchiveError:
        return f"(ledger {str(view.ledger)!r} cannot be read)"


def _added(**values: Any) -> list[Any]:
    """Return these values of `OUTCOME_COLUMNS`, in their order; the others are empty."""
    return [values.get(column.name) for column in OUTCOME_COLUMNS]
