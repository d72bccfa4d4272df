"""Write CSV atomically, with cells that a spreadsheet does not run as formulas."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from lms_archive.errors import InvalidInputError
from lms_archive.files import write_atomically
from lms_archive.tables.columns import text_of

Destination = str | os.PathLike[str] | IO[str]
"""The destination of a table: a path, or a file that is open for text."""

GUARD_HINT = "the ' at the start is for spreadsheets, and not a part of the name: remove it"
"""The advice for a name that is not found and may have been guarded."""

_EXACT = 2**53
_RUNS = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(cell: str) -> str:
    """Put a `'` before a cell that a spreadsheet would run as a formula."""
    return "'" + cell if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """Remove the `'` that `guarded` has added."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_csv(
    destination: Destination, header: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV (UTF-8, comma); where that fails, an existing file is left unchanged."""
    if isinstance(destination, (str, os.PathLike)):
        with write_atomically(destination, newline="") as file:
            _write(file, header, rows)
        return
    _check_text_file(destination)
    try:
        _write(destination, header, rows)
    except UnicodeEncodeError as error:
        reason = f"cannot be written in {error.encoding}: open the file with encoding='utf-8'"
        raise InvalidInputError(reason, source=_name_of(destination)) from None
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise InvalidInputError(reason, source=_name_of(destination)) from None


def _check_text_file(file: Any) -> None:
    """Check that a file accepts text, before anything is written."""
    try:
        file.write("")
    except (AttributeError, TypeError):
        reason = f"to_csv takes a path, or a file that is open for text, not {file!r:.60}"
    except (OSError, ValueError) as error:  # closed, or open for reading
        reason = f"cannot be written: {error}"
    else:
        return
    raise InvalidInputError(reason, source=_name_of(file))


def _name_of(file: Any) -> str | None:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None


def _write(file: IO[str], header: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(file)
    writer.writerow(map(_cell, header))
    writer.writerows([_cell(row.get(name)) for name in header] for row in rows)


def _cell(value: Any) -> str:
    """Return a value as a cell; NUL, which the csv of Python 3.10 refuses, becomes its symbol.

    A whole number has no point: pandas turns ids into floats, and 71.0 is not an id.
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return guarded((text_of(value) or "").replace("\0", "\N{SYMBOL FOR NULL}"))
