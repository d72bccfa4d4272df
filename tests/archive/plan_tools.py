"""What the tests of whole jobs share: platforms with plans, jobs, stops, and the truth in SQL."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from virtual_time import ENROLLED_AT, Exchange, Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Client
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.events import Event

TABLES = {"course_id": "enrollments", "learning_plan_id": "learning_plan_enrollments"}
WRITES = {
    "archive_course_enrollments": "course_id",
    "archive_learning_plan_enrollments": "learning_plan_id",
}
UNENROLL: dict[str, Any] = {"mode": "unenroll", "reset_tracking": False}
AGAIN: dict[str, Any] = {"mode": "re-enroll", "reset_tracking": False}
in_both_modes = pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
on_both_terms = pytest.mark.parametrize("terms", [UNENROLL, AGAIN], ids=["unenroll", "re-enroll"])


def done(**more: Any) -> dict[str, Any]:
    """An enrollment completed long ago."""
    return {
        "enrollment_status": "completed",
        "enrollment_created_at": ENROLLED_AT,
        "enrollment_completion_date": "2025-02-03 04:05:06",
        "enrollment_time_spent": 600,
        **more,
    }


def load_plans(
    harness: Harness, plans: Mapping[int, Sequence[int]], users: int = 3, **more: Any
) -> None:
    """Plans P50, P60, ... of courses C1, C2, ...: users 1001, ... have completed all of all."""
    ids = range(1001, 1001 + users)
    courses = sorted({course for held in plans.values() for course in held})
    harness.sandbox.load(
        users=[{"username": f"u{user}", "user_id": user} for user in ids],
        courses=[{"code": f"C{course}", "id_course": course} for course in courses],
        learning_plans=[
            {
                "learning_plan_id": plan,
                "code": f"P{plan}",
                "title": f"Plan {plan}",
                "credits": 2.5,
                "courses": list(held),
            }
            for plan, held in plans.items()
        ],
        enrollments=[
            done(user_id=user, id_course=course, enrollment_score=88, **more)
            for course in courses
            for user in ids
        ],
        learning_plan_enrollments=[
            done(user_id=user, learning_plan_id=plan, **more) for plan in plans for user in ids
        ],
    )


def rows(
    users: Iterable[int], *, plans: Iterable[int] = (), courses: Iterable[int] = ()
) -> list[dict[str, int]]:
    """A row for each user and target, plans first."""
    targets = [("learning_plan_id", target) for target in plans]
    targets += [("course_id", target) for target in courses]
    some = list(users)
    return [{column: target, "user_id": user} for column, target in targets for user in some]


def job(harness: Harness, *plans: int, courses: Iterable[int] = (), **terms: Any) -> ArchiveJob:
    """The job of every user of the platform in these plans and courses."""
    users = [user for (user,) in harness.sql("SELECT user_id FROM users ORDER BY 1")]
    asked = rows(users, plans=plans, courses=courses)
    return ArchiveJob.from_rows(asked, **{**UNENROLL, **terms})


def plan(harness: Harness, *plans: int, courses: Iterable[int] = (), **terms: Any) -> ArchivePlan:
    """The plan of that job; what `plan` takes goes to it."""
    options = {
        name: terms.pop(name) for name in ("on_shared", "skip_archived_within") if name in terms
    }
    return job(harness, *plans, courses=courses, **terms).plan(harness.client, **options)


def sent(harness: Harness) -> list[tuple[str, int, list[int]]]:
    """The archive calls that reached the platform: column, target and users, in order."""
    found = []
    for call in harness.sandbox.calls:
        column = WRITES.get(str(call.operation))
        if column == "course_id":
            body = json.loads(call.body)
            found.append((column, body["course_id"][0], body["user_id"]))
        elif column is not None:
            number = int(call.path.split("/")[-2])
            found.append((column, number, json.loads(call.body)["user_ids"]))
    return found


def of_many(exchange: Exchange) -> bool:
    """Whether it is an archive call for several users."""
    body = exchange.body if exchange.is_write else {}
    return len(body.get("user_ids") or body.get("user_id") or ()) > 1


def interrupt() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def run_interrupted(
    harness: Harness,
    plan: ArchivePlan | None = None,
    *,
    at: Callable[[Exchange], bool] = of_many,
    after: bool = False,
    **options: Any,
) -> None:
    """Apply a plan, or one of everything, until Ctrl-C at the first exchange that is like this."""
    harness.line.once(at, interrupt, after=after)
    with pytest.raises(KeyboardInterrupt):
        harness.apply(plan, **options)


def during_wait(
    harness: Harness,
    act: Callable[[], None],
    *,
    over: float = 1800.0,
    when: Callable[[], bool] = lambda: True,
) -> list[float]:
    """Act in the first wait of the harness's client that is longer; return that wait's seconds."""
    sleep = harness.time.sleep
    waits: list[float] = []

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if seconds > over and not waits and when():
            waits.append(seconds)
            act()

    harness.time.sleep = sleeping  # type: ignore[method-assign]
    harness.time.wire(harness.client)
    return waits


def enroll_late(harness: Harness) -> None:
    """Enroll user 9001 in course 1 at this moment, as another client would."""
    harness.sandbox.load(
        users=[{"user_id": 9001, "username": "late"}],
        enrollments=[{"user_id": 9001, "id_course": 1, "enrollment_status": "completed"}],
    )


def codes_of(result: ArchiveResult) -> list[str]:
    """The code of each row, in their order."""
    return [outcome.code for outcome in result.outcomes]


def archive_by_hand(client: Client, course: int, *users: int, mode: str = "delete") -> None:
    """Another program of the same account archives these users in a course."""
    body = {"course_id": [course], "user_id": list(users), "enrollment_mode": mode}
    client.request("PUT", "/learn/v1/enrollments", json=body)


def date_of(harness: Harness, column: str, target: int, user: int) -> str | None:
    """Since when a user is enrolled, or None."""
    query = f"SELECT enrollment_created_at FROM {TABLES[column]} WHERE {column} = ? AND user_id = ?"
    found = harness.sql(query, target, user)
    return found[0][0] if found else None


def records_of(harness: Harness, column: str, target: int, user: int) -> list[int]:
    """The ids of a user's archived records in a target."""
    query = f"SELECT id FROM archived_{TABLES[column]} WHERE {column} = ? AND user_id = ?"
    return [number for (number,) in harness.sql(query, target, user)]


