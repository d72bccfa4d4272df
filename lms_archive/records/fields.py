"""Convert the values in the platform's JSON: a converter for each type of a record's field.

A converter returns the value as its type, or raises `ValueError` with the expected form. It never
guesses: a value of another form is an error, and an unknown word stays unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from enum import Enum
from math import isfinite, nan
from typing import Any, TypeVar

from lms_archive.records import status as words

T = TypeVar("T")
Converter = Callable[[Any], Any]

_DIGITS = 20
_LARGEST = 2**63
_SECONDS = len("2026-01-31 23:59:59")
_parse_time = datetime.fromisoformat


def _integer(value: object) -> int:
    if isinstance(value, str) and len(value) <= _DIGITS:
        digits = value.removeprefix("-")
        if digits.isdigit() and digits.isascii():
            value = int(value)
    if type(value) is int and -_LARGEST < value < _LARGEST:
        return value
    raise ValueError("expected a whole number")


def _number(value: object) -> float:
    try:
        number = float(value) if type(value) in (int, float, str) else nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = nan
    if isfinite(number):
        return number
    raise ValueError("expected a number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise ValueError("expected text")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if type(value) in (int, str) and value in (0, 1, "0", "1"):
        return value in (1, "1")
    raise ValueError("expected true or false")


def _time(value: object) -> datetime | None:
    """Convert a time in UTC; zero dates mean none."""
    if type(value) is str and len(value) == _SECONDS and value[0] != "0":
        try:
            return _parse_time(value + "+00:00")  # the form that nearly all times have
        except ValueError:
            pass
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if value.startswith("0000-00-00"):
            return None
        with suppress(ValueError, OverflowError):  # UTC cannot hold every time of other zones
            moment = _parse_time(value[:-1] + "+00:00" if value[-1] in "zZ" else value)
            return (
                moment.replace(tzinfo=timezone.utc)
                if moment.tzinfo is None
                else moment.astimezone(timezone.utc)
            )
    raise ValueError("expected a time like '2026-01-31 23:59:59'")


def _optional(convert: Callable[[object], T]) -> Callable[[object], T | None]:
    def convert_optional(value: object) -> T | None:
        return None if value is None or value == "" else convert(value)

    return convert_optional


def _optional_text(value: object) -> str | None:
    return value if value is None or type(value) is str else _text(value)


def _word(members: Mapping[str, Enum], *empty: str | None) -> Callable[[object], Enum | str | None]:
    """Return the converter to these words; the *empty* values are None."""
    exact: dict[Any, Enum | None] = {**members, **dict.fromkeys(empty)}

    def convert_word(value: object) -> Enum | str | None:
        try:
            return exact[value]
        except (KeyError, TypeError):
            text = _text(value)
            return members.get(text) or members.get(text.strip().lower()) or text

    return convert_word


def _optional_id_or_word(value: object) -> int | str | None:
    if type(value) is int:
        return value
    if value is None or value == "":
        return None
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else text


def _ids(value: object) -> tuple[int, ...]:
    """Convert a list of ids, or a text of ids with commas."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(  # noqa: TRY004  a fault of the data, like every other
            "expected ids, such as '12,15,19'"
        )
    return tuple(
        _integer(part.strip() if isinstance(part, str) else part) for part in parts if part != ""
    )


CONVERTERS: tuple[tuple[Any, Converter], ...] = (
    (int, _integer),
    (str, _text),
    (int | None, _optional(_integer)),
    (float | None, _optional(_number)),
    (bool | None, _optional(_flag)),
    (str | None, _optional_text),
    (int | str | None, _optional_id_or_word),
    (datetime | None, _time),
    (tuple[int, ...], _ids),
    (words.EnrollmentStatus | str | None, _word(words.STATUS_WORDS, "", None)),
    (words.EnrollmentLevel | str | None, _word(words.LEVEL_WORDS, "", None)),
    (words.JobStatus | str, _word(words.JOB_WORDS)),
)


def converter_for(field_type: Any) -> Converter:
    """Return the converter for fields of this type."""
    return next(convert for its_type, convert in CONVERTERS if its_type == field_type)
