"""The columns of a table: their names, and the kind of their values.

The columns of a record are its attributes. Attributes of the groups `archiving` and `enrollment`
keep their names; those of `user`, `course` and `learning_plan` begin with the name of the group,
so that an archived record has the column names of an active one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Literal, get_args

import attrs
from attrs import frozen

Kind = Literal["text", "integer", "number", "flag", "time", "word", "ids"]
"""`word` is one of a few words; `ids` are several whole numbers; `time` is aware, in UTC."""

_BARE_GROUPS: Final = ("archiving", "enrollment")
_TOO_LARGE: Final = 2**63
_EXACT = 2**53  # the largest whole number up to which floats hold all
_OPEN_WORDS: Final = ("level", "type")
_IDS: Final = tuple[int, ...]
_KINDS: Final[Mapping[Any, Kind]] = {
    int: "integer",
    float: "number",
    bool: "flag",
    datetime: "time",
    _IDS: "ids",
}


@frozen
class Column:
    """A column: its name, the kind of its values, and the known words of a `word`."""

    name: str
    kind: Kind
    words: tuple[str, ...] = ()


def columns_of(*classes: Any) -> tuple[Column, ...]:
    """List the columns of records of these classes, each name once, in order."""
    columns = {column.name: column for cls in classes for column, _ in _fields(cls)}
    return tuple(columns.values())


def rows_of(records: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Turn each record into one flat row."""
    for record in records:
        cls: Any = type(record)
        yield {column.name: get(record) for column, get in _fields(cls)}


@cache
def _fields(cls: Any) -> tuple[tuple[Column, Callable[[Any], Any]], ...]:
    return tuple(_columns_in(cls, "", ""))


def _columns_in(cls: Any, path: str, group: str) -> Iterator[tuple[Column, Callable[[Any], Any]]]:
    for attribute in attrs.fields(cls):
        if not attribute.init:  # the platform that a record was read from is not a column
            continue
        name = attribute.name
        if attrs.has(attribute.type):
            inner = "" if name in _BARE_GROUPS else name
            yield from _columns_in(attribute.type, f"{name}.", inner)
            continue
        column = _column(name if name.startswith(group) else f"{group}_{name}", attribute)
        get = attrgetter(path + name)
        yield column, _as_text(get) if column.kind in ("text", "word") else get


def _column(name: str, attribute: attrs.Attribute[Any]) -> Column:
    declared = attribute.type
    types = set(() if declared == _IDS else get_args(declared)) - {NoneType} or {declared}
    for enum in types:
        if isinstance(enum, type) and issubclass(enum, Enum):
            return Column(name, "word", words=tuple(str(word.value) for word in enum))
    if attribute.name.rpartition("_")[2] in _OPEN_WORDS:
        return Column(name, "word")
    return Column(name, _common({_KINDS.get(each, "text") for each in types}))


def _as_text(get: Callable[[Any], Any]) -> Callable[[Any], str | None]:
    def text(record: Any) -> str | None:
        value = get(record)
        if isinstance(value, Mapping):
            return json.dumps(value, ensure_ascii=False, default=str) if value else None
        return None if value is None else str(value)

    return text


def inferred_columns(rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of a user's rows; a column of mixed kinds is text."""
    kinds: dict[str, set[Kind]] = {}
    inexact: set[str] = set()
    for row in rows:
        for name, value in row.items():
            of_column = kinds.setdefault(name, set())
            if value is not None:
                of_column.add(_kind_of(value))
                if isinstance(value, int) and abs(value) > _EXACT:
                    inexact.add(name)
    return [
        Column(name, _common(of_column, exact=name not in inexact))
        for name, of_column in kinds.items()
    ]


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int):
        return "integer" if -_TOO_LARGE <= value < _TOO_LARGE else "text"
    return "number" if isinstance(value, float) else "text"


def _common(kinds: set[Kind], *, exact: bool = True) -> Kind:
    """Return the kind of a column; `exact`: whether its whole numbers can be floats unchanged."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds == {"integer", "number"} and exact else "text"


def text_of(value: Any) -> str | None:
    """Return a value as text that UTF-8 can encode: lone surrogates are escaped."""
    if value is None:
        return None
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
