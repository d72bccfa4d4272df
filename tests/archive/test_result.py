"""The result: every row asked for, read from its ledger."""

import pickle
import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archive_tools import begin, for_course, from_csv, from_rows
from conftest import read_csv
from plan_tools import of_many, run_interrupted
from virtual_time import Harness

from lms_archive import (
    ArchiveResult,
    InvalidInputError,
    PasswordGrant,
    RunStoppedError,
    resume,
)
from lms_archive.archive.added_columns import OUTCOME_COLUMNS
from lms_archive.errors import LedgerError


@pytest.fixture
def mixed(harness: Harness) -> ArchiveResult:
    """One course: 1002 and 1004 fail, 1007 is unknown, the others are archived or skipped."""
    harness.load(7)
    path = harness.folder / "in.csv"
    users = ["u1001", "u1002", "nobody", "u1003", "u1004", "", "u1005", "u1006", "u1007", "u1001"]
    lines = ["Username;Course Code;Team", *(f"{user};C1;=team {i}" for i, user in enumerate(users))]
    path.write_text("\n".join(lines), encoding="utf-8")
    job = from_csv(path)
    plan = job.plan(harness.client)
    harness.sandbox.faults.add("job_partial", every=2)
    harness.line.once(of_many, lambda: harness.unenroll(1, 1007))
    with pytest.raises(RunStoppedError):
        harness.apply(plan)
    return resume(harness.ledger, harness.client)


def test_outcomes_come_in_input_order(mixed: ArchiveResult) -> None:
    """One for each row asked for, with its line and what was given."""
    assert [(outcome.line, outcome.code) for outcome in mixed.outcomes] == [
        (2, "archived"),
        (3, "archived"),
        (4, "not_enrolled"),
        (5, "not_archived"),
        (6, "archived"),
        (7, "bad_row"),
        (8, "not_archived"),
        (9, "archived"),
        (10, "not_seen"),
        (11, "duplicate"),
    ]
    assert [outcome.row["Team"] for outcome in mixed.outcomes] == [f"=team {i}" for i in range(10)]


def test_counts_and_views_add_up(mixed: ArchiveResult) -> None:
    """The four kinds are the rows, and each view holds its own."""
    assert mixed.counts == {"archived": 4, "skipped": 3, "failed": 2, "unknown": 1}
    views = (mixed.archived, mixed.skipped, mixed.failed, mixed.unknown)
    assert [len(view) for view in views] == [4, 3, 2, 1]
    assert sum(len(list(view)) for view in views) == len(mixed.outcomes) == 10
    assert all(outcome.kind == "failed" for outcome in mixed.failed)
    assert len(mixed.incomplete) == len(mixed.pending) == 0
    assert not mixed.is_finished  # resume looks at what is unknown again
    assert str(mixed) == (
        f"4 archived, 3 skipped, 2 failed, 1 unknown ({mixed.ledger})\n"
        "4 rows need attention: see result.needs_attention"
    )


def test_records_are_those_of_the_archived_rows(mixed: ArchiveResult) -> None:
    """Frozen records, in input order, made as they are asked for."""
    records = iter(mixed.records)
    assert next(records).user.username == "u1001"
    assert [record.user.username for record in records] == ["u1002", "u1004", "u1006"]
    with pytest.raises(AttributeError):
        next(iter(mixed.records)).user.username = "other"  # type: ignore[misc]


def test_an_iterator_that_is_left_holds_nothing(mixed: ArchiveResult, harness: Harness) -> None:
    """Half-read outcomes lock neither the ledger nor its next run."""
    half = iter(mixed.outcomes)
    assert len(list(islice(half, 3))) == 3
    assert resume(harness.ledger, harness.client).counts == mixed.counts
    assert len(list(half)) == 7


def test_csv_of_every_row(mixed: ArchiveResult, harness: Harness) -> None:
    """The columns given, then the outcome's; cells that a spreadsheet would run are guarded."""
    mixed.to_csv(harness.folder / "out.csv")
    rows = read_csv(harness.folder / "out.csv")
    assert [row["outcome"] for row in rows] == [outcome.kind for outcome in mixed.outcomes]
    assert [row["outcome_line"] for row in rows] == [str(i) for i in range(2, 12)]
    assert rows[0]["Team"] == "'=team 0"
    records = {str(record.archiving.record_id) for record in mixed.records}
    assert {row["outcome_record_id"] for row in rows} == records | {""}
    assert rows[5]["outcome_reason"]


@pytest.mark.parametrize("view", ["failed", "unknown", "skipped"])
def test_a_view_as_csv_is_input_again(mixed: ArchiveResult, harness: Harness, view: str) -> None:
    """A view can be written, corrected and read as a job: the same rows, without our columns."""
    path = harness.folder / "again.csv"
    getattr(mixed, view).to_csv(path)
    job = from_csv(path)
    asked = [dict(outcome.row) for outcome in getattr(mixed, view)]
    assert [dict(row.cells) for row in job.selection] == asked


