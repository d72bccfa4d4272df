"""The clock of the platform, and the two forms in which times are stored."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Clock(Protocol):
    """The clock of a sandbox; every time comes from it."""

    def now(self) -> datetime:
        """Return the platform's wall-clock time, aware and in UTC."""

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""


class WallClock:
    """A clock with the real time."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        time.sleep(seconds)


def stamp(at: datetime) -> str:
    """Return *at* in the platform's form: `YYYY-MM-DD HH:MM:SS`, UTC, rounded down."""
    return at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ", "seconds")


def micros(at: datetime) -> int:
    """Return *at* in whole microseconds since 1970, the unit in which jobs are scheduled."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """Return the time that is *micros* microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)
