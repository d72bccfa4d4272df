"""What a write may do that nobody asked for, and what may happen while it waits."""

import json
from typing import Any

import pytest
from archive_tools import ignoring_users
from plan_tools import AGAIN, UNENROLL, archive_by_hand, load_plans, on_both_terms, plan, rows
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Contract, resume
from lms_archive.errors import (
    ApiError,
    CanaryFailedError,
    PermissionDeniedError,
    UnexpectedArchiveError,
)
from lms_archive.wire import Response


@on_both_terms
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
    client = harness.connect(transport=ignoring_users(harness))
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


@on_both_terms
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
