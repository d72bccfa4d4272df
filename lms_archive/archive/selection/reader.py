"""Judge rows as they come, and collect them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Sequence
from typing import Any

from lms_archive.archive.selection.cells import (
    LONGEST_NAME,
    BadRow,
    is_blank,
    to_cell,
    to_python,
)
from lms_archive.archive.selection.columns import Columns
from lms_archive.archive.selection.labels import Label
from lms_archive.archive.selection.rows import Fault, Rows, RowsBuilder
from lms_archive.errors import InvalidInputError

__all__ = ["RowReader", "broken_off"]

_MOST_SHARED = 2**16


class RowReader:
    """Judge rows by one set of rules, whatever they come from.

    Blank rows ask for nothing. A row that cannot be used is kept with its reason.

    Args:
        columns: the columns of the source.
        source: where the rows come from, for errors.
        name: the same, for the job's repr.
        dropped: names of columns that are read and not kept.
        change: what is done to each text before it is read.
    """

    def __init__(
        self,
        columns: Columns,
        source: str,
        name: str = "",
        *,
        dropped: Collection[str] = (),
        change: Callable[[str], str] | None = None,
    ) -> None:
        self._columns, self._source, self._change = columns, source, change
        self._kept = [at for at, column in enumerate(columns.header) if column not in dropped]
        self._builder = RowsBuilder((columns.header[at] for at in self._kept), name)
        self._shared: dict[str, str] = {}

    def note(self, text: str) -> None:
        """Keep a text for the plan's warnings."""
        self._builder.notes.append(text)

    def rows(self) -> Rows:
        """Return all rows that were added."""
        return self._builder.rows()

    def add_values(self, values: Sequence[Any], number: int, label: Label | None = None) -> None:
        """Add a row of values of any kind; it is the *number*-th one.

        Raises:
            InvalidInputError: a value cannot be kept.
        """
        values, cells = list(map(to_python, values)), []
        try:
            for value in values:
                cells.append(to_cell(value))  # noqa: PERF401  its length says where it failed
        except ValueError as error:
            raise InvalidInputError(
                f"row {number}: cannot be kept: {error}; give it as text",
                source=self._source,
                column=self._columns.header[len(cells)],
            ) from None
        self._add(values, cells, None, label)

    def add_csv(self, reader: Any, above: int) -> None:
        """Add all rows of a `csv.reader`; *above* lines are before those that it reads.

        Where one column names the user and one the target, most rows go a short way, which is
        four times as fast. It decides nothing: a row that is not as usual goes the long way.

        Raises:
            InvalidInputError: the text breaks off.
        """
        columns = self._columns
        add_entry, add_line = self._builder.entries.append, self._builder.lines.append
        width, user_at, target_at = len(columns.header), columns.only_username, columns.only_target
        is_plain = user_at is not None and target_at is not None and not self._change
        others = [at for at in range(width) if at not in (user_at, target_at)]
        known: dict[str, tuple[int, str]] = {}
        share = self._share
        line = above + reader.line_num + 1
        try:
            for cells in reader:
                start, line = line, above + reader.line_num + 1
                if is_plain and len(cells) == width:
                    user, target = cells[user_at], known.get(cells[target_at])
                    usual = "\0" not in user if user.isascii() else user.isprintable()
                    if target and user.strip() and usual and len(user) <= LONGEST_NAME:
                        number, cells[target_at] = target
                        for at in others:
                            cells[at] = share(cells[at])
                        add_entry((number, user, *cells))
                        add_line(start)
                        continue
                judged = self._add_texts(cells, start)
                if is_plain and judged is not None:
                    known[cells[target_at]] = judged, cells[target_at]
        except csv.Error as error:
            raise broken_off(error, self._source, line) from None

    def _add_texts(self, cells: Sequence[str], line: int) -> int | None:
        if not cells:
            return None
        cells = list(map(self._change, cells)) if self._change else cells
        return self._add(cells, list(map(self._share, cells)), line)

    def _share(self, text: str) -> str:
        """Return a text that is equal and the same each time: what is often equal is kept once."""
        if len(self._shared) > _MOST_SHARED:
            self._shared.clear()
        return self._shared.setdefault(text, text)

    def _add(
        self,
        values: Sequence[Any],
        cells: Sequence[Any],
        line: int | None,
        label: Label | None = None,
    ) -> int | None:
        """Judge one row by its values, add its cells, and return the number of its target."""
        if all(map(is_blank, values)):
            self._builder.skip_blank()
            return None
        kept = [cells[at] for at in self._kept if at < len(cells)]
        try:
            values = self._columns.fitted(values)
            target, user = self._columns.target(values), self._columns.user(values)
        except BadRow as error:
            fault = Fault("bad_row", str(error))
            self._builder.add(kept, line, None, None, fault, label=label)
            return None
        return self._builder.add(kept, line, target, user, label=label)


def broken_off(error: csv.Error, source: str, line: int) -> InvalidInputError:
    """Return the error for CSV that cannot be read on from a line."""
    return InvalidInputError(
        f"the CSV breaks off here: {error}. Look for a quote that is not closed",
        source=source,
        line=line,
    )
