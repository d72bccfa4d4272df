"""The house: storeys, doors and sizes that a reader relies on. Read from the source, not run."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from public_names import PACKAGES, PUBLIC

import lms_archive

PACKAGE = Path(lms_archive.__file__).parent
MODULES = {
    ".".join(("lms_archive", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
OWN = {name: path for name, path in MODULES.items() if not name.startswith("lms_archive.sandbox")}
SANDBOX = set(MODULES) - set(OWN)

#: Top to bottom: a module may import what stands in its own line or in a later one.
STOREYS = (
    {"lms_archive", "lms_archive.__main__"},
    {"lms_archive.archive"},
    {"lms_archive.archive.running"},
    {"lms_archive.archive.planning"},
    {"lms_archive.archive.target"},
    {"lms_archive.archive.ledger"},
    {"lms_archive.archive.values"},
    {"lms_archive.archive.selection"},
    {"lms_archive.client"},
    {"lms_archive.resources"},
    {"lms_archive.wire"},
    {"lms_archive.tables"},
    {"lms_archive.records"},
    {"lms_archive.errors", "lms_archive.files", "lms_archive.limits", "lms_archive._version"},
)
#: What only one module knows. `sqlite3` has a ledger; the rest is said in the modules themselves.
ONLY = {
    "requests": "lms_archive.wire.transport",
    "urllib3": "lms_archive.wire.transport",
    "backoff": "lms_archive.wire.retry",
    "cattrs": "lms_archive.records.structure",
    "sqlite3": "lms_archive.archive.ledger.database",
}
EXTRAS = {"pandas", "tqdm", "werkzeug", "pyarrow", "numpy"}
PATHS = ("/learn/v1", "/course/v1", "/manage/v1", "/oauth2", "/learningplan/v1")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a tree names in an import, type-only ones and those in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def own_imports(name: str) -> set[str]:
    """The modules of ours that a module imports."""
    return {one for one in imported(TREES[name]) if one.split(".")[0] == "lms_archive"} - {name}


def storey(name: str) -> int:
    """On which storey a module stands, the top one being 0."""
    for number, roots in reversed(list(enumerate(STOREYS))):
        if name in roots or any(
            root != "lms_archive" and name.startswith(f"{root}.") for root in roots
        ):
            return number
    raise AssertionError(f"{name} stands on no storey: say in STOREYS where it belongs")


def docstrings(tree: ast.AST) -> set[int]:
    """The places of all strings that stand as statements: docstrings of whatever it is."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


# Imports


@pytest.mark.parametrize("name", OWN)
def test_imports_point_down(name: str) -> None:
    """A module imports only from its own storey and those below, for types too."""
    for other in own_imports(name):
        assert storey(other) >= storey(name), f"{name} imports {other}"
        assert other != "lms_archive", f"{name} imports the front door"


@pytest.mark.parametrize("name", OWN)
def test_nothing_imports_the_sandbox(name: str) -> None:
    """The sandbox stands apart: nothing of the library needs it."""
    assert not own_imports(name) & SANDBOX


@pytest.mark.parametrize("name", sorted(SANDBOX))
def test_the_sandbox_imports_nothing_of_the_rest(name: str) -> None:
    """The sandbox knows nothing of the library, but for `Sandbox.client()` and what it returns."""
    tree = TREES[name]
    allowed: set[int] = set()
    if name == "lms_archive.sandbox.platform":
        for node in ast.walk(tree):
            is_client = isinstance(node, ast.FunctionDef) and node.name == "client"
            is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if is_client or is_for_types:
                allowed |= {id(inner) for inner in ast.walk(node)}
    found = {
        one
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in allowed
        for one in imported(node)
        if one.split(".")[0] == "lms_archive"
    }
    assert found <= SANDBOX


def test_no_cycles() -> None:
    """No module imports another that imports it, over however many others."""
    everything = {name: own_imports(name) for name in MODULES}
    everything["lms_archive.sandbox"] = set()  # loads `Sandbox` only when asked for it
    order = list(TopologicalSorter(everything).static_order())
    assert len(order) == len(everything)


@pytest.mark.parametrize(("library", "home"), ONLY.items())
def test_one_module_knows_it(library: str, home: str) -> None:
    """Each library that could be exchanged one day is known in one module."""
    users = {
        name for name in OWN if any(one.split(".")[0] == library for one in imported(TREES[name]))
    }
    assert users == {home}


@pytest.mark.parametrize("name", OWN)
def test_extras_are_imported_where_they_are_used(name: str) -> None:
    """What comes with an extra is never imported at the top of a module."""
    found = {
        one.split(".")[0]
        for node in TREES[name].body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in imported(node)
    }
    assert not found & EXTRAS


