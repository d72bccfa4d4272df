"""Structuring archived records, against frozen pydantic v2 dataclasses of the same shape.

Both take the platform's flat items and make nested records: dates such as
`2026-01-31 23:59:59` in UTC, zero dates as None, ids from digits, words of the platform as enum
members, unknown fields kept in `extra`. pydantic gets the flat item for each group, under
aliases, so that nothing is copied for it. Needs the extra `bench`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

from lms_archive import ArchivedCourseEnrollment, Contract
from lms_archive.records import (
    ArchivedCourse,
    ArchiveDetails,
    ArchivedUser,
    CourseEnrollmentDetails,
)
from lms_archive.records.status import LEVEL_WORDS, STATUS_WORDS, EnrollmentLevel, EnrollmentStatus
from lms_archive.records.structure import Structurer

from .common import alternating, archived_items, cpu_seconds, figure

_COUNT = 1_000
_ROUNDS = 60


def _moment(text: str | None) -> datetime | None:
    if text is None or text.startswith("0000-00-00"):
        return None
    return datetime.fromisoformat(text + "+00:00")


def _by_pydantic() -> dict[str, Callable[[dict[str, Any]], object]]:
    """The same records as pydantic dataclasses: nested, and flat."""
    from pydantic import Field, PlainValidator, TypeAdapter  # noqa: PLC0415  only needed here
    from pydantic.dataclasses import dataclass  # noqa: PLC0415

    frozen = dataclass(frozen=True, slots=True, kw_only=True)
    moment = Annotated[datetime | None, PlainValidator(_moment)]
    status = Annotated[Any, PlainValidator(lambda word: STATUS_WORDS.get(word, word))]
    level = Annotated[Any, PlainValidator(lambda word: LEVEL_WORDS.get(word, word))]

    def shape(name: str, **fields: tuple[Any, str | None]) -> type:
        space: dict[str, Any] = {"__annotations__": {n: kind for n, (kind, _) in fields.items()}}
        for attribute, (_, key) in fields.items():
            space[attribute] = (
                field(default=None) if key is None else Field(default=None, validation_alias=key)
            )
        made: type = frozen(type(name, (), space))
        return made

    archiving: dict[str, tuple[Any, str | None]] = {
        "record_id": (int, "id"),
        "archived_at": (moment, "archived_at"),
        "archived_by": (int | str | None, "archived_by"),
    }
    user: dict[str, tuple[Any, str | None]] = {
        "user_id": (int, "user_id"),
        "username": (str | None, "username"),
        "first_name": (str | None, "first_name"),
        "last_name": (str | None, "last_name"),
        "language": (str | None, "language"),
        "last_login_at": (datetime | None, None),
        "expires_at": (datetime | None, None),
        "is_active": (bool | None, None),
        "is_suspended": (bool | None, None),
        "level": (str | None, None),
    }
    course: dict[str, tuple[Any, str | None]] = {
        "course_id": (int, "course_id"),
        "title": (str | None, "course_name"),
        "code": (str | None, "course_code"),
        "uid": (str | None, "course_uid"),
        "type": (str | None, "course_type"),
        "language": (str | None, None),
        "credits": (float | None, "course_credits"),
        "certificate_url": (str | None, "certificate_url"),
        "certificate_at": (moment, "certificate_date"),
    }
    enrollment: dict[str, tuple[Any, str | None]] = {
        "enrolled_at": (moment, "enrollment_created_at"),
        "enrolled_by": (int | str | None, "enrollment_created_by"),
        "updated_at": (datetime | None, None),
        "valid_from": (moment, "enrollment_validity_begin_datetime"),
        "valid_until": (moment, "enrollment_validity_end_datetime"),
        "status": (status, "enrollment_status"),
        "completed_at": (moment, "enrollment_completion_date"),
        "level": (level, "enrollment_level"),
        "score": (float | None, "enrollment_score"),
        "time_spent": (int | None, "enrollment_time_spent"),
    }
    own: dict[str, tuple[Any, str | None]] = {
        "learning_plan_id": (int | None, "learning_plan_id"),
        "extra": (dict[str, Any], "extra"),
    }
    groups = {"archiving": archiving, "user": user, "course": course, "enrollment": enrollment}
    inner: dict[str, tuple[Any, str | None]] = {
        name: (shape(name, **fields), name) for name, fields in groups.items()
    }
    nested: Any = TypeAdapter(shape("Record", **inner, **own)).validate_python
    every = {f"{name}_{n}": one for name, fields in groups.items() for n, one in fields.items()}
    flat: Any = TypeAdapter(shape("Flat", **every, **own)).validate_python
    known = {key for _, key in (*every.values(), *own.values()) if key is not None}

    def extra(item: dict[str, Any]) -> dict[str, Any]:
        return {key: item[key] for key in item if key not in known}

    def make_nested(item: dict[str, Any]) -> object:
        given: dict[str, Any] = dict.fromkeys(groups, item)
        return nested({**given, "learning_plan_id": item["learning_plan_id"], "extra": extra(item)})

    return {
        "pydantic, nested": make_nested,
        "pydantic, flat": lambda item: flat({**item, "extra": extra(item)}),
    }


def _number(text: str | float | None) -> float | None:
    return None if text is None else float(text)


def _integer(text: str | int | None) -> int | None:
    return None if text is None else int(text)


def by_hand(item: dict[str, Any]) -> ArchivedCourseEnrollment:
    """The record as somebody would write it out for these items, and for no other contract."""
    status, level = item["enrollment_status"], item["enrollment_level"]
    made: EnrollmentStatus | str = STATUS_WORDS.get(status, status)
    part: EnrollmentLevel | str = LEVEL_WORDS.get(level, level)
    return ArchivedCourseEnrollment(
        archiving=ArchiveDetails(
            record_id=int(item["id"]),
            archived_at=_moment(item["archived_at"]),
            archived_by=item["archived_by"],
        ),
        user=ArchivedUser(
            user_id=int(item["user_id"]),
            username=item["username"],
            first_name=item["first_name"],
            last_name=item["last_name"],
            language=item["language"],
        ),
        course=ArchivedCourse(
            course_id=int(item["course_id"]),
            title=item["course_name"],
            code=item["course_code"],
            uid=item["course_uid"],
            type=item["course_type"],
            credits=_number(item["course_credits"]),
            certificate_url=item["certificate_url"],
            certificate_at=_moment(item["certificate_date"]),
        ),
        enrollment=CourseEnrollmentDetails(
            enrolled_at=_moment(item["enrollment_created_at"]),
            enrolled_by=_integer(item["enrollment_created_by"]),
            valid_from=_moment(item["enrollment_validity_begin_datetime"]),
            valid_until=_moment(item["enrollment_validity_end_datetime"]),
            status=made,
            completed_at=_moment(item["enrollment_completion_date"]),
            level=part,
            score=_number(item["enrollment_score"]),
            time_spent=_integer(item["enrollment_time_spent"]),
        ),
        learning_plan_id=_integer(item["learning_plan_id"]),
        extra={key: item[key] for key in item if key not in _KNOWN},
    )


_KNOWN = frozenset(Contract.default().records["ArchivedCourseEnrollment"].values())


def main() -> None:
    """Compare, and see first that all sides make the same of an item."""
    items = list(archived_items(_COUNT))
    structurer = Structurer(Contract.default().records)
    makers: dict[str, Callable[[dict[str, Any]], Any]] = {
        "lms_archive": lambda item: structurer(ArchivedCourseEnrollment, item),
        **_by_pydantic(),
        "by hand": by_hand,
    }
    ours, theirs = makers["lms_archive"](items[0]), makers["pydantic, nested"](items[0])
    if by_hand(items[0]) != ours or theirs.enrollment.enrolled_at != ours.enrollment.enrolled_at:
        raise RuntimeError("the sides do not make the same record")

    def measure(make: Callable[[dict[str, Any]], Any]) -> Callable[[], float]:
        return lambda: cpu_seconds(lambda: deque(map(make, items), maxlen=0))

    took = alternating({name: measure(make) for name, make in makers.items()}, _ROUNDS)
    for name, seconds in took.items():
        figure(f"{name}: microseconds a record", seconds / _COUNT * 1e6, "us")
    own = took["lms_archive"]
    figure("as fast as pydantic, nested", took["pydantic, nested"] / own, goal=">= 1.2")
    figure("as fast as pydantic, flat", took["pydantic, flat"] / own)
    figure("as fast as by hand", took["by hand"] / own)