def test_pandas_has_the_same_columns(mixed: ArchiveResult) -> None:
    """A DataFrame of every outcome, and of a view."""
    frame = mixed.to_pandas()
    assert list(frame["outcome"]) == [outcome.kind for outcome in mixed.outcomes]
    assert list(frame.columns[:3]) == ["Username", "Course Code", "Team"]
    assert list(mixed.unknown.to_pandas()["outcome_user_id"]) == [1007]


def test_an_empty_view_has_its_columns(mixed: ArchiveResult, harness: Harness) -> None:
    """Nothing failed, and `frame["outcome"]` is empty, not an error."""
    assert list(mixed.incomplete.to_pandas()["outcome"]) == []
    mixed.incomplete.to_csv(harness.folder / "none.csv")
    header = (harness.folder / "none.csv").read_text(encoding="utf-8")
    assert header.startswith("Username,Course Code,Team,outcome,outcome_code,")
    assert from_csv(harness.folder / "none.csv").row_count == 0


def test_failures_can_be_raised(mixed: ArchiveResult) -> None:
    """The error names lines, users and reasons, and carries counts and ledger."""
    with pytest.raises(RunStoppedError, match="2 rows failed and 1 is unknown") as caught:
        mixed.raise_for_failures()
    assert caught.value.counts == mixed.counts
    assert caught.value.ledger == mixed.ledger
    assert "line 5: u1003 in course 'C1': " in str(caught.value)
    assert len(caught.value.seen) == 3


def test_many_failures_are_not_all_named(harness: Harness) -> None:
    """The first ten are enough in a message; the counts tell of all."""
    harness.load(31)
    harness.sandbox.faults.add("job_partial", errors=29)
    with pytest.raises(RunStoppedError) as caught:
        harness.apply().raise_for_failures()
    assert caught.value.counts["failed"] == 29
    assert len(caught.value.seen) == 11
    assert caught.value.seen[-1].startswith("and 19 more")


def test_without_failures_nothing_is_raised(harness: Harness) -> None:
    """Skipped rows are no failure."""
    harness.load(2)
    harness.apply(harness.plan(1, users=[1001, 1002, 5])).raise_for_failures()


def test_the_plans_warnings_are_in_the_result(harness: Harness) -> None:
    """What the plan warned of is kept with what was done."""
    harness.load(2, status="in_progress")
    plan = for_course(1, only="any").users([1001, 1002]).plan(harness.client)
    result = harness.apply(plan)
    assert result.counts["archived"] == 2
    assert result.warnings == plan.warnings
    assert len(result.warnings) >= 1


def test_no_secret_is_in_the_ledger(harness: Harness) -> None:
    """Neither password nor token nor client secret is written anywhere beside the job."""
    harness.load(3, 3)
    tokens: set[str] = set()
    carry = harness.line._carrier

    def listening(*args: object) -> object:
        tokens.add(str(args[2]))
        return carry(*args)  # type: ignore[arg-type]

    harness.line._carrier = listening  # type: ignore[assignment]
    harness.sandbox.faults.add("500", method="PUT")
    harness.apply()
    harness.line._carrier = carry
    bearers = {text.split("Bearer ")[1][:40] for text in tokens if "Bearer " in text}
    auth = harness.client.session.settings.auth
    assert isinstance(auth, PasswordGrant)
    secrets = {auth.password.reveal(), auth.client_secret.reveal(), *bearers}
    assert all(len(secret) > 8 for secret in secrets)
    with closing(sqlite3.connect(harness.ledger)) as database:
        text = "\n".join(database.iterdump())
    assert [secret for secret in secrets if secret in text] == []


def test_the_columns_of_a_large_result(tmp_path: Path) -> None:
    """What a column holds is that of all its rows, wherever they stand."""
    rows: list[dict[str, Any]] = [
        {"user_id": row, "course_id": 7, "number": row, "mixed": row, "large": row, "part": 1.5}
        for row in range(1, 601)
    ]
    rows[410] |= {"mixed": "x", "large": 2**63, "part": 2}
    rows[411] |= {"large": -(2**63), "number": None}
    job = from_rows(rows) + from_rows([{"user_id": 1, "course_id": 7, "more": True}])
    with begin(tmp_path / "a.sqlite", job) as book:
        columns, _ = ArchiveResult(book.path)._table()
    assert [(column.name, column.kind) for column in columns[: -len(OUTCOME_COLUMNS)]] == [
        *(("user_id", "integer"), ("course_id", "integer"), ("number", "integer")),
        *(("mixed", "text"), ("large", "text"), ("part", "number"), ("more", "flag")),
    ]


