"""Split the planned enrollments of a target into chunks: the same rows make the same chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from attrs import field, frozen

from lms_archive.archive.selection import Form, TargetKind
from lms_archive.archive.selection.terms import Terms
from lms_archive.records.status import EnrollmentLevel, EnrollmentStatus

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNIT = timedelta(microseconds=1)


@frozen(kw_only=True)
class PlannedTarget:
    """A course or learning plan as it was read from the platform.

    `courses` and `credits` are those of a learning plan; `listed` is how many enrollments the
    target had when it was read.
    """

    kind: TargetKind
    target_id: int
    code: str | None = None
    title: str | None = None
    courses: tuple[int, ...] = ()
    credits: float | None = None
    listed: int = field(default=0, eq=False)

    @property
    def key(self) -> tuple[str, int]:
        """The kind and id, which identify the target."""
        return self.kind, self.target_id

    def __str__(self) -> str:
        return self.code or f"{self.kind.replace('_', ' ')} {self.target_id}"


@frozen(kw_only=True)
class PlannedEnrollment:
    """An active enrollment as it was read before anything was sent. Times are UTC.

    With its target, `user_id` and `enrolled_at` are the enrollment's identity.
    """

    row: int
    user_id: int
    username: str | None
    enrolled_at: datetime | None
    status: EnrollmentStatus | str | None
    level: EnrollmentLevel | str | None
    completed_at: datetime | None = None
    score: float | None = None
    time_spent: int | None = None


@frozen(kw_only=True)
class Chunk:
    """Enrollments of one target that go into one call.

    Attributes:
        chunk_id: the hash of its content: the same rows make the same chunk.
        target: the course or learning plan.
        members: the planned enrollments, in input order.
        read_at: the platform's time (UTC) when the reading of the enrollments began.
        form: `"select_all"` where the call names no users, but takes all of the target.
    """

    chunk_id: str
    target: PlannedTarget
    members: tuple[PlannedEnrollment, ...] = field(repr=False)
    read_at: datetime
    form: Form = "hand_picked"

    def __len__(self) -> int:
        return len(self.members)


def split_into_chunks(
    target: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    size: int,
    terms: Terms,
    read_at: datetime,
    form: Form = "hand_picked",
) -> Iterator[Chunk]:
    """Cut the rows of one target into chunks of at most *size*, in their order."""
    for start in range(0, len(members), size):
        own_members = tuple(members[start : start + size])
        yield Chunk(
            chunk_id=_chunk_id(target, own_members, terms, form),
            target=target,
            members=own_members,
            read_at=read_at,
            form=form,
        )


def _chunk_id(
    target: PlannedTarget, members: Iterable[PlannedEnrollment], terms: Terms, form: Form
) -> str:
    content: list[list[object]] = [
        [str(terms.mode), terms.reset_tracking, *target.key],
        [[m.user_id, m.enrolled_at and (m.enrolled_at - EPOCH) // _UNIT] for m in members],
    ]
    if form != "hand_picked":
        content.append([form])
    text = json.dumps(content, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
