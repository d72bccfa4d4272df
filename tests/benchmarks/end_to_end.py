"""A whole job against the sandbox on loopback: wall time, where it goes, how it grows.

100,000 rows over 200 courses and 10,000 over 20, both by CSV, with jobs of 0 s. The sandbox runs
in a process of its own, so that its time is told apart from the client's. Times hang on what else
the machine does; how often functions are called does not, so that is what tells of the growth.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from cProfile import Profile
from functools import partial
from pathlib import Path
from pstats import Stats
from typing import Any

from lms_archive import ArchiveJob, Client, Limits, PasswordGrant
from lms_archive.sandbox import Sandbox

from .common import ROOT, figure, say

PER_COURSE = 500
_ENV = "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"
_SERVE = "from tests.benchmarks import end_to_end; end_to_end.serve(int(input()))"


def serve(courses: int) -> None:
    """The other process: a sandbox until its input ends; tells how it is reached, and its CPU."""
    users = [{"user_id": one, "username": f"learner{one:05d}"} for one in range(1, PER_COURSE + 1)]
    enrollments = [
        {
            "user_id": user["user_id"],
            "id_course": course,
            "enrollment_status": "completed",
            "enrollment_created_at": "2025-01-02 03:04:05",
            "enrollment_completion_date": "2025-02-03 04:05:06",
            "enrollment_score": 88,
        }
        for course in range(1, courses + 1)
        for user in users
    ]
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=users,
            courses=[{"id_course": n, "code": f"C{n:03d}"} for n in range(1, courses + 1)],
            enrollments=enrollments,
        )
        begun = time.process_time()
        say(json.dumps(sandbox.env()))
        sys.stdin.read()
        say(json.dumps(time.process_time() - begun))


@contextmanager
def serving(courses: int) -> Iterator[tuple[Callable[..., Client], Callable[[], float]]]:
    """The other process: what makes a client of it, and what ends it and tells its CPU seconds."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", _SERVE], cwd=ROOT, text=True, stdin=-1, stdout=-1
    ) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(f"{courses}\n")
        other.stdin.flush()
        env, out, told = json.loads(other.stdout.readline()), other.stdout, other.stdin

        def end() -> float:
            told.close()
            return float(json.loads(out.readline() or "0"))

        try:
            yield partial(_client, env), end
        finally:
            end()


def run(courses: int, *, profile: Profile | None = None) -> tuple[dict[str, float], int]:
    """Seconds of each stage of one job, of the client's CPU and of the sandbox's; and the calls."""
    with tempfile.TemporaryDirectory() as folder, serving(courses) as (client_with, end):
        path = Path(folder, "inactive.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("username", "course_code"))
            writer.writerows(
                (f"learner{user:05d}", f"C{course:03d}")
                for course in range(1, courses + 1)
                for user in range(1, PER_COURSE + 1)
            )
        # A job of 0 s has ended at the first look.
        client = client_with(Limits(first_poll=0.05))
        seconds: dict[str, float] = {}
        begun, cpu = time.perf_counter(), time.process_time()

        def lap(name: str) -> None:
            seconds[name] = time.perf_counter() - begun - sum(seconds.values())

        if profile:
            profile.enable()
        job = ArchiveJob.from_csv(path, mode="unenroll", reset_tracking=False)
        lap("read the CSV")
        plan = job.plan(client)
        lap("plan")
        result = plan.apply(client, ledger=Path(folder, "ledger.sqlite"))
        lap("apply")
        result.to_csv(Path(folder, "outcome.csv"))
        lap("write the outcomes")
        if profile:
            profile.disable()
        seconds |= {"in all": sum(seconds.values()), "of it CPU": time.process_time() - cpu}
        assert result.counts["archived"] == courses * PER_COURSE
        client.close()
        seconds["the sandbox's CPU"] = end()
        return seconds, sum(result.calls.values())


def _client(env: dict[str, str], limits: Limits, transport: Any = None) -> Client:
    account = PasswordGrant(*(env[f"LMS_ARCHIVE_{name}"] for name in _ENV))
    url = env["LMS_ARCHIVE_URL"]
    return Client(url, account, calls_per_hour=None, limits=limits, transport=transport)


def by_module(profile: Profile, most: int = 12) -> list[tuple[str, float]]:
    """The share of the profiled time that was spent in each module's own lines."""
    spent: Counter[str] = Counter()
    stats: Any = Stats(profile)
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():
        spent[_module(file, name)] += own
    return [(name, own / spent.total()) for name, own in spent.most_common(most)]


def _module(file: str, name: str) -> str:
    if file == "~":
        return name.strip("<>").removeprefix("built-in method ").removeprefix("method ")
    parts = Path(file).parts
    return "/".join(parts[-3:] if "lms_archive" in parts[-3:] else parts[-2:])


def main() -> None:
    """Measure, and print."""
    took: dict[str, dict[int, float]] = defaultdict(dict)
    profiles = {courses: Profile() for courses in (20, 200)}
    for courses, profile in profiles.items():
        rows = courses * PER_COURSE
        seconds, calls = run(courses)
        say(f"  {rows:,} rows, {courses} courses, {calls:,} calls of apply")
        for name, one in seconds.items():
            took[name][courses] = one
            figure(f"{rows:,} rows: {name}", one, "s")
        run(courses, profile=profile)
        stats: Any = Stats(profile)
        took["Python's function calls"][courses] = stats.total_calls
    for name in ("in all", "of it CPU", "the sandbox's CPU", "Python's function calls"):
        told = f"100,000 rows against 10,000: {name}"
        figure(told, took[name][200] / took[name][20], goal="about 10")
    say("  100,000 rows, profiled: own time by module")
    for name, share in by_module(profiles[200]):
        figure(f"  {name[:52]}", share * 100, "%")
