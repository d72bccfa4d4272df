"""Calls an hour: the platform's limit is shared with every other integration."""

from __future__ import annotations

import threading
from collections import deque

from lms_archive.errors import InvalidInputError
from lms_archive.wire.clock import Clock

__all__ = ["Throttle"]

HOUR = 3600.0


class Throttle:
    """At most so many calls within any hour, over all clients that share this budget.

    The platform's own limit is 1,000 an hour for each IP address (doc, older).
    """

    def __init__(self, calls_per_hour: int | None, clock: Clock) -> None:
        if calls_per_hour is not None and calls_per_hour < 1:
            raise InvalidInputError(
                f"calls_per_hour must be at least 1 or None, not {calls_per_hour}"
            )
        self._limit, self._clock = calls_per_hour, clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._spacing = 0.0

    def expect(self, calls: int) -> None:
        """So many calls are to come: full speed where they fit the hour, else evenly spread."""
        if self._limit is None:
            return
        self._spacing = 0.0 if calls <= (self.left or 0) else HOUR / self._limit

    @property
    def left(self) -> int | None:
        """Calls that may be made at once, or None where nothing limits them."""
        if self._limit is None:
            return None
        with self._lock:
            now = self._clock.monotonic()
            return self._limit - sum(1 for time in self._times if time > now - HOUR)

    def with_limit(self, calls_per_hour: int | None) -> Throttle:
        """The same hour's calls under another limit."""
        other = Throttle(calls_per_hour, self._clock)
        other._lock, other._times = self._lock, self._times
        return other

    def take(self) -> None:
        """Wait until a call may be made, and count it."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                while self._times and self._times[0] <= now - HOUR:
                    self._times.popleft()
                wait = self._times[-1] + self._spacing - now if self._times else 0.0
                if self._limit is not None and len(self._times) >= self._limit:
                    wait = max(wait, self._times[-self._limit] + HOUR - now)
                if wait <= 0:
                    self._times.append(now)
                    return
            self._clock.sleep(wait)
