"""Choose what the next call sends: members of a chunk that are still as they were planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import dropwhile
from math import ceil

from attrs import evolve, field, frozen

from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder
from lms_archive.archive.running.submission import Members
from lms_archive.archive.running.verdict import change
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import Active, TargetLists
from lms_archive.archive.target.many import read_active_together
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.events import HandPicked
from lms_archive.client import Client
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.status import ArchiveMode


@frozen
class _Prefetched:
    """The active enrollments of some users of a small target, read together with others.

    Attributes:
        read_at: when reading began, by the client's clock.
        user_ids: whose enrollments were requested: it says nothing about anyone else.
        active: those that were found, by user id.
    """

    read_at: float
    user_ids: frozenset[int]
    active: Mapping[int, Active]


@frozen
class Batches:
    """Chooses what is sent next to a target, and decides members that are not as planned.

    For archive and unenroll a reading of `Limits.freshness` seconds is good enough. For archive
    and re-enroll, members are always read again right before they are sent.

    Attributes:
        client: the platform.
        record: writes events.
        reconciler: finds the outcome of members that have changed.
        terms: what is done with each row.
        may_use_reading: whether the plan's reading may be used while it is recent enough.
    """

    client: Client
    record: Recorder
    reconciler: Reconciler
    terms: Terms
    may_use_reading: bool
    _prefetched: dict[tuple[str, int], _Prefetched] = field(factory=dict, init=False, repr=False)

    def next(self, queue: TargetQueue, count: int | None = None) -> tuple[Chunk, Members]:
        """Return a chunk in the form in which it is sent, and its members that are sent now.

        There may be none left. They stay pending until they are sent, so where a call fails,
        nothing is lost.

        Args:
            queue: where something is pending.
            count: how many are sent at most; a select-all chunk is then sent by user.
        """
        chunk, members = queue.pending[0]
        if chunk.form == "select_all":
            if count is None and len(members) > 1:
                self._wait_for_room(members)
                if is_everything(self.client, chunk.target, members):
                    return chunk, members
                self.record(HandPicked(chunk.chunk_id))
            chunk = evolve(chunk, form="hand_picked")
            members = members[:count]
        members = members[: self.client.limits.hand_picked]
        waited = self._wait_for_room(members)
        if self._must_read(chunk, waited):
            members = self._unchanged(queue, chunk, members)
        return chunk, members[:count]

    def _wait_for_room(self, members: Members) -> float:
        """Wait for the throttle before a reading, not between it and the write that follows."""
        pages = ceil(len(members) / self.client.limits.page_size)
        return self.client.session.wait_for_room(pages + 2)  # a token, and the write

    def are_as_planned(self, chunk: Chunk, members: Members, waited: float) -> bool:
        """Return whether members are still as planned, after their write has waited so long.

        They are read again, except where the plan's reading is still recent enough.
        """
        if chunk.form == "select_all":
            return is_everything(self.client, chunk.target, members)
        if not self._must_read(chunk, waited):
            return True
        users = [member.user_id for member in members]
        active = TargetLists(self.client, chunk.target).active_by_user(users)
        return all(change(member, active.get(member.user_id)) is None for member in members)

    def _must_read(self, chunk: Chunk, waited: float) -> bool:
        """Return whether the members have to be read again, after a wait without any call."""
        if self.terms.mode is ArchiveMode.RE_ENROLL:
            return True
        age = None
        if self.may_use_reading:
            read = self.client.session.platform_time() - chunk.read_at
            age = read.total_seconds() + waited
        return not is_fresh(age, self.client.limits.freshness)

    def _unchanged(self, queue: TargetQueue, chunk: Chunk, members: Members) -> Members:
        """Read members again; decide those that are not as they were planned, return the others.

        In re-enroll the others are then read once more, because that reading has to be the last
        call before the write.
        """
        while members:
            self._wait_for_room(members)  # no wait where there is room already
            active = self._active(queue, members)
            compared = [(member, change(member, active.get(member.user_id))) for member in members]
            changes = [(member, changed) for member, changed in compared if changed is not None]
            if not changes:
                break
            self.reconciler.decide_changed(chunk, changes, active)
            members = tuple(member for member, changed in compared if changed is None)
            if self.terms.mode is ArchiveMode.UNENROLL:
                break
        return members

    def _active(self, queue: TargetQueue, members: Members) -> Mapping[int, Active]:
        """Read the active enrollments of these members; for unenroll, small targets together."""
        target = queue.target
        if self.terms.mode is ArchiveMode.UNENROLL:
            if not self._is_prefetched(queue, members):
                self._prefetched.pop(target.key, None)
                self._prefetch(queue)
            # It is not kept: there may be thousands.
            prefetched = self._prefetched.pop(target.key, None)
            if prefetched is not None and prefetched.active:
                return prefetched.active
        # Where nothing at all was found, only the target's own list says whether it is there.
        return TargetLists(self.client, target).active_by_user(
            [member.user_id for member in members]
        )

    def _is_prefetched(self, queue: TargetQueue, members: Members) -> bool:
        """Return whether these members were read together with others, not too long ago."""
        prefetched = self._prefetched.get(queue.target.key)
        if prefetched is None or not prefetched.user_ids.issuperset(
            member.user_id for member in members
        ):
            return False
        age = self.client.session.clock.monotonic() - prefetched.read_at
        return is_fresh(age, self.client.limits.freshness)

    def _prefetch(self, queue: TargetQueue) -> None:
        """Read this target, and the small ones that are sent after it, in one reading."""
        wanted: dict[PlannedTarget, list[int]] = {}
        left = self.client.limits.page_size
        queues = self.record.state.queues.values()
        for other in dropwhile(lambda candidate: candidate is not queue, queues):
            is_small = len(other.pending) == 1 and other.pending[0][0].form == "hand_picked"
            if not is_small or self._is_prefetched(other, other.pending[0][1]):
                continue
            users = [member.user_id for member in other.pending[0][1]]
            left -= len(users)
            if left < 0:
                break
            wanted[other.target] = users
        read_at = self.client.session.clock.monotonic()
        if queue.target in wanted:
            user_ids = {target.key: frozenset(users) for target, users in wanted.items()}
            read = read_active_together(self.client, wanted)
            self._prefetched.update(
                (key, _Prefetched(read_at, user_ids[key], active)) for key, active in read.items()
            )


def is_fresh(age: float | None, freshness: float) -> bool:
    """Return whether a reading of that age (in seconds; None: never read) is recent enough."""
    return age is not None and 0 <= age <= freshness


def is_everything(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment]
) -> bool:
    """Return whether the active enrollments of the target are exactly these, as they were planned.

    Only then is a select-all call safe. Return False if the list changes while it is read.
    """
    try:
        listed = TargetLists(client, target).active()
    except UnexpectedResponseError:
        return False
    return not listed.unreadable and set(map(_image, listed.items)) == set(map(_image, members))


def _image(enrollment: Active | PlannedEnrollment) -> tuple[object, ...]:
    return enrollment.user_id, enrollment.enrolled_at, enrollment.status, enrollment.level
