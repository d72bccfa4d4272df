"""The words of README and docs are true: every Python example runs, every name is listed."""

from __future__ import annotations

import importlib.util
import logging
import pkgutil
import re
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
    *(one for one in sorted(DOCS.rglob("*.md")) if not str(one.relative_to(DOCS)).startswith("_")),
]
EXAMPLES = ROOT / "docs" / "examples"


def _blocks(page: Path) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


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
    root, named = logging.getLogger(), [logging.getLogger(x) for x in ("lms_archive", "urllib3")]
    handlers, level, levels = root.handlers, root.level, [one.level for one in named]
    root.handlers = []
    try:
        yield
    finally:
        for made in root.handlers:
            made.close()
        root.handlers = handlers
        root.setLevel(level)
        for one, was in zip(named, levels, strict=True):
            one.setLevel(was)


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
    page = (DOCS / "explanation" / "calls-and-limits.md").read_text(encoding="utf-8")
    told = re.search(r"as the plan says \| (\d+): (\d+) writes, (\d+) pages", page)
    assert told is not None
    plan = r"Calls: {}, plus .*archive_course_enrollments {}, archived_course_enrollments {},"
    assert re.search(plan.format(*told.groups()), done.stdout)


def test_the_page_on_calls_counts_what_planning_the_example_calls() -> None:
    """The number of calls to plan the example is the one on the page, and its parts add up."""
    page = (DOCS / "explanation" / "calls-and-limits.md").read_text(encoding="utf-8")
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
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "lms_archive"
    for line in page.splitlines():
        folder = ""
        for name in re.findall(r"`([\w/]+(?:\.py|\.json|/))`", line):
            here = (package / name, package / folder / name, ROOT / name)
            assert any(path.exists() for path in here), name
            folder = folder or name.rpartition("/")[0]


def test_the_page_on_a_row_names_twelve_functions_that_exist() -> None:
    """Every function on the page can be found where it says."""
    page = (DOCS / "explanation" / "how-a-row-is-processed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([\w.]+)`", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    for name in re.findall(r"`(archive\.[\w.]+)`", page):
        assert callable(pkgutil.resolve_name(f"lms_archive.{name}"))


def test_the_example_data_are_what_their_script_makes(tmp_path: Path) -> None:
    """Running make_data.py anew gives the files that are in the repository."""
    script = (EXAMPLES / "make_data.py").read_text(encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "make_data.py").write_text(script, encoding="utf-8")
    assert run_python(tmp_path / "make_data.py").returncode == 0
    for made in (tmp_path / "data").iterdir():
        assert made.read_bytes() == (EXAMPLES / "data" / made.name).read_bytes(), made.name


@pytest.mark.parametrize("word", [*CODES, *errors.__all__])
def test_every_code_and_error_is_on_its_page(word: str) -> None:
    """The page of outcomes and errors gives each code and error its own entry."""
    page = (ROOT / "docs" / "reference" / "outcomes.md").read_text(encoding="utf-8")
    assert re.search(rf"^`{word}`\n: ", page, re.MULTILINE), f"{word} has no entry"


def test_the_page_lists_nothing_that_does_not_exist() -> None:
    """What has an entry on the page is a code or an error of this version."""
    page = (ROOT / "docs" / "reference" / "outcomes.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^`(\w+)`\n: ", page, re.MULTILINE))
    assert listed == {*CODES, *errors.__all__}


def test_every_public_name_is_in_the_reference() -> None:
    """The API page documents every name that the package exports."""
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"auto\w+:: (?:[\w.]+\.)?(\w+)$", page, re.MULTILINE)) | {
        *errors.__all__
    }
    assert set(PUBLIC) - documented == set()


def test_every_rule_names_a_test_that_exists() -> None:
    """The page of the rules points at tests that are there."""
    page = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
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
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [one for one in links if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_evidence_marks_are_in_the_reference_only(page: Path) -> None:
    """Other pages say in a sentence where a fact about the platform comes from."""
    marks = re.findall(
        r"\((?:article|doc|seen|2017|reply|assumed)\b[^)]*\)", page.read_text("utf-8")
    )
    assert not marks or page.parent.name == "reference", marks


def test_the_page_on_testing_names_every_fault() -> None:
    """What the sandbox can do wrong stands in the table, with its details."""
    page = (DOCS / "how-to" / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`[^|]*)\|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    told = {
        kind: set(re.findall(r"`(\w+)`", details))
        for kinds, details in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    assert told == {kind: set(details) for kind, details in KINDS.items()}


def test_the_page_on_progress_names_every_event() -> None:
    """Each kind of event that a job can tell has its row."""
    page = (DOCS / "how-to" / "progress.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`[^|]*)\|", page, re.MULTILINE)
    told = {kind for row in rows for kind in re.findall(r"`(\w+)`", row)}
    documented = re.search(r"kind: (.*?)\n\s+target:", RunEvent.__doc__ or "", re.DOTALL)
    assert documented is not None
    assert told == set(re.findall(r'"(\w+)"', documented[1]))


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
            lambda: client.archived.download_certificate(record, tmp_path / "one.pdf")
        ],
        "client.archived.delete": [lambda: client.archived.delete([record])],
        "client.background_jobs.get": [lambda: client.background_jobs.get(job_id)],
        "client.background_jobs.list": [lambda: list(client.background_jobs.list())],
    }
    told = _method_map().methods()
    client.courses.get(1)  # logs in
    assert set(ways) == set(told)
    for name, ways_of_it in ways.items():
        before = len(harness.sandbox.calls)
        for way in ways_of_it:
            with suppress(NotFoundError):
                way()
        asked = {str(one.operation) for one in harness.sandbox.calls[before:]}
        if name == "client.archived.delete":  # the other one needs a learning plan's record
            asked |= {"delete_archived_learning_plan_enrollments"}
        if name == "client.check":
            asked |= {"microservices", "swagger"}  # verify_contract asked before
        if name == "client.archived.download_certificate":
            asked -= {"certificate"}
        if name == "client.request":
            asked -= {"list_users"}
        assert asked == set(told[name][1]), name


def test_a_job_makes_no_call_that_the_map_leaves_out(harness: Harness) -> None:
    """Planning, applying and resuming ask for what their lines of the table hold."""
    page = (ROOT / "docs" / "reference" / "methods.md").read_text(encoding="utf-8")
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
        one for one in of_plan | of_apply if "_" in one and not one.startswith("_")
    }


def _method_map() -> Any:
    spec = importlib.util.spec_from_file_location("method_map", ROOT / "docs" / "method_map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
