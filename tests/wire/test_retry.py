"""When a call is made again: what is safe, how often, and after how long."""

from collections.abc import Callable

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import VirtualTime
from wire_tools import GOOD, READ, WRITE, Scripted, answer, refusal, scripted, token

from lms_archive import ApiError, ClientCredentials, RetryPolicy
from lms_archive.errors import (
    AuthenticationError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.wire import RequestNotSentError
from lms_archive.wire.calls import Request
from lms_archive.wire.retry import LONGEST_WAIT

AUTH = ClientCredentials("app", "app-secret")
TRANSIENT: dict[str, Scripted] = {
    "cut": requests.ConnectionError("cut"),
    "read time-out": requests.ReadTimeout("late"),
    "never connected": RequestNotSentError("refused"),
    "500": refusal(500),
    "503": refusal(503),
}


@pytest.mark.parametrize("attempts", [1, 2, 6])
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_read_is_repeated_up_to_its_attempts(fault: Scripted, attempts: int) -> None:
    """The attempts count the first call too; the last may succeed, else the last error stands."""
    time = VirtualTime()
    policy = RetryPolicy(attempts=attempts)
    client, script = scripted(fault, time=time, retry=policy)
    with pytest.raises(PlatformUnavailableError):
        client.session.send(READ)
    assert len(script.sent) == attempts
    assert len(time.slept) == attempts - 1
    assert sum(time.slept) <= 2 ** (attempts - 1) - 1
    client, script = scripted(*[fault] * (attempts - 1), GOOD, retry=policy)
    assert client.session.send(READ).data == {"data": 1}
    assert len(script.sent) == attempts
    assert RetryPolicy().attempts == 6


def test_a_write_that_never_left_is_sent_again() -> None:
    """A write whose connection never came about is tried like a read."""
    client, script = scripted(*[RequestNotSentError("x")] * 5, GOOD)
    assert client.session.send(WRITE).data == {"data": 1}
    assert len(script.sent) == 6
    client, script = scripted(RequestNotSentError("x"))
    with pytest.raises(PlatformUnavailableError) as caught:
        client.session.send(WRITE)
    assert not caught.value.in_doubt
    assert len(script.sent) == 6


def test_the_first_attempt_that_may_have_left_is_the_last() -> None:
    """The first try that may have left ends the tries."""
    client, script = scripted(
        RequestNotSentError("x"), refusal(429), requests.ConnectionError("cut"), GOOD
    )
    with pytest.raises(PlatformUnavailableError) as caught:
        client.session.send(WRITE)
    assert caught.value.in_doubt
    assert len(script.sent) == 3


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_a_429_costs_no_attempt(request_: Request) -> None:
    """However often the platform is busy, the tries are kept for faults."""
    client, script = scripted(*[refusal(429)] * 20, *[RequestNotSentError("x")] * 5, GOOD)
    assert client.session.send(request_).data == {"data": 1}
    assert len(script.sent) == 26


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_429s_are_waited_for_an_hour_at_most(request_: Request) -> None:
    """One call waits about an hour for 429s in all, and then says so."""
    time = VirtualTime()
    client, script = scripted(refusal(429), time=time)
    with pytest.raises(RateLimitError) as caught:
        client.session.send(request_)
    assert LONGEST_WAIT < sum(time.slept) < LONGEST_WAIT + 62
    assert len(script.sent) < 80
    assert not caught.value.in_doubt


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("after", ["3601", "99999999999999999999", "Mon, 01 Mar 2027 12:00:00 GMT"])
def test_an_hour_is_waited_and_more_is_an_error_at_once(request_: Request, after: str) -> None:
    """A longer wait is the caller's decision: the error carries it."""
    time = VirtualTime()
    client, script = scripted(refusal(429, Retry_After="3600"), GOOD, time=time)
    client.session.send(request_)
    assert sum(time.slept) == pytest.approx(3600, abs=3)
    time = VirtualTime()
    client, script = scripted(refusal(429, Retry_After=after), GOOD, time=time)
    with pytest.raises(RateLimitError) as caught:
        client.session.send(request_)
    assert (caught.value.retry_after or 0) > 3600
    assert (len(script.sent), time.slept) == (1, [])


@given(
    asked=st.lists(
        st.tuples(st.sampled_from([429, 503, 500, 408]), st.none() | st.integers(0, 1200)),
        min_size=1,
        max_size=12,
    ),
)
def test_no_wait_is_shorter_than_asked(asked: list[tuple[int, int | None]]) -> None:
    """Whatever the faults, a wait is its Retry-After and little more, and their sum is bounded."""
    time = VirtualTime()
    faults = [
        refusal(status, **({} if after is None else {"Retry_After": str(after)}))
        for status, after in asked
    ]
    client, script = scripted(*faults, GOOD, time=time)
    done = True
    try:
        client.session.send(READ)
    except (RateLimitError, PlatformUnavailableError):
        done = False
    assert len(time.slept) == len(script.sent) - 1
    for wait, (_, after) in zip(time.slept, asked, strict=False):
        assert (after or 0) <= wait <= max(after or 0, 61) + 3
    assert sum(time.slept) <= LONGEST_WAIT + 6 * 60 + 62
    failed = sum(status != 429 for status, _ in asked[: len(script.sent)])
    longest = LONGEST_WAIT - 62 * len(asked)  # a 429 that names no time is a wait as well
    assert done or failed == 6 or sum(after or 0 for _, after in asked) > longest


@given(limited=st.integers(1, 30), asked=st.sampled_from([{}, {"Retry_After": "1"}]))
def test_waits_for_429_grow_and_never_vanish(limited: int, asked: dict[str, str]) -> None:
    """Where the platform names no time, or a second, they begin there and grow to a minute."""
    time = VirtualTime()
    client, _ = scripted(*[refusal(429, **asked)] * limited, GOOD, time=time)
    client.session.send(READ)
    assert all(1 <= wait <= 61 for wait in time.slept)
    assert all(wait >= min(60, 2**i) for i, wait in enumerate(time.slept))


ONCE: dict[str, Scripted] = {**TRANSIENT, "429": refusal(429)}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE.keys())
def test_a_call_without_repeating_is_sent_once(fault: Scripted) -> None:
    """`repeat=False`, and any write of `Client.request`, whatever happens to it."""
    client, script = scripted(fault, GOOD)
    calls: list[Callable[[], object]] = [
        lambda: client.session.send(READ, repeat=False),
        lambda: client.request("PUT", "/x", json={"user_id": [1]}),
        lambda: client.request("DELETE", "/x"),
    ]
    for call in calls:
        script.sent.clear()
        with pytest.raises(ApiError):
            call()
        assert len(script.sent) == 1


