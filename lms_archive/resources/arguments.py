"""Check arguments that several resources take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from operator import index

from lms_archive.errors import InvalidInputError


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
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise InvalidInputError(f"{name} must be a list of ids, such as [1001], not {ids!r:.60}")
    return [as_id(f"{name}[{at}]", value) for at, value in enumerate(ids)]


def as_id(name: str, value: object) -> int:
    """Return an id as an int; numpy's whole numbers are accepted, bool and text are not."""
    try:
        number = -1 if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number < 1:
        raise InvalidInputError(
            f"{name} must be an id, a whole number such as 1001, not {value!r:.60}"
        )
    return number


def checked_code(noun: str, code: str) -> str:
    """Return the code of a target; refuse a blank one, because a search for it finds everything."""
    try:
        if code.encode().strip():
            return code
    except UnicodeError:
        pass  # half a character
    raise InvalidInputError(f"the {noun} must be an id, not {code!r:.60}, or a code")
