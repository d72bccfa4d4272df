"""The hour's calls: never too many, and no slower than need be."""

import threading
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_tools import FakeTime, answer, run_all, scripted

from lms_archive.wire.throttle import HOUR, Throttle
from lms_archive.wire.waits import Clock


def most_in_an_hour(times: list[float]) -> int:
    """The largest number of calls within any 3,600 s."""
    return max(i - bisect_left(times, at - HOUR + 1e-6) + 1 for i, at in enumerate(times))


@given(
    limit=st.integers(1, 7),
    pauses=st.lists(st.floats(0, 3000) | st.just(0.0), min_size=1, max_size=60),
    expected=st.integers(0, 30),
)
def test_no_hour_holds_more_calls_than_allowed(
    limit: int, pauses: list[float], expected: int
) -> None:
    """However the calls come, no 3,600 s hold more of them than allowed."""
    time = FakeTime()
    throttle = Throttle(limit, time.clock)
    throttle.expect(expected)
    taken = []
    for pause in pauses:
        time.at += pause
        throttle.take()
        taken.append(time.at)
    assert most_in_an_hour(taken) <= limit


def test_calls_that_fit_into_the_hour_do_not_wait() -> None:
    """A job whose calls fit into what is left of the hour waits for nothing."""
    time = FakeTime()
    throttle = Throttle(100, time.clock)
    for _ in range(20):
        throttle.take()
    throttle.expect(80)
    for _ in range(80):
        throttle.take()
    assert time.slept == []
    throttle.take()
    assert time.at == pytest.approx(1000 + HOUR)


def test_calls_that_do_not_fit_are_spread_evenly() -> None:
    """A job of more calls spreads them, instead of an hour's silence in the middle."""
    time = FakeTime()
    throttle = Throttle(100, time.clock)
    throttle.expect(101)
    for _ in range(101):
        throttle.take()
    assert len(time.slept) == 100
    assert time.slept == pytest.approx([36.0] * 100)


def test_calls_of_the_last_hour_count() -> None:
    """What others of the same client have used up of the hour is taken off, and comes back."""
    time = FakeTime()
    throttle = Throttle(100, time.clock)
    for _ in range(30):
        throttle.take()
    throttle.expect(71)
    throttle.take()
    assert time.slept == pytest.approx([36.0])
    time.at += HOUR
    throttle.expect(71)
    throttle.take()
    assert len(time.slept) == 1


def test_calls_that_are_far_apart_do_not_wait() -> None:
    """Calls that are far enough apart anyway are not held back."""
    time = FakeTime()
    throttle = Throttle(10, time.clock)
    throttle.expect(1000)
    for _ in range(50):
        throttle.take()
        time.at += 361
    assert time.slept == []


def test_without_a_limit_nothing_waits() -> None:
    """None lets everything through, and expects nothing."""
    time = FakeTime()
    throttle = Throttle(None, time.clock)
    throttle.expect(10**6)
    for _ in range(5000):
        throttle.take()
    assert time.slept == []


def test_the_session_announces_calls_to_its_throttle() -> None:
    """`wire.expect` reaches the throttle of that client."""
    time = FakeTime()
    client, _ = scripted(answer({}), time=time, calls_per_hour=36)
    client.session.expect(100)
    client.request("GET", "/x")
    client.request("GET", "/x")
    assert time.slept == pytest.approx([100.0])


def test_threads_are_counted_one_by_one() -> None:
    """Threads that call at once are counted one by one."""
    lock, now, taken = threading.Lock(), [0.0], []

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    throttle = Throttle(5, Clock(monotonic=lambda: now[0], sleep=sleep))

    def work() -> None:
        for _ in range(5):
            throttle.take()
            taken.append(1)

    run_all([work] * 8)
    assert len(taken) == 40
    assert now[0] >= 7 * HOUR
