"""The numbers that bound a job: sizes, waits, tries."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen, validators

__all__ = ["Limits", "RetryPolicy"]

_positive_int: Any = validators.and_(validators.instance_of(int), validators.ge(1))
_seconds: Any = validators.and_(
    validators.instance_of((int, float)), validators.ge(0), validators.lt(float("inf"))
)
_page: Any = validators.and_(_positive_int, validators.le(200))
_select_all: Any = validators.and_(_positive_int, validators.le(10_000))


@frozen(kw_only=True)
class Limits:
    """How much goes into one call, and how long to wait (seconds).

    Attributes:
        hand_picked: enrollments in one write, at most (article: 200 on the screen; that the
            API has the same limit is assumed).
        select_all: enrollments in one write of the select-all form (article: 10,000; likewise).
        page_size: items on one page (seen: 200 at most).
        max_open_jobs: background jobs of ours that may be open at once (our choice).
        first_poll: the first wait before background jobs are looked at; later waits grow.
        freshness: how old a pre-image may be when it is sent for archive and unenroll.
        job_timeout: how long one background job is waited for.
    """

    hand_picked: int = field(default=200, validator=_page)
    select_all: int = field(default=10_000, validator=_select_all)
    page_size: int = field(default=200, validator=_page)
    max_open_jobs: int = field(default=5, validator=_positive_int)
    first_poll: float = field(default=2.0, validator=_seconds)
    freshness: float = field(default=900.0, validator=_seconds)
    job_timeout: float = field(default=3600.0, validator=_seconds)


@frozen(kw_only=True)
class RetryPolicy:
    """How often a read is tried, and how long a lost write is left to settle.

    Attributes:
        attempts: calls of one read, the first included. A 429 costs none. A write is only sent
            again where it surely did not start.
        settle: seconds to wait after a write whose answer was lost, before reading back.
    """

    attempts: int = field(default=6, validator=_positive_int)
    settle: float = field(default=60.0, validator=_seconds)
