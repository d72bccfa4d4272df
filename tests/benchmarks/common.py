"""What the benchmarks share: sides that alternate, measured child processes, made-up items."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]


def say(text: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def figure(name: str, value: float, unit: str = "x", goal: str = "") -> None:
    """Print one figure of the report, with its goal."""
    say(f"  {name:<58} {value:>9.2f} {unit:<4} {goal and f'(goal {goal})'}")


def cpu_seconds(do: Callable[[], object]) -> float:
    """Return the CPU time of this process that a piece of work takes."""
    begun = time.process_time()
    do()
    return time.process_time() - begun


def alternating(sides: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, float]:
    """Return the median of each side's figure; sides take turns, the first round is dropped."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, measure in sides.items():
            seen[name].append(measure())
    return {name: median(values[1:]) for name, values in seen.items()}


def in_child(module: str, *arguments: object) -> dict[str, Any]:
    """Return what a module's `child` reports, run in a process of its own."""
    code = f"from tests.benchmarks import {module}, common; common.report({module}.child)"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(child: Callable[..., Mapping[str, Any]]) -> None:
    """Print what a child has measured, for `in_child`."""
    say(json.dumps(child(*sys.argv[1:])))


def peak() -> float:
    """Return the most memory that this process has held, in MiB (Linux).

    Not `ru_maxrss`: a child begins with what its parent had there.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def archived_items(count: int, course_id: int = 1, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield archived enrollments as the platform lists them, with an unknown field."""
    rng = random.Random(seed)  # noqa: S311  no secret
    for number in range(count):
        yield {
            "id": 5_000_000 + number,
            "archived_at": _time(rng),
            "archived_by": 12,
            "user_id": str(1_000 + number),
            "username": f"learner{number:06d}@example.com",
            "first_name": f"First{number % 997}",
            "last_name": f"Last{number % 1009}",
            "language": "english",
            "course_id": str(course_id),
            "course_name": f"Safety at work, part {course_id}",
            "course_code": f"COURSE-{course_id:04d}",
            "course_uid": f"E-{course_id:06X}",
            "course_type": "elearning",
            "course_credits": "1.5",
            "certificate_url": None,
            "certificate_date": "0000-00-00 00:00:00",
            "enrollment_created_at": _time(rng),
            "enrollment_created_by": "12",
            "enrollment_status": "completed",
            "enrollment_level": "student",
            "enrollment_score": rng.randrange(50, 100),
            "enrollment_time_spent": rng.randrange(60, 36_000),
            "enrollment_validity_begin_datetime": None,
            "enrollment_validity_end_datetime": None,
            "enrollment_completion_date": _time(rng),
            "learning_plan_id": None,
            "branch": "HQ",
        }


def _time(rng: random.Random) -> str:
    day, second = rng.randrange(1, 29), rng.randrange(86_400)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{rng.randrange(2019, 2026)}-{rng.randrange(1, 13):02d}-{day:02d} {clock}"
