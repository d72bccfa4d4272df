"""Read back what was sent: the archived list is the truth, whatever a job reports.

The identity of an enrollment is its target, its user and its enrollment date. It is archived if an
archived record of that identity exists that is not older than the plan's reading (by the
platform's clock, with two minutes of grace).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from lms_archive.archive.running.queues import Submission, TargetQueue
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import GRACE, LAG, Active, Archived, TargetLists
from lms_archive.archive.target.many import read_active as read_active_of_many
from lms_archive.archive.values.chunks import PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    ConnectionSettingsError,
    NotFoundError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
)
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

__all__ = [
    "Finding",
    "Look",
    "active_or_missing",
    "check_platform",
    "concerns_target",
    "is_missing",
    "is_seen",
    "look_together",
    "make_finding",
    "own_records",
    "read_active",
    "read_archived",
    "read_findings",
    "wanted_of",
]

_NO_SUCH_METHOD = 405
_OF_THE_JOB = (
    AuthenticationError,
    ConnectionSettingsError,
    PermissionDeniedError,
    RateLimitError,
    PlatformUnavailableError,
)


@frozen(kw_only=True)
class Finding:
    """What both lists say about one enrollment after it was sent.

    Attributes:
        record: its archived record, or None.
        active: the user's active enrollment in the target now, or None.
        others: archived records of the same user since it was sent that are not its own.
        mode: what was asked for.
        before: whether its record is older than the call, which may then have made others.
        target_missing: whether the active list of the target is not found any more (404).
    """

    member: PlannedEnrollment
    mode: ArchiveMode
    record: Archived | None
    active: Active | None
    others: tuple[Archived, ...] = field(default=())
    before: bool = False
    target_missing: bool = False

    @property
    def still(self) -> bool:
        """Whether the planned enrollment is still active."""
        return self.active is not None and self.active.enrolled_at == self.member.enrolled_at

    @property
    def enrolled_meanwhile(self) -> bool:
        """Whether an unenrolled user is enrolled again: an open job may archive that too."""
        unenroll = self.mode is ArchiveMode.UNENROLL
        return unenroll and self.record is not None and self.active is not None and not self.still

    @property
    def settled(self) -> bool:
        """Whether looking again is pointless: all is as asked, or nothing was archived."""
        if self.record is None or self.still:
            return self.still and self.record is None
        if self.before and not self.others:
            return False
        return self.mode is ArchiveMode.UNENROLL or self.active is not None

    @property
    def differences(self) -> tuple[str, ...]:
        """The differences between the archived record and the planned enrollment."""
        records = (
            (other.archiving.record_id, other.enrollment.enrolled_at) for other in self.others
        )
        surplus = tuple(f"also archived: record {number}, enrolled {at}" for number, at in records)
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


@frozen
class Look:
    """What both lists say about the users of some submissions, by user id.

    The archived list is read first: an enrollment that is archived in between is then in neither
    list, and is looked for again. `active` is None where the target is not found any more (404).
    """

    archived: Mapping[int, Sequence[Archived]]
    active: Mapping[int, Active] | None


def look_together(client: Client, queues: Iterable[TargetQueue]) -> dict[tuple[str, int], Look]:
    """Look at many small targets: at each archived list, then at all active lists in few calls.

    A target whose lists cannot be read in this way, or where an enrollment is in neither list, is
    left out, and has to be read on its own.

    Raises:
        ApiError: a call failed, in a way that concerns all targets.
    """
    archived: dict[TargetQueue, dict[int, list[Archived]]] = {}
    for queue in queues:
        members = [member for submission in queue.unverified for member in submission.members]
        since = min(submission.chunk.read_at for submission in queue.unverified) - GRACE
        try:
            archived[queue] = read_archived(client, queue.target, members, since)
        except ApiError as error:
            if not concerns_target(client, error):
                raise
    wanted = wanted_of(archived)
    active = read_active_of_many(client, wanted)
    return {
        queue.target.key: Look(records, active[queue.target.key])
        for queue, records in archived.items()
        if queue.target.key in active
        and set(wanted[queue.target]) <= records.keys() | active[queue.target.key].keys()
    }


def wanted_of(queues: Iterable[TargetQueue]) -> dict[PlannedTarget, list[int]]:
    """Return the users, by id, that were sent to each target and are unverified."""
    return {
        queue.target: [
            member.user_id for submission in queue.unverified for member in submission.members
        ]
        for queue in queues
    }


def read_findings(
    client: Client,
    queue: TargetQueue,
    submissions: Sequence[Submission],
    terms: Terms,
    *,
    records: Mapping[int, Sequence[Archived]],
    look: Look | None,
) -> list[Finding]:
    """Read both lists until each member is settled, or for as long as a record may lag.

    A target that is gone has no active enrollments, but may still have archived ones.

    Args:
        client: the platform.
        queue: the queue of the target.
        submissions: what is read back.
        terms: what was asked for.
        records: archived records of the target that were read already, by user id.
        look: the first look, where it was made already.
    """
    target, read_at = queue.target, min(submission.chunk.read_at for submission in submissions)
    sent_at = {
        member.row: submission.sent_at
        for submission in submissions
        for member in submission.members
    }
    members = [member for submission in submissions for member in submission.members]

    def look_at(
        wanted: Sequence[PlannedEnrollment],
        earlier: Mapping[int, Sequence[Archived]],
        **options: Any,
    ) -> Look:
        unseen = [member for member in wanted if not is_seen(member, earlier, sent_at[member.row])]
        archived = {**earlier, **read_archived(client, target, unseen, read_at - GRACE)}
        return Look(archived, active_or_missing(client, target, wanted, **options))

    def findings_of(wanted: Sequence[PlannedEnrollment], look: Look) -> dict[int, Finding]:
        return {
            member.row: make_finding(
                member,
                look.archived.get(member.user_id, ()),
                look.active,
                sent_at[member.row],
                terms.mode,
            )
            for member in wanted
        }

    if look is None:
        only = terms.only if terms.mode is ArchiveMode.UNENROLL else None
        left = max(target.listed - queue.archived - len(members), 1)
        look = look_at(members, records, only=only, left=left)
    findings = findings_of(members, look)
    wait, waited = 1.0, 0.0
    while waited < LAG and (
        unsettled := [current.member for current in findings.values() if not current.settled]
    ):
        wait = min(wait * 2, LAG - waited)
        client.session.waits.wait(wait, "settle")
        waited += wait
        findings.update(findings_of(unsettled, look_at(unsettled, {})))
    return list(findings.values())


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
    gone = active is not None and (now is None or now.enrolled_at != member.enrolled_at)
    own = own_records(member, records, gone=gone)
    record = own[0] if own else None
    others = tuple(
        other
        for other in records
        if other is not record
        and other.archiving.archived_at
        and other.archiving.archived_at >= sent_at
    )
    at = None if record is None else record.archiving.archived_at
    before = at is not None and at < sent_at
    return Finding(
        member=member,
        mode=mode,
        record=record,
        active=now,
        others=others,
        before=before,
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
    return member.enrolled_at is not None and any(
        record.enrollment.enrolled_at == member.enrolled_at
        and record.archiving.archived_at is not None
        and record.archiving.archived_at >= sent_at
        for record in records.get(member.user_id, ())
    )


def read_archived(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment], since: datetime
) -> dict[int, list[Archived]]:
    """Read the archived records of these users since then, by user id."""
    users = [member.user_id for member in members]
    return TargetLists(client, target).archived(users=users, since=since)


def read_active(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
) -> dict[int, Active]:
    """Read the active enrollments of these users, by user id, whatever their status.

    Args:
        client: the platform.
        target: where to look.
        members: whose enrollments.
        only: where given, the whole list in these statuses may be read instead, if that is fewer
            calls; an enrollment whose status changed meanwhile is then not seen.
        left: how many enrollments that list is expected to have.
    """
    users = [member.user_id for member in members]
    return TargetLists(client, target).active_by_user(users, statuses=only, expected=left)


def active_or_missing(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment], **options: Any
) -> dict[int, Active] | None:
    """Read as `read_active` does; None where the target is not found any more (404)."""
    try:
        return read_active(client, target, members, **options)
    except NotFoundError as error:
        if not concerns_target(client, error):
            raise
        return None


def is_missing(client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment]) -> bool:
    """Return whether a target does not exist any more, according to its active list.

    Raises:
        ApiError: nothing else is found either, or the list cannot be read.
    """
    if active_or_missing(client, target, members) is not None:
        return False
    check_platform(client)
    return True


def check_platform(client: Client) -> None:
    """Check that the platform still answers, so that a 404 concerns its target alone."""
    next(client.background_jobs.pages())


def concerns_target(client: Client, error: ApiError) -> bool:
    """Return whether a failed call concerns its target only, so that others can go on.

    A login, a permission, the rate limit, an outage, or a call that the platform does not have
    concern the whole job.
    """
    of_the_job = isinstance(error, _OF_THE_JOB) or error.status == _NO_SUCH_METHOD
    return not of_the_job and error.path != client.session.operation("token").path
