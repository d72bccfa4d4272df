"""Read a CSV file: detect its encoding, delimiter and header, and check its rows."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import BadZipFile

from lms_archive.archive.selection.cells import NUL_IN_CSV, shown
from lms_archive.archive.selection.columns import Headings
from lms_archive.archive.selection.reader import RowReader, broken_off
from lms_archive.archive.selection.rows import Rows
from lms_archive.errors import InputFileError, InvalidInputError
from lms_archive.tables.csv import unguarded

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    LZMAError = OSError  # type: ignore[misc, assignment]

_DAMAGED = (OSError, ValueError, EOFError, zlib.error, LZMAError, BadZipFile)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose BOM is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOK = (
    "a workbook, not CSV: save it as 'CSV UTF-8', or read it with pandas: "
    "from_rows(pandas.read_excel(path, dtype=str), ...)"
)
_NOT_CSV = (
    (b"PK\x03\x04", _WORKBOOK),  # xlsx, ods
    (b"\xd0\xcf\x11\xe0", _WORKBOOK),  # xls
    (b"PK\x05\x06", "an empty zip file, not CSV"),
    (b"PAR1", "a Parquet file, not CSV: give from_rows(pandas.read_parquet(path), ...)"),
    (b"\x1f\x8b", "compressed: give gzip.open(path)"),
)
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_LINES_TO_HEADER = 30
_NUL_PATTERNS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}
"""Which of the first four bytes are NUL in ASCII text of these encodings."""
AddedIn = Callable[[Sequence[str]], frozenset[str] | None]
"""Returns the columns of a header that this library added; None for a file of other origin."""


def read_csv(
    source: str | os.PathLike[str] | IO[str] | IO[bytes],
    *,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    added_in: AddedIn = lambda _: None,
) -> Rows:
    """Read the rows of a CSV file, or of an open file, as `ArchiveJob.from_csv` says.

    Blank lines and lines of empty cells are ignored. A row that cannot be used is kept with its
    reason. *added_in* recognizes the files of this library.
    """
    file, name = _opened(source)
    with file:
        headings = Headings(name, columns)
        if not isinstance(file, io.StringIO):
            return _decode(file, name, encoding, headings, added_in)
        if encoding is not None:
            raise InvalidInputError(
                "encoding= is for bytes, and this file is open as text: leave it out", source=name
            )
        return _read(file, name, headings, added_in)


def _opened(source: Any) -> tuple[BinaryIO | io.StringIO, str]:
    """Open a file, and return it with its name for errors.

    An open file is read completely, because it may be a pipe, which can be read only once.
    """
    if hasattr(source, "read") and not isinstance(source, type):
        name = getattr(source, "name", None)
        name = name if isinstance(name, str) and name else "open file"
        content = _content(source, name)
        if isinstance(content, str):
            return io.StringIO(content, newline=""), name
        return io.BytesIO(content), name
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise InvalidInputError(
            f"from_csv takes the path of a CSV file or an open file, not {shown(source)}"
        )
    try:
        mode = Path(path).stat().st_mode
        is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        file = Path(path).open("rb") if is_file else None  # noqa: SIM115  the caller closes it
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        raise InvalidInputError(f"is not a path: {error}", source=path) from None
    if file is None:
        raise InvalidInputError(
            "is a pipe or a device, not an ordinary file: save it to a file, or give an open file "
            "such as sys.stdin",
            source=path,
        )
    return file, path


def _content(file: Any, name: str) -> str | bytes:
    """Return the rest of an open file from its current position."""
    try:
        content = file.read()
    except UnicodeError as error:
        raise InvalidInputError(
            f"is open with a wrong encoding, or is not text: {error}", source=name
        ) from None
    except _DAMAGED as error:
        raise InvalidInputError(f"cannot be read: {error}", source=name) from None
    if not isinstance(content, (str, bytes)):
        raise InvalidInputError(
            f"is not an open file: read() returned {type(content).__name__}", source=name
        )
    return content


def _unreadable(name: str, error: OSError) -> InputFileError:
    hint = "; for CSV text give io.StringIO(text)" if "\n" in name else ""
    text = f"cannot be read: {error.strerror or error}{hint}"
    return InputFileError(text, source=name, os_error=error)


def _decode(
    file: BinaryIO, name: str, encoding: str | None, headings: Headings, added_in: AddedIn
) -> Rows:
    try:
        start = file.read(8)
        file.seek(0)
    except OSError as error:
        raise _unreadable(name, error) from None
    for magic, kind in _NOT_CSV:
        if start.startswith(magic):
            raise InvalidInputError(f"is {kind}", source=name)
    if encoding is None:
        encoding = next((word for bom, word in _BOMS if start.startswith(bom)), "utf-8")
    try:
        text = io.TextIOWrapper(file, encoding, newline="")
    except (LookupError, TypeError, ValueError):
        raise InvalidInputError(f"the encoding {encoding!r} is unknown", source=name) from None
    try:
        return _read(text, name, headings, added_in)
    except UnicodeError:
        raise _not_text(file, encoding, name) from None
    except OSError as error:
        raise _unreadable(name, error) from None
    finally:
        text.detach()


def _not_text(file: BinaryIO, encoding: str, name: str) -> InvalidInputError:
    """Return the error with its line and byte, which a decoder of blocks does not know."""
    file.seek(0)
    data, line, offset = file.read(), None, ""
    with suppress(UnicodeError):
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            offset = f" (byte {error.start + 1:,})"
            line = 1 + data[: error.start].decode(encoding, "ignore").count("\n")
    return InvalidInputError(
        f"not text in {encoding}{offset}. Save it as 'CSV UTF-8', or give its encoding: "
        "from_csv(..., encoding='cp1252') for a file from Windows in Western Europe or America",
        source=name,
        line=line,
    )


@contextmanager
def _any_length() -> Iterator[None]:
    """Allow cells of any length: a cell that is too long is a bad row, not a bad file."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read(text: Iterable[str], name: str, headings: Headings, added_in: AddedIn) -> Rows:
    if sys.version_info < (3, 11):  # its csv module refuses NUL
        text = (line.replace("\0", NUL_IN_CSV) for line in text)
    lines = iter(text)
    head = list(islice(lines, _LINES_TO_HEADER))
    head[:1] = [line.removeprefix("\ufeff") for line in head[:1]]
    with _any_length():
        above, delimiter, titles = _find_header(head, name, headings)
        csv_reader = csv.reader(chain(head[above:], lines), delimiter=delimiter, strict=True)
        try:
            names = next(csv_reader)
        except csv.Error as error:
            raise broken_off(error, name, above + 1) from None
        header = [cell if cell.strip() else f"column {at}" for at, cell in enumerate(names, 1)]
        added = added_in(list(map(unguarded, names)))
        if added is not None:  # this library wrote the file: restore the user's names
            header = list(map(unguarded, names))
        named = [at for at, cell in enumerate(names, 1) if cell.strip()]
        columns = headings.columns(header, above + 1, least=max(named, default=0))
        reader = RowReader(
            columns,
            name,
            Path(name).name,
            dropped=added or (),
            change=None if added is None else unguarded,
        )
        if titles:
            reader.rows.notes.append(
                f"{Path(name).name}: line {above + 1} is the header; the titles above it were not "
                "read"
            )
        reader.add_csv(csv_reader, above)
    if not len(reader.rows):
        reader.rows.notes.append(f"{Path(name).name}: there are no rows below the header")
    return reader.rows


