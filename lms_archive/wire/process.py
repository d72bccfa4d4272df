"""State that no two processes share: a child of a fork makes its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that is made once in each process, when it is first asked for.

    After a fork the parent's connections, and locks that one of its threads holds, exist in the
    child as well; neither may be used there.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        if pid not in self._values:
            self._values.setdefault(pid, self._make())  # atomic: threads get the same one
        return self._values[pid]
