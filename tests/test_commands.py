"""`python -m lms_archive status` and `resume`: what they print, and how they end."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Exchange, Harness

from lms_archive import ArchiveJob, Client, LmsArchiveError, RetryPolicy, resume
from lms_archive.__main__ import _csv_command, main
from lms_archive.archive import RunEvent
from lms_archive.archive.ledger.lock import hold
from lms_archive.errors import CanaryFailedError, PlatformUnavailableError

DONE, LOOK, UNUSABLE, LATER, STOPPED = range(5)
COMMAND = "python -m lms_archive"
Out = pytest.CaptureFixture[str]


@pytest.fixture
def env(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The harness's platform in the environment, as a shell would have it, and its time."""
    for name, value in harness.sandbox.env().items():
        monkeypatch.setenv(name, value)
    from_env = Client.from_env
    monkeypatch.setattr(
        Client,
        "from_env",
        lambda **given: harness.time.wire(from_env(transport=harness.line, **given)),
    )
    return monkeypatch


def interrupted(harness: Harness, count: int = 3) -> str:
    """A ledger whose job lost its connection after the first enrollment."""
    harness.load(count)
    harness.sandbox.faults.add("503", operation="archive_course_enrollments", after=1)
    client = harness.connect(retry=RetryPolicy(attempts=1, settle=0))
    harness.sandbox.faults.add("503", operation="archived_course_enrollments", after=2)
    with pytest.raises(LmsArchiveError):
        harness.plan().apply(client, ledger=harness.ledger)
    return str(harness.ledger)


def test_status_of_a_finished_job(harness: Harness, capsys: Out) -> None:
    """Offline: no variable is set, and nothing is asked of the platform."""
    harness.load(3)
    harness.apply()
    calls = len(harness.sandbox.calls)
    assert main(["status", str(harness.ledger)]) == DONE
    printed = capsys.readouterr()
    assert printed.out.startswith("3 archived, 0 skipped, 0 failed, 0 unknown")
    assert printed.out.endswith("\nFinished.\n")
    assert printed.err == ""
    assert len(harness.sandbox.calls) == calls


def test_status_of_an_unfinished_job_says_what_to_type(harness: Harness, capsys: Out) -> None:
    """The last line is the command that goes on."""
    ledger = interrupted(harness)
    before = harness.ledger.read_bytes()
    assert main(["status", ledger]) == LATER
    assert capsys.readouterr().out.endswith(
        f"Not finished. To continue: python -m lms_archive resume {ledger}\n"
    )
    assert harness.ledger.read_bytes() == before


def test_status_names_the_rows_that_need_attention(harness: Harness, capsys: Out) -> None:
    """Who failed, and who could not be used; who needs nothing is not named."""
    harness.load(3)
    harness.sandbox.faults.add("job_partial", errors=1)
    rows = [{"username": f"u{1001 + i}", "course_code": "C1"} for i in range(3)]
    rows += [{"username": "u1001", "course_code": "NOPE"}, {"username": "no", "course_code": "C1"}]
    rows += [{"username": "u1001", "course_code": ""}]
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    result = harness.apply(job.plan(harness.client))
    assert result.counts["failed"] == 1
    assert main(["status", str(harness.ledger)]) == LOOK
    printed = capsys.readouterr().out
    assert re.search(
        r"^  1 not_archived, for example u\d+ in course 'C1': failed, ", printed, re.MULTILINE
    )
    assert "u1001 in course 'NOPE': skipped, no course has the code" in printed
    assert "no in course 'C1'" not in printed
    assert "\n  1 bad_row, for example skipped, no course or learning plan" in printed
    assert printed.endswith("Finished.\n")


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("content", [None, "not a ledger"])
@pytest.mark.parametrize("command", ["status", "resume"])
def test_a_file_that_is_no_ledger(
    harness: Harness, capsys: Out, command: str, content: str | None
) -> None:
    """One line says what is wrong; nothing is sent."""
    path = harness.folder / "x.sqlite"
    if content is not None:
        path.write_text(content)
    assert main([command, str(path)]) == UNUSABLE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "x.sqlite" in printed.err
    assert harness.sandbox.calls == []


@pytest.mark.usefixtures("env")
def test_resume_ends_a_job(harness: Harness, capsys: Out) -> None:
    """Progress goes to stderr, a line a step; the rest is archived, and nobody twice."""
    ledger = interrupted(harness)
    assert main(["resume", ledger]) == DONE
    printed = capsys.readouterr()
    assert printed.out.startswith("3 archived, 0 skipped, 0 failed, 0 unknown")
    lines = printed.err.splitlines()
    assert lines[-1].startswith("archiving: 3 of 3 rows done, ")
    assert lines[-1].endswith(", finished")
    assert set(harness.archived.values()) == {1}
    assert len(harness.archived) == 3
    assert main(["resume", ledger]) == DONE


