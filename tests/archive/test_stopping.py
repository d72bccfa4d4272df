"""A run that is asked to stop: it sends and waits for nothing more, and can be resumed."""

import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

import pytest
from virtual_time import Harness, VirtualTime

from lms_archive import ArchiveResult, InvalidInputError, RunStoppedError, resume
from lms_archive.archive import RunEvent
from lms_archive.errors import JobTimeoutError, StopRequestedError


class Stop:
    """A stop that is set at a moment, or from the n-th look on."""

    def __init__(self, time: VirtualTime, *, at_look: float = inf) -> None:
        self._time, self._at_look = time, at_look
        self.looks, self.asked_at = 0, inf
        self.events: list[RunEvent] = []

    def is_set(self) -> bool:
        """Whether to stop."""
        self.looks += 1
        return self.is_asked or self.looks >= self._at_look

    @property
    def is_asked(self) -> bool:
        """Whether it is set."""
        return self.asked_at < inf

    def ask(self) -> None:
        """Set it."""
        self.asked_at = min(self.asked_at, self._time.passed)

    def when(self, condition: Callable[[RunEvent], bool]) -> Callable[[RunEvent], None]:
        """Return a listener that keeps each event, and sets the stop at one that is like this."""

        def listen(event: RunEvent) -> None:
            self.events.append(event)
            if condition(event):
                self.ask()

        return listen


def test_a_job_that_is_waited_for_is_left_to_resume(harness: Harness) -> None:
    """Within a second, with the ledger and the counts; the rest is archived once."""
    harness.load(6, 4)
    stop = Stop(harness.time)
    listen = stop.when(lambda event: event.kind == "waiting" and event.done == 1)
    with pytest.raises(RunStoppedError, match="stopped on request") as caught:
        harness.apply(stop=stop, on_event=listen)
    assert harness.time.passed - stop.asked_at <= 1
    assert caught.value.ledger == harness.ledger
    assert caught.value.counts["archived"] == 1
    assert stop.events[-1].kind == "stopped"
    assert len(harness.writes) == 2
    assert len(ArchiveResult(harness.ledger).pending) == 9
    harness.check(resume(harness.ledger, harness.client, stop=threading.Event()), archived=10)
    assert len(harness.writes) == 3


def test_no_write_follows_the_request(harness: Harness) -> None:
    """It is looked at right before `sending` is recorded."""
    harness.load(6)
    stop = Stop(harness.time)
    listen = stop.when(lambda event: event.kind == "decided" and event.done > 0)
    with pytest.raises(StopRequestedError):
        harness.apply(stop=stop, on_event=listen)
    assert len(harness.writes) == 1
    harness.check(resume(harness.ledger, harness.client), archived=6)


def test_a_request_before_the_start_sends_nothing(harness: Harness) -> None:
    """The plan is in its ledger, and can be applied later."""
    harness.load(3)
    plan = harness.plan()
    stop = threading.Event()
    stop.set()
    with pytest.raises(StopRequestedError):
        harness.apply(plan, stop=stop)
    assert harness.writes == []
    harness.check(harness.apply(plan), archived=3)


@pytest.mark.parametrize("reason", ["rate limit", "settle", "job"])
def test_every_wait_ends(harness: Harness, reason: str) -> None:
    """That of the hour's calls, that for a lost answer, and that for a job."""
    harness.load(5, 5)
    if reason == "settle":
        harness.sandbox.faults.add("cut_after", method="PUT", after=1)
    client = harness.connect(calls_per_hour=20 if reason == "rate limit" else None)
    plan, stop = harness.job().plan(client), Stop(harness.time)
    listen = stop.when(
        lambda event: event.kind == "waiting" and event.reason == reason and event.done > 0
    )
    with pytest.raises(StopRequestedError):
        plan.apply(client, ledger=harness.ledger, stop=stop, on_event=listen)
    assert harness.time.passed - stop.asked_at <= 1
    harness.check(resume(harness.ledger, harness.client), archived=10)


