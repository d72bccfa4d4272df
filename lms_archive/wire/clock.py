"""Time, in one place, so that a test can pass an hour in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen

__all__ = ["Clock"]


@frozen
class Clock:
    """Seconds that only go forward, and a way to let them pass.

    No date is ever taken from here: dates are the platform's, by its `Date` header.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
