"""What was sent in one call, until it is read back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attrs import field, frozen

from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment
from lms_archive.archive.values.events import Refused

_NOT_FOUND = 404

Members = tuple[PlannedEnrollment, ...]


@frozen(eq=False)
class Submission:
    """Members of a chunk that were sent in one call, until they are read back.

    Attributes:
        chunk: their chunk, in the form in which it was sent.
        members: the enrollments.
        sent_at: the platform's time (UTC) right before the call.
        job_id: the background job that does the work, where one was named.
        in_doubt: whether the answer was lost.
        problem: why it is not known whether its job has ended; None where it has.
        refusal: the event that the platform refused the call; None where it did not.
        is_resumed: whether an earlier run sent it.
        is_alone: whether it was sent before the first chunk was proven: then nobody else may have
            been archived.
        is_begun: whether an outcome has shown already that the call archived a member.
        count: how many members were sent.
    """

    chunk: Chunk
    members: Members
    sent_at: datetime
    job_id: str | None = None
    in_doubt: bool = True
    problem: str | None = None
    refusal: Refused | None = None
    is_resumed: bool = False
    is_alone: bool = False
    is_begun: bool = False
    count: int = field()

    @count.default
    def _count(self) -> int:
        return len(self.members)

    @property
    def is_for_all(self) -> bool:
        """Whether the call named no users, and may have archived others too."""
        return self.chunk.form == "select_all"

    @property
    def is_refused_as_missing(self) -> bool:
        """Whether the platform has not found what the call named (404)."""
        return self.refusal is not None and self.refusal.status == _NOT_FOUND

    @property
    def is_watched(self) -> bool:
        """Whether the archived list is read for all users, because others may be in it too."""
        return self.is_for_all or self.is_alone


def members_of(submissions: Iterable[Submission]) -> list[PlannedEnrollment]:
    """Return the members of these submissions."""
    return [member for submission in submissions for member in submission.members]
