"""Waiting for background jobs: one page of the listing tells of all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from lms_archive.archive.planning.preflight import require_endpoint
from lms_archive.archive.running.submission import Sending
from lms_archive.archive.target.complete import read_complete
from lms_archive.client import Client
from lms_archive.errors import ApiError, NotFoundError
from lms_archive.records.active import BackgroundJob
from lms_archive.wire.clock import Clock
from lms_archive.wire.pages import Page, tolerant_pages, with_partial

__all__ = ["Jobs"]

_LONGEST = 30.0
_GROWTH = 1.5
_SOONER = 0.9
_LEARNED_FROM = 5  # so many jobs, so that one that is late does not hold up the rest
_SHORTEST = 0.01  # a wait that rounding has made of nothing would poll on the spot for ever


class Jobs:
    """The account's background jobs, as far as they concern one run.

    One poll tells of all of them, so it comes when half of those that are open should have ended,
    by how long the last ones took, and at once where that has passed while targets were read back.
    One that was still open then is looked for after a third of the time that it has taken already.

    Args:
        client: the platform.
        clock: how time passes.
        before: the jobs that were open before the run's first write; looked up if None.
    """

    def __init__(self, client: Client, clock: Clock, *, before: Iterable[str] | None) -> None:
        self._client, self._clock = client, clock
        self._times = deque([client.limits.first_poll], maxlen=_LEARNED_FROM)
        self._seen_open: dict[str | None, float] = {}
        listed = self._first_look().values() if before is None else ()
        self.before: frozenset[str] = frozenset(
            before if before is not None else (job.job_id for job in listed if job.is_open)
        )

    def begin(self, sending: Sending) -> None:
        """A job has been submitted: its time runs from now on."""
        sending.began = self._clock.monotonic()

    def poll(self, sendings: Sequence[Sending]) -> list[Sending]:
        """Wait as long as it takes for some to end, look once, and say which have.

        One whose job is not listed any more, or has run out of time, has ended too, and says
        so in `lost`.
        """
        self._pause(sendings)
        now, listed = self._clock.monotonic(), self._listed()
        ended: list[Sending] = []
        thought = self._took
        for sending in sendings:
            job = listed.get(sending.job_id or "") or self._asked(sending)
            if job is None:
                sending.lost = f"background job {sending.job_id} is not listed any more"
            elif not job.is_open:
                # It ended between two looks; one that was never seen open, maybe long before.
                age, seen = now - sending.began, self._seen_open.get(sending.job_id)
                took = min(age * _SOONER, thought) if seen is None else (seen + age) / 2
                self._times.append(took)
            elif now < self._deadline(sending):
                self._seen_open[sending.job_id] = now - sending.began
                continue
            else:
                sending.lost = f"background job {sending.job_id} has not ended"
                sending.timed_out = True
            ended.append(sending)
        return ended

    def wait_for(self, sendings: Iterable[Sending]) -> None:
        """Wait until the jobs of all these have ended."""
        waiting = list(sendings)
        for sending in waiting:
            self.begin(sending)
        while waiting:
            ended = self.poll(waiting)
            waiting = [one for one in waiting if one not in ended]

    def wait_for_quiet(self, *, older: bool = False) -> BackgroundJob | None:
        """Wait until no job is open but those from before the run; else return one that is.

        Those from before are waited for too where they are `older` work that may still go on.
        """
        deadline = self._clock.monotonic() + self._client.limits.job_timeout
        wait = self._client.limits.first_poll
        while True:
            listed = self._listed(whole=True).values()
            spared = frozenset() if older else self.before
            open_ = [job for job in listed if job.is_open and job.job_id not in spared]
            if not open_:
                return None
            if self._clock.monotonic() >= deadline:
                return open_[0]
            self._clock.sleep(wait)
            wait = min(wait * _GROWTH, _LONGEST)

    @property
    def _took(self) -> float:
        """How long a job takes, by the last ones."""
        return max(_middle(self._times), self._client.limits.first_poll)

    def _pause(self, sendings: Sequence[Sending]) -> None:
        due = _middle(map(self._due, sendings))
        until = min(map(self._deadline, sendings))
        self._clock.sleep(max(min(due, until) - self._clock.monotonic(), _SHORTEST))

    def _due(self, sending: Sending) -> float:
        """When its job should have ended; where it was looked for then, when to look again."""
        seen = self._seen_open.get(sending.job_id)
        if seen is None or seen + _SHORTEST < self._took:
            return sending.began + self._took
        overdue = min(max(seen / 3, self._client.limits.first_poll), _LONGEST)
        return sending.began + seen + overdue

    def _deadline(self, sending: Sending) -> float:
        return sending.began + self._client.limits.job_timeout

    def _first_look(self) -> dict[str, BackgroundJob]:
        """The listing, before anything is sent; that there is one need not be asked before."""
        try:
            return self._listed(whole=True)
        except ApiError as error:
            require_endpoint(self._client, "list_jobs", error)
            raise

    def _listed(self, *, whole: bool = False) -> dict[str, BackgroundJob]:
        """The first page of the list, or all of it: in which order it comes is not known."""
        needed = frozenset({"status"})

        def begin() -> Iterator[Page[BackgroundJob]]:
            pages = tolerant_pages(self._client.session, "list_jobs", BackgroundJob, {})
            return with_partial(pages, needed)

        if not whole:
            return {job.job_id: job for page in islice(begin(), 1) for job in page.items}
        listed = read_complete(begin, lambda job: job.job_id)
        return {job.job_id: job for job in listed.with_partial(needed)}

    def _asked(self, sending: Sending) -> BackgroundJob | None:
        try:
            return self._client.background_jobs.get(sending.job_id or "")
        except NotFoundError:
            return None


def _middle(values: Iterable[float]) -> float:
    found = sorted(values)
    return found[len(found) // 2]
