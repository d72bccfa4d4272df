"""What a ledger gives back: outcomes and events as they were, rows without an outcome."""

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from archive_tools import begin, from_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchiveResult,
    Contract,
    Outcome,
)
from lms_archive.archive.ledger import Ledger, outcome_table_in, read_events, read_progress
from lms_archive.archive.values.events import (
    EVENT_TYPES,
    CallsMade,
    ContractChecked,
    Decided,
    Event,
    HandPicked,
    JobEnded,
    JobGone,
    Noted,
    NotSent,
    Proven,
    ReadBack,
    Refused,
    Reported,
    Resumed,
    RunStarted,
    Sending,
    Submitted,
    UnexpectedRecords,
    Warned,
)
from lms_archive.archive.values.outcomes import AS_REQUESTED, CODES, CourseOutcome
from lms_archive.errors import LedgerError
from lms_archive.records.structure import Structurer

structure = Structurer(Contract.default().records)
words = st.text(max_size=8)
halves = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of characters too
whole = st.integers(1, 2**62)
times = st.datetimes().map(lambda at: at.isoformat(" ", "seconds"))
items = st.fixed_dictionaries(
    {"id": whole, "user_id": whole, "course_id": whole, "learning_plan_id": whole},
    optional={
        "archived_at": times,
        "archived_by": whole | words,
        "username": words | halves,
        "first_name": words,
        "course_credits": st.floats(allow_nan=False, allow_infinity=False),
        "learning_plan_courses": st.lists(whole, max_size=3),
        "enrollment_status": words | st.just("completed"),
        "enrollment_level": words | st.just("student"),
        "enrollment_score": st.just(0) | st.floats(0, 100),
        "enrollment_time_spent": st.just(0) | whole,
        "enrollment_created_at": times,
        "branch": st.none() | st.booleans() | words | st.lists(words, max_size=2),
    },
)


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A record of a course or of a learning plan, some of whose fields are None."""
    cls: type = draw(st.sampled_from([ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment]))
    return structure(cls, draw(items))


rows = st.fixed_dictionaries(
    {"user_id": st.none() | st.integers(1, 10**17), "course_id": st.none() | st.integers(1, 99)},
    optional={"x": st.none() | whole | words},
).filter(lambda row: any(cell is not None and str(cell).strip() for cell in row.values()))
outcomes = st.fixed_dictionaries(
    {"code": st.sampled_from(sorted(CODES)), "reason": halves},
    optional={
        "record": records(),
        "courses": st.lists(
            st.builds(CourseOutcome, whole, words, st.none() | whole), max_size=3
        ).map(tuple),
        "differences": st.lists(words, max_size=2).map(tuple),
        "user_id": whole,
    },
)


@settings(max_examples=20)
@given(st.lists(st.tuples(rows, st.lists(outcomes, max_size=3)), min_size=1, max_size=4))
def test_outcomes_are_the_same_again(tmp_path: Path, jobs: list[tuple[Any, list[Any]]]) -> None:
    """The last outcome of each row comes back as it was, with its row, in input order.

    The counts are theirs, and what has none is pending.
    """
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    job = from_rows([row for row, _ in jobs])
    expected: list[Outcome] = []
    with begin(path, job) as book:
        for row, (_, kept) in zip(job.selection, jobs, strict=True):
            made = [Outcome.of(row, **values) for values in kept]
            for outcome in made:
                book.append(Decided(outcomes=((row.index, outcome),)))
            expected += made[-1:]
    result = ArchiveResult(path)
    assert list(result.outcomes) == expected
    for kind in ("archived", "skipped", "failed", "unknown"):
        assert list(getattr(result, kind)) == [
            outcome for outcome in expected if outcome.kind == kind
        ]
        assert result.counts[kind] == sum(outcome.kind == kind for outcome in expected)
    assert list(result.incomplete) == [item for item in expected if item.is_incomplete]
    assert len(result.incomplete) == len(list(result.incomplete))
    assert list(result.needs_attention) == [item for item in expected if item.needs_attention]
    assert len(result.needs_attention) == len(list(result.needs_attention))
    assert list(outcome_table_in(path)) == [
        (outcome.row, _described(outcome)) for outcome in expected
    ]
    pending = [row for row, (_, kept) in zip(job.selection, jobs, strict=True) if not kept]
    assert [(row.row, row.target) for row in result.pending] == [
        (row.cells, row.target) for row in pending
    ]
    assert len(result.pending) == len(pending)
    open_ = len(pending) + result.counts["unknown"]
    assert result.is_finished == (open_ == 0)
    status = read_progress(path)
    assert (status.rows, status.decided) == (len(jobs), len(jobs) - open_)


def _described(outcome: Outcome) -> tuple[Any, ...]:
    """The values that a table shows; a target's id is that of the plan, and these have none."""
    courses = [
        f"course {course.course_id}: {course.status.replace('_', ' ')}"
        for course in outcome.courses
        if course.status not in AS_REQUESTED
    ]
    texts = [*outcome.differences, *courses]
    details = outcome.record and outcome.record.archiving
    return (
        *(outcome.kind, outcome.code, outcome.reason, "; ".join(texts) if texts else None),
        *(outcome.line, outcome.position, outcome.user_id, None),
        *((details.record_id, details.archived_at) if details else (None, None)),
    )


