"""Short tracebacks: an error shows the caller's line and one of ours, not how a call is made."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

from lms_archive.errors import LmsArchiveError

_SHOWN = ("__iter__", "_repr_html_")
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

log: logging.Logger = logging.getLogger(__name__)


def short_traceback(function: F) -> F:
    """Leave the frames below this function out of the traceback of our errors and of Ctrl-C.

    Where the function returns an iterator, that holds for its steps too. Where `lms_archive` logs
    at DEBUG, the traceback stays whole.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except (LmsArchiveError, KeyboardInterrupt) as error:
            raise _shortened(error)  # noqa: B904
        return _steps(result) if isinstance(result, Iterator) else result

    return wrapper  # type: ignore[return-value]


def short_tracebacks(cls: C) -> C:
    """Apply `short_traceback` to the public methods of a class, its iteration and its HTML."""
    for name, member in inspect.getmembers(cls, inspect.isfunction):
        if name in _SHOWN or not name.startswith("_"):
            setattr(cls, name, short_traceback(member))
    return cls


def _steps(iterator: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from iterator
    except (LmsArchiveError, KeyboardInterrupt) as error:
        raise _shortened(error)  # noqa: B904


def _shortened(error: BaseException) -> BaseException:
    if not log.isEnabledFor(logging.DEBUG):
        link: BaseException | None = error
        while isinstance(
            link, (LmsArchiveError, KeyboardInterrupt)
        ):  # a cause is shown with its own traceback
            link.__traceback__ = None
            link = link.__cause__
    return error
