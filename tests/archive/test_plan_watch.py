"""Learning plans that somebody changes while a job runs: their data are frozen into records."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from plan_tools import check, job, load_plans, of_many, plan, sent
from virtual_time import Exchange, Harness

from lms_archive import Limits, resume
from lms_archive.errors import PlanChangedError

CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"title": "New"}, "P50: title was Plan 50, is New"),
    ({"code": "NEW"}, "P50: code was P50, is NEW"),
    ({"credits": 7}, "P50: credits was 2.5, is 7.0"),
    ({"courses": [1]}, "P50: courses was [1, 2], is [1]"),
    ({"courses": [1, 2, 3]}, "P50: courses was [1, 2], is [1, 2, 3]"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_a_change_before_the_first_chunk(
    harness: Harness, change: dict[str, Any], words: str
) -> None:
    """Title, code, credits or courses changed since the plan: it stops with nothing sent."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    planned = plan(harness, 50)
    harness.sandbox.change_learning_plan(50, **change)
    with pytest.raises(PlanChangedError) as caught:
        harness.apply(planned)
    assert list(caught.value.seen) == [words]
    assert caught.value.ledger == harness.ledger
    assert sent(harness) == []


@pytest.mark.parametrize("change", [{"validity_days": 9}, {"language": "it"}, {"courses": [2, 1]}])
def test_what_a_record_does_not_show_stops_nothing(
    harness: Harness, change: dict[str, Any]
) -> None:
    """Order of courses and starred data are not compared: no call returns them."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    harness.sandbox.change_learning_plan(50, **change)
    result = harness.apply(planned)
    check(harness, result, archived=3)
    assert not any("changed while" in text for text in result.warnings)


@pytest.mark.parametrize("is_taken_back", [False, True])
def test_resume_stops_again_until_told_to_go_on(harness: Harness, *, is_taken_back: bool) -> None:
    """A change that stays stops every resume; `allow_changes` goes on; so does one taken back.

    The result says so, and the archived title is the one of its time.
    """
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    harness.sandbox.change_learning_plan(50, title="New")
    with pytest.raises(PlanChangedError):
        harness.apply(planned)
    with pytest.raises(PlanChangedError, match="allow_changes=True"):
        resume(harness.ledger, harness.client)
    assert sent(harness) == []
    title = "Plan 50" if is_taken_back else "New"
    harness.sandbox.change_learning_plan(50, title=title)
    result = resume(harness.ledger, harness.client, allow_changes=not is_taken_back)
    check(harness, result, archived=3)
    told = [text for text in result.warnings if "title was Plan 50, is New" in text]
    assert len(told) == 1
    harness.sandbox.change_learning_plan(50, title="Later")
    records = list(harness.client.archived.in_learning_plan(50))
    assert {record.learning_plan.title for record in records} == {title}
    assert list(result.records) == records


@pytest.mark.parametrize("allowed", [False, True])
def test_changed_between_chunks(harness: Harness, *, allowed: bool) -> None:
    """A minute later the plan is looked at again: nothing more is sent, what ran is told."""
    load_plans(harness, {50: [1, 2]}, users=7)
    client = harness.connect(limits=Limits(hand_picked=3))
    planned = job(harness, 50).plan(client)

    def meddle() -> None:
        harness.time.sleep(61)
        harness.sandbox.change_learning_plan(50, title="New")

    harness.line.once(
        lambda exchange: exchange.is_poll and len(sent(harness)) > 1, meddle, after=True
    )
    if allowed:
        result = planned.apply(client, ledger=harness.ledger, allow_changes=True)
        check(harness, result, archived=7)
        assert any("title was Plan 50, is New" in text for text in result.warnings)
        return
    with pytest.raises(PlanChangedError) as caught:
        planned.apply(client, ledger=harness.ledger)
    assert caught.value.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 0}
    assert [len(users) for _, _, users in sent(harness)] == [1, 2]
    harness.sandbox.change_learning_plan(50, title="Plan 50")
    check(harness, resume(harness.ledger, client), archived=7)


def test_changed_at_the_end_is_only_told(harness: Harness) -> None:
    """Too late to stop anything: the result's warnings say it."""
    load_plans(harness, {50: [1, 2]}, users=3)
    planned = plan(harness, 50)
    change = partial(harness.sandbox.change_learning_plan, 50, title="New")
    harness.line.once(of_many, change, after=True)
    result = harness.apply(planned)
    check(harness, result, archived=3)
    (told,) = [text for text in result.warnings if "changed while the job ran" in text]
    assert told == "changed while the job ran: P50: title was Plan 50, is New"


def test_one_look_a_minute(harness: Harness) -> None:
    """Many chunks within a minute cost two looks; each further minute costs at most one more."""
    load_plans(harness, {50: [1]}, users=30)
    client = harness.connect(limits=Limits(hand_picked=3))
    planned = job(harness, 50).plan(client)
    looks: list[float] = []

    def note(exchange: Exchange) -> None:
        if exchange.method == "GET" and exchange.path == "/learningplan/v1/learningplans/50":
            looks.append(harness.time.passed)

    harness.line.after.append(note)
    harness.line.after.append(lambda exchange: harness.time.sleep(9) if exchange.is_poll else None)
    begun = harness.time.passed
    check(harness, planned.apply(client, ledger=harness.ledger), archived=30)
    minutes = (harness.time.passed - begun) / 60
    assert minutes > 2
    assert 3 <= len(looks) <= minutes + 2
    assert all(later - earlier >= 60 for earlier, later in pairwise(looks[:-1]))


def test_another_plan_of_the_job_changed(harness: Harness) -> None:
    """The plan that has not begun is looked at before its first chunk, however late."""
    load_plans(harness, {50: [1], 60: [2]})
    planned = plan(harness, 50, 60)
    harness.line.once(of_many, partial(harness.sandbox.change_learning_plan, 60, credits=9))
    with pytest.raises(PlanChangedError, match=r"P60: credits was 2\.5, is 9\.0"):
        harness.apply(planned)
    assert {target for _, target, _ in sent(harness)} == {50}
    check(harness, resume(harness.ledger, harness.client, allow_changes=True), archived=6)


def test_a_plan_that_is_gone(harness: Harness) -> None:
    """Deleted since it was planned: nothing is sent, and its rows say so."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    for table in ("learning_plan_courses", "learning_plan_enrollments", "learning_plans"):
        harness.change(f"DELETE FROM {table}")
    result = harness.apply(planned)
    check(harness, result, skipped=3)
    assert {outcome.code for outcome in list(result.outcomes)} == {"target_missing"}
    assert "P50 is not found any more (404)" in next(iter(list(result.outcomes))).reason
    assert sent(harness) == []


def test_a_plan_that_grew_is_never_sent(harness: Harness) -> None:
    """Added courses would archive more than the plan says: `allow_changes` does not allow that."""
    load_plans(harness, {50: [1]})
    planned = plan(harness, 50)
    harness.sandbox.load(courses=[{"id_course": 9, "code": "C9"}])
    harness.sandbox.change_learning_plan(50, courses=["C1", "C9"])
    with pytest.raises(PlanChangedError, match="more would be archived than was planned"):
        harness.apply(planned, allow_changes=True)
    assert harness.archived == {}
