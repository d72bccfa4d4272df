"""Find the outcome of rows that were sent: read, decide, look for unexpected records, record."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import field, frozen

from lms_archive.archive.running.finding import Finding, make_finding
from lms_archive.archive.running.plan_courses import course_outcomes
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.readback import BothLists, read_archived, read_findings
from lms_archive.archive.running.state import Recorder, RunState
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.running.surplus import SurplusSearch
from lms_archive.archive.running.verdict import (
    Change,
    Origin,
    archived_verdict,
    nothing_done,
    verdict,
)
from lms_archive.archive.selection import Row
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import GRACE, LAG, Active, Archived
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.events import Decided, Event, ReadBack
from lms_archive.archive.values.outcomes import AS_REQUESTED, CODES, CourseOutcome, Outcome
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import ApiError, NotFoundError, RunStoppedError

log: logging.Logger = logging.getLogger(__name__)

Records = Mapping[int, Sequence[Archived]]


@frozen
class Reconciled:
    """The result of reading a target back.

    Attributes:
        outcomes: the outcomes of its rows, except skipped ones (changed, and not sent again).
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
        rows: the rows requested.
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

    def decide_changed(
        self,
        chunk: Chunk,
        changes: Sequence[tuple[PlannedEnrollment, Change]],
        active: Mapping[int, Active],
    ) -> None:
        """Decide members that have changed since the plan: they are not sent.

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
        archived = {
            finding.member.row: finding for finding in findings if finding.record is not None
        }
        courses = self._courses(chunk.target, list(archived.values()), since)
        rows = self._rows_of(member for member, _ in changes)
        outcomes = []
        for member, change in changes:
            finding, own = archived.get(member.row), courses.get(member.user_id, ())
            text = f"changed since the plan: {change.reason}; {self._not_sent(member)}"
            decided = "changed", text
            if finding is not None:
                reset = self.terms.reset_tracking
                origin: Origin = "lost" if self._state.sent[member.row] else "other"
                decided = archived_verdict(finding, reset=reset, now=now, origin=origin)
            decided = _with_courses(decided, own)
            outcomes.append((member.row, _outcome(rows, member, decided, finding, own)))
        self.record(Decided(chunk_id=chunk.chunk_id, outcomes=tuple(outcomes)))

    def decide_pending(self, queue: TargetQueue, error: ApiError | None = None) -> None:
        """Decide the pending rows of a target that does not exist any more.

        With an error, the target cannot be read, and `resume` will try again.
        """
        code, text, advice = "unreadable", f"cannot be read: {error}", "; resume tries again"
        if error is None:
            code, advice = "target_missing", ""
            text = "is not found any more (404): deleted since the plan was made"
        log.warning("%s %s", queue.target, text)

        rows = self._rows_of(member for _, members in queue.pending for member in members)

        def decide(member: PlannedEnrollment) -> tuple[int, Outcome]:
            reason = f"{queue.target} {text}; {self._not_sent(member)}{advice}"
            return member.row, _outcome(rows, member, (code, reason))

        self.record(
            *(
                Decided(chunk_id=chunk.chunk_id, outcomes=tuple(map(decide, members)))
                for chunk, members in queue.pending
            )
        )

    def _not_sent(self, member: PlannedEnrollment) -> str:
        """Return what is true of a row that is not sent now: a call for it may have been lost."""
        return "not sent again" if self._state.sent[member.row] else "not sent"

    def decide_unverified(self, queue: TargetQueue, error: ApiError) -> list[Outcome]:
        """Decide the sent rows of a target that cannot be read back; `resume` reads it again."""
        reason = f"sent, but {queue.target} cannot be read back: {error}; resume reads it again"

        def decide(submission: Submission) -> tuple[str, str]:
            if submission.is_refused_as_missing and isinstance(error, NotFoundError):
                return "refused", nothing_done(submission.refusal)
            return "unreadable", reason

        events = [
            Decided(
                chunk_id=submission.chunk.chunk_id,
                outcomes=self._outcomes(submission, *decide(submission)),
            )
            for submission in queue.unverified
        ]
        self.record(*events)
        return [outcome for event in events for _, outcome in event.outcomes]

    def decide_refused(self, submission: Submission) -> None:
        """Decide rows whose call and whose target were both not found (404)."""
        outcomes = self._outcomes(submission, "refused", nothing_done(submission.refusal))
        self.record(Decided(chunk_id=submission.chunk.chunk_id, outcomes=outcomes))

    # Rows that were sent

    def reconcile(self, queue: TargetQueue, lists: BothLists | None = None) -> Reconciled:
        """Read a target's unverified submissions back, and decide each of their rows.

        What may be sent again is pending afterwards.

        Args:
            queue: the queue of the target.
            lists: the first reading of both lists, where it was made already.

        Raises:
            ApiError: a list cannot be read.
        """
        submissions = tuple(queue.unverified)
        search = SurplusSearch(
            self.client,
            self.record.ledger,
            queue,
            submissions,
            self._state.known_records,
            {user for key, user in self._state.sent_first if key == queue.target.key},
        )
        records = search.read_records()
        findings = self._read(queue, submissions, records, lists)
        outcomes = self._decide(queue, submissions, findings)
        surplus = [*search.of_members(findings), *search.of_others(records)]
        refused = {
            member.row
            for sent in submissions
            if sent.refusal is not None
            for member in sent.members
        }
        accepted = {row: outcome for row, outcome in outcomes.items() if row not in refused}
        alarm = self._alarm(queue.target, accepted)
        self.record(*_read_back_events(submissions, outcomes), *surplus)
        return Reconciled(
            [outcome for outcome in outcomes.values() if outcome.kind != "skipped"],
            alarm,
            any(finding.target_missing for finding in findings),
        )

    def _read(
        self,
        queue: TargetQueue,
        submissions: Sequence[Submission],
        records: Records,
        lists: BothLists | None,
    ) -> list[Finding]:
        """Read both lists; where a job may still run, one submission (a page) at a time."""
        groups = [submissions]
        if any(submission.problem for submission in submissions):
            groups = [(submission,) for submission in submissions]
        return [
            finding
            for group in groups
            for finding in read_findings(
                self.client, queue, group, self.terms, records=records, lists=lists
            )
        ]

    def _decide(
        self, queue: TargetQueue, submissions: Sequence[Submission], findings: Sequence[Finding]
    ) -> dict[int, Outcome]:
        """Return the outcome of each row that has one now."""
        by_row = {member.row: sent for sent in submissions for member in sent.members}
        since = min(submission.sent_at for submission in submissions) - GRACE
        courses = self._courses(queue.target, findings, since)
        now = self.client.session.platform_time()
        next_round = self._rows_of_next_round(submissions, findings)
        rows = self._rows_of(finding.member for finding in findings)
        outcomes: dict[int, Outcome] = {}
        for finding in findings:
            row, own = finding.member.row, courses.get(finding.member.user_id, ())
            decided = verdict(
                finding,
                by_row[row],
                reset=self.terms.reset_tracking,
                lost=self._state.lost[row],
                now=now,
                more_rounds=row in next_round,
                courses=own,
            )
            if decided is not None:
                decided = _with_courses(decided, own)
                outcomes[row] = _outcome(rows, finding.member, decided, finding, own)
        return outcomes

    def _rows_of_next_round(
        self, submissions: Sequence[Submission], findings: Sequence[Finding]
    ) -> frozenset[int]:
        """Return the rows that a select-all call has left for its next round."""
        limit = self.client.limits.select_all
        archived = {finding.member.row for finding in findings if finding.record is not None}
        rows: set[int] = set()
        for submission in submissions:
            sent = {member.row for member in submission.members}
            is_begun = submission.is_begun or not sent.isdisjoint(archived)
            if submission.is_for_all and submission.count > limit and is_begun:
                rows |= sent
        return frozenset(rows)

    def _alarm(
        self, target: PlannedTarget, outcomes: Mapping[int, Outcome]
    ) -> RunStoppedError | None:
        """Return the error that stops the job where a record was not seen; once for each row."""
        for row, outcome in outcomes.items():
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

    def _outcomes(
        self, submission: Submission, code: str, reason: str
    ) -> tuple[tuple[int, Outcome], ...]:
        rows = self._rows_of(submission.members)
        return tuple(
            (member.row, _outcome(rows, member, (code, reason))) for member in submission.members
        )

    def _rows_of(self, members: Iterable[PlannedEnrollment]) -> Mapping[int, Row]:
        return self.rows.by_index(member.row for member in members)


def _outcome(
    rows: Mapping[int, Row],
    member: PlannedEnrollment,
    decided: tuple[str, str],
    finding: Finding | None = None,
    courses: tuple[CourseOutcome, ...] = (),
) -> Outcome:
    """Return the outcome of a member's row, with the code and the reason that were decided."""
    return Outcome.of(
        rows[member.row],
        *decided,
        user_id=member.user_id,
        record=finding.record if finding else None,
        differences=finding.differences if finding else (),
        courses=courses,
    )


def _read_back_events(
    submissions: Sequence[Submission], outcomes: Mapping[int, Outcome]
) -> list[Event]:
    """Return an event for each chunk, with the outcomes of its rows."""
    rows: dict[str, list[tuple[int, Outcome]]] = {}
    for submission in submissions:
        rows.setdefault(submission.chunk.chunk_id, []).extend(
            (member.row, outcomes[member.row])
            for member in submission.members
            if member.row in outcomes
        )
    return [ReadBack(chunk_id=chunk, outcomes=tuple(own)) for chunk, own in rows.items()]


def _with_courses(decided: tuple[str, str], courses: Sequence[CourseOutcome]) -> tuple[str, str]:
    """Return the code and the reason, which names the courses that are not as requested."""
    code, reason = decided
    wrong = [course for course in courses if course.status not in AS_REQUESTED]
    if CODES[code] == "archived" and wrong:
        shown = ", ".join(f"course {course.course_id} {course.status}" for course in wrong)
        reason = f"{reason}; {len(wrong)} of {len(courses)} courses not as requested: {shown}"
    return code, reason
