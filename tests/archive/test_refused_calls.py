"""A call that the platform refused may have archived rows all the same: it is read back."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from archive_tools import Body, changed_writes, refusal
from plan_tools import (
    UNENROLL,
    archive_by_hand,
    codes_of,
    load_plans,
    of_many,
    on_both_terms,
    plan,
    rows,
)
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, resume
from lms_archive.archive import RunEvent
from lms_archive.errors import PermissionDeniedError, RunStoppedError, StopRequestedError
from lms_archive.wire import Response
from lms_archive.wire.transport import Transport


def _refusing_what_it_did(
    harness: Harness,
    sent: Callable[[list[int]], list[int]],
    status: int = 400,
    after: Callable[[], None] = lambda: None,
) -> Transport:
    """A platform that archives some of the users of a call, and refuses it."""

    def write(call: Body, send: Callable[[Body], Response]) -> Response:
        done = sent(call["user_id"])
        if done == call["user_id"]:
            return send(call)
        if done:
            send({**call, "user_id": done})
        after()
        return refusal(status, "user 1003?")

    return changed_writes(harness.line, write)


def _first_two(users: list[int]) -> list[int]:
    return users[:2]


def _plan_four(harness: Harness, terms: dict[str, Any] = UNENROLL) -> ArchivePlan:
    harness.load(4)
    asked = rows([1001, 1002, 1003, 1004], courses=[1])
    return ArchiveJob.from_rows(asked, **terms).plan(harness.client)


@on_both_terms
def test_a_refused_call_is_read_back(harness: Harness, terms: dict[str, Any]) -> None:
    """What it archived before it failed is archived, whatever the answer says; the rest failed."""
    harness.load(4, 3)
    asked = rows([1001, 1002, 1003, 1004], courses=[1]) + rows([1001, 1002, 1003], courses=[2])
    planned = ArchiveJob.from_rows(asked, **terms).plan(harness.client)
    carry = _refusing_what_it_did(
        harness, lambda users: users[: users.index(1003)] if 1003 in users else users
    )
    result = planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    assert codes_of(result) == (["archived"] * 2 + ["refused"] * 2 + ["archived"] * 2 + ["refused"])
    assert sorted(harness.archived) == [(1, 1001), (1, 1002), (2, 1001), (2, 1002)]
    assert all(outcome.reason.endswith("; nothing was done") for outcome in result.failed)
    calls = len(harness.sandbox.calls)
    assert resume(harness.ledger, harness.client).counts == result.counts
    assert len(harness.sandbox.calls) == calls


def test_a_refused_row_that_changed_says_so(harness: Harness) -> None:
    """A call may be refused because a colleague unenrolled one of its users meanwhile."""
    harness.load(3)
    harness.sandbox.faults.add("status", method="PUT", after=1, status=409)
    harness.line.once(
        lambda exchange: exchange.is_write and 1002 in exchange.body["user_id"],
        lambda: harness.change("DELETE FROM enrollments WHERE user_id = 1002"),
    )
    with pytest.raises(RunStoppedError, match="no row of the first chunk"):
        harness.apply(harness.plan())
    (gone,), (other,) = ArchiveResult(harness.ledger).unknown, ArchiveResult(harness.ledger).failed
    assert gone.code == "not_seen"
    assert "409; but no longer enrolled, and no archived record was seen" in gone.reason
    assert other.reason.endswith("409; nothing was done")


def test_a_refused_call_is_read_back_after_a_crash(harness: Harness) -> None:
    """It is not sent again: the platform gave its answer."""
    planned = _plan_four(harness)
    carry = _refusing_what_it_did(harness, lambda users: users[:1])

    def interrupt(event: RunEvent) -> None:
        if event.kind == "refused":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planned.apply(harness.connect(transport=carry), ledger=harness.ledger, on_event=interrupt)
    result = resume(harness.ledger, harness.client)
    assert codes_of(result) == ["archived"] * 2 + ["refused"] * 2
    assert len(harness.writes) == 2


@on_both_terms
def test_a_refused_call_whose_records_lag_is_read_again(
    harness: Harness, terms: dict[str, Any]
) -> None:
    """Rows that are gone without a record are unknown, and archived once the record is listed."""
    planned = _plan_four(harness, terms)
    harness.sandbox.faults.add(
        "archived_lag", operation="archive_course_enrollments", seconds=150, after=1
    )
    carry = _refusing_what_it_did(harness, _first_two)
    with pytest.raises(RunStoppedError, match="but no longer enrolled"):
        planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    stopped = ArchiveResult(harness.ledger)
    assert codes_of(stopped) == ["archived", "not_seen", "not_seen", "refused"]
    harness.time.sleep(600)
    result = resume(harness.ledger, harness.client)
    assert codes_of(result) == ["archived", "archived", "archived", "refused"]
    assert harness.archived == {(1, 1001): 1, (1, 1002): 1, (1, 1003): 1}


def test_a_refused_plan_row_names_the_courses_that_were_archived(harness: Harness) -> None:
    """The row failed, but it is not said that nothing was done."""
    load_plans(harness, {50: [1, 2]}, users=3)
    planned = plan(harness, 50, mode="unenroll")

    def write(call: Body, send: Callable[[Body], Response]) -> Response:
        if len(call["user_ids"]) == 1:
            return send(call)
        archive_by_hand(harness.connect(), 1, *call["user_ids"], mode="re_enroll")
        harness.time.sleep(30)
        return refusal()

    with pytest.raises(RunStoppedError, match="no row of the first chunk"):
        planned.apply(
            harness.connect(transport=changed_writes(harness.line, write)), ledger=harness.ledger
        )
    result = ArchiveResult(harness.ledger)
    assert codes_of(result) == ["archived", "refused", "refused"]
    for outcome in result.failed:
        assert outcome.reason.endswith("400: no; but records of its courses were found: 1")
        assert [course.status for course in outcome.courses] == ["archived", "not_archived"]


def test_a_course_that_is_deleted_after_a_refusal_leaves_its_rows_unknown(
    harness: Harness,
) -> None:
    """The call archived two of them first: nobody can see which."""
    harness.load(1, 4)
    asked = rows([1001], courses=[1]) + rows([1001, 1002, 1003, 1004], courses=[2])
    planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(harness.client)

    def delete() -> None:
        harness.time.sleep(30)
        harness.sandbox.advance()
        harness.change("DELETE FROM courses WHERE id_course = 2")

    carry = _refusing_what_it_did(harness, _first_two, after=delete)
    result = planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    assert harness.archived == {(1, 1001): 1, (2, 1001): 1, (2, 1002): 1}
    assert codes_of(result) == ["archived"] + ["unreadable"] * 4
    assert all("cannot be read back" in outcome.reason for outcome in result.unknown)


def test_a_forbidden_call_that_was_partly_done_may_be_of_this_ledger(harness: Harness) -> None:
    """Sent again by the resume, except who was archived: by a lost call, or another."""
    planned = _plan_four(harness)
    carry = _refusing_what_it_did(harness, lambda users: users[:1], status=403)
    with pytest.raises(PermissionDeniedError):
        planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    harness.check(ArchiveResult(harness.ledger), archived=1)
    harness.time.sleep(30)
    result = resume(harness.ledger, harness.client)
    assert codes_of(result) == ["archived", "archived_meanwhile", "archived", "archived"]
    (meanwhile,) = [row for row in result.outcomes if row.code == "archived_meanwhile"]
    assert meanwhile.reason.endswith("by a lost call, or another")
    assert set(harness.archived.values()) == {1}


def test_a_stop_while_a_404_of_a_learning_plan_is_checked(harness: Harness) -> None:
    """The plan is deleted right before the call: the resume knows that nothing was done."""
    load_plans(harness, {50: [1], 60: [2]}, users=3)
    planned = plan(harness, 50, 60)
    stop = threading.Event()

    def delete() -> None:
        harness.change("DELETE FROM learning_plans WHERE learning_plan_id = 60")
        stop.set()

    harness.line.once(lambda exchange: of_many(exchange) and "/60/" in exchange.path, delete)
    with pytest.raises(StopRequestedError):
        harness.apply(planned, stop=stop)
    assert ArchiveResult(harness.ledger).is_finished is False
    result = resume(harness.ledger, harness.client)
    assert result.is_finished
    assert codes_of(result) == ["archived"] * 3 + ["refused"] * 3
    assert all(outcome.reason.endswith("; nothing was done") for outcome in result.failed)
    assert sorted(harness.archived) == [(1, 1001), (1, 1002), (1, 1003)]
