"""What a plan says of its calls, beside the calls that are made: shapes of every kind."""

from datetime import timedelta
from typing import Any

import pytest
from archive_tools import calls_but_polls
from attrs import field, frozen
from plan_tools import AGAIN, UNENROLL, check, done, load_plans, rows, sent
from virtual_time import Harness

from lms_archive import ArchiveJob, Limits


@frozen(kw_only=True)
class Shape:
    """A platform and a job on it.

    Attributes:
        courses: how many are archived in each course C1, C2, ...
        others: how many more are enrolled in each: not asked for, or not completed.
        plans: learning plans and the courses they hold, of `learners` each.
        missing: how many of those are not in the last course of each plan.
        repeated: the calls of looking once more for what may not be listed yet.
        terms: of the job.
        limits: of the client.
        hourly: its calls an hour.
    """

    courses: tuple[int, ...] = ()
    others: int = 0
    plans: dict[int, list[int]] = field(factory=dict)
    learners: int = 0
    missing: int = 0
    repeated: int = 0
    terms: dict[str, Any] = UNENROLL
    limits: dict[str, Any] = field(factory=dict)
    hourly: int | None = None


SMALL = {"hand_picked": 10, "page_size": 10}
ODD = {"hand_picked": 7, "page_size": 10}
WIDE = {"hand_picked": 20, "page_size": 6}
SHAPES = {
    "one": Shape(courses=(1,)),
    "one of many": Shape(courses=(1,), others=430),
    "two": Shape(courses=(2,)),
    "a few in many courses": Shape(courses=(1, 2, 3) * 10),
    "exactly a chunk": Shape(courses=(10, 10), limits=SMALL),
    "one more": Shape(courses=(11, 11), limits=SMALL),
    "many chunks": Shape(courses=(95, 40, 3), limits=SMALL),
    "chunks smaller than pages": Shape(courses=(95, 40, 3), limits=ODD),
    "chunks larger than pages": Shape(courses=(95, 40, 3), limits=WIDE),
    "courses of half a page": Shape(courses=(7,) * 9, limits=SMALL),
    "others stay": Shape(courses=(35, 41), others=27, limits=SMALL),
    "most stay": Shape(courses=(35, 41), others=150, limits=SMALL),
    "re-enroll, one": Shape(courses=(1,), terms=AGAIN),
    "re-enroll, many": Shape(courses=(35, 41, 9), others=12, terms=AGAIN, limits=SMALL),
    "re-enroll, odd": Shape(courses=(35, 41, 9), terms=AGAIN, limits=ODD),
    "a plan of one course": Shape(plans={50: [1]}, learners=1),
    "a plan": Shape(plans={50: [1, 2, 3]}, learners=64, limits=SMALL),
    "a plan, odd": Shape(plans={50: [1, 2, 3]}, learners=64, limits=ODD),
    "a plan of many courses": Shape(plans={50: list(range(1, 13))}, learners=30, limits=SMALL),
    "plans": Shape(plans={50: [1, 2], 60: [3], 70: [4, 5]}, learners=23, limits=SMALL),
    "a plan, again": Shape(plans={50: [1, 2]}, learners=64, terms=AGAIN, limits=SMALL),
    "a long plan": Shape(plans={50: [1]}, learners=400, limits=SMALL),
    "plans and courses": Shape(
        plans={50: [11, 12]}, learners=31, courses=(22, 12), others=9, limits=SMALL
    ),
    "not in all courses": Shape(
        plans={50: [1, 2, 3, 4]}, learners=64, missing=30, repeated=8, limits=SMALL
    ),
    **{
        f"a plan of {size}, {terms['mode']}": Shape(plans={50: [1, 2]}, learners=size, terms=terms)
        for size in (1, 5, 200, 201, 450)
        for terms in (UNENROLL, AGAIN)
    },
    **{
        f"plans and courses of {size}, {terms['mode']}": Shape(
            plans={50: [11, 12], 60: [13]}, learners=size, courses=(size, size), terms=terms
        )
        for size in (1, 30)
        for terms in (UNENROLL, AGAIN)
    },
    "over the hour's limit": Shape(courses=(80, 80, 80), limits=SMALL, hourly=40),
    "far over it": Shape(courses=(40,) * 12, limits=SMALL, hourly=60),
    "over it, soon stale": Shape(
        courses=(80, 80, 80), limits={**SMALL, "freshness": 300.0}, hourly=60
    ),
    "a plan over it": Shape(plans={50: [1, 2]}, learners=95, limits=SMALL, hourly=60),
    "over it, chunks larger than pages": Shape(courses=(52, 28, 36), limits=WIDE, hourly=40),
    "over it, again": Shape(courses=(80, 80), terms=AGAIN, limits=SMALL, hourly=40),
}


