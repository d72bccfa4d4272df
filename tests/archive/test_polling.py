"""Waiting for jobs: one page of the listing for all of them, rarely more."""

from itertools import pairwise
from math import nextafter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plan_tools import AGAIN, check, rows
from virtual_time import Exchange, Stage, VirtualTime

from lms_archive import ArchiveJob, ArchiveResult, Limits, resume
from lms_archive.archive.running.jobs import Jobs
from lms_archive.errors import JobTimeoutError
from lms_archive.sandbox import Sandbox
from lms_archive.wire.clock import Clock


def _of_many(exchange: Exchange) -> bool:
    return exchange.is_write and len(exchange.body["user_id"]) > 1


def test_one_page_polls_all_open_jobs(stage: Stage) -> None:
    """Five open jobs cost one call a poll, and no job is asked for alone."""
    stage.load(*[4] * 6)
    result = stage.apply()
    stage.check(result, archived=24)
    assert "get_job" not in result.calls
    polls = [one for one in stage.line.exchanges if one.is_poll]
    assert all(("page", "1") in one.query for one in polls)
    assert len(polls) < 12


def test_a_job_that_is_not_listed_yet_is_asked_for_by_its_hash(stage: Stage) -> None:
    """A job that begins late is found by its hash, and waited for."""
    stage.load(5)
    stage.sandbox.faults.add("job_late", seconds=30)
    result = stage.apply()
    stage.check(result, archived=5)
    assert result.calls["get_job"] >= 1


def test_polls_grow_rarer(stage: Stage) -> None:
    """A long job is asked for ever more rarely, at most every 30 s."""
    stage.load(5)
    plan = stage.plan()
    stage.line.once(
        _of_many,
        lambda: stage.change("UPDATE jobs SET ends_at = ends_at + 600000000"),
        after=True,
    )
    times: list[float] = []
    stage.line.before.append(lambda one: times.append(stage.time.passed) if one.is_poll else None)
    stage.check(stage.apply(plan), archived=5)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] == pytest.approx(2.0)
    assert waits == sorted(waits)
    assert max(waits) == 30.0
    assert len(times) < 35


@pytest.mark.parametrize("status", ["paused", "RUNNING!"])
def test_an_unknown_state_counts_as_open(stage: Stage, status: str) -> None:
    """A word that nobody knows is no end: the job is waited for, for as long as allowed."""
    stage.load(4)
    client = stage.connect(limits=Limits(job_timeout=100))
    plan = stage.job().plan(client)

    def halt() -> None:
        stage.hang_jobs()
        stage.change("UPDATE jobs SET status = ?", status)

    stage.line.once(_of_many, halt, after=True)
    begun = stage.time.passed
    with pytest.raises(JobTimeoutError) as caught:
        plan.apply(client, ledger=stage.ledger)
    assert 100 <= stage.time.passed - begun < 200
    assert caught.value.job_id == stage.sql("SELECT hash FROM jobs")[0][0]
    stage.change("UPDATE jobs SET status = 'running'")
    stage.end_jobs()
    stage.check(resume(stage.ledger, client), archived=4)


def test_jobs_from_before_the_run_are_not_waited_for(stage: Stage) -> None:
    """Somebody's job that was open already does not hold up what is in doubt."""
    stage.load(4, 4)
    stage.client.request(
        "PUT",
        "/learn/v1/enrollments",
        json={"course_id": [2], "user_id": [1001, 1002], "enrollment_mode": "delete"},
    )
    stage.hang_jobs()
    plan = stage.plan(1)
    stage.sandbox.faults.add("cut_after", method="PUT", after=1)
    begun = stage.time.passed
    stage.check(stage.apply(plan), archived=4)
    assert stage.time.passed - begun < 120


