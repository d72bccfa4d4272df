"""Calls of a whole job, against the fewest there could be, and polls for each chunk.

Time is virtual: nothing waits, and what is counted does not depend on the machine. The fewest
calls are the pages of reading (of each course, or of all in one list where there are more courses
than pages), the writes, and the pages of reading back, at 200 each. Polls are counted apart.
"""

import random
import tempfile
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Any

from virtual_time import Line, VirtualTime

from lms_archive import ArchiveJob
from lms_archive.sandbox import Sandbox

from .common import figure, say

Pairs = list[tuple[int, int]]
"""Courses and users."""

_SIZE = 200
#: Courses, users, enrollments, those of them that are completed, those that are archived.
SHAPES = (
    (12, 3_000, 12_000, 7_200, 5_000),
    (12, 3_000, 12_000, 5_000, 5_000),
    (300, 3_000, 4_800, 2_400, 2_400),
)


def made_up(courses: int, users: int, enrolled: int, done: int) -> tuple[dict[str, Any], Pairs]:
    """Return what the sandbox is loaded with, and the completed pairs of course and user."""
    rng = random.Random(8)  # noqa: S311  no secret
    every = [(course, user) for course in range(1, courses + 1) for user in range(1, users + 1)]
    pairs = rng.sample(every, enrolled)
    completed = set(pairs[:done])
    return {
        "users": [{"user_id": user, "username": f"u{user}"} for user in range(1, users + 1)],
        "courses": [{"id_course": n, "code": f"C{n}"} for n in range(1, courses + 1)],
        "enrollments": [
            {
                "user_id": user,
                "id_course": course,
                "enrollment_status": "completed" if (course, user) in completed else "in_progress",
                "enrollment_created_at": "2025-01-02 03:04:05",
                "enrollment_completion_date": "2025-02-03 04:05:06",
            }
            for course, user in pairs
        ],
    }, pairs[:done]


def fewest(completed: Pairs, rows: Pairs) -> int:
    """Return the fewest calls in which these rows can be archived and read back."""
    there, asked = (Counter(course for course, _ in pairs) for pairs in (completed, rows))
    read, in_one_list = sum(ceil(there[one] / _SIZE) for one in asked), ceil(len(completed) / _SIZE)
    if in_one_list < len(asked):
        read = in_one_list
    return read + 2 * sum(ceil(count / _SIZE) for count in asked.values())


def run(load: dict[str, Any], rows: Pairs) -> tuple[Counter[str], dict[str, int], dict[str, int]]:
    """Return the calls of planning and applying as the sandbox counts them, planned, and made."""
    time = VirtualTime()
    line = Line(time)
    line.before.append(lambda _: time.sleep(0.3))
    cells = [{"username": f"u{user}", "course_code": f"C{course}"} for course, user in rows]
    with Sandbox(clock=time, job_seconds=2) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.load(**load)
        client = time.wire(sandbox.client(calls_per_hour=None, transport=line))
        plan = ArchiveJob.from_rows(cells, mode="unenroll", reset_tracking=False).plan(client)
        result = plan.apply(client, ledger=Path(folder, "ledger.sqlite"))
        if result.counts["archived"] != len(rows):
            raise RuntimeError(str(result.counts))
        line.close()
        made = Counter(str(call.operation) for call in sandbox.calls)
        return made, dict(plan.calls), dict(result.calls)


def main() -> None:
    """Count, and print."""
    for courses, users, enrolled, done, count in SHAPES:
        load, completed = made_up(courses, users, enrolled, done)
        rows = random.Random(9).sample(completed, count)  # noqa: S311  no secret
        calls, planned, counted = run(load, rows)
        chunks = sum(n for name, n in calls.items() if name.startswith("archive_"))
        polls = calls.pop("list_jobs") + calls.pop("get_job", 0) - 1
        calls["list_jobs"] = 1  # the look before the first write is not a poll
        say(f"  {count:,} rows of {done:,} completed in {courses} courses")
        for operation, number in calls.most_common():
            say(f"    {operation:<36} {number:>6}")
        made, least = calls.total(), fewest(completed, rows)
        figure(f"calls against the fewest ({made} of {least})", made / least, goal="<= 1.25")
        figure(f"polls for a chunk ({polls} for {chunks})", polls / chunks, goal="<= 0.5")
        before, after = sum(planned.values()), sum(counted.values()) - polls
        figure(f"calls that were planned ({before} of {after})", before / after, goal="0.9-1.1")
