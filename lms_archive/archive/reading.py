"""From a CSV file, or from rows in memory, to rows that name a target and a user."""

from __future__ import annotations

import codecs
import csv
import io
import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lms_archive.archive.selection import (
    Fault,
    Rows,
    RowsBuilder,
    Target,
    UserKey,
    columns_of,
)
from lms_archive.archive.tables import OUTCOME_COLUMNS, unguarded
from lms_archive.errors import BadInput

__all__ = ["read_csv", "read_mappings"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OURS = frozenset(OUTCOME_COLUMNS)


class _BadRow(Exception):
    """This row names no target and user that could be used."""


def read_csv(path: str | os.PathLike[str], *, encoding: str | None = None) -> Rows:
    """The rows of a CSV file.

    Comma, semicolon or tab; UTF-8 with or without BOM, UTF-16 with BOM, or `encoding`. Blank
    lines and lines of empty cells ask for nothing. A row that cannot be used is kept with its
    reason.

    Raises:
        BadInput: the file cannot be read at all, or lacks a column.
    """
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            start = file.read(4)
        found = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
        with Path(path).open(encoding=encoding or found, newline="") as text:
            return _read(text, source)
    except UnicodeError as error:
        raise BadInput(_not_text(error, encoding or found), source=source) from None
    except LookupError:
        raise BadInput(f"there is no encoding {encoding!r}", source=source) from None
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", source=source) from None


def _not_text(error: UnicodeError, encoding: str) -> str:
    at = f" (byte {error.start:,})" if isinstance(error, UnicodeDecodeError) else ""
    return (
        f"not text in {encoding}{at}. Save it as 'CSV UTF-8', or name its encoding: "
        "from_csv(..., encoding='cp1252') for a file of a Western Windows"
    )


def _read(text: io.TextIOBase | Any, source: str) -> Rows:
    first = text.readline()
    if not first.strip():
        rest = text.read(1)
        what = "its first line is blank; it must name the columns" if rest else "it is empty"
        raise BadInput(what, source=source, line=1)
    if "\0" in first:
        raise BadInput("not a CSV file: it holds NUL bytes", source=source, line=1)
    delimiter = _delimiter(first)
    lines = csv.reader(_with_first(first, text), delimiter=delimiter, strict=True)
    before = 0
    try:
        header = [name.strip() for name in next(lines)]
        where = columns_of(header, source)
        ours = _OURS.issubset(header)
        kept = [i for i, name in enumerate(header) if not (ours and name in _OURS)]
        builder = RowsBuilder(header[i] for i in kept)
        before = lines.line_num
        for cells in lines:
            line, before = before + 1, lines.line_num
            if not any(cell.strip() for cell in cells):
                continue
            _add_cells(builder, cells, line, where, kept, len(header), undo=ours)
    except csv.Error as error:
        raise BadInput(
            f"the CSV breaks off here: {error}. Look for a quote that is not closed",
            source=source,
            line=before + 1,
        ) from None
    return builder.rows()


def _with_first(first: str, text: Iterable[str]) -> Iterator[str]:
    yield first
    yield from text


def _delimiter(header: str) -> str:
    """The separator under which most names of the header line come apart."""
    counts = {mark: len(next(csv.reader([header], delimiter=mark))) for mark in ",;\t"}
    return max(counts, key=lambda mark: counts[mark])


def _add_cells(
    builder: RowsBuilder,
    cells: list[str],
    line: int,
    where: Mapping[str, int],
    kept: Sequence[int],
    width: int,
    *,
    undo: bool,
) -> None:
    if undo:
        cells = [unguarded(cell) for cell in cells]
    shown = tuple(cells[i] for i in kept if i < len(cells))
    if len(cells) != width:
        much = "more" if len(cells) > width else "fewer"
        reason = f"{len(cells)} cells where the header has {width}, {much} than it should"
        builder.add(shown, line, None, None, Fault("bad_row", f"{reason}: is a quote missing?"))
        return
    try:
        target, user = _named({name: cells[i].strip() for name, i in where.items()})
    except _BadRow as error:
        builder.add(shown, line, None, None, Fault("bad_row", str(error)))
    else:
        builder.add(shown, line, target, user)


def _named(cells: Mapping[str, Any]) -> tuple[Target, UserKey]:
    """The target and the user that the cells name."""
    user_id, username = _id(cells, "user_id"), _name(cells, "username")
    course_id, code = _id(cells, "course_id"), _name(cells, "course_code")
    if course_id is None and code is None:
        raise _BadRow("names no course: fill in course_code or course_id")
    target = Target("course", course_id, code)
    if user_id is not None and username is not None:
        return target, (user_id, username)
    if user_id is not None:
        return target, user_id
    if username is None:
        raise _BadRow("names no user: fill in username or user_id")
    return target, username


def _name(cells: Mapping[str, Any], column: str) -> str | None:
    value = cells.get(column)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _BadRow(f"{column} {value!r} is a {type(value).__name__}; a name is text")
    if "\0" in value:
        raise _BadRow(f"{column} holds a NUL byte: {value[:40]!r}")
    return value


def _id(cells: Mapping[str, Any], column: str) -> int | None:
    value = cells.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and str(int(value)) == value:
            return int(value)
        raise _BadRow(f"{column} {value[:40]!r} is not an id as the platform writes it, such as 7")
    if not isinstance(value, bool):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise _BadRow(f"{column} {value!r} is not a whole number")


def read_mappings(rows: Iterable[Any]) -> Rows:
    """The rows of mappings, of a DataFrame, or of records that have user and course ids.

    Raises:
        BadInput: they are no rows, or name no user and course.
    """
    source = "rows"
    if isinstance(rows, (str, bytes, Mapping)):
        raise BadInput(f"wanted rows, not one {type(rows).__name__}", source=source)
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):
        names = [str(name) for name in rows.columns]
        rows = (dict(zip(names, one, strict=True)) for one in rows.itertuples(index=False))
    given = [_mapping(row, index, source) for index, row in enumerate(rows)]
    header: dict[str, None] = {}
    for row in given:
        header.update(dict.fromkeys(row))
    builder = RowsBuilder(header)
    if not given:
        return builder.rows()
    names = list(header)
    where = columns_of(names, source)
    for row in given:
        cells = tuple(row.get(name) for name in names)
        found = {word: cells[i] for word, i in where.items()}
        found = {w: v.strip() if isinstance(v, str) else v for w, v in found.items()}
        try:
            target, user = _named(found)
        except _BadRow as error:
            builder.add(cells, None, None, None, Fault("bad_row", str(error)))
        else:
            builder.add(cells, None, target, user)
    return builder.rows()


def _mapping(row: Any, index: int, source: str) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {str(name): _plain(value) for name, value in row.items()}
    if attrs.has(type(row)) and hasattr(row, "user_id") and hasattr(row, "course_id"):
        return {"course_id": row.course_id, "user_id": row.user_id}
    raise BadInput(f"row {index + 1} is no mapping but a {type(row).__name__}", source=source)


def _plain(value: Any) -> Any:
    """A number of another library as Python's own, and no value where a table has none."""
    item = getattr(value, "item", None)
    value = item() if callable(item) else value
    return None if value != value else value  # noqa: PLR0124  NaN, NaT
