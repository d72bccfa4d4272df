"""Going on after a stop: nothing twice, nothing lost, wherever it happened."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from plan_tools import (
    Killed,
    codes_of,
    during_wait,
    of_many,
    on_both_terms,
    rows,
    run_interrupted,
    run_mortally,
)
from virtual_time import WRITE, Exchange, Harness

from lms_archive import ArchiveJob, ArchiveResult, Contract, InvalidInputError, Limits, resume
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.events import Event, Reported
from lms_archive.errors import (
    JobTimeoutError,
    LedgerError,
    PermissionDeniedError,
    PlatformUnavailableError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "when",
    [
        lambda exchange: exchange.is_write,
        of_many,
        lambda exchange: exchange.is_poll,
        lambda exchange: exchange.path.endswith("/1/enrollments"),
    ],
    ids=["canary", "write", "poll", "read"],
)
def test_an_interrupt_passes_through_and_loses_nothing(
    harness: Harness, when: Callable[[Exchange], bool], *, after: bool
) -> None:
    """Ctrl-C right before or after any kind of call: the ledger resumes, nothing goes twice."""
    harness.load(4, 4)
    plan = harness.plan()
    run_interrupted(harness, plan, at=when, after=after)
    harness.check(resume(harness.ledger, harness.client), archived=8)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("at", range(1, 20))
def test_death_at_any_commit_loses_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, at: int, *, before: bool
) -> None:
    """Killed before or after each commit of a job of several chunks, and resumed: all is once."""
    harness.load(5, 4)
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    harness.sandbox.faults.add("cut_before", method="PUT", after=3)
    harness.sandbox.faults.add("cut_after", method="PUT", after=4)
    commits = run_mortally(
        monkeypatch, at, lambda: plan.apply(client, ledger=harness.ledger), before=before
    )
    harness.check(resume(harness.ledger, client), archived=9)
    assert commits >= min(at, 15)


@pytest.mark.parametrize("first", [3, 7, 11])
@pytest.mark.parametrize("second", range(1, 10, 2))
def test_death_of_the_resumed_job_loses_nothing_either(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    """Killed, resumed, killed again at another commit, and resumed: all is once."""
    harness.load(5, 4)
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    harness.sandbox.faults.add("cut_after", method="PUT", after=2)
    for at in (first, second):
        run_mortally(
            monkeypatch, at, lambda: plan.apply(client, ledger=harness.ledger), before=False
        )
    harness.check(resume(harness.ledger, client), archived=9)


def test_a_finished_ledger_makes_no_call(harness: Harness) -> None:
    """Resuming what is finished gives the same result, without a call, whatever the contract."""
    harness.load(3, 3)
    first = harness.apply()
    before, calls = list(first.outcomes), len(harness.line.exchanges)
    elsewhere = Contract.default().with_operation(WRITE, path="/learn/v9/elsewhere")
    again = resume(harness.ledger, harness.connect(contract=elsewhere))
    assert list(again.outcomes) == before
    assert again.calls == first.calls
    assert len(harness.line.exchanges) == calls


def test_an_equal_plan_made_again_resumes_too(harness: Harness) -> None:
    """Planned again while nothing had been done yet: the ledger's own reading stays the measure."""
    harness.load(4)
    run_interrupted(harness, at=lambda exchange: exchange.is_write)
    harness.time.sleep(7200)
    harness.check(harness.apply(), archived=4)


def test_a_finished_ledger_of_another_plan(harness: Harness) -> None:
    """The text says that it is done, when, with what counts, and to name another ledger."""
    harness.load(4, 4)
    harness.apply(harness.plan(1))
    writes = len(harness.writes)
    with pytest.raises(LedgerError) as caught:
        harness.apply(harness.plan(2))
    assert re.fullmatch(
        rf"{harness.ledger}: holds the finished job of another plan, done on "
        r"\d{4}-\d\d-\d\d \d\d:\d\d UTC: 4 archived, 0 skipped, 0 failed, 0 unknown\. "
        r"For this plan, name another ledger; ArchiveResult\('.*'\) shows that job",
        str(caught.value),
    )
    assert len(harness.writes) == writes


@pytest.mark.parametrize("sent", [0, 1])
def test_an_unfinished_ledger_of_another_plan(harness: Harness, sent: int) -> None:
    """The text says how far it is, and to resume it."""
    harness.load(4, 4)
    first, second = harness.plan(1), harness.plan(2)
    harness.sandbox.faults.add("status", status=403, method="PUT", after=sent)
    with pytest.raises(PermissionDeniedError):
        harness.apply(first)
    writes = len(harness.writes)
    with pytest.raises(LedgerError) as caught:
        harness.apply(second)
    assert str(caught.value) == (
        f"{harness.ledger}: holds an unfinished job of another plan: {sent} archived, 0 skipped, "
        f"0 failed, 0 unknown, {4 - sent} pending. Finish it first: "
        f"resume({str(harness.ledger)!r}, client). Then plan again; only a plan for other rows "
        "may run before that, with another ledger"
    )
    assert len(harness.writes) == writes
    harness.check(resume(harness.ledger, harness.client), archived=4)


