"""Going on after a stop: nothing twice, nothing lost, wherever it happened."""

import re
from collections.abc import Callable

import pytest
from plan_tools import Killed, Mortal
from virtual_time import Exchange, Stage

from lms_archive import ArchivePlan, ArchiveResult, InvalidInputError, Limits, resume
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.events import Event, Reported
from lms_archive.errors import (
    JobTimeoutError,
    LedgerError,
    PlatformUnavailableError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _of_many(exchange: Exchange) -> bool:
    return exchange.is_write and len(exchange.body["user_id"]) > 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "when",
    [
        lambda one: one.is_write,
        _of_many,
        lambda one: one.is_poll,
        lambda one: one.path.endswith("/1/enrollments"),
    ],
    ids=["canary", "write", "poll", "read"],
)
def test_an_interrupt_passes_through_and_loses_nothing(
    stage: Stage, when: Callable[[Exchange], bool], *, after: bool
) -> None:
    """Ctrl-C right before or after any kind of call: the ledger resumes, nothing goes twice."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(when, _interrupt, after=after)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    stage.check(resume(stage.ledger, stage.client), archived=8)
    assert max(stage.archived.values()) == 1


def _commits(stage: Stage, plan: ArchivePlan, patch: pytest.MonkeyPatch) -> int:
    with patch.context() as alone:
        life = Mortal(alone, 0, before=False)
        plan.apply(stage.client, ledger=stage.folder / "counted.sqlite")
    return life.commits


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("at", range(1, 20))
def test_death_at_any_commit_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int, *, before: bool
) -> None:
    """Killed before or after each commit of a job of several chunks, and resumed: all is once."""
    stage.load(5, 4)
    client = stage.connect(limits=Limits(hand_picked=3))
    plan = stage.job().plan(client)
    stage.sandbox.faults.add("cut_before", method="PUT", after=3)
    stage.sandbox.faults.add("cut_after", method="PUT", after=4)
    with monkeypatch.context() as patch:
        life = Mortal(patch, at, before=before)
        try:
            plan.apply(client, ledger=stage.ledger)
        except Killed:
            assert life.dead
        else:
            assert life.commits < at
    result = resume(stage.ledger, client)
    stage.check(result, archived=9)
    assert max(stage.archived.values()) == 1
    assert life.commits >= min(at, 15)


@pytest.mark.parametrize("first", [3, 7, 11])
@pytest.mark.parametrize("second", range(1, 10, 2))
def test_death_of_the_resumed_job_loses_nothing_either(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    """Killed, resumed, killed again at another commit, and resumed: all is once."""
    stage.load(5, 4)
    client = stage.connect(limits=Limits(hand_picked=3))
    plan = stage.job().plan(client)
    stage.sandbox.faults.add("cut_after", method="PUT", after=2)
    for at in (first, second):
        with monkeypatch.context() as patch:
            Mortal(patch, at, before=False)
            try:
                plan.apply(client, ledger=stage.ledger)
            except Killed:
                continue
    stage.check(resume(stage.ledger, client), archived=9)
    assert max(stage.archived.values()) == 1


def test_a_finished_ledger_makes_no_call(stage: Stage) -> None:
    """Resuming what is finished gives the same result, without a call."""
    stage.load(3, 3)
    first = stage.apply()
    before, calls = list(first.outcomes), len(stage.line.exchanges)
    again = resume(stage.ledger, stage.client)
    assert list(again.outcomes) == before
    assert again.calls == first.calls
    assert len(stage.line.exchanges) == calls


def test_apply_on_an_existing_ledger_resumes(stage: Stage) -> None:
    """The same plan on its own ledger goes on from where it stood."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(_of_many, _interrupt, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    stage.check(stage.apply(plan), archived=8)
    assert max(stage.archived.values()) == 1


def test_an_equal_plan_made_anew_resumes_too(stage: Stage) -> None:
    """Planned again while nothing had been done yet: the ledger's own reading stays the measure."""
    stage.load(4)
    stage.sandbox.faults.add("cut_before", method="PUT")
    stage.line.once(lambda one: one.is_write, _interrupt, after=False)
    with pytest.raises(KeyboardInterrupt):
        stage.apply()
    stage.sandbox.faults.clear()
    stage.time.sleep(7200)
    stage.check(stage.apply(), archived=4)


def test_a_finished_ledger_of_another_plan(stage: Stage) -> None:
    """The text says that it is done, when, with what counts, and to name another ledger."""
    stage.load(4, 4)
    stage.apply(stage.plan(1))
    writes = len(stage.writes)
    with pytest.raises(LedgerError) as caught:
        stage.apply(stage.plan(2))
    assert re.fullmatch(
        rf"{stage.ledger}: holds the finished job of another plan, done on "
        r"\d{4}-\d\d-\d\d \d\d:\d\d UTC: 4 archived, 0 skipped, 0 failed, 0 unknown\. "
        r"For this plan, name another ledger; ArchiveResult\('.*'\) shows that job",
        str(caught.value),
    )
    assert len(stage.writes) == writes


