"""Open the SQLite files of ledgers and saved plans. The only module that imports sqlite3."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from lms_archive.archive.ledger.lock import BESIDE, ledger_path, refuse_links
from lms_archive.archive.ledger.schema import FORMAT
from lms_archive.errors import LedgerError, LmsArchiveError

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
"""The errors of reading a damaged file: SQLite's own, and those caused by unexpected values."""


def connect(path: Path) -> Connection:
    """Open an existing database, without following a symbolic link.

    Raises:
        LedgerError: it cannot be opened.
    """
    refuse_links(path, *BESIDE)
    return _connect(path, "mode=rw")


def connect_unchanging(path: Path) -> Connection:
    """Open a saved plan for reading; it has no journal files."""
    return _connect(path, "mode=ro&immutable=1")


def _connect(path: Path, options: str) -> Connection:
    try:
        uri = f"{path.absolute().as_uri()}?{options}"
        # Another thread than the reader may close a partly read result.
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be opened: {error}") from error


def new_file(path: Path) -> None:
    """Create an empty file for SQLite, accessible to its owner alone; it must not exist yet."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def format_of(path: Path, database: Connection) -> int | None:
    """Return the format number of a file without writing to it; None if it is not a ledger.

    Raises:
        LedgerError: it cannot be read.
    """
    try:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        table = next((name for name in ("meta", "head") if name in tables), None)
        if table is None:
            return None
        query = f"SELECT value FROM {table} WHERE name = 'schema'"  # noqa: S608  one of two names
        version = database.execute(query).fetchone()
        return None if version is None else int(version[0])
    except (sqlite3.Error, ValueError, TypeError) as error:
        if "readonly" in str(error):
            advice = "reading needs a writable folder: copy the ledger into one"
            raise LedgerError(f"{path}: {error}; {advice}") from error
        raise LedgerError(f"{path}: not a ledger, or damaged: {error}") from error


def existing_ledger(value: str | os.PathLike[str]) -> Path:
    """Return the path of a file that may be a ledger.

    Raises:
        InvalidInputError: no file can have this path.
        LedgerError: there is no file.
    """
    path = ledger_path(value)
    if not path.is_file():  # opening a pipe would wait without end
        reason = "is not an ordinary file" if path.exists() else "there is no such ledger"
        raise LedgerError(f"{path}: {reason}")
    return path


def ledger_at(path: Path, *, cure: str) -> Connection:
    """Open a ledger of this version's format; *cure* is what to do with a saved plan instead.

    Raises:
        LedgerError: it has another format, is a saved plan or no ledger, or cannot be read.
    """
    with ExitStack() as stack:
        database = stack.enter_context(closing(connect(path)))
        version = format_of(path, database)
        if version != FORMAT:
            raise LedgerError(f"{path}: {_other_format(version)}")
        with damage_reported(path):
            query = "SELECT value FROM meta WHERE name = 'purpose'"
            is_plan = database.execute(query).fetchone() == ("plan",)
        if is_plan:
            raise LedgerError(f"{path}: is a saved plan, not a ledger: {cure}")
        stack.pop_all()
    return database


def _other_format(version: int | None) -> str:
    if version is None:
        return "not a ledger"
    writer = "lms_archive 0.1.0" if version < FORMAT else "a newer version of lms_archive"
    return (
        f"a ledger of {writer} (format {version}; this version reads only format {FORMAT}): finish "
        "and read it with the version that wrote it, and use a new ledger for new jobs"
    )


def check_integrity(path: Path, database: Connection) -> None:
    """Check that no page of the file is damaged, because the next calls depend on all of them.

    Raises:
        LedgerError: a page is damaged.
    """
    try:
        (status,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        status = str(error)
    if status != "ok":
        raise _damaged(path, status)


def make_durable(path: Path, database: Connection) -> None:
    """Make each commit reach the disk before it returns.

    Raises:
        LedgerError: the file cannot be written.
    """
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: the ledger cannot be written: {error}") from error


def checkpoint(database: Connection) -> None:
    """Move committed changes from the `-wal` file to the main file, as far as readers allow.

    The changes are on disk already; after this, a copy of the main file alone holds them too.
    """
    try:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error:
        return  # for example on a full disk; the commit itself is safe


@contextmanager
def transaction(path: Path, database: Connection) -> Iterator[None]:
    """Commit all changes of the block, or none of them.

    Raises:
        LedgerError: the file cannot be written.
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
def open_for_reading(path: str | os.PathLike[str]) -> Iterator[Connection]:
    """Open a ledger for reading, without locking it; a job may write to it meanwhile."""
    file = existing_ledger(path)
    with closing(ledger_at(file, cure="use ArchivePlan.load")) as database, damage_reported(file):
        yield database


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn errors of reading a damaged ledger into `LedgerError`."""
    try:
        yield
    except LmsArchiveError:
        raise
    except _UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: Any) -> LedgerError:
    return LedgerError(
        f"{path}: the ledger is damaged, or cannot be read: {reason}. Restore it from a copy; "
        "without one, wait until none of its background jobs is open on the platform, then plan "
        "again"
    )
