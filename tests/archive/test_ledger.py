"""The ledger: on the disk before it matters, append-only, one process at a time."""

import errno
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import plan_tools
import pytest
from archive_tools import begin, change_plan, from_rows, plan_of
from plan_tools import load_plans
from virtual_time import Exchange, Harness

from lms_archive import ArchivePlan, ArchiveResult, InvalidInputError, redact, resume
from lms_archive.archive.ledger import Ledger, lock
from lms_archive.archive.ledger.schema import TABLES
from lms_archive.archive.values.events import CallsMade, Decided, Noted, Sending
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.errors import LedgerError

_HOLD = """
import sys, time
from lms_archive.archive.ledger import Ledger
with Ledger.open(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

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


def test_sending_is_on_the_disk_before_the_call(harness: Harness) -> None:
    """At the moment of each write another reader of the file sees `sending` of those rows."""
    harness.load(5, 3)
    seen: list[str] = []

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            with closing(sqlite3.connect(harness.ledger)) as database:
                query = "SELECT type, count(row) FROM events LEFT JOIN sent USING (event)"
                last = database.execute(f"{query} GROUP BY event ORDER BY event DESC").fetchone()
            assert last == ("sending", len(exchange.body["user_id"]))
            seen.append(last)

    harness.line.before.append(look)
    harness.check(harness.apply(), archived=8)
    assert len(seen) == 3


def test_the_states_of_a_job_come_in_order(harness: Harness) -> None:
    """Sending, submitted, read back; canary and first chunk proven before the rest."""
    harness.load(2)
    harness.apply()
    assert _states(harness.ledger) == [
        "contract_checked",
        *("started", "sending", "submitted", "job_ended", "read_back", "proven"),
        *("sending", "submitted", "job_ended", "read_back", "proven", "calls"),
    ]


def test_files_are_for_their_owner_alone(harness: Harness) -> None:
    """The ledger, its lock, and what SQLite keeps beside it hold people's data: mode 0600."""
    harness.load(3)
    modes: dict[str, int] = {}

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            modes.update(
                (path.name, stat.S_IMODE(path.stat().st_mode)) for path in harness.folder.iterdir()
            )

    harness.line.before.append(look)
    harness.apply()
    assert {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert sorted(path.name for path in harness.folder.iterdir()) == [
        "ledger.sqlite",
        "ledger.sqlite.lock",
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


def test_a_missing_ledger(harness: Harness) -> None:
    """There is nothing to resume, and nothing is made."""
    with pytest.raises(LedgerError, match="no such ledger"):
        resume(harness.ledger, harness.client)
    assert list(harness.folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough" * 9])
def test_a_file_that_is_no_ledger(harness: Harness, content: bytes) -> None:
    """Another file is refused and left as it is."""
    harness.ledger.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger"):
        resume(harness.ledger, harness.client)
    assert harness.ledger.read_bytes() == content


@pytest.mark.parametrize(
    "schema", ["", "CREATE TABLE head (name, value);", "CREATE TABLE meta (a);"]
)
def test_another_programs_database_is_left_alone(harness: Harness, schema: str) -> None:
    """A SQLite file that is no ledger is refused, and not even its journal mode is changed."""
    with closing(sqlite3.connect(harness.ledger)) as database:
        database.executescript(f"CREATE TABLE theirs (x); {schema}")
    before = harness.ledger.read_bytes()
    with pytest.raises(LedgerError):
        resume(harness.ledger, harness.client)
    assert harness.ledger.read_bytes() == before


@pytest.mark.parametrize(
    ("table", "version", "said"),
    [
        ("meta", "9", "a ledger of a newer version of lms_archive (format 9; this version reads"),
        ("meta", "new", "not a ledger, or damaged"),
        ("head", "2", "a ledger of lms_archive 0.1.0 (format 2; this version reads only format 3)"),
    ],
)
def test_a_ledger_of_another_version(harness: Harness, table: str, version: str, said: str) -> None:
    """A form that this version does not know is not guessed at: the text says who wrote it."""
    with closing(sqlite3.connect(harness.ledger)) as database, database:
        database.execute(f"CREATE TABLE {table} (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        database.execute(f"INSERT INTO {table} VALUES ('schema', ?)", (version,))
    before = harness.ledger.read_bytes()
    for attempt in (
        lambda: resume(harness.ledger, harness.client),
        lambda: redact(harness.ledger),
        lambda: ArchiveResult(harness.ledger).counts,
    ):
        with pytest.raises(LedgerError, match=re.escape(said)):
            attempt()
    assert harness.ledger.read_bytes() == before


# What is given as the ledger


NO_LEDGERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda _: None, "ledger is None: give the path of a file, such as 'ledger.sqlite'"),
    "a number": (lambda _: 7, "ledger is 7: give the path"),
    "bytes": (lambda folder: bytes(folder / "a"), "give the path"),
    "empty": (lambda _: "", "ledger is '': give the path"),
    "NUL": (lambda folder: f"{folder}/a\0b", "give the path"),
    "a folder": (lambda folder: folder, "is a folder: give a file in it, such as "),
    "in a missing folder": (
        lambda folder: folder / "nowhere" / "ledger.sqlite",
        "the folder '{0}/nowhere' does not exist: create it, or choose another path",
    ),
    "in a file": (lambda folder: folder / "file" / "ledger.sqlite", "does not exist: create it"),
}
DOORS: dict[str, Callable[[Harness, ArchivePlan, Any], object]] = {
    "apply": lambda harness, plan, path: plan.apply(harness.client, ledger=path),
    "resume": lambda harness, _, path: resume(path, harness.client),
    "redact": lambda _, __, path: redact(path),
    "result": lambda _, __, path: ArchiveResult(path).counts,
    "save": lambda _, plan, path: plan.save(path),
    "load": lambda _, __, path: ArchivePlan.load(path),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", NO_LEDGERS)
def test_what_cannot_be_a_ledger(harness: Harness, case: str, door: str) -> None:
    """At every door: InvalidInputError, whose text says what to give; nothing is sent or made."""
    harness.load(2)
    plan = harness.plan()
    (harness.folder / "file").write_text("x")
    make, said = NO_LEDGERS[case]
    with pytest.raises(InvalidInputError) as caught:
        DOORS[door](harness, plan, make(harness.folder))
    words = (
        str(caught.value).replace("plan is", "ledger is").replace("plan.sqlite", "ledger.sqlite")
    )
    assert said.format(harness.folder) in words
    assert "lock" not in words
    assert harness.writes == []
    assert [path.name for path in harness.folder.iterdir()] == ["file"]


def test_a_pipe_is_no_ledger(harness: Harness) -> None:
    """What is there and is not a file is refused, and not opened."""
    os.mkfifo(harness.ledger)
    with pytest.raises(LedgerError, match="is not an ordinary file"):
        resume(harness.ledger, harness.client)


# The lock


def test_one_process_at_a_time(book: Path) -> None:
    """While another process holds it, pid and host are told; its death frees the ledger."""
    command = [sys.executable, "-c", _HOLD, str(book)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=rf"in use by pid {child.pid} on \S+"):
            Ledger.open(book)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with Ledger.open(book) as again:
            assert [event.codes for event in again.events(Decided)] == [{0: "changed"}]


def test_not_even_this_process_opens_it_twice(harness: Harness) -> None:
    """A second `resume` beside a running job is refused before any call."""
    harness.load(3)

    def second() -> None:
        with pytest.raises(LedgerError, match="in use by pid"):
            resume(harness.ledger, harness.client)

    harness.line.once(lambda one: one.is_write, second)
    harness.check(harness.apply(), archived=3)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.EINTR])
def test_a_disk_without_locks(book: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be locked is not in use: no pid is named, and the cure is."""
    Ledger.open(book).close()  # so that the file of the lock names a process

    def refuse(_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(book)
    why = re.escape(os.strerror(number))
    assert re.search(
        rf"cannot be locked here \({why}\): a ledger needs a local disk", str(caught.value)
    )
    assert "in use" not in str(caught.value)
    assert "pid" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES])
def test_a_lock_that_would_block(book: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this means that another process has it, whose pid and host are in the file."""
    Path(f"{book}.lock").write_text("pid 17 on some-host\n")

    def refuse(_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(
        LedgerError, match="in use by pid 17 on some-host; wait until that process ends"
    ):
        Ledger.open(book)
    Path(f"{book}.lock").write_text("")
    with pytest.raises(
        LedgerError, match="in use by another process; wait until that process ends"
    ):
        Ledger.open(book)


def test_a_lock_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There one byte is locked, far behind the text, which another process can then read."""
    held: set[tuple[int, int]] = set()

    def locking(handle: int, _: int, count: int) -> None:
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if place in held:
            raise OSError(errno.EACCES, "Permission denied")
        held.add(place)
        assert count == 1

    windows = SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    monkeypatch.setattr(lock, "_lock", lock._lock_on_windows)
    path = tmp_path / "a.sqlite"
    with lock.hold(path):
        assert Path(f"{path}.lock").read_text().startswith(f"pid {os.getpid()} on ")
        ((_, byte),) = held
        assert byte > 1000
        with pytest.raises(LedgerError, match=f"in use by pid {os.getpid()} on"):
            lock.hold(path)


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


def test_a_disk_that_is_full_is_told_and_loses_nothing(harness: Harness) -> None:
    """A commit that fails stops the job with the ledger as it was, and the cause in the words."""
    harness.load(400)
    plan = harness.plan()
    create = Ledger.create.__func__  # type: ignore[attr-defined]

    def small(cls: type[Ledger], /, *args: object, **options: object) -> Ledger:
        ledger: Ledger = create(cls, *args, **options)
        (pages,) = ledger._database.execute("PRAGMA page_count").fetchone()
        ledger._database.execute(f"PRAGMA max_page_count = {pages + 12}")
        return ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "create", classmethod(small))
        with pytest.raises(LedgerError, match="full") as caught:
            harness.apply(plan)
    assert caught.value.ledger == harness.ledger
    harness.check(resume(harness.ledger, harness.client), archived=400)
    assert max(harness.archived.values()) == 1


@pytest.mark.parametrize("kind", ["cut", "zeros", "noise"])
def test_a_damaged_ledger_is_told_and_nothing_is_sent(harness: Harness, kind: str) -> None:
    """A job that was interrupted, and a page of its ledger that is gone or wrong: LedgerError."""
    harness.load(150)
    plan = harness.plan()
    harness.line.once(lambda one: one.is_poll and len(harness.writes) > 1, _interrupt)
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


def _interrupt() -> None:
    raise KeyboardInterrupt


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
    harness.line.once(lambda one: one.is_write, _interrupt)
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


def test_an_interrupted_commit_leaves_the_ledger_usable(book: Path) -> None:
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


# A copy


def test_a_copy_without_the_write_ahead_log_knows_what_was_sent(harness: Harness) -> None:
    """At each write, the main file alone has every row that was sent by then, and is whole."""
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


def test_a_copy_without_the_write_ahead_log_is_resumed(harness: Harness) -> None:
    """A job dies, and its ledger is restored from such a copy: what it archived is reported so."""
    harness.load(5, 3)
    copy = harness.folder / "copy.sqlite"

    def die() -> None:
        shutil.copy(harness.ledger, copy)
        raise KeyboardInterrupt

    harness.line.once(lambda one: one.is_poll and len(harness.writes) == 3, die)
    with pytest.raises(KeyboardInterrupt):
        harness.apply()
    harness.time.sleep(3600)
    harness.check(resume(copy, harness.client), archived=8)
    assert max(harness.archived.values()) == 1