def test_a_ledger_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result is made of a path, or of its text."""
    begin(tmp_path / "a.sqlite", from_rows([])).close()
    monkeypatch.chdir(tmp_path)
    assert ArchiveResult("a.sqlite") == ArchiveResult(Path("a.sqlite"))
    assert sum(ArchiveResult("a.sqlite").counts.values()) == 0


# A job that was interrupted


@pytest.fixture
def interrupted(harness: Harness) -> ArchiveResult:
    """Seven rows: two are skipped, the canary is archived, then Ctrl-C while a chunk is sent."""
    harness.load(5)
    rows = [{"course_id": 1, "user_id": user} for user in (1001, 77, 1002, 1003, 1003, 1004, 1005)]
    job = from_rows(rows)
    run_interrupted(
        harness,
        job.plan(harness.client),
        at=lambda exchange: exchange.is_poll and len(harness.writes) == 2,
    )
    return ArchiveResult(harness.ledger)


def test_an_unfinished_result_says_so(interrupted: ArchiveResult, harness: Harness) -> None:
    """In text and in HTML, with what to type; the counts are what they are."""
    assert str(interrupted) == (
        f"1 archived, 2 skipped, 0 failed, 0 unknown ({harness.ledger})\n"
        f"unfinished: 4 rows pending; resume({str(harness.ledger)!r}, client) continues"
    )
    assert "unfinished: 4 rows pending" in interrupted._repr_html_()
    assert interrupted.counts == {"archived": 1, "skipped": 2, "failed": 0, "unknown": 0}
    assert not interrupted.is_finished
    result = resume(harness.ledger, harness.client)
    assert result.is_finished
    assert len(result.pending) == 0
    assert "pending" not in str(result) + result._repr_html_()


def test_pending_rows_are_those_without_an_outcome(
    interrupted: ArchiveResult, harness: Harness
) -> None:
    """A view in input order, with its table, which is input again."""
    assert [outcome.user for outcome in interrupted.pending] == [1002, 1003, 1004, 1005]
    assert len(interrupted.pending) == 4
    assert {str(outcome.target) for outcome in interrupted.pending} == {"course 1"}
    assert len(interrupted.outcomes) + len(interrupted.pending) == 7
    interrupted.pending.to_csv(harness.folder / "pending.csv")
    job = from_csv(harness.folder / "pending.csv")
    assert job.row_count == 4
    assert list(interrupted.pending.to_pandas()["user_id"]) == [1002, 1003, 1004, 1005]
    assert list(interrupted.pending.to_pandas().columns) == list(interrupted.to_pandas().columns)


def test_views_of_an_unfinished_job_join_what_was_given(harness: Harness) -> None:
    """Pending rows and records have the index of the outcomes; the CSV is known as ours."""
    harness.load(4)
    harness.change("UPDATE users SET username = '+39333' WHERE user_id = 1003")
    names = [name for (name,) in harness.sql("SELECT username FROM users ORDER BY user_id")]
    given = pd.DataFrame(
        {"Username": ["nobody", *names], "course_id": 1, "outcome": list("abcde")},
        index=pd.date_range("2026-01-01", periods=5),
    )
    job = from_rows(given)
    run_interrupted(
        harness,
        job.plan(harness.client),
        at=lambda exchange: exchange.is_poll and len(harness.writes) == 2,
    )
    result = ArchiveResult(harness.ledger)
    pending = result.pending.to_pandas()
    assert pending.index.equals(given.index[2:])
    assert list(pending["outcome_2"]) == ["pending"] * 3
    assert list(pending["outcome_row_2"]) == [2, 3, 4]
    assert result.records.to_pandas().index.equals(given.index[1:2])
    result.pending.to_csv(harness.folder / "pending.csv")
    again = from_csv(harness.folder / "pending.csv")
    assert [row.user for row in again.selection] == names[1:]
    assert [row.cells["outcome"] for row in again.selection] == list("cde")


def test_an_unfinished_result_is_a_failure(interrupted: ArchiveResult) -> None:
    """`raise_for_failures` is the last line of a script: it must not pass what is half done."""
    with pytest.raises(RunStoppedError, match="unfinished: 4 rows pending") as caught:
        interrupted.raise_for_failures()
    assert caught.value.counts == interrupted.counts
    assert caught.value.ledger == interrupted.ledger


def test_one_row_is_pending_in_the_singular(harness: Harness) -> None:
    """Numbers and their words agree."""
    harness.load(2)
    run_interrupted(harness, at=lambda exchange: exchange.is_write and len(harness.writes) == 1)
    assert "unfinished: 1 row pending;" in str(ArchiveResult(harness.ledger))


def test_a_result_of_nothing_that_is_there(tmp_path: Path) -> None:
    """A ledger that is missing is reported when it is asked for, also a moved one's result."""
    result = pickle.loads(pickle.dumps(ArchiveResult(tmp_path / "gone" / "a.sqlite")))  # noqa: S301
    with pytest.raises(InvalidInputError, match=r"the folder .* does not exist"):
        assert result.counts
    with pytest.raises(LedgerError, match="there is no such ledger"):
        assert ArchiveResult(tmp_path / "a.sqlite").counts
