"""Write, verify and read the tables of a plan, in a ledger or in a file of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import frozen

from lms_archive._version import __version__
from lms_archive.archive.ledger.codec import JSON
from lms_archive.archive.ledger.database import (
    Connection,
    DatabaseError,
    connect,
    connect_unchanging,
    damage_reported,
    format_of,
    new_file,
    transaction,
)
from lms_archive.archive.ledger.lock import ledger_path
from lms_archive.archive.ledger.plan_codec import (
    BLOCK,
    TABLES,
    chunks_from,
    content_digest,
    json_blocks,
    plan_content,
    plan_from,
    plan_meta,
    row_from,
    selection_from,
    skip_from,
    targets_from,
)
from lms_archive.archive.ledger.schema import APPEND_ONLY, CREATE, FORMAT
from lms_archive.archive.selection import Row, Selection, Target
from lms_archive.archive.values.outcomes import Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.errors import InputFileError, InvalidInputError, LedgerError
from lms_archive.files import write_atomically

_FLOAT: Final = (
    "CASE WHEN score IS NULL OR (abs(score) < 1e9 AND score = CAST(score AS INTEGER)) THEN score"
    " ELSE json(float_json(score)) END"
)
"""SQLite writes a float with fewer digits than Python's JSON."""

_FIRST_KEY, _LAST_KEY = -(2**63), 2**63 - 1
_MOST_PARTS: Final = 1_000_000
"""The most files and tables that one job is made of; a damaged file may say any number."""


def write_plan(
    database: Connection,
    plan: PlanData,
    selection: Selection,
    *,
    digest: str,
    meta: Mapping[str, str],
) -> None:
    """Create the tables in an empty file and write a plan into them, within a transaction.

    Raises:
        InvalidInputError: the plan was changed and no longer has this digest.
    """
    for statement in CREATE:
        database.execute(statement)
    parts = str(len(list(selection.rows)))
    stored = {"schema": str(FORMAT), "version": __version__, "parts": parts, **meta}
    stored |= plan_meta(plan)
    for table, rows in plan_content(plan, selection):
        _, width = TABLES[table]
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"  # noqa: S608
        database.executemany(insert, rows)
    if not _holds(database, stored, digest):
        raise InvalidInputError("rows of the plan have changed since planning: plan again")
    stored |= {"digest": digest, "content": digest}
    stored["checksum"] = checksum(database, stored)
    database.executemany("INSERT INTO meta VALUES (?, ?)", sorted(stored.items()))
    for trigger in APPEND_ONLY:
        database.execute(trigger)


def meta_of(database: Connection) -> dict[str, Any]:
    """Return the metadata of a file, by name."""
    return dict(database.execute("SELECT name, value FROM meta").fetchall())


def stored_digest(database: Connection, meta: Mapping[str, Any], *, by_sqlite: bool = False) -> str:
    """Return the digest of the plan that the tables hold now.

    With *by_sqlite*, SQLite writes the JSON of the largest tables, in a third of the time.
    """
    return content_digest(
        meta,
        (
            (table, _json_by_sqlite(database, table))
            if by_sqlite and table in ("rows", "planned", "outcomes")
            else (table, json_blocks(table, plan_rows(database, table)))
            for table in TABLES
        ),
    )


def _json_by_sqlite(database: Connection, table: str) -> Iterator[str]:
    """Yield the rows of a plan's table as JSON, in blocks of about a thousand rows."""
    names = [column for column, *_ in database.execute(f"SELECT * FROM {table}").description]  # noqa: S608
    covered = [_FLOAT if name == "score" else name for name in names[: TABLES[table][0]]]
    key, cells, where = names[0], ", ".join(covered), _where(table)
    database.create_function("float_json", 1, repr, deterministic=True)
    query = (
        f"SELECT group_concat(cells, ','), max(key) FROM (SELECT {key} AS key,"  # noqa: S608
        f" json_array({cells}) AS cells FROM {table} WHERE {key} >= ?{where}"
        f" ORDER BY {key} LIMIT ?)"
    )
    start = _FIRST_KEY
    while start <= _LAST_KEY:  # keys of a damaged file may be far apart
        block, last = database.execute(query, (start, BLOCK)).fetchone()
        if last is None:
            return
        yield block
        start = last + 1


def checksum(database: Connection, meta: Mapping[str, Any]) -> str:
    """Return the hash of the metadata, and of the columns that the digest does not cover."""
    listed = database.execute("SELECT listed FROM targets ORDER BY target").fetchall()
    read_at = database.execute("SELECT read_at FROM chunks ORDER BY chunk").fetchall()
    pairs = sorted((name, value) for name, value in meta.items() if name != "checksum")
    return hashlib.sha256(JSON.encode([pairs, listed, read_at]).encode()).hexdigest()


def plan_rows(
    database: Connection, table: str, where: str = "1", *values: str
) -> Iterator[tuple[Any, ...]]:
    """Return the rows of a plan's table, in order."""
    query = f"SELECT * FROM {table} WHERE {where}{_where(table)} ORDER BY 1, 2"  # noqa: S608
    return iter(database.execute(query, values))


def _where(table: str) -> str:
    return " AND recorded_at IS NULL" if table == "outcomes" else ""


def verify(database: Connection) -> None:
    """Check that the plan in a file has not changed since it was written.

    Raises:
        ValueError: it has changed.
    """
    meta = meta_of(database)
    signed = meta["digest"] == meta["content"] or "redacted" in meta
    same = signed and _holds(database, meta, meta["content"])
    if not same or meta["checksum"] != checksum(database, meta):
        raise ValueError("its plan was changed")


