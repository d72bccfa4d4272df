"""Cells that no spreadsheet runs, and files that are written whole or not at all."""

import csv
import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, InvalidInputError
from lms_archive.files import private_folder
from lms_archive.tables.csv import guarded, unguarded, write_csv
from lms_archive.tables.frames import Table

RISKY = "=+-@\t\r"
cells = st.text(alphabet=st.sampled_from(f"'{RISKY}a1 \n\"") | st.characters())


@given(cells, cells)
@example("'", "")
@example("''=", "'=")
def test_a_guarded_cell_does_not_run_and_is_read_back(cell: str, other: str) -> None:
    """No guarded cell begins with a sign that a spreadsheet runs; others are left alone.

    What was guarded is read back as it was, and two cells that differ still differ.
    """
    assert unguarded(guarded(cell)) == cell
    assert (guarded(cell) == guarded(other)) == (cell == other)
    assert not guarded(cell).startswith(tuple(RISKY))
    if not cell.lstrip("'").startswith(tuple(RISKY)):
        assert guarded(cell) == cell
    for sign in RISKY:
        assert guarded(sign + cell) == f"'{sign}{cell}"


def test_how_cells_are_written() -> None:
    """Names and cells are guarded, None is empty, ids are joined, whole numbers have no point."""
    file = io.StringIO()
    rows: list[dict[str, object]] = [
        {"=a": "=1", "b": None},
        {"=a": 'x"\n', "b": -5},
        {"=a": (1, 2), "b": "half \ud83d"},
        {"=a": 71.0, "b": 0.5},
    ]
    write_csv(file, ["=a", "b"], rows)
    file.seek(0)
    assert list(csv.reader(file)) == [
        ["'=a", "b"],
        ["'=1", ""],
        ['x"\n', "'-5"],
        ["1,2", "half \\ud83d"],
        ["71", "0.5"],
    ]


# Files


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be replaced (EBUSY): the error says what to name instead, the old file stays."""
    path = tmp_path / "out.csv"
    path.write_text("old", encoding="utf-8")

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(
        InvalidInputError, match=r"out\.csv: .* name a file inside a mounted folder"
    ):
        write_csv(path, ["a"], [])
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


# Where tables are written


class _Closed(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.close()


Destinations = dict[str, tuple[Callable[[Path], Any], str]]
UNUSABLE: Destinations = {
    "a missing folder": (lambda at: at / "no" / "such" / "x.csv", "such does not exist; create it"),
    "a folder": (lambda at: at, "is not an ordinary file"),
    "a name that is too long": (lambda at: at / ("x" * 300), "too long"),
    "a device": (lambda _: "/dev/null", "is not an ordinary file"),
    "nothing": (lambda _: None, "a path, or a file that is open for text, not None"),
    "bytes": (lambda _: b"x.csv", "a path, or a file that is open for text, not b'x.csv'"),
    "a closed file": (lambda _: _Closed(), "cannot be written: I/O operation on closed file"),
    "a file to be read": (lambda at: (at / "file").open(encoding="utf-8"), "not writable"),
    "a file in ASCII": (
        lambda at: (at / "ascii").open("w", encoding="ascii"),
        "cannot be written in ascii: open the file with encoding='utf-8'",
    ),
}


def tables_of(harness: Harness, plan: ArchivePlan) -> dict[str, Table]:
    """A plan, its result, and a list of the platform."""
    result = harness.apply(plan)
    return {"plan": plan, "result": result, "list": harness.client.archived.in_course(1)}


def test_what_cannot_be_written_is_refused_in_words(harness: Harness, tmp_path: Path) -> None:
    """Whoever writes it, the error is ours, and no half of a file is left."""
    harness.load(2)
    harness.change("UPDATE users SET username = 'Zoë' || user_id")
    (tmp_path / "file").touch()
    rows = [{"username": "Zoë1001", "course_id": 1}]
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    tables = tables_of(harness, job.plan(harness.client))
    for name, (make, words) in UNUSABLE.items():
        for table in tables.values():
            destination = make(tmp_path)
            before = sorted(tmp_path.rglob("*"))
            with pytest.raises(InvalidInputError, match=words):
                table.to_csv(destination)
            assert sorted(tmp_path.rglob("*")) == before, name
            if hasattr(destination, "close"):
                destination.close()


def test_a_file_object_takes_what_a_path_takes(harness: Harness, tmp_path: Path) -> None:
    """Open files, and texts in memory, hold the same lines; a path may be text."""
    harness.load(2)
    tables = tables_of(harness, harness.plan(1, users=[1001, 5]))
    for name, table in tables.items():
        table.to_csv(str(tmp_path / "path.csv"))
        memory = io.StringIO()
        table.to_csv(memory)
        with (tmp_path / "file.csv").open("w", encoding="utf-8", newline="") as file:
            table.to_csv(file)
        written = (tmp_path / "path.csv").read_bytes()
        assert written.count(b"\r\n") == {"plan": 3, "result": 3, "list": 2}[name]
        assert (tmp_path / "file.csv").read_bytes() == memory.getvalue().encode() == written


def test_a_saved_plan_is_refused_in_the_same_words(harness: Harness, tmp_path: Path) -> None:
    """What holds of tables holds of the other files that are written whole."""
    harness.load(1)
    with pytest.raises(InvalidInputError, match=r"the folder .*no' does not exist: create it"):
        harness.plan().save(tmp_path / "no" / "plan.json")
    with pytest.raises(InvalidInputError, match="plan is None: give the path of a file"):
        harness.plan().save(None)  # type: ignore[arg-type]


def test_a_ledger_and_a_saved_plan_are_not_overwritten(harness: Harness, tmp_path: Path) -> None:
    """A table does not replace them; a plan replaces a saved plan."""
    harness.load(1)
    plan = harness.plan()
    plan.save(tmp_path / "plan.sqlite")
    result = harness.apply(plan)
    for path in (tmp_path / "plan.sqlite", harness.ledger):
        before = path.read_bytes()
        for table in (plan, result):
            with pytest.raises(InvalidInputError, match=r"exists and is a database, .* name"):
                table.to_csv(path)
        assert path.read_bytes() == before
    plan.save(tmp_path / "plan.sqlite")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file that stands where the folder should be is named."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="file/in: the folder cannot be created: Not a dir"):
        private_folder(tmp_path / "file" / "in")
