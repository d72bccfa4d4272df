"""Every stop says how far the job got and what to type next."""

import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from plan_tools import archive_by_hand, check, interrupt, of_many, plan, run_interrupted
from virtual_time import Harness

from lms_archive import (
    ApiError,
    InvalidInputError,
    Limits,
    LmsArchiveError,
    RunStoppedError,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    JobTimeoutError,
    PermissionDeniedError,
    PlatformUnavailableError,
    TooManyAffectedError,
    UnexpectedArchiveError,
)

HAS_NOTES = sys.version_info >= (3, 11)


def _last_line(error: BaseException) -> str:
    """Return the last line that Python prints of an error."""
    return traceback.format_exception(error)[-1].splitlines()[-1]


def _note(harness: Harness, done: str) -> str:
    return f"{done}; nothing is lost; resume({str(harness.ledger)!r}, client)"


def _prepare_outage(harness: Harness) -> None:
    harness.sandbox.faults.add("503", operation="archived_course_enrollments", after=2, times=99)


def _prepare_refusal(harness: Harness) -> None:
    harness.sandbox.faults.add("status", status=403, method="PUT", after=1)


def _prepare_canary(harness: Harness) -> None:
    harness.sandbox.faults.add("status", status=400, method="PUT")


def _prepare_race(harness: Harness) -> None:
    harness.line.once(of_many, lambda: harness.enroll_anew(1, 1003))


def _prepare_unenrolled(harness: Harness) -> None:
    harness.line.once(of_many, lambda: harness.unenroll(1, 1003))


def _prepare_hanging_job(harness: Harness) -> None:
    harness.line.once(of_many, harness.hang_jobs, after=True)


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
    harness: Harness, prepare: Callable[[Harness], None], family: type[LmsArchiveError], done: str
) -> None:
    """The last line of the traceback: how far, and the line to type; it survives a pickle."""
    harness.load(4, 4)
    planned = harness.plan()
    prepare(harness)
    with pytest.raises(family) as caught:
        harness.apply(planned)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301  our own
        assert (type(error), str(error)) == (type(caught.value), str(caught.value))
        assert error.ledger == harness.ledger
        assert _last_line(error) == _note(harness, done)
        assert _note(harness, done) in (
            str(error) if not HAS_NOTES else "\n".join(getattr(error, "__notes__", ()))
        )


def test_each_stop_has_its_own_note(harness: Harness) -> None:
    """A second stop has its own note, and only that."""
    harness.load(4, 4)
    planned = harness.plan()
    harness.sandbox.faults.add("503", operation="archived_course_enrollments", after=2, times=99)
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            harness.apply(planned)
        assert "".join(traceback.format_exception(caught.value)).count("nothing is lost") == 1
    harness.sandbox.faults.clear()
    harness.check(resume(harness.ledger, harness.client), archived=8)


