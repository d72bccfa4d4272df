"""The queue of each target: what is pending, in flight, unverified or unknown."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from attrs import define, evolve, field

from lms_archive.archive.running.submission import Members, Submission
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget

QueuedMember = tuple[PlannedEnrollment, Chunk, Submission | None]
"""A member, its chunk, and its submission where it was sent."""


@define(eq=False)
class TargetQueue:
    """All rows of one target, in the order of the plan.

    Attributes:
        target: the course or learning plan.
        pending: what is to be sent: members of a chunk each.
        in_flight: what the platform may still be working on; one job at most, except where an
            earlier run left several submissions.
        unverified: what has ended and is not read back yet.
        unknown: members whose outcome is unknown, each with its chunk and its submission, if any.
        archived: how many records were read back.
        planned: how many rows the plan sends there.
    """

    target: PlannedTarget
    pending: deque[tuple[Chunk, Members]] = field(factory=deque)
    in_flight: list[Submission] = field(factory=list)
    unverified: list[Submission] = field(factory=list)
    unknown: list[QueuedMember] = field(factory=list)
    archived: int = 0
    planned: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is to be sent, waited for or read back."""
        return not (self.pending or self.in_flight or self.unverified)

    def conflicts_with(self, other: TargetQueue) -> bool:
        """Return whether a job of one may change the other's target: a plan and a course of it."""
        return bool(self.affected & other.affected)

    @property
    def affected(self) -> set[tuple[str, int]]:
        """The targets in which a job of this queue archives."""
        return {self.target.key, *(("course", course) for course in self.target.courses)}

    def pending_rows(self, chunk_id: str) -> set[int]:
        """Return the rows of a chunk that are to be sent."""
        return {
            member.row
            for chunk, members in self.pending
            if chunk.chunk_id == chunk_id
            for member in members
        }

    def take(self, rows: Collection[int]) -> list[QueuedMember]:
        """Remove the members of these rows, wherever they are; return each with where it was."""
        taken: list[QueuedMember] = []
        for submissions in (self.in_flight, self.unverified):
            for index, submission in enumerate(submissions):
                own, rest = _split(submission.members, rows)
                taken += ((member, submission.chunk, submission) for member in own)
                submissions[index] = evolve(submission, members=rest)
            submissions[:] = [submission for submission in submissions if submission.members]
        kept: list[tuple[Chunk, Members]] = []
        while self.pending and len(taken) < len(rows):
            chunk, members = self.pending.popleft()
            own, rest = _split(members, rows)
            taken += ((member, chunk, None) for member in own)
            if rest:
                kept.append((chunk, rest))
        self.pending.extendleft(reversed(kept))
        return taken

    def of_job(self, chunk_id: str, job_id: str | None) -> list[Submission]:
        """Return what is in flight of a chunk and job."""
        return [
            submission
            for submission in self.in_flight
            if (submission.chunk.chunk_id, submission.job_id) == (chunk_id, job_id)
        ]

    def replace(self, old: Submission, **changes: Any) -> None:
        """Change a submission that is in flight."""
        self.in_flight[self.in_flight.index(old)] = evolve(old, **changes)


@define
class OpenQueues:
    """The queues of a run that were reached and are not done, in their order.

    A run may have thousands of queues; each step looks only at these few.
    """

    _rest: Iterator[TargetQueue]
    _reached: list[TargetQueue] = field(factory=list, init=False)

    def reached(self) -> Sequence[TargetQueue]:
        """Return the queues that were reached and are not done."""
        self._reached = [queue for queue in self._reached if not queue.is_done]
        return self._reached

    def __iter__(self) -> Iterator[TargetQueue]:
        """Yield the reached queues, then the next ones, which are reached by that."""
        yield from tuple(self._reached)
        for queue in self._rest:
            self._reached.append(queue)
            yield queue


def _split(members: Members, rows: Collection[int]) -> tuple[Members, Members]:
    """Return the members of these rows, and the others."""
    return (
        tuple(member for member in members if member.row in rows),
        tuple(member for member in members if member.row not in rows),
    )
