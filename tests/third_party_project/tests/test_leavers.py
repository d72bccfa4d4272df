"""The tool's own tests: the fixture `lms_sandbox` came with the package, nothing is set up."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from leavers import archive_leavers, main

from lms_archive import Limits
from lms_archive.errors import LedgerError
from lms_archive.sandbox import Sandbox


def fill(sandbox: Sandbox) -> None:
    """Three users, all of whom have completed two courses."""
    users = ("ada", "bob", "eve")
    sandbox.load(
        users=[{"username": user} for user in users],
        courses=[{"code": "SAFE"}, {"code": "FIRE"}],
        enrollments=[
            {
                "username": user,
                "course_code": course,
                "enrollment_status": "completed",
                "enrollment_created_at": "2025-01-02 03:04:05",
            }
            for user in users
            for course in ("SAFE", "FIRE")
        ],
    )


def count(sandbox: Sandbox, table: str) -> int:
    """How many rows the platform has, asked with plain SQL."""
    with closing(sqlite3.connect(sandbox.path)) as database:
        (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(rows)


def test_leavers_are_archived(lms_sandbox: Sandbox, tmp_path: Path) -> None:
    """Who has left leaves the active list, and only they."""
    fill(lms_sandbox)
    with lms_sandbox.client(limits=Limits(first_poll=0.01)) as client:
        result = archive_leavers(client, ["ada", "bob"], ["SAFE", "FIRE"], tmp_path / "a.sqlite")
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert count(lms_sandbox, "archived_enrollments") == 4
    assert count(lms_sandbox, "enrollments") == 2


def test_the_platform_is_busy(lms_sandbox: Sandbox, tmp_path: Path) -> None:
    """A busy platform is asked again; the tool does not notice."""
    fill(lms_sandbox)
    lms_sandbox.faults.add("503", operation="course_enrollments")
    with lms_sandbox.client(limits=Limits(first_poll=0.01)) as client:
        result = archive_leavers(client, ["ada"], ["SAFE"], tmp_path / "a.sqlite")
    assert result.counts["archived"] == 1


def test_the_command(
    lms_sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command signs in by the environment, and says what became of the rows."""
    fill(lms_sandbox)
    for name, value in lms_sandbox.env().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "leavers.txt").write_text("eve\n", encoding="utf-8")
    ledger = tmp_path / "tonight.sqlite"
    words = [str(tmp_path / "leavers.txt"), "--course", "SAFE", "--ledger", str(ledger)]
    assert main(words) == 0
    assert "1 archived, 0 skipped, 0 failed, 0 unknown" in capsys.readouterr().out


def test_the_platform_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set, nothing done."""
    for name in ("URL", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"LMS_ARCHIVE_{name}", raising=False)
    (tmp_path / "leavers.txt").write_text("eve\n", encoding="utf-8")
    words = [str(tmp_path / "leavers.txt"), "--course", "SAFE", "--ledger", "a.sqlite"]
    assert main(words) == 1


def test_one_ledger_for_one_night(lms_sandbox: Sandbox, tmp_path: Path) -> None:
    """Tonight's ledger is not yesterday's: nothing is sent."""
    fill(lms_sandbox)
    ledger = tmp_path / "a.sqlite"
    with lms_sandbox.client(limits=Limits(first_poll=0.01)) as client:
        archive_leavers(client, ["ada"], ["SAFE"], ledger)
        with pytest.raises(LedgerError, match="another plan"):
            archive_leavers(client, ["bob"], ["SAFE"], ledger)
    assert count(lms_sandbox, "archived_enrollments") == 1