TOKEN_FAULTS: dict[str, tuple[list[Scripted], type[ApiError]]] = {
    "cut": ([requests.ConnectionError("cut")], PlatformUnavailableError),
    "500": ([refusal(500)], PlatformUnavailableError),
    "408": ([refusal(408)], PlatformUnavailableError),
    "HTML": ([answer(b"<html>")], UnexpectedResponseError),
    "no token": ([answer({"token": "x"})], UnexpectedResponseError),
    "429 for long": ([refusal(429, Retry_After="7200")], RateLimitError),
    "refused": ([refusal(401)], AuthenticationError),
}


@pytest.mark.parametrize(("tokens", "family"), TOKEN_FAULTS.values(), ids=TOKEN_FAULTS.keys())
def test_a_login_that_fails_leaves_no_write_in_doubt(
    tokens: list[Scripted], family: type[ApiError]
) -> None:
    """The token call comes before the write: whatever happens to it, nothing was archived."""
    client, script = scripted(GOOD, auth=AUTH, tokens=tokens)
    with pytest.raises(family) as caught:
        client.session.send(WRITE)
    assert not caught.value.in_doubt
    assert script.sent == []
    assert len(script.logins) == (6 if family is PlatformUnavailableError else 1)


def test_a_lost_login_is_repeated_before_a_write() -> None:
    """A token call that is cut is made again, and the write is then sent once."""
    cut = requests.ConnectionError("cut")
    client, script = scripted(GOOD, auth=AUTH, tokens=[cut, refusal(503), token()])
    client.session.send(WRITE)
    assert (len(script.logins), len(script.sent)) == (3, 1)


def test_a_write_is_sent_again_with_a_renewed_token() -> None:
    """A 401 means that nothing was done: with a new token the write is sent a second time."""
    client, script = scripted(refusal(401), GOOD, auth=AUTH)
    client.session.send(WRITE)
    bearers = [sent.headers["Authorization"] for sent in script.sent]
    assert bearers == ["Bearer token-1", "Bearer token-2"]


def test_a_login_that_is_lost_after_a_401_leaves_no_doubt() -> None:
    """A 401, and then a login that is lost: still nothing was done, and no doubt is left."""
    cut = requests.ConnectionError("cut")
    client, script = scripted(refusal(401), auth=AUTH, tokens=[token(), cut])
    with pytest.raises(PlatformUnavailableError) as caught:
        client.session.send(WRITE)
    assert not caught.value.in_doubt
    assert len(script.sent) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError])
def test_interrupts_pass_through(stop: type[BaseException]) -> None:
    """An interrupt is not swallowed, neither in a call nor in a wait."""
    client, script = scripted(stop())
    with pytest.raises(stop):
        client.session.send(READ)
    assert len(script.sent) == 1

    class Impatient(VirtualTime):
        def sleep(self, _: float) -> None:
            raise stop

    client, script = scripted(refusal(500), time=Impatient())
    with pytest.raises(stop):
        client.session.send(READ)
    assert len(script.sent) == 1
