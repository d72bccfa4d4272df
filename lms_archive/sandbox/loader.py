"""Load users, courses, plans and enrollments from mappings or CSV files, and change them."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from attrs import frozen

from lms_archive.sandbox.certificates import issue
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""Rows, each with a text that names its place in an error."""
Convert = Callable[[Any], Any]

_DATE = "enrollment_created_at"
"""The column that may be empty on purpose: an undated enrollment."""
_OLD = timedelta(days=365)
"""The age of a plan without a date of creation, so that it is not a recent change."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?")
_STATUSES = (
    *("enrolled", "in_progress", "completed", "waiting", "not_started", "suspended"),
    *("to_confirm", "overbooking"),
)
"""The statuses that can be loaded; SQL can set others, as a platform may have them."""
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def _flag(value: Any) -> bool:
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise ValueError(value)
    return flag


def _time(value: Any) -> str | None:
    if isinstance(value, datetime):
        return stamp(value)
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError(value)
    date, time = match.groups()
    return None if date == "0000-00-00" else f"{date} {time or '00:00:00'}"


def _status(value: Any) -> str:
    if value not in _STATUSES:
        raise ValueError(value)
    return str(value)


def _courses(value: Any) -> list[str | int]:
    """Accept a list of codes and ids, or codes separated by commas."""
    return [code.strip() for code in value.split(",")] if isinstance(value, str) else list(value)


_CONVERTERS: Mapping[str, Convert] = {
    "INTEGER": int,
    "REAL": float,
    "TEXT": str,
    "BOOLEAN": _flag,
    "DATETIME TEXT": _time,
}
"""The converter of each type of column in the schema."""
_REFERENCES: Mapping[str, Mapping[str, Convert]] = {
    "users": {},
    "courses": {},
    "learning_plans": {"courses": _courses},
    "enrollments": {
        "username": str,
        "course_code": str,
        "id_course": int,
        "enrollment_status": _status,
        "certificate": _flag,
    },
    "learning_plan_enrollments": {
        "username": str,
        "learning_plan_code": str,
        "enrollment_status": _status,
        "certificate": _flag,
    },
}
"""The tables that can be loaded, in the order of their dependencies, and what a row may hold that
is not a column, or not any text: references to other tables, statuses, certificates."""
NAMES = tuple(_REFERENCES)
_FILL = {
    "courses": """
        UPDATE courses SET name = COALESCE(name, code),
            uidCourse = COALESCE(uidCourse, printf('E-%06d', id_course))
        """,
    "learning_plans": """
        UPDATE learning_plans SET title = COALESCE(title, code),
            uuid = COALESCE(uuid, printf('00000000-0000-4000-8000-%012d', learning_plan_id)),
            created_on = COALESCE(created_on, :old),
            updated_on = COALESCE(updated_on, created_on, :old)
        """,
}
"""The statements that fill in what rows left out and the schema has no default for."""


def number_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Name each mapping by its place in the argument, like `users[3]`."""
    return ((f"{name}[{i}]", row) for i, row in enumerate(rows))


