"""What a running job reports: events in order, a progress bar, a note."""

import csv
import io
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing

import pytest
from archive_tools import from_rows
from plan_tools import of_many
from virtual_time import Harness

from lms_archive import ArchiveResult, Limits, resume
from lms_archive.archive import RunEvent
from lms_archive.errors import JobTimeoutError


def test_each_step_is_an_event_in_order(harness: Harness) -> None:
    """Sending, submitted and decided for the canary and each chunk; then finished; all is JSON."""
    harness.load(6, 3)
    events: list[RunEvent] = []
    result = harness.apply(on_event=events.append)
    kinds = [event.kind for event in events if event.kind != "waiting"]
    assert kinds[:4] == ["started", "sending", "submitted", "decided"]
    assert kinds[-1] == "finished"
    assert Counter(kinds) == {
        "started": 1, "sending": 3, "submitted": 3, "decided": 3, "finished": 1,
    }  # fmt: skip
    assert [event.rows for event in events if event.kind == "sending"] == [1, 5, 3]
    for kind in ("sending", "submitted", "decided"):
        assert [event.target for event in events if event.kind == kind] == ["C1", "C1", "C2"]
    decided = [event for event in events if event.kind == "decided"]
    assert [event.done for event in decided] == [1, 6, 9]
    assert [event.outcomes for event in decided] == [{"archived": n} for n in (1, 5, 3)]
    assert (events[-1].done, events[-1].total) == (9, 9)
    assert (events[-1].chunks_sent, events[-1].chunks) == (2, 2)
    assert events[-1].calls_left is None
    assert result.note is None
    sent = [json.loads(json.dumps(event.to_dict())) for event in events]
    assert [RunEvent(**values) for values in sent] == events


def test_an_event_is_in_the_ledger_before_it_is_reported(harness: Harness) -> None:
    """A listener can read the same from the file."""
    harness.load(3)
    seen: list[bool] = []

    def look(event: RunEvent) -> None:
        if event.kind == "decided":
            counts = ArchiveResult(harness.ledger).counts
            seen.append(sum(counts.values()) == event.done)

    harness.apply(on_event=look)
    assert seen == [True, True]


def test_the_calls_left_in_the_hour_are_reported(harness: Harness) -> None:
    """The budget goes down with every call."""
    harness.load(3)
    events: list[RunEvent] = []
    client = harness.connect(calls_per_hour=100)
    harness.job().plan(client).apply(client, ledger=harness.ledger, on_event=events.append)
    left = [event.calls_left or 0 for event in events]
    assert left == sorted(left, reverse=True)
    assert 50 < left[-1] < left[0] < 100


def test_what_a_listener_raises_stops_the_job_and_loses_nothing(harness: Harness) -> None:
    """Even between `sending` and the call."""
    harness.load(4)

    def fail(event: RunEvent) -> None:
        if event.kind == "sending" and event.rows > 1:
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        harness.apply(on_event=fail)
    harness.check(resume(harness.ledger, harness.client), archived=4)


def test_a_stop_is_an_event_and_resume_counts_on(harness: Harness) -> None:
    """`stopped` with the reason; `resume` begins with what is decided already."""
    harness.load(5)
    harness.line.once(of_many, harness.hang_jobs, after=True)
    events: list[RunEvent] = []
    with pytest.raises(JobTimeoutError):
        harness.apply(on_event=events.append)
    assert events[-1].kind == "stopped"
    assert (events[-1].reason or "").startswith("JobTimeoutError: background job")
    assert events[-1].done == 1
    harness.end_jobs()
    events.clear()
    harness.check(resume(harness.ledger, harness.client, on_event=events.append), archived=5)
    assert [(event.kind, event.done) for event in events][-2:] == [("decided", 5), ("finished", 5)]