def test_a_new_job_of_the_account_may_be_ours(stage: Stage) -> None:
    """Where an answer was lost, any new job of the account is waited for before reading."""
    stage.load(4, 4)
    plan = stage.plan(1)

    def lost() -> None:
        stage.connect(transport=None).request(
            "PUT",
            "/learn/v1/enrollments",
            json={"course_id": [2], "user_id": [1001, 1002], "enrollment_mode": "delete"},
        )
        stage.change("UPDATE jobs SET ends_at = ends_at + 300000000")
        raise ConnectionResetError(104, "Connection reset by peer")

    stage.line.once(_of_many, lost)
    begun = stage.time.passed
    result = stage.apply(plan)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert stage.time.passed - begun > 300


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_an_open_job_on_a_later_page_is_seen(stage: Stage, mode: str) -> None:
    """Where the list is long, an open job of ours may stand anywhere in it: it is waited for."""
    stage.load(4)
    terms = {**AGAIN, "mode": mode}
    plan = ArchiveJob.from_rows(rows(range(1001, 1005), courses=(1,)), **terms).plan(stage.client)

    def lost() -> None:
        stage.change("UPDATE jobs SET ends_at = ends_at + 600000000")
        stage.change("UPDATE job_rows SET due_at = due_at + 600000000")
        stage.change(
            f"INSERT INTO jobs SELECT number + value, hash || value, name, 'completed', 100, 0, 0,"
            f" author_id, date_created, last_update, NULL, enrollment_mode, 0, 0, starts_at,"
            f" starts_at, 'completed', 0 FROM jobs, ({_NUMBERS})"
        )
        raise ConnectionResetError(104, "Connection reset by peer")

    stage.line.once(_of_many, lost, after=True)
    result = plan.apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=mode == "re-enroll", archived=4)
    assert len(stage.writes) == 2


_NUMBERS = (
    "WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 250)"
    " SELECT value FROM n"
)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0, 7.0, 40.0, 300.0])
def test_a_poll_tells_of_several_jobs(tmp_path: Path, seconds: float) -> None:
    """However long jobs take, one poll does for two chunks, and the wait is at most twice that."""
    time = VirtualTime()
    with Sandbox(clock=time, job_seconds=seconds) as sandbox:
        stage = Stage(sandbox, time, tmp_path)
        stage.load(*[12] * 10)
        stage.line.before.append(lambda _: time.sleep(0.3))
        client = stage.connect(limits=Limits(hand_picked=3))
        plan = stage.job().plan(client)
        begun = time.passed
        result = plan.apply(client, ledger=stage.ledger)
        stage.check(result, archived=120)
        stage.line.close()
    chunks, polls = len(plan.chunks), result.calls["list_jobs"] - 1
    assert polls <= (chunks + _polls_of_the_first(seconds)) / 2
    calling = 0.3 * sum(result.calls.values())
    rounds = 1 + (chunks - 1) / 5
    assert time.passed - begun <= calling + 2 * rounds * max(seconds, 2.0)


def test_a_job_that_is_late_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """One job of forty takes 300 s: how long the next ones take is not learned from it."""
    time = VirtualTime()
    with Sandbox(clock=time, job_seconds=4) as sandbox:
        stage = Stage(sandbox, time, tmp_path)
        stage.load(*[12] * 10)
        client = stage.connect(limits=Limits(hand_picked=3))
        plan = stage.job().plan(client)
        sandbox.faults.add("job_late", seconds=300, after=10)
        begun = time.passed
        stage.check(plan.apply(client, ledger=stage.ledger), archived=120)
        stage.line.close()
    assert time.passed - begun < 400


def _polls_of_the_first(seconds: float) -> int:
    """The first job's time is not known: it is looked at after 2 s, 3 s more, 4.5 s more, ..."""
    waits, waited = [2.0], 0.0
    while waited + waits[-1] < seconds:
        waited += waits[-1]
        waits.append(min(waits[-1] * 1.5, 30.0))
    return 2 * len(waits)


