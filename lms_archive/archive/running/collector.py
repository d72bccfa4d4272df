"""Collect what was sent: wait for its jobs, and read it back, small targets together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import define, field, frozen

from lms_archive.archive.running.jobs import InFlight
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.readback import (
    BothLists,
    read_lists_together,
    unverified_users,
)
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder
from lms_archive.archive.running.submitter import StoppedByError, Submitter
from lms_archive.archive.target.many import split_into_batches
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    JobTimeoutError,
    NotFoundError,
    RunStoppedError,
    StopRequestedError,
    UnexpectedArchiveError,
)

MORE_THAN_REQUESTED = "more was archived than requested:"
REASONS = (RunStoppedError, JobTimeoutError)
"""The errors that stop a run, and what is in flight can still be read back."""


@define
class Results:
    """The outcomes of what was collected, and the first reason to stop the run.

    What comes after that reason is still waited for and read back.
    """

    outcomes: list[Outcome] = field(factory=list)
    reason: Exception | None = None

    def add_reason(self, reason: Exception | None) -> None:
        """Keep the first reason."""
        self.reason = self.reason or reason

    def raise_reason(self) -> None:
        """Raise the reason, if there is one."""
        if self.reason is not None:
            raise self.reason

    @contextmanager
    def collect_errors(self) -> Iterator[None]:
        """Store an error of the block that stops the run; let a request to stop through."""
        with self.prefer_first_error():
            try:
                yield
            except StopRequestedError:
                raise
            except REASONS as reason:
                self.add_reason(reason)

    @contextmanager
    def prefer_first_error(self) -> Iterator[None]:
        """Raise the stored error, if there is one, in place of a request to stop of the block."""
        try:
            yield
        except StopRequestedError:
            if self.reason is None:
                raise
            raise self.reason from None


@frozen
class Collector:
    """Waits for what was sent and reads it back.

    Attributes:
        client: the platform.
        record: writes events.
        in_flight: waits for background jobs.
        reconciler: finds outcomes.
        submitter: gives up targets that cannot be read.
    """

    client: Client
    record: Recorder
    in_flight: InFlight
    reconciler: Reconciler
    submitter: Submitter

    def collect(
        self,
        results: Results | None = None,
        *,
        only: TargetQueue | None = None,
    ) -> Results:
        """Wait for all that is in flight, and read it back.

        Args:
            results: the results to add to.
            only: the target to read back; all, if None.
        """
        results = Results() if results is None else results
        state = self.record.state
        while any(submission.job_id is not None for submission in state.in_flight):
            with results.collect_errors():
                self.in_flight.wait_for_jobs()
        if unnamed := state.in_flight:
            with results.collect_errors():
                self.in_flight.settle(unnamed)
        queues = state.queues.values() if only is None else (only,)
        unverified = [queue for queue in queues if queue.unverified]
        return self.read_back(unverified, results)

    def read_back(self, queues: Sequence[TargetQueue], results: Results | None = None) -> Results:
        """Read targets back, small ones together."""
        results = Results() if results is None else results
        with results.prefer_first_error():
            small = self._small(queues)
            lists = read_lists_together(self.client, small) if len(small) > 1 else {}
            for queue in queues:
                self._read_back(queue, results, lists.get(queue.target.key))
        return results

    def worth_reading(
        self, ended: Sequence[TargetQueue], *, is_last: bool
    ) -> Sequence[TargetQueue]:
        """Return what is read back now: a large target, or as many small ones as one list takes.

        Args:
            ended: the targets where all jobs have ended.
            is_last: whether nothing else is in flight.
        """
        small = self._small(ended)
        large = next((queue for queue in ended if queue not in small), None)
        if large is not None:
            return [large]
        if is_last:
            return small
        alike = [queue for queue in small if queue.target.kind == small[0].target.kind]
        batches = [*split_into_batches(unverified_users(alike), self.client.limits.page_size)]
        if len(batches) < 2:  # noqa: PLR2004  the first one has room for more
            return []
        return [queue for queue in alike if queue.target in batches[0]]

    def _small(self, queues: Sequence[TargetQueue]) -> list[TargetQueue]:
        """Return the targets that can be read together with others."""
        return [
            queue
            for queue in queues
            if queue.planned < self.client.limits.page_size
            and not any(
                submission.problem or submission.is_watched for submission in queue.unverified
            )
        ]

    def _read_back(self, queue: TargetQueue, results: Results, lists: BothLists | None) -> None:
        """Read a target back; add the outcomes, and why the run has to stop, if it has to."""
        try:
            reconciled = self.reconciler.reconcile(queue, lists)
        except ApiError as error:
            self.submitter.give_up(queue, error)
            outcomes = self.reconciler.decide_unverified(queue, error)
            if not isinstance(error, NotFoundError):  # that says nothing of other targets
                results.outcomes += outcomes
                results.add_reason(StoppedByError(error) if self.submitter.fails_again() else None)
            return
        self.submitter.failures = 0
        if not queue.in_flight and not reconciled.target_missing:
            self.submitter.guard.warn(queue)
        outcomes = reconciled.outcomes
        if reconciled.target_missing:
            self.submitter.give_up(queue)
            outcomes = [outcome for outcome in outcomes if outcome.kind == "archived"]
        results.outcomes += outcomes
        if unreported := self.record.state.unreported:
            results.add_reason(UnexpectedArchiveError(MORE_THAN_REQUESTED, seen=unreported))
        results.add_reason(reconciled.alarm)
