"""Calls of a whole job, against the fewest there could be and against a plain script.

A made-up platform with 12,000 enrollments in 12 courses and three learning plans elsewhere;
5,000 of the completed ones are archived by CSV. The fewest calls are the pages of reading, the
writes and the pages of reading back, at 200 each. All is counted that the job calls, and polls
apart. Time is virtual: nothing waits, and what is counted does not hang on the machine.
"""

import csv
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from virtual_time import Line, VirtualTime

from lms_archive import ArchiveJob, ArchivePlan, Client
from lms_archive.sandbox import Sandbox

from .common import figure, say

COURSES, USERS, ENROLLMENTS, ROWS, SIZE = 12, 3_000, 12_000, 5_000, 200
_JOB_SECONDS = 2.0
_CALL_SECONDS = 0.3


def tenant(completed: float, seed: int = 8) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """What the sandbox is loaded with, and the pairs (course, user) that are archived."""
    rng = random.Random(seed)  # noqa: S311  no secret
    every = [(course, user) for course in range(1, COURSES + 1) for user in range(1, USERS + 1)]
    enrolled = rng.sample(every, ENROLLMENTS)
    done = enrolled[: round(ENROLLMENTS * completed)]
    states = dict.fromkeys(enrolled, "in_progress") | dict.fromkeys(done, "completed")
    load = {
        "users": [{"user_id": one, "username": name(one)} for one in range(1, USERS + 1)],
        "courses": [{"id_course": one, "code": code(one)} for one in range(1, COURSES + 4)],
        "learning_plans": [
            {"learning_plan_id": 50 + one, "code": f"PLAN-{one}", "courses": [COURSES + one]}
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
    return load, rng.sample(done, ROWS)


def name(user: int) -> str:
    """The username."""
    return f"learner{user:05d}@example.com"


def code(course: int) -> str:
    """The code of a course."""
    return f"COURSE-{course:02d}"


def fewest(completed: Sequence[tuple[int, int]], rows: Sequence[tuple[int, int]]) -> int:
    """Pages of reading, writes, pages of reading back: by course, at 200 each."""
    there, asked = (Counter(course for course, _ in pairs) for pairs in (completed, rows))
    return sum(ceil(there[one] / SIZE) + 2 * ceil(asked[one] / SIZE) for one in asked)


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


def by_job(
    load: Mapping[str, Any], rows: Sequence[tuple[int, int]]
) -> tuple[Counter[str], ArchivePlan, dict[str, int], float]:
    """The calls of planning and applying, as the platform counts them, and the virtual seconds."""
    with tempfile.TemporaryDirectory() as folder, platform(load) as (sandbox, time, client):
        path = Path(folder, "inactive.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("username", "course_code"))
            writer.writerows((name(user), code(course)) for course, user in rows)
        job = ArchiveJob.from_csv(path, mode="unenroll", reset_tracking=False)
        plan = job.plan(client)
        result = plan.apply(client, ledger=Path(folder, "ledger.sqlite"))
        assert result.counts["archived"] == len(rows)
        made = Counter(str(one.operation) for one in sandbox.calls)
        return made, plan, result.calls, time.passed


def by_script(load: Mapping[str, Any], rows: Sequence[tuple[int, int]]) -> int:
    """The calls of a plain script: each user looked up, each enrollment archived alone."""
    with platform(load) as (sandbox, _, client):
        courses = {one: _found(client, "/course/v1/courses", code(one)) for one in range(1, 13)}
        for course, user in rows:
            found = _found(client, "/manage/v1/user", name(user))
            body = {
                "course_id": [courses[course]["id_course"]],
                "user_id": [int(found["user_id"])],
                "enrollment_mode": "delete",
            }
            client.request("PUT", "/learn/v1/enrollments", json=body)
        return len(sandbox.calls)


def _found(client: Client, path: str, text: str) -> dict[str, Any]:
    answer = client.request("GET", path, params={"search_text": text})
    item: dict[str, Any] = answer["data"]["items"][0]
    return item


def main() -> None:
    """Measure, and print."""
    for told, completed in (
        ("60 % completed", 0.6),
        ("all that are completed", ROWS / ENROLLMENTS),
    ):
        load, rows = tenant(completed)
        calls, plan, counted, seconds = by_job(load, rows)
        done = [
            (one["id_course"], one["user_id"])
            for one in load["enrollments"]
            if one["enrollment_status"] == "completed"
        ]
        least, chunks = (
            fewest(done, rows),
            sum(n for name, n in calls.items() if "archive_" in name),
        )
        polls = calls.pop("list_jobs") + calls.pop("get_job", 0) - 1
        calls["list_jobs"] = 1  # the look before the first write is no poll
        say(f"  {ROWS:,} rows, {told}: fewest {least}, {seconds:.0f} virtual seconds")
        for operation, count in calls.most_common():
            say(f"    {operation:<36} {count:>6}")
        made = calls.total()
        figure(f"calls against the fewest ({made} of {least})", made / least, goal="<= 1.25")
        figure(f"polls for a chunk ({polls} for {chunks})", polls / chunks, goal="<= 0.5")
        told_calls, made = sum(plan.calls.values()), sum(counted.values()) - polls
        figure(
            f"calls that were planned ({told_calls} of {made})", told_calls / made, goal="0.9-1.1"
        )
    script = by_script(load, rows)
    figure(f"calls of a plain script ({script:,}) against the job", script / calls.total())
