"""Convert a plan to rows of tables and back, and compute its digest."""

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
    Rows,
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

Each has two numbers: how many of its columns the digest covers, and how many there are. The digest
does not cover the times of reading, and how many enrollments were listed then. The outcomes
without a `recorded_at` belong to the plan.
"""

_TERMS: Final = ("platform", "mode", "reset_tracking", "include_staff", "only")
BLOCK: Final = 1_000
"""How many rows are hashed at a time."""
_STATUSES: Final[dict[Any, EnrollmentStatus]] = {word.value: word for word in EnrollmentStatus}
_LEVELS: Final[dict[Any, EnrollmentLevel]] = {word.value: word for word in EnrollmentLevel}


def content_digest(meta: Mapping[str, Any], tables: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Return the SHA-256 over the terms of a plan and the rows of its tables.

    Each table is one line of JSON, `["rows",[[0,0,2,...],[1,0,3,...]]]`, in UTF-8 without spaces,
    so that other tools can compute it too.

    Args:
        meta: the metadata of the plan.
        tables: the name of each of the `TABLES`, and the JSON of its rows in blocks.
    """
    digest = hashlib.sha256()
    terms = JSON.encode(["terms", [meta[name] for name in _TERMS]])
    digest.update(f"{terms}\n".encode())
    for table, blocks in tables:
        before = f'["{table}",['
        for block in blocks:
            digest.update(f"{before}{block}".encode())
            before = ","
        digest.update(f"{before.removeprefix(',')}]]\n".encode())
    return digest.hexdigest()


def json_blocks(table: str, rows: Iterable[Values]) -> Iterator[str]:
    """Yield the columns of a table that the digest covers as JSON, in blocks of rows."""
    rows, (width, _) = iter(rows), TABLES[table]
    while block := [values[:width] for values in islice(rows, BLOCK)]:
        yield JSON.encode(block)[1:-1]


def digest_of(plan: PlanData, selection: Selection) -> str:
    """Return the digest of a plan; plans with the same digest do the same."""
    content = plan_content(plan, selection)
    return content_digest(
        plan_meta(plan), ((table, json_blocks(table, rows)) for table, rows in content)
    )


# The metadata of a plan


def plan_meta(plan: PlanData) -> dict[str, Any]:
    """Return the metadata of a plan as texts, by name."""
    terms = plan.terms
    meta: dict[str, Any] = {
        "platform": plan.platform,
        "mode": str(terms.mode),
        "reset_tracking": as_json(terms.reset_tracking),
        "include_staff": as_json(terms.include_staff),
        "only": ",".join(terms.only),
        "duration": as_json(plan.duration.total_seconds()),
        **{f"calls/{name}": str(count) for name, count in plan.calls.items()},
        **{f"warning/{index:06d}": to_text(text) for index, text in enumerate(plan.warnings)},
    }
    return meta if plan.read_at is None else {**meta, "read_at": to_time(plan.read_at)}


def plan_from(meta: Mapping[str, Any], chunks: Iterable[Chunk], skips: Iterable[Skip]) -> PlanData:
    """Build a plan from its metadata, chunks and skips."""
    texts = dict(sorted(meta.items()))
    calls = {name: int(count) for name, count in texts.items() if name.startswith("calls/")}
    return PlanData(
        platform=texts["platform"],
        terms=Terms(
            mode=texts["mode"],
            reset_tracking=json.loads(texts["reset_tracking"]),
            only=texts["only"].split(","),
            include_staff=json.loads(texts["include_staff"]),
        ),
        chunks=tuple(chunks),
        skips=tuple(skips),
        warnings=tuple(text for name, text in texts.items() if name.startswith("warning/")),
        calls={name.removeprefix("calls/"): count for name, count in calls.items()},
        duration=timedelta(seconds=json.loads(texts["duration"])),
        read_at=time_from(texts.get("read_at")),
    )


# To tables


