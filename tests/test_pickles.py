"""Everything public goes to another process and comes back, or says why not."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import attrs
import pytest
from conftest import quick_client
from public_names import PUBLIC
from python_process import run_python
from test_errors import example

import lms_archive
from lms_archive import (
    ArchiveJob,
    Client,
    ClientCredentials,
    JwtBearer,
    LmsArchiveError,
    PasswordGrant,
    StaticToken,
    records,
)
from lms_archive.archive import PendingRow, RunEvent, StopSignal
from lms_archive.records import Record
from lms_archive.resources import Deletion
from lms_archive.sandbox import PlatformVariant, Sandbox
from lms_archive.wire import (
    Auth,
    Call,
    Candidate,
    Page,
    RequestNotSentError,
    RequestsTransport,
    Response,
    Transport,
    UnusableConnectionError,
)

DONE = {"enrollment_status": "completed", "enrollment_created_at": "2025-01-02 03:04:05"}


def load(sandbox: Sandbox) -> None:
    """Two users, each in a course of their own and in a learning plan of two others."""
    who = ("ada", "bob")
    sandbox.load(
        users=[{"username": name} for name in who],
        courses=[{"code": code} for code in ("C1", "P1", "P2")],
        learning_plans=[{"code": "LP", "courses": ["P1", "P2"]}],
        enrollments=[
            {"username": name, "course_code": code, **DONE}
            for name in who
            for code in ("C1", "P1", "P2")
        ],
        learning_plan_enrollments=[
            {"username": name, "learning_plan_code": "LP", **DONE} for name in who
        ],
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, dict[str, Any]]]:
    """One small job from its rows to its certificates, and each public value that it met."""
    folder = tmp_path_factory.mktemp("pickles")
    variant = PlatformVariant(calls={"list_jobs": "GET /elsewhere/v1/jobs"})
    with Sandbox(job_seconds=0) as sandbox, quick_client(sandbox) as client:
        load(sandbox)
        rows: list[dict[str, Any]] = [
            {"username": "ada", "course_code": "C1"},
            {"username": "bob", "course_code": "C1"},
            {"username": "nobody", "course_code": "C1"},
            {"username": "ada", "learning_plan_code": "LP"},
            {"username": "bob", "learning_plan_code": "LP"},
        ]
        job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
        plan = job.plan(client)
        events: list[RunEvent] = []
        result = plan.apply(client, ledger=folder / "a.sqlite", on_event=events.append)
        assert result.counts == {"archived": 4, "skipped": 1, "failed": 0, "unknown": 0}
        met = [
            *(job, plan, result, *events, *result.outcomes),
            *(result.archived, result.pending, result.records, plan.skipped),
            *(client, client.limits, client.session.settings),
            *(
                client.courses.find("C1"),
                client.users.find("ada"),
                client.learning_plans.find("LP"),
            ),
            *(*client.learning_plans.courses(1), *client.background_jobs.list()),
            *(client.check(), client.verify_contract(), result.save_certificates(folder / "pdf")),
        ]
        with Sandbox(variant=variant) as other:
            met.append(other.client().verify_contract(["list_jobs"]))
        load_again = {"user_id": 3, **DONE}
        sandbox.load(
            users=[{"username": "eve", "user_id": 3}],
            enrollments=[{**load_again, "course_code": "C1"}],
            learning_plan_enrollments=[{**load_again, "learning_plan_code": "LP"}],
        )
        met += [*client.enrollments.in_course(1), *client.enrollments.in_learning_plan(1)]
        yield client, {type(part).__name__: part for value in met for part in parts(value)}


def parts(value: Any) -> Iterator[Any]:
    """A value, and all that it holds."""
    yield value
    inner: Iterable[Any] = ()
    if attrs.has(type(value)):
        inner = [getattr(value, field.name) for field in attrs.fields(type(value))]
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, tuple | list):
        inner = value
    for part in inner:
        yield from parts(part)


NOT_PICKLED = ("ChangedOptions", "ClientOptions", "Listing", "PlanData")
NOT_MET: dict[str, Callable[[], Any]] = {
    "Response": lambda: Response(200, {"Date": "today"}, b"{}"),
    "ClientCredentials": lambda: ClientCredentials("id", "secret"),
    "JwtBearer": lambda: JwtBearer("id", "secret", "a.b.c"),
    "RequestNotSentError": lambda: RequestNotSentError("refused"),
    "PasswordGrant": lambda: PasswordGrant("id", "secret", "name", "password"),
    "StaticToken": lambda: StaticToken("t"),
    "Deletion": lambda: Deletion(records=(), calls=0),
    "Call": lambda: Call(method="GET", path="/x", status=200, seconds=0.1, attempt=1),
    "Page": lambda: Page([], 0, 1, None, "/list"),
    "PendingRow": lambda: PendingRow(2, {"username": "eve"}, None, "eve", 0),
    "Candidate": lambda: Candidate(operation="archive", method="POST", path="/p", summary=""),
    "RequestsTransport": RequestsTransport,
    "UnusableConnectionError": lambda: UnusableConnectionError("no such bundle"),
    "CourseEnrollmentDetails": lambda: records.CourseEnrollmentDetails(score=1.0),
}


def content(value: Any) -> Any:
    """What must be the same after the journey."""
    if isinstance(value, BaseException):
        return type(value), str(value), value.args, vars(value)
    if isinstance(value, RequestsTransport):
        return type(value)
    return repr(value) if isinstance(value, Client) else value


@pytest.mark.parametrize("name", [name for name in sorted(PUBLIC) if name not in NOT_PICKLED])
def test_it_comes_back_as_it_went(name: str, ran: tuple[Client, dict[str, Any]]) -> None:
    """Each public name: an enum's members, an error, a value of a real job, or the thing itself."""
    public = PUBLIC[name]
    if not inspect.isclass(public) or get_origin(public) or public in (Auth, StopSignal, Transport):
        examples = [public]  # a function, an alias, the version, a protocol
    elif issubclass(public, Enum):
        examples = list(public)
    elif issubclass(public, LmsArchiveError):
        error = example(public)
        error.ledger = Path("job.sqlite")
        examples = [error]
    elif public is Record:
        examples = [value for value in ran[1].values() if isinstance(value, Record)]
    else:
        examples = [NOT_MET[name]() if name in NOT_MET else ran[1][name]]
        assert type(examples[0]) is public
    for value in examples:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            back = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  our own
            assert type(back) is type(value)
            assert content(back) == content(value)


def test_a_result_finds_its_ledger_from_another_folder(
    fresh_platform: Sandbox, archivist: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result of a ledger named by a relative path is read in a process that stands elsewhere."""
    assert fresh_platform.url == archivist.base_url
    monkeypatch.chdir(tmp_path)
    job = ArchiveJob.for_course("SAFE", mode="unenroll", reset_tracking=False).users(["alice"])
    result = job.plan(archivist).apply(archivist, ledger="relative.sqlite")
    sent = (result, result.outcomes)
    Path("sent.pickle").write_bytes(pickle.dumps(sent))
    code = (
        "import pickle, sys; from pathlib import Path;"
        "result, outcomes = pickle.loads(Path(sys.argv[1]).read_bytes());"
        "print(result.counts['archived'], [outcome.user for outcome in outcomes], result.client)"
    )
    done = run_python(
        *("-c", code, tmp_path / "sent.pickle"),
        env={"PYTHONPATH": str(Path(lms_archive.__file__).parent.parent)},
        cwd=tmp_path.parent,
    )
    assert (done.stdout.strip(), done.stderr) == ("1 ['alice'] None", "")
