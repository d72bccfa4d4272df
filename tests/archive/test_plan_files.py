"""A plan on disk: the same plan when loaded, and refused when somebody changed it."""

import hashlib
import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from archive_tools import (
    MakeCsv,
    begin,
    change_plan,
    for_course,
    from_csv,
    from_rows,
    plan_of,
)
from attrs import evolve
from conftest import read_csv
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from virtual_time import Harness

from lms_archive import ArchivePlan, ArchiveResult, Client, InvalidInputError, redact, resume
from lms_archive.archive import PlannedEnrollment, PlannedTarget
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.chunks import split_into_chunks as split
from lms_archive.archive.values.outcomes import CODES, Skip
from lms_archive.errors import LedgerError
from lms_archive.records import EnrollmentLevel, EnrollmentStatus

texts = st.text(st.characters(codec="utf-8"), max_size=5)
plain_cells = st.none() | st.integers() | st.booleans() | texts | st.floats()
cells = (
    plain_cells
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.sets(texts, max_size=3)
    | st.lists(plain_cells, max_size=3)
    | st.dictionaries(st.integers() | texts, plain_cells | st.dates(), max_size=3)
)
names = st.none() | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5
)
words = st.text(max_size=6)
ids = st.integers(1, 10**18 - 1)
times = st.none() | st.datetimes(timezones=st.just(timezone.utc))
asked = st.fixed_dictionaries(
    {
        "user_id": ids | st.sampled_from([None, "102", 7.0, "007", "seven"]),
        "username": names,
        "course_code": names,
        "note": cells,
    }
)
targets = st.builds(
    PlannedTarget,
    kind=st.sampled_from(["course", "learning_plan"]),
    target_id=ids,
    code=st.none() | words,
    title=st.none() | words,
    courses=st.lists(ids, max_size=3).map(tuple),
    credits=st.none() | st.floats(allow_nan=False),
    listed=st.integers(0, 9),
)


@st.composite
def plans(draw: st.DrawFn) -> ArchivePlan:
    """A plan with any names, times and numbers that a platform may have."""
    count = draw(st.integers(1, 6))
    job = from_rows(draw(st.lists(asked, min_size=count, max_size=count)))
    count = job.row_count or 0  # a row of nothing is not a row
    assume(count)
    sent = sorted(draw(st.sets(st.integers(0, count - 1))))
    members = [
        PlannedEnrollment(
            row=row,
            user_id=user_id,
            username=draw(st.none() | words),
            enrolled_at=draw(times),
            status=draw(st.none() | st.sampled_from(EnrollmentStatus) | words),
            level=draw(st.none() | st.sampled_from(EnrollmentLevel) | words),
            completed_at=draw(times),
            score=draw(st.none() | st.floats(allow_nan=False)),
            time_spent=draw(st.none() | st.integers(0, 2**62)),
        )
        for row, user_id in zip(
            sent,
            draw(st.lists(ids, min_size=len(sent), max_size=len(sent), unique=True)),
            strict=True,
        )
    ]
    size = draw(st.integers(1, 3))
    at = datetime(2025, 1, 2, tzinfo=timezone.utc)
    found = draw(targets)
    return ArchivePlan(
        platform="https://acme.example.com",
        terms=job.terms,
        selection=job.selection,
        chunks=tuple(split(found, members, size=size, terms=job.terms, read_at=at)),
        skips=tuple(
            Skip(row, draw(st.sampled_from(sorted(CODES))), draw(words), draw(st.none() | ids))
            for row in range(count)
            if row not in sent
        ),
        warnings=tuple(draw(st.lists(words, max_size=12))),
        calls=draw(st.dictionaries(words, st.integers(0, 9), max_size=3)),
        duration=timedelta(seconds=draw(st.integers(0, 10**6))),
        read_at=draw(times),
    )


@settings(max_examples=30)
@given(plans())
def test_a_plan_with_any_names_is_the_same_again(tmp_path: Path, plan: ArchivePlan) -> None:
    """Whatever names, times and numbers are in it, from a file and from a ledger."""
    path, ledger = tmp_path / "plan.sqlite", tmp_path / "ledger.sqlite"
    plan.save(path)
    loaded = ArchivePlan.load(path)
    assert loaded == plan
    assert (loaded.digest, str(loaded)) == (plan.digest, str(plan))
    assert list(loaded.skipped) == list(plan.skipped)
    again = tmp_path / "again.sqlite"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    ledger.unlink(missing_ok=True)
    with begin(ledger, plan) as book:
        rows = book.rows().by_index(range(len(list(plan.selection))))
        assert list(rows.values()) == list(plan.selection)
    with Ledger.open(ledger) as book:
        assert book.plan().chunks == plan.chunks
    assert ArchivePlan.load(ledger) == plan


