"""`plan(..., progress=True)`: targets, calls and waits, and a last line that stays."""

import sys

import pytest
from archive_tools import from_rows
from plan_tools import AGAIN
from virtual_time import Harness

from lms_archive import ArchiveJob, InvalidInputError, RetryPolicy
from lms_archive.errors import PlatformUnavailableError

Out = pytest.CaptureFixture[str]


@pytest.fixture
def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def test_a_bar_counts_targets(harness: Harness, capsys: Out) -> None:
    """It is drawn by tqdm, and a line follows."""
    harness.load(2, 2, 2)
    client = harness.connect(calls_per_hour=500)
    harness.job().plan(client, progress=True)
    *_, bar, closing = capsys.readouterr().err.rstrip().splitlines()
    last = bar.rsplit("\r", 1)[-1]
    assert "planning: 100%" in last
    assert "3/3" in last
    assert "calls left=4" in last
    assert closing.startswith("planning: 3 targets read, ")
    assert closing.endswith(" calls left in this hour, finished")


@pytest.mark.usefixtures("without_tqdm")
def test_each_step_has_its_lines(harness: Harness, capsys: Out) -> None:
    """Reading, looking for what was archived lately, explaining; the same plan as without."""
    harness.load(2, 2)
    rows = [{"user_id": user, "course_id": 1} for user in (1001, 1002, 5)]
    job = from_rows(rows, **AGAIN) + ArchiveJob.for_course(2, **AGAIN).users([1001])
    plan = job.plan(harness.client, explain=True, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("planning: 2 targets read, ") for line in lines)
    assert any(line.startswith("planning: 2 targets read, 2 targets checked, ") for line in lines)
    start = "planning: 2 targets read, 2 targets checked, 1 target explained, "
    assert lines[-1].startswith(start)
    assert lines[-1].endswith(" calls made, finished")
    assert job.plan(harness.client, explain=True).digest == plan.digest
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("without_tqdm")
def test_targets_that_are_read_together_have_one_line(harness: Harness, capsys: Out) -> None:
    """Of many targets, at most ten lines are written for a step."""
    harness.load(*[1] * 40)
    harness.job().plan(harness.client, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 12
    assert lines[-2].startswith("planning: 40 targets read, ")


@pytest.mark.usefixtures("without_tqdm")
def test_a_long_wait_has_a_line(harness: Harness, capsys: Out) -> None:
    """The limit of calls may take most of the time."""
    harness.load(2, 2)
    client = harness.connect(calls_per_hour=3)
    harness.job().plan(client, progress=True)
    waits = [line for line in capsys.readouterr().err.splitlines() if "waiting" in line]
    assert waits
    assert waits[0].endswith(" s (rate limit)")


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_the_last_line_says_why_planning_stopped(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Out,
    has_tqdm: bool,  # noqa: FBT001
) -> None:
    """With a bar and without one."""
    harness.load(2)
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    harness.sandbox.faults.add("503", operation="course_enrollments", times=9)
    client = harness.connect(retry=RetryPolicy(attempts=1))
    with pytest.raises(PlatformUnavailableError):
        harness.job().plan(client, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("planning: ")
    assert "stopped: PlatformUnavailableError: GET /course/v1/courses/1/enrollments: 503" in last


def test_progress_is_a_decision(harness: Harness) -> None:
    """A function is for `on_event` of `apply`."""
    harness.load(1)
    with pytest.raises(InvalidInputError, match="progress must be True or False, not"):
        harness.job().plan(harness.client, progress=print)  # type: ignore[arg-type]