def test_another_platform_is_refused(harness: Harness) -> None:
    """Neither plan nor ledger can be used on a platform that they were not read from."""
    harness.load(3)
    plan = harness.plan()
    elsewhere = type(harness.client)(
        "https://other.example.com", harness.client.session.settings.auth
    )
    with pytest.raises(InvalidInputError, match=r"other\.example\.com"):
        plan.apply(elsewhere, ledger=harness.ledger)
    assert not harness.ledger.exists()
    harness.apply(plan)
    with pytest.raises(LedgerError, match=r"other\.example\.com"):
        resume(harness.ledger, elsewhere)


def test_resume_keeps_a_ceiling_too(harness: Harness) -> None:
    """`max_affected` of `resume` is the whole plan's."""
    harness.load(4)
    run_interrupted(harness, at=lambda exchange: exchange.is_write)
    with pytest.raises(TooManyAffectedError):
        resume(harness.ledger, harness.client, max_affected=3)
    harness.check(resume(harness.ledger, harness.client, max_affected=4), archived=4)


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "in doubt"])
def test_a_job_that_does_not_end_is_unknown_until_it_has(
    harness: Harness, *, is_lost: bool
) -> None:
    """JobTimeoutError; nothing more goes to any target; a later resume decides it."""
    harness.load(7, 4)
    harness.client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.plan()
    if is_lost:
        harness.sandbox.faults.add("error_after", method="PUT", after=1)
    harness.line.once(of_many, harness.hang_jobs, after=True)
    for _ in range(2):
        with pytest.raises(JobTimeoutError, match="has not ended"):
            harness.apply(plan)
        result = ArchiveResult(harness.ledger)
        assert {outcome.code for outcome in result.unknown} == {"job_not_ended"}
        harness.check(result, archived=1, unknown=2)
        assert len(harness.writes) == 2
    harness.end_jobs()
    harness.check(resume(harness.ledger, harness.client), archived=11)
    assert len(harness.writes) == 6


def test_a_job_that_left_the_list_is_settled_by_resume(harness: Harness) -> None:
    """Neither listed nor found: unknown, the job stops; resume reads back and sends the rest."""
    harness.load(5)
    plan = harness.plan()

    def leave() -> None:
        harness.change("DELETE FROM job_rows WHERE position > 0")
        harness.change("UPDATE jobs SET hash = 'gone', author_id = 0")

    harness.line.once(of_many, leave, after=True)
    with pytest.raises(JobTimeoutError, match="not listed"):
        harness.apply(plan)
    result = ArchiveResult(harness.ledger)
    assert result.counts["unknown"] > 0
    harness.check(resume(harness.ledger, harness.client), archived=5)


def test_a_platform_that_is_down_stops_the_job_which_goes_on_later(harness: Harness) -> None:
    """Reads fail after their tries; what was sent is read back by the resume."""
    harness.load(4, 4)
    plan = harness.plan()
    harness.line.once(
        of_many,
        lambda: harness.sandbox.faults.add("503", method="GET", times=1000),
        after=True,
    )
    with pytest.raises(PlatformUnavailableError):
        harness.apply(plan)
    harness.sandbox.faults.clear()
    harness.check(resume(harness.ledger, harness.client), archived=8)


def test_no_connection_for_a_write_is_no_doubt(harness: Harness) -> None:
    """A write that never left is not read back: it goes as soon as the platform is there."""
    harness.load(4)
    plan = harness.plan()

    def refused() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    def down(exchange: Exchange) -> None:
        if exchange.is_write:
            refused()

    harness.line.before.append(down)
    with pytest.raises(PlatformUnavailableError):
        harness.apply(plan)
    assert harness.writes == []
    harness.line.before.clear()
    harness.check(resume(harness.ledger, harness.client), archived=4)
    assert len(harness.writes) == 2


def test_calls_add_up_over_resumes(harness: Harness) -> None:
    """`result.calls` holds those of every run, and agrees with what the platform saw."""
    harness.load(4, 4)
    plan = harness.plan()
    before = len(harness.operations)
    run_interrupted(harness, plan, after=True)
    result = resume(harness.ledger, harness.client)
    seen = harness.operations[before:]
    assert result.calls == {name: seen.count(name) for name in set(seen)}


