"""CSV whose cells a spreadsheet does not run, written whole or not at all."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from lms_archive.errors import InvalidInputError
from lms_archive.files import whole_file
from lms_archive.tables.columns import text_of

__all__ = ["GUARD_HINT", "Destination", "guarded", "unguarded", "write_csv"]

Destination = str | os.PathLike[str] | IO[str]
"""Where a table is written: a path, or a file that is open for text."""

GUARD_HINT = "the ' at the start is for spreadsheets, and not a part of the name: remove it"
"""What to say of a name that may have been guarded, and is not found."""

_EXACT = 2**53
_RUNS = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(cell: str) -> str:
    """Put a `'` before a cell that a spreadsheet would run, so that it is shown instead."""
    return "'" + cell if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """Take off the `'` that `guarded` has put there."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_csv(
    destination: Destination, header: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV (UTF-8, comma); None is an empty cell, and ids are joined with commas.

    Raises:
        InvalidInputError: the destination is not a path or a file open for text, or it cannot be
            written. A file that was there before is then as it was.
    """
    if isinstance(destination, (str, os.PathLike)):
        with whole_file(destination, newline="") as file:
            _write(file, header, rows)
        return
    _check_text_file(destination)
    try:
        _write(destination, header, rows)
    except UnicodeEncodeError as error:
        what = f"cannot be written in {error.encoding}: open the file with encoding='utf-8'"
        raise InvalidInputError(what, source=_name_of(destination)) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise InvalidInputError(what, source=_name_of(destination)) from None


def _check_text_file(file: Any) -> None:
    """Refuse what takes no text, before anything is written."""
    try:
        file.write("")
    except (AttributeError, TypeError):
        what = f"to_csv takes a path, or a file that is open for text, not {file!r:.60}"
    except (OSError, ValueError) as error:  # closed, or open for reading
        what = f"cannot be written: {error}"
    else:
        return
    raise InvalidInputError(what, source=_name_of(file))


def _name_of(file: Any) -> str | None:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None


def _write(file: IO[str], header: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(file)
    writer.writerow(map(_cell, header))
    for row in rows:
        writer.writerow(_cell(row.get(name)) for name in header)


def _cell(value: Any) -> str:
    """Write a value; NUL, which the CSV of Python 3.10 refuses, is shown by its symbol.

    A whole number has no point: pandas makes floats of ids, and 71.0 is no id.
    """
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return guarded((text_of(value) or "").replace("\0", "\N{SYMBOL FOR NULL}"))
