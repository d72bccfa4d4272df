"""Run a plan from the state in its ledger: send, wait, read back; stop where something is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import define, field

from lms_archive.archive.running.batches import Batches
from lms_archive.archive.running.jobs import Jobs
from lms_archive.archive.running.plan_guard import LearningPlanGuard
from lms_archive.archive.running.queues import OpenQueues
from lms_archive.archive.running.readback import (
    Look,
    check_platform,
    concerns_target,
    is_missing,
    look_together,
)
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder, RunState, Submission, TargetQueue
from lms_archive.archive.running.submission import submit
from lms_archive.archive.running.verdict import canary_failed, chunk_failed, stops_job
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.events import (
    JobEnded,
    JobGone,
    NotSent,
    Proven,
    Reported,
    Resumed,
    RunStarted,
    Sending,
    Submitted,
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
    UnexpectedArchiveError,
)
from lms_archive.records.status import ArchiveMode

__all__ = ["Run", "run"]

log: logging.Logger = logging.getLogger(__name__)

_REASONS = (RunStoppedError, JobTimeoutError)
_MORE_THAN_ASKED = "more was archived than asked for:"


class _StoppedByError(Exception):
    """A failed call stops the run, and what is in flight can still be read back."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error)
        self.error = error


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
        allow_changes: whether the job goes on where a learning plan was changed meanwhile.

    Raises:
        RunStoppedError: something was not as it should be.
        ApiError: a call failed.
    """
    state = record.state
    if state.is_done and not state.unreported:
        return
    reconciler = Reconciler(client, record, rows, terms)
    is_first = state.jobs_before is None
    jobs = Jobs(client, before=state.jobs_before)
    record(RunStarted(tuple(sorted(jobs.before)), canary) if is_first else Resumed(canary))
    Run(
        client=client,
        record=record,
        terms=terms,
        canary=canary,
        jobs=jobs,
        reconciler=reconciler,
        batches=Batches(client, record, reconciler, terms, fresh),
        guard=LearningPlanGuard(client, record, allow_changes),
    ).go(is_first=is_first)


@define
class Run:
    """One run of a plan.

    Attributes:
        client: the platform.
        record: writes events.
        terms: what is done with each row.
        canary: how many enrollments are sent alone first.
        jobs: the background jobs.
        reconciler: finds outcomes.
        batches: chooses what is sent next.
        guard: watches the learning plans.
    """

    client: Client
    record: Recorder
    terms: Terms
    canary: int
    jobs: Jobs
    reconciler: Reconciler
    batches: Batches
    guard: LearningPlanGuard
    _failures: int = field(default=0, init=False)

    @property
    def state(self) -> RunState:
        """What the run knows."""
        return self.record.state

    def go(self, *, is_first: bool) -> None:
        """Finish what an earlier run left, prove the contract, then send the rest.

        Where something stops the run, what is in flight is read back before that is raised.
        """
        try:
            if self.state.unreported:
                raise UnexpectedArchiveError(_MORE_THAN_ASKED, seen=self.state.unreported)
            self._finish_earlier_run()
            if self.terms.mode is ArchiveMode.RE_ENROLL and (not is_first or self.jobs.before):
                # A job of a ledger that was given up could archive what this run enrolls again.
                self._wait_for_quiet((), older=True)
            self._prove()
            self._send_all()
            self._finish()
        except (*_REASONS, _StoppedByError) as stop:
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
            with reasons.collected():
                outcomes += self._submit(queue, count)
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
            """No job of ours is at work there: elsewhere nothing is sent or read."""
            return not any(queue.conflicts_with(other) for other in busy)

        if len(busy) < self.client.limits.max_open_jobs:
            ready = next((one for one in queues if one.pending and is_free(one)), None)
            if ready is not None:
                self._submit(ready, None)
                return True
        ended = [one for one in reached if one.unverified and not one.pending and is_free(one)]
        if ended and (self._fill_a_page(ended) or not self.state.unsent or not busy):
            _, reason = self._read_back_all(ended)
            if reason is not None:
                raise reason
        elif busy:
            self._poll([one for queue in busy for one in queue.in_flight])
        else:
            return False
        return True

    def _submit(self, queue: TargetQueue, count: int | None) -> list[Outcome]:
        """Send the next batch of a queue; return the outcomes where it was refused."""
        try:
            self.guard.check(queue)
            chunk, members = self.batches.next(queue, count)
        except ApiError as error:
            self._give_up(queue, error)
            return []
        if not members:
            return []
        chunk_id, rows = chunk.chunk_id, tuple(member.row for member in members)
        sent_at = self.client.session.platform_time()
        self.record(Sending(chunk_id, rows, sent_at, chunk.form))
        submission = queue.in_flight[-1]
        try:
            accepted = submit(self.client, self.terms, chunk, members)
        except ApiError as error:
            return self._not_accepted(queue, submission, error)
        self.record(Submitted(chunk_id, accepted.job_id))
        log.info("sent %d of %s (job %s)", len(members), queue.target, accepted.job_id)
        if accepted.job_id is not None:
            self.jobs.begin(accepted.job_id)
        elif not accepted.is_done:  # a job without a name needs time to be listed
            self._settle(queue.in_flight)
        elif len(members) > 1:
            self._wait_for_jobs()
            self._wait_for_quiet(queue.in_flight)
        else:
            self.record(JobEnded(chunk_id))
        return []

    def _not_accepted(
        self, queue: TargetQueue, submission: Submission, error: ApiError
    ) -> list[Outcome]:
        """Decide what a refused or lost call means, for its rows and for the run."""
        if error.in_doubt:
            log.warning("in doubt, reading back: %s", error)
            self._settle([submission])
            return []
        is_login = error.path == self.client.session.operation("token").path
        is_not_found = isinstance(error, NotFoundError) and not is_login
        if is_not_found and is_missing(self.client, queue.target, submission.members[:1]):
            self.reconciler.settle_refused(submission, error)
            self.reconciler.settle_pending(queue)
            return []
        # Where the call was accepted before, it is the target that is not there.
        of_target = is_not_found and queue.target.kind in self.state.accepted
        stops = self._fails_again() if of_target else is_login or stops_job(error)
        if not stops:
            return self.reconciler.settle_refused(submission, error)
        self.record(NotSent(submission.chunk.chunk_id, str(error)))
        raise _StoppedByError(error)

    def _fails_again(self) -> bool:
        """Count a failure of which one target may be the cause: the second in a row stops."""
        self._failures += 1
        return self._failures > 1

    def _give_up(self, queue: TargetQueue, error: ApiError | None = None) -> None:
        """Send nothing more to a target that cannot be read, so that the others can go on.

        Without an error, or with a 404, it is not there any more.

        Raises:
            ApiError: the error, where it concerns the whole job.
        """
        if error is not None and not concerns_target(self.client, error):
            raise error
        if error is None or isinstance(error, NotFoundError):
            check_platform(self.client)
            error = None
        self.reconciler.settle_pending(queue, error)

    # What is waited for

    def _wait_for_jobs(self) -> None:
        """Wait until no named job is in flight."""
        while named := [one for one in self.state.in_flight if one.job_id is not None]:
            self._poll(named)

    def _poll(self, submissions: Sequence[Submission]) -> None:
        """Wait for some of these jobs, and record which have ended.

        Raises:
            JobTimeoutError: the end of one is not known.
        """
        timeout: JobTimeoutError | None = None
        for ended in self.jobs.poll(submissions):
            chunk_id, job_id = ended.submission.chunk.chunk_id, ended.submission.job_id or ""
            if ended.is_gone and ended.submission.is_resumed:
                self.record(JobGone(chunk_id, job_id))
                continue
            self.record(JobEnded(chunk_id, job_id, ended.problem))
            if ended.problem is not None:
                timeout = timeout or JobTimeoutError(job_id, ended.problem)
        if timeout is not None:
            raise timeout

    def _settle(self, submissions: Sequence[Submission]) -> None:
        """Let calls without an answer arrive, and what they may have begun come to its end."""
        self.client.session.clock.sleep(self.client.session.settings.retry.settle)
        self._wait_for_jobs()
        self._wait_for_quiet(submissions)

    def _wait_for_quiet(self, submissions: Sequence[Submission], *, older: bool = False) -> None:
        """Wait until no job that could be one of these submissions' is open any more.

        Raises:
            JobTimeoutError: one is open for too long.
        """
        still_open = self.jobs.wait_for_quiet(older=older)
        problem = None
        if still_open is not None:
            name = f" ({still_open.name})" if still_open.name else ""
            problem = f"background job {still_open.job_id}{name} of this account has not ended"
        self.record(*(JobEnded(one.chunk.chunk_id, None, problem) for one in submissions))
        if still_open is not None and problem is not None:
            raise JobTimeoutError(still_open.job_id, problem, sent=bool(submissions))

    # What is read back

    def _fill_a_page(self, queues: Sequence[TargetQueue]) -> bool:
        """Return whether what is unverified is worth a page of the lists: small targets wait."""
        return sum(map(_unverified_rows, queues)) >= self.client.limits.page_size

    def _read_back_all(
        self, queues: Sequence[TargetQueue], *, alone: bool = False
    ) -> tuple[list[Outcome], Exception | None]:
        """Read targets back, small ones together; return outcomes and the first reason to stop."""
        size = self.client.limits.page_size
        small = [one for one in queues if _unverified_rows(one) < size and _is_settled(one)]
        looks = look_together(self.client, small) if len(small) > 1 and not alone else {}
        outcomes: list[Outcome] = []
        reasons = _Reasons()
        for queue in queues:
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
            self._give_up(queue, error)
            outcomes = self.reconciler.settle_unverified(queue, error)
            if isinstance(error, NotFoundError):
                return [], None  # says nothing of the calls to other targets
            return outcomes, _StoppedByError(error) if self._fails_again() else None
        self._failures = 0
        if not queue.in_flight and not reconciled.target_missing:
            self.guard.warn(queue)
        reason: Exception | None = reconciled.alarm
        if self.state.unreported:
            reason = UnexpectedArchiveError(_MORE_THAN_ASKED, seen=self.state.unreported)
        if not reconciled.target_missing:
            return reconciled.outcomes, reason
        self._give_up(queue)
        return [one for one in reconciled.outcomes if one.kind == "archived"], reason

    def _read_what_ended(
        self, *, alone: bool = False, only: TargetQueue | None = None
    ) -> tuple[list[Outcome], Exception | None]:
        """Wait for all that is in flight and read it back; return the first reason to stop."""
        reasons = _Reasons()
        while any(submission.job_id is not None for submission in self.state.in_flight):
            with reasons.collected():
                self._wait_for_jobs()
        if unnamed := self.state.in_flight:
            with reasons.collected():
                self._settle(unnamed)
        queues = self.state.queues.values() if only is None else (only,)
        unverified = [queue for queue in queues if queue.unverified]
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
        except (ApiError, _StoppedByError) as error:
            log.warning("stopped before all was read back: %s (%s)", error, stop)

    def _reason(self, stop: Exception) -> Exception:
        """Return what is raised: unexpected records come first, and are reported once."""
        unreported = list(self.state.unreported)
        if unreported:
            self.record(Reported())
            if not isinstance(stop, CanaryFailedError):
                return UnexpectedArchiveError(_MORE_THAN_ASKED, seen=unreported)
        return stop.error if isinstance(stop, _StoppedByError) else stop


def _unverified_rows(queue: TargetQueue) -> int:
    return sum(len(submission.members) for submission in queue.unverified)


def _is_settled(queue: TargetQueue) -> bool:
    """Whether nothing can be at work any more, and the calls named all users."""
    return not any(one.problem or one.is_for_all for one in queue.unverified)


@define
class _Reasons:
    """The first of several reasons to stop: what comes after it is still waited for and read."""

    first: Exception | None = None

    def add(self, reason: Exception | None) -> None:
        self.first = self.first or reason

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep a reason that is raised inside."""
        try:
            yield
        except _REASONS as reason:
            self.add(reason)
