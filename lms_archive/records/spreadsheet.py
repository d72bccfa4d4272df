"""CSV that a spreadsheet cannot run."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lms_archive.files import whole_file

__all__ = ["guarded", "unguarded", "write_csv"]

_RUNS = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(cell: str) -> str:
    """The cell so that a spreadsheet shows it and does not run it."""
    return "'" + cell if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before `guarded`."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_csv(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV (UTF-8, comma); a None is an empty cell."""
    with whole_file(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_written(name) for name in header)
        for row in rows:
            cells = (row.get(name) for name in header)
            writer.writerow("" if cell is None else _written(str(cell)) for cell in cells)


def _written(cell: str) -> str:
    """The cell as it goes out; the CSV of Python 3.10 takes no NUL, and reading shows it so."""
    return guarded(cell.replace("\0", "\N{SYMBOL FOR NULL}"))
