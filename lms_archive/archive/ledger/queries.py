"""Query a ledger, row by row, without locking it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any, TypeVar

from attrs import frozen

from lms_archive.archive.ledger.codec import (
    event_from,
    outcome_from,
    time_from,
)
from lms_archive.archive.ledger.database import Connection, open_for_reading
from lms_archive.archive.ledger.plan_store import StoredRows, meta_of
from lms_archive.archive.selection import Row
from lms_archive.archive.values.events import EVENT_TYPES, Event
from lms_archive.archive.values.outcomes import (
    AS_REQUESTED,
    CONFLICTING,
    KINDS,
    NOTHING_TO_DO,
    Outcome,
    OutcomeView,
)
from lms_archive.records.archived import read_from

E = TypeVar("E", bound=Event)

_PENDING = "FROM rows WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.row = rows.row)"


@frozen
class JobProgress:
    """How far the job of a ledger has come.

    Attributes:
        codes: kind, code and number of rows of each code: by kind, the most frequent code first.
        pending: rows without an outcome yet.
        changed_at: when the ledger was last written, by the clock of the machine that did (UTC).
    """

    codes: Sequence[tuple[str, str, int]]
    pending: int
    changed_at: datetime | None

    @property
    def counts(self) -> dict[str, int]:
        """Rows by kind of outcome."""
        counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        for kind, _, count in self.codes:
            counts[kind] += count
        return counts

    @property
    def rows(self) -> int:
        """All rows requested."""
        return sum(self.counts.values()) + self.pending

    @property
    def decided(self) -> int:
        """Rows that have their final outcome."""
        return self.rows - self.pending - self.counts["unknown"]

    @property
    def is_finished(self) -> bool:
        """Whether every row has its final outcome: `resume` would do nothing."""
        return self.decided == self.rows


def read_progress(path: Path) -> JobProgress:
    """Return how far the job of a ledger has come."""
    with open_for_reading(path) as database:
        query = "SELECT kind, code, count(*) FROM latest GROUP BY kind, code ORDER BY 3 DESC, 2"
        codes = sorted(database.execute(query), key=lambda count: KINDS.index(count[0]))
        (pending,) = database.execute(f"SELECT count(*) {_PENDING}").fetchone()
        (changed_at,) = database.execute("SELECT max(recorded_at) FROM events").fetchone()
        return JobProgress(codes, pending, time_from(changed_at))


def is_redacted(path: Path) -> bool:
    """Return whether `redact` has removed the names and links from a ledger."""
    with open_for_reading(path) as database:
        return "redacted" in meta_of(database)


def canary_failed_in(path: Path) -> bool:
    """Return whether the canary was sent, is not proven, and has an outcome to look at.

    A call that was never answered is not a failed canary. Without a canary, none can fail.
    """
    with open_for_reading(path) as database:
        starts = (
            "SELECT value FROM events JOIN details USING (event)"
            " WHERE type IN ('started', 'resumed') AND name = 'canary' ORDER BY event DESC"
        )
        has_canary = (database.execute(starts).fetchone() or (0,))[0]
        proven = "SELECT 1 FROM events WHERE type = 'proven' AND text = 'canary'"
        wrong = (
            "SELECT 1 FROM events WHERE type = 'unexpected' UNION ALL SELECT 1 FROM latest"
            " WHERE event IS NOT NULL AND kind <> 'skipped' AND code NOT IN"
            " ('archived', 'archived_meanwhile', 'validity_ended', 'no_answer')"
        )
        return bool(
            has_canary
            and database.execute(proven).fetchone() is None
            and database.execute(wrong).fetchone()
        )


def pending_in(path: Path) -> Iterator[Row]:
    """Yield the rows that have no outcome yet, in input order."""
    with open_for_reading(path) as database:
        rows = StoredRows.of(database)
        for values in database.execute(f"SELECT * {_PENDING} ORDER BY row"):
            yield rows.row(values)


def outcomes_in(
    path: Path, view: OutcomeView | None = None, *, first: int = 0, count: int | None = None
) -> Iterator[Outcome]:
    """Yield the outcomes of a ledger, in input order, with one in memory at a time.

    Yield *count* outcomes, or all, from number *first* on.
    """
    with open_for_reading(path) as database:
        yield from outcomes_of(database, _CONDITIONS[view], first=first, count=count)


def outcome_count_in(path: Path, view: OutcomeView | None = None) -> int:
    """Return how many outcomes `outcomes_in` yields."""
    query = f"SELECT count(*) FROM latest WHERE {_CONDITIONS[view]}"  # noqa: S608  constants
    with open_for_reading(path) as database:
        return int(database.execute(query).fetchone()[0])


def outcome_table_in(
    path: Path, view: OutcomeView | None = None
) -> Iterator[tuple[dict[str, Any], tuple[Any, ...]]]:
    """Yield the cells of each row that `outcomes_in` yields, and the values that describe it.

    These are kind, code, reason, differences, line, position, user id, target id, record id and
    the time of archiving. Records are not read.
    """
    with open_for_reading(path) as database:
        headers = StoredRows.of(database).headers
        rows = database.execute(f"{_TABLE} WHERE {_CONDITIONS[view]} ORDER BY latest.row")
        for part, cells, *described, archived_at in rows:
            own = dict(zip(headers[part], json.loads(cells), strict=False))
            yield own, (*described, time_from(archived_at))


def outcomes_of(
    database: Connection,
    where: str = "1",
    *values: str | int,
    first: int = 0,
    count: int | None = None,
) -> Iterator[Outcome]:
    """Yield the outcomes for which a condition holds, in input order; by default, all."""
    find = database.execute
    rows = StoredRows.of(database)
    query = (
        f"SELECT outcome, code, reason, latest.user_id, record, rows.*"  # noqa: S608
        f" FROM latest LEFT JOIN rows USING (row) WHERE {where} ORDER BY latest.row"
        " LIMIT ? OFFSET ?"
    )
    platform = meta_of(database)["platform"]
    for number, *columns in find(query, (*values, -1 if count is None else count, first)):
        outcome = outcome_from(
            columns[:4],
            rows.row(columns[4:]),
            find(_COURSES, (number,)).fetchall(),
            find(_DIFFERENCES, (number,)).fetchall(),
        )
        if outcome.record is not None:
            read_from(outcome.record, platform)
        yield outcome


_COURSES = "SELECT course_id, status, record_id FROM course_outcomes WHERE outcome = ?"
_DIFFERENCES = "SELECT text FROM differences WHERE outcome = ?"
_COURSES_NOT_AS_REQUESTED = (
    "FROM course_outcomes WHERE outcome = latest.outcome"
    f" AND status NOT IN ({', '.join(map(repr, sorted(AS_REQUESTED)))})"
)
_INCOMPLETE = (
    "latest.kind = 'archived' AND ("  # noqa: S608  constants
    "latest.code NOT IN ('archived', 'archived_meanwhile')"
    " OR EXISTS (SELECT 1 FROM differences WHERE outcome = latest.outcome)"
    f" OR EXISTS (SELECT 1 {_COURSES_NOT_AS_REQUESTED}))"
)
"""The condition that is `Outcome.is_incomplete`."""
_ATTENTION = (
    f"(latest.kind IN ('failed', 'unknown') OR ({_INCOMPLETE})"
    f" OR (latest.kind = 'archived' AND instr(latest.reason, '{CONFLICTING}'))"
    " OR (latest.kind = 'skipped' AND latest.code NOT IN"
    f" ({', '.join(map(repr, sorted(NOTHING_TO_DO)))})))"
)
"""The condition that is `Outcome.needs_attention`."""
_CONDITIONS: Mapping[OutcomeView | None, str] = {
    None: "1",
    **{kind: f"latest.kind = '{kind}'" for kind in KINDS},
    "incomplete": _INCOMPLETE,
    "needs attention": _ATTENTION,
}
"""The condition for the outcomes of each view."""
_ALL_DIFFERENCES = (
    "SELECT group_concat(text, '; ') FROM ("  # noqa: S608  constants
    "SELECT text FROM differences WHERE outcome = latest.outcome UNION ALL "
    "SELECT 'course ' || course_id || ': ' || replace(status, '_', ' ')"
    f" {_COURSES_NOT_AS_REQUESTED})"
)
_TABLE = (
    f"SELECT part, cells, latest.kind, latest.code, reason, ({_ALL_DIFFERENCES}), line, position,"  # noqa: S608
    " latest.user_id, CASE WHEN record_id IS NOT NULL THEN targets.target_id END, record_id,"
    " archived_at FROM latest LEFT JOIN rows USING (row) LEFT JOIN planned USING (row)"
    " LEFT JOIN chunks USING (chunk) LEFT JOIN targets ON targets.target = chunks.target"
)


def cells_in(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the cells of each requested row, by column."""
    with open_for_reading(path) as database:
        headers = StoredRows.of(database).headers
        for part, cells in database.execute("SELECT part, cells FROM rows ORDER BY row"):
            yield dict(zip(headers[part], json.loads(cells), strict=False))


