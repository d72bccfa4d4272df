"""Read both lists of a target for what was sent: they are the truth, whatever a job reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from attrs import frozen

from lms_archive.archive.running.failures import concerns_target
from lms_archive.archive.running.finding import Finding, is_seen, make_finding
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.submission import Submission, members_of
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import GRACE, LAG, Active, Archived, TargetLists
from lms_archive.archive.target.many import read_active_together
from lms_archive.archive.values.chunks import PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import ApiError, NotFoundError
from lms_archive.records.status import ArchiveMode, EnrollmentStatus


@frozen
class BothLists:
    """What both lists say about the users of some submissions, by user id.

    The archived list is read first: an enrollment that is archived in between is then in neither
    list, and is looked for again. `active` is None where the target is not found any more (404).
    """

    archived: Mapping[int, Sequence[Archived]]
    active: Mapping[int, Active] | None


def read_lists_together(
    client: Client, queues: Iterable[TargetQueue]
) -> dict[tuple[str, int], BothLists]:
    """Read many small targets: each archived list, then all active lists in few calls.

    A target whose lists cannot be read, or where an enrollment is in neither list of a shared
    reading, is left out, and has to be read on its own.

    Raises:
        ApiError: a call failed, in a way that concerns all targets.
    """
    archived: dict[TargetQueue, dict[int, list[Archived]]] = {}
    for queue in queues:
        since = min(submission.chunk.read_at for submission in queue.unverified) - GRACE
        with _of_target(client):
            members = members_of(queue.unverified)
            archived[queue] = read_archived(client, queue.target, members, since)
    wanted = unverified_users(archived)
    shared = read_active_together(client, wanted)
    lists = {}
    for queue, records in archived.items():
        active: dict[int, Active] | None = shared.get(queue.target.key)
        with _of_target(client):
            if active is None:
                active = active_or_missing(client, queue.target, members_of(queue.unverified))
            elif not set(wanted[queue.target]) <= records.keys() | active.keys():
                continue
            lists[queue.target.key] = BothLists(records, active)
    return lists


@contextmanager
def _of_target(client: Client) -> Iterator[None]:
    """Ignore an error of one target: that is read again on its own, which raises the error."""
    try:
        yield
    except ApiError as error:
        if not concerns_target(client, error):
            raise


def unverified_users(queues: Iterable[TargetQueue]) -> dict[PlannedTarget, list[int]]:
    """Return the users, by id, that were sent to each target and are unverified."""
    return {
        queue.target: [member.user_id for member in members_of(queue.unverified)]
        for queue in queues
    }


def read_findings(
    client: Client,
    queue: TargetQueue,
    submissions: Sequence[Submission],
    terms: Terms,
    *,
    records: Mapping[int, Sequence[Archived]],
    lists: BothLists | None,
) -> list[Finding]:
    """Read both lists until each finding is conclusive, or for as long as a record may lag.

    A target that is gone has no active enrollments, but may still have archived ones.

    Args:
        client: the platform.
        queue: the queue of the target.
        submissions: what is read back.
        terms: what was requested.
        records: archived records of the target that were read already, by user id.
        lists: the first reading of both lists, where it was made already.
    """
    target, members = queue.target, members_of(submissions)
    since = min(submission.chunk.read_at for submission in submissions) - GRACE
    sent_at = {
        member.row: submission.sent_at
        for submission in submissions
        for member in submission.members
    }

    def read(
        wanted: Sequence[PlannedEnrollment],
        earlier: Mapping[int, Sequence[Archived]],
        **options: Any,
    ) -> BothLists:
        unseen = [member for member in wanted if not is_seen(member, earlier, sent_at[member.row])]
        archived = {**earlier, **read_archived(client, target, unseen, since)}
        return BothLists(archived, active_or_missing(client, target, wanted, **options))

    def findings_of(wanted: Sequence[PlannedEnrollment], lists: BothLists) -> dict[int, Finding]:
        return {
            member.row: make_finding(
                member,
                lists.archived.get(member.user_id, ()),
                lists.active,
                sent_at[member.row],
                terms.mode,
            )
            for member in wanted
        }

    if lists is None:
        only = terms.only if terms.mode is ArchiveMode.UNENROLL else None
        left = max(target.listed - queue.archived - len(members), 1)
        lists = read(members, records, only=only, left=left)
    findings = findings_of(members, lists)
    wait, waited = 1.0, 0.0
    while waited < LAG and (
        late := [finding.member for finding in findings.values() if not finding.is_conclusive]
    ):
        wait = min(wait * 2, LAG - waited)
        client.session.waits.wait(wait, "settle")
        waited += wait
        findings.update(findings_of(late, read(late, {})))
    return list(findings.values())


def read_archived(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment], since: datetime
) -> dict[int, list[Archived]]:
    """Read the archived records of these users since then, by user id."""
    users = [member.user_id for member in members]
    return TargetLists(client, target).archived(users=users, since=since)


def active_or_missing(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    only: Sequence[EnrollmentStatus] | None = None,
    left: int = 0,
) -> dict[int, Active] | None:
    """Read the active enrollments of these users, by user id, whatever their status.

    Return None where the target is not found any more (404).

    Args:
        client: the platform.
        target: where to look.
        members: whose enrollments.
        only: where given, the whole list in these statuses may be read instead, if that is fewer
            calls; an enrollment whose status changed meanwhile is then not seen.
        left: how many enrollments that list is expected to have.
    """
    users = [member.user_id for member in members]
    try:
        return TargetLists(client, target).active_by_user(users, statuses=only, expected=left)
    except NotFoundError as error:
        if not concerns_target(client, error):
            raise
        return None
