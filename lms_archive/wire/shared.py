"""The state that copies of a client share in one process: a forked child creates its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from attrs import evolve, field, frozen

from lms_archive.wire.auth import TokenKeeper
from lms_archive.wire.settings import Settings
from lms_archive.wire.throttle import Throttle
from lms_archive.wire.transport import RequestsTransport, Transport
from lms_archive.wire.waits import Clock

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each process creates once, at its first use.

    After a fork the child has copies of the parent's connections, and of locks that a thread of
    the parent may hold; the child must use neither.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        if pid not in self._values:
            self._values.setdefault(pid, self._make())  # atomic: all threads get the same value
        return self._values[pid]


@frozen
class SharedConnection:
    """The state that copies of a client share: transport, call history, token, swagger."""

    transport: Transport
    throttle: Throttle
    tokens: TokenKeeper
    documents: dict[str, Any] = field(factory=dict, repr=False)
    ignored_filters: set[str] = field(factory=set, repr=False)
    missing_lists: set[str] = field(factory=set, repr=False)
    unused_readings: WeakValueDictionary[int, Any] = field(factory=WeakValueDictionary, repr=False)
    counting: threading.Lock = field(factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> SharedConnection:
        """Return a new connection."""
        return cls(
            settings.transport or RequestsTransport(),
            Throttle(settings.calls_per_hour, clock),
            TokenKeeper(settings.auth, clock),
        )

    def changed(self, old: Settings, new: Settings, clock: Clock) -> SharedConnection:
        """Return a connection for *new* settings; it shares what they leave unchanged."""
        fresh, names = SharedConnection.open(new, clock), set[str]()
        if new.transport is not old.transport:
            names |= {"transport", "documents", "ignored_filters", "missing_lists"}
        if new.auth != old.auth:
            names |= {"tokens", "documents", "ignored_filters", "missing_lists"}
        if new.contract != old.contract:
            names |= {"ignored_filters", "missing_lists"}
        changes = {name: getattr(fresh, name) for name in names}
        return evolve(self, throttle=self.throttle.with_limit(new.calls_per_hour), **changes)
