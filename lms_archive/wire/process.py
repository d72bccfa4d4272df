"""State of one process: a forked child creates its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

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
