"""Nothing is sent that the platform's swagger does not confirm, unless it is trusted."""

import json
import logging
from collections import Counter
from typing import Any

import pytest
from plan_tools import archive_by_hand, load_plans, run_interrupted
from plan_tools import plan as plan_of
from virtual_time import WRITE, Exchange, Harness

from lms_archive import Contract, RetryPolicy, resume
from lms_archive.archive.ledger import read_events
from lms_archive.archive.values.events import ContractChecked, Warned
from lms_archive.errors import (
    CanaryFailedError,
    NotFoundError,
    PlatformUnavailableError,
    UnconfirmedContractError,
)
from lms_archive.wire import Response
from lms_archive.wire.transport import Transport

ELSEWHERE = Contract.default().with_operation(WRITE, path="/learn/v9/elsewhere")
OTHER_NAME = Contract.default().with_operation(WRITE, params={"mode": "no_such_name"})
NO_LIST = Contract.default().with_operation(
    "archived_course_enrollments", path="/course/v1/courses/{course_id}/no-such-list"
)


def no_swagger(exchange: Exchange) -> None:
    """A platform that describes nothing."""
    if exchange.path.endswith(("/swagger", "/microservices")):
        raise NotFoundError("GET", exchange.path, status=404)


@pytest.mark.parametrize("contract", [ELSEWHERE, OTHER_NAME], ids=["not listed", "differs"])
def test_an_unconfirmed_write_is_in_the_plan_and_refused_by_apply(
    harness: Harness, contract: Contract
) -> None:
    """The plan warns, apply names the candidate with its override; nothing is sent or begun."""
    harness.load(3)
    client = harness.connect(contract=contract)
    plan = harness.job().plan(client)
    assert any("apply will refuse it" in text for text in plan.warnings)
    assert "apply will refuse it" in str(plan)
    with pytest.raises(
        UnconfirmedContractError, match="candidate: PUT /learn/v1/enrollments"
    ) as caught:
        plan.apply(client, ledger=harness.ledger)
    assert ".with_operation(" in str(caught.value)
    assert caught.value.report[WRITE].state in ("not_listed", "differs")
    assert not harness.ledger.exists()
    assert harness.writes == []


def test_what_is_confirmed_is_asked_once_and_warned_of_nothing(harness: Harness) -> None:
    """Plan and apply read each document once, and the plan says nothing of the contract."""
    harness.load(3)
    plan = harness.plan()
    assert not any("confirm" in text for text in plan.warnings)
    asked = harness.operations.count("swagger")
    harness.check(harness.apply(plan), archived=3)
    assert harness.operations.count("swagger") == asked == 2  # course, learn
    assert harness.operations.count("microservices") == 1


def swagger_unavailable(exchange: Exchange) -> None:
    """A platform whose documents answer 503, every time."""
    if exchange.path.endswith("/swagger"):
        raise PlatformUnavailableError("GET", exchange.path, status=503)


def unlisting(harness: Harness) -> Transport:
    """A transport whose swagger leaves out the archive call."""

    def transport(method: str, url: str, *given: Any) -> Response:
        answer = harness.line(method, url, *given)
        if not url.endswith("/learn/v1/swagger"):
            return answer
        document = json.loads(answer.body)
        del document["paths"]["/enrollments"]
        return Response(answer.status, answer.headers, json.dumps(document).encode())

    return transport


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("not listed", "not listed may still exist"),
        ("unreadable", "unreadable"),
        ("unavailable", "unreadable"),
    ],
)
def test_a_trusted_contract_is_logged_kept_and_told(
    harness: Harness, caplog: pytest.LogCaptureFixture, kind: str, said: str
) -> None:
    """Refused; trusted, it goes ahead behind its canary: in the log, the ledger and the result.

    One check, one event, one warning, and no call that the plan does not foresee.
    """
    harness.load(3)
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}
    if kind == "not listed":
        options["transport"] = unlisting(harness)
    else:
        harness.line.before.append(no_swagger if kind == "unreadable" else swagger_unavailable)
    client = harness.connect(**options)
    plan = harness.job().plan(client)
    state = "not listed" if kind == "not listed" else "unreadable"
    assert any(f"({state}): apply will refuse it" in text for text in plan.warnings)
    unreadable = [text for text in plan.warnings if "swagger cannot be read" in text]
    assert bool(unreadable) == (state == "unreadable")
    with pytest.raises(UnconfirmedContractError, match=said):
        plan.apply(client, ledger=harness.ledger)
    before, asked = len(harness.operations), len(harness.line.exchanges)
    with caplog.at_level(logging.WARNING, "lms_archive"):
        result = plan.apply(client, ledger=harness.ledger, trust_contract=True)
    harness.check(result, archived=3)
    assert [len(users) for _, users in harness.writes] == [1, 2]
    text = f"trusted without confirmation: {WRITE}, PUT /learn/v1/enrollments ({state})"
    assert text in caplog.text
    assert str(result).splitlines()[1:] == [text]
    assert text in resume(harness.ledger, harness.client).warnings
    made = Counter(name for name in harness.operations[before:] if name != "list_jobs")
    assert made == {name: count for name, count in plan.calls.items() if name != "list_jobs"}
    documents = [
        exchange.path for exchange in harness.line.exchanges[asked:] if "swagger" in exchange.path
    ]
    assert len(documents) == len(set(documents))
    (event,) = read_events(harness.ledger, ContractChecked)
    assert event.trusted == (text,)
    warnings = [event.text for event in read_events(harness.ledger, Warned)]
    assert sum("trusted without confirmation" in text for text in warnings) == 1


