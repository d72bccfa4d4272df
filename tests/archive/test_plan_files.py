"""A plan on disk: the same plan when loaded, and refused when somebody changed it."""

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_tools import for_course, from_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lms_archive import ArchivePlan, BadInput, Client

names = st.sampled_from(["alice", "bob", "Anna", "nobody", "tina", "", "=cmd|' /C calc'!A0"])
cells = (
    st.none() | st.integers() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=5)
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


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another user": lambda plan: plan["chunks"][0]["members"][0].update(user_id=101),
    "another date": lambda plan: plan["chunks"][0]["members"][0].update(
        enrolled_at="2025-01-02T03:04:06+00:00"
    ),
    "another course": lambda plan: plan["chunks"][0]["target"].update(target_id=71),
    "a row less": lambda plan: plan["chunks"][0]["members"].pop(),
    "a chunk more": lambda plan: plan["chunks"].append(plan["chunks"][0]),
    "another decision": lambda plan: plan["terms"].update(reset_tracking=True),
    "staff, too": lambda plan: plan["terms"].update(include_staff=True),
    "another platform": lambda plan: plan.update(platform="http://127.0.0.1:1"),
    "another reason": lambda plan: plan["skips"][0].update(reason="fine"),
    "another cell": lambda plan: plan["rows"][0]["cells"][0].__setitem__(0, "SAFE"),
    "another digest": lambda plan: plan.update(digest="0" * 64),
    "no digest": lambda plan: plan.pop("digest"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_file(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """What was changed since it was saved is refused."""
    plan = json.loads(saved.read_text(encoding="utf-8"))
    change(plan)
    saved.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        ArchivePlan.load(saved)
    assert str(caught.value) == f"{saved}: was changed since it was saved: plan again"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a plan: "),
        (b"username,course_code\n", "not a plan: "),
        (b"\xff\xfe", "not a plan: "),
        (b"[]", "not a plan of this version ('lms_archive plan 1')"),
        (b'{"format": "lms_archive plan 99"}', "not a plan of this version"),
        (b'{"format": "lms_archive plan 1"}', "not a plan: 'platform'"),
    ],
    ids=["empty", "CSV", "no text", "list", "newer", "nothing in it"],
)
def test_no_plan(content: bytes, words: str, tmp_path: Path) -> None:
    """A file that holds no plan is refused with its name."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        ArchivePlan.load(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_missing_plan(tmp_path: Path) -> None:
    """A missing file is BadInput, too."""
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        ArchivePlan.load(tmp_path / "none.json")


def test_missing_part(saved: Path) -> None:
    """A plan that lacks a part of itself is refused, whatever part."""
    whole = json.loads(saved.read_text(encoding="utf-8"))
    for name in whole:
        part = {key: value for key, value in whole.items() if key != name}
        saved.write_text(json.dumps(part), encoding="utf-8")
        with pytest.raises(BadInput):
            ArchivePlan.load(saved)


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
