"""What the tests share: a small platform on loopback, its client, and CSV files."""

import csv
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sandbox_tools import Http
from virtual_time import Harness, VirtualTime, new_harness

from lms_archive import Client, Limits, RetryPolicy
from lms_archive.sandbox import Sandbox

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # the processes that tests start are not counted: see .ci/run
    os.environ.pop("COVERAGE_PROCESS_START", None)

#: No example has a time limit: machines are noisy.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")
#: `pytest tests/security/test_fuzz.py --hypothesis-profile=fuzz`: what `.ci/full` runs.
settings.register_profile(
    "fuzz", max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck)
)

collect_ignore = ["third_party_project"]  # it has an environment of its own

COURSES = {71: "SAFE", 72: "FIRE", 73: "TWIN", 74: "TWIN", 75: "71", 76: "EMPTY"}
COMPLETED = {
    12: "twelve",
    101: "alice",
    102: "bob",
    103: "carol",
    104: "Anna",
    105: "anna",
    106: "007",
    107: "12",
    108: "eve@example.com",
    109: "Zoë",
    110: "Robert'); DROP TABLE users;--",
    111: "=cmd|' /C calc'!A0",
    112: "<b>bold</b>",
}
OTHERS = {
    201: ("tina", "completed", "tutor"),
    202: ("ivan", "completed", "instructor"),
    203: ("paul", "in_progress", "student"),
    204: ("nora", "enrolled", "student"),
    205: ("wanda", "waiting", "student"),
    206: ("sam", "suspended", "student"),
    207: ("zelda", "enrolled", "student"),  # then expelled, see `fill`
}


def _enrolled(user_id: int, course_id: int, status: str, level: str) -> dict[str, object]:
    done = status == "completed"
    return {
        "user_id": user_id,
        "id_course": course_id,
        "enrollment_status": status,
        "enrollment_level": level,
        "enrollment_created_at": "2025-01-02 03:04:05",
        "enrollment_completion_date": "2025-02-03 04:05:06" if done else None,
        "enrollment_score": 88 if done else None,
    }


def fill(sandbox: Sandbox) -> None:
    """Load the platform: all users are in SAFE, alice and bob in FIRE, alice in both TWINs."""
    names = {**COMPLETED, **{user_id: name for user_id, (name, *_) in OTHERS.items()}, 301: "dave"}
    learner = ("completed", "student")
    sandbox.load(
        users=[{"user_id": user_id, "username": name} for user_id, name in names.items()],
        courses=[
            {"id_course": course_id, "code": code, "name": f"Course {course_id}"}
            for course_id, code in COURSES.items()
        ],
        enrollments=[
            *(_enrolled(user_id, 71, *learner) for user_id in COMPLETED),
            *(_enrolled(user_id, 71, *how) for user_id, (_, *how) in OTHERS.items()),
            *(_enrolled(user_id, 72, *learner) for user_id in (101, 102)),
            *(_enrolled(101, course_id, *learner) for course_id in (73, 74)),
        ],
    )
    with closing(sqlite3.connect(sandbox.path)) as db, db:  # a status that is not known
        db.execute("UPDATE enrollments SET enrollment_status = 'expelled' WHERE user_id = 207")


@pytest.fixture(scope="module")
def small_platform() -> Iterator[Sandbox]:
    """A platform of a few users and courses, for tests that only read."""
    with Sandbox(job_seconds=0) as sandbox:
        fill(sandbox)
        yield sandbox


@pytest.fixture(scope="module")
def reader(small_platform: Sandbox) -> Iterator[Client]:
    """A client of the small platform."""
    with quick_client(small_platform) as client:
        yield client


@pytest.fixture
def fresh_platform() -> Iterator[Sandbox]:
    """A platform of its own for a test that archives."""
    with Sandbox(job_seconds=0) as sandbox:
        fill(sandbox)
        yield sandbox


@pytest.fixture
def archivist(fresh_platform: Sandbox) -> Iterator[Client]:
    """A client of the fresh platform."""
    with quick_client(fresh_platform) as client:
        yield client


def quick_client(sandbox: Sandbox) -> Client:
    """A client that hardly waits, and has no hourly limit."""
    return sandbox.client(
        limits=Limits(first_poll=0.01), retry=RetryPolicy(settle=0.01), calls_per_hour=None
    )


@pytest.fixture
def make_csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file of these bytes, or of this text as UTF-8; return its path."""

    def make(content: str | bytes) -> Path:
        path = tmp_path / "input.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows of a file as any other program does."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def clock() -> VirtualTime:
    """Time that passes only where something sleeps."""
    return VirtualTime()


@pytest.fixture
def sandbox(clock: VirtualTime) -> Iterator[Sandbox]:
    """A platform whose background jobs take six seconds of that time; test files fill it."""
    with Sandbox(clock=clock, job_seconds=6, token_seconds=1e7) as sandbox:
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[Http]:
    """A signed-in session on that platform."""
    with Http(sandbox) as http:
        yield http


@pytest.fixture
def make_harness(tmp_path: Path) -> Iterator[Callable[..., Harness]]:
    """Make an empty platform of these options and a client in virtual time, for whole jobs."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(new_harness(tmp_path, **options))


@pytest.fixture
def harness(make_harness: Callable[..., Harness]) -> Harness:
    """An empty platform and a client in virtual time, for whole jobs."""
    return make_harness()
