"""Limit the calls in an hour: other integrations share the platform's limit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from attrs import define, field

from lms_archive.wire.clock import Clock

__all__ = ["HOUR", "Throttle"]

HOUR = 3600.0


@define
class _History:
    """The times of the calls of the last hour."""

    times: deque[float] = field(factory=deque)
    lock: threading.Lock = field(factory=threading.Lock)


class Throttle:
    """A limit of `calls_per_hour` calls within any hour, for all clients that share it.

    The platform's own limit is 1,000 an hour for each IP address (doc, older).
    """

    def __init__(
        self, calls_per_hour: int | None, clock: Clock, history: _History | None = None
    ) -> None:
        self._limit, self._clock = calls_per_hour, clock
        self._history = history or _History()
        self._spacing = 0.0

    def expect(self, calls: int) -> None:
        """Set the pace for a number of calls: full speed if the limit allows it, else spread."""
        if self._limit is None:
            return
        self._spacing = 0.0 if calls <= (self.left or 0) else HOUR / self._limit

    @property
    def left(self) -> int | None:
        """The calls that may be made now, or None where nothing limits them."""
        if self._limit is None:
            return None
        with self._history.lock:
            now = self._clock.monotonic()
            return self._limit - sum(1 for time in self._history.times if time > now - HOUR)

    def with_limit(self, calls_per_hour: int | None) -> Throttle:
        """Return a throttle with another limit that counts the same calls."""
        return Throttle(calls_per_hour, self._clock, self._history)

    def take(self, wait_for: Callable[[float], None] | None = None) -> None:
        """Wait until a call may be made, and count it.

        Args:
            wait_for: waits for a number of seconds; by default, the clock sleeps.
        """
        times, wait_for = self._history.times, wait_for or self._clock.sleep
        while True:
            with self._history.lock:
                now = self._clock.monotonic()
                while times and times[0] <= now - HOUR:
                    times.popleft()
                wait = times[-1] + self._spacing - now if times else 0.0
                if self._limit is not None and len(times) >= self._limit:
                    wait = max(wait, times[-self._limit] + HOUR - now)
                if wait <= 0:
                    times.append(now)
                    return
            wait_for(wait)
