"""Find the columns that name users and targets, and read them from the cells of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from attrs import frozen

from lms_archive.archive.selection.cells import (
    BadRow,
    comparable_name,
    is_blank,
    read_id,
    read_name,
    shown,
)
from lms_archive.archive.selection.rows import KINDS, Rows, Target, UserKey
from lms_archive.archive.selection.terms import Terms
from lms_archive.errors import InvalidInputError, plural
from lms_archive.records.status import ArchiveMode

_USERS = ("username", "user_id")
_TARGETS = ("course_code", "course_id", "learning_plan_code", "learning_plan_id")
_WORDS = {
    **{word.replace("_", ""): word for word in (*_USERS, *_TARGETS)},
    "courseinternalid": "course_id",  # in the platform's reports; a "unique ID" is not this id
}
_WANTED = (
    "username or user_id, and one of course_code, course_id, learning_plan_code, learning_plan_id"
)

_MODES = {
    "unenroll": ArchiveMode.UNENROLL,
    "delete": ArchiveMode.UNENROLL,
    "reenroll": ArchiveMode.RE_ENROLL,
}
_FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "0", "0.0"), False),
}


def column_word(name: str) -> str | None:
    """Return the meaning of a column's name, such as `"course_code"`, or None."""
    return _WORDS.get(_squashed(name))


def _squashed(name: str) -> str:
    """Return a name without case, spaces, `_`, `-` and invisible characters."""
    return comparable_name(name).replace("_", "").replace("-", "")


class Headings:
    """The meaning of the names of columns in one source.

    *columns* has the source's own name for each column, by its meaning.
    """

    def __init__(self, source: str, columns: Mapping[str, str] | None = None) -> None:
        self._source = source
        self._renamed: dict[str, str] = {}
        self._columns: dict[str, str] = {}
        if columns is None:
            return
        words = (*_USERS, *_TARGETS)
        if not isinstance(columns, Mapping):
            raise InvalidInputError(
                "columns must be a mapping such as {'username': 'Benutzername'}, "
                f"not {shown(columns)}"
            )
        items: Iterable[tuple[Any, Any]] = columns.items()
        for word, name in items:
            if word not in words:
                raise InvalidInputError(
                    f"columns: {shown(word)} is unknown; expected one of: {', '.join(words)}"
                )
            if not isinstance(name, str) or not name.strip():
                raise InvalidInputError(
                    f"columns: {word} must be the name of a column (str), not {shown(name)}"
                )
            if _squashed(name) in self._renamed:
                raise InvalidInputError(f"columns: {name!r:.60} has two meanings; give each once")
            self._renamed[_squashed(name)] = word
            self._columns[word] = name

    def word(self, name: str) -> str | None:
        """Return the meaning of a column's name, or None."""
        renamed = self._renamed.get(_squashed(name))
        if renamed is not None:
            return renamed
        word = column_word(name)
        return None if word in self._renamed.values() else word

    def are_complete(self, header: Iterable[str]) -> bool:
        """Return whether a header names a user and a target."""
        words = set(map(self.word, header))
        return not (words.isdisjoint(_USERS) or words.isdisjoint(_TARGETS))

    def columns(
        self, header: Sequence[str], line: int | None = None, least: int | None = None
    ) -> Columns:
        """Find the columns that name users and targets.

        *line* is that of the header in the file, for errors; *least* is the fewest cells of a row,
        by default one for each column.
        """
        indexes: dict[str, int] = {}
        names: dict[str, int] = {}
        for index, name in enumerate(header):
            word = self.word(name)
            first = (
                names.setdefault(name, index) if word is None else indexes.setdefault(word, index)
            )
            if first != index:
                raise InvalidInputError(
                    f"{header[first]!r:.60} and {name!r:.60} have the same meaning: remove or "
                    "rename one",
                    source=self._source,
                    line=line,
                    column=name[:60],
                )
        missing = {word: name for word, name in self._columns.items() if word not in indexes}
        if missing or not self.are_complete(header):
            listed = ", ".join(f"{name!r:.60}" for name in header[:20]) or "none"
            absent = " or ".join(f"{name!r:.60}" for name in missing.values())
            has_users = any(word in indexes for word in _USERS)
            word = "course_code" if has_users else "username"
            others = [name for name in header if name and self.word(name) is None]
            example = f"{word!r}: {others[0][:60] if others else 'Name'!r}"
            wanted = f"{_WANTED}; for other names give columns={{{example}, ...}}"
            raise InvalidInputError(
                f"columns={missing!r:.200}: there is no column {absent}; columns found: {listed}"
                if missing
                else f"columns found: {listed}; columns needed: {wanted}",
                source=self._source,
                line=line,
            )
        return Columns(tuple(header), indexes, least or len(header))


