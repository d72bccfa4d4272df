"""Limit the calls in an hour: other integrations share the platform's limit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from attrs import define, evolve, field

from lms_archive.wire.waits import Clock

HOUR = 3600.0


@define
class Throttle:
    """A limit of `calls_per_hour` calls within any hour, for all clients that share it.

    `spacing` is the seconds between two calls where they are spread, else 0.
    """

    calls_per_hour: int | None
    _clock: Clock
    spacing: float = field(default=0.0, init=False)
    _times: deque[float] = field(factory=deque)
    _lock: threading.Lock = field(factory=threading.Lock)

    def expect(self, calls: int) -> None:
        """Set the pace for a number of calls: full speed if the limit allows it, else spread."""
        if self.calls_per_hour is not None:
            self.spacing = 0.0 if calls <= (self.left or 0) else HOUR / self.calls_per_hour

    @property
    def left(self) -> int | None:
        """The calls that may be made now, or None where nothing limits them."""
        if self.calls_per_hour is None:
            return None
        with self._lock:
            now = self._clock.monotonic()
            return self.calls_per_hour - sum(1 for time in self._times if time > now - HOUR)

    def with_limit(self, calls_per_hour: int | None) -> Throttle:
        """Return a throttle with another limit that counts the same calls."""
        return evolve(self, calls_per_hour=calls_per_hour)

    def take(self, wait_for: Callable[[float], None] | None = None) -> None:
        """Wait (by default, the clock sleeps) until a call may be made, and count it."""
        wait_for = wait_for or self._clock.sleep
        while True:
            with self._lock:
                wait = self._wait(1)
                if wait <= 0:
                    self._times.append(self._clock.monotonic())
                    return
            wait_for(wait)

    def wait_for_room(self, calls: int, wait_for: Callable[[float], None]) -> None:
        """Wait until the limit allows that many calls (or all of it), and count none."""
        while True:
            with self._lock:
                wait = self._wait(calls)
            if wait <= 0:
                return
            wait_for(wait)

    def _wait(self, calls: int) -> float:
        """Return the seconds until that many calls may be made."""
        times, now = self._times, self._clock.monotonic()
        while times and times[0] <= now - HOUR:
            times.popleft()
        wait = times[-1] + self.spacing - now if times else 0.0
        if self.calls_per_hour is None:
            return wait
        over = len(times) + min(calls, self.calls_per_hour) - self.calls_per_hour
        return max(wait, times[over - 1] + HOUR - now) if over > 0 else wait
