"""From a plan to a job: what it announces, and how old its readings may be."""

import pickle
from collections.abc import Callable

import pytest
from virtual_time import Exchange, Harness

from lms_archive import ArchivePlan, Client, Limits, resume

SIZES = [(1,), (2,), (200,), (201,), (450,), (1, 1, 1), (3, 4, 5), (250, 1, 410), (9,) * 12]
SET, WHERE = "UPDATE enrollments SET", "WHERE user_id = 1002"


@pytest.mark.parametrize(
    ("sizes", "limits"),
    [
        *((sizes, Limits()) for sizes in SIZES),
        ((7, 2), Limits(hand_picked=3, page_size=4)),
    ],
    ids=str,
)
def test_the_plan_announces_its_calls(
    harness: Harness, sizes: tuple[int, ...], limits: Limits
) -> None:
    """`plan.calls` are the calls of an undisturbed `apply`, polls aside."""
    harness.load(*sizes)
    harness.client = harness.connect(limits=limits)
    plan = harness.plan()
    made = harness.apply(plan).calls
    assert {name: made[name] for name in made if name != "list_jobs"} == {
        name: count for name, count in plan.calls.items() if name != "list_jobs"
    }


@pytest.mark.parametrize(("size", "asked"), [(450, 5), (450, 220), (450, 449), (900, 390)])
def test_a_part_of_a_target_costs_what_is_announced(
    harness: Harness, size: int, asked: int
) -> None:
    """Where only some of a target's enrollments are archived, the announced calls hold too."""
    harness.load(size)
    plan = harness.plan(1, users=range(1001, 1001 + asked))
    made = harness.apply(plan).calls
    announced, polls = sum(plan.calls.values()), made.pop("list_jobs")
    assert sum(made.values()) == pytest.approx(announced - plan.calls["list_jobs"], rel=0.1)
    assert polls >= plan.calls["list_jobs"]


def test_a_plan_of_nothing_makes_no_call(harness: Harness) -> None:
    """Where every row is skipped, `apply` writes the ledger and asks the platform nothing."""
    harness.load(2)
    plan = harness.plan(1, users=[5, 6])
    calls = len(harness.line.exchanges)
    assert plan.calls == {}
    result = harness.apply(plan)
    harness.check(result, skipped=2)
    assert result.calls == {}
    assert len(harness.line.exchanges) == calls


def _loaded(harness: Harness) -> ArchivePlan:
    harness.plan().save(harness.folder / "plan.sqlite")
    return ArchivePlan.load(harness.folder / "plan.sqlite")


def _read_before_first_write(harness: Harness, begun: int) -> list[list[str]]:
    """Return the users of each reading of enrollments before the first write."""
    calls = harness.sandbox.calls[begun:]
    first = next(
        i for i, call in enumerate(calls) if call.operation == "archive_course_enrollments"
    )
    return [
        [value for name, value in call.query if name == "user_id[]"]
        for call in calls[:first]
        if call.operation in ("course_enrollments", "all_course_enrollments")
    ]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"DELETE FROM enrollments {WHERE}", "no longer enrolled"),
        (f"{SET} enrollment_created_at = '2026-03-01 12:00:00' {WHERE}", "enrolled again"),
        (f"{SET} enrollment_created_at = NULL {WHERE}", "enrolled again"),
        (f"{SET} enrollment_status = 'in_progress' {WHERE}", "now in_progress as learner"),
        (f"{SET} enrollment_level = 'tutor' {WHERE}", "now completed as tutor"),
    ],
)
def test_what_changed_since_the_plan_is_not_sent(
    harness: Harness, statement: str, said: str
) -> None:
    """Unenrolled, enrolled again, or in another state: skipped as changed, and left alone."""
    harness.load(4)
    plan = harness.plan()
    harness.time.sleep(3600)
    harness.change(statement)
    harness.change("UPDATE enrollments SET enrollment_score = 3 WHERE user_id = 1003")  # no change
    before = harness.sql("SELECT * FROM enrollments WHERE user_id = 1002")
    result = harness.apply(plan)
    harness.check(result, archived=3, skipped=1)
    (outcome,) = result.skipped
    assert (outcome.user, outcome.code) == (1002, "changed")
    assert said in outcome.reason
    assert harness.sql("SELECT * FROM enrollments WHERE user_id = 1002") == before


def test_a_reading_never_adds_rows(harness: Harness) -> None:
    """Who joined the course after the plan is no part of it, whatever is read again."""
    harness.load(3)
    plan = harness.plan()
    harness.time.sleep(3600)
    harness.sandbox.load(
        users=[{"username": "late", "user_id": 5}],
        enrollments=[{"user_id": 5, "id_course": 1, "enrollment_status": "completed"}],
    )
    harness.check(harness.apply(plan), archived=3)
    assert harness.active == {(1, 5)}


