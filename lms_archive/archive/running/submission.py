"""What was sent in one call, until it is read back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attrs import frozen

from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment

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
        refusal: why the platform refused the call; None where it did not.
        is_resumed: whether an earlier run sent it.
    """

    chunk: Chunk
    members: Members
    sent_at: datetime
    job_id: str | None = None
    in_doubt: bool = True
    problem: str | None = None
    refusal: str | None = None
    is_resumed: bool = False

    @property
    def is_for_all(self) -> bool:
        """Whether the call named no users, and may have archived others too."""
        return self.chunk.form == "select_all"


def members_of(submissions: Iterable[Submission]) -> list[PlannedEnrollment]:
    """Return the members of these submissions."""
    return [member for submission in submissions for member in submission.members]
