"""The columns of a table of records: stable names, and what each may hold.

A record's columns are its attributes. Those of its groups `archiving` and `enrollment` keep
their names, those of `user`, `course` and `learning_plan` begin with the group's, so that an
archived record has the column names of an active one.
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

__all__ = ["Column", "Kind", "columns_of", "given_columns", "rows_of"]

Kind = Literal["text", "integer", "number", "flag", "time", "word", "ids"]
"""`word` is one of a few; `ids` are several whole numbers; `time` is aware, in UTC."""

_BARE: Final = ("archiving", "enrollment")
_TOO_LARGE: Final = 2**63
_FEW: Final = ("level", "type")
_KINDS: Final[tuple[tuple[frozenset[Any], Kind], ...]] = (
    (frozenset({int}), "integer"),
    (frozenset({float}), "number"),
    (frozenset({bool}), "flag"),
    (frozenset({datetime}), "time"),
    (frozenset({tuple[int, ...]}), "ids"),
)


@frozen
class Column:
    """A column: its name, what it holds, and the words that are known of a `word`."""

    name: str
    kind: Kind
    words: tuple[str, ...] = ()


def columns_of(*classes: Any) -> tuple[Column, ...]:
    """The columns of records of these classes, each name once, in order."""
    found = {column.name: column for cls in classes for column, _ in _fields(cls)}
    return tuple(found.values())


def rows_of(records: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Each record as one flat row."""
    for record in records:
        cls: Any = type(record)
        yield {column.name: get(record) for column, get in _fields(cls)}


@cache
def _fields(cls: Any) -> tuple[tuple[Column, Callable[[Any], Any]], ...]:
    return tuple(_walk(cls, "", ""))


def _walk(cls: Any, path: str, group: str) -> Iterator[tuple[Column, Callable[[Any], Any]]]:
    for one in attrs.fields(cls):
        if attrs.has(one.type):
            yield from _walk(one.type, f"{one.name}.", "" if one.name in _BARE else one.name)
            continue
        name = one.name if one.name.startswith(group) else f"{group}_{one.name}"
        column, get = _column(name, one), attrgetter(path + one.name)
        if column.kind in ("text", "word"):
            yield column, _as_text(get)
        else:
            yield column, get


def _column(name: str, one: attrs.Attribute[Any]) -> Column:
    shape = one.type
    parts = frozenset(() if shape == tuple[int, ...] else get_args(shape)) - {NoneType} or {shape}
    for enum in parts:
        if isinstance(enum, type) and issubclass(enum, Enum):
            return Column(name, "word", words=tuple(str(word.value) for word in enum))
    if one.name.rpartition("_")[2] in _FEW:
        return Column(name, "word")
    return Column(name, dict(_KINDS).get(frozenset(parts), "text"))


def _as_text(get: Callable[[Any], Any]) -> Callable[[Any], str | None]:
    def text(record: Any) -> str | None:
        value = get(record)
        if isinstance(value, Mapping):
            return json.dumps(value, ensure_ascii=False, default=str) if value else None
        return None if value is None else str(value)

    return text


def given_columns(rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """The columns of rows of which nobody has said what they hold."""
    found: dict[str, set[Kind]] = {}
    for row in rows:
        for name, value in row.items():
            kinds = found.setdefault(name, set())
            if value is not None:
                kinds.add(_kind_of(value))
    return [Column(name, _common(kinds)) for name, kinds in found.items()]


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int):
        return "integer" if -_TOO_LARGE <= value < _TOO_LARGE else "text"
    return "number" if isinstance(value, float) else "text"


def _common(kinds: set[Kind]) -> Kind:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds == {"integer", "number"} else "text"
