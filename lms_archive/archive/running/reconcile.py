"""What became of rows that were sent: read back, decided, committed to the ledger."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from attrs import field, frozen

from lms_archive.archive.ledger import Event, Ledger
from lms_archive.archive.planning.select_all import rounds_left, strangers
from lms_archive.archive.running.plan_courses import carried
from lms_archive.archive.running.queues import Lane
from lms_archive.archive.running.readback import (
    Finding,
    all_since,
    finding,
    is_seen,
    read_back,
    records_since,
)
from lms_archive.archive.running.submission import Sending
from lms_archive.archive.running.verdict import Change, archived, verdict
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import GRACE, LAG, Active, Archived
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import AS_ASKED, CODES, CourseOutcome, Outcome
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import ApiError, RunStoppedError
from lms_archive.records.status import ArchiveMode

__all__ = ["Accounted", "Accounting"]

log: logging.Logger = logging.getLogger(__name__)


@frozen
class Accounted:
    """The outcomes that a reading gave, and what in it must stop the job.

    `unexpected` tells of what nobody asked for; `alarm` of what should be there and was not seen;
    `target_missing` of a target that was deleted meanwhile.
    """

    outcomes: list[Outcome] = field(factory=list)
    unexpected: list[str] = field(factory=list)
    alarm: RunStoppedError | None = None
    target_missing: bool = False


class Accounting:
    """Accounts for rows: every outcome of a run is made and committed here.

    Args:
        client: the platform.
        ledger: open for writing.
        selection: the rows asked for.
        terms: what is done with each.
        known: the records, by id, that are known already as archived unasked.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        selection: RowLookup,
        terms: Terms,
        *,
        known: Iterable[int],
    ) -> None:
        self._client, self._ledger, self._selection = client, ledger, selection
        self._terms, self._known = terms, set(known)
        self.tries: Counter[int] = Counter()

    def drop(
        self,
        chunk: Chunk,
        changes: Sequence[tuple[PlannedEnrollment, Change]],
        active: Mapping[int, Active],
    ) -> None:
        """Account for members that are not as planned any more: they are not sent.

        An enrollment that is gone may have been archived since the plan was read: by someone
        else, or by a run of which this ledger knows nothing. Then its record says so.

        Args:
            chunk: what they are members of.
            changes: the members, and how each differs from what was planned.
            active: their active enrollments now, by user id.
        """
        now, since = self._client.session.platform_time(), chunk.read_at - GRACE
        gone = [member for member, change in changes if change.is_gone]
        records = records_since(self._client, chunk.target, gone, since)
        findings = (
            finding(one, records.get(one.user_id, ()), active, now, self._terms.mode)
            for one in gone
        )
        recorded = {one.member.row: one for one in findings if one.record is not None}
        along = self._carried(chunk.target, list(recorded.values()), since=since)
        pairs = []
        for member, change in changes:
            decided = "changed", f"changed since the plan: {change.reason}; not sent"
            found, courses = recorded.get(member.row), along.get(member.user_id, ())
            if found is not None:
                decided = archived(found, reset=self._terms.reset_tracking, now=now, sent=False)
            outcome = self._outcome(member, *_with_courses(decided, courses), found, courses)
            pairs.append((member, outcome))
        self._commit(pairs)

    def leave(self, lane: Lane, error: ApiError | None = None) -> None:
        """Account for what was to be sent to a target that is not there any more.

        With an error, it cannot be read, which `resume` tries again.
        """
        code, text = "unreadable", f"cannot be read: {error}; not sent; resume tries again"
        if error is None:
            code = "target_missing"
            text = "is not found any more (404): deleted since the plan was made; not sent"
        log.warning("%s %s", lane.target, text)
        waiting = [member for _, members in lane.waiting for member in members]
        self._commit((one, self._outcome(one, code, f"{lane.target} {text}")) for one in waiting)
        lane.waiting.clear()

    def not_read_back(self, lane: Lane, error: ApiError) -> list[Outcome]:
        """Account for what was sent to a target that cannot be read back: `resume` looks again."""
        reason = f"sent, but {lane.target} cannot be read back: {error}; resume looks again"
        members = [member for sending in lane.ended for member in sending.members]
        pairs = [(one, self._outcome(one, "unreadable", reason)) for one in members]
        self._commit(pairs)
        lane.ended = []
        return [outcome for _, outcome in pairs]

    def refuse(self, sending: Sending, error: ApiError) -> list[Outcome]:
        """The platform refused the call; its rows are never sent again."""
        reason = f"refused, nothing was done: {error}"
        pairs = [(one, self._outcome(one, "refused", reason)) for one in sending.members]
        self._commit(pairs, [Event(sending.chunk.chunk_id, "refused", {"why": str(error)})])
        return [outcome for _, outcome in pairs]

    def account(self, lane: Lane, told: Collection[int] = (), *, alone: bool = False) -> Accounted:
        """Read a lane's ended sendings back, and account for each of their rows.

        What may be sent again goes back to the lane.

        Args:
            lane: one target's.
            told: rows of which it was told already that no record of theirs was seen.
            alone: they were sent alone, so that nothing else of the lane may be archived.
        """
        sendings = lane.ended
        if not sendings:
            return Accounted()
        by_row = {one.row: sending for sending in sendings for one in sending.members}
        pairs: list[tuple[PlannedEnrollment, Outcome]] = []
        again: dict[str, list[PlannedEnrollment]] = defaultdict(list)
        unexpected: dict[str, list[int]] = {}
        alarm: RunStoppedError | None = None
        watched = [one for one in sendings if one.is_for_all or (alone and lane.waiting)]
        seen = self._seen(watched)
        findings = self._findings(lane, sendings, seen)
        since = min(one.sent_at for one in sendings) - GRACE
        along = self._carried(lane.target, findings, since=since)
        now = self._client.session.platform_time()
        rounds = self._more_rounds(findings, by_row)
        for found in findings:
            row, sending = found.member.row, by_row[found.member.row]
            decided = verdict(
                found,
                sending,
                reset=self._terms.reset_tracking,
                tries=self.tries[row],
                now=now,
                more_rounds=row in rounds,
            )
            if decided is None:
                again[sending.chunk.chunk_id].append(found.member)
                continue
            courses = along.get(found.member.user_id, ())
            outcome = self._outcome(found.member, *_with_courses(decided, courses), found, courses)
            pairs.append((found.member, outcome))
            lane.archived += found.record is not None
            who = f"user {found.member.user_id}"
            records = [one.archiving.record_id for one in found.others]
            if not self._known.issuperset(records):
                self._known.update(records)
                unexpected[f"{who} in {lane.target}, records {_shown(records)}"] = records
            elif decided[0] == "not_seen" and row not in told and alarm is None:
                alarm = RunStoppedError(
                    f"{who} is unenrolled, but no archived record of it was seen for {LAG:.0f} s; "
                    "look into the platform's archived list, then resume"
                )
        for one in watched:
            records = [r for r in self._strangers(lane, one, seen) if r not in self._known]
            if records:
                self._known.update(records)
                by = "beside one that was sent alone" if alone else "by the call for all"
                text = f"others in {lane.target}, taken {by}"
                unexpected[f"{text}: records {_shown(records)}"] = records
        states = [Event(one.chunk.chunk_id, "read_back", {}) for one in sendings]
        states += [
            Event(None, "unexpected", {"text": text, "records": records})
            for text, records in unexpected.items()
        ]
        self._commit(pairs, states)
        lane.ended = []
        for sending in sendings:
            members = again.pop(sending.chunk.chunk_id, None)
            if members:
                lane.waiting.appendleft((sending.chunk, tuple(members)))
        missing = any(one.target_missing for one in findings)
        return Accounted([outcome for _, outcome in pairs], list(unexpected), alarm, missing)

    def _seen(self, watched: Sequence[Sending]) -> dict[int, list[Archived]]:
        """All that was archived since these calls, which may have taken others too.

        Nothing where a job may still run: no whole list is read beside it.
        """
        if not watched or any(one.lost for one in watched):
            return {}
        since = min(one.sent_at for one in watched) - GRACE
        return all_since(self._client, watched[0].chunk.target, since)

    def _strangers(
        self, lane: Lane, sending: Sending, seen: Mapping[int, Sequence[Archived]]
    ) -> list[int]:
        """The records, by id, of others: of who was not meant, or of the lane not meant yet."""
        since = sending.sent_at
        if not all(is_seen(one, seen, since) for one in sending.members):
            seen = all_since(self._client, lane.target, since)  # what was seen came too early
        if sending.is_for_all:
            return strangers(seen, sending.chunk.members, since)
        users = {one.user_id for _, members in lane.waiting for one in members}
        return strangers(seen, sending.members, since, among=users)

    def _more_rounds(
        self, findings: Sequence[Finding], by_row: Mapping[int, Sending]
    ) -> frozenset[int]:
        """The rows that a select-all call of at most so many has left for its next round."""
        archived = Counter(id(by_row[one.member.row]) for one in findings if one.record is not None)
        limit = self._client.limits.select_all
        return frozenset(
            row
            for row, one in by_row.items()
            if rounds_left(one.chunk, len(one.members), archived[id(one)], limit)
        )

    def _findings(
        self,
        lane: Lane,
        sendings: Sequence[Sending],
        seen: Mapping[int, list[Archived]],
    ) -> list[Finding]:
        """One look at all; but one sending at a time, a page each, beside a job that may run."""
        if any(one.lost for one in sendings):
            return [
                found for one in sendings for found in self._read_until_settled(lane, [one], seen)
            ]
        return self._read_until_settled(lane, sendings, seen)

    def _read_until_settled(
        self,
        lane: Lane,
        sendings: Sequence[Sending],
        seen: Mapping[int, list[Archived]],
    ) -> list[Finding]:
        """Look until each member is settled, or for as long as a record may lag."""
        members = [member for one in sendings for member in one.members]
        left = max(lane.target.listed - lane.archived - len(members), 1)
        read = partial(
            read_back,
            self._client,
            lane.target,
            read_at=min(one.chunk.read_at for one in sendings),
            sent_at={member.row: one.sent_at for one in sendings for member in one.members},
            mode=self._terms.mode,
        )
        only = self._terms.only if self._terms.mode is ArchiveMode.UNENROLL else None
        found = read(members, only=only, left=left, seen=seen)
        settled = {one.member.row: one for one in found}
        wait, waited = 1.0, 0.0
        while waited < LAG:
            open_ = [one.member for one in settled.values() if not one.settled]
            if not open_:
                break
            wait = min(wait * 2, LAG - waited)
            self._client.session.clock.sleep(wait)
            waited += wait
            settled.update((one.member.row, one) for one in read(open_))
        return list(settled.values())

    def _carried(
        self, target: PlannedTarget, findings: Sequence[Finding], *, since: datetime
    ) -> dict[int, tuple[CourseOutcome, ...]]:
        """For a learning plan, what became of the courses of each member."""
        return carried(
            self._client,
            target,
            [one.member for one in findings],
            taken={one.member.user_id for one in findings if one.record is not None},
            since=since,
            terms=self._terms,
        )

    def _outcome(
        self,
        member: PlannedEnrollment,
        code: str,
        reason: str,
        found: Finding | None = None,
        courses: tuple[CourseOutcome, ...] = (),
    ) -> Outcome:
        return Outcome.of(
            self._selection[member.row],
            code,
            reason,
            user_id=member.user_id,
            record=found.record if found else None,
            differences=found.differences if found else (),
            courses=courses,
        )

    def _commit(
        self, outcomes: Iterable[tuple[PlannedEnrollment, Outcome]], states: Sequence[Event] = ()
    ) -> None:
        self._ledger.commit([(member.row, outcome) for member, outcome in outcomes], states)


def _with_courses(decided: tuple[str, str], courses: Sequence[CourseOutcome]) -> tuple[str, str]:
    """The code and the reason, which tells of courses that are not as asked."""
    code, reason = decided
    wrong = [one for one in courses if one.status not in AS_ASKED]
    if CODES[code] == "archived" and wrong:
        told = ", ".join(f"course {one.course_id} {one.status}" for one in wrong)
        reason = f"{reason}; {len(wrong)} of {len(courses)} courses not as asked: {told}"
    return code, reason


def _shown(records: Iterable[int]) -> str:
    return ", ".join(map(str, records))
