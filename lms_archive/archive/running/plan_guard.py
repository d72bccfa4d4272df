"""Is the learning plan still as it was planned? Its data are frozen into every record (article)."""

from __future__ import annotations

from attrs import define, field

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.planning.estimate import PLAN_CHECK_INTERVAL
from lms_archive.archive.running.queues import Lane
from lms_archive.archive.running.readback import concerns_target
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import ApiError, PlanChangedError

__all__ = ["Watch", "changes_of"]


@define
class Watch:
    """Compares the learning plans of a run with what was planned: two calls a look.

    Attributes:
        client: the platform.
        ledger: where changes are written down, as warnings.
        allowed: whether the job goes on all the same.
    """

    client: Client
    ledger: Ledger
    allowed: bool
    _told: set[str] = field(factory=set)

    def before(self, lane: Lane) -> PlanChangedError | None:
        """A look before a chunk is sent, at most one a minute."""
        now = self.client.session.clock.monotonic()
        if lane.looked_at is not None and now - lane.looked_at < PLAN_CHECK_INTERVAL:
            return None
        lane.looked_at = now
        changes, grown = self._compare(lane)
        if grown:
            return PlanChangedError(
                "courses were added to the learning plan since it was planned, and more would be "
                "archived than the plan says; nothing more was sent. Plan again:",
                seen=changes,
            )
        if not changes or self.allowed:
            return None
        return PlanChangedError(
            "the learning plan was changed since it was planned, and its records would hold the "
            "change; nothing more was sent. allow_changes=True goes on all the same:",
            seen=changes,
        )

    def after(self, lane: Lane) -> None:
        """A look when a plan's rows are read back: what is found now can only be told."""
        if lane.looked_at is None or lane.waiting:
            return
        try:
            self._compare(lane)
        except ApiError as error:
            if not concerns_target(self.client, error):
                raise
            text = f"{lane.target} cannot be compared with what was planned any more: {error}"
            self.ledger.note("warning", text=text)

    def _compare(self, lane: Lane) -> tuple[list[str], bool]:
        """What has changed, and whether courses were added."""
        changes, grown = changes_of(self.client, lane.target)
        for text in changes:
            if text not in self._told:
                self._told.add(text)
                self.ledger.note("warning", text=f"changed while the job ran: {text}")
        return changes, grown


def changes_of(client: Client, target: PlannedTarget) -> tuple[list[str], bool]:
    """How a learning plan differs from the one that was planned, and whether it has grown."""
    if target.kind != "learning_plan":
        return [], False
    plan = client.learning_plans.get(target.target_id)
    courses = tuple(one.course_id for one in client.learning_plans.courses(target.target_id))
    pairs = (
        ("title", target.title, plan.title),
        ("code", target.code, plan.code),
        ("credits", target.credits, plan.credits),
        ("courses", sorted(target.courses), sorted(courses)),
    )
    changes = [f"{target}: {name} was {old}, is {new}" for name, old, new in pairs if old != new]
    return changes, not set(courses) <= set(target.courses)