@pytest.mark.parametrize("fault", ["limit", "429"])
def test_a_write_that_waits_has_not_been_sent(harness: Harness, fault: str) -> None:
    """It is recorded so, whether the hour's calls are used up or the platform says 429."""
    harness.load(5)
    client = harness.connect(calls_per_hour=9 if fault == "limit" else None)
    if fault == "429":
        harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=600)
    plan, stop = harness.job().plan(client), Stop(harness.time)

    def kinds() -> list[str]:
        return [event.kind for event in stop.events[-2:]]

    with pytest.raises(StopRequestedError):
        plan.apply(
            client,
            ledger=harness.ledger,
            stop=stop,
            on_event=stop.when(
                lambda event: kinds() == ["sending", "waiting"] and event.reason == "rate limit"
            ),
        )
    assert kinds() == ["not_sent", "stopped"]
    before = len(harness.operations)
    harness.check(resume(harness.ledger, harness.client), archived=5)
    assert "list_jobs" in harness.operations[before:]
    assert harness.time.passed < 3600 * 2


@pytest.mark.parametrize("number", [2, 3], ids=["first chunk", "later"])
def test_a_request_does_not_hide_why_a_job_stopped(harness: Harness, number: int) -> None:
    """While the rest is waited for and read back, the first reason stays."""
    harness.load(3, 3, 3)
    stop, sent = Stop(harness.time), 0

    def hang(_: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == number:
            harness.hang_jobs()

    harness.line.after.append(lambda exchange: hang(exchange) if exchange.is_write else None)
    harness.line.after.append(lambda _: stop.ask() if harness.time.passed >= 3600 else None)
    with pytest.raises(JobTimeoutError):
        harness.apply(stop=stop)
    assert stop.is_asked
    harness.client.courses.get(1)  # no hook is left behind
    harness.line.after.clear()
    harness.end_jobs()
    harness.check(resume(harness.ledger, harness.client), archived=9)


def test_another_thread_of_the_same_client_is_not_stopped(harness: Harness) -> None:
    """The request holds for the thread that runs the job."""
    harness.load(4)
    stop, found = Stop(harness.time), list[str]()

    def listen(event: RunEvent) -> None:
        if event.kind == "submitted":
            stop.ask()
            thread = threading.Thread(
                target=lambda: found.append(harness.client.courses.get(1).code or "")
            )
            thread.start()
            thread.join()

    with pytest.raises(StopRequestedError):
        harness.apply(stop=stop, on_event=listen)
    assert found == ["C1"]
    harness.check(resume(harness.ledger, harness.client), archived=4)


def test_a_run_that_is_not_asked_ends_as_ever(harness: Harness) -> None:
    """It looks, and goes on."""
    harness.load(4, 2)
    stop = Stop(harness.time)
    harness.check(harness.apply(stop=stop), archived=6)
    assert stop.looks > 4


@pytest.mark.parametrize("stop", [True, "no", 7, threading.Event], ids=str)
def test_what_cannot_say_whether_to_stop(harness: Harness, stop: Any) -> None:
    """It is refused before anything is sent."""
    harness.load(1)
    with pytest.raises(InvalidInputError, match=r"^stop must be an object with is_set\(\)"):
        harness.apply(stop=stop)
    assert not harness.ledger.exists()


def test_a_job_that_is_stopped_at_every_look_archives_each_row_once(harness: Harness) -> None:
    """At its first look, then at the second one of what is left, and so on, amid lost answers."""
    harness.load(*[3] * 8)
    for after in (2, 5):
        harness.sandbox.faults.add("cut_after", method="PUT", after=after)
    harness.sandbox.faults.add("cut_before", method="PUT", after=3)
    harness.sandbox.faults.add("429", method="PUT", after=4, retry_after=2)
    plan, stops = harness.plan(), 0
    while True:
        with suppress(StopRequestedError):
            result = harness.apply(plan, stop=Stop(harness.time, at_look=stops + 1))
            break
        stops += 1
    assert stops > 20
    harness.check(result, archived=24)
