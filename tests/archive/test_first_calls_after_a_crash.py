"""The canary and the first chunk are judged as such, also where a crash parts them from that."""

from collections.abc import Callable

import pytest
from archive_tools import Body, changed_writes, ignoring_users
from plan_tools import UNENROLL, interrupt, of_many, rows, run_interrupted
from virtual_time import Exchange, Harness

from lms_archive import ArchiveJob, ArchiveResult, Contract, resume
from lms_archive.errors import CanaryFailedError, UnexpectedArchiveError
from lms_archive.wire import Response
from lms_archive.wire.transport import Transport

UNNAMED = "the same account archived users whom the call did not name"


def _is_write(exchange: Exchange) -> bool:
    return exchange.is_write


def _ignoring_users_later(harness: Harness) -> Transport:
    """A platform that archives everybody in the course from its second call on."""
    ignoring, calls = ignoring_users(harness), iter([harness.line])

    def carry(method: str, *rest: object) -> Response:
        transport = next(calls, ignoring) if method == "PUT" else harness.line
        return transport(method, *rest)  # type: ignore[arg-type]

    return carry


@pytest.mark.parametrize(
    ("platform", "sent", "error", "done"),
    [
        (ignoring_users, 1, CanaryFailedError, 1),
        (_ignoring_users_later, 2, UnexpectedArchiveError, 3),
    ],
    ids=["canary", "first chunk"],
)
def test_surplus_of_a_call_before_a_crash_is_noticed(
    harness: Harness,
    platform: Callable[[Harness], Transport],
    sent: int,
    error: type[Exception],
    done: int,
) -> None:
    """The resume reads the archived list for all users, as the run would have done."""
    harness.load(6)
    harness.client = harness.connect(transport=platform(harness))
    asked = rows([1001, 1002, 1003], courses=[1])
    planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(harness.client)
    at = [_is_write, of_many][sent - 1]
    harness.line.once(
        lambda exchange: at(exchange) and len(harness.writes) == sent, interrupt, after=True
    )
    with pytest.raises(KeyboardInterrupt):
        harness.apply(planned)
    harness.time.sleep(60)
    with pytest.raises(error, match=UNNAMED):
        resume(harness.ledger, harness.client)
    assert len(harness.writes) == sent
    assert len(harness.sql("SELECT id FROM archived_enrollments")) == 6
    assert ArchiveResult(harness.ledger).counts["archived"] == done


def test_surplus_of_a_redirected_canary_is_noticed(harness: Harness) -> None:
    """The redirect stops the job; what the call did is read back, and reported."""
    harness.load(6)
    ignoring = ignoring_users(harness)

    def write(call: Body, send: Callable[[Body], Response]) -> Response:
        answer = send(call)
        return Response(302, {**dict(answer.headers), "Location": "/login"}, b"")

    client = harness.connect(transport=changed_writes(ignoring, write))
    asked = rows([1001, 1002, 1003], courses=[1])
    planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(client)
    with pytest.raises(UnexpectedArchiveError, match=UNNAMED):
        planned.apply(client, ledger=harness.ledger)
    assert len(harness.writes) == 1


def test_the_user_of_the_canary_is_surplus_in_another_course(harness: Harness) -> None:
    """User 1001 was sent for course 1 alone; course 2 has them archived with the first chunk."""
    harness.load(1, 2)
    client = harness.connect(transport=ignoring_users(harness))
    asked = rows([1001], courses=[1]) + rows([1002], courses=[2])
    planned = ArchiveJob.from_rows(asked, **UNENROLL).plan(client)
    with pytest.raises(UnexpectedArchiveError, match=f"C2: {UNNAMED}: record 2"):
        planned.apply(client, ledger=harness.ledger)
    assert harness.archived == {(1, 1001): 1, (2, 1001): 1, (2, 1002): 1}
    assert ArchiveResult(harness.ledger).counts["archived"] == 2


def test_a_wrong_canary_before_a_crash_stops_the_resume(harness: Harness) -> None:
    """Asked to unenroll, the platform enrolls again: the resume sends nothing more."""
    harness.load(4)
    contract = Contract.default().with_enrollment_mode("re-enroll", "again")
    contract = contract.with_enrollment_mode("unenroll", "re_enroll")
    harness.client = harness.connect(contract=contract)
    run_interrupted(harness, at=_is_write, after=True)
    with pytest.raises(CanaryFailedError, match="enrolled again"):
        resume(harness.ledger, harness.client)
    (outcome,) = ArchiveResult(harness.ledger).needs_attention
    assert outcome.code == "enrolled_again"
    assert harness.archived == {(1, 1001): 1}
