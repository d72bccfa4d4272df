"""Lanes: what goes to one target, one after the other; and the few that are looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, field

from lms_archive.archive.running.submission import Sending, is_open
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget

__all__ = ["Front", "Lane", "lanes_of"]


@define(eq=False)
class Lane:
    """All that goes to one target: never two background jobs at once.

    `looked_at` is when a learning plan was last compared with what was planned.
    """

    target: PlannedTarget
    waiting: deque[tuple[Chunk, tuple[PlannedEnrollment, ...]]] = field(factory=deque)
    open: Sending | None = None
    ended: list[Sending] = field(factory=list)
    archived: int = 0
    looked_at: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is to be sent, waited for or read back."""
        return not (self.waiting or self.open or self.ended)

    def meets(self, other: Lane) -> bool:
        """Whether one job's work could be in the other's target: a plan and a course of it."""
        mine, theirs = ({("course", one) for one in lane.target.courses} for lane in (self, other))
        mine.add(self.target.key)
        theirs.add(other.target.key)
        return bool(mine & theirs)


@define
class Front:
    """The lanes of a run in their order, as far as they were reached and are not done.

    There may be thousands of lanes, and each step looks only at these few.
    """

    _rest: Iterator[Lane]
    _reached: list[Lane] = field(factory=list, init=False)

    def reached(self) -> Sequence[Lane]:
        """Those where something is going on, or has to wait for a job elsewhere."""
        self._reached = [one for one in self._reached if not one.is_done]
        return self._reached

    def __iter__(self) -> Iterator[Lane]:
        """These, and then, for as long as asked, the next ones, which are reached with that."""
        yield from tuple(self._reached)
        for lane in self._rest:
            self._reached.append(lane)
            yield lane


def lanes_of(
    chunks: Iterable[Chunk], kinds: Mapping[int, str], under_way: Iterable[Sending]
) -> dict[tuple[str, int], Lane]:
    """A lane for each target, with the members that are still to be sent, in the plan's order.

    What is unknown and was not sent, because its target could not be read, is tried again.
    """
    taken = {one.row for sending in under_way for one in sending.members}
    lanes: dict[tuple[str, int], Lane] = {}
    for chunk in chunks:
        lane = lanes.setdefault(chunk.target.key, Lane(chunk.target))
        members = tuple(m for m in chunk.members if is_open(kinds, m.row) and m.row not in taken)
        if members:
            lane.waiting.append((chunk, members))
    return lanes
