"""The ledger: what was planned, sent, answered and read back, kept on disk before it matters.

One SQLite file (WAL, `synchronous=FULL`), append-only, values as JSON; the only module that
knows sqlite3. One process at a time writes it (`lock`).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from sys import intern
from typing import IO, Any

from attrs import field, frozen

from lms_archive.archive.entries import as_json, outcome_to_row
from lms_archive.archive.lock import BESIDE, hold, refuse_links
from lms_archive.archive.outcomes import KINDS, Outcome
from lms_archive.archive.pieces import Piece
from lms_archive.archive.schema import APPEND_ONLY, LATEST, SCHEMA, TABLES
from lms_archive.errors import LedgerError

__all__ = ["Event", "Ledger", "counts_in", "read_events", "readable", "reading"]


@frozen
class Event:
    """A state that a chunk, or the whole job (`chunk` None), came into."""

    chunk: str | None
    state: str
    data: dict[str, Any] = field(repr=False)


Listener = Callable[[Sequence[tuple[int, Outcome]], Sequence[Event]], None]


class Ledger:
    """The ledger of one plan, open for writing by this process alone."""

    def __init__(self, path: Path, database: sqlite3.Connection, lock: IO[str]) -> None:
        self.path: Path = path
        self._database, self._lock = database, lock
        self.listener: Listener | None = None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        head: dict[str, Any],
        plan: Iterable[Piece] = (),
        outcomes: Iterable[tuple[int, Outcome]] = (),
        states: Sequence[Event] = (),
    ) -> Ledger:
        """Begin a ledger with what never changes, and what is known already.

        The file appears under its name only when all of that is in it.

        Raises:
            LedgerError: the file cannot be made, or another process holds it.
        """
        place = Path(path).absolute()
        lock = hold(place)
        new = place.with_name(f".{place.name}.new")
        try:
            _clear(place, new)
            os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(_connect(new)) as database:
                _durable(new, database)
                database.executescript(TABLES + APPEND_ONLY)
                book = cls(place, database, lock)
                with book._transaction():
                    kept = {"schema": SCHEMA, **head}.items()
                    database.executemany(
                        "INSERT INTO head VALUES (?, ?)",
                        ((name, as_json(value)) for name, value in kept),
                    )
                    database.executemany(
                        "INSERT INTO plan (kind, value, row) VALUES (?, ?, ?)", plan
                    )
                    book._insert(outcomes, states)
            new.replace(place)
            return cls(place, _durable(place, _connect(place)), lock)
        except BaseException as error:
            lock.close()
            if not isinstance(error, (OSError, sqlite3.Error)):
                raise
            raise LedgerError(f"{place}: the ledger cannot be made: {error}") from error

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Ledger:
        """Take up a ledger that is there.

        Raises:
            LedgerError: it is missing, held by another process, damaged, or of a newer version.
        """
        place = Path(path).absolute()
        if not place.is_file():
            raise LedgerError(f"{place}: there is no such ledger")
        lock = hold(place)
        try:
            database = _sound(place, _durable(place, _checked(place, _connect(place))))
        except BaseException:
            lock.close()
            raise
        return cls(place, database, lock)

    def head(self, name: str) -> Any:
        """What the ledger was begun with, by name."""
        with readable(self.path):
            query = "SELECT value FROM head WHERE name = ?"
            found = self._database.execute(query, (name,)).fetchone()
            return None if found is None else json.loads(found[0])

    def plan(self) -> Iterator[Piece]:
        """The plan's pieces, as it was begun with them."""
        with readable(self.path):
            query = "SELECT kind, value, row FROM plan ORDER BY piece"
            yield from map(Piece._make, self._database.execute(query))

    def events(self) -> Iterator[Event]:
        """Every state, in the order in which they came."""
        with readable(self.path):
            rows = self._database.execute("SELECT chunk, state, data FROM events ORDER BY event")
            for chunk, state, data in rows:
                yield Event(chunk, state, json.loads(data))

    def note(self, state: str, chunk: str | None = None, **data: Any) -> None:
        """Commit a state to the disk before anything else happens."""
        self.commit((), [Event(chunk, state, data)])

    def commit(self, outcomes: Iterable[tuple[int, Outcome]], states: Sequence[Event] = ()) -> None:
        """Commit the outcomes of rows, and the states they end, in one step; then tell of it."""
        with self._transaction():
            outcomes = list(outcomes)
            self._insert(outcomes, states)
        if self.listener is not None:
            self.listener(outcomes, states)

    def _insert(self, outcomes: Iterable[tuple[int, Outcome]], states: Sequence[Event]) -> None:
        self._database.executemany(
            "INSERT INTO outcomes (row, kind, code, reason, user_id, record, more)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (outcome_to_row(row, outcome) for row, outcome in outcomes),
        )
        self._database.executemany(
            "INSERT INTO events (chunk, state, data) VALUES (?, ?, ?)",
            ((event.chunk, event.state, as_json(event.data)) for event in states),
        )

    def codes(self) -> dict[int, str]:
        """The code of every row that has an outcome."""
        with readable(self.path):
            rows = self._database.execute(f"SELECT row, code FROM ({LATEST})")  # noqa: S608
            return {row: intern(code) for row, code in rows}

    def close(self) -> None:
        """Close the file and free the lock."""
        self._database.close()
        self._lock.close()

    def __enter__(self) -> Ledger:  # noqa: PYI034  typing.Self begins with 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: the ledger cannot be written: {error}") from error


