"""The words of README and docs are true: every Python example runs, every name is listed."""

from __future__ import annotations

import logging
import pkgutil
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from public_names import PUBLIC
from python_process import run_python
from virtual_time import Harness

from lms_archive import ArchiveJob, Contract, errors
from lms_archive.archive import RunEvent
from lms_archive.archive.values.outcomes import CODES
from lms_archive.errors import NotFoundError
from lms_archive.sandbox import Sandbox
from lms_archive.sandbox.faults import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted(DOCS.rglob("*.md")) if page.relative_to(DOCS).parts[0][0] != "_"),
]
EXAMPLES = DOCS / "examples"


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def _blocks(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the CSV that the README speaks of, and a platform in the environment."""
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"username": "ada"}],
            courses=[{"code": "C1", "name": "One"}],
            enrollments=[
                {
                    "username": "ada",
                    "course_code": "C1",
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2024-01-01 10:00:00",
                }
            ],
            learning_plans=[{"code": "SAFE-2025", "title": "Safety", "courses": []}],
        )
        for name, value in sandbox.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.syspath_prepend(str(EXAMPLES))
        monkeypatch.chdir(tmp_path)
        Path("inactive.csv").write_text("username,course_code\nada,C1\n", encoding="utf-8")
        yield tmp_path


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _blocks(page)], ids=lambda page: page.stem
)
def test_every_example_of_a_page_runs(page: Path, somewhere: Path) -> None:
    """The Python blocks of a page run one after the other, as a reader would type them.

    A block that begins with the name of a file is saved under it; saved tests are run at the end.
    """
    names: dict[str, object] = {}
    with _logging_as_at_the_start():
        for number, block in enumerate(_blocks(page), 1):
            file = re.match(r"# (\w+\.py)\n", block)
            if file:
                (somewhere / file[1]).write_text(block, encoding="utf-8")
            else:
                exec(compile(block, f"{page.name}, block {number}", "exec"), names)  # noqa: S102
    if list(somewhere.glob("test_*.py")):
        done = run_python("-m", "pytest", "-q")
        assert done.returncode == 0, done.stdout


@contextmanager
def _logging_as_at_the_start() -> Iterator[None]:
    """No handler and no level set, as in a new process; what a page sets up is taken down."""
    root = logging.getLogger()
    loggers = [root, logging.getLogger("lms_archive"), logging.getLogger("urllib3")]
    handlers, levels = root.handlers, [logger.level for logger in loggers]
    root.handlers = []
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def test_the_example_proves_itself_with_sql(tmp_path: Path) -> None:
    """The README's example ends well, and its SQL agrees with its result."""
    done = run_python(EXAMPLES / "archive_inactive_users.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2,066 archived enrollments, as the result says." in done.stdout
    readme = PAGES[0].read_text(encoding="utf-8")
    shown = re.search(r"^```text\n(Plan: .*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert shown is not None
    printed = re.sub(r"http://127.0.0.1:\d+", "https://acme.example.com", done.stdout)
    for line in shown[1].splitlines():  # shortened: `...` stands for what is left out
        assert re.search(f"^{re.escape(line.partition('...')[0])}", printed, re.MULTILINE), line
    page = _text("explanation/calls-and-limits.md")
    numbers = re.search(r"as the plan says \| (\d+): (\d+) writes, (\d+) pages", page)
    assert numbers is not None
    plan = r"Calls: {}, plus .*archive_course_enrollments {}, archived_course_enrollments {},"
    assert re.search(plan.format(*numbers.groups()), done.stdout)


def test_the_page_on_calls_counts_what_planning_the_example_calls() -> None:
    """The number of calls to plan the example is the one on the page, and its parts add up."""
    page = _text("explanation/calls-and-limits.md")
    row = re.search(r"^\| planning \| (\d+): (.*) \|$", page, re.MULTILINE)
    assert row is not None
    parts = [re.match(r"\d+", part) for part in row[2].split(", ")]
    data = EXAMPLES / "data"
    with Sandbox() as sandbox:
        sandbox.load_csv(
            users=data / "users.csv",
            courses=data / "courses.csv",
            enrollments=data / "enrollments.csv",
        )
        job = ArchiveJob.from_csv(data / "inactive.csv", mode="unenroll", reset_tracking=False)
        job.plan(sandbox.client())
        assert len(sandbox.calls) == int(row[1])
        assert sum(1 if part is None else int(part[0]) for part in parts) == int(row[1])


def test_the_page_on_architecture_names_modules_that_exist() -> None:
    """Every module on the page is a file of the package, or of the folder that its row names."""
    page = _text("explanation/architecture.md")
    package = ROOT / "lms_archive"
    for line in page.splitlines():
        folder = ""
        for name in re.findall(r"`([\w/]+(?:\.py|\.json|/))`", line):
            here = (package / name, package / folder / name, ROOT / name)
            assert any(path.exists() for path in here), name
            folder = folder or name.rpartition("/")[0]


def test_the_page_on_a_row_names_twelve_functions_that_exist() -> None:
    """Every function on the page can be found where it says."""
    page = _text("explanation/how-a-row-is-processed.md")
    rows = re.findall(r"^\| (\d+) \| `([\w.]+)`", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    for name in re.findall(r"`(archive\.[\w.]+)`", page):
        assert callable(pkgutil.resolve_name(f"lms_archive.{name}"))


def test_the_example_data_are_what_their_script_makes(tmp_path: Path) -> None:
    """Running make_data.py again gives the files that are in the repository."""
    script = (EXAMPLES / "make_data.py").read_text(encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "make_data.py").write_text(script, encoding="utf-8")
    assert run_python(tmp_path / "make_data.py").returncode == 0
    for made in (tmp_path / "data").iterdir():
        assert made.read_bytes() == (EXAMPLES / "data" / made.name).read_bytes(), made.name


def test_the_page_of_outcomes_has_an_entry_for_each_code_and_error() -> None:
    """Every code and error of this version has its own entry, and nothing else has one."""
    page = _text("reference/outcomes.md")
    assert set(re.findall(r"^`(\w+)`\n: ", page, re.MULTILINE)) == {*CODES, *errors.__all__}


def test_every_public_name_is_in_the_reference() -> None:
    """The API page documents every name that the package exports."""
    page = _text("reference/api.md")
    documented = set(re.findall(r"auto\w+:: (?:[\w.]+\.)?(\w+)$", page, re.MULTILINE)) | {
        *errors.__all__
    }
    assert set(PUBLIC) - documented == set()


def test_every_rule_names_a_test_that_exists() -> None:
    """The page of the rules points at tests that are there."""
    page = _text("reference/rules.md")
    named = set(re.findall(r"`(test_\w+)\.py::(test_\w+)`", page))
    tests = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    missing = {
        f"{file}.py::{name}" for file, name in named if f"def {name}(" not in tests.get(file, "")
    }
    assert not missing
    assert len(named) >= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A link to another file of the repository names one that is there."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_evidence_marks_are_in_the_reference_only(page: Path) -> None:
    """Other pages say in a sentence where a fact about the platform comes from."""
    marks = r"\((?:article|doc|seen|2017|reply|assumed)\b[^)]*\)"
    assert page.parent.name == "reference" or re.findall(marks, page.read_text("utf-8")) == []


def test_the_page_on_testing_names_every_fault() -> None:
    """Each fault of the sandbox has its row, with its details."""
    rows = re.findall(
        r"^\| (`\w+`[^|]*)\|[^|]*\|([^|]*)\|$", _text("how-to/testing.md"), re.MULTILINE
    )
    documented = {
        kind: set(re.findall(r"`(\w+)`", details))
        for kinds, details in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    assert documented == {kind: set(details) for kind, details in KINDS.items()}


def test_the_page_on_progress_names_every_event() -> None:
    """Each kind of event that a job can report has its row."""
    rows = re.findall(r"^\| (`\w+`[^|]*)\|", _text("how-to/progress.md"), re.MULTILINE)
    kinds = re.search(r"kind: (.*?)\n\s+target:", RunEvent.__doc__ or "", re.DOTALL)
    assert kinds is not None
    documented = {kind for row in rows for kind in re.findall(r"`(\w+)`", row)}
    assert documented == set(re.findall(r'"(\w+)"', kinds[1]))


def test_the_page_on_progress_shows_what_is_written_without_tqdm(
    somewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of its own example; polls, and so the calls, depend on the machine."""
    assert somewhere.is_dir()
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    page = DOCS / "how-to" / "progress.md"
    names: dict[str, Any] = {}
    for block in _blocks(page)[:2]:
        exec(compile(block, page.name, "exec"), names)  # noqa: S102
    names["sandbox"].stop()
    (shown,) = re.findall(
        r"^```text\n(archiving:.*?)^```", _text("how-to/progress.md"), re.MULTILINE | re.DOTALL
    )
    written = capsys.readouterr().err
    assert re.sub(r"\d+ calls", "", written) == re.sub(r"\d+ calls", "", shown)


def test_every_method_makes_the_call_that_the_map_says(harness: Harness, tmp_path: Path) -> None:
    """Each method of the client is called, and the platform asked what it was asked."""
    harness.sandbox.load(
        users=[{"username": "ada", "user_id": 1001}],
        courses=[{"code": "C1", "id_course": 1}, {"code": "C2", "id_course": 2}],
        learning_plans=[{"code": "P1", "learning_plan_id": 7, "courses": "C2"}],
        enrollments=[
            {
                "user_id": 1001,
                "id_course": 1,
                "enrollment_status": "completed",
                "certificate": True,
            }
        ],
    )
    record = next(iter(harness.apply(harness.plan(1)).records))
    number, client = record.archiving.record_id, harness.connect()
    job_id = "0" * 40
    ways: dict[str, list[Callable[[], Any]]] = {
        "client.request": [lambda: client.request("GET", "/manage/v1/user")],
        "client.verify_contract": [client.verify_contract],  # before what asks it too
        "client.check": [client.check],
        "client.courses.find": [lambda: client.courses.find("C1")],
        "client.courses.get": [lambda: client.courses.get(1)],
        "client.courses.list": [lambda: list(client.courses.list())],
        "client.learning_plans.courses": [lambda: list(client.learning_plans.courses(7))],
        "client.learning_plans.find": [lambda: client.learning_plans.find("P1")],
        "client.learning_plans.get": [lambda: client.learning_plans.get(7)],
        "client.learning_plans.list": [lambda: list(client.learning_plans.list())],
        "client.learning_plans.of_course": [lambda: client.learning_plans.of_course(1)],
        "client.users.find": [lambda: client.users.find("ada")],
        "client.users.get": [lambda: client.users.get(1001)],
        "client.users.inactive": [lambda: list(client.users.inactive(since=date(2020, 1, 1)))],
        "client.users.me": [client.users.me],
        "client.users.list": [lambda: list(client.users.list())],
        "client.enrollments.in_course": [lambda: list(client.enrollments.in_course(1))],
        "client.enrollments.in_learning_plan": [
            lambda: list(client.enrollments.in_learning_plan(7))
        ],
        "client.archived.in_course": [lambda: list(client.archived.in_course(1))],
        "client.archived.in_learning_plan": [lambda: list(client.archived.in_learning_plan(7))],
        "client.archived.get": [
            lambda: client.archived.get(number, course_id=1),
            lambda: client.archived.get(number, learning_plan_id=7),
        ],
        "client.archived.download_certificate": [
            lambda: client.archived.download_certificate(record, tmp_path / "ada.pdf")
        ],
        "client.archived.delete": [lambda: client.archived.delete([record])],
        "client.background_jobs.get": [lambda: client.background_jobs.get(job_id)],
        "client.background_jobs.list": [lambda: list(client.background_jobs.list())],
    }
    documented = runpy.run_path(str(DOCS / "method_map.py"))["methods"]()
    client.courses.get(1)  # logs in
    assert set(ways) == set(documented)
    for name, ways_of_it in ways.items():
        before = len(harness.sandbox.calls)
        for way in ways_of_it:
            with suppress(NotFoundError):
                way()
        asked = set(harness.operations[before:])
        if name == "client.archived.delete":  # the other one needs a learning plan's record
            asked |= {"delete_archived_learning_plan_enrollments"}
        if name == "client.check":
            asked |= {"microservices", "swagger"}  # verify_contract asked before
        if name == "client.archived.download_certificate":
            asked -= {"certificate"}
        if name == "client.request":
            asked -= {"list_users"}
        assert asked == set(documented[name][1]), name


def test_a_job_makes_no_call_that_the_map_leaves_out(harness: Harness) -> None:
    """Planning, applying and resuming ask for what their lines of the table hold."""
    page = _text("reference/methods.md")
    of_plan, of_apply = (
        {"token", *re.findall(r"`(\w+)`", line)}
        for line in re.findall(r"^\| `(?:job\.plan|plan\.apply).*", page, re.MULTILINE)
    )
    assert {*of_plan, *of_apply} > {"swagger", "list_jobs", "archive_course_enrollments"}
    harness.load(5)
    plan = harness.plan()
    assert set(harness.operations) <= of_plan
    before = len(harness.operations)
    harness.apply(plan)
    assert set(harness.operations[before:]) <= of_apply
    assert set(Contract.default().operations) >= {
        name for name in of_plan | of_apply if "_" in name and not name.startswith("_")
    }
