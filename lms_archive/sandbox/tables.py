"""What can be loaded: the columns of each table, what they take, and what stands for none."""

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.kinds import COURSE, PLAN

Convert = Callable[[Any], Any]

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?")
_NO_DATE = "0000-00-00"
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


class Table:
    """How rows become those of a table: what each column takes, and what stands for none."""

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Convert],
        defaults: Mapping[str, Any],
        *,
        key: str = "",
        first: int = 1,
        only_named: Collection[str] = (),
    ) -> None:
        self.name: str = name
        self.key: str = key
        self.first: int = first
        self.columns: Mapping[str, Convert] = columns
        stored = [column for column in columns if column not in only_named]
        holes = ", ".join(f":{column}" for column in stored)
        self._sql = f"INSERT INTO {name} ({', '.join(stored)}) VALUES ({holes})"  # noqa: S608  # own names
        self._defaults = dict.fromkeys(stored) | dict(defaults)
        self._never_null = frozenset(defaults)

    def values(self, place: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of `row`, converted; only those that it has."""
        values = {}
        for column, value in row.items():
            convert = self.columns.get(column)
            if convert is None:
                known = ", ".join(self.columns)
                raise ValueError(f"{place}: unknown column {column!r}; known are {known}")
            try:
                converted = None if value in (None, "") else convert(value)
            except (TypeError, ValueError):
                raise ValueError(f"{place}: {column} cannot be {value!r}") from None
            if converted is not None or column not in self._never_null:
                values[column] = converted
        return values

    def insert(self, db: sqlite3.Connection, place: str, values: dict[str, Any]) -> None:
        """Insert one row."""
        try:
            db.execute(self._sql, self._defaults | values)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"{place}: {error}") from None


def _text(value: Any) -> str:
    return str(value)


def _flag(value: Any) -> bool:
    try:
        return _FLAGS[str(value).lower()]
    except KeyError:
        raise ValueError(value) from None


def _list(value: Any) -> list[str | int]:
    """Take a list of codes and ids, or codes separated by commas."""
    if isinstance(value, str):
        return [code.strip() for code in value.split(",")]
    return list(value)


def _one_of(*words: str) -> Convert:
    def convert(value: Any) -> str:
        if str(value) not in words:
            raise ValueError(value)
        return str(value)

    return convert


def _time(value: Any) -> str | None:
    if isinstance(value, datetime):
        return stamp(value)
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError(value)
    date, time = match.groups()
    return None if date == _NO_DATE else f"{date} {time or '00:00:00'}"


USERS = Table(
    "users",
    {
        "user_id": int,
        "username": _text,
        "first_name": _text,
        "last_name": _text,
        "email": _text,
        "status": _one_of("0", "1"),
        "level": _text,
        "language": _text,
        "last_access_date": _time,
        "creation_date": _time,
        "expiration_date": _time,
    },
    {"status": "1", "level": "user", "language": "en"},
    key="user_id",
    first=10_001,
)
COURSES = Table(
    COURSE.table,
    {
        "id_course": int,
        "code": _text,
        "name": _text,
        "uidCourse": _text,
        "course_type": _text,
        "language": _text,
        "credits": float,
    },
    {"course_type": "elearning", "language": "en"},
    key=COURSE.key,
)
PLANS = Table(
    PLAN.table,
    {
        "learning_plan_id": int,
        "uuid": _text,
        "code": _text,
        "title": _text,
        "is_published": _flag,
        "credits": float,
        "language": _text,
        "created_on": _time,
        "published_on": _time,
        "updated_on": _time,
        "validity_days": int,
        "start_date": _time,
        "end_date": _time,
        "certificate_template_id": int,
        "courses": _list,
    },
    {"is_published": True, "language": "en"},
    key=PLAN.key,
    only_named=("courses",),
)
_ENROLLMENT: dict[str, Convert] = {
    "username": _text,
    "user_id": int,
    "enrollment_status": _text,
    "enrollment_level": _text,
    "enrollment_created_at": _time,
    "enrollment_created_by": int,
    "enrollment_completion_date": _time,
    "enrollment_time_spent": int,
    "enrollment_validity_begin_datetime": _time,
    "enrollment_validity_end_datetime": _time,
    "enrollment_date_last_updated": _time,
    "certificate": _flag,
    "certificate_url": _text,
    "certificate_date": _time,
}
_ENROLLMENT_DEFAULTS = {
    "enrollment_status": "enrolled",
    "enrollment_level": "student",
    "enrollment_time_spent": 0,
}
ENROLLMENTS = {
    COURSE: Table(
        COURSE.enrollments,
        {
            "course_code": _text,
            "id_course": int,
            "course_id": int,
            "enrollment_score": float,
            **_ENROLLMENT,
        },
        _ENROLLMENT_DEFAULTS,
        only_named=("username", "course_code", "id_course", "certificate"),
    ),
    PLAN: Table(
        PLAN.enrollments,
        {
            "learning_plan_code": _text,
            "learning_plan_id": int,
            "enrollment_completion_percentage": float,
            **_ENROLLMENT,
        },
        {**_ENROLLMENT_DEFAULTS, "enrollment_completion_percentage": 0},
        only_named=("username", "learning_plan_code", "certificate"),
    ),
}
