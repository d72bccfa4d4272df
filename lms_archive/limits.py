"""The numbers that limit a job: sizes, waits and attempts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from attrs import Attribute, field, frozen

from lms_archive.errors import InvalidInputError

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def must_be(expected: str, holds: Callable[[Any], bool]) -> Validator:
    """Return the validator of an argument: it refuses values for which *holds* is false."""

    def check(_: Any, argument: Attribute[Any], value: Any) -> None:
        """Refuse a wrong value."""
        if not holds(value):
            raise InvalidInputError(f"{argument.name} must be {expected}, not {value!r:.60}")

    return check


LONGEST: Final = 1_000_000
"""The most seconds of a wait or a timeout, over 11 days; `poll` allows 24 days."""
IS_DECISION: Final = must_be("True or False", lambda value: isinstance(value, bool))


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
    if not is_number or not 0 <= value <= LONGEST:
        raise InvalidInputError(
            f"{attribute.name} must be seconds, from 0 to {LONGEST:,}, not {value!r:.60}"
        )


@frozen(kw_only=True)
class Limits:
    """The sizes of calls, and how long to wait (in seconds).

    Attributes:
        hand_picked: the most enrollments in one write. The platform's screen allows 200; that
            the API has the same limit is assumed.
        select_all: the most enrollments in one write of the select-all form. The screen allows
            10,000; the same is assumed.
        page_size: items on one page; the platform allows 200.
        max_open_jobs: the most background jobs of a run that may be open at once.
        first_poll: the first wait before background jobs are polled; later waits grow.
        freshness: the greatest age of a reading whose enrollments are archived and unenrolled.
        job_timeout: how long to wait for one background job.

    Raises:
        InvalidInputError: a number is out of range.
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
    """How often to attempt a read, and how long to wait after a write whose answer was lost.

    Attributes:
        attempts: attempts of one read, the first included. A 429 does not count. A write is sent
            again only where it certainly did not start.
        settle: seconds to wait after a write whose answer was lost, before reading back.

    Raises:
        InvalidInputError: a number is out of range.
    """

    attempts: int = field(default=6, validator=_count())
    settle: float = field(default=60.0, validator=_seconds)
