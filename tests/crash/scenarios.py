"""What is archived in the crash test: who, where, on what terms, and how the platform behaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from virtual_time import ENROLLED_AT

from lms_archive.sandbox import Sandbox

BYSTANDER = 1999
"""Enrolled everywhere, asked for nowhere."""
DAY = 86_400.0

Key = tuple[str, int, int]
"""An enrollment: the column of its target, the target, the user."""


@dataclass(frozen=True)
class Scenario:
    """One job. Users are numbered from 1001.

    Attributes:
        name: as it is printed.
        mode: the job's.
        courses: how many users of which course are asked for.
        plans: how many users of which learning plan are asked for.
        held: the courses of each plan.
        job_seconds: how long a background job takes.
        rest: seconds from each death to the next life.
        faults: what goes wrong on the platform besides.
        deaths: how often a process dies before one lives to the end.
        disk: instead of being killed, it finds the disk full; tried every so many bytes.
    """

    name: str
    mode: str = "unenroll"
    courses: Mapping[int, int] = field(default_factory=dict)
    plans: Mapping[int, int] = field(default_factory=dict)
    held: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    job_seconds: float = 3.0
    rest: float = 0.0
    faults: tuple[Mapping[str, Any], ...] = ()
    deaths: int = 1
    disk: int = 0

    @property
    def rows(self) -> list[dict[str, int]]:
        """The rows asked for."""
        return [
            {column: target, "user_id": 1001 + number}
            for column, sizes in (("learning_plan_id", self.plans), ("course_id", self.courses))
            for target, size in sizes.items()
            for number in range(size)
        ]

    @property
    def terms(self) -> dict[str, Any]:
        """The terms of the job."""
        return {"mode": self.mode, "reset_tracking": False}

    @property
    def due(self) -> set[Key]:
        """Every enrollment that is to be archived, those that a plan archives too."""
        found: set[Key] = {(*target, row["user_id"]) for row in self.rows for target in _of(row)}
        with_plan = {
            ("course_id", course, user)
            for column, target, user in found
            if column == "learning_plan_id"
            for course in self.held[target]
        }
        return found | with_plan

    @property
    def enrolled(self) -> set[Key]:
        """Every enrollment that there is at the beginning."""
        return self.due | {(column, target, BYSTANDER) for column, target, _ in self.due}

    def load(self, sandbox: Sandbox) -> None:
        """Make the platform as it is before the job."""
        users = sorted({user for _, _, user in self.enrolled})
        courses = sorted({target for column, target, _ in self.enrolled if column == "course_id"})
        kinds: dict[str, list[dict[str, Any]]] = {"course_id": [], "learning_plan_id": []}
        for column, target, user in sorted(self.enrolled):
            named = "id_course" if column == "course_id" else column
            kinds[column].append({named: target, "user_id": user, **_COMPLETED})
        sandbox.load(
            users=[{"user_id": user, "username": f"u{user}"} for user in users],
            courses=[{"id_course": course, "code": f"C{course}"} for course in courses],
            learning_plans=[
                {"learning_plan_id": plan, "code": f"P{plan}", "courses": list(held)}
                for plan, held in self.held.items()
            ],
            enrollments=kinds["course_id"],
            learning_plan_enrollments=kinds["learning_plan_id"],
        )
        for fault in self.faults:
            sandbox.faults.add(**fault)


_COMPLETED = {
    "enrollment_status": "completed",
    "enrollment_created_at": ENROLLED_AT,
    "enrollment_completion_date": "2025-02-03 04:05:06",
}


def _of(row: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(column, target) for column, target in row.items() if column != "user_id"]


_COURSES: dict[str, Any] = {"courses": {1: 5, 2: 4}}
_PLAN: dict[str, Any] = {"plans": {50: 4}, "held": {50: (1, 2)}}
_MIXED: dict[str, Any] = {**_PLAN, "courses": {7: 3}}
_LOST = ({"kind": "cut_after", "method": "PUT", "after": 2},)
_LATE = ({"kind": "job_late", "seconds": 40, "times": 9},)

SCENARIOS = (
    Scenario("courses, unenroll", "unenroll", **_COURSES),
    Scenario("courses, re-enroll", "re-enroll", **_COURSES),
    Scenario("courses, unenroll, jobs of 10 min", "unenroll", **_COURSES, job_seconds=600),
    Scenario("courses, re-enroll, jobs of 10 min", "re-enroll", **_COURSES, job_seconds=600),
    Scenario("plan and its courses, unenroll", "unenroll", **_PLAN),
    Scenario("plan and its courses, re-enroll", "re-enroll", **_PLAN, job_seconds=120),
    Scenario("plan and a course, unenroll, after 20 days", "unenroll", **_MIXED, rest=20 * DAY),
    Scenario("plan and a course, re-enroll, after 20 days", "re-enroll", **_MIXED, rest=20 * DAY),
    Scenario("an answer lost, unenroll", "unenroll", **_COURSES, faults=_LOST),
    Scenario("an answer lost, re-enroll", "re-enroll", **_COURSES, faults=_LOST),
    Scenario("jobs listed 40 s late, re-enroll", "re-enroll", **_COURSES, faults=_LATE),
    Scenario("killed twice, unenroll", "unenroll", courses={1: 3}, deaths=2),
    Scenario("killed twice, re-enroll", "re-enroll", courses={1: 3}, job_seconds=90, deaths=2),
    Scenario("killed twice, plan", "re-enroll", plans={50: 2}, held={50: (1,)}, deaths=2),
    Scenario("disk full at every 4 KiB, unenroll", "unenroll", **_COURSES, disk=4096),
    Scenario("disk full at every 4 KiB, re-enroll", "re-enroll", **_COURSES, disk=4096),
)
