"""Arguments of a wrong type, at every door: refused in words before anything is sent or made."""

import io
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Harness

from lms_archive import ArchivePlan, ArchiveResult, Contract, InvalidInputError, redact, resume
from lms_archive.errors import LedgerError

NO_PATHS: dict[str, Any] = {
    "none": None,
    "a number": 5,
    "bytes": b"x",
    "NUL": "a\0b",
    "half a character": "a\ud800b",
    "too long": "x" * 5_000,
    "an open file": io.BytesIO(),
    "a pipe": "pipe",
}
DOORS: dict[str, Callable[[Harness, ArchivePlan, ArchiveResult, Any], object]] = {
    "apply": lambda harness, plan, _, path: plan.apply(harness.client, ledger=path),
    "resume": lambda harness, _, __, path: resume(path, harness.client),
    "redact": lambda _, __, ___, path: redact(path),
    "result": lambda _, __, ___, path: ArchiveResult(path).counts,
    "plan.save": lambda _, plan, __, path: plan.save(path),
    "plan.load": lambda _, __, ___, path: ArchivePlan.load(path),
    "plan.to_csv": lambda _, plan, __, path: plan.to_csv(path),
    "result.to_csv": lambda _, __, result, path: result.to_csv(path),
    "save_certificates": lambda _, __, result, path: result.save_certificates(path),
    "contract.load": lambda _, __, ___, path: Contract.load(path),
    "contract.save": lambda _, __, ___, path: Contract.default().save(path),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_path(harness: Harness, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused with an error of ours, and nothing is made."""
    harness.load(1)
    plan = harness.plan()
    result = harness.apply(plan)
    calls = len(harness.line.exchanges)
    folder = harness.folder / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.mkfifo("pipe")
    for path in NO_PATHS.values():
        with pytest.raises((InvalidInputError, LedgerError)):
            DOORS[door](harness, plan, result, path)
    assert [path.name for path in folder.iterdir()] == ["pipe"]
    assert len(harness.line.exchanges) == calls


def test_an_empty_path_is_no_folder_for_certificates(harness: Harness) -> None:
    """It would be the folder that the program happens to run in."""
    harness.load(1)
    with pytest.raises(InvalidInputError, match="folder is '': give the path of a folder"):
        harness.apply().save_certificates("")


def test_a_contract_without_an_end() -> None:
    """A device is not read: some never end."""
    for name in ("/dev/full", "/dev/zero"):
        with pytest.raises(InvalidInputError, match="is not an ordinary file"):
            Contract.load(name)


WRONG_OPTIONS: list[dict[str, Any]] = [
    {"on_event": "print"},
    {"on_event": 5},
    {"trust_contract": "no"},
    {"trust_contract": 1},
    {"allow_changes": "no"},
    {"allow_changes": None},
    {"progress": "yes"},
    {"canary": True},
    {"canary": "1"},
    {"canary": -1},
    {"max_affected": "5"},
    {"max_affected": 1.5},
    {"note": 5},
]


@pytest.mark.parametrize("options", WRONG_OPTIONS, ids=str)
def test_options_of_a_wrong_type(harness: Harness, options: dict[str, Any]) -> None:
    """`trust_contract="no"` would trust it: a decision is True or False, before the first call."""
    harness.load(2)
    plan = harness.plan()
    calls = len(harness.line.exchanges)
    with pytest.raises(InvalidInputError, match=f"^{next(iter(options))} "):
        harness.apply(plan, **options)
    assert not harness.ledger.exists()
    assert len(harness.line.exchanges) == calls
    harness.apply(plan)
    with pytest.raises(InvalidInputError, match=f"^{next(iter(options))} "):
        resume(harness.ledger, harness.client, **options)


@pytest.mark.parametrize("client", [None, "https://acme.example.com", 5], ids=str)
def test_what_is_no_client(harness: Harness, client: Any) -> None:
    """It is refused wherever a client is taken."""
    harness.load(1)
    plan = harness.plan()
    doors: list[Callable[[], object]] = [
        lambda: harness.job().plan(client),
        lambda: plan.apply(client, ledger=harness.ledger),
        lambda: resume(harness.ledger, client),
    ]
    if client is not None:
        doors.append(lambda: ArchiveResult(harness.ledger, client))
    for door in doors:
        with pytest.raises(InvalidInputError, match="Client, not"):
            door()
    assert harness.writes == []


def test_a_saved_plan_is_no_result(harness: Harness, tmp_path: Path) -> None:
    """It has no outcomes, and cannot be resumed: the text says what to type."""
    harness.load(1)
    place = tmp_path / "plan.sqlite"
    harness.plan().save(place)
    assert sqlite3.connect(place).execute("SELECT count(*) FROM outcomes").fetchone() == (0,)
    reads: list[Callable[[ArchiveResult], object]] = [
        str,
        ArchiveResult._repr_html_,
        lambda result: len(result.outcomes),
    ]
    for read in reads:
        with pytest.raises(LedgerError, match=r"is a saved plan.*ArchivePlan\.load"):
            read(ArchiveResult(place))


EDGES = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
]


@pytest.mark.parametrize("moment", EDGES, ids=["first", "last"])
def test_times_that_have_no_utc(harness: Harness, moment: datetime) -> None:
    """A time at the end of the calendar may lie beyond it in UTC."""
    harness.load(1)
    course = harness.client.archived
    doors: list[Callable[[], object]] = [
        lambda: harness.client.users.inactive(since=moment),
        lambda: course.in_course(1, archived_from=moment),
        lambda: course.in_learning_plan(1, archived_to=moment),
    ]
    for door in doors:
        with pytest.raises(InvalidInputError, match="outside the years 1 to 9999 in UTC"):
            door()


@pytest.mark.parametrize("wrong", [None, True, 1.5, "", "\ud800", b"7", -1], ids=repr)
def test_ids_of_a_wrong_type(harness: Harness, wrong: Any) -> None:
    """Nothing is called with a value in its path that is no id."""
    client = harness.client
    doors: list[Callable[[], object]] = [
        lambda: client.courses.get(wrong),
        lambda: client.users.get(wrong),
        lambda: client.learning_plans.get(wrong),
        lambda: list(client.learning_plans.courses(wrong)),
        lambda: list(client.enrollments.in_course(wrong)),
        lambda: list(client.archived.in_learning_plan(wrong)),
    ]
    for door in doors:
        with pytest.raises(InvalidInputError, match="must be an id, not"):
            door()
    assert harness.line.exchanges == []


@pytest.mark.parametrize("wrong", [None, 5, b"SAFE"], ids=repr)
def test_names_of_a_wrong_type(harness: Harness, wrong: Any) -> None:
    """What is not text would be searched for in everything there is."""
    client = harness.client
    for find in (client.courses.find, client.learning_plans.find, client.users.find):
        with pytest.raises(InvalidInputError, match="must be text"):
            find(wrong)
    assert harness.line.exchanges == []


def test_lists_of_ids_of_a_wrong_type(harness: Harness) -> None:
    """The text "12" is not the users 1 and 2."""
    client = harness.client
    for wrong in (5, "12", b"12", True):
        ids: Any = wrong
        for door in (client.archived.in_course, client.enrollments.in_course):
            with pytest.raises(InvalidInputError, match="user_ids must be a list of ids"):
                list(door(1, user_ids=ids))
    assert harness.line.exchanges == []


def test_calls_of_a_wrong_type(harness: Harness) -> None:
    """Any call may be made with `request`, and its arguments are checked too."""
    anything: Any = harness.client.request
    for method, path, params in ((5, "/x", None), ("GET", None, None), ("GET", "/x", (1, 2))):
        with pytest.raises(InvalidInputError, match="the call cannot be made"):
            anything(method, path, params=params)