def test_half_a_character_is_kept_escaped(tmp_path: Path) -> None:
    """A platform's word that no file can hold stops no row from being accounted for."""
    job = from_rows([{"user_id": 1, "course_id": 7}])
    reason = "is on \ud83d hold: left alone, \u00e9"
    begin(tmp_path / "a.sqlite", job, [(0, Outcome.of(job.selection[0], "status", reason))]).close()
    (outcome,) = ArchiveResult(tmp_path / "a.sqlite").outcomes
    assert outcome.reason == "is on \\ud83d hold: left alone, \u00e9"


def test_an_outcome_of_no_row(tmp_path: Path) -> None:
    """An outcome of a row that the plan does not have is damage, and reported."""
    outcome = Outcome(kind="skipped", code="status", reason="so")
    begin(tmp_path / "a.sqlite", from_rows([]), [(3, outcome)]).close()
    with pytest.raises(LedgerError, match="damaged"):
        list(ArchiveResult(tmp_path / "a.sqlite").outcomes)


EVENTS: list[Event] = [
    ContractChecked("0f"),
    ContractChecked("0f", ("PUT /x", "PUT /y")),
    Warned("mind \u00e9"),
    RunStarted(),
    RunStarted(("a" * 40, "b" * 40), canary=3),
    Sending("c1", (0, 1, 2), datetime(2026, 3, 1, 12, tzinfo=timezone.utc), "select_all"),
    Submitted("c1"),
    Submitted("c1", "a" * 40),
    NotSent("c1", "PUT /x: 503"),
    JobEnded("c1", "a" * 40),
    JobEnded("c1", None, "it is still open"),
    JobGone("c1", "a" * 40),
    HandPicked("c1"),
    ReadBack(chunk_id="c1"),
    Proven("canary"),
    UnexpectedRecords("user 7", (5, 6)),
    Reported(),
    Resumed(canary=1),
    Noted("a note"),
    CallsMade({"list_jobs": 4, "archive_course_enrollments": 2}),
]


def test_events_are_the_same_again(tmp_path: Path) -> None:
    """Each with all that it holds, also what is empty, in the order in which they came."""
    job = from_rows([{"user_id": user, "course_id": 7} for user in (1, 2, 3)])
    rows = list(job.selection)
    not_seen, refused, archived = (
        Outcome.of(row, code, "")
        for row, code in zip(rows, ("not_seen", "refused", "archived"), strict=True)
    )
    decided = [
        ReadBack(chunk_id="c1", outcomes=((2, not_seen), (0, refused))),
        Refused("c2", "PUT /x: 400"),
        Decided(outcomes=((2, archived),)),
    ]
    events = [*EVENTS, *decided]
    assert {type(event) for event in events} == set(EVENT_TYPES.values())
    path = tmp_path / "a.sqlite"
    with begin(path, job) as book:
        book.append(*events[:5])
        for event in events[5:]:
            book.append(event)
        assert list(book.events()) == events
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT sent_at FROM events WHERE sent_at IS NOT NULL"
        assert database.execute(query).fetchall() == [("2026-03-01 12:00:00+00:00",)]
    with Ledger.open(path) as book:
        assert list(book.events()) == events
        assert list(book.events(Sending, Decided)) == [events[5], events[-1]]
    assert read_events(path, RunStarted) == [EVENTS[3], EVENTS[4]]
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT DISTINCT typeof(recorded_at), length(recorded_at) FROM events"
        assert database.execute(query).fetchall() == [("text", len("2026-03-01 12:00:00+00:00"))]
