"""Loading users, courses and enrollments, from mappings or CSV files."""

import csv
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from lms_archive.sandbox.clock import stamp

#: Rows, each with the words that name its place in an error.
Rows = Iterable[tuple[str, Mapping[str, Any]]]
Convert = Callable[[Any], Any]

_FIRST_USER_ID = 10_001
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?")
_NO_DATE = "0000-00-00"


def numbered(name: str, rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Name each mapping by its place in the argument, like `users[3]`."""
    return ((f"{name}[{i}]", row) for i, row in enumerate(rows))


def read_csv(source: str | Path | TextIO | None) -> Rows:
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
    begins = reader.line_num + 1
    for cells in reader:
        place = f"{name}, line {begins}"
        begins = reader.line_num + 1
        if not cells:
            continue
        if len(cells) != len(header):
            raise ValueError(f"{place}: {len(cells)} cells under {len(header)} columns")
        yield place, dict(zip(header, cells, strict=True))


class _Table:
    """How rows become those of a table: what each column takes, and what stands for none."""

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Convert],
        defaults: Mapping[str, Any],
        *,
        key: str = "",
        only_named: Collection[str] = (),
    ) -> None:
        self.name, self.key, self.columns = name, key, columns
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


_USERS = _Table(
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
)
_COURSES = _Table(
    "courses",
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
    key="id_course",
)
_ENROLLMENTS = _Table(
    "enrollments",
    {
        "username": _text,
        "user_id": int,
        "course_code": _text,
        "id_course": int,
        "course_id": int,
        "enrollment_status": _text,
        "enrollment_level": _text,
        "enrollment_score": float,
        "enrollment_created_at": _time,
        "enrollment_created_by": int,
        "enrollment_completion_date": _time,
        "enrollment_time_spent": int,
        "enrollment_validity_begin_datetime": _time,
        "enrollment_validity_end_datetime": _time,
        "enrollment_date_last_updated": _time,
    },
    {"enrollment_status": "enrolled", "enrollment_level": "student", "enrollment_time_spent": 0},
    only_named=("username", "course_code", "id_course"),
)


def load(
    db: sqlite3.Connection,
    users: Rows,
    courses: Rows,
    enrollments: Rows,
    *,
    author: int,
    now: datetime,
) -> None:
    """Insert all rows; the caller's transaction undoes them after an error.

    `author` enrolled, at `now`, where a row does not say who and when.
    """
    _load_named(db, _USERS, users)
    _load_named(db, _COURSES, courses)
    known_users = _Names(db, "user", "SELECT user_id, username FROM users")
    known_courses = _Names(db, "course", "SELECT id_course, code FROM courses")
    for place, row in enrollments:
        values = _ENROLLMENTS.values(place, row)
        course_id = values.get("id_course", values.get("course_id"))
        values["user_id"] = known_users.find(place, values.get("user_id"), values.get("username"))
        values["course_id"] = known_courses.find(place, course_id, values.get("course_code"))
        values.setdefault("enrollment_created_at", stamp(now))
        values.setdefault("enrollment_created_by", author)
        values.setdefault("enrollment_date_last_updated", values["enrollment_created_at"])
        _ENROLLMENTS.insert(db, place, values)


def _load_named(db: sqlite3.Connection, table: _Table, rows: Rows) -> None:
    key = table.key
    (last,) = db.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table.name}").fetchone()  # noqa: S608  # own names
    free = max(last + 1, _FIRST_USER_ID if table is _USERS else 1)
    for place, row in rows:
        values = table.values(place, row)
        if values.get(key) is None:
            values[key] = free
        free = max(free, values[key] + 1)
        if table is _COURSES:
            values["name"] = values.get("name") or values.get("code")
            values["uidCourse"] = values.get("uidCourse") or f"E-{values[key]:06}"
        table.insert(db, place, values)


class _Names:
    """Ids by name; the query gives (id, name). It is asked at the first look."""

    def __init__(self, db: sqlite3.Connection, what: str, query: str) -> None:
        self._db, self._what, self._query = db, what, query
        self._ids: dict[str, list[int]] | None = None
        self._known: set[int] = set()

    def find(self, place: str, given: int | None, name: str | None) -> int:
        """Return the id of the one that an id, a name or both stand for."""
        if self._ids is None:
            self._ids = defaultdict(list)
            for number, known in self._db.execute(self._query):
                self._ids[known].append(number)
                self._known.add(number)
        if given is None and name is None:
            raise ValueError(f"{place}: no {self._what}")
        ids = list(self._known & {given}) if name is None else self._ids.get(name, [])
        found = [number for number in ids if given in (None, number)]
        if len(found) == 1:
            return found[0]
        called = name if given is None else given
        if found:
            raise ValueError(f"{place}: {self._what} {called!r} stands for {len(found)} ids")
        raise ValueError(f"{place}: unknown {self._what} {called!r}")
