"""The parts of a selection: rows that name a target and a user, and whole targets."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from typing import Any, Literal, Protocol, get_args

from attrs import define, field, frozen

from lms_archive.archive.selection.cells import invalid_name_reason, is_id, shown, to_python
from lms_archive.archive.selection.labels import Label
from lms_archive.errors import InvalidInputError, plural
from lms_archive.limits import must_be

TargetKind = Literal["course", "learning_plan"]
KINDS: tuple[TargetKind, ...] = ("course", "learning_plan")
Form = Literal["hand_picked", "select_all"]
Targets = Literal["courses", "learning_plans"]

UserKey = int | str | tuple[int, str]
"""A user as a row names it: an id, a username, or both, which must then agree."""

Entry = tuple[Any, ...]
"""The stored form of a row: the number of its target or -1, its user or None, then its cells."""

_NO_TARGET = -1
_IS_FORM = must_be("'hand_picked' or 'select_all'", lambda form: form in get_args(Form))


def _numbers() -> array[int]:
    """Return an empty list of whole numbers that needs four bytes for each."""
    return array("I")


def user_id_of(user: int | tuple[int, str]) -> int:
    """Return the id of a user whom a row does not name by username alone."""
    return user if isinstance(user, int) else user[0]


@frozen
class Target:
    """A course or learning plan as a row names it: an id, a code, or both, which must agree."""

    kind: TargetKind
    target_id: int | None = None
    code: str | None = None

    @classmethod
    def of(cls, kind: TargetKind, key: int | str) -> Target:
        """Return the target with this key: an `int` is always an id, a `str` always a code."""
        key = to_python(key)
        if is_id(key):
            return cls(kind, target_id=key)
        if isinstance(key, str) and invalid_name_reason(key.strip()) is None:
            return cls(kind, code=key)
        name = kind.replace("_", " ")
        raise InvalidInputError(f"a {name} is an id (int) or a code (str), not {shown(key)}")

    def __str__(self) -> str:
        name = self.target_id if self.code is None else repr(self.code)
        return f"{self.kind.replace('_', ' ')} {name}"


@frozen
class Fault:
    """The reason why a row, or the target that it names, cannot be used."""

    code: str
    reason: str


@frozen
class Row:
    """A row of a job.

    Attributes:
        index: its index in the job, from 0.
        line: the line of the file where it begins, or None for rows in memory.
        target: the target that it names, or None where it has a fault.
        user: the user that it names, or None where it has a fault.
        cells: its cells, unchanged, by column.
        fault: why it cannot be used, or None.
        position: its position in the input, from 0, blank rows included.
        label: its label in the index of its DataFrame, or None.
    """

    index: int
    line: int | None
    target: Target | None
    user: UserKey | None
    cells: Mapping[str, Any]
    fault: Fault | None
    position: int | None = None
    label: Label | None = None


class Placed(Protocol):
    """What has the place of a row in the input."""

    @property
    def line(self) -> int | None:
        """The line of the file."""

    @property
    def position(self) -> int | None:
        """The position in the input, from 0."""

    @property
    def label(self) -> Label | None:
        """The label in the index of the DataFrame."""


def place_of(row: Placed) -> str:
    """Return the place of a row for messages: its line, its label, or its position from 0."""
    if row.line:
        return f"line {row.line}"
    return f"row {row.position if row.label is None else row.label!r}"


@define
class Rows:
    """The rows of one source, in its order; `add` adds one.

    A row is stored as a short tuple of numbers and texts, so that a million rows need little
    memory.

    Attributes:
        header: the names of the columns.
        source: the name of the file, the target, or empty.
        notes: texts for the plan's warnings.
        entries: the rows, see `Entry`; a short row has fewer cells than the header.
        lines: for each row the line of the file where it begins, or 0.
        faults: why rows cannot be used, by index: such a row has no target and no user.
        labels: the labels of rows in the index of a DataFrame, by index.
        blanks: for each blank row of the input, how many rows are before it.
    """

    header: tuple[str, ...]
    source: str = field(default="", eq=False)
    notes: list[str] = field(factory=list, init=False, eq=False)
    entries: list[Entry] = field(factory=list, init=False, repr=False)
    lines: array[int] = field(factory=_numbers, init=False, repr=False)
    faults: dict[int, Fault] = field(factory=dict, init=False, repr=False)
    labels: dict[int, Label] = field(factory=dict, init=False, eq=False, repr=False)
    blanks: list[int] = field(factory=list, init=False, eq=False, repr=False)
    _targets: list[Target] = field(factory=list, init=False, repr=False)
    _by_target: dict[Target, int] = field(factory=dict, init=False, eq=False, repr=False)

    def add(
        self,
        cells: Iterable[Any],
        line: int | None,
        target: Target | None,
        user: UserKey | None,
        fault: Fault | None = None,
        *,
        position: int | None = None,
        label: Label | None = None,
    ) -> int:
        """Add one row, and return the number of its target.

        A row without target and user needs a fault. The position is the next one by default.
        """
        if label is not None:
            self.labels[len(self)] = label
        if fault is not None:
            self.faults[len(self)] = fault
        while position is not None and position > self.input_count:
            self.skip_blank()
        number = _NO_TARGET
        if target is not None:
            number = self._by_target.setdefault(target, len(self._targets))
            if number == len(self._targets):
                self._targets.append(target)
        self.entries.append((number, user, *cells))
        self.lines.append(line or 0)
        return number

    def skip_blank(self) -> None:
        """Count a blank row."""
        self.blanks.append(len(self))

    @property
    def input_count(self) -> int:
        """The number of rows in the input, blank rows included."""
        return len(self.entries) + len(self.blanks)

    def __len__(self) -> int:
        return len(self.entries)

    def row(self, index: int, offset: int = 0, input_rows: int = 0) -> Row:
        """Return a row; the job has *offset* rows before these, from *input_rows* input rows."""
        number, user, *cells = self.entries[index]
        return Row(
            index + offset,
            self.lines[index] or None,
            None if number == _NO_TARGET else self._targets[number],
            user,
            dict(zip(self.header, cells, strict=False)),
            self.faults.get(index),
            index + bisect_right(self.blanks, index) + input_rows,
            self.labels.get(index),
        )

    def by_target(self) -> Iterator[tuple[Target, Sequence[int]]]:
        """Return each target with the indexes of the rows that name it."""
        indexes = [_numbers() for _ in self._targets]
        for index, entry in enumerate(self.entries):
            if entry[0] != _NO_TARGET:
                indexes[entry[0]].append(index)
        return zip(self._targets, indexes, strict=True)

    def user_id(self, index: int) -> int | None:
        """Return the user that a row names, where that is an id."""
        user = self.entries[index][1]
        return user if isinstance(user, int) else None

    def users_at(self, indexes: Iterable[int]) -> Sequence[UserKey]:
        """Return the users that the rows at these indexes name."""
        return [self.entries[index][1] for index in indexes]


@frozen
class WholeTarget:
    """All enrollments of a target that match the terms of a job; planning turns them into rows.

    Attributes:
        target: the course or learning plan.
        inactive_since: only users whose last login is before this (aware), or at least this long
            ago.
        exclude: ids and usernames to leave alone.
        form: `"select_all"` asks for the platform's select-all form where it is safe.
    """

    target: Target
    inactive_since: datetime | timedelta | None = None
    exclude: frozenset[UserKey] = frozenset()
    form: Form = field(default="hand_picked", validator=_IS_FORM)

    @property
    def kind(self) -> TargetKind:
        """Where the enrollments are: in a course or in a learning plan."""
        return self.target.kind

    @property
    def named_targets(self) -> tuple[Target, ...]:
        """The targets that it names."""
        return (self.target,)


@frozen
class UserEnrollments:
    """All enrollments of some users that match the terms; planning turns them into rows.

    Attributes:
        kind: whether they are in courses or in learning plans.
        users: ids and usernames, unless `inactive_since` says which users are meant.
        inactive_since: as in `WholeTarget`.
        exclude: ids and usernames of inactive users that are left alone.
        targets: only in these; None for every one.
        left_out: not in these.
    """

    kind: TargetKind
    users: tuple[UserKey, ...] = ()
    inactive_since: datetime | timedelta | None = None
    exclude: frozenset[UserKey] = frozenset()
    targets: tuple[Target, ...] | None = None
    left_out: tuple[Target, ...] = ()

    @property
    def noun(self) -> str:
        """What the enrollments are in, in words."""
        return self.kind.replace("_", " ")

    @property
    def where(self) -> str:
        """Where the enrollments are looked for, in words."""
        if self.targets is None:
            number, everywhere = len(self.left_out), f"all {self.noun}s"
            return f"{everywhere} but {number:,}" if number else everywhere
        number = len(set(self.targets) - set(self.left_out))
        return plural(number, self.noun)

    @property
    def named_targets(self) -> tuple[Target, ...]:
        """The targets that it names."""
        return (*(self.targets or ()), *self.left_out)


@frozen
class Selection:
    """All rows of a job, in input order, part after part."""

    parts: tuple[Rows | WholeTarget | UserEnrollments, ...] = ()
    placed: tuple[tuple[int, int, Rows], ...] = field(init=False, eq=False, repr=False)
    """The parts that hold rows, each with the number of rows and of input rows before it."""

    @placed.default
    def _places(self) -> tuple[tuple[int, int, Rows], ...]:
        rows = list(self.rows)
        starts = accumulate(map(len, rows), initial=0)
        input_starts = accumulate((part.input_count for part in rows), initial=0)
        return tuple(zip(starts, input_starts, rows, strict=False))

    def __len__(self) -> int:
        """Return the number of rows before planning, without those of whole targets."""
        return sum(len(part) for part in self.rows)

    @property
    def rows(self) -> Iterator[Rows]:
        """The parts that hold rows."""
        return (part for part in self.parts if isinstance(part, Rows))

    def where(self, index: int) -> str:
        """Return the place of a row, as text for messages."""
        return place_of(self[index])

    def __iter__(self) -> Iterator[Row]:
        for start, input_rows, part in self.placed:
            for index in range(len(part)):
                yield part.row(index, start, input_rows)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self.placed, index, key=itemgetter(0)) - 1
        start, input_rows, part = self.placed[number]
        return part.row(index - start, start, input_rows)
