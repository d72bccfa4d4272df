"""What was told and what was done, compared with plain SQL on the platform's own file."""

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path

from virtual_time import ENROLLED_AT

from crash.scenarios import Key, Scenario
from lms_archive import ArchiveResult, Outcome
from lms_archive.archive.ledger import read_events
from lms_archive.archive.values.events import Sending
from lms_archive.sandbox import Sandbox

TABLES = {"course_id": "enrollments", "learning_plan_id": "learning_plan_enrollments"}


@dataclass
class Tally:
    """Counts that must be zero, and the words for each that is not.

    Attributes:
        twice: records of an enrollment beyond the one that was asked for.
        lost: enrollments that were asked for and are not as they should be in the end.
        wrong: rows of which something was told that is not so, or nothing.
        words: what was seen.
    """

    twice: int = 0
    lost: int = 0
    wrong: int = 0
    words: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add the counts of another comparison."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def found(self, column: str, text: str) -> None:
        """Count one."""
        setattr(self, column, getattr(self, column) + 1)
        self.words.append(f"{column}: {text}")


class Truth:
    """The platform's file at one moment: since when who is enrolled, and the archived records."""

    def __init__(self, path: Path) -> None:
        self.since: dict[Key, str] = {}
        self.records: dict[Key, dict[int, str]] = defaultdict(dict)
        with closing(sqlite3.connect(path, timeout=10)) as database:
            for column, table in TABLES.items():
                query = f"SELECT {column}, user_id, enrollment_created_at FROM {table}"
                for target, user, date in database.execute(query):
                    self.since[column, target, user] = date
                query = f"SELECT {column}, user_id, id, enrollment_created_at FROM archived_{table}"
                for target, user, number, date in database.execute(query):
                    self.records[column, target, user][number] = date


def sent(sandbox: Sandbox) -> set[Key]:
    """Every enrollment that an archive call has named to the platform."""
    found: set[Key] = set()
    for call in sandbox.calls:
        body = json.loads(call.body) if call.method == "PUT" else {}
        found |= {("course_id", body["course_id"][0], user) for user in body.get("user_id", ())}
        plan = ("learning_plan_id", int(call.path.split("/")[-2]) if "user_ids" in body else 0)
        found |= {(*plan, user) for user in body.get("user_ids", ())}
    return found


def noted(scenario: Scenario, ledger: Path | None) -> set[Key]:
    """Every enrollment of which the ledger says that it is being sent, or was."""
    events = read_events(ledger, Sending) if ledger else ()
    rows = [scenario.rows[number] for event in events for number in event.rows]
    return {(*next(iter(row.items())), row["user_id"]) for row in rows}


def audit(scenario: Scenario, platform: Path, ledger: Path) -> Tally:
    """Compare in the end: every row is archived, once, and says so."""
    tally, truth = audit_so_far(scenario, platform, ledger), Truth(platform)
    for key in scenario.due:
        dates, since = list(truth.records[key].values()), truth.since.get(key)
        left = since is None if scenario.mode == "unenroll" else since not in (None, ENROLLED_AT)
        if ENROLLED_AT not in dates or not left:
            tally.found("lost", f"{key}: records of {dates}, enrolled since {since}")
    told = list(ArchiveResult(ledger).outcomes)
    for one in told:
        if one.kind != "archived" or one.is_incomplete:
            tally.found("wrong", f"{one.row} told as {one.code}: {one.reason}")
    given = [{name: cell for name, cell in one.row.items() if cell is not None} for one in told]
    if given != scenario.rows:
        tally.found("wrong", f"outcomes of {len(told)} rows, where {len(scenario.rows)} were given")
    return tally


def audit_so_far(scenario: Scenario, platform: Path, ledger: Path | None) -> Tally:
    """Compare at any time: nothing twice, nothing unasked, nothing lost, nothing told wrongly."""
    tally, truth = Tally(), Truth(platform)
    for key, records in truth.records.items():
        asked = [number for number, date in records.items() if date == ENROLLED_AT]
        if len(records) > 1 or (records and not asked) or (records and key not in scenario.due):
            tally.found("twice", f"{key}: records of {list(records.values())}")
    for key in scenario.enrolled:
        if not truth.records[key] and truth.since.get(key) != ENROLLED_AT:
            tally.found("lost", f"{key}: no record, and enrolled since {truth.since.get(key)}")
    for one in ArchiveResult(ledger).outcomes if ledger else ():
        _told(tally, truth, one)
    return tally


def _told(tally: Tally, truth: Truth, one: Outcome) -> None:
    """One outcome: its record is there, or none is; likewise for each course of a plan."""
    column = next(name for name in TABLES if one.row.get(name) is not None)
    user = one.row["user_id"]
    shown = {(column, one.row[column], user): one.record and one.record.archiving.record_id}
    shown.update((("course_id", c.course_id, user), c.record_id) for c in one.courses)
    for key, number in shown.items():
        if one.kind != "unknown" and list(truth.records[key]) != [number] * (number is not None):
            tally.found("wrong", f"{key} told as {one.code}, record {number}: {one.reason}")
