"""Store what was planned, sent, answered and read back, on disk before the next step depends on it.

It is append-only, in WAL with `synchronous=FULL`, and one process at a time writes it (`lock`).
A saved plan is a ledger without events.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TypeVar, overload

from lms_archive.archive.ledger.codec import (
    detail_values,
    event_values,
    outcome_values,
    to_text,
    to_time,
)
from lms_archive.archive.ledger.database import (
    Connection,
    check_integrity,
    checkpoint,
    connect,
    damage_reported,
    existing_ledger,
    ledger_at,
    make_durable,
    new_file,
    transaction,
)
from lms_archive.archive.ledger.lock import BESIDE, hold, ledger_path
from lms_archive.archive.ledger.plan_store import (
    StoredRows,
    read_plan,
    skips_with_learning_plan,
    verify,
    write_plan,
)
from lms_archive.archive.ledger.queries import events_of, outcomes_of
from lms_archive.archive.selection import Selection
from lms_archive.archive.values.events import Event, OutcomeEvent, Sending
from lms_archive.archive.values.outcomes import Outcome, Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.errors import LedgerError
from lms_archive.files import sync_folder

E = TypeVar("E", bound=Event)


class Ledger:
    """The ledger of one plan, open for writing by this process alone."""

    def __init__(self, path: Path, database: Connection, lock: IO[str]) -> None:
        self.path: Path = path
        self._database, self._lock = database, lock

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        plan: PlanData,
        selection: Selection,
        *,
        digest: str,
        canary: int = 1,
        events: Iterable[Event] = (),
    ) -> Ledger:
        """Create a ledger with its plan, and with the events so far.

        The file appears under its name only when it is complete.

        Raises:
            InvalidInputError: no file can have this path, or the plan has another digest.
            LedgerError: the file cannot be made, or another process holds it.
        """
        location = ledger_path(path)
        new = location.with_name(f".{location.name}.new")
        with ExitStack() as stack:
            lock = stack.enter_context(hold(location))
            try:
                _clear(location, new)
                new_file(new)
                with closing(connect(new)) as database:
                    database.execute("PRAGMA synchronous = FULL")
                    ledger = cls(location, database, lock)
                    with ledger._transaction():
                        meta = {"purpose": "ledger", "canary": str(canary)}
                        write_plan(database, plan, selection, digest=digest, meta=meta)
                        ledger._insert(events)
                new.replace(location)
                sync_folder(location.parent)
            except OSError as error:
                raise LedgerError(f"{location}: the ledger cannot be made: {error}") from error
            database = stack.enter_context(closing(connect(location)))
            make_durable(location, database)
            stack.pop_all()
        return cls(location, database, lock)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Ledger:
        """Open an existing ledger for writing.

        Raises:
            InvalidInputError: no file can have this path.
            LedgerError: it is missing, held by another process, damaged, of another version, or
                a plan that was saved.
        """
        location = existing_ledger(path)
        with ExitStack() as stack:
            lock = stack.enter_context(hold(location))
            cure = f"ArchivePlan.load({str(path)!r}).apply(client, ledger=...)"
            database = stack.enter_context(closing(ledger_at(location, cure=cure)))
            make_durable(location, database)
            check_integrity(location, database)
            with damage_reported(location):
                verify(database)
            stack.pop_all()
        return cls(location, database, lock)

    def meta(self, name: str) -> str | None:
        """Return a value that the ledger was created with, by name."""
        with damage_reported(self.path):
            query = "SELECT value FROM meta WHERE name = ?"
            value = self._database.execute(query, (name,)).fetchone()
            return None if value is None else str(value[0])

    def plan(self) -> PlanData:
        """Return the plan of the ledger without its skips: they are outcomes now."""
        with damage_reported(self.path):
            return read_plan(self._database, with_skips=False)

    def rows(self) -> StoredRows:
        """Return the requested rows, by index."""
        with damage_reported(self.path):
            return StoredRows.of(self._database)

    def skips_with_learning_plan(self) -> list[Skip]:
        """Return the rows that are not sent because a learning plan's row archives them too."""
        with damage_reported(self.path):
            return skips_with_learning_plan(self._database)

    def outcome(self, row: int) -> Outcome | None:
        """Return the outcome of a row, if it has one."""
        with damage_reported(self.path):
            return next(outcomes_of(self._database, "latest.row = ?", row), None)

    def records_in(self, kind: str, target_id: int) -> set[int]:
        """Return the archived records, by id, that the outcomes of a target name."""
        query = (
            "SELECT record_id FROM outcomes JOIN planned USING (row) JOIN chunks USING (chunk)"
            " JOIN targets USING (target) WHERE targets.kind = ? AND targets.target_id = ?"
            " AND record_id IS NOT NULL"
        )
        with damage_reported(self.path):
            return {record for (record,) in self._database.execute(query, (kind, target_id))}

    @overload
    def events(self) -> Iterator[Event]: ...

    @overload
    def events(self, *types: type[E]) -> Iterator[E]: ...

    def events(self, *types: type[Event]) -> Iterator[Event]:
        """Yield the events, or those of some types, in the order in which they were written."""
        with damage_reported(self.path):
            yield from events_of(self._database, types)

    def sent_counts(self) -> dict[str | None, int]:
        """Count the rows that the plan sends, by kind of outcome; None for rows without one."""
        with damage_reported(self.path):
            query = "SELECT kind, count(*) FROM planned LEFT JOIN latest USING (row) GROUP BY kind"
            return dict(self._database.execute(query).fetchall())

    def append(self, *events: Event) -> None:
        """Write these events to the disk, all or none, before anything else happens.

        Raises:
            LedgerError: they cannot be written.
        """
        with self._transaction():
            self._insert(events)
        if any(isinstance(event, Sending) for event in events):
            checkpoint(self._database)

    def _insert(self, events: Iterable[Event]) -> None:
        now = to_time(datetime.now(timezone.utc).replace(microsecond=0)) or ""
        run, run_many = self._database.execute, self._database.executemany
        for event in events:
            number = run(_EVENT, event_values(event, now)).lastrowid
            if isinstance(event, Sending):
                run_many("INSERT INTO sent VALUES (?, ?)", ((number, row) for row in event.rows))
            details = ((number, *values) for values in detail_values(event))
            run_many("INSERT INTO details VALUES (?, ?, ?, ?)", details)
            if isinstance(event, OutcomeEvent):
                for row, outcome in event.outcomes:
                    self._insert_outcome(row, outcome, now, number)

    def _insert_outcome(self, row: int, outcome: Outcome, now: str, event: int | None) -> None:
        run, run_many = self._database.execute, self._database.executemany
        number = run(_OUTCOME, outcome_values(row, outcome, now, event)).lastrowid
        if outcome.courses:
            courses = (
                (number, course.course_id, to_text(course.status), course.record_id)
                for course in outcome.courses
            )
            run_many("INSERT INTO course_outcomes VALUES (?, ?, ?, ?)", courses)
        if outcome.differences:
            texts = ((number, to_text(text)) for text in outcome.differences)
            run_many("INSERT INTO differences VALUES (?, ?)", texts)

    def copy_to(self, path: Path) -> None:
        """Copy the whole ledger into an empty file."""
        with damage_reported(self.path), closing(connect(path)) as copy:
            self._database.backup(copy)

    def replace_by(self, path: Path) -> None:
        """Replace the ledger with another file; the lock is kept until `close`.

        Raises:
            LedgerError: another program is reading the ledger.
        """
        self._database.close()
        if self.path.with_name(f"{self.path.name}-wal").exists():
            raise LedgerError(f"{self.path}: another program is reading it: close that first")
        path.replace(self.path)
        sync_folder(self.path.parent)

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
        with transaction(self.path, self._database):
            yield


_OUTCOME = (
    "INSERT INTO outcomes (row, kind, code, reason, user_id, record_id, archived_at, record,"
    " recorded_at, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_EVENT = (
    "INSERT INTO events (recorded_at, type, chunk_id, job_id, sent_at, text)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


def _clear(location: Path, new: Path) -> None:
    """Remove what an unfinished or deleted ledger left: SQLite would use it for the new one."""
    if location.exists():
        raise LedgerError(f"{location}: another process has made it meanwhile: resume it")
    new.unlink(missing_ok=True)
    for path in (location, new):
        for rest in BESIDE:
            path.with_name(path.name + rest).unlink(missing_ok=True)
