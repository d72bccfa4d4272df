"""Wait for background jobs; one page of the list shows all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from attrs import define, frozen

from lms_archive.archive.planning.preflight import require_endpoint
from lms_archive.archive.running.state import Recorder
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.target.complete import read_complete
from lms_archive.archive.values.events import JobEnded, JobGone
from lms_archive.client import Client
from lms_archive.errors import ApiError, JobTimeoutError, NotFoundError
from lms_archive.records.active import BackgroundJob
from lms_archive.wire.pages import Page, tolerant_pages, with_partial

_LONGEST = 30.0
_GROWTH = 1.5
_SOONER = 0.9
_LEARNED_FROM = 5  # jobs, so that a late one does not hold up the rest
_SHORTEST = 0.01  # a wait that is rounded down to 0 s would poll in a tight loop


@define
class RunningJob:
    """A background job that is waited for.

    Attributes:
        began: when it was submitted or, by an earlier run, first looked at (monotonic).
        open_until: its age in seconds when it was last seen open; None: it never was.
        percent: how far it was then, where the platform says so.
    """

    began: float
    open_until: float | None = None
    percent: float | None = None


class Jobs:
    """The account's background jobs, as far as they concern one run.

    One poll shows all of them. It is made when, judging by the last jobs, half of the open ones
    should have ended; at once if that time has passed. A job that is still open is polled again
    after a third of its running time.

    Args:
        client: the platform.
        before: the jobs that were open before the first write; looked up if None.
    """

    def __init__(self, client: Client, *, before: Collection[str] | None) -> None:
        self._client, self._clock = client, client.session.clock
        self._waits = client.session.waits
        self._times = deque([client.limits.first_poll], maxlen=_LEARNED_FROM)
        self._running: dict[str | None, RunningJob] = {}
        if before is None:
            before = [job.job_id for job in self._first_listing().values() if job.is_open]
        self.before: frozenset[str] = frozenset(before)

    def begin(self, job_id: str) -> None:
        """Note that a job was submitted: its time runs from now on."""
        self._running.setdefault(job_id, RunningJob(self._clock.monotonic()))

    def poll(self, submissions: Sequence[Submission]) -> list[JobEnded | JobGone]:
        """Wait as long as it takes for some of these jobs to end, look once, return the ended.

        The end of a job is not known where it is not listed any more, or is open for too long.
        """
        for submission in submissions:  # those of an earlier run begin with the first look
            self.begin(submission.job_id or "")
        self._pause(submissions)
        now, listed = self._clock.monotonic(), self._listed()
        ended: list[JobEnded | JobGone] = []
        expected = self._expected
        for submission in submissions:
            chunk_id, name = submission.chunk.chunk_id, submission.job_id or ""
            job = listed.get(name) or self._read_job(name)
            running = self._running[name]
            age = now - running.began
            if job is None and submission.is_resumed:
                ended.append(JobGone(chunk_id, name))
            elif job is None:
                problem = f"background job {name} is not listed any more"
                ended.append(JobEnded(chunk_id, name, problem))
            elif not job.is_open:
                # It ended between two looks; one that was never seen open, maybe long before.
                last_open = running.open_until
                took = min(age * _SOONER, expected) if last_open is None else (last_open + age) / 2
                self._times.append(took)
                ended.append(JobEnded(chunk_id, name))
            elif now < self._deadline(submission):
                running.open_until, running.percent = age, job.percent
            else:
                ended.append(JobEnded(chunk_id, name, f"background job {name} has not ended"))
        return ended

    def wait_for_quiet(self, *, older: bool = False) -> BackgroundJob | None:
        """Wait until only jobs from before the run are open; return one that stays open, if any.

        With *older*, those from before the run are waited for too.
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
            self._waits.wait(wait, "job", job_id=open_[0].job_id, percent=open_[0].percent)
            wait = min(wait * _GROWTH, _LONGEST)

    @property
    def _expected(self) -> float:
        """How long a job takes, by the last ones."""
        return max(_middle(self._times), self._client.limits.first_poll)

    def _pause(self, submissions: Sequence[Submission]) -> None:
        due = _middle(map(self._due, submissions))
        until = min(map(self._deadline, submissions))
        oldest = min(submissions, key=lambda sent: self._running[sent.job_id].began).job_id
        seconds = max(min(due, until) - self._clock.monotonic(), _SHORTEST)
        self._waits.wait(seconds, "job", job_id=oldest, percent=self._running[oldest].percent)

    def _due(self, submission: Submission) -> float:
        """Return when its job should have ended, or when to look again."""
        running = self._running[submission.job_id]
        last_open = running.open_until
        if last_open is None or last_open + _SHORTEST < self._expected:
            return running.began + self._expected
        overdue = min(max(last_open / 3, self._client.limits.first_poll), _LONGEST)
        return running.began + last_open + overdue

    def _deadline(self, submission: Submission) -> float:
        return self._running[submission.job_id].began + self._client.limits.job_timeout

    def _first_listing(self) -> dict[str, BackgroundJob]:
        """Read the listing before anything is sent; this also shows that there is one."""
        try:
            return self._listed(whole=True)
        except ApiError as error:
            require_endpoint(self._client, "list_jobs", error)
            raise

    def _listed(self, *, whole: bool = False) -> dict[str, BackgroundJob]:
        """Read the first page of the listing, or all of it: its order is not known."""
        needed = frozenset({"status"})

        def begin() -> Iterator[Page[BackgroundJob]]:
            pages = tolerant_pages(self._client.session, "list_jobs", BackgroundJob, {})
            return with_partial(pages, needed)

        if not whole:
            return {job.job_id: job for page in islice(begin(), 1) for job in page.items}
        listed = read_complete(begin, lambda job: job.job_id)
        return {job.job_id: job for job in listed.with_partial(needed)}

    def _read_job(self, name: str) -> BackgroundJob | None:
        try:
            return self._client.background_jobs.get(name)
        except NotFoundError:
            return None


