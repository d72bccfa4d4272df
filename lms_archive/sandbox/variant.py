"""Describe a platform that differs from the default: overrides of routes and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from attrs import field, frozen

Effect = Literal["archives", "unenrolls", "updates", "nothing"]
ErrorForm = Literal["message", "code", "text"]
SwaggerKind = Literal["served", "missing", "forbidden", "html"]
Totals = Literal["always", "on_request", "never"]

_WORDS = {
    "effect": get_args(Effect),
    "swagger": get_args(SwaggerKind),
    "microservices": (None, *get_args(SwaggerKind)),
    "errors": get_args(ErrorForm),
    "totals": get_args(Totals),
}


@frozen(kw_only=True)
class PlatformVariant:
    """A platform with another contract, or with other rules: `Sandbox(variant=...)`.

    Operations are named as in the contract table, their parameters as this platform names
    them where nothing is changed. The swagger describes what is served. Changed calls get an
    `operationId` made of method and path.

    Attributes:
        calls: the method, path and, if it differs, summary of an operation, as in
            `"POST /enrollment/v1/archive Archive them"`; None: the call does not exist. A
            parameter whose name is in the path is sent there.
        parameters: the place and name of a parameter of an operation, `"query ids[]"` or
            `"body userIds"`; a name alone keeps the place. None: the parameter is neither
            described nor read.
        answers: the new places of keys in the answer of an operation, as dotted paths
            (`"data.job_id": "data.background_job_id"`, `"data.items.user_id":
            "data.items.idUser"`), in this order; None: the key is left out.
        modes: the platform's own values for values of `enrollment_mode`.
        effect: what an archive call does. `archives`: as requested. `unenrolls`: the same
            without archiving; without a mode it unenrolls. `updates`: with any mode, only the
            time of the last update changes. `nothing`: not even that.
        keeps_date: whether an enrollment that is archived and re-enrolled keeps its date.
        archived_lag: seconds until the archived list shows a record.
        swagger: `missing` answers 404, `forbidden` 403, `html` an HTML page.
        microservices: the same for the list of services, from which the documents are discovered;
            None: as `swagger`.
        errors: the form of refusals. `message`: `{status, name, message}`; `code`:
            `{success: false, error, errorCode}`; `text`: plain text.
        totals: whether lists have `total_count`: `on_request` where `get_total_count=1` is sent.
    """

    calls: Mapping[str, str | None] = field(factory=dict)
    parameters: Mapping[str, Mapping[str, str | None]] = field(factory=dict)
    answers: Mapping[str, Mapping[str, str | None]] = field(factory=dict)
    modes: Mapping[str, str] = field(factory=dict)
    effect: Effect = "archives"
    keeps_date: bool = False
    archived_lag: float = 0
    swagger: SwaggerKind = "served"
    microservices: SwaggerKind | None = None
    errors: ErrorForm = "message"
    totals: Totals = "always"

    def __attrs_post_init__(self) -> None:
        """Check the words."""
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                value, allowed = getattr(self, name), ", ".join(filter(None, words))
                raise ValueError(f"{name} cannot be {value!r}; expected one of: {allowed}")

    def answer(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return *answer* in this platform's form, after changing it in place."""
        for old, new in self.answers.get(operation, {}).items():
            _move(answer, old.split("."), new.split(".") if new else [])
        return answer


def _move(node: Any, old: list[str], new: list[str]) -> None:
    """Move the value at *old*, in each item of a list; remove it if *new* is empty."""
    if isinstance(node, list):
        for item in node:
            _move(item, old, new)
    elif isinstance(node, dict) and old[0] in node:
        if len(old) > 1 and (not new or old[0] == new[0]):
            _move(node[old[0]], old[1:], new[1:])
        else:
            _put(node, new, _take(node, old))


def _take(node: dict[str, Any], path: list[str]) -> Any:
    for key in path[:-1]:
        node = node[key]
    return node.pop(path[-1])


def _put(node: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        node = node.setdefault(key, {})
    if path:
        node[path[-1]] = value
