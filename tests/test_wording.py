"""The wording of the package, as far as a machine can check it: names, docstrings, messages."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from package_source import LIBRARY, MODULES, TREES, documented, texts

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


@pytest.mark.parametrize("name", MODULES)
def test_names_say_what_they_hold(name: str) -> None:
    """No variable, parameter or function has a pronoun or a metaphor as its name."""
    banned = [
        (line, word)
        for line, word in bound_names(TREES[name])
        if BANNED_NAMES.fullmatch(word) and (name, word) not in ALLOWED_NAMES
    ]
    assert banned == []


@pytest.mark.parametrize("name", MODULES)
def test_texts_use_plain_words(name: str) -> None:
    """No message and no docstring has a word to avoid."""
    strings = texts(name, with_docstrings=True)
    assert [
        (line, found[0]) for line, text in strings if (found := BANNED_WORDS.search(text))
    ] == []


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_of_functions_are_imperative(name: str) -> None:
    """The docstring of a function begins with a verb: `Return ...`, not `The ...` or `Returns ...`.

    A property is described by a noun.
    """
    wrong = [
        (node.lineno, text.split("\n")[0])
        for node, text in documented(name)
        if isinstance(node, ast.FunctionDef)
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
        and NOT_IMPERATIVE.match(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    """A module, and so a subpackage, begins with a sentence."""
    docstring = ast.get_docstring(TREES[name]) or ""
    first_line = docstring.split("\n")[0]
    assert first_line.endswith(".")
    assert len(first_line.split()) > 3, "a title is not a sentence"


@pytest.mark.parametrize("name", LIBRARY)
def test_no_message_has_a_mark_of_evidence(name: str) -> None:
    """Marks such as "(article)" belong to the docs, the contract and the bodies of docstrings."""
    strings = texts(name, with_docstrings=False)
    assert [text for _, text in strings if EVIDENCE.search(text)] == []


@pytest.mark.parametrize("name", LIBRARY)
def test_no_docstring_begins_with_a_mark_of_evidence(name: str) -> None:
    """The first line of a docstring says what something does, not how well it is known."""
    first_lines = [text.split("\n")[0] for _, text in documented(name)]
    assert [line for line in first_lines if EVIDENCE.search(line)] == []


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


@pytest.mark.parametrize("name", [name for name in LIBRARY if not name.endswith("__main__")])
def test_everything_public_has_a_docstring(name: str) -> None:
    """Every public class, function and method has a docstring."""
    without = [
        member_name
        for member_name, member in public_members(name)
        if not (getattr(member, "__doc__", "") or "").strip()
    ]
    assert without == []
