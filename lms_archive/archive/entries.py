"""An outcome as the ledger keeps it: plain columns and JSON, no pickles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lms_archive.archive.outcomes import CarriedCourse, Outcome
from lms_archive.archive.selection import Target
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.records.convert import from_plain, to_plain

__all__ = ["as_json", "outcome_to_row", "row_to_outcome"]

_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)


def outcome_to_row(row: int, outcome: Outcome) -> tuple[Any, ...]:
    """The values of a row's outcome, in the order of the ledger's columns."""
    target = outcome.target and [outcome.target.kind, outcome.target.target_id, outcome.target.code]
    record = None if outcome.record is None else as_json(to_plain(outcome.record))
    asked = {"target": target, "user": outcome.user, "row": dict(outcome.row)}
    more = {
        "courses": to_plain(outcome.courses) if outcome.courses else [],
        "differences": outcome.differences,
        "user_id": outcome.user_id,
    }
    kept = (outcome.kind, outcome.code, outcome.reason, outcome.line)
    return (row, *kept, as_json(asked), record, as_json(more))


def row_to_outcome(row: Sequence[Any]) -> Outcome:
    """The outcome of what a ledger holds."""
    _, kind, code, reason, line, asked_text, record, more_text = row
    asked, more = json.loads(asked_text), json.loads(more_text)
    return Outcome(
        kind=kind,
        code=code,
        reason=reason,
        line=line,
        row=asked["row"],
        target=None if asked["target"] is None else Target(*asked["target"]),
        user=asked["user"],
        record=None if record is None else _record(json.loads(record)),
        courses=tuple(CarriedCourse(**one) for one in more["courses"]),
        differences=tuple(more["differences"]),
        user_id=more["user_id"],
    )


def _record(data: dict[str, Any]) -> ArchivedRecord:
    if "course" in data:
        return from_plain(ArchivedCourseEnrollment, data)
    return from_plain(ArchivedLearningPlanEnrollment, data)


def as_json(value: Any) -> str:
    """A value as the ledger keeps it."""
    return _ENCODER.encode(value)
