"""Running a plan: send, wait, read back, account; stop where something is not as it should be."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lms_archive.archive import polling
from lms_archive.archive.cutting import Chunk, PreImage
from lms_archive.archive.ledger import Event, Ledger
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.readback import LAG, Finding, active_now, find
from lms_archive.archive.selection import Selection, Terms
from lms_archive.archive.sending import Lane, Replay, Sending, lanes_of, replay
from lms_archive.archive.verdict import verdict
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    JobTimeout,
    LmsArchiveError,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    PlatformUnavailable,
    RateLimited,
    Stopped,
    StoppedByCanary,
    UnexpectedArchive,
)

__all__ = ["Run"]

log = logging.getLogger(__name__)

_NO_SUCH_METHOD = 405
_STOPS = (NotAuthenticated, PermissionDenied, NotFound, RateLimited, PlatformUnavailable)


class Run:
    """One go at a plan, from where its ledger stands.

    Args:
        client: the platform; the run counts its calls on a copy.
        ledger: open for writing.
        chunks: what the plan sends.
        selection: the rows asked for, for their outcomes.
        terms: what is done with each.
        canary: how many enrollments are sent alone before the first chunk.
        fresh: by target, when its pre-images were read, by the client's clock.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        chunks: Sequence[Chunk],
        selection: Selection,
        terms: Terms,
        *,
        canary: int,
        fresh: Mapping[tuple[str, int], float],
    ) -> None:
        self._client, self._ledger, self._chunks = client.with_options(), ledger, chunks
        self._selection, self._terms, self._canary, self._fresh = selection, terms, canary, fresh
        self._clock = client.wire.clock
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._state = Replay()
        self._tries: Counter[int] = Counter()
        self._stop: LmsArchiveError | None = None

    def __call__(self) -> None:
        """Go on until every row has an outcome.

        Raises:
            LmsArchiveError: the job had to stop; the error carries the ledger.
        """
        try:
            self._go()
        except LmsArchiveError as error:
            error.ledger = self._ledger.path
            raise
        finally:
            if self._client.wire.calls:
                self._ledger.settle((), [Event(None, "calls", dict(self._client.wire.calls))])

    def _go(self) -> None:
        kinds = self._ledger.kinds()
        chunks = {chunk.chunk_id: chunk for chunk in self._chunks}
        self._state = replay(self._ledger.events(), chunks, kinds)
        self._lanes = lanes_of(self._chunks, kinds, self._state.sendings)
        if not self._state.sendings and not any(lane.waiting for lane in self._lanes.values()):
            return
        self._jobs = polling.Jobs(self._client, self._clock, before=self._state.jobs_before)
        if self._state.jobs_before is None:
            self._ledger.note("started", jobs_before=sorted(self._jobs.before))
        self._take_up()
        self._prove()
        while not self._stop and self._step():
            pass
        self._drain()
        if self._stop:
            raise self._stop

    def _take_up(self) -> None:
        """Settle what an earlier run left under way, before anything is sent."""
        if not self._state.sendings:
            return
        sendings = self._state.sendings
        if any(one.in_doubt for one in sendings):
            self._clock.sleep(self._client.wire.settings.retry.settle)
        self._jobs.wait_for([one for one in sendings if one.job_id is not None])
        for sending in sendings:
            if sending.lost and not sending.timed_out:
                # Nothing can be running any more once it is quiet: as good as a lost answer.
                sending.lost, sending.in_doubt, sending.job_id = None, True, None
        self._wait_for_quiet([one for one in sendings if one.job_id is None])
        told = {row for row, kind in self._ledger.kinds().items() if kind == "unknown"}
        for sending in sendings:
            self._lanes[sending.chunk.target.key].ended.append(sending)
        for lane in self._lanes.values():
            self._settle(lane, told=told)

    def _prove(self) -> None:
        """The canary alone, then the first chunk alone: each read back before more is sent."""
        if self._canary and "canary" not in self._state.proven:
            for _ in range(self._canary):
                outcomes = self._send_and_settle(1)
                if any(one.code != "archived" for one in outcomes) and not self._stop:
                    self._stop = _canary_error(outcomes)
                elif self._stop and outcomes:
                    self._stop = _canary_error(outcomes, self._stop)
            if not self._stop:
                self._proven("canary")
        if "first_chunk" not in self._state.proven and not self._stop:
            outcomes = self._send_and_settle(None)
            if outcomes and not self._stop and all(one.kind != "archived" for one in outcomes):
                seen = sorted({one.reason for one in outcomes})[:5]
                text = f"nothing of the first chunk ({len(outcomes)} rows) was archived:"
                self._stop = Stopped(text, seen=seen)
            elif not self._stop:
                self._proven("first_chunk")

    def _proven(self, what: str) -> None:
        self._ledger.note("proven", what=what)
        self._state.proven.add(what)

    def _send_and_settle(self, count: int | None) -> list[Outcome]:
        """Send the next members that are still as planned, alone, and wait for their outcomes."""
        outcomes: list[Outcome] = []
        while not outcomes and not self._stop:
            lane = next((one for one in self._lanes.values() if one.waiting), None)
            if lane is None:
                break
            if not self._send(lane, count):
                continue
            self._await_open()
            outcomes = self._settle(lane)
        return outcomes

    def _step(self) -> bool:
        """Send one chunk, or wait for a job; False where neither is left to do."""
        lanes = self._lanes.values()
        ready = next((one for one in lanes if one.waiting and one.open is None), None)
        open_jobs = sum(one.open is not None for one in lanes)
        if ready is not None and open_jobs < self._client.limits.max_open_jobs:
            self._send(ready, None)
        elif open_jobs:
            self._poll()
        elif not any(one.ended for one in lanes):
            return False
        for lane in lanes:
            if lane.ended and lane.open is None and not lane.waiting:
                self._settle(lane)
        return True

    def _drain(self) -> None:
        self._await_open()
        for lane in self._lanes.values():
            if lane.ended:
                self._settle(lane)

    def _await_open(self) -> None:
        while any(lane.open for lane in self._lanes.values()):
            self._poll()

    def _poll(self) -> None:
        sendings = [lane.open for lane in self._lanes.values() if lane.open is not None]
        for sending in self._jobs.poll(sendings):
            lane = self._lanes[sending.chunk.target.key]
            lane.open = None
            lane.ended.append(sending)
            if sending.lost and not self._stop:
                self._stop = JobTimeout(sending.job_id or "", sending.lost)

    def _send(self, lane: Lane, count: int | None) -> bool:
        """Send the next members of a lane; False where none of them is as planned any more."""
        chunk, members = lane.waiting.popleft()
        if count is not None and len(members) > count:
            lane.waiting.appendleft((chunk, members[count:]))
            members = members[:count]
        members = self._as_planned(chunk, members)
        if not members:
            return False
        sent_at = self._client.wire.platform_time()
        rows = [one.row for one in members]
        self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at.isoformat())
        self._tries.update(rows)
        sending = Sending(chunk=chunk, members=members, sent_at=sent_at)
        try:
            job_id, background = self._write(sending)
        except ApiError as error:
            self._not_accepted(lane, sending, error)
            return True
        self._ledger.note("submitted", chunk.chunk_id, job_id=job_id)
        log.info("sent %d of %s (job %s)", len(members), lane.target, job_id)
        sending.job_id = job_id
        if job_id is not None:
            self._jobs.begin(sending)
            lane.open = sending
            return True
        if background:
            self._wait_for_quiet([sending])
        lane.ended.append(sending)
        return True

    def _write(self, sending: Sending) -> tuple[str | None, bool]:
        """The one write: never repeated unless it surely did not start."""
        name = "archive_course_enrollments"
        contract = self._client.wire.settings.contract
        reply = self._client.wire.call(
            name,
            course_id=sending.chunk.target.target_id,
            user_ids=[one.user_id for one in sending.members],
            mode=contract.enrollment_mode[str(self._terms.mode)],
            reset_tracking=self._terms.reset_tracking,
        )
        row = contract.operations[name]
        job_id = row.find(reply.data, "job_id")
        background = row.find(reply.data, "background") is True
        return (str(job_id) if isinstance(job_id, (str, int)) and job_id else None), background

    def _not_accepted(self, lane: Lane, sending: Sending, error: ApiError) -> None:
        chunk = sending.chunk.chunk_id
        if error.in_doubt:
            log.warning("in doubt, reading back: %s", error)
            sending.in_doubt = True
            self._clock.sleep(self._client.wire.settings.retry.settle)
            self._await_open()
            self._wait_for_quiet([sending])
            lane.ended.append(sending)
        elif isinstance(error, _STOPS) or error.status == _NO_SUCH_METHOD:
            self._ledger.note("not_sent", chunk, why=str(error))
            lane.waiting.appendleft((sending.chunk, sending.members))
            self._stop = error
        else:
            self._ledger.note("refused", chunk, why=str(error))
            reason = f"refused, nothing was done: {error}"
            self._account([(one, self._outcome(one, "refused", reason)) for one in sending.members])
            if self._canary and "canary" not in self._state.proven:
                self._stop = _canary_error([], error)

    def _wait_for_quiet(self, sendings: Iterable[Sending]) -> None:
        """Wait until no job that could be one of these sendings' is open any more."""
        sendings = list(sendings)
        if not sendings:
            return
        still_open = self._jobs.wait_for_quiet()
        if still_open is not None:
            lost = f"background job {still_open} has not ended"
            self._stop = self._stop or JobTimeout(still_open, lost)
            for sending in sendings:
                sending.lost = lost

    def _as_planned(self, chunk: Chunk, members: tuple[PreImage, ...]) -> tuple[PreImage, ...]:
        """The members that are still as they were read; the others are skipped as changed."""
        read = self._fresh.get(chunk.target.key)
        if read is not None and self._clock.monotonic() - read <= self._client.limits.freshness:
            return members
        active = active_now(self._client, chunk.target, members)
        gone = []
        for one in members:
            now = active.get(one.user_id)
            if now is None:
                gone.append((one, "no longer enrolled: archived or unenrolled by someone else"))
            elif now.enrolled_at != one.enrolled_at:
                gone.append((one, "enrolled anew: this is not the enrollment that was planned"))
            elif now.status != one.status or now.level != one.level:
                gone.append((one, f"now {now.status} as {now.level}, not as planned"))
        self._account(
            [
                (one, self._outcome(one, "changed", f"changed since the plan: {why}; not sent"))
                for one, why in gone
            ]
        )
        dropped = {one.row for one, _ in gone}
        return tuple(one for one in members if one.row not in dropped)

    def _settle(self, lane: Lane, *, told: Iterable[int] = ()) -> list[Outcome]:
        """Read a lane's ended sendings back, and account for each of their rows."""
        sendings, lane.ended = lane.ended, []
        if not sendings:
            return []
        by_row = {one.row: sending for sending in sendings for one in sending.members}
        settled: list[tuple[PreImage, Outcome]] = []
        again: dict[str, list[PreImage]] = defaultdict(list)
        for found in self._read_back(lane, sendings):
            sending = by_row[found.member.row]
            decided = verdict(found, sending, tries=self._tries[found.member.row])
            if decided is None:
                again[sending.chunk.chunk_id].append(found.member)
                continue
            code, reason = decided
            settled.append((found.member, self._outcome(found.member, code, reason, found)))
            lane.archived += found.record is not None
            self._watch(found, code, told)
        self._account(settled, [Event(one.chunk.chunk_id, "read_back", {}) for one in sendings])
        for sending in sendings:
            members = again.pop(sending.chunk.chunk_id, None)
            if members:
                lane.waiting.appendleft((sending.chunk, tuple(members)))
        return [outcome for _, outcome in settled]

    def _watch(self, found: Finding, code: str, told: Iterable[int]) -> None:
        """Stop where more, or something else, happened than was asked for."""
        if self._stop or found.member.row in told:
            return
        who = f"user {found.member.user_id}"
        if found.others:
            ids = ", ".join(str(one.archiving.record_id) for one in found.others)
            text = f"more was archived than asked for: {who}, records {ids}"
            self._stop = UnexpectedArchive(text)
        elif code == "not_seen":
            text = f"{who} is unenrolled, but no archived record of it was seen for {LAG:.0f} s"
            self._stop = Stopped(f"{text}; look into the platform's archived list, then resume")

    def _read_back(self, lane: Lane, sendings: Sequence[Sending]) -> list[Finding]:
        """Look until each member is settled, or for as long as a record may lag."""
        read_at = min(one.chunk.read_at for one in sendings)
        sent_at = min(one.sent_at for one in sendings)
        members = [member for one in sendings for member in one.members]
        left = max(lane.target.listed - lane.archived - len(members), 1)
        found = find(
            self._client,
            lane.target,
            members,
            read_at=read_at,
            sent_at=sent_at,
            only=self._terms.only,
            left=left,
        )
        settled = {one.member.row: one for one in found}
        wait, waited = 1.0, 0.0
        while waited < LAG:
            open_ = [one.member for one in settled.values() if not one.settled]
            if not open_:
                break
            wait = min(wait * 2, LAG - waited)
            self._clock.sleep(wait)
            waited += wait
            again = find(self._client, lane.target, open_, read_at=read_at, sent_at=sent_at)
            settled.update((one.member.row, one) for one in again)
        return list(settled.values())

    def _outcome(
        self, member: PreImage, code: str, reason: str, found: Finding | None = None
    ) -> Outcome:
        return Outcome.of(
            self._selection[member.row],
            code,
            reason,
            user_id=member.user_id,
            record=found.record if found else None,
            differences=found.differences if found else (),
        )

    def _account(
        self, outcomes: Iterable[tuple[PreImage, Outcome]], states: Sequence[Event] = ()
    ) -> None:
        pairs = [(member.row, outcome) for member, outcome in outcomes]
        if pairs or states:
            self._ledger.settle(pairs, states)


def _canary_error(
    outcomes: Sequence[Outcome], error: LmsArchiveError | None = None
) -> StoppedByCanary:
    seen = [f"{one.user} in {one.target}: {one.reason}" for one in outcomes]
    return StoppedByCanary(
        "the first enrollment, sent alone, did not come out as asked; nothing else was sent.",
        seen=[*seen, *([str(error)] if error else [])],
    )
