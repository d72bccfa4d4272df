"""When the platform, the network or the login goes away, at any call, and comes back."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from plan_tools import AGAIN, UNENROLL, check, of_many, rows
from virtual_time import Exchange, Stage

from lms_archive import ApiError, ArchiveJob, ArchivePlan, resume
from lms_archive.errors import (
    AuthenticationError,
    ConnectionSettingsError,
    PlatformUnavailableError,
)
from lms_archive.wire import Response

HOUR = 3600.0


def _plan(stage: Stage, mode: str) -> ArchivePlan:
    stage.load(3, 2)
    asked = rows((1001, 1002, 1003), courses=(1,)) + rows((1001, 1002), courses=(2,))
    terms = UNENROLL if mode == "unenroll" else AGAIN
    return ArchiveJob.from_rows(asked, **terms).plan(stage.client)


def _lost() -> None:
    raise ConnectionResetError(104, "Connection reset by peer")


def _refused() -> None:
    raise ConnectionRefusedError(111, "Connection refused")


class Outage:
    """From the n-th call on, for an hour, every call fails."""

    def __init__(self, stage: Stage, at: int, fail: Callable[[], None]) -> None:
        self._stage, self._at, self._fail = stage, at, fail
        self._calls, self.ends = 0, 0.0

    def __call__(self, _: Exchange) -> None:
        """Fail, if it is time."""
        self._calls += 1
        if self._calls == self._at:
            self.ends = self._stage.time.passed + HOUR
        if self._stage.time.passed < self.ends:
            self._fail()


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize(("fail", "where"), [(_refused, "before"), (_lost, "after")])
@pytest.mark.parametrize("at", range(1, 21))
def test_an_hour_without_the_platform(
    stage: Stage, mode: str, fail: Callable[[], None], where: str, at: int
) -> None:
    """Unreachable, or every answer lost though the work is done, from any call on: all is once."""
    plan = _plan(stage, mode)
    outage = Outage(stage, at, fail)
    getattr(stage.line, where).append(outage)
    try:
        plan.apply(stage.client, ledger=stage.ledger)
    except ApiError:
        assert outage.ends
    else:
        assert not outage.ends, "it got through an hour without an answer"
    stage.time.sleep(HOUR)
    result = plan.apply(stage.client, ledger=stage.ledger)
    check(stage, result, again=mode == "re-enroll", archived=5)


@pytest.mark.parametrize("answered", [0, 1])
def test_an_outage_of_the_first_writes_is_no_failed_proof(stage: Stage, answered: int) -> None:
    """The canary or the first chunk without any answer: later the same job archives all."""
    stage.load(3)
    stage.sandbox.faults.add("503", method="PUT", after=answered, times=3)
    with pytest.raises(PlatformUnavailableError, match="without an answer: resume later"):
        stage.apply()
    result = resume(stage.ledger, stage.client)
    stage.check(result, archived=3)


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize("after", range(6))
def test_credentials_that_expire(stage: Stage, mode: str, after: int) -> None:
    """The login is refused from some call on; with new credentials the ledger is resumed."""
    plan = _plan(stage, mode)
    stage.sandbox.faults.add("expired_token", after=after)
    stage.sandbox.faults.add("status", operation="token", status=401, times=9)
    with pytest.raises(AuthenticationError, match="the login failed"):
        plan.apply(stage.client, ledger=stage.ledger)
    stage.sandbox.faults.clear()
    renewed = stage.connect()
    result = plan.apply(renewed, ledger=stage.ledger)
    check(stage, result, again=mode == "re-enroll", archived=5)


@pytest.mark.parametrize("fraction", [0, 0.5])
def test_a_job_that_is_discontinued_after_the_death(stage: Stage, fraction: float) -> None:
    """It is neither undone nor taken up again (doc): resume finds the rows that it left."""
    stage.load(9)
    plan = stage.plan()
    stage.sandbox.faults.add("job_aborted", fraction=fraction)
    at_poll = partial(stage.line.once, lambda one: one.is_poll, _interrupt)
    stage.line.once(of_many, at_poll, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    result = resume(stage.ledger, stage.client)
    left = {user for _, user in stage.active}
    assert len(left) == 8 * (1 - fraction)
    stage.check(result, archived=9 - len(left), failed=len(left))
    assert {one.user for one in result.failed} == left
    assert list(resume(stage.ledger, stage.client).outcomes) == list(result.outcomes)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("call", ["write", "read"])
@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_ca_bundle_that_goes_away_stops_the_job(stage: Stage, mode: str, call: str) -> None:
    """A call that cannot be made with the settings here stops the job at once; resume ends it."""
    plan, started = _plan(stage, mode), stage.time.passed

    def gone(exchange: Exchange) -> None:
        if exchange.is_write == (call == "write") and len(stage.writes) == 1:
            text = "Could not find a suitable TLS CA certificate bundle, invalid path: /no.pem"
            raise OSError(text)

    stage.line.before.append(gone)
    with pytest.raises(ConnectionSettingsError, match=r"invalid path: .*; see cert=") as caught:
        plan.apply(stage.client, ledger=stage.ledger)
    assert not caught.value.in_doubt
    assert stage.time.passed - started < 60  # nothing was tried again
    assert len(stage.writes) == 1
    stage.line.before.clear()
    assert resume(stage.ledger, stage.client).counts["archived"] == 5
    assert max(stage.archived.values()) == 1


REFUSALS = {
    "a web page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
    "success false": b'{"success": false, "error": "Not allowed", "errorCode": 1008}',
    "only a code": b'{"success": false, "errorCode": 1008}',
    "plain text": b"Not allowed",
}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_with_status_200_is_read_back(stage: Stage, body: bytes, done: bool) -> None:  # noqa: FBT001
    """A 200 that holds a refusal decides nothing: what the platform did is read, and counts."""
    plan, line = _plan(stage, "unenroll"), stage.line

    class Refusing:
        writes = 0

        def __call__(self, *call: Any) -> Response:
            self.writes += call[0] == "PUT"
            if call[0] != "PUT" or self.writes != 2:
                return line(*call)
            if done:
                line(*call)
            return Response(200, {"Content-Type": "text/html"}, body)

    result = plan.apply(stage.connect(transport=Refusing()), ledger=stage.ledger)
    stage.check(result, archived=5)
    assert all(count == 1 for count in stage.archived.values())
