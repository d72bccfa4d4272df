"""When a call is made again: the only module that knows backoff."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import backoff

from lms_archive.errors import ApiError, PlatformUnavailableError, RateLimitError
from lms_archive.limits import RetryPolicy
from lms_archive.wire.clock import Clock

__all__ = ["LONGEST_WAIT", "with_retry"]

T = TypeVar("T")

LONGEST_WAIT = 3600.0
"""Seconds that one call waits at the platform's word (429, Retry-After), in all."""


class _Attempts:
    """What one call has been through: tries used up, seconds waited at the platform's word."""

    def __init__(self, policy: RetryPolicy, *, is_write: bool, clock: Clock) -> None:
        self._policy, self._is_write, self._clock = policy, is_write, clock
        self._failed, self._waited = 0, 0.0

    def waits(self) -> Generator[float, ApiError, None]:
        """How long to wait after each error; what the platform asks for is a lower bound."""
        error = yield 0.0
        ceilings = backoff.expo(max_value=60)
        next(ceilings)  # backoff's generators are primed with one empty send
        for ceiling in ceilings:
            wait = backoff.full_jitter(ceiling)
            if isinstance(error, RateLimitError):
                wait = max(ceiling, 1.0) + random.random()  # noqa: S311  no secret
            wait = max(wait, error.retry_after or 0.0)
            if isinstance(error, RateLimitError) or error.retry_after:
                self._waited += wait
            self._clock.sleep(wait)
            error = yield 0.0

    def give_up(self, error: ApiError) -> bool:
        """Whether this error is the call's last word."""
        asked = error.retry_after or 0.0
        too_long = self._waited + asked > LONGEST_WAIT
        if isinstance(error, RateLimitError):
            return too_long
        self._failed += 1
        if (asked and too_long) or (self._is_write and error.in_doubt):
            return True
        return self._failed >= self._policy.attempts


def with_retry(send: Callable[[], T], policy: RetryPolicy, *, is_write: bool, clock: Clock) -> T:
    """Call `send`, again where that is safe.

    A read is tried `policy.attempts` times on a lost connection, 408 and 5xx. A write is only sent
    again where it surely did not start: the connection was never established, or 429. A 429
    costs no try; the wait that the platform asks for (Retry-After) is a lower bound, kept up to
    an hour for one call.

    Raises:
        ApiError: the last error.
    """
    attempts = _Attempts(policy, is_write=is_write, clock=clock)
    # The waiting is done in the generator, by our clock; backoff itself sleeps 0 s.
    options: dict[str, Any] = {"wait_gen": attempts.waits, "giveup": attempts.give_up}
    again = backoff.on_exception(
        exception=(RateLimitError, PlatformUnavailableError), jitter=None, logger=None, **options
    )
    return again(send)()
