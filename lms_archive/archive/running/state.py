"""Hold the state of a run: what is pending, in flight and unverified. Only events change it.

A live run and one that is resumed use the same code: the first applies each event when it is in
the ledger, the second applies the ledger's events from the beginning.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import singledispatchmethod
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from attrs import evolve, frozen

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.submission import Members, Submission
from lms_archive.archive.selection import Form
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment
from lms_archive.archive.values.events import (
    ContractChecked,
    Event,
    HandPicked,
    JobEnded,
    JobGone,
    NotSent,
    OutcomeEvent,
    Proven,
    ReadBack,
    Refused,
    Reported,
    Resumed,
    RunStarted,
    Sending,
    Submitted,
    UnexpectedRecords,
)
from lms_archive.archive.values.outcomes import CODES


class RunState:
    """What is to be sent, in flight, unverified and proven, of all targets of a plan.

    `apply` alone changes it; a transition that the rules of a run forbid is an AssertionError.

    Attributes:
        queues: by target.
        open: the queues with something in flight, by target.
        proven: `"canary"` and `"first_chunk"`, once they were archived as requested.
        jobs_before: the jobs that were open before the first write; None before the first run.
        accepted: the kinds of targets for which the platform has accepted a write.
        sent: how often each row was sent, in all runs.
        lost: how often a call for each row was lost in this run: it had no answer.
        sent_first: the users, by id, who were sent before the first chunk was proven, each with
            every target in which that archives.
        not_seen: the rows that were reported as unenrolled without a record.
        known_records: ids of unexpected archived records that were noticed already.
        unreported: the texts about them that an error still has to report.
        total: rows that the plan sends.
        decided: rows among these that have their final outcome.
        undecided: rows that have an outcome which is not final.
        unsent: rows that are to be sent.
        chunks_sent: the chunks of which something was sent, by id.
    """

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.queues: dict[tuple[str, int], TargetQueue] = {}
        self.open: dict[tuple[str, int], TargetQueue] = {}
        self.proven: set[str] = set()
        self.jobs_before: frozenset[str] | None = None
        self.accepted: set[str] = set()
        self.sent: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self.sent_first: set[tuple[tuple[str, int], int]] = set()
        self.not_seen: set[int] = set()
        self.known_records: set[int] = set()
        self.unreported: list[str] = []
        self.chunks_sent: set[str] = set()
        self.undecided: set[int] = set()
        self.total: int = 0
        self.decided: int = 0
        self.unsent: int = 0
        self._canary = 0
        self._chunks: dict[str, tuple[int, TargetQueue]] = {}
        for position, chunk in enumerate(chunks):
            queue = self.queues.setdefault(chunk.target.key, TargetQueue(chunk.target))
            queue.pending.append((chunk, chunk.members))
            self._chunks[chunk.chunk_id] = position, queue
            queue.planned += len(chunk)
            self.total += len(chunk)
        self.unsent = self.total

    @property
    def chunk_count(self) -> int:
        """How many chunks the plan has."""
        return len(self._chunks)

    @property
    def in_flight(self) -> list[Submission]:
        """Everything that the platform may still be working on."""
        return [submission for queue in self.open.values() for submission in queue.in_flight]

    @property
    def is_done(self) -> bool:
        """Whether every row has its final outcome; unknown rows are still looked at."""
        return self.decided == self.total

    def queue_of(self, chunk_id: str) -> TargetQueue:
        """Return the queue of a chunk's target."""
        return self._chunks[chunk_id][1]

    @singledispatchmethod
    def check(self, event: Event) -> None:
        """Check that the rules of a run allow this event now.

        Raises:
            AssertionError: they forbid it.
        """

    @check.register
    def _check_sending(self, event: Sending) -> None:
        queue = self.queue_of(event.chunk_id)
        busy = [other for other in self.open.values() if other.conflicts_with(queue)]
        _require(not busy, "two jobs on one target, or on a learning plan and a course of it")
        if self._canary and "canary" not in self.proven:
            alone = len(event.rows) == 1 and not self.open
            _require(alone, "the canary is sent alone, and nothing before it is proven")
        if "first_chunk" not in self.proven:
            _require(not self.open, "the first chunk is sent alone")
        unsent = queue.pending_rows(event.chunk_id)
        _require(unsent.issuperset(event.rows), "a row is sent again only after it was read back")

    @check.register
    def _check_proven(self, event: Proven) -> None:
        _require(not self.open, f"the {event.stage} is proven when it was read back")

    @singledispatchmethod
    def apply(self, event: Event) -> None:
        """Apply an event; warnings, notes and calls change nothing.

        Raises:
            AssertionError: the rules of a run forbid it.
        """

    @apply.register
    def _started(self, event: RunStarted) -> None:
        self.jobs_before, self._canary = frozenset(event.jobs_before), event.canary

    @apply.register
    def _resumed(self, event: Resumed) -> None:
        """Continue an earlier run: whatever it sent may still be in progress."""
        self._canary = event.canary
        self.lost.clear()
        for queue in self.queues.values():
            queue.in_flight = [
                evolve(submission, problem=None, is_resumed=True)
                for submission in (*queue.in_flight, *queue.unverified)
            ]
            queue.unverified.clear()
            self._reopen_unknown(queue)
            self._note_open(queue)

    def _reopen_unknown(self, queue: TargetQueue) -> None:
        """Reopen rows whose outcome is unknown: what was sent is read back, the rest is sent."""
        sent: dict[Submission, list[PlannedEnrollment]] = {}
        for member, chunk, submission in queue.unknown:
            if submission is None:
                queue.pending.append((chunk, (member,)))
                self.unsent += 1
            else:
                sent.setdefault(submission, []).append(member)
        queue.unknown.clear()
        queue.in_flight += (
            evolve(submission, members=tuple(members), problem=None, is_resumed=True)
            for submission, members in sent.items()
        )
        order = sorted(queue.pending, key=lambda entry: self._chunks[entry[0].chunk_id][0])
        queue.pending = deque(_merged(order))

    @apply.register
    def _sending(self, event: Sending) -> None:
        self.check(event)
        queue = self.queue_of(event.chunk_id)
        taken = queue.take(set(event.rows))
        members = tuple(member for member, *_ in taken)
        chunk = evolve(taken[0][1], form=event.form)
        is_alone = "first_chunk" not in self.proven
        queue.in_flight.append(Submission(chunk, members, event.sent_at, is_alone=is_alone))
        self.sent.update(event.rows)
        self.lost.update(event.rows)
        if is_alone:
            self.sent_first.update(_pairs(queue, members))
        self.unsent -= len(members)
        self._note_open(queue)

    @apply.register
    def _submitted(self, event: Submitted) -> None:
        queue = self.queue_of(event.chunk_id)
        self._answered(queue, job_id=event.job_id)
        self.accepted.add(queue.target.kind)
        self.chunks_sent.add(event.chunk_id)

    @apply.register
    def _not_sent(self, event: NotSent) -> None:
        queue = self.queue_of(event.chunk_id)
        submission = queue.in_flight.pop()
        rows = [member.row for member in submission.members]
        if submission.refusal is None:  # the platform has not seen the call
            self.sent.subtract(rows)
            self.lost.subtract(rows)
        self.sent_first.difference_update(_pairs(queue, submission.members))
        self._put_back(queue, submission)
        self._note_open(queue)

    @apply.register
    def _refused(self, event: Refused) -> None:
        queue = self.queue_of(event.chunk_id)
        self._answered(queue, refusal=event)

    def _answered(self, queue: TargetQueue, **answer: Any) -> None:
        submission = queue.in_flight[-1]
        self.lost.subtract(member.row for member in submission.members)
        queue.replace(submission, in_doubt=False, **answer)

    @apply.register
    def _job_gone(self, event: JobGone) -> None:
        queue = self.queue_of(event.chunk_id)
        for submission in queue.of_job(event.chunk_id, event.job_id):
            queue.replace(submission, job_id=None, in_doubt=True)

    @apply.register
    def _job_ended(self, event: JobEnded) -> None:
        queue = self.queue_of(event.chunk_id)
        for submission in queue.of_job(event.chunk_id, event.job_id):
            queue.in_flight.remove(submission)
            queue.unverified.append(evolve(submission, problem=event.problem))
        self._note_open(queue)

    @apply.register
    def _hand_picked(self, event: HandPicked) -> None:
        queue = self.queue_of(event.chunk_id)
        form: Form = "hand_picked"
        queue.pending = deque(
            (evolve(chunk, form=form) if chunk.chunk_id == event.chunk_id else chunk, members)
            for chunk, members in queue.pending
        )

    @apply.register
    def _read_back(self, event: ReadBack) -> None:
        self._give_outcomes(event)
        queue = self.queue_of(event.chunk_id or "")
        for submission in tuple(queue.unverified):
            if submission.chunk.chunk_id == event.chunk_id:
                queue.unverified.remove(submission)
                self._put_back(queue, submission)

    @apply.register
    def _give_outcomes(self, event: OutcomeEvent) -> None:
        """Give rows their outcomes. Unknown ones are looked at again by a later run."""
        if event.chunk_id is None:
            return
        queue = self.queue_of(event.chunk_id)
        taken = queue.take(event.codes.keys())
        begun = {
            submission: evolve(submission, is_begun=True)
            for member, _, submission in taken
            if submission is not None and CODES[event.codes[member.row]] == "archived"
        }
        for member, chunk, submission in taken:
            code = event.codes[member.row]
            self.unsent -= submission is None
            queue.archived += CODES[code] == "archived"
            if CODES[code] == "unknown":
                sent = submission and begun.get(submission, submission)
                queue.unknown.append((member, chunk, sent))
                self.undecided.add(member.row)
            else:
                self.undecided.discard(member.row)
                self.decided += 1
            if code == "not_seen":
                self.not_seen.add(member.row)
        self._note_open(queue)

    @apply.register
    def _proven(self, event: Proven) -> None:
        self.check(event)
        self.proven.add(event.stage)

    @apply.register
    def _contract_checked(self, _event: ContractChecked) -> None:
        self.proven.clear()  # another contract has to be proven again
        self.sent_first.clear()

    @apply.register
    def _unexpected(self, event: UnexpectedRecords) -> None:
        self.known_records.update(event.records)
        self.unreported.append(event.text)

    @apply.register
    def _reported(self, _event: Reported) -> None:
        self.unreported.clear()

    def _put_back(self, queue: TargetQueue, submission: Submission) -> None:
        queue.pending.appendleft((submission.chunk, submission.members))
        self.unsent += len(submission.members)

    def _note_open(self, queue: TargetQueue) -> None:
        if queue.in_flight:
            self.open[queue.target.key] = queue
        else:
            self.open.pop(queue.target.key, None)


