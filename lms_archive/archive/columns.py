"""What the columns of rows stand for, and the target and the user that a row's cells name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lms_archive.archive.selection import KINDS, Target, UserKey, flaw, flawless, is_id
from lms_archive.errors import InvalidInputError

__all__ = [
    "USERS",
    "BadRow",
    "column_word",
    "columns_of",
    "target_named",
    "user_named",
    "users_named",
]

_COLUMNS = {
    "username": "username",
    "userid": "user_id",
    "coursecode": "course_code",
    "courseid": "course_id",
    "learningplancode": "learning_plan_code",
    "learningplanid": "learning_plan_id",
}
USERS = frozenset({"username", "user_id"})
_WANTED = "username or user_id, and course_code, course_id, learning_plan_code or learning_plan_id"
_DIGITS = re.compile(r"[1-9][0-9]{0,17}")
_EXACT = 2**53
"""Above it a float skips whole numbers: not the id that was meant, maybe."""


class BadRow(Exception):
    """This row names no target and user that could be used."""


def column_word(name: str) -> str | None:
    """The column that a name of the header stands for, where it is one that matters."""
    return _COLUMNS.get("".join(c for c in name.casefold() if c not in "_-" and not c.isspace()))


def columns_of(header: Sequence[str], source: str, line: int | None = None) -> dict[str, int]:
    """Where each column that matters stands; case, spaces, `_` and `-` are ignored.

    Raises:
        InvalidInputError: one that matters is missing, or any stands there twice.
    """
    seen: dict[tuple[str | None, str | None], int] = {}
    for index, name in enumerate(header):
        word = column_word(name)
        first = seen.setdefault((word, None if word else name), index)
        if first != index:
            both = f"{header[first]!r:.60} and {name!r:.60}"
            reason = f"{both} name the same thing: remove or rename one"
            raise InvalidInputError(reason, source=source, line=line, column=name[:60])
    found = {word: index for (word, _), index in seen.items() if word is not None}
    if not (found.keys() & USERS and found.keys() - USERS):
        shown = ", ".join(f"{name!r:.60}" for name in header[:20]) or "none"
        raise InvalidInputError(
            f"columns found: {shown}; wanted: {_WANTED}", source=source, line=line
        )
    return found


def target_named(cells: Mapping[str, Any]) -> Target:
    """The target that the cells name, by column.

    Raises:
        BadRow: they name none, or two.
    """
    targets = [
        Target(kind, target_id, code)
        for kind in KINDS
        for target_id, code in [(_id(cells, f"{kind}_id"), _name(cells, f"{kind}_code"))]
        if target_id is not None or code is not None
    ]
    if not targets:
        columns = [word for word in cells if word not in USERS]
        raise BadRow(f"names no target: fill in {' or '.join(columns)}")
    if len(targets) > 1:
        raise BadRow(f"names {targets[0]} and {targets[1]}: one target a row")
    return targets[0]


def user_named(cells: Mapping[str, Any]) -> UserKey:
    """The user that the cells name, by column.

    Raises:
        BadRow: they name none.
    """
    user_id, username = _id(cells, "user_id"), _name(cells, "username")
    if user_id is not None and username is not None:
        return user_id, username
    if user_id is not None:
        return user_id
    if username is not None:
        return username
    raise BadRow("names no user: fill in username or user_id")


def users_named(column: str, cells: Sequence[str]) -> Sequence[UserKey] | None:
    """The users of the cells of one column, or None where they must be looked at one by one."""
    if column == "username" and flawless(cells):
        return cells
    if column == "user_id" and all(map(_DIGITS.fullmatch, cells)):
        return list(map(int, cells))
    return None


def _name(cells: Mapping[str, Any], column: str) -> str | None:
    value = cells.get(column)
    if value is None or (isinstance(value, str) and not value):
        return None
    if not isinstance(value, str):
        kind = type(value).__name__
        raise BadRow(
            f"{column} {value!r:.40} is of type {kind}: give it as text (pandas: dtype=str)"
        )
    if wrong := flaw(value):
        raise BadRow(f"{column} {wrong}")
    return value


def _id(cells: Mapping[str, Any], column: str) -> int | None:
    value: Any = cells.get(column)
    if value is None or (isinstance(value, str) and not value):
        return None
    written = isinstance(value, str) and _DIGITS.fullmatch(value)
    whole = isinstance(value, float) and value.is_integer() and value < _EXACT
    number = int(value) if written or whole else value
    if not is_id(number):
        raise BadRow(f"{column} {value!r:.40} is not an id as the platform writes it, such as 7")
    return number
