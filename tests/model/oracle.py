"""The independent model: what the platform's file says, and what may be told of it.

Nothing here is the library's: a few queries, and the rules of archiving in the test's own words.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from schedules import Key, Schedule

from lms_archive import Outcome

__all__ = [
    "Asking",
    "Change",
    "Record",
    "Truth",
    "Verdict",
    "deleted",
    "grown",
    "judge",
    "may_be_skipped",
]

TABLES = {"course": "enrollments", "learning_plan": "learning_plan_enrollments"}


@dataclass(frozen=True)
class Record:
    """An archived record: of which enrollment, made when, by which job."""

    number: int
    key: Key
    date: str | None
    at: str
    made_at: str
    ours: bool
    plan: int | None


class Truth:
    """The platform's file at one moment."""

    def __init__(self, path: Path) -> None:
        self.active: dict[Key, str | None] = {}
        self.standing: dict[Key, tuple[str, str]] = {}
        self.plans: dict[int, set[int]] = defaultdict(set)
        self.records: dict[Key, list[Record]] = defaultdict(list)
        with closing(sqlite3.connect(path, timeout=10)) as file:
            asked = "SELECT learning_plan_id, course_id FROM learning_plan_courses"
            for plan, course in file.execute(asked):
                self.plans[plan].add(course)
            for kind, table in TABLES.items():
                asked = (
                    f"SELECT {kind}_id, user_id, enrollment_created_at, enrollment_status, "
                    f"enrollment_level FROM {table}"
                )
                for target, user, date, *standing in file.execute(asked):
                    self.active[kind, target, user] = date
                    self.standing[kind, target, user] = (standing[0], standing[1])
                asked = (
                    f"SELECT a.id, {kind}_id, user_id, enrollment_created_at, archived_at, "
                    "coalesce(j.date_created, archived_at), archived_by, "
                    f"learning_plan_id FROM archived_{table} a "
                    "LEFT JOIN jobs j ON j.hash = a.job_hash ORDER BY a.id"
                )
                for number, target, user, date, at, made_at, author, plan in file.execute(asked):
                    key = (kind, target, user)
                    record = Record(number, key, date, at, made_at, author != OTHER_ACCOUNT, plan)
                    self.records[key].append(record)

    def of(self, key: Key, date: str | None) -> list[Record]:
        """The records of one enrollment."""
        return [one for one in self.records.get(key, ()) if one.date == date]


OTHER_ACCOUNT = 7
"""The id of whoever else archives."""


@dataclass(frozen=True)
class Change:
    """What another client did to an enrollment: it was dated `old` before, and is `new` now.

    `at` tells between which exchanges: half a one more than the one it came after.
    """

    what: str
    key: Key
    old: str | None
    new: str | None
    at: float = 0.0


@dataclass
class Asking:
    """One ledger: what was asked with it, and all that was told.

    Attributes:
        before: the platform when its planning began; `after`: when it was done.
        periods: from when to when its calls were made, as the platform writes times.
        named: ids of the records of which an error said that nobody had asked for them.
        warned: whether an error or a warning has told that a learning plan was changed.
        outcomes: what was told at last; None while it has not come to its end.
    """

    before: Truth
    after: Truth
    periods: list[tuple[str, str]] = field(default_factory=list)
    named: set[int] = field(default_factory=set)
    warned: bool = False
    outcomes: list[Outcome] | None = None

    def made(self, record: Record) -> bool:
        """Whether the record was made by a call of this ledger."""
        return record.ours and any(a <= record.made_at <= b for a, b in self.periods)


@dataclass
class Verdict:
    """What is wrong, in words; and how many archives by race were told as they must be."""

    twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    raced: int = 0

    def __bool__(self) -> bool:
        return bool(self.twice or self.lost or self.wrong)


def judge(  # noqa: C901  one question after the other
    schedule: Schedule,
    start: Truth,
    end: Truth,
    changes: Sequence[Change],
    askings: Sequence[Asking],
    in_window: Callable[[Record], bool],
) -> Verdict:
    """Twice, and lost: the whole history against what was asked, whatever was told."""
    found = Verdict()
    asked = {row.meant for row in schedule.rows if row.meant is not None}
    warned = any(one.warned for one in askings)
    with_plan = {
        ("course", course, user)
        for kind, plan, user in asked
        if kind == "learning_plan"
        for course in (*schedule.plans[plan], *(grown(changes, plan) if warned else ()))
    }
    theirs: dict[Key, set[str | None]] = defaultdict(set)
    for change in changes:
        theirs[change.key] |= {change.new} - {None}
    named = set().union(*(one.named for one in askings), *map(_told, askings))
    for key, records in end.records.items():
        for date in {one.date for one in records}:
            more = len([one for one in records if one.date == date]) - 1
            found.twice += [f"{key} of {date}: {more} more records"] * (more > 0)
        for one in (one for one in records if one.ours):
            first = key in start.active and one.date == start.active[key]
            anew = one.date in theirs[key]
            # A learning plan takes along whatever stands in its courses.
            if (first and key in asked) or ((first or anew) and key in with_plan):
                continue
            if warned and one.plan is not None and key[1] in grown(changes, one.plan):
                found.raced += 1  # put into the plan while the job ran, which is told
                continue
            if not anew:
                found.twice.append(f"{key}: record {one.number} of {one.date} was never asked for")
            elif _planned(askings, one):
                continue
            elif not in_window(one):
                found.twice.append(f"{key}: record {one.number} could have been known to be new")
            elif one.number not in named:
                found.twice.append(f"{key}: record {one.number} of {one.date} is not told")
            else:
                found.raced += 1
    made = [(key, date) for key, dates in theirs.items() for date in dates]
    found.lost += _lost(schedule, [*start.active.items(), *made], end, changes)
    return found


