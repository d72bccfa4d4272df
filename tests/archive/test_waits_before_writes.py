"""A write that waited is compared again right before it is made, whatever it waited for."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from archive_tools import archive_elsewhere
from plan_tools import (
    AGAIN,
    UNENROLL,
    codes_of,
    during_wait,
    enroll_late,
    in_both_modes,
    load_plans,
    on_both_terms,
    plan,
    rows,
)
from virtual_time import Exchange, Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult
from lms_archive.archive import RunEvent
from lms_archive.errors import PlanChangedError


def _plan_three(
    harness: Harness, terms: Mapping[str, Any], hourly: int | None = None
) -> ArchivePlan:
    harness.load(3)
    harness.client = harness.connect(calls_per_hour=hourly)
    asked = rows([1001, 1002, 1003], courses=[1])
    return ArchiveJob.from_rows(asked, **terms).plan(harness.client)


def _check_compared(harness: Harness, result: ArchiveResult) -> None:
    """User 1002 was archived by another client while the write waited; the others were sent."""
    assert codes_of(result) == ["archived", "archived_meanwhile", "archived"]
    assert harness.archived == {(1, 1001): 1, (1, 1002): 1, (1, 1003): 1}


@on_both_terms
def test_a_write_that_waited_is_compared_again(harness: Harness, terms: dict[str, Any]) -> None:
    """What is archived and enrolled again while the platform limits calls is not sent."""
    planned = _plan_three(harness, terms)
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    waits = during_wait(harness, lambda: archive_elsewhere(harness, 1, 1002))
    _check_compared(harness, harness.apply(planned))
    assert len(waits) == 1


@on_both_terms
def test_a_write_that_waited_twice_is_compared_twice(
    harness: Harness, terms: dict[str, Any]
) -> None:
    """What is archived in the second wait is not sent either."""
    planned = _plan_three(harness, terms)
    harness.sandbox.faults.add("429", method="PUT", after=1, times=2, retry_after=1700)
    starts: list[float] = []

    def is_second() -> bool:
        starts.append(harness.time.passed)
        return len(starts) == 2

    waits = during_wait(
        harness, lambda: archive_elsewhere(harness, 1, 1002), over=1600.0, when=is_second
    )
    _check_compared(harness, harness.apply(planned))
    assert len(waits) == 1
    assert len(starts) == 2


@on_both_terms
def test_a_limit_that_another_thread_used_up_is_a_wait(
    harness: Harness, terms: dict[str, Any]
) -> None:
    """It makes calls with the same client between the reading and the write, which then waits."""
    planned = _plan_three(harness, terms, hourly=60)
    chunks: list[RunEvent] = []

    def use_up(event: RunEvent) -> None:
        chunks.extend([event] * (event.kind == "sending"))
        while len(chunks) == 2 and harness.client.session.calls_left:
            harness.client.session.call("session")

    waits = during_wait(harness, lambda: archive_elsewhere(harness, 1, 1002))
    _check_compared(harness, harness.apply(planned, on_event=use_up))
    assert waits == [pytest.approx(3600, abs=60)]


@on_both_terms
def test_a_listener_that_waits_is_a_wait(harness: Harness, terms: dict[str, Any]) -> None:
    """`on_event` waits for a person, right before the write."""
    planned = _plan_three(harness, terms)
    chunks: list[RunEvent] = []

    def ask(event: RunEvent) -> None:
        chunks.extend([event] * (event.kind == "sending"))
        if event.kind == "sending" and len(chunks) == 2:
            harness.time.sleep(7200)
            archive_elsewhere(harness, 1, 1002)

    _check_compared(harness, harness.apply(planned, on_event=ask))


@pytest.mark.parametrize("hourly", [8, 10, 12, 14])
def test_a_login_is_a_wait(harness: Harness, hourly: int) -> None:
    """The write is answered 401; the login and the write again wait for the limit of calls."""
    planned = _plan_three(harness, AGAIN, hourly)
    harness.sandbox.faults.add("expired_token", method="PUT", after=1)
    writes: list[Exchange] = []
    harness.line.before.append(lambda exchange: writes.extend([exchange] * exchange.is_write))
    waits = during_wait(
        harness,
        lambda: archive_elsewhere(harness, 1, 1002),
        over=60.0,
        when=lambda: len(writes) == 2,
    )
    _check_compared(harness, harness.apply(planned))
    assert len(waits) == 1
    assert [write.body["user_id"] for write in writes] == [[1001], [1002, 1003], [1003]]


def test_a_call_for_all_that_waited_is_compared_again(harness: Harness) -> None:
    """Also where the reading is still recent: who is enrolled in the wait stays."""
    harness.load(4)
    job = ArchiveJob.for_course(1, **UNENROLL).all_enrollments(form="select_all")
    planned = job.plan(harness.client)
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=600)
    waits = during_wait(harness, lambda: enroll_late(harness), over=599.0)
    result = harness.apply(planned)
    harness.check(result, archived=4)
    assert waits == [600]
    assert harness.active == {(1, 9001)}
    assert harness.writes[1:] == [(1, []), (1, [1002, 1003, 1004])]


def _add_course_3(harness: Harness) -> None:
    harness.change(
        "UPDATE learning_plan_courses SET learning_plan_id = 50, position = 9 WHERE course_id = 3"
    )


@in_both_modes
def test_a_learning_plan_is_compared_again_after_a_wait(harness: Harness, mode: str) -> None:
    """A course is added while the platform limits calls: no more than the canary is archived."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    planned = plan(harness, 50, mode=mode)
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    waits = during_wait(harness, lambda: _add_course_3(harness))
    with pytest.raises(PlanChangedError, match=r"P50: courses was \[1, 2\], is \[1, 2, 3\]"):
        harness.apply(planned)
    assert len(waits) == 1
    assert harness.archived == {(1, 1001): 1, (2, 1001): 1}


