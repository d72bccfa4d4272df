"""An outcome as the ledger keeps it: plain columns and JSON, no pickles.

What was asked for stands in the plan's rows, and is put to the outcome again when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

import attrs

from lms_archive.archive.outcomes import CourseOutcome, Outcome
from lms_archive.archive.selection import Row
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.records.convert import from_plain

__all__ = ["as_json", "outcome_to_row", "row_to_outcome"]


def outcome_to_row(row: int, outcome: Outcome) -> tuple[Any, ...]:
    """The values of a row's outcome, in the order of the ledger's columns."""
    record = None if outcome.record is None else as_json(_known(outcome.record))
    more = None
    if outcome.courses or outcome.differences:
        courses = [_known(one) for one in outcome.courses]
        more = as_json({"courses": courses, "differences": outcome.differences})
    kept = (outcome.kind, outcome.code, outcome.reason, outcome.user_id)
    return (row, *kept, record, more)


def row_to_outcome(values: Sequence[Any], row: Row) -> Outcome:
    """The outcome of what a ledger holds, and of the row that it is of."""
    _, kind, code, reason, user_id, record, more_text = values
    more = json.loads(more_text) if more_text else {"courses": (), "differences": ()}
    return Outcome(
        kind=kind,
        code=code,
        reason=reason,
        line=row.line,
        row=row.cells,
        target=row.target,
        user=row.user[1] if isinstance(row.user, tuple) else row.user,
        record=None if record is None else _record(json.loads(record)),
        courses=tuple(CourseOutcome(**one) for one in more["courses"]),
        differences=tuple(more["differences"]),
        user_id=user_id,
    )


def _record(data: dict[str, Any]) -> ArchivedRecord:
    if "course" in data:
        return from_plain(ArchivedCourseEnrollment, data)
    return from_plain(ArchivedLearningPlanEnrollment, data)


def _known(value: attrs.AttrsInstance) -> dict[str, Any]:
    """What is known of a record, by name: None is the default of all that may be None."""
    own, groups = _shape(type(value))
    known = {name: one for name in own if (one := getattr(value, name)) is not None}
    for group, names, get in groups:
        pairs = zip(names, get(value), strict=True)
        known[group] = {name: one for name, one in pairs if one is not None}
    return known


@cache
def _shape(cls: Any) -> tuple[list[str], list[tuple[str, list[str], Callable[[Any], Any]]]]:
    """A record's own attributes, and its groups: the names in each, and what gets them all."""
    own: list[str] = []
    groups: list[tuple[str, list[str], Callable[[Any], Any]]] = []
    for field in attrs.fields(cls):
        if attrs.has(field.type):
            names = [one.name for one in attrs.fields(field.type)]
            get = attrgetter(*(f"{field.name}.{name}" for name in names))
            groups.append((field.name, names, get))
        else:
            own.append(field.name)
    return own, groups


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain, check_circular=False)


def as_json(value: Any) -> str:
    """A value as the ledger keeps it."""
    return _ENCODER.encode(value)
