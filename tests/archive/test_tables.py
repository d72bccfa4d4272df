"""Cells that no spreadsheet runs, and files that are there whole or not at all."""

import csv
import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lms_archive.archive.tables import guarded, unguarded, write_csv
from lms_archive.files import whole_file

RISKY = "=+-@\t\r"
cells = st.text(alphabet=st.sampled_from(f"'{RISKY}a1 \n\"") | st.characters())


@given(cells)
@example("'")
@example("''=")
def test_guard_is_undone(cell: str) -> None:
    """What was guarded is read back as it was."""
    assert unguarded(guarded(cell)) == cell


@given(cells, cells)
def test_guard_keeps_apart(one: str, other: str) -> None:
    """Two cells that differ still differ when guarded."""
    assert (guarded(one) == guarded(other)) == (one == other)


@given(cells)
def test_guarded_cell_does_not_run(cell: str) -> None:
    """No guarded cell begins with a sign that a spreadsheet runs; others are left alone."""
    assert not guarded(cell).startswith(tuple(RISKY))
    if not cell.lstrip("'").startswith(tuple(RISKY)):
        assert guarded(cell) == cell


@pytest.mark.parametrize("sign", RISKY)
def test_guard_of_each_sign(sign: str) -> None:
    """Each sign gets one apostrophe, and one more where it has some already."""
    assert guarded(f"{sign}1+1") == f"'{sign}1+1"
    assert guarded(f"'{sign}1+1") == f"''{sign}1+1"
    assert guarded(f"1{sign}1") == f"1{sign}1"


def test_whole_file(tmp_path: Path) -> None:
    """The file appears when it is whole, readable by its owner alone, and nothing else does."""
    path = tmp_path / "out.csv"
    with whole_file(path) as file:
        file.write("Zoë")
        assert not path.exists()
    assert path.read_bytes() == "Zoë".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def write_and_fail(path: Path, error: BaseException) -> None:
    """Write half of a file."""
    with whole_file(path) as file:
        file.write("new")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_whole_file_fails(tmp_path: Path, error: BaseException) -> None:
    """After a failure the old file stands as it was, and nothing is left behind."""
    path = tmp_path / "out.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(type(error)):
        write_and_fail(path, error)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_whole_file_replaces(tmp_path: Path) -> None:
    """An old file that everybody could read is replaced by one that only its owner can."""
    path = tmp_path / "out.csv"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    with whole_file(path) as file:
        file.write("new")
    assert path.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_write_csv(tmp_path: Path) -> None:
    """Names and cells are guarded, a None is empty, and half a character does not stop it."""
    path = tmp_path / "out.csv"
    rows: list[dict[str, object]] = [
        {"=a": "=1", "b": None},
        {"=a": 'x"\n', "b": -5},
        {"b": "half \ud83d"},
    ]
    write_csv(path, ["=a", "b"], rows)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read == [["'=a", "b"], ["'=1", ""], ['x"\n', "'-5"], ["", "half \\ud83d"]]