def test_a_call_that_is_described_differently_cannot_be_trusted(harness: Harness) -> None:
    """Only an override that matches the description helps."""
    harness.load(3)
    client = harness.connect(contract=OTHER_NAME)
    plan = harness.job().plan(client)
    with pytest.raises(UnconfirmedContractError, match="override the contract to match"):
        plan.apply(client, ledger=harness.ledger, trust_contract=True)
    assert harness.writes == []
    assert not harness.ledger.exists()
    matching = client.verify_contract().suggested_contract()
    harness.check(plan.apply(harness.connect(contract=matching), ledger=harness.ledger), archived=3)


def test_an_active_list_that_does_not_exist_is_no_unknown_course(harness: Harness) -> None:
    """A 404 of a call that is not listed stops the plan, instead of skipping every row."""
    harness.load(2)
    path = "/course/v9/courses/{course_id}/members"
    client = harness.connect(
        contract=Contract.default().with_operation("course_enrollments", path=path)
    )
    with pytest.raises(UnconfirmedContractError, match="may not have this call") as caught:
        harness.job().plan(client)
    assert "candidate: GET /course/v1/courses/{course_id}/enrollments" not in str(caught.value)
    assert "not listed GET /course/v9" in str(caught.value)


def test_a_trusted_contract_stays_trusted_and_another_is_asked_for(harness: Harness) -> None:
    """Resuming needs no second word for the same contract, and one for a contract of its own."""
    harness.load(3)
    harness.line.before.append(no_swagger)
    run_interrupted(harness, trust_contract=True)
    with pytest.raises(UnconfirmedContractError) as caught:
        resume(harness.ledger, harness.connect(contract=ELSEWHERE))
    assert caught.value.ledger == harness.ledger
    harness.check(resume(harness.ledger, harness.client), archived=3)


def test_trust_is_asked_for_again_until_a_canary_has_proven_it(harness: Harness) -> None:
    """A canary that failed is no reason to send another one without a second word."""
    harness.load(3)
    harness.line.before.append(no_swagger)
    client = harness.connect(contract=OTHER_NAME)
    with pytest.raises(CanaryFailedError):
        harness.job().plan(client).apply(client, ledger=harness.ledger, trust_contract=True)
    with pytest.raises(UnconfirmedContractError):
        resume(harness.ledger, client)
    assert len(harness.writes) == 1


def test_another_contract_is_proven_by_a_canary_of_its_own(harness: Harness) -> None:
    """What one contract's canary has shown says nothing about another's calls."""
    harness.load(5)
    run_interrupted(harness)
    harness.line.before.append(no_swagger)
    with pytest.raises(CanaryFailedError):
        resume(harness.ledger, harness.connect(contract=OTHER_NAME), trust_contract=True)
    assert [len(users) for _, users in harness.writes] == [1, 1]
    harness.line.before.remove(no_swagger)
    harness.check(resume(harness.ledger, harness.client), archived=4, failed=1)


@pytest.mark.parametrize("listed", [True, False])
def test_without_an_archived_list_nothing_is_sent_trusted_or_not(
    harness: Harness, *, listed: bool
) -> None:
    """The list answers 404: refused before the first write, with a swagger or without."""
    harness.load(2)
    if not listed:
        harness.line.before.append(no_swagger)
    client = harness.connect(contract=NO_LIST)
    plan = harness.job().plan(client)
    warning = "archived_course_enrollments is not listed in the swagger; if the platform does"
    assert any(text.startswith(warning) for text in plan.warnings) is listed
    with pytest.raises(UnconfirmedContractError, match="no list of archived course enrollments"):
        plan.apply(client, ledger=harness.ledger, trust_contract=True)
    assert harness.writes == []
    assert not harness.ledger.exists()


def test_a_plans_courses_need_their_archived_list_too(harness: Harness) -> None:
    """What is archived with a plan is read back there."""
    load_plans(harness, {50: [1]})
    harness.line.before.append(no_swagger)
    planned = plan_of(harness, 50)
    with pytest.raises(UnconfirmedContractError, match="archived course enrollments"):
        planned.apply(harness.connect(contract=NO_LIST), ledger=harness.ledger, trust_contract=True)


def test_a_read_that_differs_is_a_warning(harness: Harness) -> None:
    """A filter by another name: told, and looked at by ourselves."""
    harness.load(3)
    other = Contract.default().with_operation("course_enrollments", params={"status": "state[]"})
    client = harness.connect(contract=other)
    plan = harness.job().plan(client)
    assert any(
        text.startswith("course_enrollments is described differently: ") for text in plan.warnings
    )
    harness.check(plan.apply(client, ledger=harness.ledger), archived=3)


def test_nothing_else_of_ours_is_archived_with_the_canary(harness: Harness) -> None:
    """Somebody else of the job in the archive beside the one sent alone: stopped and told."""
    harness.load(4)
    other = harness.connect(transport=None)
    harness.line.once(
        lambda exchange: exchange.is_write, lambda: archive_by_hand(other, 1, 1004), after=True
    )
    with pytest.raises(
        CanaryFailedError,
        match="the same account archived users whom the call did not name: record",
    ) as caught:
        harness.apply()
    assert caught.value.counts["archived"] == 1
    result = resume(harness.ledger, harness.client)
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert [
        outcome.user for outcome in result.outcomes if outcome.code == "archived_meanwhile"
    ] == [1004]
    assert max(harness.archived.values()) == 1
