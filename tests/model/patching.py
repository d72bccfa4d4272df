"""Replacing functions of the library by name, so that a rule of it is broken."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["Function", "Patch", "broken"]

Function = Callable[..., Any]


class Patch:
    """Replaces functions of the library, and counts how often the replacements are called.

    A replacement is called with the original first, then with what the original is called with.
    What is not there under that name is a `LookupError`.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._undo: list[tuple[Any, str, Any]] = []

    @property
    def replaced(self) -> int:
        """How many attributes are replaced now."""
        return len(self._undo)

    def method(self, owner: type, name: str, replacement: Function) -> None:
        """Replace a method of a class."""
        original = inspect.getattr_static(owner, name, None)
        _check(original, FunctionType, f"{owner.__name__}.{name}")
        self._set(owner, name, self._counting(original, replacement))

    def getter(self, owner: type, name: str, replacement: Function) -> None:
        """Replace what a property of a class gives."""
        original = inspect.getattr_static(owner, name, None)
        _check(original, property, f"{owner.__name__}.{name}")
        self._set(owner, name, property(self._counting(original.fget, replacement)))

    def function(self, module: ModuleType, name: str, replacement: Function) -> None:
        """Replace a function of a module wherever the library has imported it."""
        original = getattr(module, name, None)
        _check(original, FunctionType, f"{module.__name__}.{name}")
        counted = self._counting(original, replacement)
        for place in list(sys.modules.values()):
            if place.__name__.startswith("lms_archive") and vars(place).get(name) is original:
                self._set(place, name, counted)

    def undo(self) -> None:
        """Put everything back."""
        while self._undo:
            owner, name, original = self._undo.pop()
            setattr(owner, name, original)

    def _set(self, owner: Any, name: str, value: Any) -> None:
        self._undo.append((owner, name, inspect.getattr_static(owner, name)))
        setattr(owner, name, value)

    def _counting(self, original: Any, replacement: Function) -> Function:
        @functools.wraps(original)
        def counted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            return replacement(original, *args, **options)

        return counted


def _check(original: Any, kind: type, name: str) -> None:
    if type(original) is not kind:
        raise LookupError(f"the library has no {kind.__name__} {name}: what holds that rule now?")


@contextmanager
def broken(owner: type, name: str, function: Function) -> Iterator[None]:
    """Replace a method of a class for a while."""
    original = inspect.getattr_static(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, original)
