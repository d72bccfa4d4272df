"""Send the next batch of a target, and decide what the answer means: a run's only write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from lms_archive.archive.planning.forms import FORMS
from lms_archive.archive.running.batches import Batches
from lms_archive.archive.running.failures import concerns_job, concerns_target, is_redirect
from lms_archive.archive.running.jobs import InFlight
from lms_archive.archive.running.plan_guard import LearningPlanGuard
from lms_archive.archive.running.queues import TargetQueue
from lms_archive.archive.running.readback import active_or_missing
from lms_archive.archive.running.reconcile import Reconciler
from lms_archive.archive.running.state import Recorder
from lms_archive.archive.running.submission import Members, Submission
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.events import JobEnded, NotSent, Refused, Sending, Submitted
from lms_archive.client import Client
from lms_archive.errors import ApiError, NotFoundError, RunStoppedError

log: logging.Logger = logging.getLogger(__name__)

_LONGEST_GAP = 10.0
"""Seconds of waiting after which a write is compared again."""


@frozen
class Accepted:
    """The content of a 2xx answer.

    Attributes:
        job_id: the background job that does the work, where one is named.
        is_done: whether the platform says that the work is done already.
    """

    job_id: str | None
    is_done: bool


def send(
    client: Client,
    terms: Terms,
    chunk: Chunk,
    members: Members,
    before_write: Callable[[], None],
) -> Accepted:
    """Archive these members of a chunk; never repeated unless the call surely did not start.

    `before_write` is called right before the call, after every wait.

    Raises:
        ApiError: it was refused, or its answer was lost (`in_doubt`).
    """
    contract, target = client.session.settings.contract, chunk.target
    name = FORMS[chunk.form].operation(target.kind)
    users: dict[str, list[str] | list[int]] = {"user_ids": [member.user_id for member in members]}
    if chunk.form == "select_all":
        users = {"status": [str(status) for status in terms.only]}
    operation = contract.operations[name]
    request = operation.request(
        **{f"{target.kind}_id": target.target_id},
        **users,
        mode=contract.enrollment_mode[str(terms.mode)],
        reset_tracking=terms.reset_tracking,
    )
    reply = client.session.send(request, name, before_write=before_write)
    job_id = operation.find(reply.data, "job_id")
    is_named = isinstance(job_id, (str, int)) and bool(job_id)
    return Accepted(
        str(job_id) if is_named else None,
        is_done=operation.find(reply.data, "background") is False,
    )


class _Outdated(Exception):
    """What a write names may have changed while it waited; or that cannot be read (`error`)."""

    def __init__(self, error: ApiError | None = None) -> None:
        super().__init__(str(error or "changed while the call waited"))
        self.error = error


class StoppedByError(Exception):
    """A failed call stops the run; what is in flight can still be read back."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error)
        self.error = error


