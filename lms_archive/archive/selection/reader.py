"""Check rows one by one, and collect them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
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
from lms_archive.archive.selection.rows import Fault, Rows
from lms_archive.errors import InvalidInputError

_MOST_SHARED = 2**16


class RowReader:
    """A reader that checks the rows of any source by the same rules.

    Blank rows are skipped. A row that cannot be used is kept with its reason.

    *source* names the rows in errors, *name* in the job's repr. Columns that are *dropped* are not
    kept; *change* is applied to each text first.
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
        names = columns.names
        self.rows: Rows = Rows(tuple(names[at] for at in self._kept), name)
        self.rows.notes.extend(
            f"{name or source}: the column {old!r:.60} is {new!r:.60} in this job and its files, "
            "because of columns="
            for old, new in zip(columns.header, names, strict=True)
            if old != new
        )
        self._share = lru_cache(_MOST_SHARED)(str)  # one object for equal texts saves memory

    def add_values(self, values: Sequence[Any], number: int, label: Label | None = None) -> None:
        """Add row *number*, whose values may be of any type."""
        values, cells = list(map(to_python, values)), []
        try:
            for value in values:
                cells.append(to_cell(value))  # noqa: PERF401  its length shows where it failed
        except ValueError as error:
            raise InvalidInputError(
                f"row {number}: the value cannot be stored: {error}; give it as text",
                source=self._source,
                column=self._columns.header[len(cells)],
            ) from None
        self._add(values, cells, None, label)

    def add_csv(self, reader: Any, above: int) -> None:
        """Add all rows of a `csv.reader`; the file has *above* lines before those that it reads.

        Where one column names the user and one column the target, ordinary rows take a fast path
        (four times as fast); it makes no decisions, and every unusual row takes the slow path.
        """
        columns, share = self._columns, self._share
        add_entry, add_line = self.rows.entries.append, self.rows.lines.append
        width, user_at, target_at = len(columns.header), columns.only_username, columns.only_target
        is_plain = user_at is not None and target_at is not None and not self._change
        others = [at for at in range(width) if at not in (user_at, target_at)]
        targets: dict[str, tuple[int, str]] = {}
        line = above + reader.line_num + 1
        try:
            for cells in reader:
                start, line = line, above + reader.line_num + 1
                if is_plain and len(cells) == width:
                    user, target = cells[user_at], targets.get(cells[target_at])
                    is_name = user.isprintable() and user.strip() and len(user) <= LONGEST_NAME
                    if target and is_name:
                        number, cells[target_at] = target
                        for at in others:
                            cells[at] = share(cells[at])
                        add_entry((number, user, *cells))
                        add_line(start)
                        continue
                judged = self._add_texts(cells, start)
                if is_plain and judged is not None:
                    targets[cells[target_at]] = judged, cells[target_at]
        except csv.Error as error:
            raise broken_off(error, self._source, line) from None

    def _add_texts(self, cells: Sequence[str], line: int) -> int | None:
        cells = list(map(self._change, cells)) if self._change else cells
        return self._add(cells, list(map(self._share, cells)), line)

    def _add(
        self,
        values: Sequence[Any],
        cells: Sequence[Any],
        line: int | None,
        label: Label | None = None,
    ) -> int | None:
        """Check one row by its values, add its cells, and return the number of its target."""
        if all(map(is_blank, values)):
            self.rows.skip_blank()
            return None
        kept = [cells[at] for at in self._kept if at < len(cells)]
        try:
            values = self._columns.fitted(values)
            target, user = self._columns.target(values), self._columns.user(values)
        except BadRow as error:
            fault = Fault("bad_row", str(error))
            self.rows.add(kept, line, None, None, fault, label=label)
            return None
        return self.rows.add(kept, line, target, user, label=label)


def broken_off(error: csv.Error, source: str, line: int) -> InvalidInputError:
    """Return the error for CSV that cannot be read from a line on."""
    return InvalidInputError(
        f"the CSV cannot be read from here on: {error}. Look for a quote that is not closed",
        source=source,
        line=line,
    )
