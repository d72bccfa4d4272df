"""An outcome as the ledger keeps it, and the same outcome again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    Contract,
    Outcome,
    Target,
)
from lms_archive.archive.entries import outcome_to_row, row_to_outcome
from lms_archive.archive.outcomes import CODES, CourseOutcome
from lms_archive.archive.selection import Row
from lms_archive.records.convert import Structurer

structure = Structurer(Contract.default().records)
words = st.text(max_size=8)
reasons = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of characters too
whole = st.integers(1, 2**62)
times = st.datetimes().map(lambda at: at.isoformat(" ", "seconds"))
items = st.fixed_dictionaries(
    {"id": whole, "user_id": whole, "course_id": whole, "learning_plan_id": whole},
    optional={
        "archived_at": times,
        "archived_by": whole | words,
        "username": words,
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


rows = st.builds(
    Row,
    index=st.integers(0, 9),
    line=st.none() | whole,
    target=st.none() | st.builds(Target, st.sampled_from(["course", "learning_plan"]), whole),
    user=st.none() | whole | words | st.tuples(whole, words),
    cells=st.dictionaries(words, st.none() | whole | words, max_size=3),
    fault=st.none(),
)


@given(
    row=rows,
    code=st.sampled_from(sorted(CODES)),
    reason=reasons,
    record=st.none() | records(),
    courses=st.lists(st.builds(CourseOutcome, whole, words, st.none() | whole), max_size=2),
    differences=st.lists(words, max_size=2),
    user_id=st.none() | whole,
)
def test_an_outcome_is_the_same_again(row: Row, code: str, reason: str, **more: Any) -> None:
    """What is kept of it, put to its row, is the outcome."""
    more = {name: tuple(one) if isinstance(one, list) else one for name, one in more.items()}
    outcome = Outcome.of(row, code, reason, **more)
    kept = outcome_to_row(row.index, outcome)
    assert row_to_outcome(kept, row) == outcome
    assert all(type(value) in (int, str, type(None)) for value in kept)


def test_half_a_character_is_kept_escaped() -> None:
    """A platform's word that no file can hold stops no row from being accounted for."""
    row = Row(0, None, None, None, {}, None)
    outcome = Outcome.of(row, "status", "is on \ud83d hold: left alone, \u00e9")
    assert outcome.reason == "is on \\ud83d hold: left alone, \u00e9"
    assert row_to_outcome(outcome_to_row(0, outcome), row) == outcome


def test_only_what_is_known_is_kept() -> None:
    """Nothing of the row is kept again, nor what a record does not have."""
    item = {"id": 3, "user_id": 7, "course_id": 1, "username": "ada", "enrollment_score": 0}
    outcome = Outcome(
        kind="archived",
        code="archived",
        reason="so",
        row={"note": "x" * 99},
        record=structure(ArchivedCourseEnrollment, item),
    )
    *kept, record, more = outcome_to_row(5, outcome)
    assert kept == [5, "archived", "archived", "so", None]
    assert record == (
        '{"extra":{},"archiving":{"record_id":3},"user":{"user_id":7,"username":"ada"},'
        '"course":{"course_id":1},"enrollment":{"score":0.0}}'
    )
    assert more is None