@define
class Submitter:
    """Sends the batches of a run, and decides what refused and lost calls mean.

    Attributes:
        client: the platform.
        record: writes events.
        terms: what is done with each row.
        in_flight: waits for background jobs.
        reconciler: decides rows that are not sent.
        batches: chooses what is sent next.
        guard: watches the learning plans.
        failures: how many calls in a row failed because of one target.
    """

    client: Client
    record: Recorder
    terms: Terms
    in_flight: InFlight
    reconciler: Reconciler
    batches: Batches
    guard: LearningPlanGuard
    failures: int = field(default=0, init=False)

    def submit(self, queue: TargetQueue, count: int | None) -> None:
        """Send the next batch of a queue.

        Raises:
            RunStoppedError: the run is to stop; the batch was not sent.
        """
        session = self.client.session
        begun, calls_before = session.clock.monotonic(), session.calls.total()
        try:
            self.guard.check(queue)
            chunk, members = self.batches.next(queue, count)
        except ApiError as error:
            self.give_up(queue, error)
            return
        if not members:
            return
        chosen, calls = session.clock.monotonic(), session.calls.total() - calls_before
        chunk_id, rows = chunk.chunk_id, tuple(member.row for member in members)
        sent_at = session.platform_time()
        session.waits.check()
        self.record(Sending(chunk_id, rows, sent_at, chunk.form))
        try:
            accepted = self._send(queue, chunk, members, begun, chosen, calls)
        except ApiError as error:
            self._not_accepted(queue, queue.in_flight[-1], error)
        except _Outdated as outdated:
            if outdated.error is not None:
                self.give_up(queue, outdated.error)
        else:
            self._wait_for(queue, chunk_id, rows, accepted)

    def _send(
        self,
        queue: TargetQueue,
        chunk: Chunk,
        members: Members,
        begun: float,
        chosen: float,
        calls: int,
    ) -> Accepted:
        """Send these members; where the call had to wait, only while all is still as planned.

        The learning plan was compared after *begun*, and the members were chosen until *chosen*
        (both monotonic), which took that many calls.

        Raises:
            ApiError: the call was refused, or its answer was lost.
            _Outdated: they were not sent, and have to be chosen again.
            RunStoppedError: the run is to stop; they were not sent.
        """
        clock, compared = self.client.session.clock.monotonic, chosen

        def check() -> None:
            nonlocal compared
            try:
                if self._has_waited(begun, calls):
                    self.guard.check(queue)
                if self._has_waited(compared):
                    if not self.batches.are_as_planned(chunk, members, clock() - chosen):
                        raise _Outdated
                    compared = clock()
            except ApiError as error:
                raise _Outdated(error) from None

        try:
            return send(self.client, self.terms, chunk, members, check)
        except (RunStoppedError, _Outdated) as reason:
            # A write waits only where it has not started.
            self.record(NotSent(chunk.chunk_id, str(reason)))
            raise

    def _has_waited(self, since: float, calls: int = 0) -> bool:
        """Return whether more time has passed than these calls and the write take."""
        session = self.client.session
        calls = calls + 2  # and a token, and the write
        return session.clock.monotonic() - since > _LONGEST_GAP + calls * session.pace

    def _wait_for(
        self, queue: TargetQueue, chunk_id: str, rows: Sequence[int], accepted: Accepted
    ) -> None:
        """Record that a call was accepted, and wait where its job cannot be looked up by name."""
        self.record(Submitted(chunk_id, accepted.job_id))
        job = accepted.job_id or "not named"
        log.info("sent %d of %s (background job: %s)", len(rows), queue.target, job)
        if accepted.job_id is not None:
            self.in_flight.jobs.begin(accepted.job_id)
        elif not accepted.is_done:  # a job without a name needs time to be listed
            self.in_flight.settle(queue.in_flight)
        else:
            self._end(queue)

    def _end(self, queue: TargetQueue) -> None:
        """Wait for what a call may have begun, which named no job; one enrollment needs none."""
        (submission,) = queue.in_flight
        if len(submission.members) > 1:
            self.in_flight.wait_for_jobs()
            self.in_flight.wait_for_quiet([submission])
        else:
            self.record(JobEnded(submission.chunk.chunk_id))

    def _not_accepted(self, queue: TargetQueue, submission: Submission, error: ApiError) -> None:
        """Decide what a refused or lost call means, for its rows and for the run."""
        if error.in_doubt:
            log.warning("in doubt, reading back: %s", error)
            self.in_flight.settle([submission])
            if is_redirect(error):
                raise StoppedByError(error)
            return
        chunk_id = submission.chunk.chunk_id
        refused = Refused(chunk_id, str(error), error.status)
        not_sent = NotSent(chunk_id, str(error))  # another account may send it, or a later run
        if error.status is None or error.path == self.client.session.operation("token").path:
            self.record(not_sent)
            raise StoppedByError(error)
        if concerns_job(error):
            self.record(refused, not_sent)
            raise StoppedByError(error)
        self.record(refused)
        if isinstance(error, NotFoundError):
            if self._is_missing(queue, submission.members[:1]):
                self.reconciler.decide_refused(queue.in_flight[-1])
                self.reconciler.decide_pending(queue)
                return
            # Where the call was accepted before, it is the target that is not there.
            if queue.target.kind not in self.record.state.accepted or self.fails_again():
                self.record(not_sent)
                raise StoppedByError(error)
        self._end(queue)

    def fails_again(self) -> bool:
        """Count a failure that one target may cause; return whether it is the second in a row."""
        self.failures += 1
        return self.failures > 1

    def give_up(self, queue: TargetQueue, error: ApiError | None = None) -> None:
        """Send nothing more to a target that cannot be read, so that the others can continue.

        Without an error, or with a 404, the target does not exist any more.

        Raises:
            ApiError: the error, where it concerns the whole job.
        """
        if error is not None and not concerns_target(self.client, error):
            raise error
        if error is None or isinstance(error, NotFoundError):
            self._check_platform()
            error = None
        self.reconciler.decide_pending(queue, error)

    def _is_missing(self, queue: TargetQueue, members: Members) -> bool:
        """Return whether a target does not exist any more, according to its active list.

        Raises:
            ApiError: nothing else is found either, or the list cannot be read.
        """
        if active_or_missing(self.client, queue.target, members) is not None:
            return False
        self._check_platform()
        return True

    def _check_platform(self) -> None:
        """Check that the platform still answers, so that a 404 concerns its target alone."""
        next(self.client.background_jobs.pages())
