"""Compare a learning plan with the planned one: every archived record keeps the plan's data."""

from __future__ import annotations

from attrs import define, field

from lms_archive.archive.planning.forms import PLAN_CHECK_INTERVAL
from lms_archive.archive.running.failures import concerns_target
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.state import Recorder
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.archive.values.events import Warned
from lms_archive.client import Client
from lms_archive.errors import ApiError, PlanChangedError


@define
class LearningPlanGuard:
    """Compares the learning plans of a run with the planned ones; each check makes two calls.

    Attributes:
        client: the platform.
        record: writes events: changes are warnings.
        allow_changes: whether the job continues in spite of changes.
    """

    client: Client
    record: Recorder
    allow_changes: bool
    _checked_at: dict[tuple[str, int], float] = field(factory=dict)
    _warned: set[str] = field(factory=set)

    def check(self, queue: TargetQueue) -> None:
        """Check the plan before a chunk is sent, at most once a minute.

        Raises:
            PlanChangedError: the plan has changed, or has more courses, which `allow_changes`
                does not cover.
        """
        target, now = queue.target, self.client.session.clock.monotonic()
        checked_at = self._checked_at.get(target.key)
        if checked_at is not None and now - checked_at < PLAN_CHECK_INTERVAL:
            return
        self._checked_at[target.key] = now
        changes, has_grown = self._compare(target)
        if has_grown:
            raise PlanChangedError(
                "courses were added to the learning plan since it was planned, and more would be "
                "archived than was planned; nothing more was sent. Plan again:",
                seen=changes,
            )
        if changes and not self.allow_changes:
            raise PlanChangedError(
                "the learning plan was changed since it was planned, and archived records would "
                "contain the change; nothing more was sent. allow_changes=True continues anyway:",
                seen=changes,
            )

    def warn(self, queue: TargetQueue) -> None:
        """Check the plan when all of its rows are read back: a change is only a warning then."""
        if queue.target.key not in self._checked_at or queue.pending:
            return
        try:
            self._compare(queue.target)
        except ApiError as error:
            if not concerns_target(self.client, error):
                raise
            text = f"{queue.target} cannot be compared with what was planned any more: {error}"
            self.record(Warned(text))

    def _compare(self, target: PlannedTarget) -> tuple[list[str], bool]:
        """Return what has changed, and whether courses were added; each change is a warning."""
        changes, has_grown = changes_of(self.client, target)
        new = [change for change in changes if change not in self._warned]
        self._warned.update(new)
        self.record(*(Warned(f"changed while the job ran: {change}") for change in new))
        return changes, has_grown


def changes_of(client: Client, target: PlannedTarget) -> tuple[list[str], bool]:
    """Return how a learning plan differs from the planned one, and whether it has more courses."""
    if target.kind != "learning_plan":
        return [], False
    plan = client.learning_plans.get(target.target_id)
    courses = {course.course_id for course in client.learning_plans.courses(target.target_id)}
    pairs = (
        ("title", target.title, plan.title),
        ("code", target.code, plan.code),
        ("credits", target.credits, plan.credits),
        ("courses", sorted(target.courses), sorted(courses)),
    )
    changes = [f"{target}: {name} was {old}, is {new}" for name, old, new in pairs if old != new]
    return changes, not courses <= set(target.courses)