def counts_in(path: Path) -> dict[str, int]:
    """How many rows came out as each kind; rows without an outcome are in none."""
    with reading(path) as database:
        query = f"SELECT kind, count(*) FROM ({LATEST}) GROUP BY kind"  # noqa: S608  constants
        found = dict(database.execute(query).fetchall())
    return {kind: found.get(kind, 0) for kind in KINDS}


def read_events(path: Path, state: str) -> list[dict[str, Any]]:
    """The data of every event of that state, in order, without locking the ledger."""
    with reading(path) as database:
        rows = database.execute("SELECT data FROM events WHERE state = ? ORDER BY event", (state,))
        return [json.loads(data) for (data,) in rows]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The database of a ledger, to be read only; nobody is kept from it meanwhile."""
    with closing(_checked(path, _connect(path))) as database, readable(path):
        yield database


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tell what is wrong with a ledger that cannot be read: nothing is sent on half of one."""
    try:
        yield
    except (sqlite3.Error, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, why: object) -> LedgerError:
    return LedgerError(
        f"{path}: the ledger is damaged, or cannot be read: {why}. Take it from a copy; "
        "without one, wait until none of its jobs is open on the platform, then plan anew"
    )


def _connect(path: Path) -> sqlite3.Connection:
    """The database of that name; one that is not there is not made, no link is followed."""
    refuse_links(path, *BESIDE)
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be opened: {error}") from error


def _checked(path: Path, database: sqlite3.Connection) -> sqlite3.Connection:
    """The database, if it is a ledger of this version; nothing is written to any other."""
    try:
        found = database.execute("SELECT value FROM head WHERE name = 'schema'").fetchone()
        version = int(found[0]) if found else 0
    except (sqlite3.Error, ValueError) as error:
        database.close()
        if "readonly" in str(error):
            advice = "even reading needs a folder that can be written: copy it into one"
            raise LedgerError(f"{path}: {error}; {advice}") from error
        raise LedgerError(f"{path}: not a ledger, or damaged: {error}") from error
    if version != SCHEMA:
        database.close()
        raise LedgerError(
            f"{path}: written by another version of lms_archive (schema {version}, here {SCHEMA})"
        )
    return database


def _sound(path: Path, database: sqlite3.Connection) -> sqlite3.Connection:
    """The database, if no page of it is damaged: what is sent next depends on all of them."""
    try:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        database.close()
        raise _damaged(path, found)
    return database


def _durable(path: Path, database: sqlite3.Connection) -> sqlite3.Connection:
    """The database, so that what is committed to it is on the disk."""
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        database.close()
        raise LedgerError(f"{path}: the ledger cannot be written: {error}") from error
    return database


def _clear(place: Path, new: Path) -> None:
    """Remove what an unfinished or deleted ledger left: SQLite would take it for the new one's."""
    if place.exists():
        raise LedgerError(f"{place}: another process has made it meanwhile: resume it")
    new.unlink(missing_ok=True)
    for path in (place, new):
        for rest in BESIDE:
            path.with_name(path.name + rest).unlink(missing_ok=True)
