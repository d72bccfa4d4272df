"""A long run in bad weather: 20,000 rows, faults, ten kills, rivals. Does the SQL agree?

`python tests/many/long_run.py [seed]`: enrollments in 40 courses, and in five learning plans that
hold ten more, are archived by processes that are killed with SIGKILL ten times and resumed each
time. The platform fails now and then, as a seed says, and while a process works, another one tries
the same ledger. Time is virtual, so waits cost nothing. Exits with 1 where a row is lost, archived
twice or reported wrongly.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from crash.shared_time import SharedTime

from lms_archive import ApiError, ArchiveJob, ArchiveResult, Client, Limits, PasswordGrant, resume
from lms_archive.errors import JobTimeoutError, LedgerInUseError
from lms_archive.sandbox import Sandbox

COURSES, PLANS, KILLS = 40, 5, 10
IN_COURSE, IN_PLAN = 450, 400
TABLES = {"course_id": "enrollments", "learning_plan_id": "learning_plan_enrollments"}
IN_USE, STOPPED = 3, 4
_DATE = "2025-01-02 03:04:05"
_ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("429", {"retry_after": 5}),
    ("500", {}),
    ("503", {"retry_after": 2}),
    ("cut_before", {}),
    ("cut_after", {}),
    ("expired_token", {}),
    ("slow", {"seconds": 90}),
)
_OF_WRITES: tuple[tuple[str, dict[str, Any]], ...] = (("html", {}), ("error_after", {}))
_OF_WORK: tuple[tuple[str, dict[str, Any]], ...] = (
    ("job_late", {"seconds": 50}),
    ("job_aborted", {"fraction": 0.4}),
    ("job_partial", {"errors": 3}),
    ("archived_lag", {"seconds": 40}),
)


def work(folder: Path, url: str, *grant: str) -> int:
    """Do the job, or go on with it, as any process would; the exit code says how it ended."""
    limits = Limits(hand_picked=80)  # more calls, and so more moments
    client = Client(url, PasswordGrant(*grant), limits=limits, calls_per_hour=None)
    SharedTime(folder / "time").wire(client)
    ledger = folder / "ledger.sqlite"
    try:
        if ledger.exists():
            resume(ledger, client)
        else:
            job = ArchiveJob.from_csv(folder / "rows.csv", mode="unenroll", reset_tracking=False)
            job.plan(client).apply(client, ledger=ledger)
    except LedgerInUseError:
        return IN_USE
    except (ApiError, JobTimeoutError) as error:
        print(f"  stopped: {error}")
        return STOPPED
    return 0


def build(sandbox: Sandbox, folder: Path) -> None:
    """Load the platform, and write the CSV of the job."""
    plans = {50 + n: (COURSES + 2 * n + 1, COURSES + 2 * n + 2) for n in range(PLANS)}
    in_courses = [(c, 1001 + u) for c in range(1, COURSES + 1) for u in range(IN_COURSE)]
    in_plans = [(p, 1001 + u) for p in plans for u in range(IN_PLAN)]
    along = [(c, user) for p, user in in_plans for c in plans[p]]
    done = {"enrollment_status": "completed", "enrollment_created_at": _DATE}
    sandbox.load(
        users=[{"user_id": 1001 + u, "username": f"u{1001 + u}"} for u in range(IN_COURSE)],
        courses=[{"id_course": c + 1, "code": f"C{c + 1}"} for c in range(COURSES + 2 * PLANS)],
        learning_plans=[
            {"learning_plan_id": p, "code": f"P{p}", "courses": list(held)}
            for p, held in plans.items()
        ],
        enrollments=[{"id_course": c, "user_id": u, **done} for c, u in in_courses + along],
        learning_plan_enrollments=[
            {"learning_plan_id": p, "user_id": u, **done} for p, u in in_plans
        ],
    )
    rows = [f"{user},{c}," for c, user in in_courses] + [f"{user},,{p}" for p, user in in_plans]
    text = "\n".join(["user_id,course_id,learning_plan_id", *rows])
    (folder / "rows.csv").write_text(text + "\n", encoding="utf-8")


def rain(sandbox: Sandbox, dice: random.Random) -> None:
    """Let calls and jobs fail now and then, after the first few."""
    for _ in range(60):
        method, most = dice.choice((("PUT", 250), ("GET", 900)))
        kind, details = dice.choice(_ANSWERS if method == "GET" else _ANSWERS + _OF_WRITES)
        sandbox.faults.add(kind, method=method, after=dice.randint(3, most), **details)
    for _ in range(12):
        kind, details = dice.choice(_OF_WORK)
        sandbox.faults.add(kind, method="PUT", after=dice.randint(3, 250), **details)


def run(sandbox: Sandbox, folder: Path, dice: random.Random) -> Counter[str]:
    """Let processes work until one comes to the end; return what happened to them."""
    command = [sys.executable, __file__, "--child", str(folder), *sandbox.env().values()]
    lives: Counter[str] = Counter()
    ledger = folder / "ledger.sqlite"
    while True:
        before = len(sandbox.calls)
        process = subprocess.Popen(command)  # noqa: S603  our own words
        lives["processes"] += 1
        if lives["killed"] < KILLS:
            _wait(process, sandbox, before, ledger)
            lives["rivals refused"] += _is_rival_refused(process, command, sandbox)
            _wait(process, sandbox, len(sandbox.calls) + dice.randint(0, 25), ledger)
            process.kill()
        ended = process.wait()
        lives["killed"] += ended < 0
        lives["stopped by an error"] += ended == STOPPED
        assert ended in (0, STOPPED) or ended < 0, ended
        if ended == 0:
            return lives


def _is_rival_refused(
    holder: subprocess.Popen[bytes], command: list[str], sandbox: Sandbox
) -> bool:
    """Stop the process that holds the ledger for a moment, and let another one try it."""
    if holder.poll() is not None:
        return False
    holder.send_signal(signal.SIGSTOP)
    rival = subprocess.run(command, check=False).returncode  # noqa: S603
    calls = len(sandbox.calls)
    holder.send_signal(signal.SIGCONT)
    if rival != IN_USE:  # then the other one had ended its work, and was about to end itself
        assert (holder.wait(), len(sandbox.calls)) == (0, calls), rival
    return rival == IN_USE


def _wait(process: subprocess.Popen[bytes], sandbox: Sandbox, calls: int, ledger: Path) -> None:
    while process.poll() is None and not (ledger.exists() and len(sandbox.calls) > calls):
        time.sleep(0.001)


def check(sandbox: Sandbox, folder: Path) -> dict[str, int]:
    """Compare each row, and each course that went along, with the platform's own file."""
    records: dict[tuple[str, int, int], list[int]] = {}
    active: set[tuple[str, int, int]] = set()
    with closing(sqlite3.connect(sandbox.path)) as database:
        for column, table in TABLES.items():
            query = f"SELECT {column}, user_id, id FROM archived_{table}"
            for target, user, record in database.execute(query):
                records.setdefault((column, target, user), []).append(record)
            query = f"SELECT {column}, user_id FROM {table}"
            active |= {(column, target, user) for target, user in database.execute(query)}
    result = ArchiveResult(folder / "ledger.sqlite")
    assert all(len(ids) == 1 for ids in records.values()), "archived twice"
    told: set[tuple[str, int, int]] = set()
    for one in result.outcomes:
        column = next(name for name in TABLES if one.row[name])
        key = (column, int(one.row[column]), int(one.row["user_id"]))
        shown = {key: one.record.archiving.record_id if one.record else None}
        shown |= {("course_id", c.course_id, key[2]): c.record_id for c in one.courses}
        told |= shown.keys()
        for enrollment, record in shown.items():
            assert records.get(enrollment, [None]) == [record], (enrollment, record, one)
        assert one.kind in ("archived", "failed"), one
        assert (key in active) == (one.kind == "failed"), one
    assert set(records) <= told, "archived, and not reported"
    assert len(result.outcomes) == COURSES * IN_COURSE + PLANS * IN_PLAN
    return {**result.to_dict()["counts"], "records": len(records), "still active": len(active)}


def main(seed: int) -> None:
    """Run it, and print what came of it."""
    dice, begun = random.Random(seed), time.monotonic()  # noqa: S311  no secret
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = SharedTime(folder / "time")
        with Sandbox(clock=clock, job_seconds=30) as sandbox:
            build(sandbox, folder)
            rain(sandbox, dice)
            lives = run(sandbox, folder, dice)
            clock.sleep(86_400)  # no job is at work any more
            counts = check(sandbox, folder)
            print(f"seed {seed}:", *(f"{word}: {count:,};" for word, count in lives.items()))
            print(f"faults: {dict(Counter(fault.kind for fault in sandbox.faults.log))}")
            print(f"calls: {len(sandbox.calls):,}; seconds: {time.monotonic() - begun:.0f}")
            print("SQL agrees:", *(f"{word}: {count:,};" for word, count in counts.items()))
    assert lives["killed"] == KILLS <= lives["rivals refused"], lives


if __name__ == "__main__":
    if "--child" in sys.argv:
        sys.exit(work(Path(sys.argv[2]), *sys.argv[3:]))
    main(int(sys.argv[1]) if sys.argv[1:] else 22)
