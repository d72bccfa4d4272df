"""What a user sees of an error that nobody catches: their line, ours, and the message."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from python_process import run_python
from wire_tools import answer, scripted

from lms_archive import Client, LmsArchiveError, RetryPolicy
from lms_archive.errors import PartialDeletionError
from lms_archive.sandbox import Sandbox

DOORS: dict[str, Callable[[Client], Any]] = {
    "get": lambda client: client.courses.get(99),
    "find": lambda client: client.learning_plans.find("NO"),
    "a list": lambda client: list(client.enrollments.in_course(99)),
    "a list by code": lambda client: list(client.archived.in_learning_plan("NO")),
    "pages": lambda client: next(client.archived.pages_in_course(99)),
    "a table": lambda client: client.enrollments.in_course(99).to_pandas(),
    "a csv": lambda client: client.enrollments.in_course(99).to_csv("no/such/folder.csv"),
    "request": lambda client: client.request("GET", "/no/such/call"),
    "courses of a plan": lambda client: list(client.learning_plans.courses(99)),
}


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames that a traceback shows behind the line of this module."""
    shown = traceback.extract_tb(error.__traceback__)
    return [frame for frame in shown if frame.filename != __file__]


@pytest.mark.parametrize("call", DOORS.values(), ids=DOORS.keys())
def test_one_frame_of_ours(call: Callable[[Client], Any]) -> None:
    """Whatever the door, one frame is behind the user's line."""
    with Sandbox() as sandbox:
        with pytest.raises(LmsArchiveError) as caught:
            call(sandbox.client())
        assert len(frames(caught.value)) == 1


def test_a_script_that_fails(tmp_path: Path) -> None:
    """A whole script: its line, one frame, and a sentence for a platform that is not there."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from lms_archive import ArchiveJob, Client, RetryPolicy, StaticToken\n"
        "client = Client('http://127.0.0.1:9', StaticToken('t'), retry=RetryPolicy(attempts=1))\n"
        "job = ArchiveJob.for_course('A', mode='unenroll', reset_tracking=False).users([1])\n"
        "plan = job.plan(client)\n"
    )
    done = run_python(script)
    lines = done.stderr.splitlines()
    shown = [line for line in lines if line.lstrip().startswith("File ")]
    assert len(shown) == 2
    assert shown[0].endswith("<module>")
    assert lines[-1] == (
        "lms_archive.errors.PlatformUnavailableError: GET /manage/v1/site/microservices: no "
        "connection could be made: Connection refused (is http://127.0.0.1:9 reachable from here?)"
    )
    assert "During handling" not in done.stderr


def test_the_cause_of_an_error_stays() -> None:
    """It is shown as well, and its frames are left out too."""
    with Sandbox() as sandbox:
        client = sandbox.client()
        client_error = PartialDeletionError("DELETE", "/x", deleted=[1])
        with pytest.raises(LmsArchiveError) as first:
            client.courses.get(99)
        cause = first.value

        def fail(*_: object) -> None:
            raise client_error from cause

        client.courses._fetch = fail  # type: ignore[assignment]
        with pytest.raises(PartialDeletionError) as caught:
            client.courses.get(1)
    assert caught.value.__cause__ is cause
    assert cause.__traceback__ is None


def test_the_whole_traceback_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Who logs at DEBUG sees where in the library it happened."""
    client, _ = scripted(answer({"message": "no"}, 404), retry=RetryPolicy(attempts=1))
    with (
        caplog.at_level(logging.DEBUG, logger="lms_archive"),
        pytest.raises(LmsArchiveError) as caught,
    ):
        client.courses.get(1)
    assert any(frame.filename.endswith("session.py") for frame in frames(caught.value))


def test_other_exceptions_keep_their_traceback() -> None:
    """Only our own errors are shortened: a bug of ours must be findable."""

    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    client, _ = scripted(broken)
    with pytest.raises(ZeroDivisionError) as caught:
        client.courses.get(1)
    assert any(frame.filename.endswith("session.py") for frame in frames(caught.value))