def test_half_a_character_is_kept_escaped(tmp_path: Path) -> None:
    """A platform's word that no file can hold stops no plan from being saved."""
    job = from_rows([{"user_id": 1, "course_id": 7}])
    member = PlannedEnrollment(
        row=0, user_id=1, username="half \ud83d", enrolled_at=None, status="\ud83d", level=None
    )
    target = PlannedTarget(kind="course", target_id=7, title="\ud83d")
    at = datetime(2025, 1, 2, tzinfo=timezone.utc)
    plan = evolve(
        plan_of(job), chunks=tuple(split(target, [member], size=1, terms=job.terms, read_at=at))
    )
    plan.save(tmp_path / "plan.sqlite")
    loaded = ArchivePlan.load(tmp_path / "plan.sqlite")
    (chunk,) = loaded.chunks
    assert (chunk.members[0].username, chunk.target.title) == ("half \\ud83d", "\\ud83d")
    assert loaded.digest == plan.digest


@pytest.fixture
def saved(tmp_path: Path, reader: Client) -> Path:
    """A plan of two rows, on disk."""
    path = tmp_path / "plan.sqlite"
    for_course("FIRE").users(["bob", "nobody"]).plan(reader).save(path)
    return path


def test_saved_for_its_owner_alone(saved: Path) -> None:
    """It holds people's names: only its owner may read it, and nothing lies beside it."""
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert [path.name for path in saved.parent.iterdir()] == ["plan.sqlite"]


def test_a_saved_plan_is_read_and_never_written(saved: Path) -> None:
    """Whatever lies beside it: a journal of another file changes nothing."""
    before = saved.read_bytes()
    for rest in ("-journal", "-wal"):
        Path(f"{saved}{rest}").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" * 64)
    plan = ArchivePlan.load(saved)
    assert plan.counts == {"rows": 2, "to_archive": 1, "skipped": 1, "chunks": 1}
    assert saved.read_bytes() == before


def test_when_it_was_read_is_no_part_of_the_digest(reader: Client) -> None:
    """Equal plans have the same digest whenever they were made; another row has another one."""
    first, second = (for_course("FIRE").users(["bob"]).plan(reader) for _ in range(2))
    later = tuple(
        evolve(chunk, read_at=chunk.read_at + timedelta(days=1)) for chunk in first.chunks
    )
    assert first.digest == second.digest == evolve(first, chunks=later, read_at=None).digest
    assert for_course("FIRE").users(["bob", "bob"]).plan(reader).digest != first.digest


def test_other_tools_compute_the_digest(saved: Path) -> None:
    """It is SHA-256 over lines of JSON, as the page on evidence says."""
    plan = ArchivePlan.load(saved)
    with closing(sqlite3.connect(saved)) as database:
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
        terms = ("platform", "mode", "reset_tracking", "include_staff", "only")
        lines = [["terms", [meta[name] for name in terms]]]
        widths = {"columns": 3, "rows": 11, "targets": 7, "chunks": 4, "planned": 10, "outcomes": 9}
        for table, width in widths.items():
            rows = database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            lines.append([table, [row[:width] for row in rows]])
    text = "".join(
        json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines
    )
    assert hashlib.sha256(text.encode()).hexdigest() == meta["digest"] == plan.digest


def test_cut_off_or_damaged_anywhere(saved: Path) -> None:
    """A file of which only the beginning has arrived, or a byte is another, is refused or equal.

    `test_fuzz.py` damages many more.
    """
    whole, plan = saved.read_bytes(), ArchivePlan.load(saved)
    for size in range(0, len(whole) - 1, 2048):
        saved.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match=r"not a plan|was changed"):
            ArchivePlan.load(saved)
    for place in range(0, len(whole), 401):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with suppress(InvalidInputError):
            assert ArchivePlan.load(saved) == plan


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a plan"),
        (b"username,course_code\n", "not a plan: "),
        (b"\xff\xfe", "not a plan: "),
        (b'{"format": "lms_archive plan 2"}\n', "a plan saved by lms_archive 0.1.0, which this"),
        (None, "cannot be read: No such file"),
    ],
    ids=["empty", "CSV", "no text", "of 0.1.0", "missing"],
)
def test_no_plan(content: bytes | None, words: str, tmp_path: Path) -> None:
    """A file that holds no plan is refused with its name."""
    path = tmp_path / "plan.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        ArchivePlan.load(path)
    assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("version", ["2", "99"])
def test_a_plan_of_another_version(saved: Path, version: str) -> None:
    """A form of the file that this version does not know is refused."""
    change_plan(saved, f"UPDATE meta SET value = '{version}' WHERE name = 'schema'")
    with pytest.raises(InvalidInputError, match=r"not a plan of this version \(format 3\)"):
        ArchivePlan.load(saved)


def test_a_plan_is_not_written_over_a_ledger_or_another_file(harness: Harness) -> None:
    """The ledger is the evidence of a job, and what resumes it; a CSV may be its input."""
    harness.load(2)
    plan = harness.plan()
    harness.apply(plan)
    before = harness.ledger.read_bytes()
    with pytest.raises(
        InvalidInputError, match="exists and is not a saved plan, so it is not overwritten"
    ):
        plan.save(harness.ledger)
    assert harness.ledger.read_bytes() == before
    rows = harness.folder / "inactive.csv"
    rows.write_text("username,course_code\n")
    with pytest.raises(InvalidInputError, match="is not a saved plan"):
        plan.save(rows)
    assert rows.read_text() == "username,course_code\n"
    plan.save(harness.folder / "plan.sqlite")
    plan.save(harness.folder / "plan.sqlite")  # another plan is replaced