class Truth:
    """The platform's file at one moment: since when who is enrolled, and the archived records."""

    def __init__(self, harness: Harness) -> None:
        self.dates: dict[tuple[str, int, int], str | None] = {}
        self.records: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for column, table in TABLES.items():
            query = f"SELECT {column}, user_id, enrollment_created_at FROM {table}"
            self.dates.update(((column, t, user), date) for t, user, date in harness.sql(query))
            query = f"SELECT {column}, user_id, id FROM archived_{table} ORDER BY id"
            for target, user, number in harness.sql(query):
                self.records[column, target, user].append(number)


def check(
    harness: Harness,
    result: ArchiveResult,
    *,
    again: bool = False,
    since: str = ENROLLED_AT,
    **n: int,
) -> None:
    """What was told is true: row by row, and course by course, against the platform's own file."""
    assert result.counts == dict.fromkeys(("archived", "skipped", "failed", "unknown"), 0) | n
    truth = Truth(harness)
    assert all(len(records) == 1 for records in truth.records.values())
    reached = {(column, target, user) for column, target, users in sent(harness) for user in users}
    for outcome in result.outcomes:
        column = next(name for name in TABLES if outcome.row.get(name) is not None)
        key = (column, outcome.row[column], outcome.row["user_id"])
        now, records = truth.dates.get(key), truth.records.get(key, [])
        if outcome.kind == "archived":
            assert outcome.record is not None
            assert [outcome.record.archiving.record_id] == records
            assert (now is not None and now != since) if again else now is None
        elif outcome.kind == "failed":
            assert (now, records) == (since, [])
        elif outcome.kind == "skipped":
            assert key not in reached
        for course in outcome.courses:
            records = truth.records.get(("course_id", course.course_id, key[2]), [])
            assert records == ([] if course.record_id is None else [course.record_id])
            assert bool(records) == (course.status not in ("not_archived", "not_enrolled"))


class Killed(BaseException):
    """Stands for the death of the process: nothing is caught, nothing more is written."""


def run_mortally(
    patch: pytest.MonkeyPatch, at: int, go: Callable[[], object], *, before: bool
) -> int:
    """Let it run until it dies before or after its n-th commit, or to its end; return the commits.

    Once dead, it commits nothing more.
    """
    commits, is_dead, append = 0, False, Ledger.append

    def mortal(ledger: Ledger, *events: Event) -> None:
        nonlocal commits, is_dead
        commits += 1
        is_dead = is_dead or (before and commits == at)
        if not is_dead:
            append(ledger, *events)
            is_dead = commits == at
        if is_dead:
            raise Killed

    with patch.context() as alone:
        alone.setattr(Ledger, "append", mortal)
        try:
            go()
        except Killed:
            assert is_dead
        else:
            assert commits < at
    return commits
