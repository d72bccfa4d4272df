"""Waiting for jobs: one page of the listing for all of them, rarely more."""

from collections.abc import Callable
from itertools import pairwise
from math import nextafter
from types import SimpleNamespace
from typing import Any

import pytest
from plan_tools import archive_by_hand, check, in_both_modes, of_many, plan
from virtual_time import Exchange, Harness

from lms_archive import ArchiveResult, Limits, resume
from lms_archive.archive.running.jobs import Jobs, RunningJob
from lms_archive.errors import JobTimeoutError
from lms_archive.wire.waits import Clock


def test_one_page_polls_all_open_jobs(harness: Harness) -> None:
    """Five open jobs cost one call a poll, and no job is asked for alone."""
    harness.load(*[4] * 6)
    result = harness.apply()
    harness.check(result, archived=24)
    assert "get_job" not in result.calls
    polls = [exchange for exchange in harness.line.exchanges if exchange.is_poll]
    assert all(("page", "1") in exchange.query for exchange in polls)
    assert len(polls) < 12


def test_a_job_that_is_not_listed_yet_is_asked_for_by_its_hash(harness: Harness) -> None:
    """A job that begins late is found by its hash, and waited for."""
    harness.load(5)
    harness.sandbox.faults.add("job_late", seconds=30)
    result = harness.apply()
    harness.check(result, archived=5)
    assert result.calls["get_job"] >= 1


def test_polls_grow_rarer(harness: Harness) -> None:
    """A long job is asked for ever more rarely, at most every 30 s."""
    harness.load(5)
    plan = harness.plan()
    harness.line.once(
        of_many,
        lambda: harness.change("UPDATE jobs SET ends_at = ends_at + 600000000"),
        after=True,
    )
    times: list[float] = []
    harness.line.before.append(
        lambda exchange: times.append(harness.time.passed) if exchange.is_poll else None
    )
    harness.check(harness.apply(plan), archived=5)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] == pytest.approx(2.0)
    assert waits == sorted(waits)
    assert max(waits) == 30.0
    assert len(times) < 35


@pytest.mark.parametrize("status", ["paused", "RUNNING!"])
def test_an_unknown_state_counts_as_open(harness: Harness, status: str) -> None:
    """A word that nobody knows is no end: the job is waited for, for as long as allowed."""
    harness.load(4)
    client = harness.connect(limits=Limits(job_timeout=100))
    plan = harness.job().plan(client)

    def halt() -> None:
        harness.hang_jobs()
        harness.change("UPDATE jobs SET status = ?", status)

    harness.line.once(of_many, halt, after=True)
    begun = harness.time.passed
    with pytest.raises(JobTimeoutError) as caught:
        plan.apply(client, ledger=harness.ledger)
    assert 100 <= harness.time.passed - begun < 200
    assert caught.value.job_id == harness.sql("SELECT hash FROM jobs")[0][0]
    harness.change("UPDATE jobs SET status = 'running'")
    harness.end_jobs()
    harness.check(resume(harness.ledger, client), archived=4)


def test_jobs_from_before_the_run_are_not_waited_for(harness: Harness) -> None:
    """Somebody's job that was open already does not hold up what is in doubt."""
    harness.load(4, 4)
    archive_by_hand(harness.client, 2, 1001, 1002)
    harness.hang_jobs()
    plan = harness.plan(1)
    harness.sandbox.faults.add("cut_after", method="PUT", after=1)
    begun = harness.time.passed
    harness.check(harness.apply(plan), archived=4)
    assert harness.time.passed - begun < 120


def test_a_new_job_of_the_account_may_be_ours(harness: Harness) -> None:
    """Where an answer was lost, any new job of the account is waited for before reading."""
    harness.load(4, 4)
    plan = harness.plan(1)

    def lost() -> None:
        archive_by_hand(harness.connect(transport=None), 2, 1001, 1002)
        harness.change("UPDATE jobs SET ends_at = ends_at + 300000000")
        raise ConnectionResetError(104, "Connection reset by peer")

    harness.line.once(of_many, lost)
    begun = harness.time.passed
    result = harness.apply(plan)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert harness.time.passed - begun > 300


@in_both_modes
def test_an_open_job_on_a_later_page_is_seen(harness: Harness, mode: str) -> None:
    """Where the list is long, an open job of ours may stand anywhere in it: it is waited for."""
    harness.load(4)
    planned = plan(harness, courses=[1], mode=mode)

    def lost() -> None:
        harness.change("UPDATE jobs SET ends_at = ends_at + 600000000")
        harness.change("UPDATE job_rows SET due_at = due_at + 600000000")
        harness.change(
            f"INSERT INTO jobs SELECT number + value, hash || value, name, 'completed', 100, 0, 0,"
            f" author_id, date_created, last_update, NULL, enrollment_mode, 0, 0, starts_at,"
            f" starts_at, 'completed', 0 FROM jobs, ({_NUMBERS})"
        )
        raise ConnectionResetError(104, "Connection reset by peer")

    harness.line.once(of_many, lost, after=True)
    result = harness.apply(planned)
    check(harness, result, again=mode == "re-enroll", archived=4)
    assert len(harness.writes) == 2


