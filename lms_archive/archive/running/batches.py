"""What goes into the next call: the next members of a lane that are still as planned."""

from __future__ import annotations

from attrs import evolve, frozen

from lms_archive.archive.planning.select_all import is_everything
from lms_archive.archive.running.queues import Lane
from lms_archive.archive.running.readback import active_now
from lms_archive.archive.running.reconcile import Accounting
from lms_archive.archive.running.verdict import change
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode

__all__ = ["Preparing"]

Members = tuple[PlannedEnrollment, ...]


@frozen
class Preparing:
    """Takes members from a lane, and drops those that are not as they were read.

    For archive and unenroll a reading of `Limits.freshness` seconds is good enough. For archive
    and re-enroll, members are always read again right before they are sent.

    Attributes:
        client: the platform.
        books: where a row that is dropped is accounted for.
        terms: what is done with each row.
        fresh: whether the reading that the plan was made of may be used while it is young.
    """

    client: Client
    books: Accounting
    terms: Terms
    fresh: bool

    def next(self, lane: Lane, count: int | None) -> tuple[Chunk, Members]:
        """Take from the lane what goes into the next call, at most `count` members of a chunk.

        They stay in the lane until they are known to be as planned: where a call fails, nothing
        is lost.
        """
        chunk, members = lane.waiting[0]
        if chunk.form == "select_all":
            by_name = count is not None or len(members) == 1
            if not by_name and is_everything(self.client, chunk.target, members):
                return lane.waiting.popleft()
            picked = evolve(chunk, form="hand_picked")
            size = count or self.client.limits.hand_picked
            self._split(lane, picked, size, rest=chunk if count else picked)
        if self._must_read(chunk):
            self._drop_changed(lane)
        if count is not None:
            self._split(lane, lane.waiting[0][0], count)
        return lane.waiting.popleft()

    def _split(self, lane: Lane, chunk: Chunk, size: int, *, rest: Chunk | None = None) -> None:
        """Let the lane's next members be at most so many; the others come after them."""
        _, members = lane.waiting[0]
        lane.waiting[0] = chunk, members[:size]
        if members[size:]:
            lane.waiting.insert(1, (rest or chunk, members[size:]))

    def _must_read(self, chunk: Chunk) -> bool:
        """Whether the members have to be read again before they are sent."""
        if self.terms.mode is ArchiveMode.RE_ENROLL:
            return True
        age = None
        if self.fresh:
            age = (self.client.session.platform_time() - chunk.read_at).total_seconds()
        return not is_fresh(age, self.client.limits.freshness)

    def _drop_changed(self, lane: Lane) -> None:
        """Read the lane's next members again, and drop those that are not as they were planned.

        What is dropped is looked up; in re-enroll, those that stay are then read once more,
        because that reading has to be the last call before the write.
        """
        while True:
            chunk, members = lane.waiting[0]
            active = active_now(self.client, chunk.target, members) if members else {}
            compared = [(one, change(one, active.get(one.user_id))) for one in members]
            changes = [(one, changed) for one, changed in compared if changed is not None]
            if not changes:
                return
            self.books.drop(chunk, changes, active)
            stay = tuple(one for one, changed in compared if changed is None)
            lane.waiting[0] = chunk, stay
            if self.terms.mode is ArchiveMode.UNENROLL:
                return


def is_fresh(age: float | None, freshness: float) -> bool:
    """Whether a reading of that age (seconds; None: there was none) is good enough."""
    return age is not None and 0 <= age <= freshness