def _holds(database: Connection, meta: Mapping[str, Any], digest: str) -> bool:
    """Return whether the tables hold the plan with this digest."""
    with suppress(DatabaseError):
        if stored_digest(database, meta, by_sqlite=True) == digest:
            return True
    return stored_digest(database, meta) == digest  # SQLite may write JSON differently


@frozen
class StoredRows:
    """The rows of a job's selection, read from the tables as they are needed.

    Attributes:
        database: the file.
        headers: the names of the columns, by part.
        targets: the targets that the rows name, by number.
    """

    database: Connection
    headers: tuple[tuple[str, ...], ...]
    targets: dict[int, Target]

    @classmethod
    def of(cls, database: Connection) -> StoredRows:
        """Return the rows in a file."""
        parts = int(meta_of(database)["parts"])
        if parts > _MOST_PARTS:
            raise ValueError(f"{parts:,} parts: the file is damaged")
        headers: list[list[str]] = [[] for _ in range(parts)]
        for part, _, name in plan_rows(database, "columns"):
            headers[part].append(name)
        _, targets = targets_from(plan_rows(database, "targets"))
        return cls(database, tuple(map(tuple, headers)), targets)

    def by_index(self, indexes: Iterable[int]) -> dict[int, Row]:
        """Return the rows with these indexes."""
        wanted = "row IN (SELECT value FROM json_each(?))"
        rows = plan_rows(self.database, "rows", wanted, JSON.encode(list(indexes)))
        return {row.index: row for row in map(self.row, rows)}

    def row(self, values: Sequence[Any]) -> Row:
        """Build a row from its values in the table."""
        return row_from(values, self.headers, self.targets)

    def numbered(self) -> Iterator[tuple[int, Row]]:
        """Yield all rows, each with the number of its part."""
        return ((values[1], self.row(values)) for values in plan_rows(self.database, "rows"))


def read_plan(database: Connection, *, with_skips: bool = True) -> PlanData:
    """Read the plan in a file, without its rows."""
    targets, _ = targets_from(plan_rows(database, "targets"))
    chunks = chunks_from(plan_rows(database, "chunks"), plan_rows(database, "planned"), targets)
    skips = map(skip_from, plan_rows(database, "outcomes")) if with_skips else ()
    return plan_from(meta_of(database), chunks, skips)


def skips_with_learning_plan(database: Connection) -> list[Skip]:
    """Return the skips of rows that the row of a learning plan archives as well."""
    return [
        skip_from(row) for row in plan_rows(database, "outcomes", "learning_plan_row IS NOT NULL")
    ]


# A saved plan


def save_plan(path: Any, plan: PlanData, selection: Selection, digest: str) -> None:
    """Write a plan into its own file, which appears under its name when it is complete.

    Raises:
        InvalidInputError: the file cannot be written, or exists and is not a saved plan.
    """
    location = ledger_path(path, "plan")
    if location.is_file() and not location.is_symlink() and not _is_plan(location):
        raise InvalidInputError(
            "exists and is not a saved plan, so it is not overwritten: give the plan another name",
            source=str(location),
        )
    with (
        write_atomically(location, binary=True, over_database=True) as file,
        TemporaryDirectory(dir=location.parent, prefix=".plan") as folder,
    ):
        new = Path(folder, "plan.sqlite")
        new_file(new)
        with closing(connect(new)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            with transaction(location, database):
                write_plan(database, plan, selection, digest=digest, meta={"purpose": "plan"})
        with new.open("rb") as source:
            shutil.copyfileobj(source, file)


def _is_plan(location: Path) -> bool:
    with suppress(LedgerError, DatabaseError), closing(connect_unchanging(location)) as database:
        version = format_of(location, database)
        return version == FORMAT and meta_of(database).get("purpose") == "plan"
    return False


def load_plan(path: Any) -> tuple[PlanData, Selection]:
    """Read the plan and its rows from a file or a ledger.

    Raises:
        InvalidInputError: the file does not hold a plan, or the plan was changed.
    """
    location = ledger_path(path, "plan")
    if location.exists() and not location.is_file():  # opening a pipe would wait without end
        raise InvalidInputError("is not an ordinary file", source=str(path))
    try:
        with location.open("rb") as file:
            begin = file.read(40)
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
        raise InputFileError(text, source=str(path), os_error=error) from None
    if begin.startswith(b'{"format": "lms_archive plan '):
        text = "a plan saved by lms_archive 0.1.0, which this version cannot read: plan again"
        raise InvalidInputError(text, source=str(path))
    try:
        with closing(connect_unchanging(location)) as database, damage_reported(location):
            version = format_of(location, database)
            if version == FORMAT:
                return _load(database, str(path))
    except LedgerError as error:
        raise InvalidInputError(f"not a plan: {error}", source=str(path)) from None
    reason = "not a plan" if version is None else f"not a plan of this version (format {FORMAT})"
    raise InvalidInputError(reason, source=str(path))


def _load(database: Connection, source: str) -> tuple[PlanData, Selection]:
    try:
        verify(database)
    except (ValueError, LookupError):
        raise InvalidInputError(
            "was changed since it was saved: plan again", source=source
        ) from None
    if "redacted" in meta_of(database):
        raise InvalidInputError("is a redacted ledger: its plan has no names", source=source)
    rows = StoredRows.of(database)
    return read_plan(database), selection_from(rows.headers, rows.numbered())