@frozen
class Columns:
    """The columns of one source, and which of them name users and targets.

    `indexes` has the index of each column that names users or targets, by its meaning; `least` is
    the fewest cells of a row.
    """

    header: tuple[str, ...]
    indexes: Mapping[str, int]
    least: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in a job and in its files, where each says what it is.

        A column that `columns=` gives another meaning than its name has is called by that meaning,
        and a column that it takes the meaning from gets another name.
        """
        meanings = {index: word for word, index in self.indexes.items()}
        names = list(self.header)
        for index, name in enumerate(self.header):
            word = meanings.get(index)
            if column_word(name) not in (None, word):
                free = (f"{name}_{number}" for number in count(2))
                names[index] = word or next(new for new in free if new not in names)
        return tuple(names)

    @property
    def only_username(self) -> int | None:
        """The index of the username column, if no other column names users."""
        return None if "user_id" in self.indexes else self.indexes["username"]

    @property
    def only_target(self) -> int | None:
        """The index of the column that names targets, if there is only one."""
        indexes = [index for word, index in self.indexes.items() if word in _TARGETS]
        return indexes[0] if len(indexes) == 1 else None

    def fitted(self, cells: Sequence[Any]) -> Sequence[Any]:
        """Return the cells of a row, one for each column.

        A row may end with surplus delimiters, or before columns without a name.
        """
        width, end = len(self.header), len(cells)
        while end > width and is_blank(cells[end - 1]):
            end -= 1
        if self.least <= end <= width:
            return [*cells[:end], *[None] * (width - end)]
        cause = "a quote" if end > width else "a delimiter or a quote"
        expected = plural(width, "cell")
        raise BadRow(f"expected {expected}, found {len(cells)}; is {cause} missing?")

    def target(self, cells: Sequence[Any]) -> Target:
        """Return the target that a row names."""
        targets = []
        for kind in KINDS:
            target = Target(
                kind,
                read_id(*self._cell(cells, f"{kind}_id")),
                read_name(*self._cell(cells, f"{kind}_code")),
            )
            if target != Target(kind):
                targets.append(target)
        if not targets:
            raise BadRow(f"no course or learning plan: fill in {self._names(_TARGETS)}")
        if len(targets) > 1:
            raise BadRow(f"the row names {targets[0]} and {targets[1]}: give one target in a row")
        return targets[0]

    def user(self, cells: Sequence[Any]) -> UserKey:
        """Return the user that a row names."""
        user_id = read_id(*self._cell(cells, "user_id"))
        username = read_name(*self._cell(cells, "username"))
        if username is None:
            if user_id is None:
                raise BadRow(f"no user: fill in {self._names(_USERS)}")
            return user_id
        return username if user_id is None else (user_id, username)

    def _cell(self, cells: Sequence[Any], word: str) -> tuple[Any, str]:
        """Return a cell and the name of its column."""
        index = self.indexes.get(word)
        return (None, word) if index is None else (cells[index], self.header[index].strip())

    def _names(self, words: Iterable[str]) -> str:
        return " or ".join(
            self.header[self.indexes[word]].strip() for word in words if word in self.indexes
        )


def contradicted_terms(rows: Rows, terms: Terms) -> Iterator[str]:
    """Yield a warning for each column that contradicts the terms of the job.

    `mode`, `reset_tracking` and `include_staff` are arguments of the job: columns with these names
    are not read.
    """
    for index, name in enumerate(rows.header):
        word = _squashed(name)
        meanings: Mapping[str, object]
        meant: object
        if word in ("mode", "enrollmentmode", "archivemode"):
            meanings, meant, job = _MODES, terms.mode, f"archives and {terms.mode}s"
        elif word == "resettracking":
            verb = "resets" if terms.reset_tracking else "keeps"
            meanings, meant, job = _FLAGS, terms.reset_tracking, f"{verb} the tracking of"
        elif word == "includestaff":
            verb = "includes" if terms.include_staff else "leaves out"
            meanings, meant, job = _FLAGS, terms.include_staff, f"{verb} the staff in"
        else:
            continue
        cells = (entry[index + 2] for entry in rows.entries if len(entry) > index + 2)
        words = Counter(str(cell).strip() for cell in cells if not is_blank(cell))
        others = {text: n for text, n in words.items() if meanings.get(_squashed(text)) != meant}
        if others:
            count = sum(others.values())
            values = ", ".join(f"{text!r:.40}" for text in list(others)[:3])
            yield (
                f"the column {name!r:.60} is not read: it says {values}"
                f"{', ...' if len(others) > 3 else ''} in {plural(count, 'row')}, "  # noqa: PLR2004
                f"and this job {job} every row"
            )
