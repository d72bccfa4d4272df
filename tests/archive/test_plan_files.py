"""A plan on disk: the same plan when loaded, and refused when somebody changed it."""

import csv
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_tools import MakeCsv, for_course, from_csv, from_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lms_archive import ArchivePlan, Client, InvalidInputError

names = st.sampled_from(["alice", "bob", "Anna", "nobody", "tina", "", "=cmd|' /C calc'!A0"])
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
rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "username": names,
            "user_id": st.sampled_from([None, None, 101, "102", 7.0, "007"]),
            "course_code": st.sampled_from(["SAFE", "FIRE", "TWIN", "NOPE", None]),
            "note": cells,
        }
    ),
    max_size=8,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows_of_any_kind, st.sampled_from(["completed", "any"]))
def test_save_and_load_is_the_identity(
    tmp_path: Path, reader: Client, rows: list[dict[str, Any]], only: str
) -> None:
    """The loaded plan equals the saved one in every field, its digest and its text."""
    plan = from_rows(rows, only=only).plan(reader)
    path = tmp_path / "plan.json"
    plan.save(path)
    loaded = ArchivePlan.load(path)
    assert loaded == plan
    assert loaded.digest == plan.digest
    assert str(loaded) == str(plan)
    assert loaded.skipped == plan.skipped
    again = tmp_path / "again.json"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.fixture
def saved(tmp_path: Path, reader: Client) -> Path:
    """A plan of two rows, on disk."""
    path = tmp_path / "plan.json"
    for_course("FIRE").users(["bob", "nobody"]).plan(reader).save(path)
    return path


def test_saved_for_its_owner_alone(saved: Path) -> None:
    """It holds people's names: only its owner may read it."""
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def lines_of(path: Path) -> list[Any]:
    """The values of a plan's file, line by line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, lines: list[Any]) -> None:
    """Write them as they were written."""
    texts = [json.dumps(line, separators=(",", ":"), sort_keys=True) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another user": lambda of: of["members"][0].__setitem__(1, 101),
    "another date": lambda of: of["members"][0].__setitem__(3, "2025-01-02T03:04:06+00:00"),
    "another course": lambda of: of["chunk"]["target"].update(target_id=71),
    "another size": lambda of: of["chunk_read"].update(listed=99),
    "another time": lambda of: of["chunk_read"].update(read_at="2025-01-02T03:04:06+00:00"),
    "a row less": lambda of: of["members"].pop(),
    "a row more": lambda of: of["members"].append(of["members"][0]),
    "another decision": lambda of: of["plan"]["terms"].update(reset_tracking=True),
    "staff, too": lambda of: of["plan"]["terms"].update(include_staff=True),
    "another platform": lambda of: of["plan"].update(platform="http://127.0.0.1:1"),
    "another reason": lambda of: of["skips"][0].__setitem__(2, "fine"),
    "another cell": lambda of: of["rows"]["rows"][0][3].__setitem__(0, "SAFE"),
    "another warning": lambda of: of["read"]["warnings"].append("all is well"),
    "another digest": lambda of: of["end"].update(digest="0" * 64),
    "no digest": lambda of: of["end"].pop("digest"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_file(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """What was changed since it was saved is refused."""
    first, *lines = lines_of(saved)
    change(dict(lines))
    write_lines(saved, [first, *lines])
    with pytest.raises(InvalidInputError) as caught:
        ArchivePlan.load(saved)
    assert str(caught.value) == f"{saved}: was changed since it was saved: plan again"


def test_the_end_is_the_hash_of_the_lines(saved: Path) -> None:
    """What other tools say of the file agrees with its last line, and with the plan's digest."""
    _, *lines, end = saved.read_bytes().splitlines(keepends=True)
    planned = [one for one in lines if json.loads(one)[0] not in ("read", "chunk_read")]
    digest = hashlib.sha256(b"".join(planned)).hexdigest()
    whole = hashlib.sha256(b"".join(lines)).hexdigest()
    assert json.loads(end) == ["end", {"digest": digest, "whole": whole}]
    assert ArchivePlan.load(saved).digest == digest


