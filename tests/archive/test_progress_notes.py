"""Every stop says how far the job got and what to type next."""

import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from plan_tools import AGAIN, of_many
from virtual_time import Stage

from lms_archive import (
    ApiError,
    ArchiveJob,
    InvalidInputError,
    Limits,
    LmsArchiveError,
    RunStoppedError,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    JobTimeoutError,
    LedgerError,
    PermissionDeniedError,
    PlatformUnavailableError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)

HAS_NOTES = sys.version_info >= (3, 11)


def _last_line(error: BaseException) -> str:
    """Return the last line that Python prints of an error."""
    return traceback.format_exception(error)[-1].splitlines()[-1]


def _note(stage: Stage, done: str) -> str:
    return f"{done}; nothing is lost; resume({str(stage.ledger)!r}, client)"


def _interrupt() -> None:
    raise KeyboardInterrupt


def _prepare_outage(stage: Stage) -> None:
    stage.sandbox.faults.add("503", operation="archived_course_enrollments", after=2, times=99)


def _prepare_refusal(stage: Stage) -> None:
    stage.sandbox.faults.add("status", status=403, method="PUT", after=1)


def _prepare_canary(stage: Stage) -> None:
    stage.sandbox.faults.add("status", status=400, method="PUT")


def _prepare_race(stage: Stage) -> None:
    stage.line.once(of_many, lambda: stage.enroll_anew(1, 1003))


def _prepare_unenrolled(stage: Stage) -> None:
    stage.line.once(of_many, lambda: stage.unenroll(1, 1003))


def _prepare_hanging_job(stage: Stage) -> None:
    stage.line.once(of_many, stage.hang_jobs, after=True)


@pytest.mark.parametrize(
    ("prepare", "family", "done"),
    [
        (_prepare_outage, PlatformUnavailableError, "1 of 8 done"),
        (_prepare_refusal, PermissionDeniedError, "1 of 8 done"),
        (_prepare_canary, CanaryFailedError, "1 of 8 done"),
        (_prepare_race, UnexpectedArchiveError, "3 of 8 done, 1 unknown"),
        (_prepare_unenrolled, RunStoppedError, "3 of 8 done, 1 unknown"),
        (_prepare_hanging_job, JobTimeoutError, "1 of 8 done, 3 unknown"),
    ],
)
def test_an_error_says_where_the_job_stands(
    stage: Stage, prepare: Callable[[Stage], None], family: type[LmsArchiveError], done: str
) -> None:
    """The last line of the traceback: how far, and the line to type; it survives a pickle."""
    stage.load(4, 4)
    planned = stage.plan()
    prepare(stage)
    with pytest.raises(family) as caught:
        stage.apply(planned)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301  our own
        assert error.ledger == stage.ledger
        assert _last_line(error) == _note(stage, done)
        assert _note(stage, done) in (str(error) if not HAS_NOTES else "\n".join(error.__notes__))


def test_each_stop_has_its_own_note(stage: Stage) -> None:
    """A second stop has its own note, and only that."""
    stage.load(4, 4)
    planned = stage.plan()
    stage.sandbox.faults.add("503", operation="archived_course_enrollments", after=2, times=99)
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            stage.apply(planned)
        assert "".join(traceback.format_exception(caught.value)).count("nothing is lost") == 1
    stage.sandbox.faults.clear()
    stage.check(resume(stage.ledger, stage.client), archived=8)


