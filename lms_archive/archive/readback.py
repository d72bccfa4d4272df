"""Reading back: the archived list is the truth, whatever a job says of itself.

The identity of an enrollment is its target, its user and its enrollment date. It is archived
when an archived record of that identity exists, archived not before its pre-image was read (by
the platform's clock, with two minutes of grace).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from lms_archive.archive.cutting import PlannedEnrollment, PlannedTarget
from lms_archive.archive.places import Active, Archived, active_pages, archived_pages
from lms_archive.archive.walks import ask, walk
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

__all__ = [
    "GRACE",
    "LAG",
    "Finding",
    "active_now",
    "all_since",
    "is_seen",
    "read_back",
    "records_since",
]

GRACE: Final = timedelta(minutes=2)
LAG: Final = 60.0
"""Seconds for which a record that should be there is looked for again (assumed to be enough)."""


@frozen(kw_only=True)
class Finding:
    """What was read of one enrollment after it was sent.

    Attributes:
        record: its archived record, or None.
        active: the user's active enrollment in the target now, or None.
        others: archived records of the same user since it was sent that are not its own.
        mode: what was asked for.
        before: whether its record is older than the call, so that others may come of the call.
    """

    member: PlannedEnrollment
    mode: ArchiveMode
    record: Archived | None
    active: Active | None
    others: tuple[Archived, ...] = field(default=())
    before: bool = False

    @property
    def still(self) -> bool:
        """Whether the enrollment that was to leave is still active."""
        return self.active is not None and self.active.enrolled_at == self.member.enrolled_at

    @property
    def enrolled_meanwhile(self) -> bool:
        """Whether the user who was to leave is enrolled again: a job still open may take that."""
        unenroll = self.mode is ArchiveMode.UNENROLL
        return unenroll and self.record is not None and self.active is not None and not self.still

    @property
    def settled(self) -> bool:
        """Whether all is as asked, or the pre-image stands: looking again would tell no more."""
        if self.record is None or self.still:
            return self.still and self.record is None
        if self.before and not self.others:
            return False
        return self.mode is ArchiveMode.UNENROLL or self.active is not None

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
        for name in ("level", "score"):
            held = getattr(now, name, None)
            pairs += [(name, getattr(was, name), held)] if held is not None else []
        return more + tuple(
            f"{name}: read as {old}, archived as {new}" for name, old, new in pairs if old != new
        )


def read_back(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    read_at: datetime,
    sent_at: Mapping[int, datetime],
    mode: ArchiveMode,
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
    seen: Mapping[int, list[Archived]] = MappingProxyType({}),
) -> list[Finding]:
    """One reading of both lists for these members: a page of them, or of the list, a call.

    The archived list is read first: what is archived while we read is then missed in it and
    missed in the active list, which tells nothing false and is looked for again. `sent_at` is
    by row; `only` and `left`: see `active_now`. Whose own record is among those `seen` since the
    call is not asked for again.
    """
    records = dict(seen)
    unseen = [one for one in members if not is_seen(one, records, sent_at[one.row])]
    records.update(records_since(client, target, unseen, read_at - GRACE))
    active = active_now(client, target, members, only=only, left=left)
    return [
        _finding(one, records.get(one.user_id, ()), active, sent_at[one.row], mode)
        for one in members
    ]


def _finding(
    member: PlannedEnrollment,
    records: Sequence[Archived],
    active: Mapping[int, Active],
    sent_at: datetime,
    mode: ArchiveMode,
) -> Finding:
    now = active.get(member.user_id)
    if member.enrolled_at is None:
        # Undated: archived only if gone, and exactly one record of the user is new, undated too.
        alone = (now is None or now.enrolled_at is not None) and len(records) == 1
        own = [one for one in records if alone and one.enrollment.enrolled_at is None]
    else:
        own = [one for one in records if one.enrollment.enrolled_at == member.enrolled_at]
    record = own[0] if own else None
    others = tuple(
        one
        for one in records
        if one is not record and one.archiving.archived_at and one.archiving.archived_at >= sent_at
    )
    at = None if record is None else record.archiving.archived_at
    before = at is not None and at < sent_at
    return Finding(
        member=member, mode=mode, record=record, active=now, others=others, before=before
    )


def is_seen(
    member: PlannedEnrollment, records: Mapping[int, Sequence[Archived]], sent_at: datetime
) -> bool:
    """Whether the record of this very enrollment is among them, and no older than the call."""
    return member.enrolled_at is not None and any(
        one.enrollment.enrolled_at == member.enrolled_at
        and one.archiving.archived_at is not None
        and one.archiving.archived_at >= sent_at
        for one in records.get(member.user_id, ())
    )


def all_since(client: Client, target: PlannedTarget, since: datetime) -> dict[int, list[Archived]]:
    """All archived records of a target since then, by user id."""
    found = walk(
        lambda: archived_pages(client, target, archived_from=since),
        lambda record: record.archiving.record_id,
    )
    return _by_user(found.items, since)


def records_since(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment], since: datetime
) -> dict[int, list[Archived]]:
    """The archived records of these users since then, by user id."""
    parts = ask(
        lambda ids: archived_pages(client, target, user_ids=ids, archived_from=since),
        lambda record: record.archiving.record_id,
        lambda record: record.user.user_id,
        [one.user_id for one in members],
        client.limits.page_size,
    )
    return _by_user((record for part in parts for record in part.items), since)


def _by_user(found: Iterable[Archived], since: datetime) -> dict[int, list[Archived]]:
    records: dict[int, list[Archived]] = defaultdict(list)
    for record in found:
        at = record.archiving.archived_at
        if at is not None and at >= since:  # a filter may be ignored
            records[record.user.user_id].append(record)
    return records


def active_now(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
) -> dict[int, Active]:
    """The active enrollments of these users, by user id, whatever their state.

    Args:
        client: the platform.
        target: where to look.
        members: whose enrollments.
        only: where given, a walk filtered by these states may be taken where it is fewer calls;
            an enrollment that changed its state meanwhile is then not seen.
        left: how many enrollments such a walk is expected to find.
    """
    ids, size = [one.user_id for one in members], client.limits.page_size
    if only is not None and ceil(left / size) < ceil(len(ids) / size):
        found = [walk(lambda: active_pages(client, target, status=only), _user)]
    else:
        found = list(
            ask(lambda some: active_pages(client, target, user_ids=some), _user, _user, ids, size)
        )
    return {one.user_id: one for part in found for one in part.items}


def _user(one: Active) -> int:
    return one.user_id
