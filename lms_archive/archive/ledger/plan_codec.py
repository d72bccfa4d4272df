"""Between a plan and the tables that hold it, in a ledger or alone; and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any, Final

from lms_archive.archive.ledger.codec import (
    JSON,
    as_json,
    time_from,
    to_text,
    to_time,
)
from lms_archive.archive.selection import (
    Fault,
    Row,
    RowsBuilder,
    Selection,
    Target,
    label_from,
    to_label,
)
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import CODES, Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.records.status import EnrollmentLevel, EnrollmentStatus

__all__ = [
    "TABLES",
    "ContentDigest",
    "chunks_from",
    "digest_of",
    "plan_content",
    "plan_from",
    "plan_meta",
    "row_from",
    "selection_from",
    "skip_from",
    "targets_from",
]

Values = tuple[Any, ...]

TABLES: Final = {
    "columns": (3, 3),
    "rows": (11, 11),
    "targets": (7, 8),
    "chunks": (4, 5),
    "planned": (10, 10),
    "outcomes": (9, 14),
}
"""The tables that hold a plan, in the order in which they are written and hashed.

For each, how many of its columns the digest covers, of how many; not covered are the times of
reading, and how many enrollments were listed then. Of the outcomes, those without a
`recorded_at` are the plan's.
"""

_TERMS: Final = ("platform", "mode", "reset_tracking", "include_staff", "only")
_BLOCK: Final = 1_000
_STATUSES: Final[dict[Any, EnrollmentStatus]] = {word.value: word for word in EnrollmentStatus}
_LEVELS: Final[dict[Any, EnrollmentLevel]] = {word.value: word for word in EnrollmentLevel}


class ContentDigest:
    """SHA-256 over the terms of a plan, and over the rows of its tables.

    Each table is one line of JSON, `["rows",[[0,0,2,...],[1,0,3,...]]]`, in UTF-8 and without
    spaces, so that other tools can compute it too.
    """

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self._hash = hashlib.sha256()
        terms = JSON.encode(["terms", [meta[name] for name in _TERMS]])
        self._hash.update(f"{terms}\n".encode())

    def passing(self, table: str, rows: Iterable[Values]) -> Iterator[Values]:
        """Pass the rows of a table on, and hash what of each belongs to the digest."""
        before, rows, (width, _) = f'["{table}",[', iter(rows), TABLES[table]
        while block := list(islice(rows, _BLOCK)):
            hashed = block if len(block[0]) == width else [values[:width] for values in block]
            self._hash.update(f"{before}{JSON.encode(hashed)[1:-1]}".encode())
            before = ","
            yield from block
        self._end(before)

    def add(self, table: str, blocks: Iterable[str]) -> None:
        """Hash a table whose rows are JSON already, some of them in each block."""
        before = f'["{table}",['
        for block in blocks:
            self._hash.update(f"{before}{block}".encode())
            before = ","
        self._end(before)

    def add_rows(self, table: str, rows: Iterable[Values]) -> None:
        """Hash the rows of a table."""
        for _ in self.passing(table, rows):
            pass

    def _end(self, before: str) -> None:
        self._hash.update(f"{before.removeprefix(',')}]]\n".encode())

    def hexdigest(self) -> str:
        """The digest of all that has passed."""
        return self._hash.hexdigest()


def digest_of(plan: PlanData, selection: Selection) -> str:
    """The digest of a plan: equal plans do the same, whenever they were read."""
    digest = ContentDigest(plan_meta(plan))
    for table, rows in plan_content(plan, selection):
        digest.add_rows(table, rows)
    return digest.hexdigest()


# What is known of a plan as a whole


def plan_meta(plan: PlanData) -> dict[str, Any]:
    """What is known of a plan as a whole, by name."""
    terms = plan.terms
    meta: dict[str, Any] = {
        "platform": plan.platform,
        "mode": str(terms.mode),
        "reset_tracking": as_json(terms.reset_tracking),
        "include_staff": as_json(terms.include_staff),
        "only": ",".join(terms.only),
        "duration": as_json(plan.duration.total_seconds()),
        **{f"calls/{name}": str(count) for name, count in plan.calls.items()},
        **{f"warning/{place:06d}": to_text(text) for place, text in enumerate(plan.warnings)},
    }
    return meta if plan.read_at is None else {**meta, "read_at": to_time(plan.read_at)}


def plan_from(meta: Mapping[str, Any], chunks: Iterable[Chunk], skips: Iterable[Skip]) -> PlanData:
    """The plan of which this is known."""
    known = dict(sorted(meta.items()))
    calls = {name: int(count) for name, count in known.items() if name.startswith("calls/")}
    return PlanData(
        platform=known["platform"],
        terms=Terms(
            mode=known["mode"],
            reset_tracking=json.loads(known["reset_tracking"]),
            only=known["only"].split(","),
            include_staff=json.loads(known["include_staff"]),
        ),
        chunks=tuple(chunks),
        skips=tuple(skips),
        warnings=tuple(text for name, text in known.items() if name.startswith("warning/")),
        calls={name.removeprefix("calls/"): count for name, count in calls.items()},
        duration=timedelta(seconds=json.loads(known["duration"])),
        read_at=time_from(known.get("read_at")),
    )


# To tables


def plan_content(plan: PlanData, selection: Selection) -> Iterator[tuple[str, Iterable[Values]]]:
    """The rows of each of the `TABLES`; each is to be read before the next one is asked for."""
    found: dict[PlannedTarget, int] = {}
    for chunk in plan.chunks:
        found.setdefault(chunk.target, len(found) + 1)
    asked: dict[Target, int] = {}
    tables: tuple[Iterable[Values], ...] = (
        _columns(selection),
        _rows(selection, asked, len(found)),
        _targets(found, asked),
        (
            (number, chunk.chunk_id, found[chunk.target], chunk.form, to_time(chunk.read_at))
            for number, chunk in enumerate(plan.chunks, 1)
        ),
        _planned(plan.chunks),
        map(_skip, plan.skips, count(1)),
    )
    return zip(TABLES, tables, strict=True)


def _columns(selection: Selection) -> Iterator[Values]:
    for part, rows in enumerate(selection.rows):
        for position, name in enumerate(rows.header):
            yield part, position, to_text(name)


def _rows(selection: Selection, asked: dict[Target, int], before: int) -> Iterator[Values]:
    """The rows asked for; each target that they name gets a number behind those found."""
    each = iter(selection)
    for part, rows in enumerate(selection.rows):
        for row in islice(each, len(rows)):
            number = None
            if row.target is not None:
                number = asked.setdefault(row.target, before + len(asked) + 1)
            yield _row_values(row, part, number)


def _row_values(row: Row, part: int, target: int | None) -> Values:
    """A row asked for, as the table `rows` holds it; `row_from` is the way back."""
    user_id, username = (
        row.user
        if isinstance(row.user, tuple)
        else (None, row.user)
        if isinstance(row.user, str)
        else (row.user, None)
    )
    fault = (None, None) if row.fault is None else (row.fault.code, to_text(row.fault.reason))
    cells = as_json(list(row.cells.values()))
    asked = (row.index, part, row.line, target, user_id, username, cells, *fault)
    label = to_label(row.label)
    return *asked, row.position, to_text(label) if isinstance(label, str) else label


def _targets(found: Mapping[PlannedTarget, int], asked: Mapping[Target, int]) -> Iterator[Values]:
    """The targets as found on the platform, then as the rows name them."""
    for target, number in found.items():
        names = (_text(target.code), _text(target.title))
        credit = None if target.credits is None else float(target.credits)
        courses = ",".join(map(str, target.courses))
        yield number, target.kind, target.target_id, *names, credit, courses, target.listed
    for name, number in asked.items():
        yield number, name.kind, name.target_id, name.code, None, None, None, None


def _planned(chunks: Sequence[Chunk]) -> Iterator[Values]:
    """The enrollments to archive, in the order of their rows."""
    numbered = (
        (number, member) for number, chunk in enumerate(chunks, 1) for member in chunk.members
    )
    for chunk, member in sorted(numbered, key=lambda pair: pair[1].row):
        yield (
            member.row,
            chunk,
            member.user_id,
            _text(member.username),
            to_time(member.enrolled_at),
            _text(member.status),
            _text(member.level),
            to_time(member.completed_at),
            None if member.score is None else float(member.score),
            member.time_spent,
        )


def _text(value: str | None) -> str | None:
    return None if value is None else to_text(str(value))


def _skip(skip: Skip, number: int) -> Values:
    told = (CODES[skip.code], skip.code, to_text(skip.reason), skip.user_id)
    planned = (*told, _text(skip.username), skip.along, skip.course_id)
    return (number, skip.row, *planned, None, None, None, None, None)


# From tables


def row_from(
    values: Sequence[Any], headers: Sequence[Sequence[str]], targets: Mapping[int, Target]
) -> Row:
    """The row asked for that these values of the table `rows` are."""
    index, part, line, target, user_id, username, cells_json, *more = values
    fault_code, fault, position, label = more
    cells = json.loads(cells_json)
    if username is not None:  # a name that stands in a cell as well is kept once
        username = next((cell for cell in cells if cell == username), username)
    user = username if user_id is None else user_id if username is None else (user_id, username)
    return Row(
        index,
        line,
        None if target is None else targets[target],
        user,
        dict(zip(headers[part], cells, strict=False)),
        None if fault_code is None else Fault(fault_code, fault),
        position,
        label_from(label),
    )


def selection_from(headers: Sequence[Sequence[str]], rows: Iterable[tuple[int, Row]]) -> Selection:
    """The selection of these rows, each with the number of its part."""
    builders = [RowsBuilder(header) for header in headers]
    begins: dict[int, int] = {}
    given = 0
    for part, row in rows:
        begin, position = begins.setdefault(part, given), row.position or 0
        given = position + 1
        builders[part].add(
            list(row.cells.values()),
            row.line,
            row.target,
            row.user,
            row.fault,
            position=position - begin,
            label=row.label,
        )
    return Selection(tuple(builder.rows() for builder in builders))


def targets_from(
    rows: Iterable[Sequence[Any]],
) -> tuple[dict[int, PlannedTarget], dict[int, Target]]:
    """The targets as found on the platform, and as the rows name them, by number."""
    found: dict[int, PlannedTarget] = {}
    asked: dict[int, Target] = {}
    for number, kind, target_id, code, title, credit, courses, listed in rows:
        if courses is None:
            asked[number] = Target(kind, target_id, code)
            continue
        found[number] = PlannedTarget(
            kind=kind,
            target_id=target_id,
            code=code,
            title=title,
            courses=tuple(map(int, courses.split(","))) if courses else (),
            credits=credit,
            listed=listed,
        )
    return found, asked


def chunks_from(
    rows: Iterable[Sequence[Any]],
    planned: Iterable[Sequence[Any]],
    targets: Mapping[int, PlannedTarget],
) -> Iterator[Chunk]:
    """The chunks of these rows of the tables `chunks` and `planned`."""
    chunks = list(rows)
    members: dict[int, list[PlannedEnrollment]] = {number: [] for number, *_ in chunks}
    for row, chunk, user_id, name, at, status, level, done, score, spent in planned:
        member = PlannedEnrollment(
            row=row,
            user_id=user_id,
            username=name,
            enrolled_at=time_from(at),
            status=_STATUSES.get(status, status),
            level=_LEVELS.get(level, level),
            completed_at=time_from(done),
            score=score,
            time_spent=spent,
        )
        members[chunk].append(member)
    for number, chunk_id, target, form, read_at in chunks:
        yield Chunk(
            chunk_id=chunk_id,
            target=targets[target],
            members=tuple(members.pop(number)),
            read_at=datetime.fromisoformat(read_at),
            form=form,
        )


def skip_from(values: Sequence[Any]) -> Skip:
    """The skip that these values of the table `outcomes` are."""
    _, row, _, code, reason, user_id, username, along, course_id, *_ = values
    return Skip(row, code, reason, user_id, along, course_id, username)
