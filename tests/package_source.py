"""The source of the package, parsed once for the tests that read it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import lms_archive

PACKAGE = Path(lms_archive.__file__).parent
MODULES = {
    ".".join(("lms_archive", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
LIBRARY = [name for name in MODULES if not name.startswith("lms_archive.sandbox")]
SANDBOX = set(MODULES) - set(LIBRARY)


def place(name: str, line: int) -> str:
    """Return the file and line of a breach, as an editor opens them."""
    return f"{MODULES[name].relative_to(PACKAGE.parent)}:{line}"


def check_none(breaches: Iterable[object]) -> None:
    """Fail where there are any, and print each."""
    lines = list(map(str, breaches))
    assert not lines, "\n".join(["", *lines])


Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def documented(name: str) -> Iterator[tuple[Documented, str]]:
    """Yield each module, class and function that has a docstring, with the docstring."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, Documented):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def docstring_ids(tree: ast.AST) -> set[int]:
    """Return the ids of the nodes of all strings that are statements."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def texts(name: str, *, with_docstrings: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and value of each string of a module."""
    tree = TREES[name]
    docstrings = set() if with_docstrings else docstring_ids(tree)
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    for node in constants:
        if isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value
