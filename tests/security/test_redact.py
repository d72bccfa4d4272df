"""`redact(ledger)`: names are gone from every byte of the file; what proves the job stays."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from virtual_time import ENROLLED_AT, Harness

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    InvalidInputError,
    LmsArchiveError,
    redact,
    resume,
)
from lms_archive.archive.ledger import Ledger, read_events
from lms_archive.archive.values.events import (
    ContractChecked,
    Noted,
    Proven,
    Sending,
    UnexpectedRecords,
)
from lms_archive.errors import JobTimeoutError, LedgerError

UNENROLL: dict[str, Any] = {"mode": "unenroll", "reset_tracking": False}
NAMES = [f"zq{part}{i}" for i in range(4) for part in ("user", "first", "last", "mail")]


@pytest.fixture
def finished(harness: Harness) -> ArchiveResult:
    """A job with every kind of row, whose names are in every place where one can be."""
    people = range(4)
    harness.sandbox.load(
        users=[
            {
                "username": f"zquser{i}@example.com",
                "user_id": 1001 + i,
                "first_name": f"zqfirst{i}",
                "last_name": f"zqlast{i}",
            }
            for i in people
        ],
        courses=[{"code": "C1", "id_course": 1}, {"code": "C2", "id_course": 2}],
        enrollments=[
            {
                "user_id": 1001 + i,
                "id_course": 1,
                "enrollment_status": "completed" if i != 3 else "enrolled",
                "enrollment_created_at": ENROLLED_AT,
                "certificate_url": f"/certificates/zquser{i}.pdf",
            }
            for i in people
        ],
    )
    rows: list[dict[str, Any]] = [
        {
            "username": f"zquser{i}@example.com",
            "course_code": "C1",
            "E-mail": f"zqmail{i}@example.com",
            "Name": f"zqfirst{i} zqlast{i}",
            "user_id": None,
        }
        for i in people
    ]
    rows += [
        {**rows[0], "username": None, "user_id": "zquser0@example.com"},
        {**rows[0], "username": None, "course_code": "zqmail2@example.com", "user_id": "1002"},
        {**rows[0], "username": "zqlast1 nobody"},
        {**rows[1], "course_code": "zqlast2 " * 200},
    ]
    frame = pd.DataFrame(rows, index=[f"zqmail{i} zqlast{i}" for i in range(len(rows))])
    plan = ArchiveJob.from_rows(frame, **UNENROLL).plan(harness.client)
    return harness.apply(plan, note="asked for by zqfirst1")


def left(ledger: Path) -> list[str]:
    """The names that any byte of the ledger, or of what lies beside it, still holds."""
    files = [path for path in ledger.parent.iterdir() if ledger.name in path.name]
    assert ledger in files
    held = b"".join(path.read_bytes() for path in files).lower()
    return [name for name in NAMES if name.encode() in held or name.encode("utf-16-le") in held]


@pytest.mark.usefixtures("finished")
def test_no_name_is_left(harness: Harness) -> None:
    """Before, the file holds names; afterwards no byte of it, nor of a file beside it, does."""
    assert len(left(harness.ledger)) >= 12
    redact(harness.ledger)
    assert left(harness.ledger) == []
    assert sorted(path.name for path in harness.folder.iterdir() if "redacted" in path.name) == []
    assert stat.S_IMODE(harness.ledger.stat().st_mode) == 0o600


def test_what_proves_the_job_stays(harness: Harness, finished: ArchiveResult) -> None:
    """Counts, kinds, codes, ids, dates and calls are as they were."""
    before, counts = list(finished.outcomes), finished.counts
    calls, states = finished.calls, _states(harness.ledger)
    redact(harness.ledger)
    again = ArchiveResult(harness.ledger)
    assert (again.counts, again.calls, _states(harness.ledger)) == (counts, calls, states)
    assert counts["archived"] == 3
    assert counts["skipped"] == 5
    for old, new in zip(before, again.outcomes, strict=True):
        for name in ("kind", "code", "line", "user_id"):
            assert getattr(new, name) == getattr(old, name)
        assert new.reason == "redacted"
        assert list(new.row) == list(old.row)
        if old.record is not None:
            assert new.record is not None
            assert new.record.archiving == old.record.archiving
            assert new.record.user.user_id == old.record.user.user_id
            assert new.record.user.username is None
            assert new.record.enrollment == old.record.enrollment
            assert new.target == old.target
            assert new.user == old.user_id
            assert new.row["course_code"] == "C1"
    again.to_csv(harness.folder / "outcome.csv")
    assert "zq" not in (harness.folder / "outcome.csv").read_text()


def _states(ledger: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(ledger)) as database:
        return database.execute("SELECT chunk_id, type FROM events ORDER BY event").fetchall()


def test_it_is_finished_and_append_only_still(harness: Harness, finished: ArchiveResult) -> None:
    """`resume` makes no call; the digest is the one that was signed; there is no plan in it."""
    counts, before, calls = finished.counts, _meta(harness.ledger), len(harness.line.exchanges)
    redact(harness.ledger)
    assert resume(harness.ledger, harness.client).counts == counts
    assert len(harness.line.exchanges) == calls
    meta = _meta(harness.ledger)
    assert meta["redacted"] == "true"
    assert before["content"] == before["digest"] == meta["digest"] != meta["content"]
    with (
        closing(sqlite3.connect(harness.ledger)) as database,
        pytest.raises(sqlite3.Error, match="append-only"),
    ):
        database.execute("UPDATE outcomes SET kind = 'failed'")
    with pytest.raises(InvalidInputError, match="is a redacted ledger: its plan has no names"):
        ArchivePlan.load(harness.ledger)
    redact(harness.ledger)  # twice does no harm
    assert finished.counts == counts


def _meta(ledger: Path) -> dict[str, str]:
    with closing(sqlite3.connect(ledger)) as database:
        return dict(database.execute("SELECT name, value FROM meta").fetchall())


def test_names_in_the_texts_of_events(harness: Harness, finished: ArchiveResult) -> None:
    """The free text of an event goes; ids, counts and stages stay."""
    with Ledger.open(finished.ledger) as book:
        book.append(Noted("zqfirst1"), UnexpectedRecords("zqlast1", (5,)))
    redact(harness.ledger)
    assert left(harness.ledger) == []
    assert read_events(harness.ledger, UnexpectedRecords) == [UnexpectedRecords("redacted", (5,))]
    assert len(read_events(harness.ledger, ContractChecked)[0].contract) == 16
    assert read_events(harness.ledger, Proven) == [Proven("canary"), Proven("first_chunk")]


def test_an_unfinished_ledger_is_refused(harness: Harness) -> None:
    """Where rows are open names are needed: it says so, and the ledger is as it was."""
    harness.load(5)
    harness.line.once(
        lambda exchange: exchange.is_poll and len(harness.writes) > 1, harness.hang_jobs
    )
    with pytest.raises(JobTimeoutError):
        harness.apply()
    before = harness.ledger.read_bytes()
    words = r"not finished: 2 of 5 rows have no final outcome, .* resume\(\) fi"
    with pytest.raises(LedgerError, match=words):
        redact(harness.ledger)
    assert harness.ledger.read_bytes() == before
    harness.end_jobs()
    harness.check(resume(harness.ledger, harness.client), archived=5)
    redact(harness.ledger)
    assert b"u1001" not in harness.ledger.read_bytes()


def test_a_ledger_that_another_program_reads_is_refused(
    harness: Harness, finished: ArchiveResult
) -> None:
    """Another program's reading keeps the write-ahead log alive: it is refused, nothing is lost."""
    with closing(sqlite3.connect(harness.ledger)) as database:
        database.execute("BEGIN").execute("SELECT count(*) FROM outcomes").fetchall()
        with pytest.raises(LedgerError, match="another program is reading it"):
            redact(harness.ledger)
    assert finished.counts["archived"] == 3
    redact(harness.ledger)
    assert left(harness.ledger) == []


