"""Look for archived records that nobody requested: a call may have archived more than it should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from attrs import field, frozen

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.running.finding import Finding, is_seen, is_since
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.target.lists import GRACE, Archived, TargetLists
from lms_archive.archive.values.events import UnexpectedRecords
from lms_archive.client import Client

Records = Mapping[int, Sequence[Archived]]


@frozen
class SurplusSearch:
    """Looks for records that nobody requested, after calls to one target.

    Attributes:
        client: the platform.
        ledger: the outcomes so far, whose records are no surplus.
        queue: the queue of the target.
        submissions: what is read back.
        known_records: ids of unexpected records that were noticed already.
        sent_first: the users who were sent before the first chunk was proven.
        watched: the submissions whose calls may have archived other users too; without those whose
            job may still run.
    """

    client: Client
    ledger: Ledger
    queue: TargetQueue
    submissions: Sequence[Submission]
    known_records: AbstractSet[int]
    sent_first: AbstractSet[int]
    watched: Sequence[Submission] = field(init=False)

    @watched.default
    def _watched(self) -> Sequence[Submission]:
        return [
            submission
            for submission in self.submissions
            if submission.is_watched and submission.problem is None
        ]

    def read_records(self) -> Records:
        """Read all records since the first call that may have archived other users too.

        Return nothing where there is no such call.
        """
        if not self.watched:
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
        target = self.queue.target
        for submission in self.watched:
            since, listed = submission.sent_at, records
            if not all(is_seen(member, listed, since) for member in submission.members):
                # The list was read too early.
                listed = TargetLists(self.client, target).archived(since=since)
            for_all = submission.is_for_all
            sent = {member.user_id for member in submission.chunk.members}
            text = "the select-all call also archived users whom it did not name"
            if for_all:
                surplus = unnamed_records(listed, sent, since)
            else:
                text = "the same account archived users whom the call did not name"
                surplus = self._of_account(submission, listed)
            expected = self.ledger.records_in(*target.key) if surplus else set()
            if new := sorted(set(surplus) - self.known_records - expected):
                yield UnexpectedRecords(f"{target}: {text}: {_shown(new)}", tuple(new))

    def _of_account(self, submission: Submission, listed: Records) -> list[int]:
        """Return the ids of records of users who were not sent, by the account of those who were.

        Of a call of an earlier run, only what was archived in its seconds counts, and not what
        another ledger may have archived since.
        """
        since, users = submission.sent_at, self.sent_first
        pending = {member.user_id for _, own in self.queue.pending for member in own}
        if not submission.is_resumed:
            return unnamed_records(listed, users, since, pending=pending)
        own = (record for user in users for record in listed.get(user, ()))
        dates = [record.archiving.archived_at for record in own if is_since(record, since)]
        end = max(filter(None, dates), default=since) + timedelta(seconds=2)
        soon = {
            user: [record for record in own if not is_since(record, end)]
            for user, own in listed.items()
        }
        return unnamed_records(soon, users, since, pending=pending)


def unnamed_records(
    records: Records,
    users: AbstractSet[int],
    since: datetime,
    *,
    pending: AbstractSet[int] | None = None,
) -> list[int]:
    """Return the ids of records of other users who were archived since then.

    A select-all call also archives users who were enrolled after the last reading. With *pending*,
    only records of the account that archived *users* count, because another account may archive
    others at the same time; where that account is not known, only records of users in *pending*.
    """
    new = {
        user: [record for record in own if is_since(record, since)] for user, own in records.items()
    }
    accounts = {record.archiving.archived_by for user in users for record in new.get(user, ())}
    accounts.discard(None)
    return [
        record.archiving.record_id
        for user in sorted(new.keys() - users)
        for record in new[user]
        if pending is None
        or (record.archiving.archived_by in accounts if accounts else user in pending)
    ]


def _shown(records: Sequence[int]) -> str:
    return f"{'record' if len(records) == 1 else 'records'} {', '.join(map(str, records))}"