@frozen
class Recorder:
    """Checks events, writes them to the ledger, applies them, and passes them to the listeners."""

    ledger: Ledger
    state: RunState
    listeners: Sequence[Callable[[Event], None]] = ()

    def __call__(self, *events: Event) -> None:
        """Record these events, all or none.

        Raises:
            AssertionError: the rules of a run forbid one: nothing is written.
            LedgerError: they cannot be written: nothing has changed.
        """
        if not events:
            return
        for event in events:
            self.state.check(event)
        self.ledger.append(*events)
        for event in events:
            self.state.apply(event)
        for event in events:
            for listener in self.listeners:
                listener(event)


def _pairs(queue: TargetQueue, members: Members) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield the users of these members with each target in which they are archived."""
    return ((key, member.user_id) for key in queue.affected for member in members)


def _require(holds: bool, rule: str) -> None:  # noqa: FBT001  it is what an assert takes
    if not holds:  # not `assert`, which -O would take away
        raise AssertionError(f"a rule of the run is broken: {rule}")


def _merged(entries: Iterable[tuple[Chunk, Members]]) -> Iterator[tuple[Chunk, Members]]:
    """Merge adjacent members of one chunk and form, in the order of the rows."""
    for _, group in groupby(entries, key=lambda entry: (entry[0].chunk_id, entry[0].form)):
        chunks, members = zip(*group, strict=True)
        yield chunks[0], tuple(sorted(chain.from_iterable(members), key=attrgetter("row")))
