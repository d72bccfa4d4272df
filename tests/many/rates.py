"""What a row costs: CPU time, memory, bytes of plan and ledger, calls. For `scale.md`.

`python tests/many/rates.py [rows] [rows of a course]`: the client is a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lms_archive import ArchiveJob, ArchivePlan, Client, Limits, PasswordGrant
from lms_archive.sandbox import Sandbox


def most() -> int:
    """The most memory that this process has held, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def cost(folder: Path, login: list[str]) -> dict[str, Any]:
    """Plan and apply the CSV in this folder, and tell what that took this process."""
    url, *grant = login
    client = Client(url, PasswordGrant(*grant), limits=Limits(first_poll=0.05), calls_per_hour=None)
    base = most()
    begun = time.process_time()
    job = ArchiveJob.from_csv(folder / "rows.csv", mode="unenroll", reset_tracking=False)
    plan = job.plan(client)
    planned = time.process_time()
    plan.save(folder / "plan.json")
    result = ArchivePlan.load(folder / "plan.json").apply(client, ledger=folder / "a.sqlite")
    applied = time.process_time()
    if result.counts["archived"] != job.row_count:
        raise RuntimeError(str(result))
    return {
        "plan_cpu": planned - begun,
        "apply_cpu": applied - planned,
        "memory": most() - base,
        "plan_bytes": (folder / "plan.json").stat().st_size,
        "ledger_bytes": (folder / "a.sqlite").stat().st_size,
        "calls": sum(result.calls.values()),
        "expected": sum(plan.calls.values()),
    }


def measured(rows: int, each: int) -> dict[str, Any]:
    """The costs of so many rows, of a process of their own."""
    users = [f"learner{number:05d}@example.com" for number in range(each)]
    courses = [f"COURSE-{number:04d}" for number in range(rows // each)]
    with tempfile.TemporaryDirectory() as name, Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"username": user} for user in users],
            courses=[{"code": course} for course in courses],
            enrollments=[
                {
                    "username": user,
                    "course_code": course,
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2025-01-02 03:04:05",
                    "enrollment_completion_date": "2025-02-03 04:05:06",
                    "enrollment_score": 88,
                }
                for course in courses
                for user in users
            ],
        )
        lines = [f"{user},{course}" for course in courses for user in users]
        Path(name, "rows.csv").write_text("\n".join(["username,course_code", *lines]) + "\n")
        done = subprocess.run(  # noqa: S603  our own words
            [sys.executable, __file__, "--child", name, *sandbox.env().values()],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        told["read"] = len(sandbox.calls) - told["calls"]
    return told


def main(rows: int, each: int) -> None:
    """Twice: what one row more costs is the difference."""
    few, many = measured(rows // 4, each), measured(rows, each)
    more = rows - rows // 4
    per = {name: (many[name] - few[name]) / more for name in few}
    print(f"each row of {rows:,}, beyond what {rows // 4:,} took:")
    print(f"  CPU of 1,000 rows: planned in {per['plan_cpu'] * 1000:.2f} s,", end=" ")
    print(f"applied in {per['apply_cpu'] * 1000:.2f} s")
    print(f"  memory {per['memory']:,.0f} bytes", end=", ")
    print(f"plan {per['plan_bytes']:,.0f} bytes, ledger {per['ledger_bytes']:,.0f} bytes")
    print(f"  calls to apply a course of {each:,} rows: {per['calls'] * each:.1f}", end=" ")
    print(f"(the plan said {per['expected'] * each:.1f}); to plan it: {per['read'] * each:.1f}")
    print(json.dumps({"few": few, "many": many}))


if __name__ == "__main__":
    if "--child" in sys.argv:
        sys.stdout.write(json.dumps(cost(Path(sys.argv[2]), sys.argv[3:])))
    else:
        main(*map(int, sys.argv[1:] or (20_000, 1_000)))
