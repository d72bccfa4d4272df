"""The clock of a client, and its waits: each passes here, is reported, and can be stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

from attrs import frozen

from lms_archive.errors import StopRequestedError

log: logging.Logger = logging.getLogger(__name__)

LONG_WAIT = 30.0
"""From how many seconds on a wait is logged at INFO."""
_BETWEEN_LOOKS = 0.5  # seconds after which a wait looks again whether it is to stop

WaitReason = Literal["job", "rate limit", "settle", "retry"]
"""What a wait is for. `settle`: until the platform has caught up with what was sent."""


class Clock(NamedTuple):
    """A monotonic clock, in seconds, and a way to sleep; tests replace both.

    Dates never come from here: they are the platform's, by its `Date` header.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class StopSignal(Protocol):
    """Says whether to stop: a `threading.Event`, or any object like it."""

    def is_set(self) -> bool:
        """Return whether to stop."""
        ...


@frozen(kw_only=True)
class Wait:
    """A wait that begins now; of several background jobs it names the oldest."""

    reason: WaitReason
    seconds: float
    job_id: str | None = None
    percent: float | None = None  # of that job, when it was last looked at

    def __str__(self) -> str:
        details = [self.reason if self.job_id is None else f"background job {self.job_id}"]
        if self.percent is not None:
            details.append(f"{self.percent:g} %")
        return f"waiting {self.seconds:.0f} s ({', '.join(details)})"


class _Hooks(NamedTuple):
    stop: StopSignal | None = None
    on_wait: Callable[[Wait], Any] | None = None


class _OfThread(threading.local):
    hooks = _Hooks()


class Waits:
    """The waits of a session. Hooks hold for the thread that sets them: others may use it too."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._of_thread = clock, _OfThread()

    @contextmanager
    def hooked(self, **hooks: Any) -> Iterator[None]:
        """Within the block, look at `stop` in every wait, and report each wait to `on_wait`.

        A hook that is not passed stays as it was.
        """
        before = self._of_thread.hooks
        self._of_thread.hooks = before._replace(**hooks)
        try:
            yield
        finally:
            self._of_thread.hooks = before

    def check(self) -> None:
        """Raise `StopRequestedError` if `stop` is set."""
        stop = self._of_thread.hooks.stop
        if stop is not None and stop.is_set():
            raise StopRequestedError

    def wait(self, seconds: float, reason: WaitReason, **details: Any) -> None:
        """Report a wait (the *details* are fields of `Wait`), and sleep until its end or `stop`."""
        hooks = self._of_thread.hooks
        self.check()
        if seconds <= 0:
            return
        wait = Wait(reason=reason, seconds=seconds, **details)
        if seconds >= LONG_WAIT:
            log.info("%s", wait)
        if hooks.on_wait is not None:
            with self.hooked(on_wait=None):  # the listener may make calls, and wait for them
                hooks.on_wait(wait)
        if hooks.stop is None:
            self._clock.sleep(seconds)
            return
        while seconds > 0:
            self._clock.sleep(min(seconds, _BETWEEN_LOOKS))
            seconds -= _BETWEEN_LOOKS
            self.check()