@pytest.mark.parametrize("hourly", [15, 16, 28, 29])
def test_a_learning_plan_is_compared_again_after_the_wait_for_the_hour(
    harness: Harness, hourly: int
) -> None:
    """A course is added in the wait between the comparison of the plan and the write."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    harness.client = harness.connect(calls_per_hour=hourly)

    def is_compared() -> bool:
        exchanges = harness.line.exchanges
        is_begun = any(exchange.is_write for exchange in exchanges)
        return is_begun and exchanges[-1].path.endswith("/50/courses")

    waits = during_wait(harness, lambda: _add_course_3(harness), over=600.0, when=is_compared)
    planned = plan(harness, 50, mode="re-enroll")
    with pytest.raises(PlanChangedError, match=r"P50: courses was \[1, 2\], is \[1, 2, 3\]"):
        harness.apply(planned)
    assert len(waits) == 1
    assert harness.archived == {(1, 1001): 1, (2, 1001): 1}


def test_a_target_that_is_gone_after_a_wait_is_not_written_to(harness: Harness) -> None:
    """The reading after the wait shows it; the others are sent."""
    harness.load(2, 2)
    planned = plan(harness, courses=[1, 2], mode="re-enroll")
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    during_wait(harness, lambda: harness.change("DELETE FROM courses WHERE id_course = 1"))
    result = harness.apply(planned)
    assert codes_of(result) == ["archived", "target_missing", "archived", "archived"]


@pytest.mark.parametrize("hourly", [8, 12, 17])
def test_the_limit_of_calls_never_parts_a_reading_from_its_write(
    harness: Harness, hourly: int
) -> None:
    """In re-enroll, the wait of an hour comes before the reading."""
    harness.load(3, 3)
    client = harness.connect(calls_per_hour=hourly)
    planned = plan(harness, courses=[1, 2], mode="re-enroll")
    times: list[tuple[float, bool]] = []
    harness.line.before.append(
        lambda exchange: times.append((harness.time.passed, exchange.is_write))
    )
    planned.apply(client, ledger=harness.ledger)
    gaps = [now - before for (before, _), (now, is_write) in pairwise(times) if is_write]
    assert len(gaps) == 3
    assert max(gaps) < 3600 / hourly + 5


def test_a_call_that_was_never_made_is_no_try(harness: Harness) -> None:
    """Who has changed while the call waited is reported as not sent, not as not sent again."""
    harness.load(3)
    planned = plan(harness, courses=[1], mode="re-enroll")
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    promote = "UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1002"
    during_wait(harness, lambda: harness.change(promote))
    (changed,) = harness.apply(planned).skipped
    assert changed.code == "changed"
    assert changed.reason.endswith("not as planned; not sent")
