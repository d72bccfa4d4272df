"""The nightly script of the docs: each exit code, and what the next night makes of it."""

import csv
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from python_process import run_python
from virtual_time import Harness

from lms_archive import RetryPolicy
from lms_archive.sandbox import Sandbox

SCRIPT = Path(__file__).parent.parent / "docs" / "examples" / "nightly.py"
DONE, LOOK, UNUSABLE, LATER, STOPPED = range(5)


Night = Callable[..., int]


@pytest.fixture
def night(harness: Harness) -> Night:
    """One run of the script over three enrollments, in virtual time."""
    harness.load(3)
    path = harness.folder / "inactive.csv"
    path.write_text("user_id,course_id\n1001,1\n1002,1\n1003,1\n", encoding="utf-8")
    (harness.folder / "evidence").mkdir()
    run_alone = runpy.run_path(str(SCRIPT))["run_alone"]

    def run(role: str = "superadmin", max_affected: int = 10) -> int:
        client = harness.connect(role, retry=RetryPolicy(attempts=1))
        code = run_alone(client, path, harness.folder / "evidence", max_affected)
        assert isinstance(code, int)
        return code

    return run


def _left(harness: Harness) -> set[str]:
    return {path.suffix or path.name for path in (harness.folder / "evidence").iterdir()}


def test_a_good_night_and_one_with_nothing_to_do(harness: Harness, night: Night) -> None:
    """The evidence is put away; the second night sends nothing."""
    assert night() == DONE
    assert len(harness.archived) == 3
    assert {".csv", ".sqlite"} <= _left(harness)
    assert not (harness.folder / "evidence" / "current.sqlite").exists()
    writes = len(harness.writes)
    assert night() == DONE
    assert len(harness.writes) == writes


@pytest.mark.parametrize("after", [1, 2])
def test_a_passing_error_is_resumed_by_the_next_night(
    harness: Harness, night: Night, after: int
) -> None:
    """A platform that is down ends the run; the next one ends the job, and no one is sent twice."""
    harness.sandbox.faults.add("503", operation="archived_course_enrollments", after=after)
    assert night() == LATER
    assert (harness.folder / "evidence" / "current.sqlite").exists()
    assert night() == DONE
    assert set(harness.archived.values()) == {1}
    assert len(harness.archived) == 3


def test_a_lasting_error_waits_for_a_person(harness: Harness, night: Night) -> None:
    """The next nights ask nothing of the platform until the file is deleted."""
    assert night("power_user_without") == STOPPED
    calls = len(harness.sandbox.calls)
    assert night() == STOPPED
    assert len(harness.sandbox.calls) == calls
    marker = harness.folder / "evidence" / "STOPPED"
    assert marker.read_text(encoding="utf-8").startswith("PermissionDeniedError: ")
    marker.unlink()
    assert night() == DONE
    assert len(harness.archived) == 3


def test_failed_rows_end_with_the_code_to_look(harness: Harness, night: Night) -> None:
    """One of the chunk's rows stays active."""
    harness.sandbox.faults.add("job_partial", errors=1)
    assert night() == LOOK
    assert len(harness.archived) == 2


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ("u1001,NOPE\n,C1\n", ["unknown_course", "bad_row"]),
        ("nobody,C1\n", ["not_enrolled"]),
    ],
)
def test_an_unusable_list_ends_with_the_code_to_look(
    harness: Harness, night: Night, caplog: pytest.LogCaptureFixture, rows: str, codes: list[str]
) -> None:
    """The reasons are kept as CSV, a warning names the file, and the code says to look."""
    (harness.folder / "inactive.csv").write_text(f"username,course_code\n{rows}", encoding="utf-8")
    assert night() == LOOK
    (reasons,) = (harness.folder / "evidence").glob("*.csv")
    with reasons.open(encoding="utf-8", newline="") as file:
        assert [row["plan_code"] for row in csv.DictReader(file)] == codes
    (record,) = [
        record
        for record in caplog.records
        if record.name == "nightly" and record.levelname == "WARNING"
    ]
    assert reasons.name in record.getMessage()
    assert harness.writes == []


def test_a_list_without_enrollments_is_reported_once(harness: Harness, night: Night) -> None:
    """The second night with the same list is quiet; another list is reported again."""
    path = harness.folder / "inactive.csv"
    path.write_text("username,course_code\nnobody,C1\n", encoding="utf-8")
    assert [night(), night()] == [LOOK, DONE]
    path.write_text("username,course_code\nnoone,C1\n", encoding="utf-8")
    assert [night(), night()] == [LOOK, DONE]
    path.write_text("username,course_code\n", encoding="utf-8")
    assert night() == DONE


def test_unusable_rows_end_with_the_code_to_look(harness: Harness, night: Night) -> None:
    """The others are archived, and the code says to look."""
    path = harness.folder / "inactive.csv"
    path.write_text("username,course_code\nu1001,C1\nu1002,NOPE\n", encoding="utf-8")
    assert night() == LOOK
    assert list(harness.archived) == [(1, 1001)]


def test_more_than_the_limit_waits_for_a_person(harness: Harness, night: Night) -> None:
    """Nothing is sent."""
    assert night(max_affected=2) == STOPPED
    assert harness.writes == []


def test_two_runs_at_once(harness: Harness, night: Night) -> None:
    """The second leaves the first alone."""
    codes: list[int] = []
    harness.line.once(lambda exchange: exchange.is_write, lambda: codes.append(night()))
    assert night() == DONE
    assert codes == [LATER]
    assert set(harness.archived.values()) == {1}


def test_as_cron_starts_it(tmp_path: Path) -> None:
    """The whole script in a process of its own: quiet on stderr, a log in the folder."""
    (tmp_path / "in.csv").write_text("username,course_code\nada,C1\n", encoding="utf-8")
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"username": "ada"}],
            courses=[{"code": "C1"}],
            enrollments=[
                {"username": "ada", "course_code": "C1", "enrollment_status": "completed"}
            ],
        )
        done = run_python(SCRIPT, "in.csv", "evidence", env=sandbox.env(), cwd=tmp_path)
        (record,) = sandbox.client().archived.in_course(1)
    assert record.user.username == "ada"
    assert (done.returncode, done.stderr) == (DONE, "")
    assert "'to_archive': 1" in (tmp_path / "evidence" / "nightly.log").read_text(encoding="utf-8")


def test_wrong_arguments_and_settings_have_their_exit_code(tmp_path: Path) -> None:
    """What is missing is named."""
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT))["main"](["in.csv"])
    assert caught.value.code == UNUSABLE
    done = run_python(SCRIPT, "in.csv", "evidence", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert "LMS_ARCHIVE_URL" in done.stderr
    assert "Traceback" not in done.stderr