def test_resume_with_a_prefix(harness: Harness, env: pytest.MonkeyPatch, capsys: Out) -> None:
    """The variables of another platform are left alone."""
    ledger = interrupted(harness)
    for name, value in harness.sandbox.env().items():
        env.setenv(name.replace("LMS_ARCHIVE_", "ACME_"), value)
        env.setenv(name, "https://other.example.com")
    assert main(["resume", ledger, "--prefix", "ACME_"]) == DONE
    assert capsys.readouterr().out.startswith("3 archived")


def power_user(harness: Harness, env: pytest.MonkeyPatch) -> None:
    """The account has lost its role."""
    for name, value in harness.sandbox.env("power_user_without").items():
        env.setenv(name, value)


def no_account(harness: Harness, env: pytest.MonkeyPatch) -> None:
    """Nothing is set."""
    for name in harness.sandbox.env():
        env.delenv(name)


def elsewhere(_: Harness, env: pytest.MonkeyPatch) -> None:
    """Another platform is set."""
    env.setenv("LMS_ARCHIVE_URL", "https://other.example.com")


ENDS: dict[str, tuple[Callable[[Harness, pytest.MonkeyPatch], None], int, str]] = {
    "another platform": (elsewhere, UNUSABLE, "this client is for https://other.example.com"),
    "nothing set": (no_account, UNUSABLE, "not set in the environment: LMS_ARCHIVE_URL"),
    "a lost role": (
        power_user,
        STOPPED,
        "PermissionDeniedError: .*; find the cause, then run: python",
    ),
}


@pytest.mark.parametrize(("change", "code", "text"), ENDS.values(), ids=ENDS.keys())
def test_how_resume_ends(
    harness: Harness, env: pytest.MonkeyPatch, capsys: Out, change: Any, code: int, text: str
) -> None:
    """The exit codes are those of the nightly script; the last line says what to do."""
    ledger = interrupted(harness)
    change(harness, env)
    assert main(["resume", ledger]) == code
    assert re.search(text, capsys.readouterr().err.splitlines()[-1])


@pytest.mark.usefixtures("env")
def test_resume_beside_another_process(harness: Harness, capsys: Out) -> None:
    """A ledger in use is left alone: the other process ends its job."""
    ledger = interrupted(harness)
    calls = len(harness.sandbox.calls)
    with hold(harness.ledger):
        assert main(["resume", ledger]) == LATER
    assert "in use by pid" in capsys.readouterr().err
    assert len(harness.sandbox.calls) == calls


@pytest.mark.usefixtures("env")
def test_a_platform_that_is_down(harness: Harness, capsys: Out) -> None:
    """It passes: the next resume goes on."""
    ledger = interrupted(harness)
    for _ in range(6):
        harness.sandbox.faults.add("503", operation="session")
        harness.sandbox.faults.add("503", operation="archived_course_enrollments")
    assert main(["resume", ledger]) == LATER
    assert capsys.readouterr().err.endswith(f"to continue: python -m lms_archive resume {ledger}\n")
    assert main(["resume", ledger]) == DONE


@pytest.mark.usefixtures("env")
def test_ctrl_c(harness: Harness, capsys: Out) -> None:
    """A line that says how to go on, and no traceback."""
    ledger = interrupted(harness)

    def press() -> None:
        raise KeyboardInterrupt

    harness.line.once(lambda exchange: exchange.is_write, press)
    assert main(["resume", ledger]) == LATER
    last = f"lms_archive: interrupted; nothing is lost; to continue: {COMMAND} resume {ledger}\n"
    assert capsys.readouterr().err.endswith(last)
    assert main(["resume", ledger]) == DONE


@pytest.mark.parametrize(
    ("command", "closed"), [("status", "stdout"), ("resume", "stdout"), ("resume", "stderr")]
)
def test_a_reader_that_has_seen_enough(harness: Harness, command: str, closed: str) -> None:
    """`| head` neither stops a job nor hides how it ended."""
    harness.load(2)
    harness.sandbox.faults.add("status", status=403, method="PUT", after=1)
    with pytest.raises(LmsArchiveError):
        harness.apply()
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: writing}
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "lms_archive", command, str(harness.ledger)],
        env={**os.environ, **harness.sandbox.env()},
        check=False,
        **streams,  # type: ignore[call-overload]
    )
    os.close(writing)
    assert done.returncode == (LATER if command == "status" else DONE)
    assert len(harness.archived) == (1 if command == "status" else 2)


def test_the_command_to_go_on_can_be_pasted(harness: Harness, capsys: Out) -> None:
    """A path with a space is quoted."""
    ledger = harness.folder / "of june.sqlite"
    Path(interrupted(harness)).rename(ledger)
    assert main(["status", str(ledger)]) == LATER
    assert capsys.readouterr().out.endswith(f"python -m lms_archive resume '{ledger}'\n")


