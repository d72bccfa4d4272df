"""What others build on is written down: no public name goes or changes without being meant.

`python tests/test_api_snapshot.py` writes `tests/api_snapshot.txt` again: do so where a change is
meant, look at its diff, and tell it in CHANGELOG.md (`docs/reference/versions.md`: what a version
may change).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from package_source import SANDBOX, TREES
from public_names import PACKAGES, PUBLIC

HERE = Path(__file__).parent
SNAPSHOT = HERE / "api_snapshot.txt"
#: What is reached from the front door's names without being one: `client.courses` and so on.
REACHED = (
    *("Archived", "BackgroundJobs", "Courses", "Enrollments", "LearningPlans", "Users"),
    *("PlatformVariant", "Pending", "PendingRow", "PlanData", "Sandbox", "lms_sandbox"),
)


def definitions() -> dict[str, ast.stmt]:
    """Every class, function and alias of a type at the top of a module, by name."""
    aliases: dict[str, ast.stmt] = {}
    classes: dict[str, ast.stmt] = {}
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                if name not in SANDBOX or node.name in REACHED:
                    classes[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                aliases[node.targets[0].id] = node
    return aliases | classes


KNOWN = definitions()


def described(node: ast.stmt) -> Iterator[str]:
    """The lines that tell a definition: decorators, signature, fields, public methods."""
    if isinstance(node, ast.ClassDef):
        yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
        bases = ", ".join(map(ast.unparse, node.bases))
        yield f"class {node.name}({bases})" if bases else f"class {node.name}"
        yield from (f"    {line}" for line in members(node))
    elif isinstance(node, ast.FunctionDef):
        yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield f"def {node.name}({ast.unparse(node.args)}){returns}"
    else:
        yield ast.unparse(node)


def members(node: ast.ClassDef) -> Iterator[str]:
    """The lines of what is public in a class, and in its private bases."""
    for base in node.bases:
        shared = KNOWN.get(ast.unparse(base))
        if isinstance(shared, ast.ClassDef) and shared.name.startswith("_"):
            yield from members(shared)
    for inner in node.body:
        yield from member(inner)


def member(node: ast.stmt) -> Iterator[str]:
    """The lines of one member of a class, where it is public."""
    if isinstance(node, ast.FunctionDef):
        yield from attributes(node)
        special = node.name.startswith("__") and node.name not in ("__repr__", "__reduce__")
        if special or not node.name.startswith("_"):
            yield from described(node)
    elif isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
        yield f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{default(node.value)}"
    elif isinstance(node, ast.Assign) and not ast.unparse(node.targets[0]).startswith("_"):
        yield ast.unparse(node)


def attributes(method: ast.FunctionDef) -> Iterator[str]:
    """The public attributes that a method gives a type."""
    for node in ast.walk(method):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute)):
            continue
        if not node.target.attr.startswith("_"):
            yield f"{node.target.attr}: {ast.unparse(node.annotation)}"


def default(value: ast.expr | None) -> str:
    """What a field is where it is not given: of a plain value, or of `field(...)`."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        words = {word.arg: ast.unparse(word.value) for word in value.keywords}
        if "default" in words:
            return f" = {words['default']}"
        factory = words.get("factory", words.get("default_factory"))
        return f" = {factory}()" if factory else ""
    return "" if value is None else f" = {ast.unparse(value)}"


def snapshot() -> str:
    """The whole of what is public, as text."""
    names = sorted(PUBLIC.keys() - set(REACHED))
    blocks = {name: "\n".join(described(KNOWN[name])) for name in (*names, *REACHED)}
    words = set(re.findall(r"\w+", "\n".join(blocks.values()))) - blocks.keys()
    types = ["\n".join(described(KNOWN[name])) for name in sorted(words & KNOWN.keys())]
    shown = re.compile(r"[A-Z]\w+ = |class \w+\(Protocol|class \w+(Options|Filters)\b")
    types = [text for text in types if shown.match(text)]
    exports = [
        f"from {package} import {', '.join(sorted(module.__all__))}"
        for package, module in PACKAGES.items()
    ]
    parts = (
        ("Where each name is", exports),
        ("What is exported", [blocks[name] for name in names]),
        ("What is reached from it, and the sandbox", [blocks[name] for name in REACHED]),
        ("Aliases and protocols that these name", types),
    )
    return "\n\n".join(f"# {title}\n\n" + "\n\n".join(texts) for title, texts in parts) + "\n"


def test_nothing_public_changes_unmeant() -> None:
    """Names, signatures and fields are those of `api_snapshot.txt`."""
    renew = f"if this change is meant: python {Path(__file__).relative_to(HERE.parent)}"
    kept = SNAPSHOT.read_text(encoding="utf-8")
    assert snapshot().splitlines() == kept.splitlines(), renew


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
    sys.stdout.write(f"written: {SNAPSHOT}\n")
