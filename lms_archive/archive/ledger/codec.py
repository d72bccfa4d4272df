"""Convert texts, times, outcomes and events to the columns of a ledger, and back.

Times are ISO 8601 in UTC with a space, as the date functions of SQLite read them. Only a row's
own cells and the fields of an archived record are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import attrs

from lms_archive.archive.selection import Row
from lms_archive.archive.values.events import EVENT_TYPES, Event, type_of
from lms_archive.archive.values.outcomes import CourseOutcome, Outcome
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.records.structure import from_plain, to_plain

Values = tuple[Any, ...]


def to_text(value: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates are escaped."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def to_time(value: datetime | None) -> str | None:
    """Return a time as the text of a column."""
    return None if value is None else value.isoformat(" ")


def time_from(text: str | None) -> datetime | None:
    """Return the time that a column holds."""
    return None if text is None else datetime.fromisoformat(text)


JSON = json.JSONEncoder(
    separators=(",", ":"), default=str, check_circular=False, ensure_ascii=False
)
_ASCII_JSON = json.JSONEncoder(separators=(",", ":"), default=str, check_circular=False)


def as_json(value: Any) -> str:
    """Return a value as JSON; only what UTF-8 cannot hold is escaped."""
    text = JSON.encode(value)
    return text if text == to_text(text) else _ASCII_JSON.encode(value)


# Outcomes


def outcome_values(row: int, outcome: Outcome, recorded_at: str, event: int | None) -> Values:
    """Return an outcome as a row of the table `outcomes`; its lists are in tables of their own."""
    record_id = archived_at = record = None
    if outcome.record is not None:
        record_id = outcome.record.archiving.record_id
        archived_at = to_time(outcome.record.archiving.archived_at)
        record = record_json(outcome.record)
    decided = (outcome.kind, outcome.code, to_text(outcome.reason), outcome.user_id)
    return (row, *decided, record_id, archived_at, record, recorded_at, event)


def outcome_from(
    values: Sequence[Any],
    row: Row,
    courses: Iterable[Sequence[Any]] = (),
    differences: Iterable[Sequence[Any]] = (),
) -> Outcome:
    """Return the outcome of a row, made from the values of a ledger.

    Args:
        values: code, reason, user_id and record.
        row: the requested row.
        courses: course_id, status and record_id of each course of a learning plan.
        differences: one text for each.
    """
    code, reason, user_id, record = values
    return Outcome.of(
        row,
        code,
        reason,
        record=None if record is None else record_from(record),
        courses=tuple(
            CourseOutcome(course_id, status, record_id) for course_id, status, record_id in courses
        ),
        differences=tuple(text for (text,) in differences),
        user_id=user_id,
    )


def record_from(text: str) -> ArchivedRecord:
    """Return the archived record that this JSON holds."""
    data = json.loads(text)
    if "course" in data:
        return from_plain(ArchivedCourseEnrollment, data)
    return from_plain(ArchivedLearningPlanEnrollment, data)


def record_json(record: ArchivedRecord) -> str:
    """Return the JSON of an archived record, without empty fields."""
    return as_json(to_plain(record, omit_defaults=True))


# Events

_TEXTS: Final = ("text", "reason", "stage", "problem")
"""The fields that the column `text` holds; an event has at most one of them."""
_COLUMNS: Final = frozenset({"chunk_id", "job_id", "sent_at", *_TEXTS})
_ELSEWHERE: Final = frozenset({"rows", "codes", "outcomes"})
"""The fields that the tables `sent` and `outcomes` hold."""


def event_values(event: Event, recorded_at: str) -> Values:
    """Return an event as the table `events` holds it."""
    fields = _fields_of(event)
    text = next((fields[name] for name in _TEXTS if fields.get(name) is not None), None)
    return (
        recorded_at,
        type_of(event),
        fields.get("chunk_id"),
        _cell(fields.get("job_id")),
        to_time(fields.get("sent_at")),
        None if text is None else to_text(text),
    )


def detail_values(event: Event) -> Iterator[tuple[str, int | None, Any]]:
    """Yield the name, list position and value of each field that has no column of its own."""
    for name, value in _fields_of(event).items():
        if name in _COLUMNS | _ELSEWHERE:
            continue
        if isinstance(value, tuple):
            yield from ((name, index, _cell(item)) for index, item in enumerate(value))
        elif isinstance(value, Mapping):
            yield from ((key, None, number) for key, number in value.items())
        else:
            yield name, None, _cell(value)


def event_from(
    values: Sequence[Any],
    rows: Iterable[int],
    details: Iterable[Sequence[Any]],
    codes: Mapping[int, str],
) -> Event:
    """Return the event that these values of a ledger describe.

    Args:
        values: type, chunk_id, job_id, sent_at and text.
        rows: the rows that are sent.
        details: name, position and value of each.
        codes: the code of each outcome that was written with it, by row.
    """
    name, chunk_id, job_id, sent_at, text = values
    fields: dict[str, Any] = {"chunk_id": chunk_id, "job_id": job_id, **dict.fromkeys(_TEXTS, text)}
    fields |= {"sent_at": sent_at and datetime.fromisoformat(sent_at)}
    fields |= {"rows": tuple(rows), "codes": codes}
    listed: dict[str, list[Any]] = {}
    single: dict[str, Any] = {}
    for detail, position, value in details:
        if position is None:
            single[detail] = value
        else:
            listed.setdefault(detail, []).append(value)
    fields |= {**single, **{detail: tuple(items) for detail, items in listed.items()}}
    fields["calls"] = single
    cls: Any = EVENT_TYPES[name]
    return cast("Event", cls(**{key: fields[key] for key in _names_of(cls) if key in fields}))


def _cell(value: Any) -> Any:
    return to_text(value) if isinstance(value, str) else value


def _fields_of(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _names_of(type(event))}


def _names_of(cls: type[Event]) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in attrs.fields(cls) if attribute.name != "outcomes")
