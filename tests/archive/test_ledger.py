"""The ledger: on the disk before it matters, append-only, whole or refused."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import plan_tools
import pytest
from archive_tools import begin, change_plan, from_rows, interrupt, plan_of
from plan_tools import load_plans
from virtual_time import Exchange, Harness

from lms_archive import ArchivePlan, ArchiveResult, InvalidInputError, redact, resume
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.ledger.schema import TABLES
from lms_archive.archive.values.events import CallsMade, Noted, Sending
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.errors import LedgerError

_READ_ONLY = """
import os, sys
from pathlib import Path
from lms_archive import ArchivePlan, ArchiveResult
from lms_archive.errors import LedgerError
from lms_archive.archive.ledger import Ledger
folder, plan = Path(sys.argv[1]), ArchivePlan.load(sys.argv[2])
def create(name):
    return Ledger.create(folder / name, plan, plan.selection, digest=plan.digest)
create("old.sqlite").close()
for path in folder.iterdir():
    path.chmod(0o444)
folder.chmod(0o555)
if os.geteuid() == 0:
    os.setuid(65534)  # nothing is closed to root
for attempt in (
    lambda: create("new.sqlite"),
    lambda: Ledger.open(folder / "old.sqlite"),
    lambda: ArchiveResult(folder / "old.sqlite").counts,
):
    try:
        print(attempt())
    except LedgerError as error:
        print(error)
"""
_PAGE = 4096


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A ledger that holds one outcome."""
    path = tmp_path / "book.sqlite"
    outcome = Outcome(kind="skipped", code="changed", reason="because")
    begin(path, from_rows([{"user_id": 1, "course_id": 7}]), [(0, outcome)]).close()
    return path