@pytest.mark.skipif(not HAS_NOTES, reason="foreign exceptions take notes from Python 3.11 on")
def test_ctrl_c_passes_through_with_the_note(harness: Harness) -> None:
    """KeyboardInterrupt stays what it is, and its last line says how to go on."""
    harness.load(4, 4)
    planned = harness.plan()
    harness.line.once(of_many, interrupt, after=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        harness.apply(planned)
    assert vars(caught.value)["__notes__"] == [_note(harness, "1 of 8 done")]
    harness.line.once(lambda exchange: exchange.is_poll, interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        resume(harness.ledger, harness.client)
    assert vars(caught.value)["__notes__"] == [_note(harness, "1 of 8 done")]


@pytest.mark.skipif(not HAS_NOTES, reason="foreign exceptions take notes from Python 3.11 on")
def test_what_a_listener_raises_has_the_note(harness: Harness) -> None:
    """An exception of the user's own code passes through with the note."""
    harness.load(3)
    with pytest.raises(ZeroDivisionError) as caught:
        harness.apply(on_event=lambda event: 1 // (event.kind != "decided"))
    assert _last_line(caught.value) == _note(harness, "1 of 3 done")


def test_the_note_is_logged_too(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """A program that logs and swallows the error still leaves the line to type."""
    harness.load(3)
    harness.sandbox.faults.add("status", status=403, method="PUT")
    with pytest.raises(PermissionDeniedError):
        harness.apply()
    assert f"stopped: {_note(harness, '0 of 3 done')}" in caplog.messages


def test_the_ledger_is_named_as_it_was_given(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative name stays one: the line can be typed in the same folder."""
    harness.load(3)
    monkeypatch.chdir(harness.folder)
    harness.sandbox.faults.add("status", status=403, method="PUT", times=2)
    planned = harness.plan()
    for name in ("lp.sqlite", Path("lp.sqlite")):
        with pytest.raises(PermissionDeniedError) as caught:
            planned.apply(harness.client, ledger=name)
        assert _last_line(caught.value).endswith("resume('lp.sqlite', client)")
    assert caught.value.ledger == harness.folder / "lp.sqlite"


@pytest.mark.parametrize(
    ("options", "family"),
    [
        ({"max_affected": 1}, TooManyAffectedError),
        ({"canary": -1}, InvalidInputError),
    ],
)
def test_a_resume_that_is_refused_says_it_too(
    harness: Harness, options: dict[str, object], family: type[LmsArchiveError]
) -> None:
    """Whatever is wrong with the arguments, the ledger stands where it stood."""
    harness.load(4, 4)
    run_interrupted(harness, after=True)
    with pytest.raises(family) as caught:
        resume(harness.ledger, harness.client, **options)  # type: ignore[arg-type]
    assert caught.value.ledger == harness.ledger
    assert _last_line(caught.value) == _note(harness, "1 of 8 done")


def test_before_there_is_a_ledger_there_is_nothing_to_resume(harness: Harness) -> None:
    """An error that comes first carries no ledger and no note."""
    harness.load(3)
    planned = harness.plan()
    harness.sandbox.faults.add("503", operation="archived_course_enrollments", times=99)
    with pytest.raises(PlatformUnavailableError) as caught:
        harness.apply(planned)
    assert caught.value.ledger is None
    assert "nothing is lost" not in "".join(traceback.format_exception(caught.value))
    assert not harness.ledger.exists()


def test_an_older_job_that_does_not_end_says_that_nothing_was_sent(harness: Harness) -> None:
    """Re-enroll beside a job of the same account: which one is open, what to do; then all once."""
    harness.load(4)
    harness.line.once(lambda exchange: exchange.is_write, harness.hang_jobs, after=True)
    archive_by_hand(harness.client, 1, 1001, 1002, mode="re_enroll")
    harness.change("UPDATE jobs SET name = 'Import users'")
    (number,) = harness.sql("SELECT hash FROM jobs")[0]
    client = harness.connect(limits=Limits(job_timeout=60))
    planned = plan(harness, courses=[1], mode="re-enroll")
    with pytest.raises(JobTimeoutError) as caught:
        planned.apply(client, ledger=harness.ledger)
    text = str(caught.value)
    assert f"background job {number} (Import users) of this account has not ended" in text
    assert "Nothing was sent" in text
    assert "unknown" not in text
    assert caught.value.job_id == number
    assert len(harness.writes) == 1
    assert _last_line(caught.value) == _note(harness, "0 of 4 done")
    harness.end_jobs()
    harness.time.sleep(1)
    result = resume(harness.ledger, harness.client)
    check(harness, result, again=True, archived=4)
    meanwhile = {
        outcome.user for outcome in result.outcomes if outcome.code == "archived_meanwhile"
    }
    assert meanwhile == {1001, 1002}


def test_an_unrelated_job_beside_a_lost_answer_is_not_called_ours(harness: Harness) -> None:
    """Rows in doubt stay unknown, and the text does not say that the open job is theirs."""
    harness.load(4)
    planned = harness.plan()

    def lose() -> None:
        harness.hang_jobs()
        harness.change("UPDATE jobs SET name = 'Import users'")
        raise ConnectionResetError(104, "Connection reset by peer")

    harness.line.once(of_many, lose, after=True)
    with pytest.raises(JobTimeoutError, match=r"\(Import users\) of this account has not ended"):
        harness.apply(planned)
    harness.end_jobs()
    harness.check(resume(harness.ledger, harness.client), archived=4)
