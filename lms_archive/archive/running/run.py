"""Running a plan: send, wait, read back, account; stop where something is not as it should be."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from lms_archive.archive.ledger import Event, Ledger
from lms_archive.archive.running import jobs as polling
from lms_archive.archive.running.batches import Preparing
from lms_archive.archive.running.plan_guard import Watch
from lms_archive.archive.running.queues import Front, Lane, lanes_of
from lms_archive.archive.running.readback import check_platform, concerns_target, is_missing
from lms_archive.archive.running.reconcile import Accounting
from lms_archive.archive.running.submission import Accepted, Replay, Sending, replay, write
from lms_archive.archive.running.verdict import canary_failed, chunk_failed, stops_job
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.outcomes import CODES, Outcome
from lms_archive.archive.values.plan_data import RowLookup
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    JobTimeoutError,
    LedgerError,
    LmsArchiveError,
    NotFoundError,
    UnexpectedArchiveError,
)
from lms_archive.records.status import ArchiveMode

__all__ = ["Run"]

log: logging.Logger = logging.getLogger(__name__)


class Run:
    """One go at a plan, from where its ledger stands.

    Args:
        client: the platform.
        ledger: open for writing.
        chunks: what the plan sends.
        selection: the rows asked for, for their outcomes.
        terms: what is done with each.
        canary: how many enrollments are sent alone before the first chunk.
        fresh: whether the reading that the plan was made of may be used while it is young.
        allow_changes: whether the job goes on where a learning plan was changed meanwhile.
        calls: the calls of the job so far, by operation, as they are counted.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        chunks: Sequence[Chunk],
        selection: RowLookup,
        terms: Terms,
        *,
        canary: int,
        fresh: bool,
        allow_changes: bool,
        calls: Mapping[str, int],
    ) -> None:
        self._client, self._ledger, self._chunks = client, ledger, chunks
        self._calls = calls
        self._selection, self._terms, self._canary, self._fresh = selection, terms, canary, fresh
        self._clock = client.session.clock
        self._watch = Watch(self._client, ledger, allow_changes)
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._state = Replay()
        self._stop: LmsArchiveError | None = None
        self._unexpected: list[str] = []
        self._troubled = 0

    def __call__(self, *, expect: int = 0) -> None:
        """Go on until every row has an outcome; so many calls are expected of it.

        Raises:
            LmsArchiveError: the job had to stop; the error carries the ledger.
        """
        self._client.session.expect(expect)
        try:
            self._go()
        except BaseException:
            with suppress(LedgerError):  # what went wrong first is what is reported
                self._note_calls()
            raise
        self._note_calls()

    def _note_calls(self) -> None:
        if self._calls:
            self._ledger.commit((), [Event(None, "calls", dict(self._calls))])

    def _go(self) -> None:
        codes = self._ledger.codes()
        kinds = {row: CODES[code] for row, code in codes.items()}
        chunks = {chunk.chunk_id: chunk for chunk in self._chunks}
        self._state = replay(self._ledger.events(), chunks, kinds)
        self._lanes = lanes_of(self._chunks, kinds, self._state.sendings)
        self._alarmed(self._state.untold)
        if self._state.sendings or any(lane.waiting for lane in self._lanes.values()):
            self._work(not_seen=[row for row, code in codes.items() if code == "not_seen"])
        if self._stop:
            if self._unexpected:
                self._ledger.note("told")
            raise self._stop

    def _work(self, not_seen: Sequence[int]) -> None:
        self._books = Accounting(
            self._client, self._ledger, self._selection, self._terms, known=self._state.unasked
        )
        self._preparing = Preparing(self._client, self._books, self._terms, self._fresh)
        self._jobs = polling.Jobs(self._client, self._clock, before=self._state.jobs_before)
        if self._state.jobs_before is None:
            self._ledger.note("started", jobs_before=sorted(self._jobs.before))
        self._take_up(not_seen)
        resumed = self._state.jobs_before is not None
        again = self._terms.mode is ArchiveMode.RE_ENROLL
        if again and not self._stop and (resumed or self._jobs.before):
            # A job of a ledger that was given up could archive what this run enrolls anew.
            self._wait_for_quiet((), older=True)
        self._prove()
        front = Front(iter(self._lanes.values()))
        while not self._stop and self._step(front):
            pass
        self._drain()

    def _take_up(self, not_seen: Sequence[int]) -> None:
        """Settle what an earlier run left under way, before anything is sent."""
        sendings = self._state.sendings
        self._jobs.wait_for([one for one in sendings if one.job_id is not None])
        for sending in sendings:
            if sending.timed_out:
                self._stop = self._stop or JobTimeoutError(sending.job_id or "", sending.lost or "")
            elif sending.lost:
                # Nothing can be running any more once it is quiet: as good as a lost answer.
                sending.lost, sending.in_doubt, sending.job_id = None, True, None
            self._lanes[sending.chunk.target.key].ended.append(sending)
        if unnamed := [one for one in sendings if one.job_id is None]:
            self._settle(unnamed)
        outcomes = [one for lane in self._lanes.values() for one in self._account(lane, not_seen)]
        if self._canary and "canary" not in self._state.proven:
            unseen = [one for one in outcomes if one.code == "not_seen"]
            self._stop = canary_failed(unseen, self._stop) or self._stop

    def _prove(self) -> None:
        """The canary alone, then the first chunk alone: each read back before more is sent."""
        if self._canary and "canary" not in self._state.proven:
            for _ in range(self._canary):
                outcomes = self._send_and_account(1)
                self._stop = canary_failed(outcomes, self._stop) or self._stop
            if not self._stop:
                self._ledger.note("proven", what="canary")
        if "first_chunk" not in self._state.proven and not self._stop:
            outcomes = self._send_and_account(None)
            self._stop = self._stop or chunk_failed(outcomes)
            if not self._stop:
                self._ledger.note("proven", what="first_chunk")

    def _send_and_account(self, count: int | None) -> list[Outcome]:
        """Send the next members that are still as planned, alone, and wait for their outcomes."""
        outcomes: list[Outcome] = []
        while not outcomes and not self._stop:
            lane = next((one for one in self._lanes.values() if one.waiting), None)
            if lane is None:
                break
            outcomes = self._send(lane, count)
            self._await_open()
            outcomes += self._account(lane, alone=count is not None)
        return outcomes

    def _step(self, front: Front) -> bool:
        """Send a chunk, else read a target back while jobs run, else wait; False: all is done."""
        reached = front.reached()
        under_way = [one for one in reached if one.open is not None]
        full = len(under_way) >= self._client.limits.max_open_jobs

        def free(some: Iterable[Lane]) -> Lane | None:
            """The first where no job of ours is at work: elsewhere nothing is sent or read."""
            return next((one for one in some if not any(map(one.meets, under_way))), None)

        ready = None if full else free(one for one in front if one.waiting)
        ended = free(one for one in reached if one.ended and not one.waiting)
        if ready is not None:
            self._send(ready, None)
        elif ended is not None:
            self._account(ended)
        elif under_way:
            self._poll(under_way)
        else:
            return False
        return True

    def _drain(self) -> None:
        """Read back what is under way, also where the job has to stop."""
        try:
            self._await_open()
            for lane in self._lanes.values():
                self._account(lane)
        except ApiError as error:
            if self._stop is None:
                raise
            log.warning("stopped before all was read back: %s", error)

    def _await_open(self) -> None:
        while under_way := [one for one in self._lanes.values() if one.open is not None]:
            self._poll(under_way)

    def _poll(self, under_way: Iterable[Lane]) -> None:
        for sending in self._jobs.poll([one.open for one in under_way if one.open is not None]):
            lane = self._lanes[sending.chunk.target.key]
            lane.open = None
            lane.ended.append(sending)
            if sending.lost and not self._stop:
                self._stop = JobTimeoutError(sending.job_id or "", sending.lost)

    def _send(self, lane: Lane, count: int | None) -> list[Outcome]:
        """Send the lane's next members, at most `count`; return the outcomes of a refusal."""
        try:
            self._stop = self._stop or self._watch.before(lane)
            if self._stop:
                return []
            chunk, members = self._preparing.next(lane, count)
        except ApiError as error:
            self._leave(lane, error)
            return []
        if not members:
            return []
        sent_at = self._client.session.platform_time()
        sending = Sending(chunk=chunk, members=members, sent_at=sent_at)
        self._announce(sending)
        self._books.tries.update(one.row for one in members)
        try:
            accepted = write(self._client, self._terms, sending)
        except ApiError as error:
            return self._not_accepted(lane, sending, error)
        self._submitted(lane, sending, accepted)
        return []

    def _announce(self, sending: Sending) -> None:
        """Commit what is about to be sent: it has to be on the disk before the call."""
        chunk, sent_at = sending.chunk, sending.sent_at.isoformat()
        rows = [one.row for one in sending.members]
        self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at, form=chunk.form)

    def _submitted(self, lane: Lane, sending: Sending, accepted: Accepted) -> None:
        self._state.accepted.add(lane.target.kind)
        sending.job_id = accepted.job_id
        self._ledger.note("submitted", sending.chunk.chunk_id, job_id=sending.job_id)
        log.info("sent %d of %s (job %s)", len(sending.members), lane.target, sending.job_id)
        if sending.job_id is not None:
            self._jobs.begin(sending)
            lane.open = sending
            return
        if not accepted.at_once:  # a job whose id is not told needs time to be listed
            self._settle([sending])
        elif len(sending.members) > 1:
            self._await_open()
            self._wait_for_quiet([sending])
        lane.ended.append(sending)

    def _not_accepted(self, lane: Lane, sending: Sending, error: ApiError) -> list[Outcome]:
        login = error.path == self._client.session.operation("token").path
        if error.in_doubt:
            log.warning("in doubt, reading back: %s", error)
            sending.in_doubt = True
            self._settle([sending])
            lane.ended.append(sending)
            return []
        not_found = isinstance(error, NotFoundError) and not login
        if not_found and is_missing(self._client, lane.target, sending.members[:1]):
            self._books.refuse(sending, error)
            self._books.leave(lane)
            return []
        if not_found and lane.target.kind in self._state.accepted:
            self._trouble(error)  # the call is there, so it is the target that is not
        elif login or stops_job(error):
            self._stop = error
        if self._stop is None:
            return self._books.refuse(sending, error)
        self._ledger.note("not_sent", sending.chunk.chunk_id, why=str(error))
        lane.waiting.appendleft((sending.chunk, sending.members))
        return []

    def _trouble(self, error: ApiError) -> None:
        """A call of which one target may be the cause: the second one in a row stops the job."""
        self._troubled += 1
        if self._troubled > 1:
            self._stop = self._stop or error

    def _leave(self, lane: Lane, error: ApiError | None = None) -> None:
        """Send nothing more to a target that cannot be read, so that the others can go on.

        Without an error, or with a 404, it is not there any more.

        Raises:
            ApiError: the error, where it concerns the whole job.
        """
        if error is not None and not concerns_target(self._client, error):
            raise error
        if error is None or isinstance(error, NotFoundError):
            check_platform(self._client)
            error = None
        self._books.leave(lane, error)

    def _settle(self, sendings: Sequence[Sending]) -> None:
        """Let calls without an answer arrive, and what they may have begun come to its end."""
        self._clock.sleep(self._client.session.settings.retry.settle)
        self._await_open()
        self._wait_for_quiet(sendings)

    def _wait_for_quiet(self, sendings: Sequence[Sending], *, older: bool = False) -> None:
        """Wait until no job that could be one of these sendings' is open any more."""
        still_open = self._jobs.wait_for_quiet(older=older)
        if still_open is not None:
            name = f" ({still_open.name})" if still_open.name else ""
            lost = f"background job {still_open.job_id}{name} of this account has not ended"
            self._stop = self._stop or JobTimeoutError(still_open.job_id, lost, sent=bool(sendings))
            for sending in sendings:
                sending.lost = lost

    def _account(
        self, lane: Lane, told: Sequence[int] = (), *, alone: bool = False
    ) -> list[Outcome]:
        if not lane.ended:
            return []
        try:
            accounted = self._books.account(lane, told, alone=alone)
        except ApiError as error:
            self._leave(lane, error)
            outcomes = self._books.not_read_back(lane, error)
            if isinstance(error, NotFoundError):
                return []  # says nothing of the calls to other targets
            self._trouble(error)
            return outcomes
        self._troubled = 0
        if lane.open is None and not accounted.target_missing:
            self._watch.after(lane)
        self._alarmed(accounted.unexpected)
        self._stop = self._stop or accounted.alarm
        if accounted.target_missing:
            self._leave(lane)
            return [one for one in accounted.outcomes if one.kind == "archived"]
        return accounted.outcomes

    def _alarmed(self, unexpected: Sequence[str]) -> None:
        """What nobody asked for comes before every other reason to stop, and is told once."""
        self._unexpected += unexpected
        if unexpected:
            text = "more was archived than asked for:"
            self._stop = UnexpectedArchiveError(text, seen=self._unexpected)