def test_reading_goes_on_while_jobs_run(stage: Stage) -> None:
    """A target that is done is read back while the jobs of others are at work."""
    stage.load(*[5] * 7)
    open_jobs: list[int] = []

    def look(exchange: Exchange) -> None:
        if exchange.path.endswith("/archived"):
            now = int(stage.time.now().timestamp() * 1_000_000)
            ((number,),) = stage.sql("SELECT COUNT(*) FROM jobs WHERE ends_at > ?", now)
            open_jobs.append(number)

    client = stage.connect(limits=Limits(page_size=5))  # each of them is read on its own
    plan = stage.job(*range(1, 8)).plan(client)
    stage.line.before.append(look)
    stage.check(plan.apply(client, ledger=stage.ledger), archived=35)
    # Seen that there is a list, the canary, the first chunk; then six targets, five at once.
    assert open_jobs == [0, 0, 0, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("until", ["it should have ended", "its time is up"])
def test_a_wait_that_rounding_makes_nothing_passes_all_the_same(stage: Stage, until: str) -> None:
    """A hair's breadth before the moment, polls would come on the spot for ever."""
    limits = stage.client.limits
    began = 0.1
    moment = began + (limits.first_poll if until == "it should have ended" else limits.job_timeout)
    slept: list[float] = []
    clock = Clock(monotonic=lambda: nextafter(moment, 0), sleep=slept.append)
    stage.client._use_clock(clock)
    jobs = Jobs(stage.client, before=())
    submission: Any = SimpleNamespace(job_id="a")
    jobs._began["a"] = began
    jobs._pause([submission])
    assert slept[0] >= 0.01


def test_a_job_that_fell_due_while_others_were_read_back_is_looked_for_at_once(
    stage: Stage,
) -> None:
    """It waits for no longer than it takes; seen open after that, for a third of its time."""
    slept: list[float] = []
    clock = Clock(monotonic=lambda: 100.0, sleep=slept.append)
    stage.client._use_clock(clock)
    jobs = Jobs(stage.client, before=())
    submission: Any = SimpleNamespace(job_id="a")
    jobs._began["a"] = 40.0
    jobs._pause([submission])
    jobs._seen_open["a"] = 60.0
    jobs._pause([submission])
    assert slept == [pytest.approx(0.01), pytest.approx(20.0)]


def _hang_but(stage: Stage, user: int) -> None:
    """The job does its work for one user, and then stays open."""
    stage.hang_jobs()
    now = int(stage.time.now().timestamp() * 1_000_000)
    stage.change("UPDATE job_rows SET due_at = ? WHERE user_id = ?", now, user)


@pytest.mark.parametrize("again", [False, True], ids=["archived", "enrolled again"])
def test_enrolled_again_while_the_job_is_open(stage: Stage, *, again: bool) -> None:
    """Who was archived and is enrolled again may be taken by the job too: not decided yet."""
    stage.load(4)
    planned = stage.plan()
    stage.line.once(_of_many, lambda: _hang_but(stage, 1002), after=True)

    def enroll() -> None:
        stage.sandbox.advance()
        assert stage.archived[1, 1002] == 1
        if again:
            enrolled = {"user_id": 1002, "id_course": 1, "enrollment_status": "enrolled"}
            at = f"{stage.time.now():%Y-%m-%d %H:%M:%S}"
            stage.sandbox.load(enrollments=[{**enrolled, "enrollment_created_at": at}])

    stage.line.once(lambda one: one.is_poll and len(stage.writes) > 1, enroll)
    with pytest.raises(JobTimeoutError):
        stage.apply(planned)
    unknown = {one.user: one for one in list(ArchiveResult(stage.ledger).unknown)}
    assert set(unknown) == ({1002, 1003, 1004} if again else {1003, 1004})
    if again:
        assert unknown[1002].code == "job_not_ended"
        assert "enrolled again by another person while background job" in unknown[1002].reason
    stage.end_jobs()
    result = resume(stage.ledger, stage.client)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert stage.active == ({(1, 1002)} if again else set())
