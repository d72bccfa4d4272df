"""The numbers that bound a job: sizes, waits, attempts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from lms_archive.errors import InvalidInputError

__all__ = ["Limits", "RetryPolicy"]

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _count(highest: float = math.inf) -> Validator:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if type(value) is not int or not 1 <= value <= highest:
            bounds = "at least 1" if highest == math.inf else f"from 1 to {highest:,}"
            raise InvalidInputError(
                f"{attribute.name} must be a whole number, {bounds}, not {value!r:.60}"
            )

    return check


def _seconds(_: Any, attribute: Attribute[Any], value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise InvalidInputError(f"{attribute.name} must be seconds, 0 or more, not {value!r:.60}")


@frozen(kw_only=True)
class Limits:
    """How much goes into one call, and how long to wait (seconds).

    Attributes:
        hand_picked: enrollments in one write, at most (article: 200 on the screen; that the
            API has the same limit is assumed).
        select_all: enrollments in one write of the select-all form (article: 10,000; the same
            is assumed).
        page_size: items on one page (seen: 200 at most).
        max_open_jobs: background jobs of ours that may be open at once (our choice).
        first_poll: the first wait before background jobs are looked at; later waits grow.
        freshness: how old a pre-image may be when it is sent for archive and unenroll.
        job_timeout: how long one background job is waited for.

    Raises:
        InvalidInputError: a number is out of its bounds.
    """

    hand_picked: int = field(default=200, validator=_count(200))
    select_all: int = field(default=10_000, validator=_count(10_000))
    page_size: int = field(default=200, validator=_count(200))
    max_open_jobs: int = field(default=5, validator=_count())
    first_poll: float = field(default=2.0, validator=_seconds)
    freshness: float = field(default=900.0, validator=_seconds)
    job_timeout: float = field(default=3600.0, validator=_seconds)


@frozen(kw_only=True)
class RetryPolicy:
    """How often a read is attempted, and how long a lost write is left to settle.

    Attributes:
        attempts: calls of one read, the first included. A 429 costs none. A write is only sent
            again where it surely did not start.
        settle: seconds to wait after a write whose answer was lost, before reading back.

    Raises:
        InvalidInputError: a number is out of its bounds.
    """

    attempts: int = field(default=6, validator=_count())
    settle: float = field(default=60.0, validator=_seconds)