def _lost(
    schedule: Schedule,
    enrollments: Iterable[tuple[Key, str | None]],
    end: Truth,
    changes: Sequence[Change],
) -> Iterator[str]:
    """What is neither active nor archived, nor taken by others; who was not enrolled again."""
    taken = {(change.key, change.old) for change in changes}
    for key, date in enrollments:
        gone = end.active.get(key, "none") != date and (key, date) not in taken
        if gone and not end.of(key, date):
            yield f"{key} of {date} is neither active nor archived"
    acted = {change.key for change in changes}
    for key, records in end.records.items() if schedule.mode == "re-enroll" else ():
        if any(one.ours for one in records) and key not in end.active and key not in acted:
            yield f"{key} was archived and is not enrolled again"


def deleted(changes: Iterable[Change]) -> set[int]:
    """The courses that another client has deleted meanwhile."""
    return {change.key[1] for change in changes if change.what == "delete"}


def grown(changes: Iterable[Change], plan: int) -> set[int]:
    """The courses that another client put into a learning plan meanwhile."""
    return {change.key[2] for change in changes if change.what == "grow" and change.key[1] == plan}


def _planned(askings: Iterable[Asking], one: Record) -> bool:
    """Whether an enrollment that another client made was there when it was planned."""
    return any(
        ask.made(one) and one.key in ask.before.active and ask.before.active[one.key] == one.date
        for ask in askings
    )


def _told(asking: Asking) -> set[int]:
    """The records that outcomes name beside their own."""
    texts = (text for one in asking.outcomes or () for text in one.differences)
    return {
        int(text.split(",")[0].rpartition(" ")[2])
        for text in texts
        if text.startswith("also archived: record ")
    }


def may_be_skipped(schedule: Schedule, before: Truth) -> list[tuple[set[str], bool]]:
    """For each row the codes with which it may be skipped while planning, and whether it must."""
    found: list[tuple[set[str], bool]] = []
    seen: set[Key] = set()
    fit: set[Key] = set()
    for row in schedule.rows:
        codes = {row.wrong} if row.wrong else set()
        key = row.meant
        if key is not None:
            codes |= _unfit(schedule, before, key) | ({"duplicate"} if key in seen else set())
            seen.add(key)
            if not codes:
                fit.add(key)
        found.append((codes, bool(codes)))
    return [
        (codes or (_maybe(schedule, before, row.meant, fit) if row.meant else set()), must)
        for (codes, must), row in zip(found, schedule.rows, strict=True)
    ]


def _unfit(  # noqa: PLR0911  one rule after the other
    schedule: Schedule, before: Truth, key: Key
) -> set[str]:
    """Why an enrollment is never archived."""
    kind, target, _ = key
    if key not in before.active:
        return {"not_enrolled"}
    status, level = before.standing[key]
    if status != "completed":
        return {"status", "not_enrolled"}
    if level == "tutor":
        return {"staff"}
    if before.active[key] is None and schedule.mode == "re-enroll":
        return {"undated"}
    if schedule.mode == "unenroll" and kind == "course":
        if any(target in held for held in before.plans.values()):
            return {
                "in_learning_plan",
                "archived_with_learning_plan",
                "not_archived_with_learning_plan",
            }
    elif schedule.mode == "unenroll" and _shares(before.plans, target, schedule.on_shared):
        return {"shared"}
    return set()


def _maybe(schedule: Schedule, before: Truth, key: Key, fit: Collection[Key]) -> set[str]:
    """Why an enrollment that could be archived may not be sent all the same."""
    kind, target, user = key
    codes = set()
    plans = [p for (k, p, u) in fit if k == "learning_plan" and u == user]
    if kind == "course" and any(target in before.plans[plan] for plan in plans):
        codes |= {"archived_with_learning_plan", "not_archived_with_learning_plan"}
    if kind == "learning_plan" and len(plans) > 1 and _shares(before.plans, target):
        codes.add("shared")
    along = before.plans[target] if kind == "learning_plan" else ()
    targets = [key, *(("course", course, user) for course in along)]
    if schedule.mode == "re-enroll" and any(before.records.get(one) for one in targets):
        codes.add("archived_recently")
    return codes


def _shares(plans: Mapping[int, set[int]], plan: int, on_shared: str = "skip") -> bool:
    return on_shared == "skip" and any(
        plans[plan] & held for other, held in plans.items() if other != plan
    )
