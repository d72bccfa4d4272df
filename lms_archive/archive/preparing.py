"""What goes into the next call: the next members of a lane that are still as planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from lms_archive.archive.accounting import Accounting
from lms_archive.archive.cutting import Chunk, PlannedEnrollment
from lms_archive.archive.lanes import Lane
from lms_archive.archive.readback import active_now
from lms_archive.archive.select_all import is_everything
from lms_archive.archive.terms import Terms
from lms_archive.archive.verdict import change
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
        fresh: by target, when its pre-images were read, by the client's clock.
    """

    client: Client
    books: Accounting
    terms: Terms
    fresh: Mapping[tuple[str, int], float]

    def next(self, lane: Lane, count: int | None) -> tuple[Chunk, Members]:
        """A chunk of the lane and what of it goes into the next call, at most `count`."""
        chunk, members = lane.waiting.popleft()
        if chunk.form == "select_all":
            chunk, members = self._all_or_picked(lane, chunk, members, count)
        if chunk.form == "hand_picked":
            members = self._as_planned(chunk, members)
        if count is not None and len(members) > count:
            lane.waiting.appendleft((chunk, members[count:]))
            members = members[:count]
        return chunk, members

    def _all_or_picked(
        self, lane: Lane, chunk: Chunk, members: Members, count: int | None
    ) -> tuple[Chunk, Members]:
        """A select-all chunk where it still is everything; else its next hand-picked part."""
        if count is None and is_everything(self.client, chunk.target, members):
            return chunk, members
        picked = evolve(chunk, form="hand_picked")
        if count is not None:
            if members[count:]:
                lane.waiting.appendleft((chunk, members[count:]))
            return picked, members[:count]
        size = self.client.limits.hand_picked
        parts = [members[start : start + size] for start in range(0, len(members), size)]
        lane.waiting.extendleft((picked, part) for part in reversed(parts[1:]))
        return picked, parts[0]

    def _as_planned(self, chunk: Chunk, members: Members) -> Members:
        read = self.fresh.get(chunk.target.key)
        age = None if read is None else self.client.wire.clock.monotonic() - read
        fresh = age is not None and 0 <= age <= self.client.limits.freshness
        if fresh and self.terms.mode is ArchiveMode.UNENROLL:
            return members
        gone = self._changes(chunk, members)
        self.books.drop(gone)
        dropped = {one.row for one, _ in gone}
        return tuple(one for one in members if one.row not in dropped)

    def _changes(
        self, chunk: Chunk, members: Sequence[PlannedEnrollment]
    ) -> list[tuple[PlannedEnrollment, str]]:
        active = active_now(self.client, chunk.target, members)
        found = [(one, change(one, active.get(one.user_id))) for one in members]
        return [(one, why) for one, why in found if why is not None]
