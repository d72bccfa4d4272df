"""Loading users, courses, plans and enrollments, from mappings or CSV files; changing them."""

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from lms_archive.sandbox.certificates import issue
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.kinds import COURSE, PLAN, Kind
from lms_archive.sandbox.tables import COURSES, ENROLLMENTS, PLANS, USERS, Table

#: Rows, each with the words that name its place in an error.
Rows = Iterable[tuple[str, Mapping[str, Any]]]

_TRACKED = """
enrollment_status, enrollment_score, enrollment_time_spent, enrollment_completion_date
"""


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


@dataclass(frozen=True, slots=True)
class Load:
    """Rows to be inserted; the caller's transaction undoes them after an error.

    `author` enrolled, at `now`, where a row does not say who and when; `host` is the address
    that certificates are served at.
    """

    db: sqlite3.Connection
    author: int
    now: datetime
    host: str

    def all(
        self,
        *,
        users: Rows,
        courses: Rows,
        learning_plans: Rows,
        enrollments: Rows,
        learning_plan_enrollments: Rows,
    ) -> None:
        """Insert everything, what others need first."""
        self._named(USERS, users)
        self._named(COURSES, courses)
        self._named(PLANS, learning_plans)
        self._enrollments(COURSE, enrollments)
        self._enrollments(PLAN, learning_plan_enrollments)

    def _named(self, table: Table, rows: Rows) -> None:
        """Insert users, courses or plans; ids that they lack are assigned."""
        db, key = self.db, table.key
        (last,) = db.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table.name}").fetchone()  # noqa: S608  # own names
        free = max(last + 1, table.first)
        courses = _names(db, COURSE)
        for place, row in rows:
            values = table.values(place, row)
            if values.get(key) is None:
                values[key] = free
            free = max(free, values[key] + 1)
            held = values.pop("courses", None)
            table.insert(db, place, self._filled(table, values))
            if held:
                _hold(db, place, values[key], courses, held)

    def _filled(self, table: Table, values: dict[str, Any]) -> dict[str, Any]:
        if table is COURSES:
            values["name"] = values.get("name") or values.get("code")
            values["uidCourse"] = values.get("uidCourse") or f"E-{values[table.key]:06}"
        elif table is PLANS:
            values["title"] = values.get("title") or values.get("code")
            values["uuid"] = (
                values.get("uuid") or f"00000000-0000-4000-8000-{values[table.key]:012}"
            )
            values.setdefault("created_on", stamp(self.now))
            values.setdefault("updated_on", values["created_on"])
        return values

    def _enrollments(self, kind: Kind, rows: Rows) -> None:
        """Insert active enrollments; in a course, tracking that was kept shows again."""
        table = ENROLLMENTS[kind]
        users = _Names(self.db, "user", "SELECT user_id, username FROM users")
        targets = _names(self.db, kind)
        tracked = _tracked(self.db) if kind is COURSE else {}
        for place, row in rows:
            values = table.values(place, row)
            given = values.get(kind.key, values.get(kind.column))
            user = users.find(place, values.get("user_id"), values.get("username"))
            target = targets.find(place, given, values.get(kind.code))
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
        """Give a certificate, by default dated when the enrollment was completed, or now."""
        if values.get("certificate") and not values.get("certificate_url"):
            values["certificate_url"] = issue(self.db, self.host)
        if values.get("certificate_url") and not values.get("certificate_date"):
            values["certificate_date"] = values.get("enrollment_completion_date") or stamp(self.now)


def change(
    db: sqlite3.Connection, kind: Kind, given: int | str, columns: Mapping[str, Any], now: datetime
) -> None:
    """Change columns of one course or plan, found by id (int) or code (str).

    `updated_on` of a plan is `now`, unless it is among the columns.
    """
    place = f"{kind.name} {given!r}"
    code, number = (given, None) if isinstance(given, str) else (None, given)
    found = _names(db, kind).find(place, number, code)
    values = (PLANS if kind is PLAN else COURSES).values(place, columns)
    held = values.pop("courses", None)
    if kind is PLAN:
        values.setdefault("updated_on", stamp(now))
    if values:
        columns_set = ", ".join(f"{column} = :{column}" for column in values)
        sql = f"UPDATE {kind.table} SET {columns_set} WHERE {kind.key} = :_found"  # noqa: S608  # own names
        db.execute(sql, {**values, "_found": found})
    if held is not None:
        db.execute("DELETE FROM learning_plan_courses WHERE learning_plan_id = ?", [found])
        _hold(db, place, found, _names(db, COURSE), held)


def _hold(
    db: sqlite3.Connection, place: str, plan: int, courses: "_Names", held: list[int | str]
) -> None:
    """Put courses into a plan, each given by its id (int) or code (str)."""
    for position, one in enumerate(held, 1):
        number, code = (None, one) if isinstance(one, str) else (one, None)
        row = [plan, courses.find(place, number, code), position]
        try:
            db.execute("INSERT INTO learning_plan_courses VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ValueError(f"{place}: course {one!r} is in it twice") from None


def _tracked(db: sqlite3.Connection) -> dict[tuple[int, int], dict[str, Any]]:
    rows = db.execute(f"SELECT course_id, user_id, {_TRACKED} FROM tracking")  # noqa: S608  # own names
    return {tuple(row)[:2]: dict(zip(row.keys()[2:], tuple(row)[2:], strict=True)) for row in rows}


def _names(db: sqlite3.Connection, kind: Kind) -> "_Names":
    return _Names(db, kind.name, f"SELECT {kind.key}, code FROM {kind.table}")  # noqa: S608  # own names


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
