"""The tables that can be loaded: their columns, the accepted values, and the defaults."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.targets import COURSE, PLAN

Convert = Callable[[Any], Any]

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?")
_NO_DATE = "0000-00-00"
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@frozen(eq=False)
class Table:
    """A table that can be loaded, with the rules for its rows.

    Attributes:
        name: the name of the table.
        columns: the converter of each column.
        defaults: the columns that are never NULL, and their default values.
        key: the column of the id that is assigned to rows without one; empty: no id is assigned.
        first_id: the lowest id to assign.
        not_stored: columns that only refer to other tables.
    """

    name: str
    columns: Mapping[str, Convert]
    defaults: Mapping[str, Any]
    key: str = field(default="", kw_only=True)
    first_id: int = field(default=1, kw_only=True)
    not_stored: Collection[str] = field(default=(), kw_only=True)

    def values(self, place: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the converted values of a row."""
        values = {}
        for column, value in row.items():
            convert = self.columns.get(column)
            if convert is None:
                columns = ", ".join(self.columns)
                raise ValueError(f"{place}: unknown column {column!r}; the columns are: {columns}")
            try:
                converted = None if value in (None, "") else convert(value)
            except (TypeError, ValueError):
                raise ValueError(f"{place}: {column} cannot be {value!r}") from None
            if converted is not None or column not in self.defaults:
                values[column] = converted
        return values

    def insert(self, db: sqlite3.Connection, place: str, values: dict[str, Any]) -> None:
        """Insert one row."""
        stored = [column for column in self.columns if column not in self.not_stored]
        holes = ", ".join(f":{column}" for column in stored)
        sql = f"INSERT INTO {self.name} ({', '.join(stored)}) VALUES ({holes})"  # noqa: S608  own names
        try:
            db.execute(sql, dict.fromkeys(stored) | dict(self.defaults) | values)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"{place}: {error}") from None


def _flag(value: Any) -> bool:
    try:
        return _FLAGS[str(value).lower()]
    except KeyError:
        raise ValueError(value) from None


def _courses(value: Any) -> list[str | int]:
    """Accept a list of codes and ids, or codes separated by commas."""
    if isinstance(value, str):
        return [code.strip() for code in value.split(",")]
    return list(value)


def _user_status(value: Any) -> str:
    if str(value) not in ("0", "1"):
        raise ValueError(value)
    return str(value)


def _time(value: Any) -> str | None:
    if isinstance(value, datetime):
        return stamp(value)
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError(value)
    date, time = match.groups()
    return None if date == _NO_DATE else f"{date} {time or '00:00:00'}"


def _columns(convert: Convert, names: str) -> dict[str, Convert]:
    return dict.fromkeys(names.split(), convert)


USERS = Table(
    "users",
    {
        **_columns(int, "user_id"),
        **_columns(str, "username first_name last_name email level language"),
        **_columns(_user_status, "status"),
        **_columns(_time, "last_access_date creation_date expiration_date"),
    },
    {"status": "1", "level": "user", "language": "en"},
    key="user_id",
    first_id=10_001,
)
COURSES = Table(
    COURSE.table,
    {
        **_columns(int, "id_course"),
        **_columns(str, "code name uidCourse course_type language"),
        **_columns(_flag, "published"),
        **_columns(float, "credits"),
        **_columns(_time, "start_date end_date last_update"),
    },
    {"course_type": "elearning", "published": True, "language": "en"},
    key=COURSE.key,
)
PLANS = Table(
    PLAN.table,
    {
        **_columns(int, "learning_plan_id validity_days certificate_template_id"),
        **_columns(str, "uuid code title language"),
        **_columns(_flag, "is_published"),
        **_columns(float, "credits"),
        **_columns(_time, "created_on published_on updated_on start_date end_date"),
        **_columns(_courses, "courses"),
    },
    {"is_published": True, "language": "en"},
    key=PLAN.key,
    not_stored=("courses",),
)
_ENROLLMENT = {
    **_columns(str, "username enrollment_status enrollment_level certificate_url"),
    **_columns(int, "user_id enrollment_created_by enrollment_time_spent"),
    **_columns(_time, "enrollment_created_at enrollment_completion_date certificate_date"),
    **_columns(_time, "enrollment_validity_begin_datetime enrollment_validity_end_datetime"),
    **_columns(_time, "enrollment_date_last_updated"),
    **_columns(_flag, "certificate"),
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
            **_columns(str, "course_code"),
            **_columns(int, "id_course course_id"),
            **_columns(float, "enrollment_score"),
            **_ENROLLMENT,
        },
        _ENROLLMENT_DEFAULTS,
        not_stored=("username", "course_code", "id_course", "certificate"),
    ),
    PLAN: Table(
        PLAN.enrollments,
        {
            **_columns(str, "learning_plan_code"),
            **_columns(int, "learning_plan_id"),
            **_columns(float, "enrollment_completion_percentage"),
            **_ENROLLMENT,
        },
        {**_ENROLLMENT_DEFAULTS, "enrollment_completion_percentage": 0},
        not_stored=("username", "learning_plan_code", "certificate"),
    ),
}
