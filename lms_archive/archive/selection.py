"""What is asked for: rows of a target and a user, with what is wrong with each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, TypeGuard

from attrs import field, frozen

from lms_archive.errors import BadInput

__all__ = [
    "Everything",
    "Fault",
    "Form",
    "Row",
    "Rows",
    "RowsBuilder",
    "Selection",
    "Target",
    "UserKey",
    "column_word",
    "columns_of",
    "flaw",
    "is_id",
    "plain",
]

TargetKind = Literal["course", "learning_plan"]
Form = Literal["hand_picked", "select_all"]

UserKey = int | str | tuple[int, str]
"""A user as asked for: an id, a username, or both, which must then agree."""


_LONGEST = 500
_NUL = ("\0", "\N{SYMBOL FOR NULL}")


def plain(value: Any) -> Any:
    """A number of another library as Python's own, and no value where a table has none."""
    with suppress(AttributeError, TypeError, ValueError):
        value = value.item()
    unequal = value != value  # noqa: PLR0124  NaN and NaT are; pandas.NA answers with itself
    return None if unequal is True or unequal is value else value


def is_id(value: object) -> TypeGuard[int]:
    """Whether a value can be an id of the platform: a whole number, 1 or more."""
    return type(value) is int and 0 < value < 10**18


def flaw(name: str) -> str | None:
    """Why nothing can have this name, or None."""
    if not name:
        return "is empty"
    if len(name) > _LONGEST:
        return f"has {len(name):,} characters, more than any name: is a quote missing?"
    if any(sign in name for sign in _NUL):
        return f"holds a NUL byte: {name[:40]!r}"
    if any("\ud800" <= sign <= "\udfff" for sign in name):
        return f"holds half a character: {name[:40]!r}"
    return None


@frozen
class Target:
    """Where enrollments are archived, as asked for: an id, a code, or both, which must agree."""

    kind: TargetKind
    target_id: int | None = None
    code: str | None = None

    @classmethod
    def of(cls, kind: TargetKind, key: int | str) -> Target:
        """The target that a user names: an `int` is an id, a `str` is a code, always."""
        key = plain(key)
        if is_id(key):
            return cls(kind, target_id=key)
        if isinstance(key, str) and flaw(key) is None:
            return cls(kind, code=key)
        what = kind.replace("_", " ")
        raise BadInput(f"a {what} is an id (int) or a code (str), not {key!r:.60}")

    def __str__(self) -> str:
        name = self.target_id if self.code is None else repr(self.code)
        return f"{self.kind.replace('_', ' ')} {name}"


@frozen
class Fault:
    """Why a row cannot be used as it stands."""

    code: str
    reason: str


@frozen
class Row:
    """One row asked for: where it stood, and what it names."""

    index: int
    line: int | None
    target: Target | None
    user: UserKey | None
    cells: Mapping[str, Any]
    fault: Fault | None


_COLUMNS = {
    "username": "username",
    "userid": "user_id",
    "coursecode": "course_code",
    "courseid": "course_id",
    "learningplancode": "learning_plan_code",
    "learningplanid": "learning_plan_id",
}
_USERS = {"username", "user_id"}
_WANTED = "username or user_id, and course_code, course_id, learning_plan_code or learning_plan_id"


def column_word(name: str) -> str | None:
    """The column that a name of the header stands for, where it is one that matters."""
    return _COLUMNS.get("".join(c for c in name.casefold() if c not in "_-" and not c.isspace()))


def columns_of(header: Sequence[str], source: str, line: int | None = None) -> dict[str, int]:
    """Where each column that matters stands; case, spaces, `_` and `-` are ignored.

    Raises:
        BadInput: one that matters is missing, or any stands there twice.
    """
    seen: dict[tuple[str | None, str | None], int] = {}
    for index, name in enumerate(header):
        word = column_word(name)
        first = seen.setdefault((word, None if word else name), index)
        if first != index:
            both = f"{header[first]!r:.60} and {name!r:.60}"
            reason = f"{both} name the same thing: remove or rename one"
            raise BadInput(reason, source=source, line=line, column=name[:60])
    found = {word: index for (word, _), index in seen.items() if word is not None}
    if not (found.keys() & _USERS and found.keys() - _USERS):
        shown = ", ".join(f"{name!r:.60}" for name in header[:20]) or "none"
        raise BadInput(f"columns found: {shown}; wanted: {_WANTED}", source=source, line=line)
    return found


