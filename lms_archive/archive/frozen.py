"""Is the learning plan still as it was planned? Its data are frozen into every record (article)."""

from __future__ import annotations

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.client import Client

__all__ = ["EVERY", "changes_of"]

EVERY = 60.0
"""Seconds between two looks at one plan while its chunks are sent."""


def changes_of(client: Client, target: PlannedTarget) -> list[str]:
    """How a learning plan differs from the one that was planned: two calls; [] for a course."""
    if target.kind != "learning_plan":
        return []
    plan = client.learning_plans.get(target.target_id)
    courses = tuple(one.course_id for one in client.learning_plans.courses(target.target_id))
    pairs = (
        ("title", target.title, plan.title),
        ("code", target.code, plan.code),
        ("credits", target.credits, plan.credits),
        ("courses", sorted(target.courses), sorted(courses)),
    )
    return [f"{target}: {name} was {old}, is {new}" for name, old, new in pairs if old != new]
