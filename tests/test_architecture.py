"""The architecture: layers, imports, sizes and exports, checked in the source."""

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from package_source import LIBRARY, MODULES, PACKAGE, SANDBOX, TREES, texts
from public_names import PACKAGES, PUBLIC

import lms_archive

#: From top to bottom: a module imports only from its own layer and the layers below it.
LAYERS = (
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
#: Libraries that a single module imports, so that they can be replaced.
ONLY_IMPORTER = {
    "requests": "lms_archive.wire.transport",
    "urllib3": "lms_archive.wire.transport",
    "backoff": "lms_archive.wire.retry",
    "cattrs": "lms_archive.records.structure",
    "sqlite3": "lms_archive.archive.ledger.database",
}
EXTRAS = {"pandas", "tqdm", "werkzeug", "pyarrow", "numpy"}
PATHS = ("/learn/v1", "/course/v1", "/manage/v1", "/oauth2", "/learningplan/v1")
MAX_LINES = 400


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that a tree imports, also for types only and inside functions."""
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
    """Return the modules of the package that a module imports."""
    return {module for module in imports(TREES[name]) if module.split(".")[0] == "lms_archive"} - {
        name
    }


def layer(name: str) -> int:
    """Return the number of a module's layer, 0 for the top."""
    for number, roots in reversed(list(enumerate(LAYERS))):
        if name in roots or any(
            root != "lms_archive" and name.startswith(f"{root}.") for root in roots
        ):
            return number
    raise AssertionError(f"{name} has no layer: add it to LAYERS")


# Imports


@pytest.mark.parametrize("name", LIBRARY)
def test_imports_point_down(name: str) -> None:
    """A module imports only from its own layer and the layers below it, for types too."""
    for module in own_imports(name):
        assert layer(module) >= layer(name), f"{name} imports {module}"
        assert module != "lms_archive", f"{name} imports the top of the package"


@pytest.mark.parametrize("name", LIBRARY)
def test_library_does_not_import_the_sandbox(name: str) -> None:
    """The library works without the sandbox."""
    assert not own_imports(name) & SANDBOX


@pytest.mark.parametrize("name", sorted(SANDBOX))
def test_sandbox_does_not_import_the_library(name: str) -> None:
    """The sandbox shares no code with the library; only `Sandbox.client()` creates a client."""
    tree = TREES[name]
    allowed: set[int] = set()
    if name == "lms_archive.sandbox.platform":
        for node in ast.walk(tree):
            is_client = isinstance(node, ast.FunctionDef) and node.name == "client"
            is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if is_client or is_for_types:
                allowed |= {id(inner) for inner in ast.walk(node)}
    imported = {
        module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in allowed
        for module in imports(node)
        if module.split(".")[0] == "lms_archive"
    }
    assert imported <= SANDBOX


def test_no_cycles() -> None:
    """No module imports, directly or indirectly, a module that imports it."""
    graph = {name: own_imports(name) for name in MODULES}
    graph["lms_archive.sandbox"] = set()  # imports `Sandbox` only at its first use
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(graph)


@pytest.mark.parametrize(("library", "importer"), ONLY_IMPORTER.items())
def test_a_replaceable_library_has_one_importer(library: str, importer: str) -> None:
    """A library that may be replaced one day is imported by one module."""
    importers = {
        name
        for name in LIBRARY
        if any(module.split(".")[0] == library for module in imports(TREES[name]))
    }
    assert importers == {importer}


@pytest.mark.parametrize("name", LIBRARY)
def test_extras_are_imported_in_functions(name: str) -> None:
    """No module imports an extra at its top."""
    imported = {
        module.split(".")[0]
        for node in TREES[name].body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in imports(node)
    }
    assert not imported & EXTRAS


def test_import_is_light() -> None:
    """`import lms_archive` loads no extra and no sandbox."""
    heavy = sorted(EXTRAS | {"lms_archive.sandbox", "pytest"})
    code = f"import sys, lms_archive; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_plugin_is_light() -> None:
    """The pytest plugin, loaded in every test run, imports no sandbox and no werkzeug."""
    code = (
        "import sys, lms_archive.sandbox.plugin; "
        "print([m for m in ('werkzeug', 'lms_archive.sandbox.platform') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# Modules


@pytest.mark.parametrize("name", LIBRARY)
def test_paths_are_in_the_contract_only(name: str) -> None:
    """No code has a path of the platform, so that a platform that differs is an override."""
    strings = (text for _, text in texts(name, with_docstrings=False))
    assert [text for text in strings if any(path in text for path in PATHS)] == []


def test_the_contract_holds_the_paths() -> None:
    """The test above looks for the paths of the contract."""
    rows = json.loads((PACKAGE / "wire" / "contract.json").read_text(encoding="utf-8"))
    paths = [row["path"] for row in rows["operations"].values() if "{service}" not in row["path"]]
    assert all(path.startswith(PATHS) for path in paths)
    assert all(any(path.startswith(prefix) for path in paths) for prefix in PATHS)


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_short(name: str) -> None:
    """A module can be read in one sitting."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", LIBRARY)
def test_no_prints(name: str) -> None:
    """The library prints nothing; only its command does."""
    if name.endswith(".__main__"):
        return
    calls = [
        node
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not any(ast.unparse(call.func) == "print" for call in calls)


# Exports


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_complete(package: str) -> None:
    """`__all__` is sorted and has no duplicates; every name in it exists and is public."""
    module = PACKAGES[package]
    names = list(module.__all__)
    assert names == sorted(set(names))
    assert all(hasattr(module, name) for name in names)
    assert not any(name.startswith("_") for name in names if name != "__version__")


def test_the_top_has_the_names_of_everyday_use() -> None:
    """Every visible name of `lms_archive` is in its short `__all__`, or is a module."""
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
    """Every public class of these modules is exported by `lms_archive.records`."""
    module = importlib.import_module(f"lms_archive.records.{name}")
    classes = {each for each in module.__all__ if inspect.isclass(getattr(module, each))}
    assert classes
    assert classes <= set(PACKAGES["lms_archive.records"].__all__)


@pytest.mark.parametrize("name", [name for name in LIBRARY if not name.endswith("__main__")])
def test_all_of_a_module(name: str) -> None:
    """Every name in the `__all__` of a module exists, and occurs once."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    assert all(hasattr(module, each) for each in names)
