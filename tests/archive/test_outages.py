"""When the platform, the network or the login goes away, at any call, and comes back."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from archive_tools import interrupt
from plan_tools import AGAIN, UNENROLL, check, of_many, rows
from virtual_time import Exchange, Harness

from lms_archive import ApiError, ArchiveJob, ArchivePlan, resume
from lms_archive.errors import (
    AuthenticationError,
    ConnectionSettingsError,
    PlatformUnavailableError,
)
from lms_archive.wire import Response

HOUR = 3600.0


def _plan(harness: Harness, mode: str) -> ArchivePlan:
    harness.load(3, 2)
    asked = rows((1001, 1002, 1003), courses=(1,)) + rows((1001, 1002), courses=(2,))
    terms = UNENROLL if mode == "unenroll" else AGAIN
    return ArchiveJob.from_rows(asked, **terms).plan(harness.client)


def _lost() -> None:
    raise ConnectionResetError(104, "Connection reset by peer")


def _refused() -> None:
    raise ConnectionRefusedError(111, "Connection refused")


class Outage:
    """From the n-th call on, for an hour, every call fails."""

    def __init__(self, harness: Harness, at: int, fail: Callable[[], None]) -> None:
        self._harness, self._at, self._fail = harness, at, fail
        self._calls, self.ends = 0, 0.0

    def __call__(self, _: Exchange) -> None:
        """Fail, if it is time."""
        self._calls += 1
        if self._calls == self._at:
            self.ends = self._harness.time.passed + HOUR
        if self._harness.time.passed < self.ends:
            self._fail()


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize(("fail", "where"), [(_refused, "before"), (_lost, "after")])
@pytest.mark.parametrize("at", range(1, 21))
def test_an_hour_without_the_platform(
    harness: Harness, mode: str, fail: Callable[[], None], where: str, at: int
) -> None:
    """Unreachable, or every answer lost though the work is done, from any call on: all is once."""
    plan = _plan(harness, mode)
    outage = Outage(harness, at, fail)
    getattr(harness.line, where).append(outage)
    try:
        plan.apply(harness.client, ledger=harness.ledger)
    except ApiError:
        assert outage.ends
    else:
        assert not outage.ends, "it got through an hour without an answer"
    harness.time.sleep(HOUR)
    result = plan.apply(harness.client, ledger=harness.ledger)
    check(harness, result, again=mode == "re-enroll", archived=5)


@pytest.mark.parametrize("answered", [0, 1])
def test_an_outage_of_the_first_writes_is_no_failed_proof(harness: Harness, answered: int) -> None:
    """The canary or the first chunk without any answer: later the same job archives all."""
    harness.load(3)
    harness.sandbox.faults.add("503", method="PUT", after=answered, times=3)
    with pytest.raises(PlatformUnavailableError, match="without an answer: resume later"):
        harness.apply()
    result = resume(harness.ledger, harness.client)
    harness.check(result, archived=3)


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize("after", range(6))
def test_credentials_that_expire(harness: Harness, mode: str, after: int) -> None:
    """The login is refused from some call on; with new credentials the ledger is resumed."""
    plan = _plan(harness, mode)
    harness.sandbox.faults.add("expired_token", after=after)
    harness.sandbox.faults.add("status", operation="token", status=401, times=9)
    with pytest.raises(AuthenticationError, match="the login failed"):
        plan.apply(harness.client, ledger=harness.ledger)
    harness.sandbox.faults.clear()
    renewed = harness.connect()
    result = plan.apply(renewed, ledger=harness.ledger)
    check(harness, result, again=mode == "re-enroll", archived=5)


@pytest.mark.parametrize("fraction", [0, 0.5])
def test_a_job_that_is_discontinued_after_the_death(harness: Harness, fraction: float) -> None:
    """It is neither undone nor taken up again (doc): resume finds the rows that it left."""
    harness.load(9)
    plan = harness.plan()
    harness.sandbox.faults.add("job_aborted", fraction=fraction)
    at_poll = partial(harness.line.once, lambda exchange: exchange.is_poll, interrupt)
    harness.line.once(of_many, at_poll, after=True)
    with pytest.raises(KeyboardInterrupt):
        harness.apply(plan)
    result = resume(harness.ledger, harness.client)
    left = {user for _, user in harness.active}
    assert len(left) == 8 * (1 - fraction)
    harness.check(result, archived=9 - len(left), failed=len(left))
    assert {outcome.user for outcome in result.failed} == left
    assert list(resume(harness.ledger, harness.client).outcomes) == list(result.outcomes)


@pytest.mark.parametrize("call", ["write", "read"])
@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_ca_bundle_that_goes_away_stops_the_job(harness: Harness, mode: str, call: str) -> None:
    """A call that cannot be made with the settings here stops the job at once; resume ends it."""
    plan, started = _plan(harness, mode), harness.time.passed

    def gone(exchange: Exchange) -> None:
        if exchange.is_write == (call == "write") and len(harness.writes) == 1:
            text = "Could not find a suitable TLS CA certificate bundle, invalid path: /no.pem"
            raise OSError(text)

    harness.line.before.append(gone)
    with pytest.raises(ConnectionSettingsError, match=r"invalid path: .*; see cert=") as caught:
        plan.apply(harness.client, ledger=harness.ledger)
    assert not caught.value.in_doubt
    assert harness.time.passed - started < 60  # nothing was tried again
    assert len(harness.writes) == 1
    harness.line.before.clear()
    assert resume(harness.ledger, harness.client).counts["archived"] == 5
    assert max(harness.archived.values()) == 1


REFUSALS = {
    "a web page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
    "success false": b'{"success": false, "error": "Not allowed", "errorCode": 1008}',
    "only a code": b'{"success": false, "errorCode": 1008}',
    "plain text": b"Not allowed",
}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_with_status_200_is_read_back(harness: Harness, body: bytes, done: bool) -> None:  # noqa: FBT001
    """A 200 that holds a refusal decides nothing: what the platform did is read, and counts."""
    plan, line = _plan(harness, "unenroll"), harness.line

    class Refusing:
        writes = 0

        def __call__(self, *call: Any) -> Response:
            self.writes += call[0] == "PUT"
            if call[0] != "PUT" or self.writes != 2:
                return line(*call)
            if done:
                line(*call)
            return Response(200, {"Content-Type": "text/html"}, body)

    result = plan.apply(harness.connect(transport=Refusing()), ledger=harness.ledger)
    harness.check(result, archived=5)
    assert all(count == 1 for count in harness.archived.values())
