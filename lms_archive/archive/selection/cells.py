"""Rules for single values: what is an id, what is a name, and what is missing.

They are the same for a cell of a CSV file, a cell of a DataFrame and an item of a list.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from decimal import Decimal
from math import isfinite, isnan
from typing import Any, Final, TypeGuard

LONGEST_NAME = 500
_LARGEST_CELL = 2**63
_LARGEST_EXACT_FLOAT = 2**53
"""Above this a float cannot represent every whole number, so an id may be wrong."""

_ID = re.compile(r"[1-9][0-9]{0,17}")
NUL_IN_CSV = "\0" if sys.version_info >= (3, 11) else "\ue000"
"""NUL, or for the csv module of Python 3.10, which refuses NUL, a private-use character."""


class BadRow(Exception):
    """A row does not name a usable target and user; the message says why."""


def to_python(value: Any) -> Any:
    """Convert a value of numpy, pandas or Arrow to a built-in type; a missing value is None."""
    if value is None or type(value) in (str, int, bool):
        return value
    if hasattr(value, "as_py"):
        value = value.as_py()
    elif _is_numpy_scalar(value) and value.dtype.kind not in "mM":
        value = value.item()  # not for times: it returns nanoseconds, which look like ids
    if isinstance(value, str):  # a member of a str enum becomes a plain str
        value = str.__str__(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = int(value)
    return None if _is_missing(value) else value


def _is_missing(value: Any) -> bool:
    """Return whether a value means that a cell is missing: NaN, NaT or NA."""
    if isinstance(value, float):
        return isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NAType", "NaTType") or (
        _is_numpy_scalar(value) and str(value) == "NaT"
    )


def _is_numpy_scalar(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0


def to_cell(value: Any) -> Any:
    """Return a cell in the form that plan and ledger store: a JSON value, or else its text.

    Raises:
        ValueError: it cannot be stored.
    """
    kind = type(value)
    if value is None or kind in (str, bool) or (kind is int and abs(value) < _LARGEST_CELL):
        return value
    if kind is float and isfinite(value):
        return value
    try:
        if isinstance(value, (int, list, tuple, dict)):
            return json.loads(json.dumps(value, default=str), parse_constant=str)
        return str(value)
    except Exception as error:  # noqa: BLE001  `str` of a caller's object can raise anything
        raise ValueError(str(error)) from None


def shown(value: object) -> str:
    """Return the beginning of a value's repr, or its type where the repr fails."""
    try:
        return f"{value!r:.40}"
    except Exception:  # noqa: BLE001  a caller's object, or a number of 5,000 digits
        return f"<{type(value).__name__}>"


def is_blank(value: Any) -> bool:
    """Return whether a cell is empty: no value, or white space only."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_id(value: object) -> TypeGuard[int]:
    """Return whether a value can be an id of the platform: a whole number, 1 or more."""
    return type(value) is int and 0 < value < 10**18


def read_id(value: Any, column: str) -> int | None:
    """Return the id in a cell: a whole number, or digits without leading zeros."""
    if is_blank(value):
        return None
    is_digits = isinstance(value, str) and _ID.fullmatch(value.strip())
    is_whole = isinstance(value, float) and value.is_integer() and value < _LARGEST_EXACT_FLOAT
    number = int(value) if is_digits or is_whole else value
    if not is_id(number):
        raise BadRow(f"{column} {shown(value)} is not an id: give a whole number, such as 7")
    return number


def read_name(value: Any, column: str) -> str | None:
    """Return the username or code in a cell, unchanged.

    White space around it is kept, because a name on the platform may have it. Names are compared
    first with it, then without.
    """
    if is_blank(value):
        return None
    if not isinstance(value, str):
        kind = type(value).__name__
        raise BadRow(
            f"{column} {shown(value)} is of type {kind}: give it as text (pandas: dtype=str)"
        )
    if reason := invalid_name_reason(value.strip()):
        raise BadRow(f"{column} {reason}")
    return value


def invalid_name_reason(name: str) -> str | None:
    """Return why a text cannot be a name on the platform, or None."""
    if not name:
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name):,} characters, more than any name: is a quote missing?"
    if "\0" in name or NUL_IN_CSV in name:
        return f"contains a NUL byte: {name[:40]!r}"
    if any("\ud800" <= sign <= "\udfff" for sign in name):
        return f"contains an incomplete character: {name[:40]!r}"
    return None


IGNORED_IN_NAMES: Final = "case, spaces, invisible characters or Unicode form"
"""What two similar names may differ in, as text for messages."""


def comparable_name(name: str) -> str:
    """Return a name without what `IGNORED_IN_NAMES` says.

    Two names that differ but are equal in this form are easily confused.
    """
    if name.isascii() and name.isprintable():
        return name.casefold().replace(" ", "")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(sign for sign in folded if sign.isprintable() and not sign.isspace())