@frozen
class InFlight:
    """Waits for what is in flight, and records what has ended.

    Attributes:
        client: the platform.
        record: writes events.
        jobs: the background jobs.
    """

    client: Client
    record: Recorder
    jobs: Jobs

    def wait_for_jobs(self) -> None:
        """Wait until no named job is in flight."""
        while named := [
            submission
            for submission in self.record.state.in_flight
            if submission.job_id is not None
        ]:
            self.poll(named)

    def poll(self, submissions: Sequence[Submission]) -> None:
        """Wait for some of these jobs, and record which have ended.

        Raises:
            JobTimeoutError: the end of one is not known.
        """
        timeout: JobTimeoutError | None = None
        for event in self.jobs.poll(submissions):
            self.record(event)
            if isinstance(event, JobEnded) and event.problem is not None:
                timeout = timeout or JobTimeoutError(event.job_id or "", event.problem)
        if timeout is not None:
            raise timeout

    def settle(self, submissions: Sequence[Submission]) -> None:
        """Let calls without an answer arrive, and what they may have begun come to its end."""
        session = self.client.session
        session.waits.wait(session.settings.retry.settle, "settle")
        self.wait_for_jobs()
        self.wait_for_quiet(submissions)

    def wait_for_quiet(self, submissions: Sequence[Submission], *, older: bool = False) -> None:
        """Wait until no job that could be one of these submissions' is open any more.

        Raises:
            JobTimeoutError: one is open for too long.
        """
        still_open, problem = self.jobs.wait_for_quiet(older=older), None
        if still_open is not None:
            name = f" ({still_open.name})" if still_open.name else ""
            problem = f"background job {still_open.job_id}{name} of this account has not ended"
        chunk_ids = [submission.chunk.chunk_id for submission in submissions]
        self.record(*(JobEnded(chunk_id, None, problem) for chunk_id in chunk_ids))
        if still_open is not None and problem is not None:
            raise JobTimeoutError(still_open.job_id, problem, sent=bool(submissions))


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
