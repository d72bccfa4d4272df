"""Collecting rows, by column: what is often equal is kept once, and understood once."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, groupby, islice
from typing import Any

from lms_archive.archive.columns import (
    USERS,
    BadRow,
    target_named,
    user_named,
    users_named,
)
from lms_archive.archive.selection import Fault, Rows, Target, UserKey
from lms_archive.archive.tables import OUTCOME_COLUMNS, unguarded

__all__ = ["RowsBuilder", "TextRows"]


class _Known(defaultdict[Any, int]):
    """Values by their places: one that is new gets the next."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def place(self, value: Any) -> int:
        """The place of any value: only texts and whole numbers are ever equal."""
        return self[value if type(value) in (str, int, type(None)) else _Once(value)]

    def places(self, values: Iterable[Any]) -> array[int]:
        """The places of texts, or of tuples of them."""
        return array("i", list(map(self.__getitem__, values)))

    def values_in_order(self) -> list[Any]:
        """The values, as they were given."""
        return [one.value if type(one) is _Once else one for one in self]


class _Each(list[Any]):
    """Values that mostly differ, as they come: to find the few that are equal costs more."""

    def place(self, value: Any) -> int:
        self.append(value)
        return len(self) - 1

    def places(self, values: Iterable[Any]) -> array[int]:
        begin = len(self)
        self.extend(values)
        return array("i", range(begin, len(self)))

    def values_in_order(self) -> list[Any]:
        return self


class _Once:
    """A value that equals no other: `1.0` is not `True`, and a list has no hash."""

    def __init__(self, value: Any) -> None:
        self.value = value


class RowsBuilder:
    """Collects rows one by one; equal cells, targets and users are kept once."""

    def __init__(self, header: Iterable[str]) -> None:
        self._header = tuple(header)
        self._cells: list[_Known | _Each] = [_Known() for _ in self._header]
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
        ours: whether they are outcomes as we write them, which are asked for again.

    Attributes:
        width: how many cells a whole row has.
    """

    def __init__(
        self, header: Sequence[str], where: Mapping[str, int], *, ours: bool = False
    ) -> None:
        self.width: int = len(header)
        self._ours = ours
        self._kept = [i for i, name in enumerate(header) if not (ours and name in OUTCOME_COLUMNS)]
        super().__init__(header[index] for index in self._kept)
        users = {word: index for word, index in where.items() if word in USERS}
        targets = {word: index for word, index in where.items() if word not in USERS}
        if len(users) == 1:
            self._cells[self._kept.index(*users.values())] = _Each()
        known = dict(zip(self._kept, self._cells, strict=True))
        self._user = _Named(users, known, user_named)
        self._target = _Named(targets, known, target_named)

    def add_texts(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Rows, and the line on which each begins; blank ones ask for nothing."""
        if set(map(len, rows)) == {self.width}:
            self.add_columns(list(zip(*rows, strict=True)), lines)
            return
        begun = zip(rows, lines, strict=True)
        for whole, some in groupby(begun, lambda one: len(one[0]) == self.width):
            if whole:
                run, starts = zip(*some, strict=True)
                self.add_columns(list(zip(*run, strict=True)), starts)
            else:
                for row, line in some:
                    self._add_ragged(list(map(unguarded, row)) if self._ours else row, line)

    def add_columns(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Whole rows, cells by column, and lines likewise."""
        if self._ours:
            columns = [list(map(unguarded, column)) for column in columns]
        self._add_whole(columns, lines)

    def _add_whole(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        kept = zip(self._kept, self._cells, strict=True)
        placed = {index: known.places(columns[index]) for index, known in kept}
        targets, users = self._target.places(placed, columns), self._user.places(placed, columns)
        wrong = self._user.wrong(users) | self._target.wrong(targets)
        blank = {n for n in wrong if not any(column[n].strip() for column in columns)}
        if blank:
            left = [n for n in range(len(lines)) if n not in blank]
            columns = [[column[n] for n in left] for column in columns]
            self._add_whole(columns, [lines[n] for n in left])
            return
        for n in sorted(wrong):
            self._faults[len(self._lines) + n] = Fault("bad_row", wrong[n])
        for index, places in zip(self._kept, self._cell_of, strict=True):
            places.extend(placed[index])
        self._lines.extend(array("i", list(lines)))
        self._target_of.extend(targets)
        self._user_of.extend(users)

    def _add_ragged(self, row: Sequence[str], line: int) -> None:
        if not any(cell.strip() for cell in row):
            return
        much = "more" if len(row) > self.width else "fewer"
        reason = f"{len(row)} cells where the header has {self.width}, {much} than it should"
        fault = Fault("bad_row", f"{reason}: is a quote missing?")
        self.add([row[i] for i in self._kept if i < len(row)], line, None, None, fault)

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
        known: Mapping[int, _Known | _Each],
        name: Callable[[Mapping[str, str]], Any],
    ) -> None:
        self._words, self._at, self._name = list(columns), list(columns.values()), name
        # The cells of one column have places already; of several, each combination gets one.
        self._alone = len(self._at) == 1
        self._keys = known[self._at[0]] if self._alone else _Known()
        self.values: list[Any] = []
        self._reasons: dict[int, str] = {}

    def places(
        self, placed: Mapping[int, array[int]], columns: Sequence[Sequence[str]]
    ) -> array[int]:
        """By row, the place among the values; given are the cells by column, and their places."""
        if self._alone:
            found = placed[self._at[0]]
        else:
            found = self._keys.places(zip(*(columns[i] for i in self._at), strict=True))
        new = list(islice(reversed(self._keys), len(self._keys) - len(self.values)))
        self._understand(new[::-1])
        return found

    def wrong(self, places: Iterable[int]) -> dict[int, str]:
        """By row, why it names nothing that could be used, where that is so."""
        if not self._reasons or self._reasons.keys().isdisjoint(places):
            return {}
        return {n: self._reasons[i] for n, i in enumerate(places) if i in self._reasons}

    def _understand(self, keys: Sequence[Any]) -> None:
        if self._alone:
            keys = list(map(str.strip, keys))
            named = users_named(self._words[0], keys)
            if named is not None:
                self.values += named
                return
            keys = [(key,) for key in keys]
        for key in keys:
            try:
                value = self._name(dict(zip(self._words, map(str.strip, key), strict=True)))
            except BadRow as error:
                self._reasons[len(self.values)] = str(error)
                value = None
            self.values.append(value)
