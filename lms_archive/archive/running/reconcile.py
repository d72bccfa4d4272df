"""Find the outcome of rows that were sent: read, decide, look for unexpected records, record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import field, frozen

from lms_archive.archive.running.plan_courses import course_outcomes
from lms_archive.archive.running.queues import Submission, TargetQueue
from lms_archive.archive.running.readback import (
    Finding,
    Look,
    is_seen,
    make_finding,
    read_archived,
    read_findings,
)
from lms_archive.archive.running.select_all import rounds_left, unnamed_records
from lms_archive.archive.running.state import Recorder, RunState
from lms_archive.archive.running.verdict import Change, archived, verdict
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import GRACE, LAG, Active, Archived, TargetLists
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.events import Event, ReadBack, Refused, Settled, UnexpectedRecords
from lms_archive.archive.values.outcomes import AS_ASKED, CODES, CourseOutcome, Outcome
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import ApiError, RunStoppedError

__all__ = ["Reconciled", "Reconciler"]

log: logging.Logger = logging.getLogger(__name__)

Records = Mapping[int, Sequence[Archived]]


@frozen
class Reconciled:
    """The result of reading a target back.

    Attributes:
        outcomes: the outcomes of its rows.
        alarm: the error that must stop the job: a record that should exist was not seen.
        target_missing: whether the target was deleted meanwhile.
    """

    outcomes: list[Outcome] = field(factory=list)
    alarm: RunStoppedError | None = None
    target_missing: bool = False


@frozen
class Reconciler:
    """Determines the outcomes of the rows of a run, and records them.

    Attributes:
        client: the platform.
        record: writes events.
        rows: the rows asked for.
        terms: what is done with each.
    """

    client: Client
    record: Recorder
    rows: RowLookup
    terms: Terms

    @property
    def _state(self) -> RunState:
        return self.record.state

    # Rows that are not sent

    def settle_changed(
        self,
        chunk: Chunk,
        changes: Sequence[tuple[PlannedEnrollment, Change]],
        active: Mapping[int, Active],
    ) -> None:
        """Settle members that have changed since the plan: they are not sent.

        An enrollment that is gone may have been archived since the plan was made: by another
        client, or by a run with another ledger. Its record shows that.

        Args:
            chunk: their chunk.
            changes: the members, and how each differs from what was planned.
            active: their active enrollments now, by user id.
        """
        now, since = self.client.session.platform_time(), chunk.read_at - GRACE
        gone = [member for member, change in changes if change.is_gone]
        records = read_archived(self.client, chunk.target, gone, since)
        findings = [
            make_finding(member, records.get(member.user_id, ()), active, now, self.terms.mode)
            for member in gone
        ]
        archived_rows = {
            finding.member.row: finding for finding in findings if finding.record is not None
        }
        courses = self._courses(chunk.target, list(archived_rows.values()), since)
        outcomes = []
        for member, change in changes:
            finding, own = archived_rows.get(member.row), courses.get(member.user_id, ())
            text = f"changed since the plan: {change.reason}; {self._not_sent(member)}"
            decided = "changed", text
            if finding is not None:
                decided = archived(finding, reset=self.terms.reset_tracking, now=now, sent=False)
            outcome = self._outcome(member, *_with_courses(decided, own), finding, own)
            outcomes.append((member.row, outcome))
        self.record(Settled(chunk_id=chunk.chunk_id, outcomes=tuple(outcomes)))

    def settle_pending(self, queue: TargetQueue, error: ApiError | None = None) -> None:
        """Settle the pending rows of a target that does not exist any more.

        With an error, the target cannot be read, and `resume` will try again.
        """
        code, text, advice = "unreadable", f"cannot be read: {error}", "; resume tries again"
        if error is None:
            code, advice = "target_missing", ""
            text = "is not found any more (404): deleted since the plan was made"
        log.warning("%s %s", queue.target, text)

        def settled(member: PlannedEnrollment) -> tuple[int, Outcome]:
            reason = f"{queue.target} {text}; {self._not_sent(member)}{advice}"
            return member.row, self._outcome(member, code, reason)

        self.record(
            *(
                Settled(chunk_id=chunk.chunk_id, outcomes=tuple(map(settled, members)))
                for chunk, members in tuple(queue.pending)
            )
        )

    def _not_sent(self, member: PlannedEnrollment) -> str:
        """Return what is true of a row that is not sent now: a call for it may have been lost."""
        return "not sent again" if self._state.tries[member.row] else "not sent"

    def settle_unverified(self, queue: TargetQueue, error: ApiError) -> list[Outcome]:
        """Settle the sent rows of a target that cannot be read back: `resume` will look again."""
        reason = f"sent, but {queue.target} cannot be read back: {error}; resume looks again"
        events = [
            Settled(
                chunk_id=submission.chunk.chunk_id,
                outcomes=tuple(
                    (member.row, self._outcome(member, "unreadable", reason))
                    for member in submission.members
                ),
            )
            for submission in queue.unverified
        ]
        self.record(*events)
        return [outcome for event in events for _, outcome in event.outcomes]

    def settle_refused(self, submission: Submission, error: ApiError) -> list[Outcome]:
        """Settle rows that the platform refused: they are never sent again."""
        text = f"refused, nothing was done: {error}"
        outcomes = tuple(
            (member.row, self._outcome(member, "refused", text)) for member in submission.members
        )
        chunk_id = submission.chunk.chunk_id
        self.record(Refused(chunk_id=chunk_id, reason=str(error), outcomes=outcomes))
        return [outcome for _, outcome in outcomes]

    # Rows that were sent

    def reconcile(
        self, queue: TargetQueue, *, alone: bool = False, look: Look | None = None
    ) -> Reconciled:
        """Read a target's unverified submissions back, and settle each of their rows.

        What may be sent again is pending afterwards.

        Args:
            queue: the queue of the target.
            alone: whether they were sent alone, so that no other pending row may be archived.
            look: the first look at both lists, where it was made already.

        Raises:
            ApiError: a list cannot be read.
        """
        submissions = tuple(queue.unverified)
        if not submissions:
            return Reconciled()
        records = self._all_records(queue, submissions, alone=alone)
        findings = self._read(queue, submissions, records, look)
        outcomes = self._decide(queue, submissions, findings)
        surplus = [
            *self._surplus_of_members(queue.target, findings),
            *self._surplus_of_others(queue, submissions, records, alone=alone),
        ]
        alarm = self._alarm(queue.target, outcomes)
        self.record(*_read_back_events(submissions, outcomes), *surplus)
        return Reconciled(
            [outcome for _, outcome in outcomes.values()],
            alarm,
            any(finding.target_missing for finding in findings),
        )

    def _all_records(
        self, queue: TargetQueue, submissions: Sequence[Submission], *, alone: bool
    ) -> Records:
        """Read all records since the first call that may have archived other users too.

        Return nothing while a job may still run: no whole list is read then.
        """
        watched = _watched(queue, submissions, alone=alone)
        if not watched or any(submission.problem for submission in watched):
            return {}
        since = min(submission.sent_at for submission in watched) - GRACE
        return TargetLists(self.client, queue.target).archived(since=since)

    def _read(
        self,
        queue: TargetQueue,
        submissions: Sequence[Submission],
        records: Records,
        look: Look | None,
    ) -> list[Finding]:
        """Read both lists; where a job may still run, one submission (a page) at a time."""
        groups = [submissions]
        if any(submission.problem for submission in submissions):
            groups = [(submission,) for submission in submissions]
        return [
            finding
            for group in groups
            for finding in read_findings(
                self.client, queue, group, self.terms, records=records, look=look
            )
        ]

    def _decide(
        self, queue: TargetQueue, submissions: Sequence[Submission], findings: Sequence[Finding]
    ) -> dict[int, tuple[Submission, Outcome]]:
        """Return the outcome of each row that has one now."""
        by_row = {
            member.row: submission for submission in submissions for member in submission.members
        }
        since = min(submission.sent_at for submission in submissions) - GRACE
        courses = self._courses(queue.target, findings, since)
        now = self.client.session.platform_time()
        next_round = self._rows_of_next_round(findings, by_row)
        outcomes: dict[int, tuple[Submission, Outcome]] = {}
        for finding in findings:
            row, submission = finding.member.row, by_row[finding.member.row]
            decided = verdict(
                finding,
                submission,
                reset=self.terms.reset_tracking,
                tries=self._state.tries[row],
                now=now,
                more_rounds=row in next_round,
            )
            if decided is not None:
                own = courses.get(finding.member.user_id, ())
                outcome = self._outcome(finding.member, *_with_courses(decided, own), finding, own)
                outcomes[row] = submission, outcome
        return outcomes

    def _rows_of_next_round(
        self, findings: Sequence[Finding], by_row: Mapping[int, Submission]
    ) -> frozenset[int]:
        """Return the rows that a select-all call has left for its next round."""
        done = Counter(
            id(by_row[finding.member.row]) for finding in findings if finding.record is not None
        )
        limit = self.client.limits.select_all
        return frozenset(
            row
            for row, submission in by_row.items()
            if rounds_left(submission.chunk, len(submission.members), done[id(submission)], limit)
        )

    def _surplus_of_members(
        self, target: PlannedTarget, findings: Sequence[Finding]
    ) -> Iterable[UnexpectedRecords]:
        """Yield unexpected records of users who were sent: more was archived than was asked for."""
        for finding in findings:
            records = [record.archiving.record_id for record in finding.others]
            if not self._state.known_records.issuperset(records):
                text = f"user {finding.member.user_id} in {target}, {_shown(records)}"
                yield UnexpectedRecords(text, tuple(records))

    def _surplus_of_others(
        self,
        queue: TargetQueue,
        submissions: Sequence[Submission],
        records: Records,
        *,
        alone: bool,
    ) -> Iterable[UnexpectedRecords]:
        """Yield records of users who were not sent, or not sent yet."""
        for submission in _watched(queue, submissions, alone=alone):
            since, listed = submission.sent_at, records
            if not all(is_seen(member, listed, since) for member in submission.members):
                # The list was read too early.
                listed = TargetLists(self.client, queue.target).archived(since=since)
            if submission.is_for_all:
                surplus = unnamed_records(listed, submission.chunk.members, since)
            else:
                users = {member.user_id for _, members in queue.pending for member in members}
                surplus = unnamed_records(listed, submission.members, since, among=users)
            unknown = [record for record in surplus if record not in self._state.known_records]
            if unknown:
                by = "beside one that was sent alone" if alone else "by the select-all call"
                text = f"others in {queue.target}, archived {by}: {_shown(unknown)}"
                yield UnexpectedRecords(text, tuple(unknown))

    def _alarm(
        self, target: PlannedTarget, outcomes: Mapping[int, tuple[Submission, Outcome]]
    ) -> RunStoppedError | None:
        """Return the error that stops the job where a record was not seen; once for each row."""
        for row, (_, outcome) in outcomes.items():
            if outcome.code == "not_seen" and row not in self._state.not_seen:
                return RunStoppedError(
                    f"user {outcome.user_id} in {target} is unenrolled, but no archived record of "
                    f"it was seen for {LAG:.0f} s; check the platform's archived list, then "
                    "resume"
                )
        return None

    def _courses(
        self, target: PlannedTarget, findings: Sequence[Finding], since: datetime
    ) -> Mapping[int, tuple[CourseOutcome, ...]]:
        """Read what happened to the courses of a learning plan, for each user."""
        return course_outcomes(
            self.client,
            target,
            [finding.member for finding in findings],
            archived={finding.member.user_id for finding in findings if finding.record is not None},
            since=since,
            terms=self.terms,
        )

    def _outcome(
        self,
        member: PlannedEnrollment,
        code: str,
        reason: str,
        finding: Finding | None = None,
        courses: tuple[CourseOutcome, ...] = (),
    ) -> Outcome:
        return Outcome.of(
            self.rows[member.row],
            code,
            reason,
            user_id=member.user_id,
            record=finding.record if finding else None,
            differences=finding.differences if finding else (),
            courses=courses,
        )


def _watched(
    queue: TargetQueue, submissions: Sequence[Submission], *, alone: bool
) -> list[Submission]:
    """Return the submissions whose calls may have archived other users too."""
    return [
        submission
        for submission in submissions
        if submission.is_for_all or (alone and queue.pending)
    ]


def _read_back_events(
    submissions: Sequence[Submission], outcomes: Mapping[int, tuple[Submission, Outcome]]
) -> list[Event]:
    """Return an event for each chunk, with the outcomes of its rows."""
    rows: dict[str, list[tuple[int, Outcome]]] = {
        submission.chunk.chunk_id: [] for submission in submissions
    }
    for row, (submission, outcome) in outcomes.items():
        rows[submission.chunk.chunk_id].append((row, outcome))
    return [ReadBack(chunk_id=chunk, outcomes=tuple(own)) for chunk, own in rows.items()]


def _with_courses(decided: tuple[str, str], courses: Sequence[CourseOutcome]) -> tuple[str, str]:
    """Return the code and the reason, which names the courses that are not as requested."""
    code, reason = decided
    wrong = [course for course in courses if course.status not in AS_ASKED]
    if CODES[code] == "archived" and wrong:
        shown = ", ".join(f"course {course.course_id} {course.status}" for course in wrong)
        reason = f"{reason}; {len(wrong)} of {len(courses)} courses not as requested: {shown}"
    return code, reason


def _shown(records: Sequence[int]) -> str:
    return f"record{'s' * (len(records) != 1)} {', '.join(map(str, records))}"
