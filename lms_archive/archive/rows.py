"""Collecting rows, by column: what is equal is kept once, and understood once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from lms_archive.archive.columns import USERS, BadRow, target_named, user_named
from lms_archive.archive.selection import Fault, Rows, Target, UserKey

__all__ = ["RowsBuilder", "TextRows"]


class _Known(dict[Any, int]):
    """Values by their places: one that is new gets the next."""

    def __missing__(self, value: Any) -> int:
        self[value] = place = len(self)
        return place

    def place(self, value: Any) -> int:
        """The place of any value: only texts and whole numbers are ever equal."""
        return self[value if type(value) in (str, int, type(None)) else _Once(value)]

    def values_in_order(self) -> list[Any]:
        """The values, as they were given."""
        return [one.value if type(one) is _Once else one for one in self]


class _Once:
    """A value that equals no other: `1.0` is not `True`, and a list has no hash."""

    def __init__(self, value: Any) -> None:
        self.value = value


class RowsBuilder:
    """Collects rows; equal cells, targets and users are kept once."""

    def __init__(self, header: Iterable[str]) -> None:
        self._header = tuple(header)
        self._cells = [_Known() for _ in self._header]
        self._cell_of = [array("i") for _ in self._header]
        self._lines, self._target_of, self._user_of = array("i"), array("i"), array("i")
        self._targets, self._users = _Known(), _Known()
        self._faults: dict[int, Fault] = {}

    def add(
        self,
        cells: Sequence[Any],
        line: int | None,
        target: Target | None,
        user: UserKey | None,
        fault: Fault | None = None,
    ) -> None:
        """One row; without target and user only with the fault that says why."""
        if fault is not None:
            self._faults[len(self._lines)] = fault
        for index, (known, places) in enumerate(zip(self._cells, self._cell_of, strict=True)):
            places.append(known.place(cells[index]) if index < len(cells) else -1)
        self._lines.append(line or 0)
        self._target_of.append(-1 if target is None else self._targets[target])
        self._user_of.append(-1 if user is None else self._users[user])

    def rows(self) -> Rows:
        """All that was added."""
        return self._rows(tuple(self._targets), tuple(self._users))

    def _rows(self, targets: Sequence[Target | None], users: Sequence[UserKey | None]) -> Rows:
        return Rows(
            header=self._header,
            cells=[known.values_in_order() for known in self._cells],
            cell_of=self._cell_of,
            lines=self._lines,
            targets=targets,
            target_of=self._target_of,
            users=users,
            user_of=self._user_of,
            faults=self._faults,
        )


class TextRows(RowsBuilder):
    """Collects rows of text, many at a time.

    Args:
        header: the names of the columns.
        where: the place of each column that names a target or a user.
        left_out: the places of the columns that are not kept.
    """

    def __init__(
        self, header: Sequence[str], where: Mapping[str, int], left_out: Collection[int]
    ) -> None:
        self._kept = [index for index in range(len(header)) if index not in left_out]
        super().__init__(header[index] for index in self._kept)
        self._width, self._where = len(header), where
        known = dict(zip(self._kept, self._cells, strict=True))
        users = {word: index for word, index in where.items() if word in USERS}
        targets = {word: index for word, index in where.items() if word not in USERS}
        self._user = _Named(users, known, user_named)
        self._target = _Named(targets, known, target_named)

    def add_texts(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Rows, and the line on which each begins; blank ones ask for nothing."""
        if set(map(len, rows)) == {self._width}:
            self._add_whole(rows, lines)
            return
        for row, line in zip(rows, lines, strict=True):
            if len(row) == self._width:
                self._add_whole([row], [line])
            elif any(cell.strip() for cell in row):
                self._add_ragged(row, line)

    def _add_whole(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        columns = list(zip(*rows, strict=True))
        kept = zip(self._kept, self._cells, strict=True)
        placed = {index: list(map(known.__getitem__, columns[index])) for index, known in kept}
        targets, users = self._target.places(placed, columns), self._user.places(placed, columns)
        faults = {}
        if self._target.names_nothing(targets) or self._user.names_nothing(users):
            blank = {n for n, row in enumerate(rows) if not any(cell.strip() for cell in row)}
            if blank:
                left = [n for n in range(len(rows)) if n not in blank]
                self.add_texts([rows[n] for n in left], [lines[n] for n in left])
                return
            faults = {len(self._lines) + n: self._fault(row) for n, row in enumerate(rows)}
        self._faults.update((index, fault) for index, fault in faults.items() if fault)
        for index, places in zip(self._kept, self._cell_of, strict=True):
            places.extend(placed[index])
        self._lines.extend(lines)
        self._target_of.extend(targets)
        self._user_of.extend(users)

    def _add_ragged(self, row: Sequence[str], line: int) -> None:
        much = "more" if len(row) > self._width else "fewer"
        reason = f"{len(row)} cells where the header has {self._width}, {much} than it should"
        fault = Fault("bad_row", f"{reason}: is a quote missing?")
        self.add([row[i] for i in self._kept if i < len(row)], line, None, None, fault)

    def _fault(self, row: Sequence[str]) -> Fault | None:
        named = {word: row[index].strip() for word, index in self._where.items()}
        try:
            target_named(named)
            user_named(named)
        except BadRow as error:
            return Fault("bad_row", str(error))
        return None

    def rows(self) -> Rows:
        """All that was added."""
        return self._rows(self._target.values, self._user.values)


class _Named:
    """What cells of some columns name, understood once for each that differ.

    Attributes:
        values: the targets or users, by place; None where the cells name nothing.
    """

    def __init__(
        self,
        columns: Mapping[str, int],
        known: Mapping[int, _Known],
        name: Callable[[Mapping[str, str]], Any],
    ) -> None:
        self._words, self._at, self._name = list(columns), list(columns.values()), name
        # The cells of one column have places already; of several, each combination gets one.
        self._alone = len(self._at) == 1
        self._keys = known[self._at[0]] if self._alone else _Known()
        self.values: list[Any] = []
        self._nothing: set[int] = set()

    def places(
        self, placed: Mapping[int, Sequence[int]], columns: Sequence[Sequence[str]]
    ) -> Sequence[int]:
        """By row, the place among the values; given are the cells by column, and their places."""
        found = placed[self._at[0]]
        if not self._alone:
            found = [
                self._keys[cells] for cells in zip(*(columns[i] for i in self._at), strict=True)
            ]
        new = len(self._keys) - len(self.values)
        for key in reversed(list(islice(reversed(self._keys), new))):
            cells = [key] if self._alone else key
            try:
                value = self._name(dict(zip(self._words, map(str.strip, cells), strict=True)))
            except BadRow:
                value = None
                self._nothing.add(len(self.values))
            self.values.append(value)
        return found

    def names_nothing(self, places: Iterable[int]) -> bool:
        """Whether any of these names nothing that could be used."""
        return bool(self._nothing) and not self._nothing.isdisjoint(places)
