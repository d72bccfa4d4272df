"""The plan in pieces: the same plan again from a ledger, in little memory."""

import json
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from archive_tools import from_rows, pieces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_plan_files import rows_of_any_kind

from lms_archive import (
    ArchivePlan,
    ArchiveResult,
    Client,
    EnrollmentLevel,
    EnrollmentStatus,
    LedgerError,
    Outcome,
)
from lms_archive.archive.cutting import PlannedEnrollment, PlannedTarget, cut
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.pieces import Altered, Piece, fields_of, piece_of, pieces_of, sealed
from lms_archive.archive.plan import plan_in
from lms_archive.archive.rows import RowsBuilder
from lms_archive.archive.selection import Selection, Target
from lms_archive.archive.terms import Terms

AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows_of_any_kind, rows_of_any_kind, st.sampled_from(["completed", "any"]))
def test_a_ledger_holds_the_plan(
    tmp_path: Path, reader: Client, some: list[Any], more: list[Any], only: str
) -> None:
    """What is read from a ledger is the plan that it was begun with, in every field."""
    plan = (from_rows(some, only=only) + from_rows(more, only=only)).plan(reader)
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    with Ledger.create(path, {}, pieces_of(**plan._fields())) as book:
        assert plan_in(book) == plan


def test_anyone_can_read_the_rows(tmp_path: Path) -> None:
    """The view `asked` has every row, of every block and part, as it was given."""
    first = [{"username": f"u{row}", "course_id": 7, "note": None} for row in range(450)]
    last = [{"user_id": 5, "username": "ada", "course_code": "SAFE"}, {"username": "nobody"}]
    job = from_rows(first) + from_rows(last)
    Ledger.create(tmp_path / "a.sqlite", {}, pieces(job)).close()
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        found = database.execute("SELECT row, line, target, user, cells FROM asked").fetchall()
    assert [row for row, *_ in found] == list(range(452))
    assert found[300] == (300, None, '["course",7,null]', "u300", '["u300",7,null]')
    assert found[450] == (450, None, '["course",null,"SAFE"]', '[5,"ada"]', '[5,"ada","SAFE"]')
    assert found[451][2:] == (None, None, '[null,"nobody",null]')


def test_a_row_that_was_not_asked_for(tmp_path: Path) -> None:
    """An outcome of no row of the plan is damage, and told."""
    outcome = Outcome(kind="skipped", code="status", reason="so")
    Ledger.create(tmp_path / "a.sqlite", {}, pieces(from_rows([])), [(3, outcome)]).close()
    with pytest.raises(LedgerError, match="damaged"):
        list(ArchiveResult(tmp_path / "a.sqlite").outcomes)


def test_pieces_are_sealed() -> None:
    """Any piece that is missing, added or exchanged is seen, and so is a seal of other pieces."""
    all_of_it = list(
        sealed(piece_of("skips", [[row, "code", "why", None, None, None]]) for row in range(3))
    )
    assert [piece.kind for piece in all_of_it] == ["skips"] * 3 + ["end"]
    lines = [piece.line for piece in all_of_it]
    for wrong in (lines[1:], lines[:-1], [*lines[:2], lines[1], *lines[2:]], lines[2:] + lines[:2]):
        with pytest.raises(Altered):
            fields_of(wrong)
    with pytest.raises(ValueError, match="platform"):
        fields_of(lines)  # sealed, and no plan all the same


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("read", {"terms": {"mode": "re-enroll", "reset_tracking": True, "only": ["completed"]}}),
        ("read", {"platform": "https://elsewhere.example.com"}),
        ("chunk_read", {"target": {"kind": "course", "target_id": 9}}),
    ],
)
def test_nothing_is_told_beside_the_digest(kind: str, more: dict[str, Any]) -> None:
    """When and how it was read is no part of the digest, so it can say nothing else of the plan."""
    plan = [(one.kind, json.loads(one.text)) for one in pieces_of(**large()._fields())][:-1]
    within = [piece_of(name, {**value, **more} if name == kind else value) for name, value in plan]
    added = [piece_of(name, value) for name, value in plan] + [piece_of(kind, more)]
    for wrong in (within, added):
        with pytest.raises(ValueError, match="not just"):
            fields_of(one.line for one in sealed(wrong))


def test_a_piece_is_a_line() -> None:
    """Whatever is in a value, its line has no break."""
    assert piece_of("rows", "a\nb\u2028c").line == '["rows","a\\nb\\u2028c"]'
    assert Piece("end", "{}").row is None


COUNT = 20_000


def large() -> ArchivePlan:
    """A plan of 20,000 rows, half of them sent, in one chunk: the select-all form."""
    builder = RowsBuilder(("user_id", "course_id"))
    for row in range(COUNT):
        builder.add((row + 1, 7), row + 2, Target("course", 7), row + 1)
    terms = Terms(mode="unenroll", reset_tracking=False, only="any")
    members = [
        PlannedEnrollment(
            row=row,
            user_id=row + 1,
            username=f"learner{row}",
            enrolled_at=AT,
            status=EnrollmentStatus.COMPLETED,
            level=EnrollmentLevel.LEARNER,
        )
        for row in range(0, COUNT, 2)
    ]
    found = PlannedTarget(kind="course", target_id=7)
    chunks = cut(found, members, size=200, terms=terms, read_at=AT, form="select_all")
    return ArchivePlan(
        platform="https://acme.example.com",
        terms=terms,
        selection=Selection((builder.rows(),)),
        chunks=tuple(chunks),
        skips=tuple(Skip(row, "status", "not completed") for row in range(1, COUNT, 2)),
        read_at=AT,
    )


@contextmanager
def at_most(growth: int) -> Iterator[None]:
    """What is done here holds no more memory than that at any time, in bytes."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= growth


def test_in_little_memory(tmp_path: Path) -> None:
    """Digest, file and ledger of a plan take little memory, and to open one takes but its own."""
    plan = large()
    saved, path = tmp_path / "plan.json", tmp_path / "ledger.sqlite"
    with at_most(1_000_000):
        digest = plan.digest
    with at_most(1_000_000):
        plan.save(saved)
    with at_most(1_000_000), Ledger.create(path, {}, pieces_of(**plan._fields())):
        pass
    assert saved.stat().st_size > 1_500_000
    assert _taken(lambda: ArchivePlan.load(saved)) < 1.5
    with Ledger.open(path) as book:
        assert _taken(lambda: plan_in(book)) < 1.5
    assert ArchivePlan.load(saved).digest == digest


def _taken(make: Callable[[], object]) -> float:
    """The most memory that making something takes, of what it takes when it is there."""
    tracemalloc.start()
    made = make()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made is not None
    return peak / now
