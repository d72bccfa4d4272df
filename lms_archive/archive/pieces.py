"""The plan in pieces, each a line of JSON: a saved plan, a ledger and the digest are made of them.

Rows, pre-images and skips stand in blocks, so that no more than one of them is ever text as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import attrs

from lms_archive.archive.cutting import Chunk, PlannedEnrollment
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.rows import RowsBuilder
from lms_archive.archive.selection import Fault, Row, Rows, Selection, Target
from lms_archive.archive.terms import Terms
from lms_archive.records.convert import Faults, from_plain, to_plain

__all__ = [
    "Altered",
    "Piece",
    "digest_of",
    "fields_of",
    "piece_of",
    "pieces_of",
    "row_of",
    "sealed",
    "values_of",
]

_BLOCK = 200
_OF_READING = ("read", "chunk_read")
_PRE_IMAGE = [field.name for field in attrs.fields(PlannedEnrollment)]
_SKIP = [field.name for field in attrs.fields(Skip)]
_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str, sort_keys=True)


class Altered(ValueError):
    """Pieces are not as they were written."""


class Piece(NamedTuple):
    """One piece: its kind, its value as JSON, and where it holds rows the place of the first."""

    kind: str
    text: str
    row: int | None = None

    @property
    def line(self) -> str:
        """The line that it is in a file."""
        return f'["{self.kind}",{self.text}]'


def piece_of(kind: str, value: Any, row: int | None = None) -> Piece:
    """The piece that holds this value."""
    return Piece(kind, _ENCODER.encode(value), row)


def pieces_of(
    *,
    platform: str,
    terms: Terms,
    selection: Selection,
    chunks: Iterable[Chunk],
    skips: Sequence[Skip],
    warnings: Iterable[str],
    calls: Mapping[str, int],
    duration: timedelta,
    read_at: datetime | None,
) -> Iterator[Piece]:
    """A plan's fields in pieces, made as they are asked for; the last one is their seal."""

    def unsealed() -> Iterator[Piece]:
        yield piece_of("plan", {"platform": platform, "terms": to_plain(terms)})
        read = {"warnings": list(warnings), "calls": dict(calls), "read_at": _iso(read_at)}
        yield piece_of("read", {**read, "duration": duration.total_seconds()})
        for number, (offset, rows) in enumerate(selection.placed):
            yield from _rows(number, offset, rows)
        for chunk in chunks:
            yield from _chunk(chunk)
        for start in range(0, len(skips), _BLOCK):
            part = skips[start : start + _BLOCK]
            yield piece_of("skips", [[getattr(one, name) for name in _SKIP] for one in part])

    return sealed(unsealed())


def _rows(number: int, offset: int, rows: Rows) -> Iterator[Piece]:
    for start in range(0, len(rows) or 1, _BLOCK):  # a part without rows has columns all the same
        part = rows.to_plain(start, min(start + _BLOCK, len(rows)))
        block = {"part": number, "header": rows.header, "rows": part}
        yield piece_of("rows", block, offset + start)


def _chunk(chunk: Chunk) -> Iterator[Piece]:
    target = to_plain(chunk.target)
    read = {"read_at": _iso(chunk.read_at), "listed": target.pop("listed")}
    yield piece_of("chunk", {"chunk_id": chunk.chunk_id, "form": chunk.form, "target": target})
    yield piece_of("chunk_read", read)
    for start in range(0, len(chunk), _BLOCK):
        part = chunk.members[start : start + _BLOCK]
        yield piece_of("members", [_pre_image(one) for one in part])


def _pre_image(one: PlannedEnrollment) -> tuple[Any, ...]:
    enrolled_at, completed_at = _iso(one.enrolled_at), _iso(one.completed_at)
    known = (one.row, one.user_id, one.username, enrolled_at, one.status, one.level)
    return (*known, completed_at, one.score, one.time_spent)


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def sealed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, and one more by which is seen whether they are still what they were."""
    seal = _Seal()
    for piece in pieces:
        seal.add(piece.kind, piece.line)
        yield piece
    yield piece_of("end", seal.value)


def digest_of(pieces: Iterable[Piece]) -> str:
    """The digest that stands in their seal."""
    last = None
    for last in pieces:  # noqa: B007  the last one is what is looked for
        pass
    digest: str = json.loads(last.text)["digest"] if last else ""
    return digest


class _Seal:
    """The hash of all that passes, and the digest: that of all but when and how it was read."""

    def __init__(self) -> None:
        self._whole, self._planned = hashlib.sha256(), hashlib.sha256()

    def add(self, kind: str, line: str) -> None:
        data = f"{line}\n".encode()
        self._whole.update(data)
        if kind not in _OF_READING:
            self._planned.update(data)

    @property
    def value(self) -> dict[str, str]:
        return {"digest": self._planned.hexdigest(), "whole": self._whole.hexdigest()}


def values_of(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Kind and value of each of these lines but the last, which must be their seal.

    Raises:
        Altered: they are not all there, or not as they were written.
        ValueError: they are no pieces.
    """
    seal, lines = _Seal(), iter(lines)
    for line in lines:
        kind, value = json.loads(line)
        if kind == "end":
            if value != seal.value or next(lines, None) is not None:
                raise Altered("the plan was changed")
            return
        seal.add(kind, line.rstrip())
        yield kind, value
    raise Altered("the plan is cut off")


