"""Look for archived records that nobody requested: a call may have archived more than it should."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from attrs import field, frozen

from lms_archive.archive.running.finding import Finding, is_seen, is_since
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.target.lists import GRACE, Archived, TargetLists
from lms_archive.archive.values.chunks import PlannedEnrollment
from lms_archive.archive.values.events import UnexpectedRecords
from lms_archive.client import Client

Records = Mapping[int, Sequence[Archived]]


@frozen
class SurplusSearch:
    """Looks for records that nobody requested, after calls to one target.

    Attributes:
        client: the platform.
        queue: the queue of the target.
        submissions: what is read back.
        known_records: ids of unexpected records that were noticed already.
        alone: whether they were sent alone, so that no other pending row may be archived.
        watched: the submissions whose calls may have archived other users too.
    """

    client: Client
    queue: TargetQueue
    submissions: Sequence[Submission]
    known_records: AbstractSet[int]
    alone: bool
    watched: Sequence[Submission] = field(init=False)

    @watched.default
    def _watched(self) -> Sequence[Submission]:
        pending = self.alone and bool(self.queue.pending)
        return [submission for submission in self.submissions if submission.is_for_all or pending]

    def read_records(self) -> Records:
        """Read all records since the first call that may have archived other users too.

        Return nothing while a job may still run: no whole list is read then.
        """
        if not self.watched or any(submission.problem for submission in self.watched):
            return {}
        since = min(submission.sent_at for submission in self.watched) - GRACE
        return TargetLists(self.client, self.queue.target).archived(since=since)

    def of_members(self, findings: Sequence[Finding]) -> Iterator[UnexpectedRecords]:
        """Yield unexpected records of users who were sent."""
        for finding in findings:
            records = [record.archiving.record_id for record in finding.others]
            if not self.known_records >= set(records):
                text = f"user {finding.member.user_id} in {self.queue.target}, {_shown(records)}"
                yield UnexpectedRecords(text, tuple(records))

    def of_others(self, records: Records) -> Iterator[UnexpectedRecords]:
        """Yield unexpected records of users who were not sent, or not sent yet."""
        target, pending = self.queue.target, self.queue.pending
        for submission in self.watched:
            since, listed = submission.sent_at, records
            if not all(is_seen(member, listed, since) for member in submission.members):
                # The list was read too early.
                listed = TargetLists(self.client, target).archived(since=since)
            if submission.is_for_all:
                surplus = unnamed_records(listed, submission.chunk.members, since)
            else:
                users = {member.user_id for _, members in pending for member in members}
                surplus = unnamed_records(listed, submission.members, since, among=users)
            if new := [record for record in surplus if record not in self.known_records]:
                call = "call for the first enrollment" if self.alone else "select-all call"
                text = (
                    f"{target}: the {call} also archived users whom it did not name: {_shown(new)}"
                )
                yield UnexpectedRecords(text, tuple(new))


def unnamed_records(
    records: Records,
    members: Sequence[PlannedEnrollment],
    since: datetime,
    among: Collection[int] | None = None,
) -> list[int]:
    """Return the ids of records of users who are not members and were archived since then.

    A select-all call also archives users who were enrolled after the last reading. With *among*,
    only these users are looked for.
    """
    users = records.keys() if among is None else records.keys() & set(among)
    return [
        record.archiving.record_id
        for user in sorted(users - {member.user_id for member in members})
        for record in records[user]
        if is_since(record, since)
    ]


def _shown(records: Sequence[int]) -> str:
    return f"{'record' if len(records) == 1 else 'records'} {', '.join(map(str, records))}"