_NUMBERS = (
    "WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 250)"
    " SELECT value FROM n"
)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0, 7.0, 40.0, 300.0])
def test_a_poll_tells_of_several_jobs(make_harness: Callable[..., Harness], seconds: float) -> None:
    """However long jobs take, one poll does for two chunks, and the wait is at most twice that."""
    harness = make_harness(job_seconds=seconds)
    harness.load(*[12] * 10)
    harness.line.before.append(lambda _: harness.time.sleep(0.3))
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    begun = harness.time.passed
    result = plan.apply(client, ledger=harness.ledger)
    harness.check(result, archived=120)
    chunks, polls = len(plan.chunks), result.calls["list_jobs"] - 1
    assert polls <= (chunks + _polls_of_the_first(seconds)) / 2
    calling = 0.3 * sum(result.calls.values())
    rounds = 1 + (chunks - 1) / 5
    assert harness.time.passed - begun <= calling + 2 * rounds * max(seconds, 2.0)


def test_a_job_that_is_late_does_not_hold_up_the_others(
    make_harness: Callable[..., Harness],
) -> None:
    """One job of forty takes 300 s: how long the next ones take is not learned from it."""
    harness = make_harness(job_seconds=4)
    harness.load(*[12] * 10)
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    harness.sandbox.faults.add("job_late", seconds=300, after=10)
    begun = harness.time.passed
    harness.check(plan.apply(client, ledger=harness.ledger), archived=120)
    assert harness.time.passed - begun < 400


def _polls_of_the_first(seconds: float) -> int:
    """The first job's time is not known: it is looked at after 2 s, 3 s more, 4.5 s more, ..."""
    waits, waited = [2.0], 0.0
    while waited + waits[-1] < seconds:
        waited += waits[-1]
        waits.append(min(waits[-1] * 1.5, 30.0))
    return 2 * len(waits)


def test_reading_goes_on_while_jobs_run(harness: Harness) -> None:
    """A target that is done is read back while the jobs of others are at work."""
    harness.load(*[5] * 7)
    open_jobs: list[int] = []

    def look(exchange: Exchange) -> None:
        if exchange.path.endswith("/archived"):
            now = int(harness.time.now().timestamp() * 1_000_000)
            ((number,),) = harness.sql("SELECT COUNT(*) FROM jobs WHERE ends_at > ?", now)
            open_jobs.append(number)

    client = harness.connect(limits=Limits(page_size=5))  # each of them is read on its own
    plan = harness.job(*range(1, 8)).plan(client)
    harness.line.before.append(look)
    harness.check(plan.apply(client, ledger=harness.ledger), archived=35)
    # Seen that there is a list, the canary, the first chunk; then six targets, five at once.
    assert open_jobs == [0, 0, 0, 1, 1, 1, 1, 1, 0]


def _slept(harness: Harness, *, now: float, began: float, seen_open: float | None = None) -> float:
    """For how long a job that began then is waited for now."""
    slept: list[float] = []
    harness.client._use_clock(Clock(monotonic=lambda: now, sleep=slept.append))
    jobs = Jobs(harness.client, before=())
    jobs._running["a"] = RunningJob(began, open_until=seen_open)
    submission: Any = SimpleNamespace(job_id="a")
    jobs._pause([submission])
    return slept[0]


@pytest.mark.parametrize("until", ["it should have ended", "its time is up"])
def test_a_wait_that_rounding_makes_nothing_passes_all_the_same(
    harness: Harness, until: str
) -> None:
    """A hair's breadth before the moment, polls would come on the spot for ever."""
    limits, began = harness.client.limits, 0.1
    moment = began + (limits.first_poll if until == "it should have ended" else limits.job_timeout)
    assert _slept(harness, now=nextafter(moment, 0), began=began) >= 0.01


def test_a_job_that_fell_due_while_others_were_read_back_is_looked_for_at_once(
    harness: Harness,
) -> None:
    """It waits for no longer than it takes; seen open after that, for a third of its time."""
    assert _slept(harness, now=100.0, began=40.0) == pytest.approx(0.01)
    assert _slept(harness, now=100.0, began=40.0, seen_open=60.0) == pytest.approx(20.0)


def _hang_but(harness: Harness, user: int) -> None:
    """The job does its work for one user, and then stays open."""
    harness.hang_jobs()
    now = int(harness.time.now().timestamp() * 1_000_000)
    harness.change("UPDATE job_rows SET due_at = ? WHERE user_id = ?", now, user)


@pytest.mark.parametrize("again", [False, True], ids=["archived", "enrolled again"])
def test_enrolled_again_while_the_job_is_open(harness: Harness, *, again: bool) -> None:
    """Who was archived and is enrolled again may be taken by the job too: not decided yet."""
    harness.load(4)
    planned = harness.plan()
    harness.line.once(of_many, lambda: _hang_but(harness, 1002), after=True)

    def enroll() -> None:
        harness.sandbox.advance()
        assert harness.archived[1, 1002] == 1
        if again:
            enrolled = {"user_id": 1002, "id_course": 1, "enrollment_status": "enrolled"}
            at = f"{harness.time.now():%Y-%m-%d %H:%M:%S}"
            harness.sandbox.load(enrollments=[{**enrolled, "enrollment_created_at": at}])

    harness.line.once(lambda exchange: exchange.is_poll and len(harness.writes) > 1, enroll)
    with pytest.raises(JobTimeoutError):
        harness.apply(planned)
    unknown = {outcome.user: outcome for outcome in list(ArchiveResult(harness.ledger).unknown)}
    assert set(unknown) == ({1002, 1003, 1004} if again else {1003, 1004})
    if again:
        assert unknown[1002].code == "job_not_ended"
        assert "enrolled again by another person while background job" in unknown[1002].reason
    harness.end_jobs()
    result = resume(harness.ledger, harness.client)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert harness.active == ({(1, 1002)} if again else set())
