"""The select-all form: only on request, confirmed, and where it is everything."""

from collections.abc import Callable
from typing import Any

import pytest
from plan_tools import enroll_late, interrupt
from virtual_time import Exchange, Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Contract, Limits, resume
from lms_archive.errors import CanaryFailedError, JobTimeoutError, UnexpectedArchiveError

FORM = "archive_course_enrollments_select_all"


def _plan(harness: Harness, mode: Any = "unenroll", **options: Any) -> ArchivePlan:
    job = ArchiveJob.for_course(1, mode=mode, reset_tracking=False)
    return job.all_enrollments(form="select_all", **options).plan(harness.client)


def _told(plan: ArchivePlan) -> str:
    return next((text for text in plan.warnings if "hand-picked" in text), "")


def _made(result: ArchiveResult) -> int:
    return result.calls.get(FORM, 0)


def test_one_call_for_all(harness: Harness) -> None:
    """After the one sent alone, a single call archives all others, and each is read back."""
    harness.load(450)
    plan = _plan(harness)
    assert [(chunk.form, len(chunk)) for chunk in plan.chunks] == [("select_all", 450)]
    result = harness.apply(plan)
    harness.check(result, archived=450)
    assert _made(result) == 1
    call = next(call for call in harness.sandbox.calls if "select_all" in call.body)
    assert '"filters": {"enrollment_status": ["completed"]}' in call.body
    assert "user_id" not in call.body


@pytest.mark.parametrize("size", [1, 2, 3, 201, 450])
def test_its_calls_are_announced(harness: Harness, size: int) -> None:
    """`plan.calls` holds for this form too, polls aside."""
    harness.load(size)
    plan = _plan(harness)
    made = harness.apply(plan).calls
    assert {**made, "list_jobs": 0} == {**plan.calls, "list_jobs": 0}


@pytest.mark.parametrize(("size", "canary"), [(1, 0), (1, 1), (2, 1), (11, 1)])
def test_a_single_one_is_always_named(harness: Harness, size: int, canary: int) -> None:
    """The last one, or the only one, goes by name: who comes in that moment stays."""
    harness.load(size)
    harness.client = harness.connect(limits=Limits(select_all=9))
    plan = _plan(harness)
    assert {chunk.form for chunk in plan.chunks} == {"select_all"}
    if size > 2:  # the call for all leaves exchange
        harness.sandbox.faults.add("job_partial", operation="archive_course_enrollments", errors=1)
    harness.line.once(
        lambda exchange: (
            exchange.is_write and not harness.sql("SELECT 1 FROM enrollments LIMIT 1 OFFSET 1")
        ),
        lambda: enroll_late(harness),
    )
    result = harness.apply(plan, canary=canary)
    assert result.counts["archived"] == size
    assert harness.active == {(1, 9001)}
    assert harness.archived[1, 9001] == 0
    assert _made(result) == (size > 2)


@pytest.mark.parametrize("when", ["answered", "interrupted"])
@pytest.mark.parametrize("left", [0, 1, 2])
def test_whom_a_call_for_all_took_too_is_reported(harness: Harness, when: str, left: int) -> None:
    """However few of its own rows are left to be read back, and also by a later run."""
    harness.load(4)
    plan = _plan(harness)
    harness.line.once(
        lambda exchange: exchange.is_write and "select_all" in exchange.body,
        lambda: enroll_late(harness),
    )
    if when == "interrupted":
        harness.line.once(lambda exchange: exchange.is_poll and len(harness.writes) > 1, interrupt)
        with pytest.raises(KeyboardInterrupt):
            harness.apply(plan)
        harness.time.sleep(600)
        harness.change(f"DELETE FROM enrollments WHERE user_id > {1004 - left}")
    with pytest.raises(
        UnexpectedArchiveError, match="the select-all call also archived users whom it did not name"
    ):
        harness.apply(plan)
    assert harness.archived[1, 9001] == 1


ELSEWHERE = Contract.default().with_operation(FORM, path="/learn/v1/all")


@pytest.mark.parametrize(
    ("options", "contract", "words"),
    [
        pytest.param(
            {"exclude": ["u1003"]},
            None,
            "holds other enrollments too",  # an ignored filter would archive them
            id="others are enrolled",
        ),
        pytest.param({}, ELSEWHERE, "does not confirm", id="the swagger does not confirm it"),
        pytest.param(
            {"mode": "re-enroll"},
            None,
            "archive again",  # the one that was sent alone and enrolled again
            id="re-enroll",
        ),
    ],
)
def test_where_it_is_not_used_the_plan_says_why(
    harness: Harness, options: dict[str, Any], contract: Contract | None, words: str
) -> None:
    """Every enrollment is picked by hand then, and each is archived as asked."""
    harness.load(5)
    harness.client = harness.connect(contract=contract)
    plan = _plan(harness, **options)
    assert words in _told(plan)
    assert {chunk.form for chunk in plan.chunks} == {"hand_picked"}
    result = harness.apply(plan)
    assert result.counts["archived"] == (4 if "exclude" in options else 5)
    assert _made(result) == 0


