"""The rules among the rows of one job: each candidate is kept or skipped, exactly once."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lms_archive import InvalidInputError
from lms_archive.archive import PlannedEnrollment, PlannedTarget, Terms
from lms_archive.archive.planning.rules import OnShared, Rules, Sharing
from lms_archive.records import LearningPlanCourse


def _sharing(plans: Mapping[int, Iterable[int]]) -> Sharing:
    held = {plan: tuple(sorted(courses)) for plan, courses in plans.items()}
    courses = {course for courses in held.values() for course in courses}
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
    rows = [member.row for members in kept.values() for member in members]
    assert sorted(rows + [outcome.row for outcome in rules.skips]) == list(range(len(asked)))
    sent = {(target.key, member.user_id) for target, members in kept.items() for member in members}
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
        assert {outcome.code for outcome in rules.skips} <= {"archived_with_learning_plan"}


@given(asked=asked_of, plans=holding, mode=st.sampled_from(["unenroll", "re-enroll"]))
def test_fail_raises_or_skips_nothing_as_shared(
    asked: list[tuple[str, int, int]], plans: dict[int, set[int]], mode: str
) -> None:
    """`"fail"` raises exactly where `"skip"` would have skipped something as shared."""
    skipping = Rules(_terms(mode), _sharing(plans), "skip", str)
    skipping.apply(_candidates(asked))
    shared = any(skip.code == "shared" for skip in skipping.skips)
    failing = Rules(_terms(mode), _sharing(plans), "fail", str)
    try:
        failing.apply(_candidates(asked))
    except InvalidInputError:
        assert shared
    else:
        assert not shared
        assert failing.skips == skipping.skips
