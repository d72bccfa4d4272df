"""SQLite files that are ledgers or saved plans: the only module that knows sqlite3."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from lms_archive.archive.ledger.lock import BESIDE, ledger_path, refuse_links
from lms_archive.archive.ledger.schema import FORMAT
from lms_archive.errors import LedgerError

__all__ = [
    "Connection",
    "DatabaseError",
    "connect",
    "connect_unchanging",
    "durable",
    "format_of",
    "ledger_at",
    "new_file",
    "readable",
    "reading",
    "sound",
    "to_main_file",
    "transaction",
]

Connection = sqlite3.Connection
DatabaseError = sqlite3.Error

_UNREADABLE: Final = (
    sqlite3.Error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading a damaged file can raise: SQLite's own errors, and values of no kind we wrote."""


def connect(path: Path) -> Connection:
    """Open the database of that name; a missing one is not made, and no link is followed.

    Raises:
        LedgerError: it cannot be opened.
    """
    refuse_links(path, *BESIDE)
    return _connect(path, "mode=rw")


def connect_unchanging(path: Path) -> Connection:
    """Open a database for reading, without what lies beside it: of a plan nothing does."""
    return _connect(path, "mode=ro&immutable=1")


def _connect(path: Path, options: str) -> Connection:
    try:
        uri = f"{path.absolute().as_uri()}?{options}"
        # A half-read result may be let go of by another thread than the one that read it.
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be opened: {error}") from error


def new_file(path: Path) -> None:
    """Make an empty file, its owner's alone, which SQLite fills; what has its name must be gone."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def format_of(path: Path, database: Connection) -> int | None:
    """The number of a file's form, or None where it is no ledger; nothing is written to it.

    Raises:
        LedgerError: it cannot be read.
    """
    try:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        table = next((name for name in ("meta", "head") if name in tables), None)
        if table is None:
            return None
        query = f"SELECT value FROM {table} WHERE name = 'schema'"  # noqa: S608  one of two
        version = database.execute(query).fetchone()
        return None if version is None else int(version[0])
    except (sqlite3.Error, ValueError, TypeError) as error:
        if "readonly" in str(error):
            advice = "even reading needs a folder that can be written: copy it into one"
            raise LedgerError(f"{path}: {error}; {advice}") from error
        raise LedgerError(f"{path}: not a ledger, or damaged: {error}") from error


def ledger_at(path: Path) -> Connection:
    """Open a file that is a ledger, or a saved plan, of this version.

    Raises:
        LedgerError: it is of another version, not a ledger, or cannot be read.
    """
    database = connect(path)
    try:
        version = format_of(path, database)
        if version == FORMAT:
            return database
    except BaseException:
        database.close()
        raise
    database.close()
    raise LedgerError(f"{path}: {_other_format(version)}")


def _other_format(version: int | None) -> str:
    if version is None:
        return "not a ledger"
    writer = "lms_archive 0.1.0" if version < FORMAT else "a newer version of lms_archive"
    return (
        f"a ledger of {writer} (format {version}; this version reads format {FORMAT} only): finish "
        "and read it with the version that wrote it, and begin new jobs with a new ledger"
    )


def sound(path: Path, database: Connection) -> None:
    """Check that no page is damaged: what is sent next depends on all of them.

    Raises:
        LedgerError: one is.
    """
    try:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise _damaged(path, found)


def durable(path: Path, database: Connection) -> None:
    """Make each commit reach the disk before it returns.

    Raises:
        LedgerError: the file cannot be written.
    """
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: the ledger cannot be written: {error}") from error


def to_main_file(database: Connection) -> None:
    """Bring what is committed into the main file, as far as other readers let it.

    All of it is on the disk already, in the `-wal` beside it; a copy that lacks that file, which
    is easily made, then still holds it.
    """
    try:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error:
        return  # a full disk, for instance: the commit itself is not lost


@contextmanager
def transaction(path: Path, database: Connection) -> Iterator[None]:
    """Commit what is done within, or nothing of it.

    Raises:
        LedgerError: it cannot be written.
    """
    try:
        try:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
    except (sqlite3.Error, OverflowError) as error:
        raise LedgerError(f"{path}: the ledger cannot be written: {error}") from error


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Connection]:
    """Give the database of a ledger, to be read only; nobody is kept from it meanwhile."""
    place = ledger_path(path)
    if not place.is_file():  # opening a pipe would wait without end
        what = "is not an ordinary file" if place.exists() else "there is no such ledger"
        raise LedgerError(f"{place}: {what}")
    with closing(ledger_at(place)) as database, readable(place):
        query = "SELECT value FROM meta WHERE name = 'purpose'"
        if database.execute(query).fetchone() == ("plan",):
            raise LedgerError(f"{place}: is a saved plan, not a ledger: use ArchivePlan.load")
        yield database


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say what is wrong with a ledger that cannot be read: nothing is sent on half of one."""
    try:
        yield
    except _UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, why: Any) -> LedgerError:
    return LedgerError(
        f"{path}: the ledger is damaged, or cannot be read: {why}. Take it from a copy; without "
        "one, wait until none of its jobs is open on the platform, then plan again"
    )
