"""Tables on disk: CSV that a spreadsheet cannot run, files whole or not there at all."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["OUTCOME_COLUMNS", "guarded", "unguarded", "whole_file", "write_csv"]

OUTCOME_COLUMNS = (
    "outcome",
    "outcome_code",
    "outcome_reason",
    "outcome_line",
    "outcome_user_id",
    "outcome_target_id",
    "outcome_record_id",
    "outcome_archived_at",
)
"""The columns that an outcome file adds to those that were given."""

_RUNS = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(cell: str) -> str:
    """The cell so that a spreadsheet shows it and does not run it."""
    return "'" + cell if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before `guarded`."""
    return cell[1:] if _GUARDED.match(cell) else cell


@contextmanager
def whole_file(path: str | os.PathLike[str], *, newline: str | None = None) -> Iterator[IO[str]]:
    """A text file (UTF-8) that appears under its name only when all of it is written.

    It is readable by its owner alone: it holds people's training records.
    """
    place = Path(path)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(
            handle, "w", encoding="utf-8", newline=newline, errors="backslashreplace"
        ) as file:
            yield file
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_csv(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV (UTF-8, comma); a None is an empty cell."""
    with whole_file(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(guarded(name) for name in header)
        for row in rows:
            cells = (row.get(name) for name in header)
            writer.writerow("" if cell is None else guarded(str(cell)) for cell in cells)
