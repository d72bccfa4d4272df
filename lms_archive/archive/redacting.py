"""A finished ledger without names: ids, counts, dates and codes stay as the evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import attrs

from lms_archive.archive.columns import column_word
from lms_archive.archive.ledger import Event, Ledger, outcomes_in
from lms_archive.archive.lock import hold
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.plan import plan_in
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
    with Ledger.open(place) as book:
        _check_finished(book)
        heads = {name: book.head(name) for name in ("digest", "canary")}
        heads |= {"plan": _plan(book.head("plan")), "redacted": True}
        new.unlink(missing_ok=True)  # what an interrupted one left
        outcomes = enumerate(map(_outcome, outcomes_in(place)))
        events = [_event(one) for one in book.events()]
        Ledger.create(new, heads, outcomes, events).close()
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
    codes = book.codes()
    rows = len(plan_in(book).selection)
    unknown = sum(one.kind == "unknown" for one in outcomes_in(book.path))
    if len(codes) < rows or unknown:
        left = rows - len(codes) + unknown
        raise LedgerError(
            f"{book.path}: not finished: {left:,} of {rows:,} rows are open, and names are needed "
            "to settle them. resume() first, then redact()"
        )


def _plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    unnamed = {one["row"] for one in plan["skips"] if one["code"] in _UNNAMED}
    rows, offset = [], 0
    for part in plan["rows"]:
        count = len(part["lines"])
        rows.append(_rows(part, {row - offset for row in unnamed}))
        offset += count
    return {
        **plan,
        "rows": rows,
        "chunks": [
            {**one, "members": [{**member, "username": None} for member in one["members"]]}
            for one in plan["chunks"]
        ],
        "skips": [{**one, "reason": _REDACTED} for one in plan["skips"]],
        "warnings": [_REDACTED for _ in plan["warnings"]],
    }


def _rows(part: Mapping[str, Any], unnamed: AbstractSet[int]) -> dict[str, Any]:
    """The rows of one part, by column; codes stay that a row not `unnamed` has."""
    named = _used(part["target_of"], unnamed)
    columns = zip(part["header"], part["cells"], part["cell_of"], strict=True)
    return {
        **part,
        "cells": [
            [_cell(name, cell, named=i in kept) for i, cell in enumerate(cells)]
            for name, cells, places in columns
            for kept in [_used(places, unnamed)]
        ],
        "targets": [
            one and [one[0], one[1], one[2] if one[2] is None or place in named else _REDACTED]
            for place, one in enumerate(part["targets"])
        ],
        "users": [_user(one[0] if isinstance(one, list) else one) for one in part["users"]],
        "faults": {i: [code, _REDACTED] for i, (code, _) in part["faults"].items()},
    }


def _used(places: Sequence[int], unnamed: AbstractSet[int]) -> set[int]:
    return {place for row, place in enumerate(places) if row not in unnamed}


def _cell(name: str, value: Any, *, named: bool) -> Any:
    """A cell, where it is an id, or the code of a target that the platform has."""
    word = column_word(name)
    number = int(value) if isinstance(value, str) and _is_number(value) else value
    kept = (word in _IDS and is_id(number)) or (word in _CODES and named)
    return value if kept or value is None else _REDACTED


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004  as `is_id`


def _user(user: int | str | None) -> int | str | None:
    return _REDACTED if isinstance(user, str) else user


def _outcome(one: Outcome) -> Outcome:
    user = _user(one.user)
    named, target = one.code not in _UNNAMED, one.target
    if target is not None and target.code is not None and not named:
        target = attrs.evolve(target, code=_REDACTED)
    return attrs.evolve(
        one,
        reason=_REDACTED,
        target=target,
        row={name: _cell(name, value, named=named) for name, value in one.row.items()},
        user=one.user_id if user == _REDACTED and one.user_id is not None else user,
        record=None if one.record is None else _record(one.record),
    )


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
