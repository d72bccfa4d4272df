"""The clock of a client, which tests replace so that they need not wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen

__all__ = ["Clock"]


@frozen
class Clock:
    """A monotonic clock, in seconds, and a way to sleep.

    Dates never come from here: they are the platform's, by its `Date` header.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