def _states(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT type FROM events WHERE type <> 'warning' ORDER BY event"
        return [word for (word,) in database.execute(query)]


def _change_new_ledgers(
    patch: pytest.MonkeyPatch, change: Callable[[sqlite3.Connection], object]
) -> None:
    create = Ledger.create.__func__  # type: ignore[attr-defined]

    def create_changed(cls: type[Ledger], /, *args: object, **options: object) -> Ledger:
        ledger: Ledger = create(cls, *args, **options)
        change(ledger._database)
        return ledger

    patch.setattr(Ledger, "create", classmethod(create_changed))


def test_the_states_of_a_job_come_in_order(harness: Harness) -> None:
    """Sending, submitted, read back; canary and first chunk proven before the rest."""
    harness.load(2)
    harness.apply()
    assert _states(harness.ledger) == [
        "contract_checked",
        *("started", "sending", "submitted", "job_ended", "read_back", "proven"),
        *("sending", "submitted", "job_ended", "read_back", "proven", "calls"),
    ]


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_nothing_in_it_can_be_changed(harness: Harness, table: str, change: str) -> None:
    """Updating or deleting is refused by the file itself, in every table."""
    load_plans(harness, {50: [1, 2]}, users=2)
    harness.unenroll(1, 1002)
    harness.apply(plan_tools.plan(harness, 50))
    with closing(sqlite3.connect(harness.ledger)) as database:
        (column,) = database.execute(f"SELECT * FROM {table}").description[0][:1]
        if table == "differences":
            database.execute("INSERT INTO differences VALUES (1, 'x')")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(change.format(table, column))


def _database(*statements: str) -> Callable[[Path], object]:
    """Return a function that makes a database of these statements."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.executescript(";".join(statements))

    return make


def _versioned(table: str, version: str) -> Callable[[Path], object]:
    return _database(
        f"CREATE TABLE {table} (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        f"INSERT INTO {table} VALUES ('schema', '{version}')",
    )


NO_LEDGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "no such ledger"),
    "empty": (lambda path: path.write_bytes(b""), "not a ledger"),
    "text": (lambda path: path.write_bytes(b"not a database, but long enough" * 9), "not a ledger"),
    "a pipe": (os.mkfifo, "is not an ordinary file"),
    "another program's": (_database("CREATE TABLE theirs (x)"), "not a ledger"),
    "another program's head": (_database("CREATE TABLE head (name, value)"), "not a ledger"),
    "another program's meta": (_database("CREATE TABLE meta (a)"), "not a ledger"),
    "newer": (
        _versioned("meta", "9"),
        "a ledger of a newer version of lms_archive (format 9; this version reads"),
    "no version": (_versioned("meta", "new"), "not a ledger, or damaged"),
    "older": (
        _versioned("head", "2"),
        "a ledger of lms_archive 0.1.0 (format 2; this version reads only format 3)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), NO_LEDGERS.values(), ids=NO_LEDGERS.keys())
def test_what_is_not_a_ledger_is_refused_and_left_as_it_is(
    harness: Harness, make: Callable[[Path], object], words: str
) -> None:
    """The text says what the file is; not a byte is changed, and only a lock is made beside it."""
    make(harness.ledger)
    before = harness.ledger.read_bytes() if harness.ledger.is_file() else None
    for attempt in (
        lambda: resume(harness.ledger, harness.client),
        lambda: redact(harness.ledger),
        lambda: ArchiveResult(harness.ledger).counts,
    ):
        with pytest.raises(LedgerError, match=re.escape(words)):
            attempt()
    assert (harness.ledger.read_bytes() if harness.ledger.is_file() else None) == before
    beside = {path.name for path in harness.folder.iterdir()} - {"ledger.sqlite"}
    assert beside <= ({"ledger.sqlite.lock"} if harness.ledger.exists() else set())


def test_a_ledger_made_meanwhile_is_not_overwritten(book: Path) -> None:
    """Between looking and locking another process may have made it: its evidence stays."""
    before = book.read_bytes()
    with pytest.raises(LedgerError, match="meanwhile"):
        begin(book, from_rows([]))
    assert book.read_bytes() == before
    Ledger.open(book).close()


@pytest.mark.parametrize("name", ["{}", ".{}.new"])
def test_leftovers_of_a_deleted_ledger_do_no_harm(tmp_path: Path, name: str) -> None:
    """SQLite would play a journal left by a dead process into the new file of that name."""
    old = tmp_path / "old.sqlite"
    new = tmp_path / "ledger.sqlite"
    with begin(old, from_rows([])) as ledger:
        for _ in range(50):
            ledger.append(Noted("x" * 200))
        journal = (tmp_path / "old.sqlite-wal").read_bytes()
    (tmp_path / f"{name.format(new.name)}-wal").write_bytes(journal)
    job = from_rows([{"user_id": 1, "course_id": 7}])
    with begin(new, job) as ledger:
        assert list(ledger.events()) == []
    with Ledger.open(new) as ledger:
        assert ledger.meta("digest") == plan_of(job).digest


def test_a_disk_that_is_full_stops_the_job_and_loses_nothing(harness: Harness) -> None:
    """A commit that fails stops the job with the ledger as it was, and the cause in the words."""
    harness.load(400)
    plan = harness.plan()

    def limit(database: sqlite3.Connection) -> None:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages + 12}")

    with pytest.MonkeyPatch.context() as patch:
        _change_new_ledgers(patch, limit)
        with pytest.raises(LedgerError, match="full") as caught:
            harness.apply(plan)
    assert caught.value.ledger == harness.ledger
    harness.check(resume(harness.ledger, harness.client), archived=400)
    assert max(harness.archived.values()) == 1


@pytest.mark.parametrize("kind", ["cut", "zeros", "noise"])
def test_a_damaged_ledger_is_refused_and_nothing_is_sent(harness: Harness, kind: str) -> None:
    """A job that was interrupted, and a page of its ledger that is gone or wrong: LedgerError."""
    harness.load(150)
    plan = harness.plan()
    harness.line.once(lambda exchange: exchange.is_poll and len(harness.writes) > 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        harness.apply(plan)
    good, calls = harness.ledger.read_bytes(), len(harness.line.exchanges)
    result, noise = ArchiveResult(harness.ledger), bytes(range(255, -1, -1)) * 16
    assert len(good) > 10 * _PAGE
    for at in range(0, len(good), _PAGE):
        page = {"cut": b"", "zeros": bytes(_PAGE), "noise": noise}[kind]
        rest = good[at + _PAGE :] if page else b""
        harness.ledger.write_bytes(good[:at] + page + rest)
        with pytest.raises(LedgerError, match="damaged"):
            resume(harness.ledger, harness.client)
        with suppress(LedgerError):  # of what is read lazily, the page may be no part
            assert result.counts["archived"] == len(list(result.archived)) == 1
    assert len(harness.line.exchanges) == calls
    harness.ledger.write_bytes(good)
    harness.check(resume(harness.ledger, harness.client), archived=150)


CHANGES = [
    "UPDATE meta SET value = 're-enroll' WHERE name = 'mode'",
    "UPDATE meta SET value = 'true' WHERE name = 'reset_tracking'",
    "UPDATE meta SET value = 'https://other.example.com' WHERE name = 'platform'",
    "UPDATE meta SET value = 'fine' WHERE name LIKE 'warning/%'",
    "UPDATE meta SET value = '0' WHERE name = 'canary'",
    "UPDATE meta SET value = '0' WHERE name = 'digest'",
    "INSERT INTO meta VALUES ('redacted', 'true')",
    "DELETE FROM meta WHERE name = 'checksum'",
    "DELETE FROM meta WHERE name = 'platform'",
    "UPDATE targets SET target_id = 2 WHERE target = 1",
    "UPDATE targets SET listed = 99 WHERE target = 1",
    "UPDATE rows SET user_id = 1003 WHERE row = 0",
    "UPDATE rows SET cells = '[]' WHERE row = 0",
    "DELETE FROM rows WHERE row = 2",
    "INSERT INTO rows SELECT 99, 0, 9, 1, 7, NULL, '[]', NULL, NULL, 98, NULL",
    "UPDATE chunks SET read_at = '2026-03-01 11:59:00+00:00'",
    "UPDATE planned SET user_id = 1003 WHERE row = 0",
    "UPDATE planned SET enrolled_at = '2025-01-02 03:04:06+00:00' WHERE row = 0",
    "UPDATE planned SET score = coalesce(score, 0) + 0.1",
    "DELETE FROM planned WHERE row = 1",
    "DELETE FROM outcomes WHERE recorded_at IS NULL",
    "UPDATE outcomes SET code = 'status' WHERE recorded_at IS NULL",
    "UPDATE columns SET name = 'x' WHERE position = 0",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_that_was_changed(harness: Harness, change: str) -> None:
    """What a ledger was begun with is not as it was: LedgerError, and no call.

    A saved plan is refused in the same way.
    """
    harness.load(3)
    plan = harness.plan(1, users=[1001, 1002, 5])
    plan.save(harness.folder / "plan.sqlite")
    harness.line.once(lambda exchange: exchange.is_write, interrupt)
    with pytest.raises(KeyboardInterrupt):
        harness.apply(plan)
    calls = len(harness.line.exchanges)
    change_plan(harness.ledger, change)
    for attempt in (lambda: resume(harness.ledger, harness.client), lambda: redact(harness.ledger)):
        with pytest.raises(LedgerError, match="damaged"):
            attempt()
    assert len(harness.line.exchanges) == calls
    if "canary" not in change:  # which is not the plan's
        change_plan(harness.folder / "plan.sqlite", change)
        with pytest.raises(InvalidInputError, match="was changed since it was saved: plan again"):
            ArchivePlan.load(harness.folder / "plan.sqlite")


def test_a_commit_is_on_the_disk(book: Path) -> None:
    """Written ahead, and synced at every commit: what is committed survives a loss of power."""
    with Ledger.open(book) as opened, begin(book.with_name("new"), from_rows([])) as created:
        for ledger in (opened, created):
            assert ledger._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert ledger._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_at_most_five_commits_a_chunk(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending, submitted, ended and read back; what is noted once does not grow with the job."""
    statements: Counter[str] = Counter()
    _change_new_ledgers(
        monkeypatch, lambda database: database.set_trace_callback(lambda t: statements.update([t]))
    )
    harness.load(600, 450)
    harness.check(harness.apply(), archived=1050)
    assert len(harness.writes) == 7
    assert 3 * 7 <= statements["COMMIT"] <= 5 * 7


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """No ledger can be made, resumed or read there, and each error says why."""
    plan_of(from_rows([])).save(tmp_path / "plan.sqlite")
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _READ_ONLY, folder, str(tmp_path / "plan.sqlite")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    words = done.stdout.splitlines()
    assert "new.sqlite: the ledger cannot be locked: Permission denied" in words[0]
    assert "old.sqlite: the ledger cannot be locked: Permission denied" in words[1]
    assert "old.sqlite: attempt to write a readonly database" in words[2]
    assert "copy the ledger into" in words[2]


def test_results_are_read_one_by_one(tmp_path: Path) -> None:
    """Iterating, counting and writing a large result hold a small part of it in memory."""
    path = tmp_path / "large.sqlite"
    job = from_rows([{"user_id": 1 + row, "course_id": 7} for row in range(5000)])
    outcomes = ((row.index, Outcome.of(row, "refused", "x" * 1000)) for row in job.selection)
    begin(path, job, outcomes).close()
    result = ArchiveResult(path)
    tracemalloc.start()
    assert sum(1 for _ in result.outcomes) == len(result.failed) == 5000
    result.to_csv(tmp_path / "all.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000 < path.stat().st_size / 10


def test_aninterrupted_commit_leaves_the_ledger_usable(book: Path) -> None:
    """What was interrupted is not in it; what comes afterwards is."""

    class Interrupting(Mapping[str, int]):
        def __iter__(self) -> Iterator[str]:
            raise KeyboardInterrupt

        def __len__(self) -> int:
            return 1

        def __getitem__(self, name: str) -> int:
            return 1

    with Ledger.open(book) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ledger.append(CallsMade(Interrupting()))
        ledger.append(Noted("after"))
    assert _states(book) == ["decided", "note"]


def test_a_copy_without_the_write_ahead_log_knows_what_was_sent(harness: Harness) -> None:
    """At each write, the main file alone has every row of it and of those before, and is whole."""
    harness.load(5, 3)
    copy = harness.folder / "copy.sqlite"
    sent: list[int] = []

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            sent.extend(exchange.body["user_id"])
            shutil.copy(harness.ledger, copy)
            with Ledger.open(copy) as book:
                noted = [row for event in book.events(Sending) for row in event.rows]
                rows = book.rows().by_index(noted)
            assert [rows[row].user for row in noted] == sent
            copy.unlink()

    harness.line.before.append(look)
    harness.check(harness.apply(), archived=8)
    assert len(sent) == 8