def target_kinds_in(path: Path) -> set[str]:
    """Return the kinds of the targets that the rows name."""
    with open_for_reading(path) as database:
        return {kind for (kind,) in database.execute("SELECT DISTINCT kind FROM targets")}


def read_events(path: Path, *types: type[E]) -> list[E]:
    """Return the events of these types, in order, without locking the ledger."""
    with open_for_reading(path) as database:
        return [event for event in events_of(database, types) if isinstance(event, types)]


def events_of(database: Connection, types: Sequence[type[Event]] = ()) -> Iterator[Event]:
    """Yield the events of a ledger, or those of some types, in the order of writing."""
    names = [name for name, cls in EVENT_TYPES.items() if not types or cls in types]
    wanted = f"type IN ({', '.join('?' * len(names))})"
    events = f"SELECT event FROM events WHERE {wanted}"  # noqa: S608  placeholders

    def parts(columns: str, table: str, order: str) -> Callable[[int], list[tuple[Any, ...]]]:
        query = f"SELECT event, {columns} FROM {table} WHERE event IN ({events}) ORDER BY {order}"  # noqa: S608
        rows = database.execute(query, names)
        groups = groupby(rows, key=itemgetter(0))
        ahead = next(groups, None)

        def of_event(number: int) -> list[tuple[Any, ...]]:
            nonlocal ahead
            if ahead is None or ahead[0] != number:
                return []
            own = [tuple(values[1:]) for values in ahead[1]]
            ahead = next(groups, None)
            return own

        return of_event

    sent = parts("row", "sent", "event, row")
    details = parts("name, position, value", "details", "event, rowid")
    codes = parts("row, code", "outcomes", "event, outcome")
    query = (
        f"SELECT event, type, chunk_id, job_id, sent_at, text FROM events WHERE {wanted}"  # noqa: S608
        " ORDER BY event"
    )
    for number, *values in database.execute(query, names):
        rows = [row for (row,) in sent(number)]
        outcomes = {row: intern(code) for row, code in codes(number)}
        yield event_from(values, rows, details(number), outcomes)