def _find_header(
    head: Sequence[str], name: str, headings: Headings
) -> tuple[int, str, Sequence[Sequence[str]]]:
    """Return how many lines are above the header, the delimiter, and the titles in these lines.

    The header is the first line that names a user and a target. Above it there may be a line such
    as `sep=;` and titles, which have fewer cells. If no line is a header, return the first line as
    the header, so that the error can show its columns.
    """
    if not any(map(str.strip, head)):
        raise InvalidInputError("the file is empty", source=name, line=1)
    if NUL_IN_CSV in head[0]:
        encoding = _NUL_PATTERNS.get(tuple(sign == NUL_IN_CSV for sign in head[0][:4]))
        hint = f". It seems to be text without BOM: give encoding={encoding!r}" if encoding else ""
        raise InvalidInputError(f"not a CSV file: it contains NUL bytes{hint}", source=name, line=1)
    separator = _SEPARATOR_LINE.fullmatch(head[0])
    delimiters = separator[1] if separator else _DELIMITERS
    first = 1 if separator else 0
    records = {delimiter: _records(head, first, delimiter) for delimiter in (*delimiters, "|")}

    def fit(delimiter: str, above: int) -> tuple[bool, int, int]:
        names = records[delimiter].get(above, ())
        recognized = sum(headings.word(cell) is not None for cell in names)
        return headings.are_complete(names), recognized, len(names)

    for above in range(first, len(head)):
        delimiter = max(delimiters, key=lambda delimiter: fit(delimiter, above))
        is_header, _, width = fit(delimiter, above)
        if is_header:
            titles = {at: cells for at, cells in records[delimiter].items() if at < above}
            for at, cells in titles.items():
                if len(cells) >= width:
                    raise InvalidInputError(
                        f"line {above + 1} is the header, but this line above it is not a title: "
                        "remove the lines above the header",
                        source=name,
                        line=at + 1,
                    )
            return above, delimiter, list(filter(None, titles.values()))
    above = next(at for at in range(first, len(head)) if head[at].strip())
    if separator is None and headings.are_complete(records["|"].get(above, ())):
        raise InvalidInputError(
            "the delimiter is '|': put the line sep=| above the header", source=name, line=above + 1
        )
    return above, max(delimiters, key=lambda delimiter: fit(delimiter, above)), ()


def _records(head: Sequence[str], first: int, delimiter: str) -> dict[int, list[str]]:
    """Return the cells, without blank ones, of each record by the index of its first line.

    A cell in quotes may have line breaks.
    """
    reader = csv.reader(head[first:], delimiter=delimiter)
    records, start = {}, first
    for cells in reader:
        records[start] = list(filter(str.strip, cells))
        start = first + reader.line_num
    return records
