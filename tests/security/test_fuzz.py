"""Whatever is in a file or an answer: it is read, or refused in words; nothing else happens.

A few examples in every run. For many: `pytest tests/security/test_fuzz.py
--hypothesis-profile=fuzz --hypothesis-show-statistics`, which tells how many ran.
"""

import copy
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from virtual_time import new_harness
from wire_tools import answer, is_printable, scripted, token

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Contract,
    LmsArchiveError,
    PasswordGrant,
    RetryPolicy,
    redact,
)
from lms_archive.wire import Response

#: Each example of a ledger is written to the disk, and synced.
_DEFAULT = settings().max_examples
_MANY = _DEFAULT if _DEFAULT > 100 else 25
several = settings(
    max_examples=_MANY,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few = settings(several, max_examples=max(10, _MANY // 20))
UNENROLL: dict[str, Any] = {"mode": "unenroll", "reset_tracking": False}

texts = st.text(max_size=20) | st.sampled_from(
    ["", "\0", "\ud800", "\x1b[2J", "\u202e", "=1+1", "9" * 5000, "-1", "1e999", "{", "0000-00-00"]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**63, 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """A document in which a few things are taken out, put in, or put in place of others."""
    data = copy.deepcopy(whole)
    for _ in range(draw(st.integers(0, 4))):
        here, way = data, draw(st.integers(0, 12))
        while way and isinstance(here, (dict, list)) and here:
            way -= 1
            key = draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
            inside = here[key]
            if way and isinstance(inside, (dict, list)) and inside:
                here = inside
                continue
            if draw(st.integers(0, 3)):
                here[key] = draw(anything)
            elif isinstance(here, dict):
                here[draw(texts)] = here.pop(key)
            else:
                here.insert(key, copy.deepcopy(draw(st.sampled_from(here))))
            break
    return data


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file of which a few bytes are changed, cut out or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        put = draw(st.binary(max_size=12))
        cut = draw(st.sampled_from([0, len(put), len(put), 100, len(data)]))
        data[at : at + cut] = put
    return bytes(data)


def refused_in_words(ask: Callable[[], object]) -> object:
    """What it gives; any error must be one of ours, and can be shown."""
    try:
        return ask()
    except LmsArchiveError as error:
        text = str(error)
    assert is_printable(text)
    assert len(text) < 20_000
    return None


# Files


CSV = b'username;course_code;E-Mail\r\nada;C1;a@b\r\n\'=x;"C\n2";\r\n;;\r\n1,2;3;4;5\r\n'


@several
@given(
    data=damaged(CSV)
    | st.binary(max_size=200)
    | texts.map(lambda t: f"a,b\n{t}".encode("utf-8", "ignore"))
)
@example(data="username,course_id\n٣,³\n".encode())
def test_a_csv_file_is_read_or_refused(data: bytes, tmp_path: Path) -> None:
    """A CSV file becomes a job that accounts for its rows, or is refused."""
    path = tmp_path / "input.csv"
    path.write_bytes(data)
    job = refused_in_words(lambda: ArchiveJob.from_csv(path, **UNENROLL))
    if isinstance(job, ArchiveJob):
        for row in job.selection:
            assert (row.fault is None) == (row.target is not None and row.user is not None)


CONTRACT = json.loads(
    (Path(__file__).parents[2] / "lms_archive" / "wire" / "contract.json").read_text("utf-8")
)


@several
@given(
    data=(changed(CONTRACT) | anything).map(lambda data: json.dumps(data).encode())
    | damaged(json.dumps(CONTRACT).encode())
)
def test_a_contract_file_is_read_or_refused(data: bytes, tmp_path: Path) -> None:
    """A contract's file is a contract whose calls can be made, or is refused."""
    path = tmp_path / "contract.json"
    path.write_bytes(data)
    contract = refused_in_words(lambda: Contract.load(path))
    if isinstance(contract, Contract):
        for row in contract.operations.values():
            request = row.request(**dict.fromkeys(row.in_path, "x"))
            assert request.path.startswith("/")
            assert not request.path.startswith("//")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The files of a finished job: plan and ledger."""
    with new_harness(tmp_path_factory.mktemp("done")) as harness:
        harness.load(3, 2)
        plan = harness.plan()
        plan.save(harness.folder / "plan.sqlite")
        harness.apply(plan)
        yield harness.folder / "plan.sqlite", harness.ledger


@several
@given(data=st.data())
def test_a_damaged_plan_is_never_another_plan(
    data: st.DataObject, done: tuple[Path, Path], tmp_path: Path
) -> None:
    """A plan's file is the very plan that was saved, or is refused."""
    path, whole = tmp_path / "plan.sqlite", done[0].read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(whole)))
    else:
        path.write_bytes(whole)
        _change(data, path, PLAN_COLUMNS)
    plan = refused_in_words(lambda: ArchivePlan.load(path))
    if isinstance(plan, ArchivePlan):
        assert plan.digest == ArchivePlan.load(done[0]).digest
        assert is_printable(str(plan))


PLAN_COLUMNS = [
    *(("meta", name) for name in ("name", "value")),
    *(("targets", name) for name in ("target", "kind", "target_id", "title", "courses", "listed")),
    *(("rows", name) for name in ("row", "part", "target", "user_id", "cells", "fault_code")),
    *(("chunks", name) for name in ("chunk_id", "target", "form", "read_at")),
    *(("planned", name) for name in ("row", "chunk", "user_id", "enrolled_at", "score")),
    *(("outcomes", name) for name in ("row", "kind", "code", "reason", "learning_plan_row")),
]
LEDGER_COLUMNS = [
    *PLAN_COLUMNS,
    *(("outcomes", name) for name in ("record", "record_id", "archived_at", "recorded_at")),
    *(("events", name) for name in ("type", "chunk_id", "text", "sent_at", "recorded_at")),
    *(("details", name) for name in ("event", "name", "position", "value")),
]


def _change(data: st.DataObject, path: Path, columns: list[tuple[str, str]]) -> None:
    """Put anything into some column of some row, as another program can."""
    table, column = data.draw(st.sampled_from(columns))
    with closing(sqlite3.connect(path)) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'"):
            database.execute(f"DROP TRIGGER {trigger}")
        values = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        if not values:
            return
        number, value = data.draw(st.sampled_from(values))
        new: Any
        try:
            new = json.dumps(data.draw(changed(json.loads(value or "null"))))
        except (ValueError, TypeError):
            new = data.draw(odd_values | texts.map(lambda text: text.encode("utf-8", "replace")))
        with suppress(sqlite3.IntegrityError):
            query = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            database.execute(query, (new, number))


odd_values = st.sampled_from([None, 0, -1, 2**62, 0.5, "", "x", b"\xff", "9999-99-99", "[", "{}"])


def _read(ledger: Path) -> None:
    result = ArchiveResult(ledger)
    assert sum(result.counts.values()) >= 0
    list(result.outcomes)
    assert isinstance(result.calls, dict)
    assert isinstance(result.warnings, tuple)
    result.to_csv(ledger.with_suffix(".csv"))


@few
@given(data=st.data())
def test_a_damaged_ledger_is_read_or_refused(
    data: st.DataObject, done: tuple[Path, Path], tmp_path: Path
) -> None:
    """Bytes are changed, or any values are in its rows; `redact` reads or refuses it, too."""
    path = tmp_path / "ledger.sqlite"
    for old in tmp_path.glob("ledger*"):
        old.unlink(missing_ok=True)
    whole = done[1].read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(whole)))
    else:
        path.write_bytes(whole)
        _change(data, path, LEDGER_COLUMNS)
    refused_in_words(lambda: _read(path))
    refused_in_words(lambda: redact(path))


