"""The hour's calls: never too many, and no slower than need be."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import VirtualTime
from wire_tools import answer, run_all, scripted

from lms_archive import Client

HOUR = 3600.0


def limited(limit: int | None) -> tuple[Client, VirtualTime]:
    """A client with that limit of calls an hour, and its time."""
    time = VirtualTime()
    return scripted(answer({}), time=time, calls_per_hour=limit)[0], time


def call(client: Client, times: int) -> None:
    """Make a call this number of times."""
    for _ in range(times):
        client.request("GET", "/x")


def most_in_an_hour(times: list[float]) -> int:
    """The largest number of calls within any 3,600 s."""
    return max(i - bisect_left(times, at - HOUR + 1e-6) + 1 for i, at in enumerate(times))


@given(
    limit=st.integers(1, 7),
    pauses=st.lists(st.floats(0, 3700) | st.sampled_from([0.0, 3570.0]), min_size=1, max_size=60),
    expected=st.integers(0, 30),
)
def test_no_hour_holds_more_calls_than_allowed(
    limit: int, pauses: list[float], expected: int
) -> None:
    """However the calls come, no 3,600 s hold more of them than allowed."""
    client, time = limited(limit)
    client.session.expect(expected)
    called = []
    for pause in pauses:
        time.passed += pause
        call(client, 1)
        called.append(time.passed)
    assert most_in_an_hour(called) <= limit


@pytest.mark.parametrize(
    ("limit", "before", "expected", "calls", "waits"),
    [
        pytest.param(100, 20, 80, 80, [], id="what fits into the hour does not wait"),
        pytest.param(100, 20, 80, 81, [HOUR], id="the first that does not fit waits"),
        pytest.param(100, 0, 101, 101, [36.0] * 100, id="a larger job is spread evenly"),
        pytest.param(100, 30, 71, 1, [36.0], id="calls of the last hour count"),
        pytest.param(None, 0, 10**6, 1000, [], id="without a limit nothing waits"),
    ],
)
def test_calls_wait_as_their_number_and_the_hour_need(
    limit: int | None, before: int, expected: int, calls: int, waits: list[float]
) -> None:
    """Calls are announced before they are made: they fit into what is left, or are spread."""
    client, time = limited(limit)
    call(client, before)
    client.session.expect(expected)
    call(client, calls)
    assert time.slept == pytest.approx(waits)


def test_calls_that_are_an_hour_old_do_not_count() -> None:
    """What other jobs of the same client have used up of the hour comes back."""
    client, time = limited(100)
    call(client, 30)
    time.passed += HOUR
    client.session.expect(71)
    call(client, 2)
    assert time.slept == []


def test_calls_that_are_far_apart_do_not_wait() -> None:
    """Calls that are far enough apart anyway are not held back."""
    client, time = limited(10)
    client.session.expect(1000)
    for _ in range(50):
        call(client, 1)
        time.passed += 361
    assert time.slept == []


def test_threads_are_counted_one_by_one() -> None:
    """Threads that call at once are counted one by one."""
    client, time = limited(5)
    run_all([lambda: call(client, 5)] * 8)
    assert client.session.calls == {"request": 40}
    assert time.passed >= 7 * HOUR