def test_a_stale_chunk_that_changed_altogether_costs_one_call(harness: Harness) -> None:
    """The canary is looked for chunk by chunk, not user by user."""
    harness.load(150, 2)
    plan = harness.plan()
    harness.time.sleep(3600)
    harness.change("DELETE FROM enrollments WHERE course_id = 1")
    begun = len(harness.operations)
    harness.check(harness.apply(plan), archived=2, skipped=150)
    assert len(_read_before_first_write(harness, begun)) == 2


def test_the_clients_clock_tells_no_date(harness: Harness) -> None:
    """A client whose clock begins anywhere at all archives and proves the same."""
    harness.load(3, 3)
    client = harness.connect(ahead=-1e9)
    plan = harness.job().plan(client)
    harness.check(plan.apply(client, ledger=harness.ledger), archived=6)


@pytest.mark.parametrize(
    ("age", "freshness", "is_fresh"), [(899, 900, True), (901, 900, False), (1, 0, False)]
)
def test_a_plan_older_than_freshness_is_read_again(
    harness: Harness, age: int, freshness: int, *, is_fresh: bool
) -> None:
    """Each chunk is read again right before it is sent, one page of its users."""
    harness.load(3)
    client = harness.connect(limits=Limits(freshness=freshness))
    plan = harness.job().plan(client)
    harness.time.sleep(age)
    begun = len(harness.operations)
    result = plan.apply(client, ledger=harness.ledger)
    harness.check(result, archived=3)
    pages = [] if is_fresh else [["1001", "1002", "1003"]]
    assert _read_before_first_write(harness, begun) == pages
    planned, made = plan.calls["course_enrollments"], result.calls["course_enrollments"]
    assert (made == planned) is is_fresh


@pytest.mark.parametrize(
    ("prepare", "readings"),
    [
        pytest.param(lambda harness: (harness.plan(), harness.client), 0, id="the same client"),
        pytest.param(
            lambda harness: (harness.plan(), harness.client.with_options()), 0, id="a copy of it"
        ),
        pytest.param(
            lambda harness: (harness.plan(), harness.connect(ahead=-500.0)), 1, id="another client"
        ),
        pytest.param(
            lambda harness: (pickle.loads(pickle.dumps(harness.plan())), harness.client),  # noqa: S301  our own
            1,
            id="another process",
        ),
        pytest.param(lambda harness: (_loaded(harness), harness.client), 1, id="a file"),
    ],
)
def test_only_who_read_a_plan_need_not_read_it_again(
    harness: Harness, prepare: Callable[[Harness], tuple[ArchivePlan, Client]], readings: int
) -> None:
    """No other client or process knows whether the plan has been applied since."""
    harness.load(3)
    plan, client = prepare(harness)
    begun = len(harness.operations)
    harness.check(plan.apply(client, ledger=harness.ledger), archived=3)
    assert len(_read_before_first_write(harness, begun)) == readings


def test_waiting_for_the_sign_off_for_days(harness: Harness) -> None:
    """Saved, looked at for a week, loaded in another process, applied and resumed: all once."""
    harness.load(5, 4)
    harness.plan().save(harness.folder / "plan.sqlite")
    harness.time.sleep(7 * 86_400)
    plan = ArchivePlan.load(harness.folder / "plan.sqlite")
    harness.check(harness.apply(plan), archived=9)
    harness.time.sleep(20 * 86_400)
    harness.check(resume(harness.ledger, harness.client), archived=9)


def test_undated_rows_are_fresh_when_they_are_still_undated(harness: Harness) -> None:
    """No date before and no date now is no change; a date now is one."""
    harness.load(3, dated=False)
    plan = harness.plan()
    harness.time.sleep(3600)
    harness.enroll_anew(1, 1002)
    result = harness.apply(plan)
    harness.check(result, archived=2, skipped=1)


def test_small_courses_that_grew_old_are_read_ahead_together(harness: Harness) -> None:
    """One walk for all of them; again where that walk has grown too old as well."""
    harness.load(*[3] * 8)
    plan = harness.plan()
    harness.time.sleep(3600)
    begun = len(harness.operations)

    def slow(exchange: Exchange) -> None:
        if exchange.is_write and exchange.body["course_id"] == [5]:
            harness.time.sleep(1800)

    harness.line.before.append(slow)
    harness.change("DELETE FROM enrollments WHERE course_id = 7 AND user_id = 1002")
    harness.check(harness.apply(plan), archived=23, skipped=1)
    made = harness.operations[begun:]
    # Before the canary, for all; again after half an hour; and the last look.
    assert made.count("all_course_enrollments") == 3
    assert [len(users) for _, users in harness.writes] == [1, 2, 3, 3, 3, 3, 3, 2, 3]
