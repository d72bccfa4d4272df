"""Reading back: the archived list is the truth, whatever a job says of itself.

The identity of an enrollment is its target, its user and its enrollment date. It is archived
when an archived record of that identity exists, archived not before its pre-image was read (by
the platform's clock, with two minutes of grace).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from attrs import field, frozen

from lms_archive.archive.cutting import PlannedTarget, PreImage
from lms_archive.archive.walks import walk
from lms_archive.client import Client
from lms_archive.records.active import CourseEnrollment
from lms_archive.records.archived import ArchivedCourseEnrollment
from lms_archive.records.status import EnrollmentStatus

__all__ = ["GRACE", "LAG", "Finding", "active_now", "find"]

GRACE: Final = timedelta(minutes=2)
LAG: Final = 60.0
"""Seconds for which a record that should be there is looked for again (assumed to be enough)."""
_IDS = 200


@frozen(kw_only=True)
class Finding:
    """What was read of one enrollment after it was sent.

    Attributes:
        record: its archived record, or None.
        active: the user's active enrollment in the target now, or None.
        others: archived records of the same user since it was sent that are not its own.
    """

    member: PreImage
    record: ArchivedCourseEnrollment | None
    active: CourseEnrollment | None
    others: tuple[ArchivedCourseEnrollment, ...] = field(default=())

    @property
    def still(self) -> bool:
        """Whether the enrollment that was to leave is still active."""
        return self.active is not None and self.active.enrolled_at == self.member.enrolled_at

    @property
    def settled(self) -> bool:
        """Whether a record tells, or the pre-image stands: looking again would tell no more."""
        return (self.record is not None) != self.still

    @property
    def differences(self) -> tuple[str, ...]:
        """Where what was archived disagrees with the pre-image."""
        records = ((one.archiving.record_id, one.enrollment.enrolled_at) for one in self.others)
        more = tuple(f"also archived: record {number}, enrolled {at}" for number, at in records)
        if self.record is None:
            return more
        was, now = self.member, self.record.enrollment
        pairs: list[tuple[str, object, object]] = [
            ("status", was.status, now.status),
            ("completed_at", was.completed_at, now.completed_at),
        ]
        # That a record holds these two is assumed: one without them tells nothing.
        pairs += [("level", was.level, now.level)] if now.level is not None else []
        pairs += [("score", was.score, now.score)] if now.score is not None else []
        return more + tuple(
            f"{name}: read as {old}, archived as {new}" for name, old, new in pairs if old != new
        )


def find(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PreImage],
    *,
    read_at: datetime,
    sent_at: Mapping[int, datetime],
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
) -> list[Finding]:
    """One reading of both lists for these members: 200 of them, or a page, a call.

    The archived list is read first: what is archived while we read is then missed in it and
    missed in the active list, which tells nothing false and is looked for again. `sent_at` is
    by row; `only` and `left`: see `active_now`.
    """
    records = _records(client, target, members, read_at - GRACE)
    active = active_now(client, target, members, only=only, left=left)
    return [
        _finding(one, records.get(one.user_id, ()), active, sent_at[one.row]) for one in members
    ]


def _finding(
    member: PreImage,
    records: Sequence[ArchivedCourseEnrollment],
    active: Mapping[int, CourseEnrollment],
    sent_at: datetime,
) -> Finding:
    now = active.get(member.user_id)
    if member.enrolled_at is None:
        # Undated: archived only if gone, and exactly one record of the user is new.
        own = list(records) if now is None and len(records) == 1 else []
    else:
        own = [one for one in records if one.enrollment.enrolled_at == member.enrolled_at]
    record = own[0] if own else None
    others = tuple(
        one
        for one in records
        if one is not record and one.archiving.archived_at and one.archiving.archived_at >= sent_at
    )
    return Finding(member=member, record=record, active=now, others=others)


def _records(
    client: Client, target: PlannedTarget, members: Sequence[PreImage], since: datetime
) -> dict[int, list[ArchivedCourseEnrollment]]:
    few = [one.user_id for one in members] if len(members) <= _IDS else None
    found = walk(
        lambda: client.archived.pages_in_course(
            target.target_id, user_ids=few, archived_from=since
        ),
        lambda record: record.archiving.record_id,
    )
    records: dict[int, list[ArchivedCourseEnrollment]] = defaultdict(list)
    for record in found.items:
        at = record.archiving.archived_at
        if at is not None and at >= since and record.course.course_id == target.target_id:
            records[record.user.user_id].append(record)
    return records


def active_now(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PreImage],
    *,
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
) -> dict[int, CourseEnrollment]:
    """The active enrollments of these users, by user id, whatever their state.

    Args:
        client: the platform.
        target: where to look.
        members: whose enrollments.
        only: where given, a walk filtered by these states may be taken where it is fewer calls;
            an enrollment that changed its state meanwhile is then not seen.
        left: how many enrollments such a walk is expected to find.
    """
    if only is not None and ceil(left / _IDS) < ceil(len(members) / _IDS):
        found = walk(
            lambda: client.enrollments.pages_in_course(target.target_id, status=only),
            lambda one: one.user_id,
        )
        return {one.user_id: one for one in found.items}
    return {one.user_id: one for ids in _slices(members) for one in _by_ids(client, target, ids)}


def _by_ids(
    client: Client, target: PlannedTarget, user_ids: Sequence[int]
) -> list[CourseEnrollment]:
    wanted = set(user_ids)
    found = walk(
        lambda: client.enrollments.pages_in_course(target.target_id, user_ids=user_ids),
        lambda one: one.user_id,
    )
    return [one for one in found.items if one.user_id in wanted]


def _slices(members: Sequence[PreImage]) -> Iterator[list[int]]:
    for start in range(0, len(members), _IDS):
        yield [one.user_id for one in members[start : start + _IDS]]
