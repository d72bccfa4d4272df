"""Check arguments that several resources take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from operator import index

from lms_archive.errors import InvalidInputError
from lms_archive.wire.masking import is_encodable


def as_utc(name: str, moment: object) -> datetime:
    """Convert an aware time to UTC."""
    if not isinstance(moment, datetime):
        raise InvalidInputError(f"{name} must be an aware datetime, not {moment!r:.60}")
    if moment.tzinfo is None:
        raise InvalidInputError(f"{name} needs a time zone, such as timezone.utc: {moment}")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidInputError(f"{name}={moment} is outside the years 1 to 9999 in UTC") from None


def checked_id(name: str, value: int | str, remedy: str) -> int | str:
    """Return an id; refuse what is not a whole number, and name the *remedy* for other texts."""
    text = str(value)
    if text.isascii() and text.isdigit():
        return value
    hint = f"; for a {remedy}({value!r:.60})" if isinstance(value, str) and value.strip() else ""
    raise InvalidInputError(f"{name} must be a whole number, not {value!r:.60}{hint}")


def checked_ids(name: str, ids: Iterable[int] | None) -> list[int] | None:
    """Return ids as a list, or None for no filter.

    A str is refused, because it would be read digit by digit; so is an item that is not a whole
    number, because the platform may ignore it and list everything.
    """
    if ids is None:
        return None
    if isinstance(ids, (str, bytes)) or not is_iterable(ids):
        raise InvalidInputError(f"{name} must be a list of ids, such as [1001], not {ids!r:.60}")
    return [as_id(f"{name}[{at}]", value) for at, value in enumerate(ids)]


def as_id(name: str, value: object) -> int:
    """Return an id as an int; numpy's whole numbers are accepted, bool and text are not."""
    number = _number(value)
    if number < 1:
        raise InvalidInputError(
            f"{name} must be an id, a whole number such as 1001, not {value!r:.60}"
        )
    return number


def _number(value: object) -> int:
    """Return a whole number as an int, and anything else as 0."""
    try:
        return 0 if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
    except TypeError:
        return 0


def checked_target(noun: str, target: int | str) -> int | str:
    """Return the id (int) or code (str) of a target.

    A blank code is refused, because a search for it finds everything.
    """
    if isinstance(target, str):
        if target.strip() and is_encodable(target):
            return target
    elif (number := _number(target)) > 0:
        return number
    raise InvalidInputError(f"the {noun} must be an id, not {target!r:.60}, or a code")


def checked_text(name: str, text: str) -> str:
    """Return a text that can be sent."""
    value: object = text
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, not {text!r:.60}")
    if not is_encodable(text):
        raise InvalidInputError(
            f"{name} contains half a character (a lone surrogate): {text!r:.60}"
        )
    return text


def checked_filters(**filters: str | None) -> dict[str, str]:
    """Return the filters that are set; each must be a text that can be sent."""
    return {name: checked_text(name, text) for name, text in filters.items() if text is not None}


def is_iterable(value: object) -> bool:
    """Return whether a value has items; numpy's arrays without dimensions have none."""
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True
