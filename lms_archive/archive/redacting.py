"""A finished ledger without names: ids, counts, dates and codes stay as the evidence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from lms_archive.archive.columns import column_word
from lms_archive.archive.ledger import Event, Ledger, counts_in, readable
from lms_archive.archive.ledger_rows import outcomes_in
from lms_archive.archive.lock import hold
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.pieces import Piece, piece_of, sealed, values_of
from lms_archive.archive.selection import is_id
from lms_archive.errors import LedgerError
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedRecord

__all__ = ["redact"]

_REDACTED = "redacted"
_IDS = {"user_id", "course_id", "learning_plan_id"}
_CODES = {"course_code", "learning_plan_code"}
_TEXTS = {"text", "why"}
_UNNAMED = {"bad_row", "unknown_course", "unknown_learning_plan"}


def redact(ledger: str | os.PathLike[str]) -> None:
    """Take the names out of a finished ledger, for ever.

    What goes: usernames, first and last names, every cell given but ids and codes of targets,
    unknown fields, links to certificates, and every free text (reasons, warnings, notes). What
    stays: ids of users, targets, records and jobs, dates, statuses, scores, kinds and codes: the
    counts and the evidence. A user's id is personal data still, as long as the platform knows it.

    The ledger is written anew beside itself and takes its own place, so that no byte of a name
    is left in the file. Plans, outcome files, certificates and backups are yours to delete.

    Raises:
        LedgerError: it is not finished (names are needed to finish it), is missing, in use, or
            cannot be written.
    """
    place = Path(ledger)
    new = place.with_name(f".{place.name}.redacted")
    with Ledger.open(place) as book, readable(place):
        _check_finished(book)
        head = {name: book.head(name) for name in ("digest", "canary")} | {"redacted": True}
        new.unlink(missing_ok=True)  # what an interrupted one left
        plan = sealed(_plan(book, outcomes_in(place)))
        outcomes = enumerate(map(_outcome, outcomes_in(place)))
        events = [_event(one) for one in book.events()]
        Ledger.create(new, head, plan, outcomes, events).close()
    lock = hold(place)
    try:
        if place.with_name(f"{place.name}-wal").exists():
            raise LedgerError(f"{place}: another program is reading it: close that first")
        new.replace(place)
    except OSError as error:
        raise LedgerError(f"{place}: cannot be replaced: {error}") from error
    finally:
        new.unlink(missing_ok=True)
        Path(f"{new}.lock").unlink(missing_ok=True)
        lock.close()


def _check_finished(book: Ledger) -> None:
    counts = counts_in(book.path)
    rows = sum(len(value["rows"]) for kind, value in _values(book) if kind == "rows")
    left = rows - sum(counts.values()) + counts["unknown"]
    if left:
        raise LedgerError(
            f"{book.path}: not finished: {left:,} of {rows:,} rows are open, and names are needed "
            "to settle them. resume() first, then redact()"
        )


def _values(book: Ledger) -> Iterator[tuple[str, Any]]:
    return values_of(piece.line for piece in book.plan())


def _plan(book: Ledger, outcomes: Iterator[Outcome]) -> Iterator[Piece]:
    first = 0
    for kind, value in _values(book):
        if kind == "rows":
            given = list(zip(value["rows"], outcomes, strict=False))
            rows = [_row(value["header"], row, one) for row, one in given]
            yield piece_of(kind, {**value, "rows": rows}, first)
            first += len(rows)
        elif kind == "members":
            yield piece_of(kind, [[*one[:2], None, *one[3:]] for one in value])
        elif kind == "skips":
            yield piece_of(kind, [[*one[:2], _REDACTED, *one[3:]] for one in value])
        elif "warnings" in value:
            yield piece_of(kind, {**value, "warnings": [_REDACTED for _ in value["warnings"]]})
        else:
            yield piece_of(kind, value)


def _row(header: Sequence[str], row: Sequence[Any], outcome: Outcome) -> list[Any]:
    line, target, user, cells, *fault = row
    named = outcome.code not in _UNNAMED
    if target is not None and target[2] is not None and not named:
        target = [*target[:2], _REDACTED]
    names = zip(header, cells, strict=False)  # a row may end before its header
    cells = [_cell(name, value, named=named) for name, value in names]
    user = user[0] if isinstance(user, list) else user
    if isinstance(user, str):
        user = _REDACTED if outcome.user_id is None else outcome.user_id
    return [line, target, user, cells, *([code, _REDACTED] for code, _ in fault)]


def _cell(name: str, value: Any, *, named: bool) -> Any:
    """A cell, where it is an id, or the code of a target that the platform has."""
    word = column_word(name)
    number = int(value) if isinstance(value, str) and _is_number(value) else value
    kept = (word in _IDS and is_id(number)) or (word in _CODES and named)
    return value if kept or value is None else _REDACTED


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004  as `is_id`


def _outcome(one: Outcome) -> Outcome:
    record = None if one.record is None else _record(one.record)
    return attrs.evolve(one, reason=_REDACTED, record=record)


def _record(record: ArchivedRecord) -> ArchivedRecord:
    archiving = attrs.evolve(record.archiving, archived_by=_by(record.archiving.archived_by))
    user = attrs.evolve(record.user, username=None, first_name=None, last_name=None)
    by = _by(record.enrollment.enrolled_by)
    if isinstance(record, ArchivedCourseEnrollment):
        return attrs.evolve(
            record,
            archiving=archiving,
            user=user,
            course=attrs.evolve(record.course, certificate_url=None),
            enrollment=attrs.evolve(record.enrollment, enrolled_by=by),
            extra={},
        )
    return attrs.evolve(
        record,
        archiving=archiving,
        user=user,
        learning_plan=attrs.evolve(record.learning_plan, certificate_url=None),
        enrollment=attrs.evolve(record.enrollment, enrolled_by=by),
        extra={},
    )


def _by(who: int | str | None) -> int | str | None:
    return None if isinstance(who, str) else who


def _event(event: Event) -> Event:
    data = {key: _REDACTED if key in _TEXTS else value for key, value in event.data.items()}
    return attrs.evolve(event, data=data)
