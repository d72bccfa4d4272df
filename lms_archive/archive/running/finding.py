"""Combine what both lists say about an enrollment that was sent. Makes no calls.

The identity of an enrollment is its target, its user and its enrollment date. It is archived if an
archived record of that identity exists that is not older than the plan's reading (by the
platform's clock, with two minutes of grace).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen

from lms_archive.archive.target.lists import Active, Archived
from lms_archive.archive.values.chunks import PlannedEnrollment
from lms_archive.records.status import ArchiveMode


@frozen(kw_only=True)
class Finding:
    """What both lists say about one enrollment after it was sent.

    Attributes:
        record: its archived record, or None.
        active: the user's active enrollment in the target now, or None.
        others: archived records of the same user since it was sent that are not its own.
        mode: what was requested.
        is_older: whether its record is older than the call, which may then have made others.
        target_missing: whether the active list of the target is not found any more (404).
    """

    member: PlannedEnrollment
    mode: ArchiveMode
    record: Archived | None
    active: Active | None
    others: tuple[Archived, ...] = ()
    is_older: bool = False
    target_missing: bool = False

    @property
    def still_active(self) -> bool:
        """Whether the planned enrollment is still active."""
        return self.active is not None and self.active.enrolled_at == self.member.enrolled_at

    @property
    def enrolled_meanwhile(self) -> bool:
        """Whether an unenrolled user is enrolled again: an open job may archive that too."""
        is_archived = self.record is not None and self.active is not None and not self.still_active
        return self.mode is ArchiveMode.UNENROLL and is_archived

    @property
    def is_conclusive(self) -> bool:
        """Whether reading again is pointless: all is as requested, or nothing was archived."""
        if self.record is None or self.still_active:
            return self.still_active and self.record is None
        if self.is_older and not self.others:
            return False
        return self.mode is ArchiveMode.UNENROLL or self.active is not None

    @property
    def differences(self) -> tuple[str, ...]:
        """The differences between the archived record and the planned enrollment."""
        surplus = tuple(
            f"also archived: record {other.archiving.record_id}, "
            f"enrolled {other.enrollment.enrolled_at}"
            for other in self.others
        )
        if self.record is None:
            return surplus
        was, now = self.member, self.record.enrollment
        pairs: list[tuple[str, object, object]] = [
            ("status", was.status, now.status),
            ("completed_at", was.completed_at, now.completed_at),
        ]
        # That a record holds these two is assumed: a record without them says nothing.
        for name in ("level", "score"):
            held = getattr(now, name, None)
            pairs += [(name, getattr(was, name), held)] if held is not None else []
        return surplus + tuple(
            f"{name}: read as {old}, archived as {new}" for name, old, new in pairs if old != new
        )


def make_finding(
    member: PlannedEnrollment,
    records: Sequence[Archived],
    active: Mapping[int, Active] | None,
    sent_at: datetime,
    mode: ArchiveMode,
) -> Finding:
    """Combine what both lists hold of a member; `active` is None where the target is missing.

    `records` are those of the user since the plan was read.
    """
    now = None if active is None else active.get(member.user_id)
    is_gone = active is not None and (now is None or now.enrolled_at != member.enrolled_at)
    own = own_records(member, records, gone=is_gone)
    record = own[0] if own else None
    return Finding(
        member=member,
        mode=mode,
        record=record,
        active=now,
        others=tuple(
            other for other in records if other is not record and is_since(other, sent_at)
        ),
        is_older=record is not None and not is_since(record, sent_at),
        target_missing=active is None,
    )


def own_records(
    member: PlannedEnrollment, records: Sequence[Archived], *, gone: bool
) -> Sequence[Archived]:
    """Return the records of exactly this enrollment, among those of its user since the plan.

    An enrollment without a date counts as archived only if it is gone and there is exactly one
    new record, which has no date either.
    """
    if member.enrolled_at is None and not (gone and len(records) == 1):
        return ()
    return [record for record in records if record.enrollment.enrolled_at == member.enrolled_at]


def is_seen(
    member: PlannedEnrollment, records: Mapping[int, Sequence[Archived]], sent_at: datetime
) -> bool:
    """Return whether a record of exactly this enrollment is not older than the call."""
    new = [record for record in records.get(member.user_id, ()) if is_since(record, sent_at)]
    own = [record for record in new if record.enrollment.enrolled_at == member.enrolled_at]
    return bool(own) if member.enrolled_at is not None else len(own) == len(new) == 1


def is_since(record: Archived, moment: datetime) -> bool:
    """Return whether a record was archived then or later."""
    at = record.archiving.archived_at
    return at is not None and at >= moment
