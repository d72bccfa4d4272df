"""List the call of each client method, by matching docstrings with the contract."""

from __future__ import annotations

import inspect
import re

from lms_archive import Client, Contract, StaticToken

_CALL = re.compile(r"`(GET|POST|PUT|DELETE) (/[^`\s]+)`")
_HELPERS = re.compile(r"_|pages")
_OWN = ("request", "verify_contract", "check")


def methods() -> dict[str, tuple[str, list[str]]]:
    """Return the summary of each method, and the operations that its docstring names."""
    client = Client("https://acme.example.com", StaticToken("none"))
    places = {"client": client} | {
        f"client.{name}": value
        for name, value in vars(client).items()
        if type(value).__module__.startswith("lms_archive.resources.")
    }
    return {
        f"{place}.{name}": (_summary(method), _operations(method))
        for place, thing in places.items()
        for name, method in inspect.getmembers(type(thing), inspect.isfunction)
        if (name in _OWN if place == "client" else not _HELPERS.match(name))
    }


def tables() -> str:
    """Return the map as Markdown, with a table for each resource."""
    lines: list[str] = []
    operations, before = Contract.default().operations, ""
    for name, (summary, names) in methods().items():
        place, _, method = name.rpartition(".")
        if place != before:
            lines += ["", f"## {place}", "", "| method | call |", "|---|---|"]
            before = place
        calls = [operations[operation] for operation in names]
        shown = "<br>".join(
            f"`{call.method} {call.path}` ({_marks(call.evidence)})" for call in calls
        )
        described = f"`{method}`<br>{summary.removesuffix('.')}"
        lines.append(f"| {described} | {shown or 'see [its entry](api.md)'} |")
    return "\n".join(lines) + "\n"


def _marks(evidence: str) -> str:
    """Return the marks that an evidence text contains, in its order."""
    return ", ".join(
        dict.fromkeys(re.findall(r"\b(?:article|doc|seen|2017|reply|assumed)\b", evidence))
    )


def _summary(method: object) -> str:
    return (inspect.getdoc(method) or "").partition("\n")[0]


def _operations(method: object) -> list[str]:
    rows = {
        (row.method, _plain(row.path)): name for name, row in Contract.default().operations.items()
    }
    calls = _CALL.findall(inspect.getdoc(method) or "")
    return list(dict.fromkeys(rows[verb, _plain(path)] for verb, path in calls))


def _plain(path: str) -> str:
    """Return a path with unnamed placeholders."""
    return re.sub(r"\{\w+\}|<\w+>", "{}", path)