@pytest.mark.skipif(not HAS_NOTES, reason="foreign exceptions take notes from Python 3.11 on")
def test_ctrl_c_passes_through_with_the_note(stage: Stage) -> None:
    """KeyboardInterrupt stays what it is, and its last line says how to go on."""
    stage.load(4, 4)
    planned = stage.plan()
    stage.line.once(of_many, _interrupt, after=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        stage.apply(planned)
    assert vars(caught.value)["__notes__"] == [_note(stage, "1 of 8 done")]
    stage.line.once(lambda one: one.is_poll, _interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        resume(stage.ledger, stage.client)
    assert vars(caught.value)["__notes__"] == [_note(stage, "1 of 8 done")]


@pytest.mark.skipif(not HAS_NOTES, reason="foreign exceptions take notes from Python 3.11 on")
def test_what_a_listener_raises_has_the_note(stage: Stage) -> None:
    """An exception of the user's own code passes through with the note."""
    stage.load(3)
    with pytest.raises(ZeroDivisionError) as caught:
        stage.apply(on_event=lambda event: 1 // (event.kind != "decided"))
    assert _last_line(caught.value) == _note(stage, "1 of 3 done")


def test_the_note_is_logged_too(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A program that logs and swallows the error still leaves the line to type."""
    stage.load(3)
    stage.sandbox.faults.add("status", status=403, method="PUT")
    with pytest.raises(PermissionDeniedError):
        stage.apply()
    assert f"stopped: {_note(stage, '0 of 3 done')}" in caplog.messages


def test_the_ledger_is_named_as_it_was_given(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name stays one: the line can be typed in the same folder."""
    stage.load(3)
    monkeypatch.chdir(stage.folder)
    stage.sandbox.faults.add("status", status=403, method="PUT", times=2)
    planned = stage.plan()
    for name in ("lp.sqlite", Path("lp.sqlite")):
        with pytest.raises(PermissionDeniedError) as caught:
            planned.apply(stage.client, ledger=name)
        assert _last_line(caught.value).endswith("resume('lp.sqlite', client)")
    assert caught.value.ledger == stage.folder / "lp.sqlite"


@pytest.mark.parametrize(
    ("options", "family"),
    [
        ({"max_affected": 1}, TooManyAffectedError),
        ({"canary": -1}, InvalidInputError),
    ],
)
def test_a_resume_that_is_refused_says_it_too(
    stage: Stage, options: dict[str, object], family: type[LmsArchiveError]
) -> None:
    """Whatever is wrong with the arguments, the ledger stands where it stood."""
    stage.load(4, 4)
    planned = stage.plan()
    stage.line.once(of_many, _interrupt, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(planned)
    with pytest.raises(family) as caught:
        resume(stage.ledger, stage.client, **options)  # type: ignore[arg-type]
    assert caught.value.ledger == stage.ledger
    assert _last_line(caught.value) == _note(stage, "1 of 8 done")


def test_before_there_is_a_ledger_there_is_nothing_to_resume(stage: Stage) -> None:
    """An error that comes first carries no ledger and no note."""
    stage.load(3)
    planned = stage.plan()
    stage.sandbox.faults.add("503", operation="archived_course_enrollments", times=99)
    with pytest.raises(PlatformUnavailableError) as caught:
        stage.apply(planned)
    assert caught.value.ledger is None
    assert "nothing is lost" not in "".join(traceback.format_exception(caught.value))
    assert not stage.ledger.exists()


def test_a_second_run_with_a_finished_ledger(stage: Stage) -> None:
    """A name that holds a finished job: when, how many, and that another name is needed."""
    stage.load(4, 4)
    stage.apply(stage.plan(1))
    writes = len(stage.writes)
    with pytest.raises(LedgerError) as caught:
        stage.apply(stage.plan(2))
    text = str(caught.value)
    assert "holds the finished job of another plan, done on " in text
    assert "4 archived, 0 skipped" in text
    assert "name another ledger" in text
    assert "resume(" not in text
    assert caught.value.ledger == stage.ledger
    assert len(stage.writes) == writes


@pytest.mark.parametrize("after_writes", [0, 1])
def test_a_second_run_with_an_unfinished_ledger(stage: Stage, after_writes: int) -> None:
    """A name that holds an unfinished job: how far, and the line that finishes it."""
    stage.load(4, 4)
    first, second = stage.plan(1), stage.plan(2)
    stage.sandbox.faults.add("status", status=403, method="PUT", after=after_writes)
    with pytest.raises(PermissionDeniedError):
        stage.apply(first)
    with pytest.raises(LedgerError) as caught:
        stage.apply(second)
    text = str(caught.value)
    assert "holds an unfinished job of another plan" in text
    assert (
        f"{after_writes} archived, 0 skipped, 0 failed, 0 unknown, {4 - after_writes} pending"
        in text
    )
    assert f"Finish it first: resume({str(stage.ledger)!r}, client)" in text
    stage.check(resume(stage.ledger, stage.client), archived=4)


def test_an_older_job_that_does_not_end_says_that_nothing_was_sent(stage: Stage) -> None:
    """Re-enroll beside an import of the same account: which job is open, and what to do."""
    stage.load(4)
    stage.line.once(lambda one: one.is_write, stage.hang_jobs, after=True)
    body = {"course_id": [1], "user_id": [1001, 1002], "enrollment_mode": "re_enroll"}
    stage.client.request("PUT", "/learn/v1/enrollments", json=body)
    stage.change("UPDATE jobs SET name = 'Import users'")
    (number,) = stage.sql("SELECT hash FROM jobs")[0]
    client = stage.connect(limits=Limits(job_timeout=60))
    job = ArchiveJob.for_course(1, **AGAIN).users([1003, 1004])
    with pytest.raises(JobTimeoutError) as caught:
        job.plan(client).apply(client, ledger=stage.ledger)
    text = str(caught.value)
    assert f"background job {number} (Import users) of this account has not ended" in text
    assert "Nothing was sent" in text
    assert "unknown" not in text
    assert caught.value.job_id == number
    assert _last_line(caught.value) == _note(stage, "0 of 2 done")
    stage.end_jobs()
    assert resume(stage.ledger, stage.client).counts["archived"] == 2


def test_an_unrelated_job_beside_a_lost_answer_is_not_called_ours(stage: Stage) -> None:
    """Rows in doubt stay unknown, and the text does not say that the open job is theirs."""
    stage.load(4)
    planned = stage.plan()

    def lose() -> None:
        stage.hang_jobs()
        stage.change("UPDATE jobs SET name = 'Import users'")
        raise ConnectionResetError(104, "Connection reset by peer")

    stage.line.once(of_many, lose, after=True)
    with pytest.raises(JobTimeoutError, match=r"\(Import users\) of this account has not ended"):
        stage.apply(planned)
    stage.end_jobs()
    stage.check(resume(stage.ledger, stage.client), archived=4)
