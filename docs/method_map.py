"""Which call each method of the client makes: docstrings matched with the contract."""

from __future__ import annotations

import inspect
import re

from lms_archive import Client, Contract, StaticToken

_CALL = re.compile(r"`(GET|POST|PUT|DELETE) (/[^`\s]+)`")
_HELPERS = re.compile(r"_|pages")
_OWN = ("request", "verify_contract", "check")


def methods() -> dict[str, tuple[str, list[str]]]:
    """By method, its summary and the names of the contract's rows that its docstring names."""
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
    """The map as Markdown, a table for each place."""
    lines: list[str] = []
    operations, before = Contract.default().operations, ""
    for name, (summary, names) in methods().items():
        place, _, method = name.rpartition(".")
        if place != before:
            lines += ["", f"## `{place}`", "", "| method | what it gives | call |", "|---|---|---|"]
            before = place
        found = [operations[one] for one in names]
        calls = [f"`{one.method} {one.path}` ({one.evidence})" for one in found]
        joined = "<br>then " if place == "client" else "<br>or "
        said = joined.join(calls) or "see [its entry](api.md)"
        lines.append(f"| `{method}` | {summary.removesuffix('.')} | {said} |")
    return "\n".join(lines) + "\n"


def _summary(method: object) -> str:
    return (inspect.getdoc(method) or "").partition("\n")[0]


def _operations(method: object) -> list[str]:
    rows = {
        (row.method, _plain(row.path)): name for name, row in Contract.default().operations.items()
    }
    told = _CALL.findall(inspect.getdoc(method) or "")
    return list(dict.fromkeys(rows[verb, _plain(path)] for verb, path in told))


def _plain(path: str) -> str:
    """A path whose places to be filled in have no names."""
    return re.sub(r"\{\w+\}|<\w+>", "{}", path)