@pytest.mark.parametrize("command", ["status", "resume"])
def test_help(capsys: Out, command: str) -> None:
    """The help has the exit codes."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "3 not finished" in " ".join(capsys.readouterr().out.split())


def test_status_says_which_process_is_at_work(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a job runs there is nothing to resume."""
    harness.load(3)

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            assert main(["status", str(harness.ledger)]) == LATER

    harness.line.before.append(look)
    harness.apply()
    printed = capsys.readouterr().out
    assert f"Not finished: {harness.ledger}: in use by pid {os.getpid()} on " in printed
    assert "resume" not in printed.rpartition("Not finished")[2]


def test_status_says_that_the_first_enrollment_was_not_archived(
    harness: Harness, capsys: Out
) -> None:
    """Until it is proven, or the user continues without it."""
    warning = (
        "The first enrollment was not archived as requested. Find the cause before you resume."
    )
    harness.load(4)
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.unenroll(1, 1001))
    with pytest.raises(CanaryFailedError):
        harness.apply()
    assert main(["status", str(harness.ledger)]) == LATER
    *_, line, last = capsys.readouterr().out.splitlines()
    assert (line, last[:12]) == (warning, "Not finished")
    with pytest.raises(KeyboardInterrupt):
        resume(harness.ledger, harness.client, canary=0, on_event=_interrupt)
    assert main(["status", str(harness.ledger)]) == LATER
    assert warning not in capsys.readouterr().out


def _interrupt(*_: RunEvent) -> None:
    raise KeyboardInterrupt


def test_status_of_an_interrupted_job_does_not_say_that_the_canary_failed(
    harness: Harness, capsys: Out
) -> None:
    """A job that was stopped by an outage goes on."""
    assert main(["status", interrupted(harness)]) == LATER
    assert "first enrollment" not in capsys.readouterr().out


@pytest.mark.usefixtures("env")
def test_a_stop_is_explained_once(harness: Harness, capsys: Out) -> None:
    """The line of progress names the error; the next line explains it, without line breaks."""
    harness.load(3)
    harness.line.once(lambda exchange: exchange.is_write, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        harness.apply()
    harness.line.once(lambda exchange: exchange.is_write, lambda: harness.unenroll(1, 1001))
    assert main(["resume", str(harness.ledger)]) == STOPPED
    *_, progress, last = capsys.readouterr().err.splitlines()
    assert progress.endswith("stopped: CanaryFailedError")
    assert last.startswith("lms_archive: CanaryFailedError: the first enrollment, sent alone, ")
    assert "\\n" not in last


def test_status_says_how_to_get_the_rows_as_a_csv(
    harness: Harness, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader has no Python object; the command can be pasted."""
    harness.load(2)
    rows = [{"user_id": 1001, "course_id": course} for course in (1, 7)]
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    harness.apply(job.plan(harness.client))
    assert main(["status", str(harness.ledger)]) == LOOK
    printed = capsys.readouterr().out
    assert "\n1 row needs attention:\n  1 unknown_course, for example " in printed
    assert "result." not in printed
    (command,) = re.findall(r"^To get all of them as a CSV: (.*)$", printed, re.MULTILINE)
    python, *arguments = shlex.split(command)
    assert python == "python"
    monkeypatch.chdir(harness.folder)
    subprocess.run([sys.executable, *arguments], check=True)  # noqa: S603  our own command
    assert "unknown_course" in (harness.folder / "attention.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["it's.sqlite", 'a "b".sqlite', "$x.sqlite", "a b.sqlite"])
def test_the_command_for_a_csv_can_be_pasted(name: str) -> None:
    """Whatever the path has in it."""
    python, option, code = shlex.split(_csv_command(name))
    assert (python, option) == ("python", "-c")
    assert f"ArchiveResult({name!r}).needs_attention" in code
    compile(code, "", "exec")
    if "$" in name:
        assert _csv_command(name).startswith("python -c 'from")


def test_pending_rows_are_counted_in_plain_words(harness: Harness, capsys: Out) -> None:
    """Without a method to call."""
    assert main(["status", interrupted(harness)]) == LATER
    printed = capsys.readouterr().out
    assert re.search(r"^\d rows pending$", printed, re.MULTILINE)
    assert "client" not in printed


def test_a_missing_ledger_comes_before_missing_settings(
    harness: Harness, env: pytest.MonkeyPatch, capsys: Out
) -> None:
    """`resume` looks for the ledger first."""
    no_account(harness, env)
    assert main(["resume", str(harness.folder / "nope.sqlite")]) == UNUSABLE
    assert "there is no such ledger" in capsys.readouterr().err


def test_a_sentence_ends_before_the_command(
    env: pytest.MonkeyPatch, harness: Harness, capsys: Out
) -> None:
    """No full stop and semicolon in a row."""
    ledger = interrupted(harness)

    def fail(**_: Any) -> None:
        raise PlatformUnavailableError("GET", "/x", message="The platform cannot answer now.")

    env.setattr(Client, "from_env", fail)
    assert main(["resume", ledger]) == LATER
    assert "cannot answer now; to continue: " in capsys.readouterr().err
