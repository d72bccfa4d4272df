"""Arguments of a wrong type, in every call: refused in words before anything is sent or made."""

import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Harness

from lms_archive import (
    ArchivePlan,
    ArchiveResult,
    Client,
    Contract,
    InvalidInputError,
    redact,
    resume,
)
from lms_archive.errors import LedgerError

#: What is given as a path, and what the calls that take a ledger or a saved plan say of it.
NO_PATHS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "none": (lambda _: None, "ledger is None: give the path of a file, such as 'ledger.sqlite'"),
    "a number": (lambda _: 7, "ledger is 7: give the path"),
    "bytes": (lambda folder: bytes(folder / "a"), "give the path"),
    "empty": (lambda _: "", "ledger is '': give the path"),
    "NUL": (lambda folder: f"{folder}/a\0b", "give the path"),
    "half a character": (lambda _: "a\ud800b", "give the path"),
    "an open file": (lambda _: io.BytesIO(), "give the path"),
    "too long": (lambda _: "x" * 5_000, "File name too long"),
    "a pipe": (lambda _: "pipe", "is not an ordinary file"),
    "in a file": (lambda folder: folder / "file" / "a.sqlite", "does not exist: create it"),
    "a folder": (lambda folder: folder, "is a folder: give a file in it, such as "),
    "in a missing folder": (
        lambda folder: folder / "nowhere" / "a.sqlite",
        "the folder '{0}/nowhere' does not exist: create it, or choose another path",
    ),
}
#: A folder is what certificates are saved in, and it is made.
FOLDERS = ("a folder", "in a missing folder")
CALLS: dict[str, Callable[[Harness, ArchivePlan, ArchiveResult, Any], object]] = {
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
OF_LEDGERS = ("apply", "resume", "redact", "result", "plan.save", "plan.load")


@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_a_path(harness: Harness, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused with an error of ours that says what to give, and nothing is made."""
    harness.load(1)
    plan = harness.plan()
    result = harness.apply(plan)
    calls = len(harness.line.exchanges)
    folder = harness.folder / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.mkfifo("pipe")
    Path("file").write_text("x")
    for case, (make, words) in NO_PATHS.items():
        if name == "save_certificates" and case in FOLDERS:
            continue
        errors = (InvalidInputError, LedgerError) if case == "a pipe" else InvalidInputError
        with pytest.raises(errors) as caught:
            CALLS[name](harness, plan, result, make(folder))
        if name in OF_LEDGERS:
            text = (
                str(caught.value).replace("plan is", "ledger is").replace("plan.sql", "ledger.sql")
            )
            assert words.format(folder) in text
            assert "lock" not in text
    assert sorted(path.name for path in folder.iterdir()) == ["file", "pipe"]
    assert len(harness.line.exchanges) == calls


def test_an_empty_path_is_not_a_folder_for_certificates(harness: Harness) -> None:
    """It would be the folder that the program happens to run in."""
    harness.load(1)
    with pytest.raises(InvalidInputError, match="folder is '': give the path of a folder"):
        harness.apply().save_certificates("")


@pytest.mark.parametrize("device", ["/dev/full", "/dev/zero"])
def test_a_contract_without_an_end(device: str) -> None:
    """A device is not read: some never end."""
    with pytest.raises(InvalidInputError, match="is not an ordinary file"):
        Contract.load(device)


FUNCTION = "must be a function that takes a RunEvent, not"
FLAG = "must be True or False, not"
NUMBER = "must be a whole number of enrollments"
WRONG_OPTIONS: list[tuple[str, Any, str]] = [
    ("on_event", "print", f"{FUNCTION} 'print'"),
    ("on_event", 5, f"{FUNCTION} 5"),
    ("trust_contract", "no", f"{FLAG} 'no'"),
    ("trust_contract", 1, f"{FLAG} 1"),
    ("allow_changes", "false", f"{FLAG} 'false'"),
    ("allow_changes", None, f"{FLAG} None"),
    ("progress", "off", f"{FLAG} 'off'"),
    *(("canary", value, NUMBER) for value in (True, "1", -1, 1.5)),
    *(("max_affected", value, NUMBER) for value in (True, "5", -1, 1.5, float("nan"))),
    ("note", 7, r"must be text \(str\), not 7"),
]


@pytest.mark.parametrize(("option", "value", "words"), WRONG_OPTIONS, ids=str)
def test_options_of_a_wrong_type(harness: Harness, option: str, value: Any, words: str) -> None:
    """A word such as "no" is true in Python, and would switch a guard off: nothing is called."""
    harness.load(2)
    plan = harness.plan()
    calls = len(harness.line.exchanges)
    options = {option: value}
    with pytest.raises(InvalidInputError, match=f"^{option} {words}"):
        harness.apply(plan, **options)
    assert not harness.ledger.exists()
    assert len(harness.line.exchanges) == calls
    harness.apply(plan)
    with pytest.raises(InvalidInputError, match=f"^{option} {words}"):
        resume(harness.ledger, harness.client, **options)


@pytest.mark.parametrize("client", [None, "https://acme.example.com", 5], ids=str)
def test_what_is_not_a_client(harness: Harness, client: Any) -> None:
    """It is refused wherever a client is taken."""
    harness.load(1)
    plan = harness.plan()
    calls: list[Callable[[], object]] = [
        lambda: harness.job().plan(client),
        lambda: plan.apply(client, ledger=harness.ledger),
        lambda: resume(harness.ledger, client),
    ]
    if client is not None:
        calls.append(lambda: ArchiveResult(harness.ledger, client))
    for call in calls:
        with pytest.raises(InvalidInputError, match=f"client must be a Client, not {client!r}"):
            call()
    assert not harness.ledger.exists()
    assert harness.writes == []


def test_a_saved_plan_is_not_a_result(harness: Harness, tmp_path: Path) -> None:
    """It has no outcomes, and cannot be resumed: the text says what to type."""
    harness.load(1)
    path = tmp_path / "plan.sqlite"
    harness.plan().save(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM outcomes").fetchone() == (0,)
    reads: list[Callable[[ArchiveResult], object]] = [
        str,
        ArchiveResult._repr_html_,
        lambda result: len(result.outcomes),
    ]
    for read in reads:
        with pytest.raises(LedgerError, match=r"is a saved plan.*ArchivePlan\.load"):
            read(ArchiveResult(path))


Call = Callable[[Client, Any], object]
#: Values of a wrong type, what is said of them, and the calls that refuse them.
WRONG: dict[str, tuple[list[Any], str, list[Call]]] = {
    "ids of get, which takes no code": (
        ["C1", "7 ", "-1", "\ud800"],
        r"_id must be a whole number, not ('.*'); for a (code|username) use \S*find\(\1\)$",
        [
            lambda client, wrong: client.courses.get(wrong),
            lambda client, wrong: client.users.get(wrong),
            lambda client, wrong: client.learning_plans.get(wrong),
            lambda client, wrong: client.learning_plans.of_course(wrong),
        ],
    ),
    "other ids of get": (
        [None, True, 1.5, "", b"7", -1],
        "_id must be a whole number, not [^;]*$",
        [
            lambda client, wrong: client.courses.get(wrong),
            lambda client, wrong: client.users.get(wrong),
            lambda client, wrong: client.learning_plans.get(wrong),
        ],
    ),
    "ids": (
        [None, True, 1.5, "", "\ud800", b"7", -1],
        "must be an id, not",
        [
            lambda client, wrong: list(client.learning_plans.courses(wrong)),
            lambda client, wrong: list(client.enrollments.in_course(wrong)),
            lambda client, wrong: list(client.archived.in_learning_plan(wrong)),
        ],
    ),
    "names, which would be searched for in everything there is": (
        [None, 5, b"SAFE"],
        "must be text",
        [
            lambda client, wrong: client.courses.find(wrong),
            lambda client, wrong: client.learning_plans.find(wrong),
            lambda client, wrong: client.users.find(wrong),
        ],
    ),
    "lists of ids: '12' is not the users 1 and 2": (
        [5, "12", b"12", True],
        "user_ids must be a list of ids",
        [
            lambda client, wrong: list(client.archived.in_course(1, user_ids=wrong)),
            lambda client, wrong: list(client.enrollments.in_course(1, user_ids=wrong)),
        ],
    ),
    "statuses that do not exist": (
        ["complete", ["completed", "done"], b"completed", [None]],
        "status='(complete|done|99|None)' is not possible: give 'enrolled', 'in_progress', 'co",
        [
            lambda client, wrong: client.enrollments.in_course(1, status=wrong),
            lambda client, wrong: client.enrollments.pages_in_learning_plan(50, status=wrong),
        ],
    ),
    "times at an end of the calendar, beyond it in UTC": (
        [
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        ],
        "outside the years 1 to 9999 in UTC",
        [
            lambda client, wrong: client.users.inactive(since=wrong),
            lambda client, wrong: client.archived.in_course(1, archived_from=wrong),
            lambda client, wrong: client.archived.in_learning_plan(1, archived_to=wrong),
        ],
    ),
    "calls": (
        [(5, "/x", None), ("GET", None, None), ("GET", "/x", (1, 2))],
        "the call cannot be made",
        [lambda client, wrong: client.request(wrong[0], wrong[1], params=wrong[2])],
    ),
}


@pytest.mark.parametrize(("values", "words", "calls"), WRONG.values(), ids=WRONG.keys())
def test_values_of_a_wrong_type(
    harness: Harness, values: list[Any], words: str, calls: list[Call]
) -> None:
    """Nothing is called with a value that is not what the argument takes."""
    for wrong in values:
        for call in calls:
            with pytest.raises(InvalidInputError, match=words):
                call(harness.client, wrong)
    assert harness.line.exchanges == []
