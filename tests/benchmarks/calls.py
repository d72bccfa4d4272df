"""Calls of a whole job, against the fewest there could be and against a plain script.

Two shapes of made-up platforms, with three learning plans elsewhere:

* a few large courses: 12,000 enrollments in 12 courses, of which 5,000 completed ones are archived
  by CSV. The fewest calls are the pages of reading, the writes and the pages of reading back, at
  200 each, course by course.
* many small courses: 300 courses with about 8 rows each, of users who are inactive: by CSV, and by
  `for_inactive_users`. The fewest calls are two walks over all rows at 200 a page, and for each
  course one write and one page of reading back.

All is counted that the job calls, and polls apart. Time is virtual: nothing waits, and what is
counted does not hang on the machine. `python -m tests.benchmarks.calls estimate` plans 5,000
courses of 20 rows instead, and says how long that takes at 800 calls an hour.
"""

import csv
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any

from virtual_time import Line, VirtualTime

from lms_archive import ArchiveJob, ArchivePlan, Client
from lms_archive.sandbox import Sandbox

from .common import figure, say

COURSES, USERS, ENROLLMENTS, ROWS, SIZE = 12, 3_000, 12_000, 5_000, 200
SMALL_COURSES, SMALL_ENROLLMENTS = 300, 4_800
_TERMS: dict[str, Any] = {"mode": "unenroll", "reset_tracking": False}
_BORDER = date(2025, 1, 1)
_JOB_SECONDS = 2.0
_CALL_SECONDS = 0.3

Pairs = Sequence[tuple[int, int]]


