"""The rules among the rows of one job: each candidate is kept or skipped, exactly once."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lms_archive import InvalidInputError
from lms_archive.archive import PlannedEnrollment, PlannedTarget, Terms
from lms_archive.archive.planning.rules import OnShared, Rules, Sharing
from lms_archive.records import LearningPlanCourse


def _sharing(plans: Mapping[int, Iterable[int]]) -> Sharing:
    held = {plan: tuple(sorted(courses)) for plan, courses in plans.items()}
    courses = {one for some in held.values() for one in some}
    return Sharing(
        plans_of={c: frozenset(p for p, some in held.items() if c in some) for c in courses},
        courses_of={
            plan: tuple(LearningPlanCourse(course_id=c, code=f"C{c}") for c in some)
            for plan, some in held.items()
        },
        names={plan: f"P{plan}" for plan in held},
    )


def _terms(mode: str = "unenroll", *, reset: bool = False) -> Terms:
    return Terms(mode=mode, reset_tracking=reset, only="completed")


def _target(kind: str, number: int) -> PlannedTarget:
    code = f"{'C' if kind == 'course' else 'P'}{number}"
    return PlannedTarget(kind=kind, target_id=number, code=code)  # type: ignore[arg-type]


def _row(index: int, user: int) -> PlannedEnrollment:
    nothing: dict[str, Any] = dict.fromkeys(("username", "enrolled_at", "status", "level"))
    return PlannedEnrollment(row=index, user_id=user, **nothing)


def _candidates(
    asked: Iterable[tuple[str, int, int]],
) -> dict[PlannedTarget, list[PlannedEnrollment]]:
    found: dict[PlannedTarget, list[PlannedEnrollment]] = {}
    for index, (kind, number, user) in enumerate(asked):
        found.setdefault(_target(kind, number), []).append(_row(index, user))
    return found


def _apply(
    asked: list[tuple[str, int, int]],
    plans: Mapping[int, Iterable[int]],
    terms: Terms,
    on_shared: OnShared = "skip",
) -> tuple[dict[tuple[str, int], list[int]], dict[int, tuple[str, str]], list[str]]:
    """What is kept by target, what is skipped by row, and the warnings."""
    where = {index: f"line {index + 2}" for index in range(len(asked))}
    rules = Rules(terms, _sharing(plans), on_shared, where.__getitem__)
    kept = rules.apply(_candidates(asked))
    users = {target.key: [one.user_id for one in rows] for target, rows in kept.items() if rows}
    return users, {one.row: (one.code, one.reason) for one in rules.skips}, rules.warnings


asked_of = st.lists(
    st.tuples(st.sampled_from(["course", "learning_plan"]), st.integers(1, 4), st.integers(1, 3)),
    unique=True,
    max_size=14,
)
holding = st.fixed_dictionaries(
    {plan: st.sets(st.integers(1, 4), max_size=4) for plan in range(1, 5)}
)


@given(
    asked=asked_of,
    plans=holding,
    mode=st.sampled_from(["unenroll", "re-enroll"]),
    reset=st.booleans(),
    on_shared=st.sampled_from(["skip", "allow"]),
)
def test_each_candidate_is_kept_or_skipped_once(
    asked: list[tuple[str, int, int]],
    plans: dict[int, set[int]],
    mode: str,
    on_shared: OnShared,
    *,
    reset: bool,
) -> None:
    """Nothing is lost or counted twice, and no kept row breaks a rule of the platform."""
    rules = Rules(_terms(mode, reset=reset), _sharing(plans), on_shared, str)
    candidates = _candidates(asked)
    kept = rules.apply(candidates)
    assert list(kept) == list(candidates)
    rows = [one.row for some in kept.values() for one in some]
    assert sorted(rows + [one.row for one in rules.skips]) == list(range(len(asked)))
    sent = {(target.key, one.user_id) for target, some in kept.items() for one in some}
    with_plan = [
        (course, user)
        for (kind, plan), user in sent
        if kind == "learning_plan"
        for course in plans[plan]
    ]
    courses = [(number, user) for (kind, number), user in sent if kind == "course"]
    assert not set(with_plan) & set(courses)
    if on_shared == "skip":
        assert len(with_plan) == len(set(with_plan))
    if mode == "unenroll":
        assert not {course for course, _ in courses} & set().union(*plans.values())
    elif on_shared == "allow":
        assert {one.code for one in rules.skips} <= {"archived_with_learning_plan"}


@given(asked=asked_of, plans=holding, mode=st.sampled_from(["unenroll", "re-enroll"]))
def test_fail_raises_or_skips_nothing_as_shared(
    asked: list[tuple[str, int, int]], plans: dict[int, set[int]], mode: str
) -> None:
    """`"fail"` raises exactly where `"skip"` would have skipped something as shared."""
    _, skipped, _ = _apply(asked, plans, _terms(mode), "skip")
    shared = any(code == "shared" for code, _ in skipped.values())
    try:
        _, others, _ = _apply(asked, plans, _terms(mode), "fail")
    except InvalidInputError:
        assert shared
    else:
        assert not shared
        assert others == skipped


def test_a_course_row_names_the_first_plan_that_archives_it() -> None:
    """The words say the line of the plan's row and the plan."""
    asked = [("course", 1, 7), ("learning_plan", 5, 7), ("course", 1, 8)]
    kept, skipped, _ = _apply(asked, {5: [1]}, _terms("re-enroll"))
    assert kept == {("learning_plan", 5): [7], ("course", 1): [8]}
    assert skipped == {0: ("archived_with_learning_plan", "archived with P5 by line 3")}


def test_a_chain_of_plans_in_re_enroll() -> None:
    """1 meets 2, 2 meets 3: the second is skipped, and the third goes with the first."""
    asked = [("learning_plan", plan, 7) for plan in (1, 2, 3)]
    kept, skipped, _ = _apply(asked, {1: [1, 2], 2: [2, 3], 3: [3, 4]}, _terms("re-enroll"))
    assert set(kept) == {("learning_plan", 1), ("learning_plan", 3)}
    assert list(skipped) == [1]


@pytest.mark.parametrize(
    ("mode", "reset", "warned"),
    [
        ("re-enroll", True, True),
        ("re-enroll", False, True),
        ("unenroll", True, False),
    ],
)
def test_reset_on_shared_courses_is_warned_of(mode: str, *, reset: bool, warned: bool) -> None:
    """Re-enroll archives in courses of other plans as well, and says so."""
    _, _, warnings = _apply([("learning_plan", 1, 7)], {1: [1], 2: [1]}, _terms(mode, reset=reset))
    assert any("C1 (also in P2)" in text for text in warnings) == warned


def test_a_plan_none_of_whose_rows_goes_is_told_of_nothing() -> None:
    """Without candidates there is no warning, and `"fail"` does not fail."""
    rules = Rules(_terms(), _sharing({1: [1], 2: [1]}), "fail", str)
    assert rules.apply({_target("learning_plan", 1): []}) == {_target("learning_plan", 1): []}
    assert rules.warnings == []
