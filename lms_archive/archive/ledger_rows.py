"""What a ledger tells of its rows, read as it is iterated, without holding the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lms_archive.archive.entries import row_to_outcome
from lms_archive.archive.ledger import reading
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.pieces import row_of
from lms_archive.archive.schema import BLOCK_OF, BLOCKS, LATEST
from lms_archive.archive.selection import Row

__all__ = ["asked_in", "outcomes_in"]


class _Asked:
    """The rows asked for, of which a block is in memory at a time."""

    def __init__(self, find: Callable[[int], tuple[int, str] | None]) -> None:
        self._find = find
        self._first, self._header = 0, ()
        self._rows: list[list[Any]] = []

    def __getitem__(self, row: int) -> Row:
        if not self._first <= row < self._first + len(self._rows):
            found = self._find(row)
            if found is None:
                raise LookupError(f"row {row} is not in its plan")
            self._first, block = found[0], json.loads(found[1])
            self._header, self._rows = block["header"], block["rows"]
        return row_of(row, self._header, self._rows[row - self._first])


def outcomes_in(path: Path, kind: str | None = None) -> Iterator[Outcome]:
    """The outcomes that a ledger holds, in input order, one in memory at a time."""
    where = "" if kind is None else " AND kind = ?"
    given = () if kind is None else (kind,)
    with reading(path) as database:
        asked = _Asked(lambda row: database.execute(BLOCK_OF, (row,)).fetchone())
        for values in database.execute(f"{LATEST}{where} ORDER BY row", given):
            yield row_to_outcome(values, asked[values[0]])


def asked_in(path: Path) -> Iterator[tuple[list[str], list[list[Any]]]]:
    """The rows asked for, block by block: the names of the columns, and the rows as pieces."""
    with reading(path) as database:
        for (text,) in database.execute(BLOCKS):
            block = json.loads(text)
            yield block["header"], block["rows"]
