"""From a CSV file, or from rows in memory, to rows that name a target and a user."""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, TextIO

import attrs

from lms_archive.archive.columns import (
    BadRow,
    column_word,
    columns_of,
    target_named,
    user_named,
)
from lms_archive.archive.csv_text import CsvText
from lms_archive.archive.rows import RowsBuilder, TextRows
from lms_archive.archive.selection import KINDS, Fault, Rows, Target, plain
from lms_archive.archive.tables import OUTCOME_COLUMNS, unguarded
from lms_archive.errors import InvalidInputError

__all__ = ["read_csv", "read_mappings", "read_users"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LARGE = 2**63
_OURS = frozenset(OUTCOME_COLUMNS)


def read_csv(path: str | os.PathLike[str], *, encoding: str | None = None) -> Rows:
    """The rows of a CSV file.

    Comma, semicolon or tab; UTF-8 with or without BOM, UTF-16 with BOM, or `encoding`. Blank
    lines and lines of empty cells ask for nothing. A row that cannot be used is kept with its
    reason.

    Raises:
        InvalidInputError: the file cannot be read at all, or lacks a column.
    """
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            start = file.read(4)
        found = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
        with Path(path).open(encoding=encoding or found, newline="") as text, _any_length():
            return _read(text, source)
    except UnicodeError:
        raise _not_text(path, encoding or found) from None
    except LookupError:
        raise InvalidInputError(f"there is no encoding {encoding!r}", source=source) from None
    except OSError as error:
        raise InvalidInputError(
            f"cannot be read: {error.strerror or error}", source=source
        ) from None


def _not_text(path: str | os.PathLike[str], encoding: str) -> InvalidInputError:
    """The error with the place, which a decoder that is fed piece by piece cannot tell."""
    data, line, at = Path(path).read_bytes(), None, ""
    with suppress(UnicodeError):
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            at = f" (byte {error.start + 1:,})"
            line = 1 + data[: error.start].decode(encoding, "ignore").count("\n")
    return InvalidInputError(
        f"not text in {encoding}{at}. Save it as 'CSV UTF-8', or name its encoding: "
        "from_csv(..., encoding='cp1252') for a file of a Western Windows",
        source=os.fspath(path),
        line=line,
    )


@contextmanager
def _any_length() -> Iterator[None]:
    """Let a cell be as long as it is: one that is too long is a bad row, not a bad file."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read(text: TextIO, source: str) -> Rows:
    first = text.readline().removeprefix("\ufeff")
    if not first.strip():
        rest = text.read(1)
        what = "its first line is blank; it must name the columns" if rest else "it is empty"
        raise InvalidInputError(what, source=source, line=1)
    if "\0" in first:
        what = "not a CSV file: it holds NUL bytes. UTF-16 without BOM? encoding='utf-16-le'"
        raise InvalidInputError(what, source=source, line=1)
    lines = CsvText(first, text, _delimiter(first))
    try:
        header = [name.strip() or f"column {i}" for i, name in enumerate(lines.header(), start=1)]
        ours = _OURS.issubset(header)
        if ours:
            header = [unguarded(name) for name in header]
        rows = TextRows(header, columns_of(header, source, 1), ours=ours)
        lines.feed(rows)
    except csv.Error as error:
        raise InvalidInputError(
            f"the CSV breaks off here: {error}. Look for a quote that is not closed",
            source=source,
            line=lines.line,
        ) from None
    return rows.rows()


def _delimiter(header: str) -> str:
    """The separator under which the names that matter come apart, and most of the others."""

    def names(mark: str) -> tuple[int, int]:
        found = next(csv.reader([header], delimiter=mark))
        return sum(column_word(name) is not None for name in found), len(found)

    return max(",;\t", key=names)


def read_mappings(rows: Iterable[Any]) -> Rows:
    """The rows of mappings, of a DataFrame, or of records that have user and course ids.

    Raises:
        InvalidInputError: they are no rows, name no user and course, or a cell cannot be kept.
    """
    source = "rows"
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise InvalidInputError(f"wanted rows, not one {type(rows).__name__}", source=source)
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):
        names = [str(name) for name in rows.columns]
        columns_of(names, source)
        rows = (dict(zip(names, one, strict=True)) for one in rows.itertuples(index=False))
    given = [_mapping(row, index, source) for index, row in enumerate(rows)]
    header: dict[str, None] = {}
    for row in given:
        header.update(dict.fromkeys(row))
    builder = RowsBuilder(header)
    if not given:
        return builder.rows()
    where = columns_of(list(header), source)
    for number, row in enumerate(given, 1):
        given_cells = tuple(row.get(name) for name in header)
        cells = [_kept(cell, name, number) for name, cell in zip(header, given_cells, strict=True)]
        found = {word: given_cells[i] for word, i in where.items()}
        found = {w: v.strip() if isinstance(v, str) else v for w, v in found.items()}
        try:
            target, user = target_named(found), user_named(found)
        except BadRow as error:
            builder.add(cells, None, None, None, Fault("bad_row", str(error)))
        else:
            builder.add(cells, None, target, user)
    return builder.rows()


def _kept(value: Any, name: str, number: int) -> Any:
    """A cell as plan and ledger keep it, and as it comes back: JSON's own values, finite.

    Raises:
        InvalidInputError: it cannot be kept.
    """
    kind = type(value)
    if kind in (str, bool, NoneType) or (kind is int and abs(value) < _LARGE):
        return value
    if kind is float and isfinite(value):
        return value
    try:
        if isinstance(value, (str, int, list, tuple, dict)):
            return json.loads(json.dumps(value, default=str), parse_constant=str)
        return str(value)
    except (ValueError, TypeError, RecursionError) as error:
        what = f"row {number}: cannot be kept: {error}; give it as text"
        raise InvalidInputError(what, source="rows", column=name) from None


def _mapping(row: Any, index: int, source: str) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {str(name): plain(value) for name, value in row.items()}
    if attrs.has(type(row)) and hasattr(row, "user_id"):
        for kind in KINDS:
            if hasattr(row, f"{kind}_id"):
                return {f"{kind}_id": getattr(row, f"{kind}_id"), "user_id": row.user_id}
    raise InvalidInputError(
        f"row {index + 1} is no mapping but a {type(row).__name__}", source=source
    )


def read_users(target: Target, users: Iterable[Any]) -> Rows:
    """The rows of one target and these users: an `int` is a user id, a `str` a username.

    Raises:
        InvalidInputError: they are not several users.
    """
    table = hasattr(users, "itertuples")
    if isinstance(users, (str, bytes)) or table or not isinstance(users, Iterable):
        what = "a table: give one of its columns" if table else f"{users!r:.60}: put it in a list"
        raise InvalidInputError(f"wanted several users, not {what}")
    by_id = target.code is None
    key = target.target_id if by_id else target.code
    builder = RowsBuilder((f"{target.kind}_{'id' if by_id else 'code'}", "user_id", "username"))
    for user in (plain(getattr(one, "user_id", one)) for one in users):
        name = isinstance(user, str)
        cells = (key, None, user) if name else (key, user, None)
        named = {"username" if name else "user_id": user}
        try:
            builder.add(cells, None, target, user_named(named))
        except BadRow as error:
            builder.add(cells, None, None, None, Fault("bad_row", str(error)))
    return builder.rows()
