"""The wording of the package, as far as a machine can check it: names, docstrings, messages.

A test lists every breach of its rule, with its file and line.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

from package_source import LIBRARY, MODULES, TREES, check_none, documented, place, texts

#: Words that say nothing about the value that they name, and private metaphors.
BANNED_NAMES = re.compile(
    r"_*(found|given|known|lanes?|leaf|leaves|making|more|one|pieces?|seen|some|somebody|storey"
    r"|stranger|told|town|twin|walks?|what)_*"
)
#: Names that users type. `RunStoppedError.seen` holds the observations that stopped a job.
ALLOWED_NAMES = {("lms_archive.errors", "seen")}

BANNED_WORDS = re.compile(
    r"\b(told|anew|stand(s|ing)? in|likewise|somebody|so many|for ever|becomes? of|became of)\b"
)
EVIDENCE = re.compile(r"\((article|seen|assumed|doc|reply|2017|Docebo's pages)\b")
NOT_IMPERATIVE = re.compile(
    r"(A|All|An|Any|Each|Every|How|No|Of|One|The|This|What|Where|Whether|Which|Why|\w*[^s]s)\b"
)


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each variable, parameter, attribute, function and class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def test_names_say_what_they_hold() -> None:
    """No variable, parameter or function has a pronoun or a metaphor as its name."""
    check_none(
        f"{place(name, line)} has {word!r}"
        for name in MODULES
        for line, word in bound_names(TREES[name])
        if BANNED_NAMES.fullmatch(word) and (name, word) not in ALLOWED_NAMES
    )


def test_texts_use_plain_words() -> None:
    """No message and no docstring has a word to avoid."""
    check_none(
        f"{place(name, line)} has {match[0]!r}"
        for name in MODULES
        for line, text in texts(name, with_docstrings=True)
        if (match := BANNED_WORDS.search(text))
    )


def test_docstrings_of_functions_are_imperative() -> None:
    """The docstring of a function begins with a verb: `Return ...`, not `The ...` or `Returns ...`.

    A property is described by a noun.
    """
    check_none(
        f"{place(name, node.lineno)} begins with {match[0]!r}"
        for name in MODULES
        for node, text in documented(name)
        if isinstance(node, ast.FunctionDef)
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
        and (match := NOT_IMPERATIVE.match(text))
    )


def test_every_module_says_what_it_is() -> None:
    """A module, and so a subpackage, begins with a sentence, which has more than three words."""
    first_lines = {
        name: (ast.get_docstring(tree) or "").split("\n")[0] for name, tree in TREES.items()
    }
    check_none(
        f"{place(name, 1)} begins with {line!r}"
        for name, line in first_lines.items()
        if not line.endswith(".") or len(line.split()) <= 3
    )


def test_marks_of_evidence_are_in_the_bodies_of_docstrings_only() -> None:
    """Marks such as "(article)" belong to the docs, the contract and the bodies of docstrings.

    No message has one, and no first line of a docstring, which says what something does.
    """
    messages = [
        (place(name, line), text)
        for name in LIBRARY
        for line, text in texts(name, with_docstrings=False)
    ]
    first_lines = [
        (place(name, getattr(node, "lineno", 1)), text.split("\n")[0])
        for name in MODULES
        for node, text in documented(name)
    ]
    check_none(breach for breach in messages + first_lines if EVIDENCE.search(breach[1]))


def public_members(name: str) -> Iterator[tuple[str, object]]:
    """Yield the public classes and functions of a module, and their public methods."""
    module = importlib.import_module(name)
    for member_name, member in vars(module).items():
        if member_name.startswith("_") or getattr(member, "__module__", None) != name:
            continue
        if not (inspect.isclass(member) or inspect.isfunction(member)):
            continue
        yield member_name, member
        if inspect.isclass(member):
            for method_name, method in vars(member).items():
                function = getattr(method, "__func__", getattr(method, "fget", method))
                if not method_name.startswith("_") and inspect.isfunction(function):
                    yield f"{member_name}.{method_name}", function


def test_everything_public_has_a_docstring() -> None:
    """Every public class, function and method has a docstring."""
    check_none(
        f"{name}.{member_name}"
        for name in LIBRARY
        if not name.endswith("__main__")
        for member_name, member in public_members(name)
        if not (getattr(member, "__doc__", "") or "").strip()
    )
