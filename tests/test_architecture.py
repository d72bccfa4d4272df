"""The architecture: layers, imports, sizes and exports, checked in the source.

A test lists every breach of its rule, with its file and line.
"""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from package_source import LIBRARY, MODULES, PACKAGE, SANDBOX, TREES, check_none, place, texts
from public_names import PACKAGES, PUBLIC
from python_process import run_python

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


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and module of each import, also for types only and inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if full in MODULES else node.module


def own_imports(name: str) -> Iterator[tuple[int, str]]:
    """Yield the line and module of each import of another module of the package."""
    for line, module in imports(TREES[name]):
        if module.split(".")[0] == "lms_archive" and module != name:
            yield line, module


def layer(name: str) -> int:
    """Return the number of a module's layer, 0 for the top."""
    for number, roots in reversed(list(enumerate(LAYERS))):
        if name in roots or any(
            root != "lms_archive" and name.startswith(f"{root}.") for root in roots
        ):
            return number
    raise AssertionError(f"{name} has no layer: add it to LAYERS")


# Imports


def test_imports_point_down() -> None:
    """A module imports only from its own layer and the layers below it, for types too.

    None imports the sandbox, or the top of the package.
    """
    check_none(
        f"{place(name, line)} imports {module}"
        for name in LIBRARY
        for line, module in own_imports(name)
        if module in {"lms_archive", *SANDBOX} or layer(module) < layer(name)
    )


def test_sandbox_does_not_import_the_library() -> None:
    """The sandbox shares no code with the library; only `Sandbox.client()` creates a client."""
    allowed: set[str] = set()
    for node in ast.walk(TREES["lms_archive.sandbox.platform"]):
        is_client = isinstance(node, ast.FunctionDef) and node.name == "client"
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if is_client or is_for_types:
            allowed |= {place("lms_archive.sandbox.platform", line) for line, _ in imports(node)}
    check_none(
        f"{place(name, line)} imports {module}"
        for name in sorted(SANDBOX)
        for line, module in own_imports(name)
        if module not in SANDBOX and place(name, line) not in allowed
    )


def test_no_cycles() -> None:
    """No module imports, directly or indirectly, a module that imports it."""
    graph = {name: {module for _, module in own_imports(name)} for name in MODULES}
    graph["lms_archive.sandbox"] = set()  # imports `Sandbox` only at its first use
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(graph)


def test_a_replaceable_library_has_one_importer() -> None:
    """A library that may be replaced one day is imported by one module."""
    importers = {
        (library, name)
        for name in LIBRARY
        for _, module in imports(TREES[name])
        if (library := module.split(".")[0]) in ONLY_IMPORTER
    }
    assert importers == set(ONLY_IMPORTER.items())


def test_extras_are_imported_in_functions() -> None:
    """No module imports an extra at its top."""
    check_none(
        f"{place(name, line)} imports {module}"
        for name in LIBRARY
        for node in TREES[name].body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for line, module in imports(node)
        if module.split(".")[0] in EXTRAS
    )


def test_imports_are_light() -> None:
    """`import lms_archive` loads no extra and no sandbox, and the pytest plugin no server."""
    heavy = {*EXTRAS, "lms_archive.sandbox", "pytest"}
    server = {"werkzeug", "lms_archive.sandbox.platform"}
    code = (
        f"import sys, lms_archive; print({heavy} & set(sys.modules));"
        f"import lms_archive.sandbox.plugin; print({server} & set(sys.modules))"
    )
    done = run_python("-c", code)
    assert (done.stdout.split(), done.stderr) == (["set()", "set()"], "")


# Modules


def test_paths_are_in_the_contract_only() -> None:
    """No code has a path of the platform, so that a platform that differs is an override."""
    check_none(
        f"{place(name, line)} has {text!r}"
        for name in LIBRARY
        for line, text in texts(name, with_docstrings=False)
        if any(path in text for path in PATHS)
    )


def test_the_contract_holds_the_paths() -> None:
    """The test above looks for the paths of the contract."""
    rows = json.loads((PACKAGE / "wire" / "contract.json").read_text(encoding="utf-8"))
    paths = [row["path"] for row in rows["operations"].values() if "{service}" not in row["path"]]
    assert all(path.startswith(PATHS) for path in paths)
    assert all(any(path.startswith(prefix) for path in paths) for prefix in PATHS)


def test_modules_are_short() -> None:
    """A module can be read in one sitting."""
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    check_none(place(name, count) for name, count in lines.items() if count > MAX_LINES)


def test_no_prints() -> None:
    """The library prints nothing; only its command does."""
    check_none(
        place(name, node.lineno)
        for name in LIBRARY
        if not name.endswith(".__main__")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    )


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


def test_a_name_means_one_thing() -> None:
    """A name that two packages export is the same object in both."""
    for module in PACKAGES.values():
        for name in module.__all__:
            assert name == "__version__" or getattr(module, name) is PUBLIC[name]


@pytest.mark.parametrize("name", ["active", "archived", "record", "status"])
def test_records_are_exported(name: str) -> None:
    """Every public class of these modules is exported by `lms_archive.records`."""
    module = importlib.import_module(f"lms_archive.records.{name}")
    classes = {
        each
        for each, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and each[0] != "_"
    }
    assert classes
    assert classes <= set(PACKAGES["lms_archive.records"].__all__)


def test_only_what_users_import_has_a_list_of_names() -> None:
    """A package's `__init__` says in `__all__` what it exports; other modules have no such list.

    Every name in it exists, and occurs once.
    """
    for name in LIBRARY:
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        names = getattr(module, "__all__", [])
        assert not names or hasattr(module, "__path__") or name in PACKAGES, name
        assert len(names) == len(set(names)), name
        assert [each for each in names if not hasattr(module, each)] == [], name