def test_an_unfinished_ledger_of_another_plan(stage: Stage) -> None:
    """The text says how far it is, and to resume it."""
    stage.load(4, 4)
    stage.line.once(lambda one: one.is_poll and len(stage.writes) == 2, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(stage.plan(1))
    writes = len(stage.writes)
    with pytest.raises(LedgerError) as caught:
        stage.apply(stage.plan(2))
    assert str(caught.value) == (
        f"{stage.ledger}: holds an unfinished job of another plan: 1 archived, 0 skipped, "
        f"0 failed, 0 unknown, 3 pending. Finish it first: resume({str(stage.ledger)!r}, client). "
        "Then plan again; only a plan for other rows may run before that, with another ledger"
    )
    assert len(stage.writes) == writes
    stage.check(resume(stage.ledger, stage.client), archived=4)


def test_a_script_that_is_run_again(stage: Stage) -> None:
    """Plan, apply, run again: a finished job is not planned anew, and an unfinished one goes on."""
    stage.load(4)

    def script() -> ArchiveResult:
        if stage.ledger.exists():
            return resume(stage.ledger, stage.client)
        return stage.apply()

    stage.line.once(lambda one: one.is_poll and len(stage.writes) == 2, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        script()
    stage.check(script(), archived=4)
    calls = len(stage.line.exchanges)
    stage.check(script(), archived=4)
    assert len(stage.line.exchanges) == calls


def test_another_platform_is_refused(stage: Stage) -> None:
    """Neither plan nor ledger can be used on a platform that they were not read from."""
    stage.load(3)
    plan = stage.plan()
    elsewhere = type(stage.client)("https://other.example.com", stage.client.session.settings.auth)
    with pytest.raises(InvalidInputError, match=r"other\.example\.com"):
        plan.apply(elsewhere, ledger=stage.ledger)
    assert not stage.ledger.exists()
    stage.apply(plan)
    with pytest.raises(LedgerError, match=r"other\.example\.com"):
        resume(stage.ledger, elsewhere)


def test_resume_keeps_a_ceiling_too(stage: Stage) -> None:
    """`max_affected` of `resume` is the whole plan's."""
    stage.load(4)
    stage.line.once(lambda one: one.is_write, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.apply()
    with pytest.raises(TooManyAffectedError):
        resume(stage.ledger, stage.client, max_affected=3)
    stage.check(resume(stage.ledger, stage.client, max_affected=4), archived=4)


def test_a_job_that_does_not_end_is_unknown_until_it_has(stage: Stage) -> None:
    """JobTimeoutError; nothing more goes to any target; a later resume decides it."""
    stage.load(5, 4)
    plan = stage.plan()
    stage.line.once(_of_many, stage.hang_jobs, after=True)
    for _ in range(2):
        with pytest.raises(JobTimeoutError, match="has not ended") as caught:
            stage.apply(plan)
        assert caught.value.ledger == stage.ledger
        result = ArchiveResult(stage.ledger)
        assert {one.code for one in result.unknown} == {"job_not_ended"}
        assert result.counts == {"archived": 1, "skipped": 0, "failed": 0, "unknown": 4}
        assert len(stage.writes) == 2
    stage.end_jobs()
    stage.check(resume(stage.ledger, stage.client), archived=9)
    assert max(stage.archived.values()) == 1


def test_a_second_job_on_a_target_waits_for_one_that_was_left_open(stage: Stage) -> None:
    """A target with a job that an earlier run gave up gets no other while that one is open."""
    stage.load(7)
    client = stage.connect(limits=Limits(hand_picked=3))
    plan = stage.job().plan(client)
    stage.line.once(_of_many, stage.hang_jobs, after=True)
    for _ in range(3):
        with pytest.raises(JobTimeoutError):
            plan.apply(client, ledger=stage.ledger)
    assert len(stage.writes) == 2
    stage.end_jobs()
    stage.check(resume(stage.ledger, client), archived=7)


def test_a_job_that_left_the_list_is_settled_by_resume(stage: Stage) -> None:
    """Neither listed nor found: unknown, the job stops; resume reads back and sends the rest."""
    stage.load(5)
    plan = stage.plan()

    def leave() -> None:
        stage.change("DELETE FROM job_rows WHERE position > 0")
        stage.change("UPDATE jobs SET hash = 'gone', author_id = 0")

    stage.line.once(_of_many, leave, after=True)
    with pytest.raises(JobTimeoutError, match="not listed"):
        stage.apply(plan)
    result = ArchiveResult(stage.ledger)
    assert result.counts["unknown"] > 0
    stage.check(resume(stage.ledger, stage.client), archived=5)
    assert max(stage.archived.values()) == 1


def test_a_platform_that_is_down_stops_the_job_which_goes_on_later(stage: Stage) -> None:
    """Reads fail after their tries; what was sent is read back by the resume."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(
        _of_many,
        lambda: stage.sandbox.faults.add("503", method="GET", times=1000),
        after=True,
    )
    with pytest.raises(PlatformUnavailableError) as caught:
        stage.apply(plan)
    assert caught.value.ledger == stage.ledger
    stage.sandbox.faults.clear()
    stage.check(resume(stage.ledger, stage.client), archived=8)
    assert max(stage.archived.values()) == 1


def test_no_connection_for_a_write_is_no_doubt(stage: Stage) -> None:
    """A write that never left is not read back: it goes as soon as the platform is there."""
    stage.load(4)
    plan = stage.plan()

    def refused() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    def down(exchange: Exchange) -> None:
        if exchange.is_write:
            refused()

    stage.line.before.append(down)
    with pytest.raises(PlatformUnavailableError):
        stage.apply(plan)
    assert stage.writes == []
    stage.line.before.clear()
    stage.check(resume(stage.ledger, stage.client), archived=4)
    assert len(stage.writes) == 2


def test_calls_add_up_over_resumes(stage: Stage) -> None:
    """`result.calls` holds those of every run, and agrees with what the platform saw."""
    stage.load(4, 4)
    plan = stage.plan()
    before = len(stage.operations)
    stage.line.once(_of_many, _interrupt, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    result = resume(stage.ledger, stage.client)
    seen = stage.operations[before:]
    assert result.calls == {name: seen.count(name) for name in set(seen)}


def test_what_was_sent_before_is_not_sent_by_a_second_ledger(stage: Stage) -> None:
    """The same plan applied twice: the second ledger finds every record, and sends nothing."""
    stage.load(4, 3)
    plan = stage.plan()
    stage.check(stage.apply(plan), archived=7)
    writes = len(stage.writes)
    again = plan.apply(stage.client, ledger=stage.folder / "second.sqlite")
    stage.check(again, archived=7)
    assert {one.code for one in again.outcomes} == {"archived_meanwhile"}
    assert len(stage.writes) == writes


def test_a_target_with_several_submissions_is_settled_by_resume(stage: Stage) -> None:
    """Several chunks of it were sent, and none was read back yet."""
    stage.load(10, 3)
    client = stage.connect(limits=Limits(hand_picked=3, page_size=3))
    plan = stage.job().plan(client)
    sent: list[int] = []

    def stop(exchange: Exchange) -> None:
        if exchange.is_write:
            sent.append(1)
        elif len(sent) == 5 and exchange.path.endswith("/archived"):
            raise KeyboardInterrupt

    stage.line.before.append(stop)
    with pytest.raises(KeyboardInterrupt):
        plan.apply(client, ledger=stage.ledger)
    stage.line.before.clear()
    assert len(stage.writes) >= 5
    stage.check(resume(stage.ledger, client), archived=13)
    assert max(stage.archived.values()) == 1


def test_what_was_archived_unasked_is_told_even_after_a_death(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found, and the process died before it could say so: the next run stops and says it, once."""
    stage.load(4, 4)
    plan = stage.plan()
    stage.line.once(_of_many, lambda: stage.enroll_anew(1, 1003))
    with monkeypatch.context() as patch:
        append = Ledger.append

        def mortal(ledger: Ledger, *events: Event) -> None:
            if Reported() in events:
                raise Killed
            append(ledger, *events)

        patch.setattr(Ledger, "append", mortal)
        with pytest.raises(Killed):
            stage.apply(plan)
    writes = len(stage.writes)
    with pytest.raises(UnexpectedArchiveError, match="user 1003 in C1, record 3"):
        resume(stage.ledger, stage.client)
    assert len(stage.writes) == writes
    stage.check(resume(stage.ledger, stage.client), archived=7, unknown=1)


def test_all_that_was_archived_unasked_is_told(stage: Stage) -> None:
    """Several users of several courses: one error names them all."""
    stage.load(3, 4, 4)
    plan = stage.plan()

    def meddle() -> None:
        for course, user in ((2, 1002), (2, 1004), (3, 1001)):
            stage.enroll_anew(course, user)

    stage.line.once(lambda one: one.is_write and one.body["course_id"] == [2], meddle)
    with pytest.raises(UnexpectedArchiveError) as caught:
        stage.apply(plan)
    assert [text.split(", ")[0] for text in caught.value.seen] == [
        "user 1002 in C2",
        "user 1004 in C2",
        "user 1001 in C3",
    ]
    stage.check(resume(stage.ledger, stage.client), archived=8, unknown=3)
