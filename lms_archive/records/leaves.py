"""Values of the platform's JSON: each made into its type, or refused in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from enum import Enum
from math import isfinite
from typing import Any, TypeVar

from lms_archive.records import status as words

__all__ = ["LEAVES", "hook_of"]

T = TypeVar("T")

_DIGITS = 20
_LARGEST = 2**63
_SECONDS = len("2026-01-31 23:59:59")
_NO_TIME = "expected a time like '2026-01-31 23:59:59'"


def _integer(value: object, _: object = None) -> int:
    if isinstance(value, str) and len(value) <= _DIGITS:
        value = int(value) if value.isascii() and value.lstrip("-").isdigit() else None
    if type(value) is int and abs(value) < _LARGEST:
        return value
    raise ValueError("expected a whole number")


def _number(value: object, _: object = None) -> float:
    if type(value) in (int, float, str):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            pass
        else:
            if isfinite(number):
                return number
    raise ValueError("expected a number")


def _text(value: object, _: object = None) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise ValueError("expected text")


def _flag(value: object, _: object = None) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1, "0", "1"):
        return value in (1, "1")
    raise ValueError("expected true or false")


def _time(value: object, _: object = None) -> datetime | None:
    """A time in UTC (article: archiving; the rest: seen); zero dates mean none (seen)."""
    if type(value) is str and len(value) == _SECONDS and value[0] != "0":
        try:
            return datetime.fromisoformat(value + "+00:00")  # the form that nearly all times have
        except ValueError:
            pass
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if value.startswith("0000-00-00"):
            return None
        try:
            moment = datetime.fromisoformat(value[:-1] + "+00:00" if value[-1] in "zZ" else value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is None:
                return moment.replace(tzinfo=timezone.utc)
            return moment.astimezone(timezone.utc)
    raise ValueError(_NO_TIME)


def _moment(value: object, _: object = None) -> datetime:
    moment = _time(value)
    if moment is None:
        raise ValueError("expected a time")
    return moment


def _optional(
    hook: Callable[[object], T], as_it_is: type[T] | None = None
) -> Callable[[object, object], T | None]:
    """The hook, and None for nothing; a value of the type `as_it_is` needs no hook."""

    def structure(value: object, _: object = None) -> T | None:
        if type(value) is as_it_is:
            return value
        return None if value is None or value == "" else hook(value)

    return structure


def _words_or_none(value: object, _: object = None) -> str | None:
    return value if value is None or type(value) is str else _text(value)


def _word(known: Mapping[str, Enum]) -> Callable[[object, object], Enum | str]:
    exact: dict[Any, Enum] = dict(known)

    def structure(value: object, _: object = None) -> Enum | str:
        try:
            return exact[value]
        except (KeyError, TypeError):
            text = _text(value)
            return known.get(text) or known.get(text.strip().lower()) or text

    return structure


def _word_or_none(known: Mapping[str, Enum]) -> Callable[[object, object], Enum | str | None]:
    word = _word(known)
    exact: dict[Any, Enum | None] = {**known, None: None, "": None}

    def structure(value: object, _: object = None) -> Enum | str | None:
        try:
            return exact[value]
        except (KeyError, TypeError):
            return word(value, None)

    return structure


def _int_or_text(value: object, _: object = None) -> int | str:
    return value if type(value) is int else _text(value)


def _id_or_word(value: object) -> int | str:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() else text


def _ids(value: object, _: object = None) -> tuple[int, ...]:
    """A list of ids; on this platform it may be one text with commas (article)."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(  # noqa: TRY004  a fault of the data, as every other
            "expected ids, such as '12,15,19'"
        )
    return tuple(
        _integer(part.strip() if isinstance(part, str) else part) for part in parts if part != ""
    )


LEAVES: tuple[tuple[Any, Callable[[Any, Any], Any]], ...] = (
    (int, _integer),
    (float, _number),
    (str, _text),
    (bool, _flag),
    (int | None, _optional(_integer)),
    (float | None, _optional(_number)),
    (bool | None, _optional(_flag)),
    (str | None, _words_or_none),
    (int | str, _int_or_text),
    (int | str | None, _optional(_id_or_word, int)),
    (datetime, _moment),
    (datetime | None, _time),
    (tuple[int, ...], _ids),
    (words.EnrollmentStatus | str | None, _word_or_none(words.STATUS_WORDS)),
    (words.EnrollmentLevel | str | None, _word_or_none(words.LEVEL_WORDS)),
    (words.JobStatus | str, _word(words.JOB_WORDS)),
)
"""For each type of an attribute the hook that makes it; the second argument is cattrs' own."""


def hook_of(shape: Any) -> Callable[..., Any]:
    """The hook that makes a value of this type."""
    return next(hook for known, hook in LEAVES if known == shape)