def _promote(harness: Harness) -> None:
    """Somebody is made a tutor at this moment."""
    harness.change("UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1009")


@pytest.mark.parametrize(
    ("change", "left"),
    [(enroll_late, {(1, 9001)}), (_promote, set())],
    ids=["enrolled since", "a tutor since"],
)
def test_hand_picked_where_somebody_changed_meanwhile(
    harness: Harness, change: Callable[[Harness], None], left: set[tuple[int, int]]
) -> None:
    """An enrollment that is not as planned turns the call for all into calls by user."""
    harness.load(250)
    plan = _plan(harness)
    change(harness)
    result = harness.apply(plan)
    assert result.counts["archived"] == 250
    assert _made(result) == 0
    assert harness.active == left
    assert max(len(users) for _, users in harness.writes) == 200


def test_rounds(harness: Harness) -> None:
    """More than one call takes are sent in rounds; the plan says so, and nobody is failed."""
    harness.load(30)
    harness.client = harness.connect(limits=Limits(select_all=10))
    plan = _plan(harness)
    assert any("in 3 rounds of select all" in text for text in plan.warnings)
    harness.sandbox.faults.add("job_partial", operation="archive_course_enrollments", errors=19)
    result = harness.apply(plan)
    harness.check(result, archived=30)
    assert _made(result) == 2


def test_a_lost_answer_is_read_back_first(harness: Harness) -> None:
    """After a lost answer only who is still as planned is sent again, and nobody twice."""
    harness.load(40)
    plan = _plan(harness)
    harness.sandbox.faults.add("cut_after", operation="archive_course_enrollments", after=1)
    result = harness.apply(plan)
    harness.check(result, archived=40)
    assert _made(result) == 1


def test_the_canary_goes_alone(harness: Harness) -> None:
    """Where the first does not come out as asked, no call for all is made."""
    harness.load(10)
    plan = _plan(harness)
    harness.sandbox.faults.add("status", operation="archive_course_enrollments", status=400)
    with pytest.raises(CanaryFailedError):
        harness.apply(plan)
    assert not any("select_all" in call.body for call in harness.sandbox.calls)


def _is_for_all(exchange: Exchange) -> bool:
    return exchange.is_write and "select_all" in exchange.body


@pytest.mark.parametrize("left", [8, 19], ids=["less than a round", "more than a round"])
def test_rounds_go_on_after_a_job_that_did_not_end(harness: Harness, left: int) -> None:
    """The first round is archived, and its job stays open: the resume sends the next rounds."""
    harness.load(30)
    harness.client = harness.connect(limits=Limits(select_all=10, job_timeout=30))
    plan = _plan(harness)
    harness.sandbox.faults.add("job_partial", operation="archive_course_enrollments", errors=left)
    stay_open = "UPDATE jobs SET ends_at = 9000000000000000 WHERE status IN ('queued', 'running')"
    harness.line.once(_is_for_all, lambda: harness.change(stay_open), after=True)
    with pytest.raises(JobTimeoutError):
        harness.apply(plan)
    harness.check(ArchiveResult(harness.ledger), archived=30 - left, unknown=left)
    harness.end_jobs()
    result = resume(harness.ledger, harness.client)
    harness.check(result, archived=30)
    assert _made(result) == 2


def test_a_lost_answer_in_a_late_round_is_the_first(harness: Harness) -> None:
    """Rounds that were answered do not count as calls without an answer."""
    harness.load(30)
    harness.client = harness.connect(limits=Limits(select_all=5))
    plan = _plan(harness)
    rounds: list[Exchange] = []

    def take_five(exchange: Exchange) -> None:
        rounds.extend([exchange] * exchange.is_write)
        left = len(harness.active) - 5
        if exchange.is_write and len(rounds) == 4:
            harness.sandbox.faults.add("cut_before", operation="archive_course_enrollments")
        elif exchange.is_write and left > 0:
            harness.sandbox.faults.add(
                "job_partial", operation="archive_course_enrollments", errors=left
            )

    harness.line.before.append(take_five)
    result = harness.apply(plan, canary=0)
    harness.check(result, archived=30)
    assert _made(result) == len(rounds) == 7


def test_a_job_that_did_not_end_is_read_back_by_user(harness: Harness) -> None:
    """The whole archived list says nothing of other users while the job may still run."""
    harness.load(30)
    harness.client = harness.connect(limits=Limits(job_timeout=30))
    plan = _plan(harness)
    harness.line.once(_is_for_all, harness.hang_jobs, after=True)
    with pytest.raises(JobTimeoutError):
        harness.apply(plan)
    last = max(i for i, exchange in enumerate(harness.line.exchanges) if exchange.is_write)
    read = [x for x in harness.line.exchanges[last:] if x.path.endswith("/archived")]
    assert read
    assert all(any("user_id" in name for name, _ in exchange.query) for exchange in read)
