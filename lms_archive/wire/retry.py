"""Retry calls, with the waits of backoff. The only module that imports it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

import backoff

from lms_archive.errors import PlatformUnavailableError, RateLimitError
from lms_archive.limits import RetryPolicy
from lms_archive.wire.waits import Waits

T = TypeVar("T")

LONGEST_WAIT = 3600.0
"""The most seconds in all that a call waits at the platform's request (429, Retry-After)."""


def with_retry(
    send: Callable[[], T],
    policy: RetryPolicy,
    *,
    is_write: bool,
    waits: Waits,
) -> T:
    """Call *send*, and repeat it where that is safe.

    A read is attempted `policy.attempts` times on a lost connection, 408 and 5xx. A write is sent
    again only where it certainly did not start: the connection was never established, or the
    answer was 429. A 429 does not count as an attempt. Retry-After is a lower bound, obeyed up to
    an hour for one call. So wherever a write waits, it has not started.

    Raises:
        ApiError: the last error.
        StopRequestedError: the run is to stop; a write has not started.
    """
    backoff_waits, failures, waited = _backoff_waits(), 0, 0.0
    while True:
        try:
            return send()
        except (RateLimitError, PlatformUnavailableError) as error:
            limited = isinstance(error, RateLimitError)
            asked = error.retry_after or 0.0
            failures += not limited
            too_long = (limited or asked > 0) and waited + asked > LONGEST_WAIT
            in_doubt = is_write and error.in_doubt
            if too_long or in_doubt or failures >= policy.attempts:
                raise
        ceiling, wait = next(backoff_waits)
        if limited:
            wait = max(ceiling, 1.0) + random.random()  # noqa: S311  not a secret
        wait = max(wait, asked)
        if limited or asked:
            waited += wait
        waits.wait(wait, "rate limit" if limited else "retry")


def _backoff_waits() -> Iterator[tuple[float, float]]:
    """Yield the longest wait before each repetition, 1 to 60 s, and a random part of it."""
    ceilings = backoff.expo(max_value=60)
    next(ceilings)  # backoff's generators are primed with one empty send
    for ceiling in ceilings:
        yield ceiling, backoff.full_jitter(ceiling)
