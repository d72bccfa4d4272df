"""CSV text, read a block at a time: split where that is enough, parsed where it is not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from operator import methodcaller
from typing import TextIO

from lms_archive.archive.rows import TextRows

__all__ = ["CsvText"]

_QUOTE = '"'
_PARSED_AT_ONCE = 256
"""More rows, a list each, would wake the garbage collector in vain."""


class CsvText:
    """CSV text whose first line has been read already.

    Args:
        first: that line.
        rest: what follows, its line ends as they are.
        delimiter: what parts the cells.
        size: so many characters, and the rest of their line, are read at once.

    Attributes:
        line: the line where the row begins that comes next.
    """

    def __init__(self, first: str, rest: TextIO, delimiter: str, size: int = 2**16) -> None:
        self.line: int = 1
        self._first, self._rest, self._delimiter, self._size = first, rest, delimiter, size

    def header(self) -> list[str]:
        """The first row, which is read first.

        Raises:
            csv.Error: it breaks off, here as in `feed`.
        """
        rows, _ = next(self._parsed(self._first))
        return rows[0]

    def feed(self, rows: TextRows) -> None:
        """Give all other rows to what collects them."""
        while block := self._rest.read(self._size) + self._rest.readline():
            columns = _split(_without_nul(block), self._delimiter, rows.width)
            if columns is None:
                for some, starts in self._parsed(block):
                    rows.add_texts(some, starts)
            else:
                begun, self.line = self.line, self.line + len(columns[0])
                rows.add_columns(columns, range(begun, self.line))

    def _parsed(self, block: str) -> Iterator[tuple[list[list[str]], list[int]]]:
        """The rows that begin in a block of whole lines, and the line where each begins."""
        lines = list(io.StringIO(block, newline=""))
        reader = csv.reader(
            map(_without_nul, chain(lines, self._rest)), delimiter=self._delimiter, strict=True
        )
        before = self.line
        while reader.line_num < len(lines):
            rows: list[list[str]] = []
            starts: list[int] = []
            while len(rows) < _PARSED_AT_ONCE and reader.line_num < len(lines):
                rows.append(next(reader))
                starts.append(self.line)
                self.line = before + reader.line_num
            yield rows, starts


_without_nul = methodcaller("replace", "\0", "\N{SYMBOL FOR NULL}")
"""Text as csv takes it in every Python: NUL is an error until 3.10."""


def _split(block: str, delimiter: str, width: int) -> list[list[str]] | None:
    """The cells by column, where no row has quotes and each has `width` cells."""
    block = block.replace("\r\n", "\n")
    if _QUOTE in block or "\r" in block:
        return None
    if not block.endswith("\n"):
        block += "\n"
    cells = block.replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    height = block.count("\n")
    ends = cells[width :: width + 1]
    if len(cells) != height * (width + 1) + 1 or ends.count("\n") != height:
        return None
    return [cells[i : -1 : width + 1] for i in range(width)]