def _load(harness: Harness, shape: Shape) -> ArchiveJob:
    sizes = dict(enumerate(shape.courses, start=1))
    if shape.plans:
        load_plans(harness, shape.plans, users=shape.learners)
        harness.sandbox.load(
            courses=[{"code": f"C{course}", "id_course": course} for course in sizes],
            enrollments=[
                done(user_id=1001 + i, id_course=course)
                for course, size in sizes.items()
                for i in range(size + shape.others)
            ],
        )
    else:
        harness.load(*(size + shape.others for size in shape.courses))
    for held in shape.plans.values():
        for user in range(1001, 1001 + shape.missing):
            harness.unenroll(held[-1], user)
    asked = rows(range(1001, 1001 + shape.learners), plans=shape.plans)
    for course, size in sizes.items():
        asked += rows(range(1001, 1001 + size), courses=[course])
    return ArchiveJob.from_rows(asked, **shape.terms)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_calls_are_as_planned(harness: Harness, shape: Shape) -> None:
    """`plan.calls` is within a tenth of what `apply` calls, polls and repetitions aside."""
    asked = _load(harness, shape)
    client = harness.connect(limits=Limits(**shape.limits), calls_per_hour=shape.hourly)
    plan = asked.plan(client)
    assert plan.counts["to_archive"] == plan.counts["rows"]
    result = plan.apply(client, ledger=harness.ledger)
    check(harness, result, again=shape.terms is AGAIN, archived=plan.counts["rows"])
    made, announced = calls_but_polls(result.calls), calls_but_polls(plan.calls)
    assert announced == pytest.approx(made - shape.repeated, rel=0.1)
    if shape.hourly is None:
        writes = [name for name in plan.calls if name.startswith("archive_")]
        assert len(sent(harness)) == sum(plan.calls[name] for name in writes)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (UNENROLL, {"course_enrollments": 2 + 1, "all_course_enrollments": 1}),
        # Each of the 30 writes is preceded by a look at its own course.
        (AGAIN, {"course_enrollments": 30 + 2 + 1, "all_course_enrollments": 1}),
    ],
    ids=["unenroll", "re-enroll"],
)
def test_calls_of_a_run_that_shares_its_looks(
    harness: Harness, terms: dict[str, Any], expected: dict[str, int]
) -> None:
    """The active lists of small courses are looked at together, after the first and the large."""
    plan = _load(harness, Shape(courses=(*(2, 3, 4) * 9, 199, 3), terms=terms)).plan(harness.client)
    assert plan.calls == {
        "list_jobs": 1,
        "archive_course_enrollments": 30,
        "archived_course_enrollments": 1 + 30,
        **expected,
    }


def test_time_at_the_hourly_limit(harness: Harness) -> None:
    """A job that is held up by the limit of calls says so, and how long it takes."""
    asked = _load(harness, Shape(courses=(1,) * 60))
    plan = asked.plan(harness.connect(calls_per_hour=100))
    total = sum(plan.calls.values())
    assert plan.duration == timedelta(hours=total / 100)
    assert plan.warnings[-1] == (
        f"it takes {total / 100:.1f} hours to make {total:,} calls at 100 an hour, polls of "
        "background jobs not counted; calls_per_hour= changes that"
    )
    quick = asked.plan(harness.connect(calls_per_hour=None))
    calls = sum(quick.calls.values())
    assert quick.duration == timedelta(seconds=round(calls / 2))  # single rows make no jobs
    assert "calls_per_hour" not in str(quick)


def test_calls_of_undated_enrollments(harness: Harness) -> None:
    """Their records are proved by being new: the list is not read once more for that."""
    harness.load(5, 5, 5, dated=False)
    planned = harness.plan()
    result = harness.apply(planned)
    harness.check(result, archived=15)
    assert {**result.calls, "list_jobs": 0} == {**planned.calls, "list_jobs": 0}