def test_a_missing_ledger_and_one_in_use_are_refused(harness: Harness) -> None:
    """A job that holds it goes on afterwards."""
    with pytest.raises(LmsArchiveError, match="no such ledger"):
        redact(harness.ledger)
    harness.load(1)
    harness.line.once(lambda exchange: exchange.is_write, lambda: redact(harness.ledger))
    with pytest.raises(LedgerError, match="in use by"):
        harness.apply()


def test_records_of_learning_plans_lose_their_names(harness: Harness) -> None:
    """The records of learning plans, too, keep their ids and lose their names."""
    done = {"enrollment_status": "completed", "enrollment_created_at": ENROLLED_AT}
    harness.load(2, 2)
    harness.sandbox.load(
        learning_plans=[{"learning_plan_id": 50, "code": "P50", "title": "P", "courses": [1, 2]}],
        learning_plan_enrollments=[
            {"user_id": user, "learning_plan_id": 50, **done} for user in (1001, 1002)
        ],
    )
    job = ArchiveJob.for_learning_plan("P50", **UNENROLL).users(["u1001", "u1002"])
    result = harness.apply(job.plan(harness.client))
    courses = [outcome.courses for outcome in result.outcomes]
    redact(harness.ledger)
    assert b"u1001" not in harness.ledger.read_bytes()
    assert [outcome.courses for outcome in result.outcomes] == courses
    assert [record.user.user_id for record in result.records] == [1001, 1002]
    assert read_events(harness.ledger, Sending)


def test_the_name_of_a_skipped_user_who_was_given_by_id_is_not_left(harness: Harness) -> None:
    """The plan has read it with the enrollment."""
    harness.load(2)
    harness.change("UPDATE users SET username = 'zqben' WHERE user_id = 1002")
    harness.change("UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1002")
    harness.apply(harness.plan(1, users=[1001, 1002]))
    assert b"zqben" in harness.ledger.read_bytes()
    redact(harness.ledger)
    assert b"zqben" not in harness.ledger.read_bytes()