def test_what_was_sent_before_is_not_sent_by_a_second_ledger(harness: Harness) -> None:
    """The same plan applied twice: the second ledger finds every record, and sends nothing."""
    harness.load(4, 3)
    plan = harness.plan()
    harness.check(harness.apply(plan), archived=7)
    writes = len(harness.writes)
    again = plan.apply(harness.client, ledger=harness.folder / "second.sqlite")
    harness.check(again, archived=7)
    assert {outcome.code for outcome in again.outcomes} == {"archived_meanwhile"}
    assert len(harness.writes) == writes


def test_a_target_with_several_submissions_is_settled_by_resume(harness: Harness) -> None:
    """Several chunks of it were sent, and none was read back yet."""
    harness.load(10, 3)
    client = harness.connect(limits=Limits(hand_picked=3, page_size=3))
    plan = harness.job().plan(client)
    sent: list[int] = []

    def stop(exchange: Exchange) -> None:
        if exchange.is_write:
            sent.append(1)
        elif len(sent) == 5 and exchange.path.endswith("/archived"):
            raise KeyboardInterrupt

    harness.line.before.append(stop)
    with pytest.raises(KeyboardInterrupt):
        plan.apply(client, ledger=harness.ledger)
    harness.line.before.clear()
    assert len(harness.writes) >= 5
    harness.check(resume(harness.ledger, client), archived=13)


def test_what_was_archived_unasked_is_told_even_after_a_death(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found, and the process died before it could say so: the next run stops and says it, once."""
    harness.load(4, 4)
    plan = harness.plan()
    harness.line.once(of_many, lambda: harness.enroll_anew(1, 1003))
    with monkeypatch.context() as patch:
        append = Ledger.append

        def mortal(ledger: Ledger, *events: Event) -> None:
            if Reported() in events:
                raise Killed
            append(ledger, *events)

        patch.setattr(Ledger, "append", mortal)
        with pytest.raises(Killed):
            harness.apply(plan)
    writes = len(harness.writes)
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1, record 3"):
        resume(harness.ledger, harness.client)
    assert len(harness.writes) == writes
    harness.check(resume(harness.ledger, harness.client), archived=7, unknown=1)


def test_all_that_was_archived_unasked_is_told(harness: Harness) -> None:
    """Several users of several courses: one error names them all."""
    harness.load(3, 4, 4)
    plan = harness.plan()

    def meddle() -> None:
        for course, user in ((2, 1002), (2, 1004), (3, 1001)):
            harness.enroll_anew(course, user)

    harness.line.once(
        lambda exchange: exchange.is_write and exchange.body["course_id"] == [2], meddle
    )
    with pytest.raises(UnexpectedArchiveError) as caught:
        harness.apply(plan)
    assert [text.split(", ")[0] for text in caught.value.seen] == [
        "user 1002 in C2",
        "user 1004 in C2",
        "user 1001 in C3",
    ]
    harness.check(resume(harness.ledger, harness.client), archived=8, unknown=3)


def test_a_row_of_a_lost_call_is_not_sent_again(harness: Harness) -> None:
    """The call was cut off by the crash; while the resume waits to repeat it, a row changes."""
    harness.load(4)
    run_interrupted(harness)
    harness.sandbox.faults.add("429", method="PUT", retry_after=3000)
    promote = "UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1002"
    during_wait(harness, lambda: harness.change(promote))
    result = resume(harness.ledger, harness.client)
    assert codes_of(result) == ["archived", "changed", "archived", "archived"]
    (changed,) = result.skipped
    assert changed.reason.endswith("not as planned; not sent again")


@on_both_terms
def test_what_a_lost_call_archived_late_may_be_of_this_ledger(
    harness: Harness, terms: dict[str, Any]
) -> None:
    """Its job begins after all was read back, while the repeated call waits."""
    harness.load(4)
    asked = rows([1001, 1002, 1003, 1004], courses=[1])
    planned = ArchiveJob.from_rows(asked, **terms).plan(harness.client)
    faults, writes = harness.sandbox.faults, list[Exchange]()
    faults.add("cut_after", method="PUT", after=1)

    def delay(exchange: Exchange) -> None:
        writes.extend([exchange] * exchange.is_write)
        if exchange.is_write and len(writes) == 2:
            faults.add("job_late", operation=WRITE, seconds=300)
        elif exchange.is_write and len(writes) == 3:
            faults.add("429", method="PUT", retry_after=3000)

    harness.line.before.append(delay)
    result = harness.apply(planned)
    assert codes_of(result) == ["archived"] + ["archived_meanwhile"] * 3
    late = list(result.outcomes)[1:]
    assert all("after the plan was made; by a lost call, or another" in row.reason for row in late)
    assert set(harness.archived.values()) == {1}
    assert len(writes) == 3
