"""The one table of calls: every path, parameter and JSON key of the platform stands here.

`contract.json` beside this file is the default, each row with its evidence: **article** and
**reply** (the two documents the library comes from), **doc** (Docebo's pages), **2017**
(Docebo's Swagger of that year), **seen** (used by public clients), **assumed** (nothing public
confirms it). A platform that differs is an override, not a change of code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import quote

from attrs import asdict, evolve, field, frozen, validators

from lms_archive.errors import BadInput
from lms_archive.records.convert import Faults, from_plain

__all__ = ["Contract", "Operation", "Request"]

_ANSWER = {
    "items": "data.items",
    "more": "data.has_more_data",
    "cursor": "data.cursor",
    "pages": "data.total_page_count",
    "total": "data.total_count",
}


@frozen
class Request:
    """One call as it goes out: path filled in, query as pairs, body as JSON or form."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def is_write(self) -> bool:
        """Whether sending it twice could do something twice."""
        return self.method not in ("GET", "HEAD") and self.form is None


@frozen(kw_only=True)
class Operation:
    """A row of the contract.

    Attributes:
        method: the HTTP method.
        path: the path; `{course_id}`, `{learning_plan_id}`, `{job_id}` are filled in.
        service: the part of the platform whose swagger describes the call.
        evidence: where the row comes from, and how well it is known.
        params: our words and the platform's names for them; a name with `[]` takes several.
        sends: where the parameters go.
        fixed: parameters that are always sent, under the platform's names.
        answer: our words and the dotted paths at which the answer holds them.
    """

    method: str = field(validator=validators.in_(("GET", "POST", "PUT", "PATCH", "DELETE")))
    path: str = field(validator=validators.matches_re(r"/[^/?#\s][^?#\s]*"))
    service: str
    evidence: str
    params: Mapping[str, str]
    sends: Literal["query", "json", "form"] = "query"
    fixed: Mapping[str, Any] = field(factory=dict)
    answer: Mapping[str, str] = field(factory=dict)

    def request(self, **given: Any) -> Request:
        """The call for these values, by our words; a None is left out."""
        used = {word: value for word, value in given.items() if value is not None}
        words = [word for word in used if "{" + word + "}" in self.path]
        path = self.path
        for word in words:
            path = path.replace("{" + word + "}", quote(str(used.pop(word)), safe=""))
        named = {self.params[word]: value for word, value in used.items()} | dict(self.fixed)
        if self.sends == "query":
            return Request(self.method, path, query=tuple(_pairs(named)))
        body = {name.removesuffix("[]"): _body(name, value) for name, value in named.items()}
        return Request(self.method, path, json=body)

    def find(self, answer: Any, word: str) -> Any:
        """What the answer holds for our word, or None."""
        for key in self.answer.get(word, _ANSWER.get(word, word)).split("."):
            answer = answer.get(key) if isinstance(answer, Mapping) else None
        return answer


def _pairs(named: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in named.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            yield name, _as_text(one)


def _body(name: str, value: Any) -> Any:
    if not name.endswith("[]"):
        return str(value) if isinstance(value, str) else value
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


@frozen(kw_only=True)
class Contract:
    """What the library believes about the platform's API, row by row.

    Attributes:
        operations: the calls by name.
        records: for each record, its attributes and the JSON key of each.
        enrollment_mode: the platform's value for each archive mode (`"delete"`: reply;
            the one for archive and re-enroll: assumed).
    """

    operations: Mapping[str, Operation]
    records: Mapping[str, Mapping[str, str]]
    enrollment_mode: Mapping[str, str]

    @classmethod
    def default(cls) -> Contract:
        """The best public evidence (see the contract page of the docs)."""
        return _default()

    def with_operation(self, name: str, /, **changes: Any) -> Contract:
        """A copy in which one row is changed.

        Args:
            name: the operation, as in `Contract.operations`.
            **changes: fields of `Operation`; `params`, `fixed` and `answer` are merged into the
                row's own, and a None takes an entry out.

        Raises:
            BadInput: the name or a field is unknown.
        """
        row = self.operations.get(name)
        if row is None:
            known = ", ".join(sorted(self.operations))
            raise BadInput(f"no operation {name!r} in the contract; there are: {known}")
        unknown = changes.keys() - asdict(row).keys()
        if unknown:
            raise BadInput(
                f"operation {name!r} has no field {min(unknown)!r}; "
                f"there are: {', '.join(asdict(row))}"
            )
        changes.setdefault("evidence", "override")
        for part in ("params", "fixed", "answer"):
            if part in changes:
                merged = {**getattr(row, part), **changes[part]}
                changes[part] = {k: v for k, v in merged.items() if v is not None}
        return evolve(self, operations={**self.operations, name: evolve(row, **changes)})


@cache
def _default() -> Contract:
    text = files("lms_archive.wire").joinpath("contract.json").read_text(encoding="utf-8")
    return _load(json.loads(text), "contract.json")


def _load(data: Any, source: str) -> Contract:
    try:
        return from_plain(Contract, data)
    except Faults as error:
        raise BadInput("\n  ".join(["not a contract:", *error.faults]), source=source) from None