def read_csv(source: str | Path | TextIO | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Read a CSV file, naming each row by the file and the line where it begins."""
    if source is None:
        return
    if isinstance(source, str | Path):
        with Path(source).open(encoding="utf-8-sig", newline="") as file:
            yield from read_csv(file)
        return
    name = Path(getattr(source, "name", "<file>")).name
    reader = csv.reader(source)
    header = next(reader, [])
    line = reader.line_num + 1
    for cells in reader:
        place, line = f"{name}, line {line}", reader.line_num + 1
        if not cells:
            continue
        if len(cells) != len(header):
            raise ValueError(f"{place}: {len(cells)} cells under {len(header)} columns")
        yield place, dict(zip(header, cells, strict=True))


@frozen
class Loader:
    """A loader of rows; the caller's transaction undoes them after an error.

    `author` and `now` say who enrolled a user and when, where a row does not; `host` is the
    address of the certificates.
    """

    db: sqlite3.Connection
    author: int
    now: datetime
    host: str

    def load(self, rows: Mapping[str, Rows]) -> None:
        """Insert the rows of all tables, in the order of their dependencies."""
        for name in NAMES:
            converters = _converters(self.db, name)
            for place, row in rows[name]:
                values = _convert(converters, place, row)
                values = {c: v for c, v in values.items() if v is not None or c == _DATE}
                if name == COURSE.enrollments:
                    self._insert_enrollment(COURSE, place, values)
                elif name == PLAN.enrollments:
                    self._insert_enrollment(PLAN, place, values)
                else:
                    courses = values.pop("courses", ())
                    new_id = _insert(self.db, name, place, values)
                    _add_courses(self.db, place, new_id, courses)
            if name in _FILL:
                self.db.execute(_FILL[name], {"old": stamp(self.now - _OLD)})

    def _insert_enrollment(self, kind: TargetKind, place: str, values: dict[str, Any]) -> None:
        """Insert an active enrollment; in a course, kept tracking supplies missing values."""
        user = _find(self.db, place, "user", values.get("user_id"), values.pop("username", None))
        target_id = values.pop(kind.key, values.get(kind.column))
        target = _find(self.db, place, kind.name, target_id, values.pop(kind.code, None))
        values |= {"user_id": user, kind.column: target}
        if kind is COURSE:
            sql = "SELECT * FROM tracking WHERE course_id = ? AND user_id = ?"
            tracked = self.db.execute(sql, [target, user]).fetchone()
            values = dict(tracked or {}) | values
        elif values.get("enrollment_status") == "completed":
            values.setdefault("enrollment_completion_percentage", 100)
        values.setdefault(_DATE, stamp(self.now))
        values.setdefault("enrollment_created_by", self.author)
        values.setdefault("enrollment_date_last_updated", values[_DATE])
        if values.pop("certificate", False):
            values.setdefault("certificate_url", issue(self.db, self.host))
        if "certificate_url" in values:
            issued_at = values.get("enrollment_completion_date", stamp(self.now))
            values.setdefault("certificate_date", issued_at)
        _insert(self.db, kind.enrollments, place, values)


def change(
    db: sqlite3.Connection,
    kind: TargetKind,
    target: int | str,
    columns: Mapping[str, Any],
    now: datetime,
) -> None:
    """Change columns of a course or plan, given by id (int) or code (str).

    `updated_on` of a plan becomes *now*, unless it is among the columns.
    """
    place = f"{kind.name} {target!r}"
    target_id = _find_either(db, place, kind.name, target)
    values = _convert(_converters(db, kind.table), place, columns)
    courses = values.pop("courses", None)
    if kind is PLAN:
        values.setdefault("updated_on", stamp(now))
    assignments = ", ".join(f"{column} = :{column}" for column in values)
    sql = f"UPDATE {kind.table} SET {assignments} WHERE {kind.key} = :_target_id"  # noqa: S608  own names
    db.execute(sql, {**values, "_target_id": target_id})
    if courses is not None:
        db.execute("DELETE FROM learning_plan_courses WHERE learning_plan_id = ?", [target_id])
        _add_courses(db, place, target_id, courses)


def _converters(db: sqlite3.Connection, table: str) -> dict[str, Convert]:
    """Return the columns of a table that can be loaded, each with its converter."""
    columns = db.execute("SELECT name, type FROM pragma_table_info(?)", [table])
    return {name: _CONVERTERS[kind] for name, kind in columns} | dict(_REFERENCES[table])


def _convert(
    converters: Mapping[str, Convert], place: str, row: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the converted values of a row; None and an empty text mean no value."""
    values = {}
    for column, value in row.items():
        if column not in converters:
            columns = ", ".join(converters)
            raise ValueError(f"{place}: unknown column {column!r}; the columns are: {columns}")
        try:
            values[column] = None if value in (None, "") else converters[column](value)
        except (TypeError, ValueError):
            raise ValueError(f"{place}: {column} cannot be {value!r}") from None
    return values


def _insert(db: sqlite3.Connection, table: str, place: str, values: Mapping[str, Any]) -> int:
    """Insert one row and return its id; columns that it leaves out get their defaults."""
    holes = ", ".join(f":{column}" for column in values)
    sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({holes})"  # noqa: S608  own names
    try:
        return int(db.execute(sql, values).lastrowid or 0)
    except sqlite3.IntegrityError as error:
        raise ValueError(f"{place}: {error}") from None


def _add_courses(
    db: sqlite3.Connection, place: str, plan: int, courses: Iterable[int | str]
) -> None:
    """Put courses into a plan, each by its id (int) or code (str)."""
    for position, course in enumerate(courses, 1):
        row = [plan, _find_either(db, place, COURSE.name, course), position]
        try:
            db.execute("INSERT INTO learning_plan_courses VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ValueError(f"{place}: course {course!r} is listed twice") from None


_KEYS = {
    "user": ("users", "user_id", "username"),
    **{kind.name: (kind.table, kind.key, "code") for kind in (COURSE, PLAN)},
}
"""The table of each noun, with the columns of its ids and its names."""


def _find(
    db: sqlite3.Connection, place: str, noun: str, number: int | None, name: str | None
) -> int:
    """Return the id of a user, course or plan that is given by its id, its name or both."""
    if number is None and name is None:
        raise ValueError(f"{place}: no {noun}")
    table, key, text = _KEYS[noun]
    keys = {column: v for column, v in ((key, number), (text, name)) if v is not None}
    where = " AND ".join(f"{column} = ?" for column in keys)
    sql = f"SELECT {key} FROM {table} WHERE {where}"  # noqa: S608  own names
    ids = db.execute(sql, list(keys.values())).fetchall()
    if len(ids) == 1:
        return int(ids[0][0])
    shown = name if number is None else number
    if ids:
        raise ValueError(f"{place}: {noun} {shown!r} has {len(ids)} ids; give the id")
    raise ValueError(f"{place}: unknown {noun} {shown!r}")


def _find_either(db: sqlite3.Connection, place: str, noun: str, target: int | str) -> int:
    """Return the id for an id (int) or a name (str)."""
    number, name = (None, target) if isinstance(target, str) else (target, None)
    return _find(db, place, noun, number, name)
