"""An operation: one row of the contract, and the call that it describes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from itertools import combinations
from typing import Any, Literal
from urllib.parse import quote

from attrs import field, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.wire.calls import Request

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ANSWER = {
    "items": "data.items",
    "more": "data.has_more_data",
    "cursor": "data.cursor",
    "pages": "data.total_page_count",
    "total": "data.total_count",
    "count": "data.count",
    "size": "data.current_page_size",
}


def _is_method(_: Any, __: Any, value: str) -> None:
    if value not in _METHODS:
        raise ValueError(f"method {value!r:.60} is not one of {', '.join(_METHODS)}")


def _is_path(_: Any, __: Any, value: str) -> None:
    if not re.fullmatch(r"/[^/?#\s][^?#\s]*", value):
        raise ValueError(f"path {value!r:.60} must begin with one / and contain no ?, # or space")


def _leaves_parameters(row: Operation, _: Any, fixed: Mapping[str, Any]) -> None:
    """Refuse a fixed name that would replace a parameter, as would two parameters of one name."""
    for name in fixed:
        for word, key in row.params.items():
            if _overlap(name, key):
                raise ValueError(
                    f"fixed {name!r:.60} would replace the parameter {word!r}: remove it from fixed"
                )
    if row.method == "GET":
        return
    for (first, key), (second, other) in combinations(row.params.items(), 2):
        if _overlap(key, other):
            raise ValueError(
                f"the parameters {first!r} and {second!r} are both named {key!r:.60}: "
                "give each a name of its own"
            )


def _overlap(name: str, other: str) -> bool:
    """Return whether two names lead to the same value, or one into the value of the other."""
    keys, others = (text.partition("[")[0].split(".") for text in (name, other))
    return all(left == right for left, right in zip(keys, others, strict=False))


@frozen(kw_only=True)
class Operation:
    """A row of the contract.

    Attributes:
        method: the HTTP method.
        path: the path; `{course_id}`, `{learning_plan_id}`, `{job_id}`, `{service}` are filled in.
        service: the service of the platform whose swagger describes the call.
        evidence: the source of the row, and how reliable it is.
        params: the contract's words and the platform's names for them. A name with `[]` takes
            several values; in a JSON body a dot leads into an object.
        sends: the part of the call that holds the parameters.
        fixed: values that are always sent, under the platform's names; none of them is also the
            name of a parameter.
        answer: the contract's words and their dotted paths in the answer.
    """

    method: str = field(validator=_is_method)
    path: str = field(validator=_is_path)
    service: str
    evidence: str
    params: Mapping[str, str]
    sends: Literal["query", "json", "form"] = "query"
    fixed: Mapping[str, Any] = field(factory=dict, validator=_leaves_parameters)
    answer: Mapping[str, str] = field(factory=dict)

    def request(self, **values: Any) -> Request:
        """Return the call with these values, under the contract's words; None is left out."""
        used = {word: value for word, value in values.items() if value is not None}
        path = self.path
        for word in self.in_path:
            path = path.replace("{" + word + "}", _in_path(word, used.pop(word, None)))
        # A read leaves out a filter that the platform does not have; a write leaves out nothing.
        if self.method == "GET":
            used = {word: value for word, value in used.items() if word in self.params}
        named = {self.params[word]: value for word, value in used.items()} | dict(self.fixed)
        if self.sends == "query":
            return Request(self.method, path, query=tuple(_pairs(named)))
        if self.sends == "form":
            return Request(self.method, path, form=tuple(_pairs(named)))
        return Request(self.method, path, json=_body(named))

    @property
    def in_path(self) -> list[str]:
        """The contract's words in the path."""
        return re.findall(r"{(\w+)}", self.path)

    def find(self, answer: Any, word: str) -> Any:
        """Return the value in an answer for a word of the contract, or None."""
        for key in self.answer.get(word, _ANSWER.get(word, word)).split("."):
            answer = answer.get(key) if isinstance(answer, Mapping) else None
        if isinstance(answer, str) and not answer.isascii():  # escape lone surrogates
            return answer.encode("utf-8", "backslashreplace").decode("utf-8")
        return answer


def _pairs(named: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in named.items():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            yield name, _as_text(item)


def _in_path(word: str, value: Any) -> str:
    """Return a whole number or a text as a segment of a path."""
    text = str(value)
    is_number = not isinstance(value, bool) and text.isascii() and text.isdigit()
    try:
        if is_number or (isinstance(value, str) and value.strip()):
            return quote(text, safe="")
    except UnicodeError:
        pass  # a lone surrogate
    raise InvalidInputError(f"{word} must be an id, not {value!r:.60}")


def _body(named: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in named.items():
        *outer, last = name.removesuffix("[]").split(".")
        inner = body
        for key in outer:
            inner = inner.setdefault(key, {})
        if name.endswith("[]"):
            inner[last] = list(value) if isinstance(value, (list, tuple)) else [value]
        else:
            inner[last] = str(value) if isinstance(value, str) else value
    return body


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)
