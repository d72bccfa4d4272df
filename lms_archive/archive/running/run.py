"""Run a plan, starting from the state in its ledger: send, wait, read back."""

from __future__ import annotations

import logging

from attrs import frozen

from lms_archive.archive.running.batches import Batches
from lms_archive.archive.running.collector import MORE_THAN_REQUESTED, REASONS, Collector, Results
from lms_archive.archive.running.failures import canary_failed, chunk_failed
from lms_archive.archive.running.jobs import InFlight, Jobs
from lms_archive.archive.running.plan_guard import LearningPlanGuard
from lms_archive.archive.running.queues import OpenQueues, TargetQueue
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder, RunState
from lms_archive.archive.running.submitter import StoppedByError, Submitter
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.events import Proven, Reported, Resumed, RunStarted
from lms_archive.archive.values.outcomes import CODES
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    CanaryFailedError,
    StopRequestedError,
    UnexpectedArchiveError,
)
from lms_archive.records.status import ArchiveMode

log: logging.Logger = logging.getLogger(__name__)


def run(
    client: Client,
    record: Recorder,
    rows: RowLookup,
    terms: Terms,
    *,
    canary: int,
    may_use_reading: bool,
    allow_changes: bool,
) -> None:
    """Go on until every row has an outcome.

    Args:
        client: the platform.
        record: writes events; its state is that of the ledger.
        rows: the rows requested, for their outcomes.
        terms: what is done with each.
        canary: how many enrollments are sent alone before the first chunk.
        may_use_reading: whether the plan's reading may be used while it is recent enough.
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
    batches = Batches(client, record, reconciler, terms, may_use_reading)
    submitter = Submitter(client, record, terms, in_flight, reconciler, batches, guard)
    collector = Collector(client, record, in_flight, reconciler, submitter)
    Run(client, record, terms, canary, in_flight, submitter, collector).go(is_first=is_first)


@frozen
class Run:
    """One run of a plan.

    Attributes:
        client: the platform.
        record: writes events.
        terms: what is done with each row.
        canary: how many enrollments are sent alone first.
        in_flight: waits for background jobs.
        submitter: sends what comes next.
        collector: waits for what was sent, and reads it back.
    """

    client: Client
    record: Recorder
    terms: Terms
    canary: int
    in_flight: InFlight
    submitter: Submitter
    collector: Collector

    @property
    def state(self) -> RunState:
        """What the run knows."""
        return self.record.state

    def go(self, *, is_first: bool) -> None:
        """Finish what an earlier run left, prove the contract, then send the rest.

        Where something stops the run, what is in flight is read back before that is raised; where
        a stop is requested, that is left to `resume`.
        """
        try:
            if self.state.unreported:
                raise UnexpectedArchiveError(MORE_THAN_REQUESTED, seen=self.state.unreported)
            self._finish_earlier_run()
            if self.terms.mode is ArchiveMode.RE_ENROLL and (
                not is_first or self.in_flight.jobs.before
            ):
                # A job of a ledger that was given up could archive what this run enrolls again.
                self.in_flight.wait_for_quiet((), older=True)
            self._prove()
            self._send_all()
            self.collector.collect().raise_reason()
        except StopRequestedError:
            raise
        except (*REASONS, StoppedByError) as stop:
            self._finish_after(stop)
            raise self._reason(stop) from None

    def _finish_earlier_run(self) -> None:
        """Collect what an earlier run left in flight, before anything is sent."""
        was_canary = all(sent.is_alone and sent.count == 1 for sent in self.state.in_flight)
        results = self.collector.collect()
        if self.canary and "canary" not in self.state.proven:
            # One without an answer proves nothing: another follows it.
            judged = {"not_seen"} if not was_canary else CODES.keys() - {"no_answer"}
            results.outcomes = [outcome for outcome in results.outcomes if outcome.code in judged]
            self._judge(results)
        results.raise_reason()

    def _prove(self) -> None:
        """Send the canary alone, then the first chunk alone; each is read back before the next."""
        if self.canary and "canary" not in self.state.proven:
            for _ in range(self.canary):
                self._judge(self._send_alone(1))
            self.record(Proven("canary"))
        if "first_chunk" not in self.state.proven:
            self._judge(self._send_alone(None))
            self.record(Proven("first_chunk"))

    def _judge(self, results: Results) -> None:
        """Raise the reason to stop, if what was sent alone was not archived as requested."""
        outcomes, proven = results.outcomes, self.state.proven
        if self.canary and "canary" not in proven:
            results.reason = canary_failed(self.client, outcomes, results.reason) or results.reason
        elif "first_chunk" not in proven:
            results.add_reason(chunk_failed(self.client, outcomes))
        results.raise_reason()

    def _send_alone(self, count: int | None) -> Results:
        """Send the next members that are still as planned, alone, and collect them."""
        results = Results()
        while not results.outcomes and results.reason is None:
            queue = next((queue for queue in self.state.queues.values() if queue.pending), None)
            if queue is None:
                break
            with results.collect_errors():
                self.submitter.submit(queue, count)
            self.collector.collect(results, only=queue)
        return results

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

        def may_send(queue: TargetQueue) -> bool:
            """Return whether that hides nothing of another target that is not read back yet."""
            unread = (other for other in reached if other.unverified and other is not queue)
            return is_free(queue) and not any(queue.conflicts_with(other) for other in unread)

        if len(busy) < self.client.limits.max_open_jobs:
            ready = next((queue for queue in queues if queue.pending and may_send(queue)), None)
            if ready is not None:
                self.submitter.submit(ready, None)
                return True
        ended = [
            queue for queue in reached if queue.unverified and not queue.pending and is_free(queue)
        ]
        if group := self.collector.worth_reading(ended, is_last=not busy):
            self.collector.read_back(group).raise_reason()
        elif busy:
            self.in_flight.poll([submission for queue in busy for submission in queue.in_flight])
        else:
            return False
        return True

    def _finish_after(self, stop: Exception) -> None:
        """Collect what is in flight; nothing that this shows replaces the reason to stop."""
        try:
            self.collector.collect()
        except (*REASONS, ApiError, StoppedByError) as error:
            log.warning("stopped before all was read back: %s (%s)", error, stop)

    def _reason(self, stop: Exception) -> Exception:
        """Return what is raised: unexpected records come first, and are reported once."""
        unreported = list(self.state.unreported)
        if unreported:
            self.record(Reported())
            if not isinstance(stop, CanaryFailedError):
                return UnexpectedArchiveError(MORE_THAN_REQUESTED, seen=unreported)
        return stop.error if isinstance(stop, StoppedByError) else stop
