"""A whole job against the sandbox on loopback: the client's CPU, its memory, and how both grow.

100,000 rows over 200 courses and 10,000 over 20, by CSV, from the plan to the outcome CSV, with
background jobs of 0 s. The sandbox and the client are processes of their own.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lms_archive import ArchiveJob, Client, Limits, PasswordGrant
from lms_archive.sandbox import Sandbox

from .common import ROOT, figure, in_child, peak, say

PER_COURSE = 500
_ENV = "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"
_SERVE = "from tests.benchmarks import job; job.serve(int(input()))"


def serve(courses: int) -> None:
    """Run a sandbox until the input ends; the first line says how it is reached."""
    users = range(1, PER_COURSE + 1)
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"user_id": user, "username": f"learner{user:05d}"} for user in users],
            courses=[{"id_course": n, "code": f"C{n:03d}"} for n in range(1, courses + 1)],
            enrollments=[
                {
                    "user_id": user,
                    "id_course": course,
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2025-01-02 03:04:05",
                    "enrollment_completion_date": "2025-02-03 04:05:06",
                    "enrollment_score": 88,
                }
                for course in range(1, courses + 1)
                for user in users
            ],
        )
        say(json.dumps(sandbox.env()))
        sys.stdin.read()


@contextmanager
def serving(courses: int) -> Iterator[Callable[..., Client]]:
    """Run the sandbox in another process; yields what makes a client of it."""
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=-1, stdout=-1) as other:  # noqa: S603
        assert other.stdin
        assert other.stdout
        other.stdin.write(f"{courses}\n")
        other.stdin.flush()
        env = json.loads(other.stdout.readline())
        try:
            yield partial(_client, env)
        finally:
            other.stdin.close()


def _client(env: dict[str, str], limits: Limits, transport: Any = None) -> Client:
    account = PasswordGrant(*(env[f"LMS_ARCHIVE_{name}"] for name in _ENV))
    url = env["LMS_ARCHIVE_URL"]
    return Client(url, account, calls_per_hour=None, limits=limits, transport=transport)


def child(courses: str) -> dict[str, Any]:
    """Run one job; report its seconds and the most memory that it took."""
    count = int(courses)
    with tempfile.TemporaryDirectory() as folder, serving(count) as client_with:
        path = Path(folder, "inactive.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("username", "course_code"))
            writer.writerows(
                (f"learner{user:05d}", f"C{course:03d}")
                for course in range(1, count + 1)
                for user in range(1, PER_COURSE + 1)
            )
        begun, cpu = time.perf_counter(), time.process_time()
        client = client_with(Limits(first_poll=0.05))  # a job of 0 s has ended at the first look
        plan = ArchiveJob.from_csv(path, mode="unenroll", reset_tracking=False).plan(client)
        result = plan.apply(client, ledger=Path(folder, "ledger.sqlite"))
        result.to_csv(Path(folder, "outcome.csv"))
        figures = {"wall": time.perf_counter() - begun, "CPU": time.process_time() - cpu}
        assert result.counts["archived"] == count * PER_COURSE
        client.close()
        return {**figures, "peak": peak()}


def main() -> None:
    """Measure, and print."""
    small, large = (in_child("job", courses) for courses in (20, 200))
    figure("100,000 rows: wall time", large["wall"], "s")
    figure("100,000 rows: the client's CPU time", large["CPU"], "s", goal="<= 15")
    figure("100,000 rows: peak memory", large["peak"], "MiB", goal="<= 250")
    growth = large["CPU"] / small["CPU"]
    figure("100,000 rows against 10,000: CPU time", growth, goal="about 10")
