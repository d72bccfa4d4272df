"""Run a plan, starting from the state in its ledger: send, wait, read back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import define

from lms_archive.archive.running.batches import Batches
from lms_archive.archive.running.jobs import InFlight, Jobs
from lms_archive.archive.running.plan_guard import LearningPlanGuard
from lms_archive.archive.running.queues import OpenQueues, TargetQueue
from lms_archive.archive.running.readback import (
    Look,
    look_together,
    wanted_of,
)
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder, RunState
from lms_archive.archive.running.submission import StoppedByError, Submitter
from lms_archive.archive.running.verdict import canary_failed, chunk_failed
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.many import batches
from lms_archive.archive.values.events import (
    Proven,
    Reported,
    Resumed,
    RunStarted,
)
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    CanaryFailedError,
    JobTimeoutError,
    NotFoundError,
    RunStoppedError,
    StopRequestedError,
    UnexpectedArchiveError,
)
from lms_archive.records.status import ArchiveMode

__all__ = ["Run", "run"]

log: logging.Logger = logging.getLogger(__name__)

_REASONS = (RunStoppedError, JobTimeoutError)
_MORE_THAN_ASKED = "more was archived than requested:"


def run(
    client: Client,
    record: Recorder,
    rows: RowLookup,
    terms: Terms,
    *,
    canary: int,
    fresh: bool,
    allow_changes: bool,
) -> None:
    """Go on until every row has an outcome.

    Args:
        client: the platform.
        record: writes events; its state is that of the ledger.
        rows: the rows asked for, for their outcomes.
        terms: what is done with each.
        canary: how many enrollments are sent alone before the first chunk.
        fresh: whether the reading that the plan was made of may be used while it is young.
        allow_changes: whether the job continues if a learning plan was changed meanwhile.

    Raises:
        RunStoppedError: something was not as it should be.
        ApiError: a call failed.
    """
    state = record.state
    if state.is_done and not state.unreported:
        return
    is_first = state.jobs_before is None
    jobs = Jobs(client, before=state.jobs_before)
    record(RunStarted(tuple(sorted(jobs.before)), canary) if is_first else Resumed(canary))
    in_flight = InFlight(client, record, jobs)
    reconciler = Reconciler(client, record, rows, terms)
    guard = LearningPlanGuard(client, record, allow_changes)
    batches = Batches(client, record, reconciler, terms, fresh)
    submitter = Submitter(client, record, terms, in_flight, reconciler, batches, guard)
    whole = Run(client, record, terms, canary, in_flight, reconciler, submitter)
    whole.go(is_first=is_first)


@define
class Run:
    """One run of a plan.

    Attributes:
        client: the platform.
        record: writes events.
        terms: what is done with each row.
        canary: how many enrollments are sent alone first.
        in_flight: waits for background jobs.
        reconciler: finds outcomes.
        submitter: sends what comes next.
    """

    client: Client
    record: Recorder
    terms: Terms
    canary: int
    in_flight: InFlight
    reconciler: Reconciler
    submitter: Submitter

    @property
    def state(self) -> RunState:
        """What the run knows."""
        return self.record.state

    def go(self, *, is_first: bool) -> None:
        """Finish what an earlier run left, prove the contract, then send the rest.

        Where something stops the run, what is in flight is read back before that is raised;
        where it is asked to stop, that is left to `resume`.
        """
        try:
            if self.state.unreported:
                raise UnexpectedArchiveError(_MORE_THAN_ASKED, seen=self.state.unreported)
            self._finish_earlier_run()
            if self.terms.mode is ArchiveMode.RE_ENROLL and (
                not is_first or self.in_flight.jobs.before
            ):
                # A job of a ledger that was given up could archive what this run enrolls again.
                self.in_flight.wait_for_quiet((), older=True)
            self._prove()
            self._send_all()
            self._finish()
        except StopRequestedError:
            raise
        except (*_REASONS, StoppedByError) as stop:
            self._finish_after(stop)
            raise self._reason(stop) from None

    # What is sent

    def _finish_earlier_run(self) -> None:
        """Settle what an earlier run left in flight, before anything is sent."""
        outcomes, reason = self._read_what_ended()
        if self.canary and "canary" not in self.state.proven:
            not_seen = [outcome for outcome in outcomes if outcome.code == "not_seen"]
            reason = canary_failed(not_seen, reason) or reason
        if reason is not None:
            raise reason

    def _prove(self) -> None:
        """Send the canary alone, then the first chunk alone; each is read back before the next."""
        if self.canary and "canary" not in self.state.proven:
            for _ in range(self.canary):
                outcomes, reason = self._send_alone(1)
                reason = canary_failed(outcomes, reason) or reason
                if reason is not None:
                    raise reason
            self.record(Proven("canary"))
        if "first_chunk" not in self.state.proven:
            outcomes, reason = self._send_alone(None)
            reason = reason or chunk_failed(outcomes)
            if reason is not None:
                raise reason
            self.record(Proven("first_chunk"))

    def _send_alone(self, count: int | None) -> tuple[list[Outcome], Exception | None]:
        """Send the next members that are still as planned, alone, and wait for their outcomes."""
        outcomes: list[Outcome] = []
        reasons = _Reasons()
        while not outcomes and reasons.first is None:
            queue = next((queue for queue in self.state.queues.values() if queue.pending), None)
            if queue is None:
                break
            with reasons.collect_errors():
                outcomes += self.submitter.submit(queue, count)
            with reasons.prefer_first_error():
                read, reason = self._read_what_ended(alone=count is not None, only=queue)
            outcomes += read
            reasons.add(reason)
        return outcomes, reasons.first

    def _send_all(self) -> None:
        """Send chunk after chunk, read targets back while jobs run, until nothing is pending."""
        queues = OpenQueues(iter(self.state.queues.values()))
        while self._step(queues):
            pass

    def _step(self, queues: OpenQueues) -> bool:
        """Send a chunk, else read targets back, else wait for a job; False: all is done."""
        reached = queues.reached()
        busy = [queue for queue in reached if queue.in_flight]

        def is_free(queue: TargetQueue) -> bool:
            """Return whether no job of this run may change the target; only then it is used."""
            return not any(queue.conflicts_with(other) for other in busy)

        if len(busy) < self.client.limits.max_open_jobs:
            ready = next((queue for queue in queues if queue.pending and is_free(queue)), None)
            if ready is not None:
                self.submitter.submit(ready, None)
                return True
        ended = [
            queue for queue in reached if queue.unverified and not queue.pending and is_free(queue)
        ]
        if group := self._worth_reading(ended, is_last=not busy):
            _, reason = self._read_back_all(group)
            if reason is not None:
                raise reason
        elif busy:
            self.in_flight.poll([submission for queue in busy for submission in queue.in_flight])
        else:
            return False
        return True

    # What is read back

    def _worth_reading(
        self, ended: Sequence[TargetQueue], *, is_last: bool
    ) -> Sequence[TargetQueue]:
        """Return what is read back now: a large target, or as many small ones as one walk takes."""
        small = self._small(ended)
        large = next((queue for queue in ended if queue not in small), None)
        if large is not None:
            return [large]
        if is_last:
            return small
        alike = [queue for queue in small if queue.target.kind == small[0].target.kind]
        groups = [*batches(wanted_of(alike), self.client.limits.page_size)]
        is_full = len(groups) > 1  # what belongs to the second one had no place in it
        return [queue for queue in alike if queue.target in groups[0]] if is_full else []

    def _small(self, queues: Sequence[TargetQueue]) -> list[TargetQueue]:
        """Return the targets that can be read together with others."""
        size = self.client.limits.page_size
        return [
            queue
            for queue in queues
            if queue.planned < size
            and not any(
                submission.problem or submission.is_for_all for submission in queue.unverified
            )
        ]

    def _read_back_all(
        self, queues: Sequence[TargetQueue], *, alone: bool = False
    ) -> tuple[list[Outcome], Exception | None]:
        """Read targets back, small ones together; return outcomes and the first reason to stop."""
        small = [] if alone else self._small(queues)
        looks = look_together(self.client, small) if len(small) > 1 else {}
        outcomes: list[Outcome] = []
        reasons = _Reasons()
        for queue in queues:
            with reasons.prefer_first_error():
                read, reason = self._read_back(queue, alone=alone, look=looks.get(queue.target.key))
            outcomes += read
            reasons.add(reason)
        return outcomes, reasons.first

    def _read_back(
        self, queue: TargetQueue, *, alone: bool, look: Look | None
    ) -> tuple[list[Outcome], Exception | None]:
        """Read a target back; return the outcomes, and why the run has to stop, if it has to."""
        if not queue.unverified:
            return [], None
        try:
            reconciled = self.reconciler.reconcile(queue, alone=alone, look=look)
        except ApiError as error:
            self.submitter.give_up(queue, error)
            outcomes = self.reconciler.settle_unverified(queue, error)
            if isinstance(error, NotFoundError):
                return [], None  # says nothing of the calls to other targets
            return outcomes, StoppedByError(error) if self.submitter.fails_again() else None
        self.submitter.failures = 0
        if not queue.in_flight and not reconciled.target_missing:
            self.submitter.guard.warn(queue)
        reason: Exception | None = reconciled.alarm
        if self.state.unreported:
            reason = UnexpectedArchiveError(_MORE_THAN_ASKED, seen=self.state.unreported)
        if not reconciled.target_missing:
            return reconciled.outcomes, reason
        self.submitter.give_up(queue)
        return [outcome for outcome in reconciled.outcomes if outcome.kind == "archived"], reason

    def _read_what_ended(
        self, *, alone: bool = False, only: TargetQueue | None = None
    ) -> tuple[list[Outcome], Exception | None]:
        """Wait for all that is in flight and read it back; return the first reason to stop."""
        reasons = _Reasons()
        while any(submission.job_id is not None for submission in self.state.in_flight):
            with reasons.collect_errors():
                self.in_flight.wait_for_jobs()
        if unnamed := self.state.in_flight:
            with reasons.collect_errors():
                self.in_flight.settle(unnamed)
        queues = self.state.queues.values() if only is None else (only,)
        unverified = [queue for queue in queues if queue.unverified]
        with reasons.prefer_first_error():
            outcomes, reason = self._read_back_all(unverified, alone=alone)
        reasons.add(reason)
        return outcomes, reasons.first

    def _finish(self) -> None:
        """Read back all that is left.

        Raises:
            RunStoppedError: something is not as it should be.
        """
        _, reason = self._read_what_ended()
        if reason is not None:
            raise reason

    def _finish_after(self, stop: Exception) -> None:
        """Read back what is in flight; nothing that this shows replaces the reason to stop."""
        try:
            self._read_what_ended()
        except (ApiError, StoppedByError, StopRequestedError) as error:
            log.warning("stopped before all was read back: %s (%s)", error, stop)

    def _reason(self, stop: Exception) -> Exception:
        """Return what is raised: unexpected records come first, and are reported once."""
        unreported = list(self.state.unreported)
        if unreported:
            self.record(Reported())
            if not isinstance(stop, CanaryFailedError):
                return UnexpectedArchiveError(_MORE_THAN_ASKED, seen=unreported)
        return stop.error if isinstance(stop, StoppedByError) else stop


@define
class _Reasons:
    """The first of several reasons to stop: what comes after it is still waited for and read."""

    first: Exception | None = None

    def add(self, reason: Exception | None) -> None:
        self.first = self.first or reason

    @contextmanager
    def collect_errors(self) -> Iterator[None]:
        """Store an error of the block that stops the run; let a request to stop through."""
        with self.prefer_first_error():
            try:
                yield
            except StopRequestedError:
                raise
            except _REASONS as reason:
                self.add(reason)

    @contextmanager
    def prefer_first_error(self) -> Iterator[None]:
        """Raise the stored error, if there is one, in place of a request to stop of the block."""
        try:
            yield
        except StopRequestedError:
            if self.first is None:
                raise
            raise self.first from None