def test_import_is_light() -> None:
    """`import lms_archive` loads no extra and no sandbox."""
    heavy = sorted(EXTRAS | {"lms_archive.sandbox", "pytest"})
    code = f"import sys, lms_archive; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_plugin_is_light() -> None:
    """The pytest plugin, loaded in everyone's test runs, brings no sandbox and no werkzeug."""
    code = (
        "import sys, lms_archive.sandbox.plugin; "
        "print([m for m in ('werkzeug', 'lms_archive.sandbox.platform') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# Text


@pytest.mark.parametrize("name", OWN)
def test_paths_stand_in_the_contract(name: str) -> None:
    """No path of the platform stands in code: a platform that differs is an override."""
    told = docstrings(TREES[name])
    found = [
        node.value
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in told
        and any(path in node.value for path in PATHS)
    ]
    assert found == []


@pytest.mark.parametrize("name", OWN)
def test_no_message_has_a_mark_of_evidence(name: str) -> None:
    """Marks such as "(article)" belong to the docs, the contract and the text of docstrings."""
    comments = docstrings(TREES[name])
    marks = re.compile(r"\((article|seen|assumed|doc|reply|2017|Docebo's pages)\b")
    found = [
        node.value
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in comments
        and marks.search(node.value)
    ]
    assert found == []


def test_the_contract_holds_the_paths() -> None:
    """All those paths are in the contract, so that the test above looks for the right ones."""
    rows = json.loads((PACKAGE / "wire" / "contract.json").read_text(encoding="utf-8"))
    found = [one["path"] for one in rows["operations"].values() if "{service}" not in one["path"]]
    assert all(path.startswith(PATHS) for path in found)
    assert all(any(path.startswith(one) for path in found) for one in PATHS)


@pytest.mark.parametrize("name", MODULES)
def test_read_in_one_sitting(name: str) -> None:
    """No module is longer than 400 lines."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", OWN)
def test_no_prints(name: str) -> None:
    """The library prints nothing; only the command at the top may."""
    if name.endswith(".__main__"):
        return
    calls = [
        node
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not any(ast.unparse(call.func) == "print" for call in calls)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    """A module begins with a sentence."""
    doc = ast.get_docstring(TREES[name])
    assert doc
    assert doc.split("\n")[0].endswith((".", "?"))


def public(name: str) -> Iterator[tuple[str, object]]:
    """What is public in a module: its classes and functions, and their methods."""
    module = importlib.import_module(name)
    for word, one in vars(module).items():
        if word.startswith("_") or getattr(one, "__module__", None) != name:
            continue
        if not (inspect.isclass(one) or inspect.isfunction(one)):
            continue
        yield word, one
        if inspect.isclass(one):
            for inner, method in vars(one).items():
                plain = getattr(method, "__func__", getattr(method, "fget", method))
                if not inner.startswith("_") and inspect.isfunction(plain):
                    yield f"{word}.{inner}", plain


@pytest.mark.parametrize("name", [name for name in OWN if not name.endswith("__main__")])
def test_everything_public_has_a_docstring(name: str) -> None:
    """Every public class, function and method says what it does."""
    without = [
        word for word, one in public(name) if not (getattr(one, "__doc__", "") or "").strip()
    ]
    assert without == []


# What is exported


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_there(package: str) -> None:
    """`__all__` is sorted, without doubles, and every name in it exists and is public."""
    module = PACKAGES[package]
    names = list(module.__all__)
    assert names == sorted(set(names))
    assert all(hasattr(module, name) for name in names)
    assert not any(name.startswith("_") for name in names if name != "__version__")


def test_the_top_has_the_names_of_everyday_use() -> None:
    """What is visible in `lms_archive` is in its short `__all__`, or is one of our modules."""
    modules = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}
    visible = {name for name in vars(lms_archive) if name.isidentifier() and name[0] != "_"}
    assert visible - set(lms_archive.__all__) - modules <= {"logging"}
    assert len(lms_archive.__all__) <= 21


def test_one_name_means_one_thing() -> None:
    """A name that two packages export is the same object in both."""
    for module in PACKAGES.values():
        for name in module.__all__:
            assert name == "__version__" or getattr(module, name) is PUBLIC[name]


@pytest.mark.parametrize("name", ["active", "archived", "record", "status"])
def test_records_are_exported(name: str) -> None:
    """Every public class of the records is exported by `lms_archive.records`."""
    module = importlib.import_module(f"lms_archive.records.{name}")
    classes = {word for word in module.__all__ if inspect.isclass(getattr(module, word))}
    assert classes
    assert classes <= set(PACKAGES["lms_archive.records"].__all__)


@pytest.mark.parametrize("name", [name for name in OWN if not name.endswith("__main__")])
def test_all_of_a_module(name: str) -> None:
    """Where a module has an `__all__`, every name in it is there, and once."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    assert all(hasattr(module, one) for one in names)