def test_a_saved_plan_is_no_ledger(harness: Harness) -> None:
    """What was signed stays as it is: a job has a ledger of its own."""
    harness.load(2)
    path = harness.folder / "plan.sqlite"
    harness.plan().save(path)
    before = path.read_bytes()
    load = r"ArchivePlan\.load\("
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: resume(path, harness.client), load),
        (lambda: harness.plan().apply(harness.client, ledger=path), load),
        (lambda: redact(path), "delete it if you no longer need it"),
    ]
    for attempt, cure in attempts:
        with pytest.raises(LedgerError, match=f"is a saved plan, not a ledger: {cure}"):
            attempt()
    assert path.read_bytes() == before
    assert harness.writes == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE planned SET row = 4611686018427387904 WHERE row = 0",
        "UPDATE rows SET row = 9223372036854775807 WHERE row = 1",
        "UPDATE rows SET row = -9223372036854775808 WHERE row = 0",
        "UPDATE meta SET value = '999999999999' WHERE name = 'parts'",
    ],
)
def test_a_damaged_number_is_no_loop_without_end(
    saved: Path, harness: Harness, change: str
) -> None:
    """A plan is refused at once, and so is the ledger of a job."""
    harness.load(2)
    harness.apply()
    for path in (saved, harness.ledger):
        with closing(sqlite3.connect(path)) as database, database:
            for (trigger,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type='trigger'"
            ):
                database.execute(f"DROP TRIGGER {trigger}")
            database.execute(change)
    with pytest.raises(InvalidInputError, match="was changed since it was saved"):
        ArchivePlan.load(saved)
    with pytest.raises(LedgerError, match="damaged"):
        resume(harness.ledger, harness.client)
    if "parts" in change:
        with pytest.raises(LedgerError, match="damaged"):
            list(ArchiveResult(harness.ledger).outcomes)


def test_rows_that_were_changed_since(harness: Harness) -> None:
    """A plan whose rows somebody changed in memory is not the one that was looked at."""
    harness.load(2)
    plan = harness.plan(1, users=[1001, 1002])
    object.__setattr__(plan, "warnings", ("other",))  # no part of the digest
    object.__setattr__(plan, "skips", (Skip(0, "status", "other"),))
    with pytest.raises(InvalidInputError, match="have changed since planning: plan again"):
        plan.apply(harness.client, ledger=harness.ledger)
    assert harness.writes == []
    assert not harness.ledger.exists()


def test_a_plan_larger_than_its_blocks(tmp_path: Path, reader: Client) -> None:
    """Rows, pre-images and skips in several blocks, parts of several kinds: all the same."""
    several = (
        from_rows([{"username": f"no{i}", "course_code": "SAFE"} for i in range(1_234)])
        + from_rows([])
        + from_rows([{"course_id": 71, "user_id": 101, "note": 1.5}] * 501)
    )
    plan = several.plan(reader)
    plan.save(tmp_path / "plan.sqlite")
    loaded = ArchivePlan.load(tmp_path / "plan.sqlite")
    assert loaded == plan
    assert [len(part) for part in loaded.selection.rows] == [1_234, 0, 501]
    assert loaded.digest == plan.digest


def test_of_a_file(tmp_path: Path, reader: Client, make_csv: MakeCsv) -> None:
    """Rows of a file, ragged and bad ones too, are the same rows when loaded."""
    text = "username,course_code,x,y\nbob, FIRE,1,2\nbob,FIRE\n,FIRE,1,\nann,FIRE ,1,2,3\n"
    plan = from_csv(make_csv(text)).plan(reader)
    plan.save(tmp_path / "plan.sqlite")
    loaded = ArchivePlan.load(tmp_path / "plan.sqlite")
    assert list(loaded.selection) == list(plan.selection)
    assert (loaded.chunks, loaded.skips) == (plan.chunks, plan.skips)
    assert loaded.digest == plan.digest


def test_to_csv(tmp_path: Path, reader: Client) -> None:
    """For sign-off each row stands with what will be done, why not, and its pre-image."""
    plan = for_course("FIRE").users(["bob", "=nobody"]).plan(reader)
    plan.to_csv(tmp_path / "plan.csv")
    first, second = read_csv(tmp_path / "plan.csv")
    assert first == {
        "course_code": "FIRE",
        "user_id": "",
        "username": "bob",
        "plan": "archive",
        "plan_code": "",
        "plan_reason": "",
        "plan_chunk": plan.chunks[0].chunk_id,
        "plan_user_id": "102",
        "plan_username": "bob",
        "plan_enrolled_at": "2025-01-02 03:04:05+00:00",
        "plan_status": "completed",
        "plan_completed_at": "2025-02-03 04:05:06+00:00",
    }
    assert (second["username"], second["plan"]) == ("'=nobody", "skip")
    assert second["plan_reason"] == plan.skipped[0].reason
