"""Time on the platform: one clock, and the two forms in which times are kept."""

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Clock(Protocol):
    """What the sandbox asks of a clock; it takes time from nowhere else."""

    def now(self) -> datetime:
        """Return the platform's wall-clock time, aware and in UTC."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the time of day, aware and in UTC."""
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def stamp(at: datetime) -> str:
    """Return `at` as the platform writes times: `YYYY-MM-DD HH:MM:SS`, UTC, floored (seen)."""
    return at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ", "seconds")


def micros(at: datetime) -> int:
    """Return `at` in whole microseconds since 1970, the unit in which jobs are scheduled."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """Return the time that `micros` microseconds since 1970 stand for."""
    return _EPOCH + timedelta(microseconds=micros)