def test_waits_are_reported_with_their_reason_and_not_kept(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """Job, percent and seconds; what is lost settles; nothing of it is in the ledger."""
    harness.load(3, 3)
    harness.sandbox.faults.add("cut_after", method="PUT", after=1)
    events: list[RunEvent] = []
    client = harness.connect(calls_per_hour=12)
    with caplog.at_level("INFO", logger="lms_archive"):
        harness.job().plan(client).apply(client, ledger=harness.ledger, on_event=events.append)
    waits = [event for event in events if event.kind == "waiting"]
    by_reason = {event.reason: event for event in waits}
    assert set(by_reason) == {"job", "rate limit", "settle"}
    assert by_reason["settle"].seconds == harness.client.session.settings.retry.settle
    assert all(event.seconds for event in waits)
    assert by_reason["job"].job_id in {job for (job,) in harness.sql("SELECT hash FROM jobs")}
    logged = [text.getMessage() for text in caplog.records if text.name == "lms_archive.wire.waits"]
    assert "waiting 60 s (settle)" in logged
    assert not any(text.startswith("waiting 2 s") for text in logged)
    with closing(sqlite3.connect(harness.ledger)) as ledger:
        kinds = {kind for (kind,) in ledger.execute("SELECT type FROM events")}
    assert kinds
    assert "waiting" not in kinds


def test_a_refused_call_is_reported_with_its_reason(harness: Harness) -> None:
    """The platform's own words are in the event."""
    harness.load(3, 2)
    harness.sandbox.faults.add("status", status=422, method="PUT", after=2)
    events: list[RunEvent] = []
    harness.apply(on_event=events.append)
    (refused,) = [event for event in events if event.kind == "refused"]
    assert "422" in (refused.reason or "")
    assert refused.target == "C2"


def test_a_progress_bar_counts_rows_chunks_and_calls(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    """To standard error, as tqdm does, with what has been sent and what is left."""
    harness.load(4, 2)
    client = harness.connect(calls_per_hour=500)
    harness.job().plan(client).apply(client, ledger=harness.ledger, progress=True)
    *_, bar, closing = capsys.readouterr().err.rstrip().splitlines()
    last = bar.rsplit("\r", 1)[-1]
    start = "archiving: 6 of 6 rows done, 2 of 2 chunks sent, 4"
    assert (closing[: len(start)], closing[-8:]) == (start, "finished")
    for text in ("archiving: 100%", "6/6", "chunks=2/2", "calls left=4", " rows/s"):
        assert text in last


def test_without_tqdm_progress_is_a_line_for_each_chunk(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To standard error, with a closing line."""
    harness.load(4, 2)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    harness.apply(progress=True)
    assert capsys.readouterr().err.splitlines() == [
        "archiving: 1 of 6 rows done, 1 of 2 chunks sent",
        "archiving: 4 of 6 rows done, 1 of 2 chunks sent",
        "archiving: 6 of 6 rows done, 2 of 2 chunks sent",
        "archiving: 6 of 6 rows done, 2 of 2 chunks sent, finished",
    ]


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_the_last_line_of_progress_says_why_a_job_stopped(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    has_tqdm: bool,
) -> None:
    """With a bar and without one; long waits have lines without one."""
    harness.load(5)
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    harness.line.once(of_many, harness.hang_jobs, after=True)
    with pytest.raises(JobTimeoutError):
        harness.apply(progress=True)
    lines = capsys.readouterr().err.splitlines()
    start = "archiving: 1 of 5 rows done, 1 of 1 chunks sent, "
    assert lines[-1].startswith(f"{start}stopped: JobTimeoutError: background job")
    waits = [line for line in lines if line.startswith(f"{start}waiting 30 s (background job at ")]
    assert bool(waits) is not has_tqdm


@pytest.mark.parametrize(("first_poll", "is_shown"), [(0.5, False), (5, True)])
def test_a_bar_shows_waits_from_a_second_on(
    harness: Harness, capsys: pytest.CaptureFixture[str], first_poll: float, *, is_shown: bool
) -> None:
    """A shorter one is over before it is read."""
    harness.load(3)
    client = harness.connect(limits=Limits(first_poll=first_poll))
    harness.job().plan(client).apply(client, ledger=harness.ledger, progress=True)
    assert ("waiting" in capsys.readouterr().err) is is_shown


def test_a_note_is_kept_in_the_ledger_and_in_each_outcome(harness: Harness) -> None:
    """A ticket's number, and another one when the job is resumed."""
    harness.load(2)
    job = harness.job() + from_rows([{"user_id": 5, "course_id": 1}])
    result = harness.apply(job.plan(harness.client), note="TICKET-7")
    assert result.note == "TICKET-7"
    path = harness.folder / "outcome.csv"
    result.to_csv(path)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [row["outcome_note"] for row in rows] == ["TICKET-7"] * 3
    resume(harness.ledger, harness.client, note="TICKET-8")
    assert result.note == "TICKET-7; TICKET-8"
