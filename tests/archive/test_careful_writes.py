"""What a write may do that nobody asked for, and what may happen while it waits."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from archive_tools import archive_elsewhere
from plan_tools import AGAIN, UNENROLL, archive_by_hand, load_plans, plan, rows
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Contract, resume
from lms_archive.archive import RunEvent
from lms_archive.errors import (
    ApiError,
    CanaryFailedError,
    PermissionDeniedError,
    RunStoppedError,
    UnexpectedArchiveError,
)
from lms_archive.wire import Response
from lms_archive.wire.transport import Transport

BOTH = pytest.mark.parametrize("terms", [UNENROLL, AGAIN], ids=["unenroll", "re-enroll"])


def _ignoring_users(harness: Harness) -> Transport:
    """A platform that archives everybody in the course, whomever the call names."""

    def carry(
        method: str, url: str, headers: Any, params: Any, body: bytes | None, timeout: Any
    ) -> Response:
        if method == "PUT":
            assert body is not None
            sent = json.loads(body)
            query = "SELECT user_id FROM enrollments WHERE course_id = ?"
            sent["user_id"] = [user for (user,) in harness.sql(query, *sent["course_id"])]
            body = json.dumps(sent).encode()
        return harness.line(method, url, headers, params, body, timeout)

    return carry


@BOTH
@pytest.mark.parametrize(
    ("sizes", "error", "records"), [((5, 5, 5), CanaryFailedError, 5), ((1, 5, 5), None, 6)]
)
def test_a_platform_that_ignores_the_users_of_a_write_is_noticed(
    harness: Harness,
    terms: dict[str, Any],
    sizes: tuple[int, ...],
    error: type[CanaryFailedError] | None,
    records: int,
) -> None:
    """Also where the job names one user in each course, and where the first course has one."""
    harness.load(*sizes)
    client = harness.connect(transport=_ignoring_users(harness))
    planned = ArchiveJob.from_rows(rows([1001], courses=[1, 2, 3]), **terms).plan(client)
    with pytest.raises(error or UnexpectedArchiveError, match="users whom the call did not name"):
        planned.apply(client, ledger=harness.ledger)
    assert len(harness.sql("SELECT id FROM archived_enrollments")) == records


def test_colleagues_who_archive_at_the_same_time_are_no_surplus(harness: Harness) -> None:
    """A record of another account, in the same second, does not stop the job."""
    harness.load(3)
    harness.line.once(
        lambda exchange: exchange.is_write,
        lambda: _archive_as_power_user(harness, 1003),
        after=True,
    )
    result = harness.apply(harness.plan(1, users=[1001]))
    harness.check(result, archived=1)
    assert harness.archived[1, 1003] == 1


def _archive_as_power_user(harness: Harness, user: int) -> None:
    body = {"course_id": [1], "user_id": [user], "enrollment_mode": "delete"}
    harness.connect("power_user", transport=None).request("PUT", "/learn/v1/enrollments", json=body)


def _while_waiting(harness: Harness, act: Callable[[], None]) -> None:
    """Do this in the first wait of more than half an hour."""
    sleep = harness.time.sleep
    done: list[bool] = []

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if seconds > 1800 and not done:
            done.append(True)
            act()

    harness.time.sleep = sleeping  # type: ignore[method-assign]
    harness.time.wire(harness.client)


@BOTH
def test_a_write_that_waited_is_compared_again(harness: Harness, terms: dict[str, Any]) -> None:
    """What is archived and enrolled again while the platform limits calls is not sent."""
    harness.load(3)
    planned = ArchiveJob.from_rows(rows([1001, 1002, 1003], courses=[1]), **terms).plan(
        harness.client
    )
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    _while_waiting(harness, lambda: archive_elsewhere(harness, 1, 1002))
    result = harness.apply(planned)
    assert {outcome.user: outcome.code for outcome in result.outcomes} == {
        1001: "archived",
        1002: "archived_meanwhile",
        1003: "archived",
    }
    assert set(harness.archived.values()) == {1}


def test_a_target_that_is_gone_after_a_wait_is_not_written_to(harness: Harness) -> None:
    """The reading after the wait shows it; the others are sent."""
    harness.load(2, 2)
    planned = plan(harness, courses=[1, 2], mode="re-enroll")
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    _while_waiting(harness, lambda: harness.change("DELETE FROM courses WHERE id_course = 1"))
    result = harness.apply(planned)
    codes = [outcome.code for outcome in result.outcomes]
    assert codes == ["archived", "target_missing", "archived", "archived"]


@pytest.mark.parametrize("hourly", [7, 9, 11, 13])
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


@BOTH
def test_a_lost_call_is_not_repeated_for_who_has_changed(
    harness: Harness, terms: dict[str, Any]
) -> None:
    """The reading after it shows an unfinished enrollment, and a tutor: they are not sent."""
    harness.load(4)
    planned = ArchiveJob.from_rows(rows([1001, 1002, 1003, 1004], courses=[1]), **terms).plan(
        harness.client
    )
    harness.sandbox.faults.add("cut_before", method="PUT", after=1)
    writes = []

    def change(exchange: Any) -> None:
        writes.extend([exchange] * exchange.is_write)
        if exchange.is_write and len(writes) == 2:
            harness.change(
                "UPDATE enrollments SET enrollment_status = 'in_progress',"
                " enrollment_completion_date = NULL WHERE user_id = 1002"
            )
            harness.change("UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1003")

    harness.line.before.append(change)
    result = harness.apply(planned)
    assert [outcome.code for outcome in result.outcomes] == [
        "archived",
        "changed",
        "changed",
        "archived",
    ]
    assert sorted(harness.archived) == [(1, 1001), (1, 1004)]


def test_a_redirected_write_is_read_back_and_stops_the_job(harness: Harness) -> None:
    """It may have been done: the archived list is read, and nothing else is sent."""
    harness.load(3, 3, 3)
    writes = []

    def carry(method: str, *rest: Any) -> Response:
        answer = harness.line(method, *rest)
        writes.extend([method] * (method == "PUT"))
        if method == "PUT" and len(writes) == 3:
            return Response(302, {**dict(answer.headers), "Location": "/login"}, b"")
        return answer

    with pytest.raises(ApiError, match="302: redirects to /login"):
        harness.plan().apply(harness.connect(transport=carry), ledger=harness.ledger)
    assert len(harness.writes) == 3
    assert ArchiveResult(harness.ledger).counts["archived"] == 6
    harness.check(resume(harness.ledger, harness.client), archived=9)


@pytest.mark.parametrize("kind", ["course", "learning plan"])
def test_a_platform_that_enrolls_again_is_noticed(harness: Harness, kind: str) -> None:
    """Asked to unenroll: the first enrollment is archived, but the user is still a learner."""
    contract = Contract.default().with_enrollment_mode("re-enroll", "again")
    contract = contract.with_enrollment_mode("unenroll", "re_enroll")
    client = harness.connect(contract=contract)
    if kind == "course":
        harness.load(3)
        planned = harness.job().plan(client)
    else:
        load_plans(harness, {50: [1, 2]})
        asked = rows([1001, 1002, 1003], plans=[50])
        planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(client)
    with pytest.raises(
        CanaryFailedError, match=r"(?s)but enrolled again on .*with_enrollment_mode"
    ):
        planned.apply(client, ledger=harness.ledger)
    (outcome,) = ArchiveResult(harness.ledger).needs_attention
    assert outcome.code == "enrolled_again"
    assert outcome.record is not None


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_power_user_is_refused_before_the_first_write_of_a_saved_plan(
    harness: Harness, *, is_resumed: bool
) -> None:
    """Another account made the plan, or began the job."""
    load_plans(harness, {50: [1, 2]})
    path = harness.folder / "plan.sqlite"
    plan(harness, 50).save(path)
    loaded = ArchivePlan.load(path)
    if is_resumed:
        harness.line.before.append(_interrupt)
        with pytest.raises(KeyboardInterrupt):
            loaded.apply(harness.client, ledger=harness.ledger)
        harness.line.before.remove(_interrupt)
    with pytest.raises(PermissionDeniedError, match="Power User"):
        loaded.apply(harness.connect("power_user"), ledger=harness.ledger)
    assert harness.writes == []
    assert resume(harness.ledger, harness.client).is_finished


def _interrupt(exchange: Any) -> None:
    if exchange.is_write:
        raise KeyboardInterrupt


def test_what_is_left_of_a_resumed_job_sets_the_pace(harness: Harness) -> None:
    """A few calls that fit in what the hour allows are not spread over it."""
    harness.load(*[2] * 30)
    client = harness.connect(calls_per_hour=70)
    planned = harness.plan()
    writes = []

    def interrupt(exchange: Any) -> None:
        writes.extend([exchange] * exchange.is_write)
        if exchange.is_write and len(writes) == 28:
            raise KeyboardInterrupt

    harness.line.before.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        planned.apply(harness.client, ledger=harness.ledger)
    harness.line.before.remove(interrupt)
    begun = harness.time.passed
    assert resume(harness.ledger, client).is_finished
    assert harness.time.passed - begun < 600


def test_a_call_that_was_never_made_is_no_try(harness: Harness) -> None:
    """Who has changed while the call waited is reported as not sent, not as not sent again."""
    harness.load(3)
    planned = plan(harness, courses=[1], mode="re-enroll")
    harness.sandbox.faults.add("429", method="PUT", after=1, retry_after=3000)
    finish = "UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1002"
    _while_waiting(harness, lambda: harness.change(finish))
    (changed,) = harness.apply(planned).skipped
    assert changed.code == "changed"
    assert changed.reason.endswith("not as planned; not sent")


def _refusing_what_it_did(harness: Harness, sent: Callable[[list[int]], list[int]]) -> Transport:
    """A platform that archives some of the users of a call, and answers 400."""

    def carry(
        method: str, url: str, headers: Any, params: Any, body: bytes | None, timeout: Any
    ) -> Response:
        if method != "PUT":
            return harness.line(method, url, headers, params, body, timeout)
        assert body is not None
        call = json.loads(body)
        done = sent(call["user_id"])
        if done == call["user_id"]:
            return harness.line(method, url, headers, params, body, timeout)
        if done:
            call["user_id"] = done
            harness.line(method, url, headers, params, json.dumps(call).encode(), timeout)
        return Response(400, {"Content-Type": "application/json"}, b'{"message": "user 1003?"}')

    return carry


@BOTH
def test_a_refused_call_is_read_back(harness: Harness, terms: dict[str, Any]) -> None:
    """What it archived before it failed is archived, whatever the answer says; the rest failed."""
    harness.load(4, 3)
    asked = rows([1001, 1002, 1003, 1004], courses=[1]) + rows([1001, 1002, 1003], courses=[2])
    planned = ArchiveJob.from_rows(asked, **terms).plan(harness.client)
    carry = _refusing_what_it_did(
        harness, lambda users: users[: users.index(1003)] if 1003 in users else users
    )
    result = planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    codes = [outcome.code for outcome in result.outcomes]
    assert codes == ["archived"] * 2 + ["refused"] * 2 + ["archived"] * 2 + ["refused"]
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
    harness.load(4)
    planned = harness.plan()
    carry = _refusing_what_it_did(harness, lambda users: users if len(users) == 1 else users[:1])

    def interrupt(event: RunEvent) -> None:
        if event.kind == "refused":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planned.apply(harness.connect(transport=carry), ledger=harness.ledger, on_event=interrupt)
    result = resume(harness.ledger, harness.client)
    assert [outcome.code for outcome in result.outcomes] == ["archived"] * 2 + ["refused"] * 2
    assert len(harness.writes) == 2


def test_what_another_ledger_archived_is_no_surplus(harness: Harness) -> None:
    """In the second of the canary, by the same account: the job reports it already."""
    harness.load(3)
    both = plan(harness, courses=[1], mode="re-enroll")
    first = ArchiveJob.from_rows(rows([1001], courses=[1]), **AGAIN).plan(harness.client)
    first.apply(harness.client, ledger=harness.folder / "first.sqlite")
    result = harness.apply(both)
    assert [outcome.code for outcome in result.outcomes] == [
        "archived_meanwhile",
        "archived",
        "archived",
    ]
    dates = harness.sql("SELECT DISTINCT archived_at FROM archived_enrollments")
    assert len(dates) == 1


def test_re_enroll_waits_for_jobs_that_were_open_before(harness: Harness) -> None:
    """A job of a run that was given up could archive what this run enrolls again."""
    harness.load(3, 3)
    planned = plan(harness, courses=[2], mode="re-enroll")
    archive_by_hand(harness.client, 1, 1001, 1002, 1003)
    harness.change("UPDATE jobs SET ends_at = ends_at + 600000000")
    times: list[float] = []
    harness.line.before.append(
        lambda exchange: times.extend([harness.time.passed] * exchange.is_write)
    )
    begun = harness.time.passed
    assert harness.apply(planned).counts["archived"] == 3
    assert times[0] - begun >= 600


def test_a_call_that_names_no_job_is_waited_for(harness: Harness) -> None:
    """The answer says that the work is done, and a job of the account is still open."""
    harness.load(4)

    def carry(method: str, *rest: Any) -> Response:
        answer = harness.line(method, *rest)
        if method != "PUT":
            return answer
        said = json.loads(answer.body)
        said["data"] |= {"background_job": False, "job_id": None}
        return Response(answer.status, answer.headers, json.dumps(said).encode())

    planned = harness.plan()
    result = planned.apply(harness.connect(transport=carry), ledger=harness.ledger)
    harness.check(result, archived=4)


@pytest.mark.parametrize(("minutes", "code"), [(1, "archived"), (3, "not_seen")])
def test_the_clock_of_the_records_may_differ_by_two_minutes(
    harness: Harness, minutes: int, code: str
) -> None:
    """A record that is dated a little before the plan was read is that of this job."""
    harness.load(1)

    def date_back() -> None:
        query = "UPDATE archived_enrollments SET archived_at = datetime(archived_at, ?)"
        harness.change(query, f"-{minutes} minutes")

    harness.line.once(lambda exchange: exchange.is_write, date_back, after=True)
    planned = harness.plan()
    if code == "not_seen":
        with pytest.raises(CanaryFailedError):
            harness.apply(planned)
    else:
        harness.apply(planned)
    (outcome,) = ArchiveResult(harness.ledger).outcomes
    assert outcome.code == code