def tenant(
    courses: int, enrollments: int, completed: float, seed: int = 8
) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """What the sandbox is loaded with, and the completed pairs (course, user), shuffled.

    The first half of the users is inactive.
    """
    rng = random.Random(seed)  # noqa: S311  no secret
    every = range(courses * USERS)
    enrolled = [(1 + one // USERS, 1 + one % USERS) for one in rng.sample(every, enrollments)]
    done = enrolled[: round(enrollments * completed)]
    states = dict.fromkeys(enrolled, "in_progress") | dict.fromkeys(done, "completed")
    load = {
        "users": [
            {
                "user_id": one,
                "username": name(one),
                "last_access_date": f"{2023 if one <= USERS // 2 else 2025}-05-01 00:00:00",
            }
            for one in range(1, USERS + 1)
        ],
        "courses": [{"id_course": one, "code": code(one)} for one in range(1, courses + 4)],
        "learning_plans": [
            {"learning_plan_id": 50 + one, "code": f"PLAN-{one}", "courses": [courses + one]}
            for one in (1, 2, 3)
        ],
        "enrollments": [
            {
                "user_id": user,
                "id_course": course,
                "enrollment_status": status,
                "enrollment_created_at": "2025-01-02 03:04:05",
                "enrollment_completion_date": "2025-02-03 04:05:06",
            }
            for (course, user), status in states.items()
        ],
    }
    return load, done


def name(user: int) -> str:
    """The username."""
    return f"learner{user:05d}@example.com"


def code(course: int) -> str:
    """The code of a course."""
    return f"COURSE-{course:02d}"


def fewest(completed: Pairs, rows: Pairs) -> int:
    """Pages of reading, writes, pages of reading back: by course, at 200 each."""
    there, asked = (Counter(course for course, _ in pairs) for pairs in (completed, rows))
    return sum(ceil(there[one] / SIZE) + 2 * ceil(asked[one] / SIZE) for one in asked)


def fewest_together(rows: Pairs) -> int:
    """Two walks over all rows, and for each course a write and a page of reading back."""
    return 2 * ceil(len(rows) / SIZE) + 2 * len({course for course, _ in rows})


@contextmanager
def platform(load: Mapping[str, Any]) -> Iterator[tuple[Sandbox, VirtualTime, Client]]:
    """A sandbox with that load, and a client, in one virtual time; each call takes a while."""
    time = VirtualTime()
    line = Line(time)
    line.before.append(lambda _: time.sleep(_CALL_SECONDS))
    with Sandbox(clock=time, job_seconds=_JOB_SECONDS) as sandbox:
        sandbox.load(**load)
        yield sandbox, time, time.wire(sandbox.client(calls_per_hour=None, transport=line))
        line.close()


def csv_of(rows: Pairs, folder: str) -> ArchiveJob:
    """The job of a CSV with usernames and codes."""
    path = Path(folder, "inactive.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("username", "course_code"))
        writer.writerows((name(user), code(course)) for course, user in rows)
    return ArchiveJob.from_csv(path, **_TERMS)


def by_job(
    load: Mapping[str, Any], rows: Pairs, make: Callable[[str], ArchiveJob]
) -> tuple[Counter[str], ArchivePlan, dict[str, int], float]:
    """The calls of planning and applying, as the platform counts them, and the virtual seconds."""
    with tempfile.TemporaryDirectory() as folder, platform(load) as (sandbox, time, client):
        plan = make(folder).plan(client)
        planning = len(sandbox.calls)
        result = plan.apply(client, ledger=Path(folder, "ledger.sqlite"))
        assert result.counts["archived"] == len(rows)
        made = Counter(str(one.operation) for one in sandbox.calls)
        say(f"  {planning} calls to plan, {made.total() - planning} to apply")
        return made, plan, result.calls, time.passed


def by_script(load: Mapping[str, Any], rows: Sequence[tuple[int, int]]) -> int:
    """The calls of a plain script: each user looked up, each enrollment archived alone."""
    with platform(load) as (sandbox, _, client):
        courses = {one: _found(client, "/course/v1/courses", code(one)) for one in range(1, 13)}
        for course, user in rows:
            found = _found(client, "/manage/v1/user", name(user))
            body = {
                "course_id": [courses[course]["id"]],
                "user_id": [int(found["user_id"])],
                "enrollment_mode": "delete",
            }
            client.request("PUT", "/learn/v1/enrollments", json=body)
        return len(sandbox.calls)


def _found(client: Client, path: str, text: str) -> dict[str, Any]:
    answer = client.request("GET", path, params={"search_text": text})
    item: dict[str, Any] = answer["data"]["items"][0]
    return item


def measure(
    label: str, load: Mapping[str, Any], rows: Pairs, least: int, make: Callable[[str], ArchiveJob]
) -> Counter[str]:
    """Measure one job, and print; return its calls."""
    say(f"  {label}: {len(rows):,} rows, fewest {least}")
    calls, plan, counted, seconds = by_job(load, rows, make)
    chunks = sum(n for name, n in calls.items() if name.startswith("archive_"))
    polls = calls.pop("list_jobs") + calls.pop("get_job", 0) - 1
    calls["list_jobs"] = 1  # the look before the first write is no poll
    say(f"  {seconds:.0f} virtual seconds")
    for operation, count in calls.most_common():
        say(f"    {operation:<36} {count:>6}")
    made = calls.total()
    figure(f"calls against the fewest ({made} of {least})", made / least, goal="<= 1.25")
    figure(f"polls for a chunk ({polls} for {chunks})", polls / chunks, goal="<= 0.5")
    told_calls, made = sum(plan.calls.values()), sum(counted.values()) - polls
    figure(f"calls that were planned ({told_calls} of {made})", told_calls / made, goal="0.9-1.1")
    return calls


def estimate() -> None:
    """Plan 5,000 courses of 20 rows, and print how long that takes at 800 calls an hour."""
    courses, size = 5_000, 20
    load, done = tenant(courses, courses * size, 1.0)
    for one in load["users"]:
        one["last_access_date"] = "2023-05-01 00:00:00"
    with platform(load) as (sandbox, _, unlimited):
        client = unlimited.with_options(calls_per_hour=800)
        before = len(sandbox.calls)
        plan = ArchiveJob.for_inactive_users(since=_BORDER, **_TERMS).plan(client)
        least = fewest_together(done)
        say(f"  {plan.counts}, {len(sandbox.calls) - before} calls to plan; fewest in all {least}")
        say(f"  {plan.warnings[-1]}")
        figure("hours at 800 calls an hour", plan.duration.total_seconds() / 3600, "h", "< 18")


def main() -> None:
    """Measure, and print."""
    if "estimate" in sys.argv[1:]:
        estimate()
        return
    for label, completed in (
        ("60 % completed", 0.6),
        ("all that are completed", ROWS / ENROLLMENTS),
    ):
        load, done = tenant(COURSES, ENROLLMENTS, completed)
        rows = random.Random(9).sample(done, ROWS)  # noqa: S311  no secret
        least = fewest(done, rows)
        calls = measure(label, load, rows, least, lambda folder, rows=rows: csv_of(rows, folder))  # type: ignore[misc]
    script = by_script(load, rows)
    figure(f"calls of a plain script ({script:,}) against the job", script / calls.total())
    load, done = tenant(SMALL_COURSES, SMALL_ENROLLMENTS, 1.0)
    rows = [(course, user) for course, user in done if user <= USERS // 2]
    least = fewest_together(rows)
    measure("many small courses, by CSV", load, rows, least, lambda folder: csv_of(rows, folder))
    job = ArchiveJob.for_inactive_users(since=_BORDER, **_TERMS)
    measure("the same by for_inactive_users", load, rows, least, lambda _: job)


if __name__ == "__main__":
    main()
