"""Load users, courses, plans and enrollments from mappings or CSV files, and change them."""

from __future__ import annotations

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from attrs import frozen

from lms_archive.sandbox.certificates import issue
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.tables import COURSES, ENROLLMENTS, PLANS, USERS, Table
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""Rows, each with a text that names its place in an error."""
NAMES = ("users", "courses", "learning_plans", "enrollments", "learning_plan_enrollments")
"""The tables that can be loaded, in the order of their dependencies."""
_TRACKED = """
enrollment_status, enrollment_score, enrollment_time_spent, enrollment_completion_date
"""
_OLD = timedelta(days=365)
"""The age of a plan without a date of creation, so that it is not a recent change."""


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
        tables = {"users": USERS, "courses": COURSES, "learning_plans": PLANS}
        for name in NAMES:
            if name in tables:
                self._load_named(tables[name], rows[name])
            else:
                self._load_enrollments(COURSE if name == COURSE.enrollments else PLAN, rows[name])

    def _load_named(self, table: Table, rows: Rows) -> None:
        """Insert users, courses or plans, and assign missing ids."""
        db, key = self.db, table.key
        (last,) = db.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table.name}").fetchone()  # noqa: S608  own names
        free = max(last + 1, table.first_id)
        known_courses = _names(db, COURSE)
        for place, row in rows:
            values = table.values(place, row)
            if values.get(key) is None:
                values[key] = free
            free = max(free, values[key] + 1)
            courses = values.pop("courses", None)
            table.insert(db, place, self._with_defaults(table, values))
            if courses:
                _set_courses(db, place, values[key], known_courses, courses)

    def _with_defaults(self, table: Table, values: dict[str, Any]) -> dict[str, Any]:
        if table is COURSES:
            values["name"] = values.get("name") or values.get("code")
            values["uidCourse"] = values.get("uidCourse") or f"E-{values[table.key]:06}"
        elif table is PLANS:
            values["title"] = values.get("title") or values.get("code")
            uuid = f"00000000-0000-4000-8000-{values[table.key]:012}"
            values["uuid"] = values.get("uuid") or uuid
            values.setdefault("created_on", stamp(self.now - _OLD))
            values.setdefault("updated_on", values["created_on"])
        return values

    def _load_enrollments(self, kind: TargetKind, rows: Rows) -> None:
        """Insert active enrollments; in a course, kept tracking supplies missing values."""
        table = ENROLLMENTS[kind]
        users = _Names(self.db, "user", "SELECT user_id, username FROM users")
        targets = _names(self.db, kind)
        tracked = _tracked(self.db) if kind is COURSE else {}
        for place, row in rows:
            values = table.values(place, row)
            target_id = values.get(kind.key, values.get(kind.column))
            user = users.find(place, values.get("user_id"), values.get("username"))
            target = targets.find(place, target_id, values.get(kind.code))
            values = tracked.get((target, user), {}) | values
            values["user_id"], values[kind.column] = user, target
            values.setdefault("enrollment_created_at", stamp(self.now))
            values.setdefault("enrollment_created_by", self.author)
            values.setdefault("enrollment_date_last_updated", values["enrollment_created_at"])
            if values.get("enrollment_status") == "completed":
                values.setdefault("enrollment_completion_percentage", 100)
            self._certify(values)
            table.insert(self.db, place, values)

    def _certify(self, values: dict[str, Any]) -> None:
        """Issue a certificate, by default dated when the enrollment was completed, or now."""
        if values.get("certificate") and not values.get("certificate_url"):
            values["certificate_url"] = issue(self.db, self.host)
        if values.get("certificate_url") and not values.get("certificate_date"):
            values["certificate_date"] = values.get("enrollment_completion_date") or stamp(self.now)


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
    target_id = _names(db, kind).find_either(place, target)
    values = (PLANS if kind is PLAN else COURSES).values(place, columns)
    courses = values.pop("courses", None)
    if kind is PLAN:
        values.setdefault("updated_on", stamp(now))
    assignments = ", ".join(f"{column} = :{column}" for column in values)
    sql = f"UPDATE {kind.table} SET {assignments} WHERE {kind.key} = :_target_id"  # noqa: S608  own names
    db.execute(sql, {**values, "_target_id": target_id})
    if courses is not None:
        db.execute("DELETE FROM learning_plan_courses WHERE learning_plan_id = ?", [target_id])
        _set_courses(db, place, target_id, _names(db, COURSE), courses)


def _set_courses(
    db: sqlite3.Connection, place: str, plan: int, names: _Names, courses: list[int | str]
) -> None:
    """Put courses into a plan, each by its id (int) or code (str)."""
    for position, course in enumerate(courses, 1):
        row = [plan, names.find_either(place, course), position]
        try:
            db.execute("INSERT INTO learning_plan_courses VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ValueError(f"{place}: course {course!r} is listed twice") from None


def _tracked(db: sqlite3.Connection) -> dict[tuple[int, int], dict[str, Any]]:
    rows = db.execute(f"SELECT course_id, user_id, {_TRACKED} FROM tracking")  # noqa: S608  own names
    return {tuple(row)[:2]: dict(zip(row.keys()[2:], tuple(row)[2:], strict=True)) for row in rows}


def _names(db: sqlite3.Connection, kind: TargetKind) -> _Names:
    return _Names(db, kind.name, f"SELECT {kind.key}, code FROM {kind.table}")  # noqa: S608  own names


class _Names:
    """The ids of names; the query returns (id, name) and runs at the first look-up."""

    def __init__(self, db: sqlite3.Connection, noun: str, query: str) -> None:
        self._db, self._noun, self._query = db, noun, query
        self._ids: dict[str, list[int]] | None = None
        self._all_ids: set[int] = set()

    def find_either(self, place: str, target: int | str) -> int:
        """Return the id for an id (int) or a name (str)."""
        by_name = isinstance(target, str)
        return self.find(place, None if by_name else target, target if by_name else None)  # type: ignore[arg-type]

    def find(self, place: str, number: int | None, name: str | None) -> int:
        """Return the id for an id, a name or both."""
        if self._ids is None:
            self._ids = defaultdict(list)
            for its_id, its_name in self._db.execute(self._query):
                self._ids[its_name].append(its_id)
                self._all_ids.add(its_id)
        if number is None and name is None:
            raise ValueError(f"{place}: no {self._noun}")
        candidates = list(self._all_ids & {number}) if name is None else self._ids.get(name, [])
        ids = [candidate for candidate in candidates if number in (None, candidate)]
        if len(ids) == 1:
            return ids[0]
        shown = name if number is None else number
        if ids:
            raise ValueError(f"{place}: {self._noun} {shown!r} has {len(ids)} ids; give the id")
        raise ValueError(f"{place}: unknown {self._noun} {shown!r}")
