"""The ledger: on the disk before it matters, append-only, one process at a time."""

import signal
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from archive_tools import from_rows, pieces
from virtual_time import Exchange, Stage

from lms_archive import ArchiveResult, LedgerError, redact, resume
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.outcomes import Outcome

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
from lms_archive import ArchiveResult, LedgerError
from lms_archive.archive.ledger import Ledger
folder = Path(sys.argv[1])
Ledger.create(folder / "old.sqlite", {}).close()
for path in folder.iterdir():
    path.chmod(0o444)
folder.chmod(0o555)
if os.geteuid() == 0:
    os.setuid(65534)  # nothing is closed to root
for attempt in (
    lambda: Ledger.create(folder / "new.sqlite", {}),
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
    with Ledger.create(path, {}, (), [(0, outcome)]):
        pass
    return path


def _states(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT state FROM events WHERE state <> 'warning' ORDER BY event"
        return [state for (state,) in database.execute(query)]


def test_sending_is_on_the_disk_before_the_call(stage: Stage) -> None:
    """At the moment of each write another reader of the file sees `sending` of those rows."""
    stage.load(5, 3)
    seen: list[str] = []

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            with closing(sqlite3.connect(stage.ledger)) as database:
                query = "SELECT state, json_array_length(data, '$.rows') FROM events"
                state, rows = database.execute(f"{query} ORDER BY event DESC").fetchone()
            assert (state, rows) == ("sending", len(exchange.body["user_id"]))
            seen.append(state)

    stage.line.before.append(look)
    stage.check(stage.apply(), archived=8)
    assert len(seen) == 3


def test_the_states_of_a_job_come_in_order(stage: Stage) -> None:
    """Sending, submitted, read back; canary and first chunk proven before the rest."""
    stage.load(2)
    stage.apply()
    assert _states(stage.ledger) == [
        "ground",
        *("started", "sending", "submitted", "read_back", "proven"),
        *("sending", "submitted", "read_back", "proven", "calls"),
    ]


def test_files_are_for_their_owner_alone(stage: Stage) -> None:
    """The ledger, its lock, and what SQLite keeps beside it hold people's data: mode 0600."""
    stage.load(3)
    modes: dict[str, int] = {}

    def look(exchange: Exchange) -> None:
        if exchange.is_write:
            modes.update(
                (path.name, stat.S_IMODE(path.stat().st_mode)) for path in stage.folder.iterdir()
            )

    stage.line.before.append(look)
    stage.apply()
    assert {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert sorted(path.name for path in stage.folder.iterdir()) == [
        "ledger.sqlite",
        "ledger.sqlite.lock",
    ]


@pytest.mark.parametrize("table", ["head", "plan", "events", "outcomes"])
@pytest.mark.parametrize("change", ["UPDATE {0} SET rowid = rowid", "DELETE FROM {0}"])
def test_nothing_in_it_can_be_changed(stage: Stage, table: str, change: str) -> None:
    """Updating or deleting is refused by the file itself."""
    stage.load(2)
    stage.apply()
    with (
        closing(sqlite3.connect(stage.ledger)) as database,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        database.execute(change.format(table))


def test_a_missing_ledger(stage: Stage) -> None:
    """There is nothing to resume, and nothing is made."""
    with pytest.raises(LedgerError, match="no such ledger"):
        resume(stage.ledger, stage.client)
    assert list(stage.folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough" * 9])
def test_a_file_that_is_no_ledger(stage: Stage, content: bytes) -> None:
    """Another file is refused and left as it is."""
    stage.ledger.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger"):
        resume(stage.ledger, stage.client)
    assert stage.ledger.read_bytes() == content


@pytest.mark.parametrize("schema", ["", "CREATE TABLE head (name, value);"])
def test_another_programs_database_is_left_alone(stage: Stage, schema: str) -> None:
    """A SQLite file that is no ledger is refused, and not even its journal mode is changed."""
    with closing(sqlite3.connect(stage.ledger)) as database:
        database.executescript(f"CREATE TABLE theirs (x); {schema}")
    before = stage.ledger.read_bytes()
    with pytest.raises(LedgerError):
        resume(stage.ledger, stage.client)
    assert stage.ledger.read_bytes() == before


@pytest.mark.parametrize(("version", "said"), [(9, "schema 9"), ('"new"', "not a ledger")])
def test_a_newer_ledger_is_refused(book: Path, version: object, said: str) -> None:
    """A schema that this version does not know is not guessed at."""
    with closing(sqlite3.connect(book)) as database, database:
        database.execute("DROP TRIGGER head_update")
        database.execute("UPDATE head SET value = ? WHERE name = 'schema'", [str(version)])
    with pytest.raises(LedgerError, match=said):
        Ledger.open(book)


def test_a_folder_is_no_ledger(stage: Stage) -> None:
    """A ledger in a folder that is not there cannot be made, and nothing is sent."""
    stage.load(2)
    plan = stage.plan()
    with pytest.raises(LedgerError, match=r"nowhere/ledger\.sqlite"):
        plan.apply(stage.client, ledger=stage.folder / "nowhere" / "ledger.sqlite")
    assert stage.writes == []


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
            assert again.codes() == {0: "changed"}


def test_not_even_this_process_opens_it_twice(stage: Stage) -> None:
    """A second `resume` beside a running job is refused before any call."""
    stage.load(3)

    def second() -> None:
        with pytest.raises(LedgerError, match="in use by pid"):
            resume(stage.ledger, stage.client)

    stage.line.once(lambda one: one.is_write, second)
    stage.check(stage.apply(), archived=3)


def test_a_ledger_made_meanwhile_is_not_overwritten(book: Path) -> None:
    """Between looking and locking another process may have made it: its evidence stays."""
    before = book.read_bytes()
    with pytest.raises(LedgerError, match="meanwhile"):
        Ledger.create(book, {})
    assert book.read_bytes() == before
    Ledger.open(book).close()


@pytest.mark.parametrize("name", ["{}", ".{}.new"])
def test_leftovers_of_a_deleted_ledger_do_no_harm(tmp_path: Path, name: str) -> None:
    """SQLite would play a journal left by a dead process into the new file of that name."""
    old = tmp_path / "old.sqlite"
    new = tmp_path / "ledger.sqlite"
    with Ledger.create(old, {"who": "old"}) as ledger:
        for _ in range(50):
            ledger.note("state", text="x" * 200)
        journal = (tmp_path / "old.sqlite-wal").read_bytes()
    (tmp_path / f"{name.format(new.name)}-wal").write_bytes(journal)
    with Ledger.create(new, {"who": "new"}) as ledger:
        assert ledger.head("who") == "new"
        assert list(ledger.events()) == []
    with Ledger.open(new) as ledger:
        assert ledger.head("who") == "new"


def test_a_disk_that_is_full_is_told_and_loses_nothing(stage: Stage) -> None:
    """A commit that fails stops the job with the ledger as it was, and the cause in the words."""
    stage.load(400)
    plan = stage.plan()
    create = Ledger.create.__func__  # type: ignore[attr-defined]

    def small(cls: type[Ledger], *args: object) -> Ledger:
        ledger: Ledger = create(cls, *args)
        (pages,) = ledger._database.execute("PRAGMA page_count").fetchone()
        ledger._database.execute(f"PRAGMA max_page_count = {pages + 12}")
        return ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "create", classmethod(small))
        with pytest.raises(LedgerError, match="full") as caught:
            stage.apply(plan)
    assert caught.value.ledger == stage.ledger
    stage.check(resume(stage.ledger, stage.client), archived=400)
    assert max(stage.archived.values()) == 1


@pytest.mark.parametrize("kind", ["cut", "zeros", "noise"])
def test_a_damaged_ledger_is_told_and_nothing_is_sent(stage: Stage, kind: str) -> None:
    """A job that was interrupted, and a page of its ledger that is gone or wrong: LedgerError."""
    stage.load(150)
    plan = stage.plan()
    stage.line.once(lambda one: one.is_poll and len(stage.writes) > 1, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    good, calls = stage.ledger.read_bytes(), len(stage.line.exchanges)
    result, noise = ArchiveResult(stage.ledger), bytes(range(255, -1, -1)) * 16
    assert len(good) > 10 * _PAGE
    for at in range(0, len(good), _PAGE):
        page = {"cut": b"", "zeros": bytes(_PAGE), "noise": noise}[kind]
        rest = good[at + _PAGE :] if page else b""
        stage.ledger.write_bytes(good[:at] + page + rest)
        with pytest.raises(LedgerError, match="damaged"):
            resume(stage.ledger, stage.client)
        with suppress(LedgerError):  # of what is read lazily, the page may be no part
            assert result.counts["archived"] == len(list(result.archived)) == 1
    assert len(stage.line.exchanges) == calls
    stage.ledger.write_bytes(good)
    stage.check(resume(stage.ledger, stage.client), archived=150)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE plan SET value = 'null' WHERE kind = 'plan'",
        "UPDATE plan SET value = '{}' WHERE kind = 'rows'",
        "UPDATE plan SET value = '{\"part\": 7' WHERE kind = 'rows'",
        "UPDATE plan SET value = replace(value, '1002', '1003') WHERE kind = 'members'",
        "UPDATE plan SET value = replace(value, '202', '203') WHERE kind = 'chunk_read'",
        "UPDATE plan SET kind = 'row' WHERE kind = 'rows'",
        "DELETE FROM plan WHERE kind = 'end'",
        "DELETE FROM plan WHERE kind = 'skips'",
        "DELETE FROM plan",
    ],
)
def test_a_plan_that_was_changed(stage: Stage, change: str) -> None:
    """What a ledger was begun with is not as it was: LedgerError, and no call."""
    stage.load(3)
    plan = stage.plan(1, users=[1001, 1002, 5])
    stage.line.once(lambda one: one.is_write, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(plan)
    calls = len(stage.line.exchanges)
    with closing(sqlite3.connect(stage.ledger)) as database, database:
        database.execute("DROP TRIGGER plan_update")
        database.execute("DROP TRIGGER plan_delete")
        assert database.execute(change).rowcount
    for attempt in (lambda: resume(stage.ledger, stage.client), lambda: redact(stage.ledger)):
        with pytest.raises(LedgerError, match="damaged"):
            attempt()
    assert len(stage.line.exchanges) == calls


def test_a_commit_is_on_the_disk(book: Path) -> None:
    """Written ahead, and synced at every commit: what is committed survives a loss of power."""
    with Ledger.open(book) as opened, Ledger.create(book.with_name("new"), {}) as created:
        for ledger in (opened, created):
            assert ledger._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert ledger._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_folder_that_cannot_be_written() -> None:
    """No ledger can be made, resumed or read there, and each error says why."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _READ_ONLY, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    words = done.stdout.splitlines()
    assert "new.sqlite: the ledger cannot be locked: Permission denied" in words[0]
    assert "old.sqlite: the ledger cannot be locked: Permission denied" in words[1]
    assert "old.sqlite: attempt to write a readonly database" in words[2]
    assert "copy it" in words[2]


def test_results_are_read_one_by_one(tmp_path: Path) -> None:
    """Iterating, counting and writing a large result hold a small part of it in memory."""
    path = tmp_path / "large.sqlite"
    job = from_rows([{"user_id": 1 + row, "course_id": 7} for row in range(5000)])
    outcomes = ((row.index, Outcome.of(row, "refused", "x" * 1000)) for row in job.selection)
    with Ledger.create(path, {}, pieces(job), outcomes):
        pass
    result = ArchiveResult(path)
    tracemalloc.start()
    assert sum(1 for _ in result.outcomes) == len(result.failed) == 5000
    result.to_csv(tmp_path / "all.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000 < path.stat().st_size / 10


def test_an_interrupted_commit_leaves_the_ledger_usable(book: Path) -> None:
    """What was interrupted is not in it; what comes afterwards is."""

    class Interrupting:
        def __iter__(self) -> "Interrupting":
            return self

        def __next__(self) -> tuple[int, Outcome]:
            raise KeyboardInterrupt

    with Ledger.open(book) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ledger.commit(Interrupting())
        ledger.note("after")
    assert _states(book) == ["after"]
