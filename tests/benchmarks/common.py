"""What the benchmarks share: sides that alternate, children that are measured, made-up items."""

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
    """A line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def figure(name: str, value: float, unit: str = "x", goal: str = "") -> None:
    """One figure of the report, with its goal."""
    say(f"  {name:<58} {value:>9.2f} {unit:<4} {goal and f'(goal {goal})'}")


def cpu_seconds(do: Callable[[], object]) -> float:
    """The CPU time of this process that a piece of work takes."""
    begun = time.process_time()
    do()
    return time.process_time() - begun


def alternating(sides: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, float]:
    """The median of each side's figure, the sides taking turns; the first round does not count."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, measure in sides.items():
            seen[name].append(measure())
    return {name: median(values[1:]) for name, values in seen.items()}


def in_child(module: str, *arguments: object) -> dict[str, Any]:
    """What a module's `child` tells of itself, run in a process of its own."""
    code = f"from tests.benchmarks import {module}, common; common.tell({module}.child)"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def tell(child: Callable[..., Mapping[str, Any]]) -> None:
    """The other end of `in_child`."""
    say(json.dumps(child(*sys.argv[1:])))


def peak() -> float:
    """The most memory that this process has held, in MiB (Linux).

    Not `ru_maxrss`: a child begins with what its parent had there.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def resident() -> float:
    """The memory that this process holds now, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def active_items(count: int, course_id: int = 1, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Enrollments as the platform lists them."""
    rng = random.Random(seed)  # noqa: S311  no secret
    for number in range(count):
        yield {
            "user_id": 1_000 + number,
            "username": f"learner{number:06d}@example.com",
            "course_id": course_id,
            "course_code": f"COURSE-{course_id:04d}",
            "course_name": f"Safety at work, part {course_id}",
            "course_uid": f"E-{course_id:06X}",
            "course_type": "elearning",
            "enrollment_status": rng.choice(("completed", "completed", "in_progress")),
            "enrollment_level": "student",
            "enrollment_score": rng.randrange(50, 100),
            "enrollment_time_spent": rng.randrange(60, 36_000),
            "enrollment_created_at": _time(rng),
            "enrollment_created_by": 12,
            "enrollment_completion_date": _time(rng),
            "enrollment_date_last_updated": _time(rng),
            "enrollment_validity_begin_datetime": None,
            "enrollment_validity_end_datetime": None,
        }


def archived_items(count: int, course_id: int = 1, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Archived enrollments as the platform lists them, with a field that nobody knows."""
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
