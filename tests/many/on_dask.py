"""Ten platforms on two worker processes, one of which is killed: does the account add up?

Needs `distributed`; `.ci/full` runs it. Exits with 1 where a row is missing, or told wrongly.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from distributed import Client as Dask
from distributed import LocalCluster

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Client, Limits, RetryPolicy
from lms_archive.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
from many_platforms import archive_all

PLATFORMS, COURSES, USERS, ABSENT = 10, 3, 150, 7
WRITE = "archive_course_enrollments"
TWICE = """SELECT count(*) FROM (SELECT 1 FROM archived_enrollments
           GROUP BY course_id, user_id, enrollment_created_at HAVING count(*) > 1)"""


def begin(sandbox: Sandbox) -> tuple[ArchivePlan, Client]:
    """A platform with enrollments, and the plan that archives them; some rows are of nobody."""
    done = {"enrollment_status": "completed", "enrollment_created_at": "2025-01-02 03:04:05"}
    users = [f"u{number}" for number in range(USERS)]
    courses = [f"C{number}" for number in range(COURSES)]
    rows = [{"username": user, "course_code": course} for course in courses for user in users]
    sandbox.load(
        users=[{"username": user} for user in users],
        courses=[{"code": course} for course in courses],
        enrollments=[{**row, **done} for row in rows],
    )
    rows += [{"username": f"absent{number}", "course_code": "C0"} for number in range(ABSENT)]
    client = sandbox.client(
        limits=Limits(hand_picked=50, first_poll=0.2), retry=RetryPolicy(settle=1.0)
    )
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    return job.plan(client), client


def kill_one(sandbox: Sandbox, ledger: Path, killed: list[int]) -> None:
    """Kill the process that holds this ledger once its third chunk has been sent."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if sum(call.operation == WRITE for call in sandbox.calls) >= 3:
            found = re.match(r"pid (\d+) ", Path(f"{ledger}.lock").read_text(encoding="utf-8"))
            if found and int(found[1]) != os.getpid():
                killed.append(int(found[1]))
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.01)


def ask(sandbox: Sandbox) -> dict[str, int]:
    """What the platform's own database says."""
    with closing(sqlite3.connect(sandbox.path)) as database:
        return {
            name: int(database.execute(query).fetchone()[0])
            for name, query in {
                "archived": "SELECT count(*) FROM archived_enrollments",
                "active": "SELECT count(*) FROM enrollments",
                "twice": TWICE,
            }.items()
        }


def check(sandbox: Sandbox, result: ArchiveResult | BaseException) -> dict[str, Any]:
    """The account of one platform: each row has its outcome, and the SQL agrees."""
    if isinstance(result, BaseException):
        raise result
    truth, counts = ask(sandbox), result.to_dict()["counts"]
    assert truth == {"archived": counts["archived"], "active": 0, "twice": 0}, (truth, counts)
    assert counts == {"archived": COURSES * USERS, "skipped": ABSENT, "failed": 0, "unknown": 0}
    assert len(list(result.outcomes)) == COURSES * USERS + ABSENT
    logins = sum(call.operation == "token" for call in sandbox.calls)
    return {**counts, "SQL": truth["archived"], "begun": logins - 1}  # one login made the plan


def main() -> None:
    """Plan all, apply all, kill a worker in the middle, and account for every row."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        boxes = {
            f"platform{number}": stack.enter_context(Sandbox(job_seconds=0.3))
            for number in range(PLATFORMS)
        }
        plans = {name: begin(sandbox) for name, sandbox in boxes.items()}
        cluster = stack.enter_context(
            LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None)
        )
        engine = stack.enter_context(Dask(cluster)).get_executor(pure=False, retries=0)
        killed: list[int] = []
        where = (boxes["platform0"], folder / "platform0.sqlite", killed)
        killer = threading.Thread(target=kill_one, args=where, daemon=True)
        killer.start()
        results = dict(archive_all(engine, plans, folder))
        killer.join()
        account = {name: check(boxes[name], results[name]) for name in boxes}
    for name, counts in account.items():
        print(name, *(f"{word}={count}" for word, count in counts.items()))
    total = {word: sum(one[word] for one in account.values()) for word in account["platform0"]}
    print("together", *(f"{word}={count}" for word, count in total.items()))
    print(f"killed: worker process {killed}")
    assert killed, "nothing was killed: the test proved nothing"
    assert account["platform0"]["begun"] > 1, "the killed platform was not taken up again"
    assert len(results) == PLATFORMS


if __name__ == "__main__":
    main()