# Answers


ITEM = {
    "user_id": "7",
    "username": "ada",
    "id_course": 1,
    "name": "C",
    "code": "C1",
    "course_id": 1,
    "enrollment_status": "completed",
    "enrollment_level": "student",
    "enrollment_created_at": "2025-01-02 03:04:05",
    "id": 3,
    "archived_at": "2025-01-02 03:04:05",
    "learning_plan_id": 5,
    "job_descriptor": {"hash": "x", "name": "y", "status": "running", "errors": 0},
}
PAGE = {
    "data": {
        "items": [ITEM, {**ITEM, "user_id": 8}],
        "jobs": [{"job_descriptor": ITEM["job_descriptor"]}],
        "has_more_data": False,
        "total_count": 2,
        "total_page_count": 1,
        "cursor": None,
    }
}
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "Date", "Retry-After", "Location"]),
    texts | st.sampled_from(["Sun, 01 Mar 2026 12:00:00 GMT", "application/json", "3", "-1"]),
)
answers = st.builds(
    Response,
    st.sampled_from([200] * 12 + [204, 302, 400, 401, 403, 404, 408, 429, 500, 503]),
    headers,
    changed(PAGE).map(lambda page: json.dumps(page).encode())
    | damaged(json.dumps(PAGE).encode())
    | st.binary(max_size=60),
)


@several
@given(data=st.data())
def test_any_answer_to_a_read_is_used_or_refused_and_nothing_is_written(
    data: st.DataObject,
) -> None:
    """Any answer to any read makes records, or an error in words; nothing is ever written."""
    logins = (
        answers | st.just(token()) | changed({"access_token": "x", "expires_in": 3}).map(answer)
    )
    client, script = scripted(
        lambda _: data.draw(answers),
        tokens=[lambda _: data.draw(logins)],
        auth=PasswordGrant("an-app", "its-secret", "ada", "her-password"),
        retry=RetryPolicy(attempts=2),
    )
    asks: list[Callable[[], object]] = [
        lambda: list(client.courses.list()),
        lambda: list(client.users.list()),
        lambda: list(client.enrollments.in_course(1)),
        lambda: list(client.enrollments.in_learning_plan(5)),
        lambda: list(client.archived.in_course(1)),
        lambda: list(client.background_jobs.list()),
        lambda: client.courses.get(1),
        lambda: ArchiveJob.for_course(1, **UNENROLL).users([7, "ada"]).plan(client),
        lambda: ArchiveJob.for_learning_plan(5, **UNENROLL).all_enrollments().plan(client),
        lambda: ArchiveJob.for_course("C1", **UNENROLL).users(["ada"]).plan(client),
    ]
    for ask in data.draw(st.lists(st.sampled_from(asks), min_size=1, max_size=3)):
        found = refused_in_words(ask)
        if isinstance(found, ArchivePlan):
            assert is_printable(str(found))
    assert {sent.method for sent in script.sent} <= {"GET"}
