"""What is asked for: rows of a target and a user, with what is wrong with each."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from typing import Any, Literal, TypeGuard, TypeVar, cast

from attrs import field, frozen

from lms_archive.errors import InvalidInputError

__all__ = [
    "KINDS",
    "Everything",
    "Fault",
    "Form",
    "Row",
    "Rows",
    "Selection",
    "Target",
    "TargetKind",
    "UserKey",
    "flaw",
    "flawless",
    "is_id",
    "plain",
]

T = TypeVar("T")
TargetKind = Literal["course", "learning_plan"]
KINDS: tuple[TargetKind, ...] = ("course", "learning_plan")
Form = Literal["hand_picked", "select_all"]

UserKey = int | str | tuple[int, str]
"""A user as asked for: an id, a username, or both, which must then agree."""


_LONGEST = 500
_NUL = "\N{SYMBOL FOR NULL}"


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
    if _NUL in name or "\0" in name:
        return f"holds a NUL byte: {name[:40]!r}"
    if not name.isascii() and any("\ud800" <= sign <= "\udfff" for sign in name):
        return f"holds half a character: {name[:40]!r}"
    return None


def flawless(names: Sequence[str]) -> bool:
    """Whether surely none of the names has a flaw: told of all at once, without saying which."""
    together = "".join(names)
    plain = together.isascii() and "\0" not in together and all(names)
    return plain and max(map(len, names), default=0) <= _LONGEST


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
        raise InvalidInputError(f"a {what} is an id (int) or a code (str), not {key!r:.60}")

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


@frozen
class Rows:
    """Rows held by column, what is often equal once, so that a million of them are small.

    Attributes:
        header: the columns' names.
        cells: for each column, what stands in it.
        cell_of: for each column, by row, the place among its cells; -1 where the row ends before.
        lines: by row, the line in the file where it begins, or 0.
        targets: the targets that are named; None where cells name none.
        target_of: by row, the place among the targets.
        users: the users that are named, likewise.
        user_of: by row, the place among the users.
        faults: by row, why it cannot be used: such a row has no target and no user.
    """

    header: tuple[str, ...]
    cells: Sequence[Sequence[Any]] = field(repr=False)
    cell_of: Sequence[Sequence[int]] = field(repr=False)
    lines: Sequence[int] = field(repr=False)
    targets: Sequence[Target | None]
    target_of: Sequence[int] = field(repr=False)
    users: Sequence[UserKey | None] = field(repr=False)
    user_of: Sequence[int] = field(repr=False)
    faults: Mapping[int, Fault] = field(repr=False)

    def __len__(self) -> int:
        return len(self.lines)

    def to_plain(self, start: int, stop: int) -> list[list[Any]]:
        """The JSON form of some rows: line, target, user, cells, and the fault where it has one."""
        found = []
        for index in range(start, stop):
            row = self.row(index)
            target = row.target and (row.target.kind, row.target.target_id, row.target.code)
            plain = [row.line, target, row.user, list(row.cells.values())]
            found.append([*plain, (row.fault.code, row.fault.reason)] if row.fault else plain)
        return found

    def by_target(self) -> Iterator[tuple[Target, Sequence[int]]]:
        """Each target, with the places of the rows that name it and can be used."""
        found = [array("i") for _ in range(len(self.targets) + 1)]
        adds = [places.append for places in found]
        for index, target in enumerate(self.target_of):
            adds[target](index)
        for one, rows in zip(self.targets, found, strict=False):
            usable = [i for i in rows if i not in self.faults] if self.faults else rows
            if one is not None and usable:
                yield one, usable

    def users_at(self, places: Sequence[int]) -> Sequence[UserKey]:
        """The users that the rows at these places name, rows that can be used."""
        users = _at(self.users, _at(self.user_of, places))
        return cast("Sequence[UserKey]", users)

    def row(self, index: int, offset: int = 0) -> Row:
        """The row at this place; `offset` is where these rows begin in the job."""
        fault = self.faults.get(index)
        columns = zip(self.header, self.cells, self.cell_of, strict=True)
        return Row(
            index + offset,
            self.lines[index] or None,
            None if fault else self.targets[self.target_of[index]],
            None if fault else self.users[self.user_of[index]],
            {name: cells[of[index]] for name, cells, of in columns if of[index] >= 0},
            fault,
        )


def _at(values: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    """The values at some places, gathered in C: one by one takes twice as long."""
    if len(places) < 2:  # noqa: PLR2004  of one, itemgetter gives no tuple
        return [values[place] for place in places]
    found: tuple[T, ...] = itemgetter(*places)(values)
    return found


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
    placed: tuple[tuple[int, Rows], ...] = field(init=False, eq=False, repr=False)
    """The parts that hold rows, each with the number of rows before it."""

    @placed.default
    def _places(self) -> tuple[tuple[int, Rows], ...]:
        rows = list(self.rows)
        return tuple(zip(accumulate(map(len, rows), initial=0), rows, strict=False))

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def rows(self) -> Iterator[Rows]:
        """The parts that hold rows."""
        return (part for part in self.parts if isinstance(part, Rows))

    def where(self, index: int) -> str:
        """The words for a row's place."""
        line = self._at(index, lambda part, inside, _: part.lines[inside])
        return f"line {line}" if line else f"row {index + 1}"

    def __iter__(self) -> Iterator[Row]:
        return (part.row(index, start) for start, part in self.placed for index in range(len(part)))

    def __getitem__(self, index: int) -> Row:
        return self._at(index, Rows.row)

    def _at(self, index: int, what: Callable[[Rows, int, int], T]) -> T:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, part = self.placed[bisect_right(self.placed, index, key=itemgetter(0)) - 1]
        return what(part, index - start, start)