def plan_content(plan: PlanData, selection: Selection) -> Iterator[tuple[str, Iterable[Values]]]:
    """Return each of the `TABLES` with its rows; read them before you ask for the next table."""
    planned: dict[PlannedTarget, int] = {}
    for chunk in plan.chunks:
        planned.setdefault(chunk.target, len(planned) + 1)
    requested: dict[Target, int] = {}
    tables: tuple[Iterable[Values], ...] = (
        _columns(selection),
        _rows(selection, requested, len(planned)),
        _targets(planned, requested),
        (
            (number, chunk.chunk_id, planned[chunk.target], chunk.form, to_time(chunk.read_at))
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


def _rows(selection: Selection, requested: dict[Target, int], before: int) -> Iterator[Values]:
    """Yield the rows of a selection, and number the targets that they name from *before* + 1."""
    each = iter(selection)
    for part, rows in enumerate(selection.rows):
        for row in islice(each, len(rows)):
            number = None
            if row.target is not None:
                number = requested.setdefault(row.target, before + len(requested) + 1)
            yield _row_values(row, part, number)


def _row_values(row: Row, part: int, target: int | None) -> Values:
    """Return a row of a selection as a row of the table `rows`; `row_from` is the inverse."""
    user_id, username = (
        row.user
        if isinstance(row.user, tuple)
        else (None, row.user)
        if isinstance(row.user, str)
        else (row.user, None)
    )
    fault = (None, None) if row.fault is None else (row.fault.code, to_text(row.fault.reason))
    cells = as_json(list(row.cells.values()))
    values = (row.index, part, row.line, target, user_id, username, cells, *fault)
    label = to_label(row.label)
    return *values, row.position, to_text(label) if isinstance(label, str) else label


def _targets(
    planned: Mapping[PlannedTarget, int], requested: Mapping[Target, int]
) -> Iterator[Values]:
    """Yield the planned targets, then the targets as the rows name them."""
    for target, number in planned.items():
        names = (_text(target.code), _text(target.title))
        credit = _real(target.credits)
        courses = ",".join(map(str, target.courses))
        yield number, target.kind, target.target_id, *names, credit, courses, target.listed
    for name, number in requested.items():
        yield number, name.kind, name.target_id, name.code, None, None, None, None


def _planned(chunks: Sequence[Chunk]) -> Iterator[Values]:
    """Yield the enrollments to archive, in the order of their rows."""
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
            _real(member.score),
            member.time_spent,
        )


def _real(value: float | None) -> float | None:
    return None if value is None else float(value) + 0.0  # SQLite keeps -0.0 as 0.0


def _text(value: str | None) -> str | None:
    return None if value is None else to_text(str(value))


def _skip(skip: Skip, number: int) -> Values:
    outcome = (CODES[skip.code], skip.code, to_text(skip.reason), skip.user_id)
    planned = (*outcome, _text(skip.username), skip.learning_plan_row, skip.course_id)
    return (number, skip.row, *planned, None, None, None, None, None)


# From tables


def row_from(
    values: Sequence[Any], headers: Sequence[Sequence[str]], targets: Mapping[int, Target]
) -> Row:
    """Build a row of a selection from its values in the table `rows`."""
    index, part, line, target, user_id, username, cells_json, *others = values
    fault_code, fault, position, label = others
    cells = json.loads(cells_json)
    if username is not None:  # share the text of a name that is in a cell as well
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
    """Build the selection of these rows, each of which comes with the number of its part."""
    parts = [Rows(tuple(header)) for header in headers]
    begins: dict[int, int] = {}
    next_position = 0
    for part, row in rows:
        begin, position = begins.setdefault(part, next_position), row.position or 0
        next_position = position + 1
        parts[part].add(
            list(row.cells.values()),
            row.line,
            row.target,
            row.user,
            row.fault,
            position=position - begin,
            label=row.label,
        )
    return Selection(tuple(parts))


def targets_from(
    rows: Iterable[Sequence[Any]],
) -> tuple[dict[int, PlannedTarget], dict[int, Target]]:
    """Return the planned targets, and the targets as the rows name them, by number."""
    planned: dict[int, PlannedTarget] = {}
    requested: dict[int, Target] = {}
    for number, kind, target_id, code, title, credit, courses, listed in rows:
        if courses is None:
            requested[number] = Target(kind, target_id, code)
            continue
        planned[number] = PlannedTarget(
            kind=kind,
            target_id=target_id,
            code=code,
            title=title,
            courses=tuple(map(int, courses.split(","))) if courses else (),
            credits=credit,
            listed=listed,
        )
    return planned, requested


def chunks_from(
    rows: Iterable[Sequence[Any]],
    planned: Iterable[Sequence[Any]],
    targets: Mapping[int, PlannedTarget],
) -> Iterator[Chunk]:
    """Build the chunks from rows of the tables `chunks` and `planned`."""
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
    """Build a skip from its values in the table `outcomes`."""
    _, row, _, code, reason, user_id, username, plan_row, course_id, *_ = values
    return Skip(row, code, reason, user_id, plan_row, course_id, username)