def row_of(index: int, header: Iterable[str], plain: Sequence[Any]) -> Row:
    """The row of its JSON form, as `Rows.to_plain` makes it."""
    line, target, user, cells, *fault = plain
    if isinstance(user, list):
        user = tuple(user)
    elif isinstance(user, str):  # a name that stands in a cell as well is kept once
        user = next((one for one in cells if one == user), user)
    return Row(
        index,
        line,
        None if target is None else Target(*target),
        user,
        dict(zip(header, cells, strict=False)),
        Fault(*fault[0]) if fault else None,
    )


def fields_of(lines: Iterable[str]) -> dict[str, Any]:
    """The fields of the plan that these lines are.

    Raises:
        Altered: they are not all there, or not as they were written.
        ValueError: they are no plan.
    """
    draft = _Draft()
    takes = {name: getattr(draft, name) for name in _KINDS}
    try:
        for kind, value in values_of(lines):
            takes[kind](value)
        return draft.fields()
    except (Faults, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from None


_KINDS = ("plan", "read", "rows", "chunk", "chunk_read", "members", "skips")


class _Draft:
    """A plan that is being read: one method for each kind of piece."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}
        self._parts: list[Rows] = []
        self._builder: RowsBuilder | None = None
        self._chunks: list[Chunk] = []
        self._chunk: dict[str, Any] = {}
        self._members: list[PlannedEnrollment] = []
        self._skips: list[Skip] = []
        self._words: dict[str, str] = {}

    def plan(self, value: dict[str, Any]) -> None:
        self._take(value, "platform", "terms")

    def read(self, value: dict[str, Any]) -> None:
        self._take(value, "warnings", "calls", "duration", "read_at")

    def _take(self, value: dict[str, Any], *names: str) -> None:
        """Once, and nothing else: of what is no part of the digest, nothing may change the plan."""
        if value.keys() != set(names) or not self._told.keys().isdisjoint(names):
            raise ValueError(f"not just {', '.join(names)}")
        self._told |= value

    def rows(self, value: dict[str, Any]) -> None:
        if self._builder is None or value["part"] != len(self._parts):
            self._end_part()
            self._builder = RowsBuilder(value["header"])
        add = self._builder.add
        for one in value["rows"]:
            row = row_of(0, value["header"], one)
            add(one[3], row.line, row.target, row.user, row.fault)

    def _end_part(self) -> None:
        if self._builder is not None:
            self._parts.append(self._builder.rows())
        self._builder = None

    def chunk(self, value: dict[str, Any]) -> None:
        self._end_part()
        self._end_chunk()
        self._chunk = value

    def chunk_read(self, value: dict[str, Any]) -> None:
        if value.keys() != {"listed", "read_at"}:
            raise ValueError("not just listed, read_at")
        self._chunk["target"]["listed"] = value["listed"]
        self._chunk["read_at"] = value["read_at"]

    def members(self, value: list[list[Any]]) -> None:
        known = [dict(zip(_PRE_IMAGE, one, strict=True)) for one in value]
        self._members.extend(from_plain(tuple[PlannedEnrollment, ...], known))

    def _end_chunk(self) -> None:
        if self._chunk:
            made = from_plain(Chunk, {**self._chunk, "members": ()})
            self._chunks.append(attrs.evolve(made, members=tuple(self._members)))
        self._chunk, self._members = {}, []

    def skips(self, value: list[list[Any]]) -> None:
        once = self._words.setdefault  # rows that are skipped for the same reason share its words
        known = [
            dict(zip(_SKIP, (row, once(code, code), once(why, why), *more), strict=True))
            for row, code, why, *more in value
        ]
        self._skips.extend(from_plain(tuple[Skip, ...], known))

    def fields(self) -> dict[str, Any]:
        self._end_part()
        self._end_chunk()
        told = self._told
        return {
            "platform": told["platform"],
            "terms": from_plain(Terms, told["terms"]),
            "selection": Selection(tuple(self._parts)),
            "chunks": tuple(self._chunks),
            "skips": tuple(self._skips),
            "warnings": tuple(map(str, told["warnings"])),
            "calls": {name: int(count) for name, count in told["calls"].items()},
            "duration": timedelta(seconds=told["duration"]),
            "read_at": told["read_at"] and datetime.fromisoformat(told["read_at"]),
        }