@frozen
class Rows:
    """Rows held by column, so that a million of them are small."""

    header: tuple[str, ...]
    cells: Sequence[tuple[Any, ...]] = field(repr=False)
    lines: Sequence[int] = field(repr=False)
    targets: Sequence[Target]
    target_of: Sequence[int] = field(repr=False)
    users: Sequence[UserKey] = field(repr=False)
    user_of: Sequence[int] = field(repr=False)
    faults: Mapping[int, Fault] = field(repr=False)

    def __len__(self) -> int:
        return len(self.cells)

    def to_plain(self) -> dict[str, Any]:
        """The JSON form, column by column."""
        return {
            "header": list(self.header),
            "cells": self.cells,
            "lines": list(self.lines),
            "targets": [[one.kind, one.target_id, one.code] for one in self.targets],
            "target_of": list(self.target_of),
            "users": self.users,
            "user_of": list(self.user_of),
            "faults": {str(i): [fault.code, fault.reason] for i, fault in self.faults.items()},
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Rows:
        """The rows of their JSON form."""
        return cls(
            header=tuple(data["header"]),
            cells=[tuple(cells) for cells in data["cells"]],
            lines=array("q", data["lines"]),
            targets=tuple(Target(*one) for one in data["targets"]),
            target_of=array("q", data["target_of"]),
            users=tuple(tuple(one) if isinstance(one, list) else one for one in data["users"]),
            user_of=array("q", data["user_of"]),
            faults={int(i): Fault(*fault) for i, fault in data["faults"].items()},
        )

    def row(self, index: int, offset: int = 0) -> Row:
        """The row at this place; `offset` is where these rows begin in the job."""
        target, user = self.target_of[index], self.user_of[index]
        return Row(
            index + offset,
            self.lines[index] or None,
            None if target < 0 else self.targets[target],
            None if user < 0 else self.users[user],
            dict(zip(self.header, self.cells[index], strict=False)),
            self.faults.get(index),
        )


@frozen
class Everything:
    """All enrollments of a target that a job takes; a plan makes rows of them.

    Attributes:
        target: where they are.
        inactive_since: only users whose last access lies before this (aware), or so long ago.
        exclude: ids and usernames that are left alone.
        form: `"select_all"` asks for the platform's select-all form where it is safe.
    """

    target: Target
    inactive_since: datetime | timedelta | None = None
    exclude: frozenset[int | str] = frozenset()
    form: Form = "hand_picked"

    def __len__(self) -> int:
        """None yet: only a plan knows."""
        return 0


@frozen
class Selection:
    """All rows of a job, in input order, part after part."""

    parts: tuple[Rows | Everything, ...] = ()

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def rows(self) -> Iterator[Rows]:
        """The parts that hold rows."""
        return (part for part in self.parts if isinstance(part, Rows))

    def __iter__(self) -> Iterator[Row]:
        offset = 0
        for part in self.rows:
            for index in range(len(part)):
                yield part.row(index, offset)
            offset += len(part)

    def __getitem__(self, index: int) -> Row:
        offset = 0
        for part in self.rows:
            if index < offset + len(part):
                return part.row(index - offset, offset)
            offset += len(part)
        raise IndexError(index)


class RowsBuilder:
    """Collects rows; equal targets and users are kept once."""

    def __init__(self, header: Iterable[str]) -> None:
        self._header = tuple(header)
        self._cells: list[tuple[Any, ...]] = []
        self._lines, self._target_of, self._user_of = array("q"), array("q"), array("q")
        self._targets: dict[Target, int] = {}
        self._users: dict[UserKey, int] = {}
        self._faults: dict[int, Fault] = {}

    def add(
        self,
        cells: tuple[Any, ...],
        line: int | None,
        target: Target | None,
        user: UserKey | None,
        fault: Fault | None = None,
    ) -> None:
        """One row; without target and user only with the fault that says why."""
        if fault is not None:
            self._faults[len(self._cells)] = fault
        self._cells.append(cells)
        self._lines.append(line or 0)
        self._target_of.append(_place(self._targets, target))
        self._user_of.append(_place(self._users, user))

    def rows(self) -> Rows:
        """All that was added."""
        return Rows(
            header=self._header,
            cells=self._cells,
            lines=self._lines,
            targets=tuple(self._targets),
            target_of=self._target_of,
            users=tuple(self._users),
            user_of=self._user_of,
            faults=self._faults,
        )


def _place(known: dict[Any, int], value: Any) -> int:
    return -1 if value is None else known.setdefault(value, len(known))