def test_any_line_missing_or_elsewhere(saved: Path) -> None:
    """A file that lacks a line, has one twice, or has two exchanged, is refused."""
    whole = lines_of(saved)
    for at in range(len(whole)):
        swapped = whole[:at] + whole[at : at + 2][::-1] + whole[at + 2 :]
        for lines in (whole[:at] + whole[at + 1 :], whole[: at + 1] + whole[at:], swapped):
            write_lines(saved, lines)
            if lines != whole:
                with pytest.raises(InvalidInputError, match=r"not a plan|was changed"):
                    ArchivePlan.load(saved)


def test_cut_off_anywhere(saved: Path) -> None:
    """A file of which only the beginning has arrived is refused, wherever it is cut."""
    whole = saved.read_bytes()
    for size in range(0, len(whole) - 2, 7):
        saved.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match=r"not a plan|was changed"):
            ArchivePlan.load(saved)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a plan: "),
        (b"username,course_code\n", "not a plan: "),
        (b"\xff\xfe", "not a plan: "),
        (b"[]", "not a plan of this version ('lms_archive plan 2')"),
        (b'{"format": "lms_archive plan 99"}', "not a plan of this version"),
        (b'{"format": "lms_archive plan 2"}', "was changed since it was saved"),
        (b'{"format": "lms_archive plan 2"}\n["end",{}]', "was changed since it was saved"),
        (b'{"format": "lms_archive plan 2"}\n["more",{}]', "not a plan: 'more'"),
        (b'{"format": "lms_archive plan 2"}\n["rows",7]', "not a plan: "),
        (b'{"format": "lms_archive plan 2"}\n7', "not a plan: "),
    ],
    ids=[
        *("empty", "CSV", "no text", "list", "newer", "nothing in it", "no plan in it"),
        *("unknown kind", "no rows", "no piece"),
    ],
)
def test_no_plan(content: bytes, words: str, tmp_path: Path) -> None:
    """A file that holds no plan is refused with its name."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        ArchivePlan.load(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_plan_larger_than_its_blocks(tmp_path: Path, reader: Client) -> None:
    """Rows, pre-images and skips in several blocks, parts of several kinds: all the same."""
    several = (
        from_rows([{"username": f"no{i}", "course_code": "SAFE"} for i in range(1_234)])
        + from_rows([])
        + from_rows([{"course_id": 71, "user_id": 101, "note": 1.5}] * 501)
    )
    plan = several.plan(reader)
    plan.save(tmp_path / "plan.json")
    loaded = ArchivePlan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert [len(part) for part in loaded.selection.rows] == [1_234, 0, 501]
    assert loaded.digest == plan.digest


def test_of_a_file(tmp_path: Path, reader: Client, make_csv: MakeCsv) -> None:
    """Rows of a file, ragged and bad ones too, are the same rows when loaded."""
    text = "username,course_code,x,y\nbob, FIRE,1,2\nbob,FIRE\n,FIRE,1,\nann,FIRE ,1,2,3\n"
    plan = from_csv(make_csv(text)).plan(reader)
    plan.save(tmp_path / "plan.json")
    loaded = ArchivePlan.load(tmp_path / "plan.json")
    assert list(loaded.selection) == list(plan.selection)
    assert (loaded.chunks, loaded.skips) == (plan.chunks, plan.skips)
    assert loaded.digest == plan.digest


def test_missing_plan(tmp_path: Path) -> None:
    """A missing file is InvalidInputError, too."""
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        ArchivePlan.load(tmp_path / "none.json")


def test_to_csv(tmp_path: Path, reader: Client) -> None:
    """For sign-off each row stands with what will be done, why not, and its pre-image."""
    plan = for_course("FIRE").users(["bob", "=nobody"]).plan(reader)
    plan.to_csv(tmp_path / "plan.csv")
    with (tmp_path / "plan.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "course_code": "FIRE",
        "user_id": "",
        "username": "bob",
        "plan": "archive",
        "plan_reason": "",
        "plan_chunk": plan.chunks[0].chunk_id,
        "plan_user_id": "102",
        "plan_enrolled_at": "2025-01-02 03:04:05+00:00",
        "plan_status": "completed",
        "plan_completed_at": "2025-02-03 04:05:06+00:00",
    }
    assert (second["username"], second["plan"]) == ("'=nobody", "skip")
    assert second["plan_reason"] == plan.skipped[0].reason
