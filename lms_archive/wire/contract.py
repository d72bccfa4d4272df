"""The one table of calls: every path, parameter and JSON key of the platform stands here.

`contract.json` beside this file is the default, each row with its evidence. A platform that
differs is an override, not a change of code.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import quote

from attrs import field, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.files import path_from
from lms_archive.records.keys import JsonKey
from lms_archive.records.structure import StructureError, from_plain, to_plain
from lms_archive.wire.masking import Secret

__all__ = ["Contract", "Operation", "Request"]

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


@frozen
class Request:
    """One call as it goes out: path filled in, query and form as pairs, or JSON.

    `raw` asks for the bytes of a file instead of JSON; `headers` are sent beside those of every
    call; `with_token` False sends it without saying who is calling.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Mapping[str, Any] | None = None
    form: tuple[tuple[str, str | Secret], ...] | None = field(default=None, repr=False)
    raw: bool = False
    headers: Mapping[str, str] = field(factory=dict, hash=False)
    with_token: bool = True

    @property
    def is_write(self) -> bool:
        """Whether sending it twice could do something twice."""
        return self.method not in ("GET", "HEAD")


def _is_method(_: Any, __: Any, value: str) -> None:
    if value not in _METHODS:
        raise ValueError(f"method {value!r:.60} is none of {', '.join(_METHODS)}")


def _is_path(_: Any, __: Any, value: str) -> None:
    if not re.fullmatch(r"/[^/?#\s][^?#\s]*", value):
        raise ValueError(f"path {value!r:.60} must begin with one / and hold no ?, # or space")


@frozen(kw_only=True)
class Operation:
    """A row of the contract.

    Attributes:
        method: the HTTP method.
        path: the path; `{course_id}`, `{learning_plan_id}`, `{job_id}`, `{service}` are filled in.
        service: the part of the platform whose swagger describes the call.
        evidence: where the row comes from, and how well it is known.
        params: our words and the platform's names for them; a name with `[]` takes several, and
            in a JSON body a dot leads into an object.
        sends: where the parameters go.
        fixed: parameters that are always sent, under the platform's names.
        answer: our words and the dotted paths at which the answer holds them.
    """

    method: str = field(validator=_is_method)
    path: str = field(validator=_is_path)
    service: str
    evidence: str
    params: Mapping[str, str]
    sends: Literal["query", "json", "form"] = "query"
    fixed: Mapping[str, Any] = field(factory=dict)
    answer: Mapping[str, str] = field(factory=dict)

    def request(self, **given: Any) -> Request:
        """The call for these values, by our words; a None is left out."""
        used = {word: value for word, value in given.items() if value is not None}
        path = self.path
        for word in self.in_path:
            path = path.replace("{" + word + "}", _in_path(word, used.pop(word, None)))
        # A filter that the platform does not have is left out; what a write says never is.
        if self.method == "GET":
            used = {word: value for word, value in used.items() if word in self.params}
        named = {self.params[word]: value for word, value in used.items()} | dict(self.fixed)
        if self.sends == "query":
            return Request(self.method, path, query=tuple(_pairs(named)))
        if self.sends == "form":
            return Request(self.method, path, form=tuple(_pairs(named)))
        body: dict[str, Any] = {}
        for name, value in named.items():
            *outer, last = name.removesuffix("[]").split(".")
            inner = body
            for key in outer:
                inner = inner.setdefault(key, {})
            inner[last] = _body(name, value)
        return Request(self.method, path, json=body)

    @property
    def in_path(self) -> list[str]:
        """Our words that stand in the path."""
        return re.findall(r"{(\w+)}", self.path)

    def find(self, answer: Any, word: str) -> Any:
        """What the answer holds for our word, or None."""
        for key in self.answer.get(word, _ANSWER.get(word, word)).split("."):
            answer = answer.get(key) if isinstance(answer, Mapping) else None
        return answer


def _pairs(named: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in named.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            yield name, _as_text(one)


def _in_path(word: str, value: Any) -> str:
    """Return a value, a whole number or a text, as a part of a path."""
    text = str(value)
    is_number = not isinstance(value, bool) and text.isascii() and text.isdigit()
    try:
        if is_number or (isinstance(value, str) and value.strip()):
            return quote(text, safe="")
    except UnicodeError:
        pass  # half a character
    raise InvalidInputError(f"{word} must be an id, not {value!r:.60}")


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

    A platform that differs is an override: `with_operation`, `with_record`,
    `with_enrollment_mode`, or all of them in a file (`load`).

    Attributes:
        operations: the calls by name.
        records: for each record, its attributes and the JSON key of each; of several keys the
            first that holds something counts.
        enrollment_mode: the platform's value for each archive mode (`"delete"`: reply;
            the one for archive and re-enroll: assumed).
    """

    operations: Mapping[str, Operation]
    records: Mapping[str, Mapping[str, JsonKey]]
    enrollment_mode: Mapping[str, str]

    def __repr__(self) -> str:
        if changes := _difference(to_plain(Contract.default()), to_plain(self)):
            return f"<Contract, default with overrides {changes}>"
        return "<Contract, default>"

    @classmethod
    def default(cls) -> Contract:
        """The best public evidence (see the contract page of the docs)."""
        return _default()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Contract:
        """Return the default contract with the overrides of a JSON file.

        The file has the shape of the contract itself, and holds only what differs::

            {"operations": {"archive_course_enrollments": {"path": "/course/v1/archive"}},
             "records": {"CourseEnrollment": {"status": "state"}},
             "enrollment_mode": {"unenroll": "archive"}}

        Raises:
            InvalidInputError: the file cannot be read, or something in it is not of a contract;
                each fault is named with its JSON path.
        """
        place = path_from(path, "path", "contract.json")
        source = str(place)
        try:
            mode = place.stat().st_mode
            is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # a device may have no end
            text = place.read_text(encoding="utf-8-sig") if is_file else "null"
            data = json.loads(text, object_pairs_hook=_without_duplicates)
        except OSError as error:
            raise InvalidInputError(f"cannot be read: {error.strerror}", source=source) from None
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"not JSON: {error}", source=source) from None
        if not is_file:
            raise InvalidInputError("is not an ordinary file", source=source)
        return cls.default().merged(data, source)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what differs from the default contract to a JSON file, for `load`.

        Raises:
            InvalidInputError: the file exists, or cannot be written.
        """
        changes = _difference(to_plain(Contract.default()), to_plain(self))
        text = json.dumps(changes, ensure_ascii=False, indent=2)
        place = path_from(path, "path", "contract.json")
        try:
            with place.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{text}\n")
        except FileExistsError:
            raise InvalidInputError("exists; name another file", source=str(place)) from None
        except OSError as error:
            reason = f"cannot be written: {error.strerror}"
            raise InvalidInputError(reason, source=str(place)) from None

    def merged(self, data: Any, source: str = "overrides") -> Contract:
        """A copy with overrides in the contract's own shape; `source` names them in errors.

        Raises:
            InvalidInputError: something in them is not of a contract.
        """
        if not isinstance(data, Mapping):
            raise InvalidInputError("a contract is a JSON object", source=source)
        plain = to_plain(self)
        faults = list(_merge(plain, data, "$"))
        if not faults:
            merged = _load(plain, source)
            faults = list(_misplaced(self, merged))
        if faults:
            raise InvalidInputError("\n  ".join(["not a contract:", *faults]), source=source)
        return merged

    def with_operation(self, name: str, /, **changes: Any) -> Contract:
        """A copy in which one row is changed.

        Args:
            name: the operation, as in `Contract.operations`.
            **changes: fields of `Operation`; `params`, `fixed` and `answer` are merged into the
                row's own, and a None takes an entry out.

        Raises:
            InvalidInputError: the name or a field is unknown.
        """
        _check_name(name)
        changes.setdefault("evidence", "override")
        return self.merged({"operations": {name: changes}})

    def with_record(self, name: str, /, **keys: str | Sequence[str]) -> Contract:
        """Return a copy in which a record's attributes are found under other JSON keys.

        Args:
            name: the record, as in `Contract.records`.
            **keys: for an attribute its key, or several of which the first that is present
                counts; one in a group is written with its dot, as in
                `**{"user.user_id": "idUser"}`.

        Raises:
            InvalidInputError: the record or an attribute is unknown.
        """
        _check_name(name)
        return self.merged({"records": {name: keys}})

    def with_enrollment_mode(self, mode: str, value: str, /) -> Contract:
        """A copy in which the platform has another value for an archive mode.

        Raises:
            InvalidInputError: there is no such mode.
        """
        _check_name(mode)
        return self.merged({"enrollment_mode": {mode: value}})


_OPEN = ("fixed", "answer")


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise InvalidInputError(f"a row of the contract is named by a str, not {name!r:.60}")


def _merge(
    into: dict[str, Any], changes: Mapping[str, Any], where: str, also: Sequence[str] = ()
) -> Iterator[str]:
    """Lay the changes over the contract; what it has no place for is a fault."""
    in_path = re.findall(r"{(\w+)}", str(into.get("path")))  # these may become parameters
    for name, value in changes.items():
        path, old = f"{where}.{name}", into.get(name)
        if name not in into and name not in also and not where.endswith(_OPEN):
            yield f"{path}: unknown; there are: {', '.join(into) or 'none'}"
        elif isinstance(old, dict) and isinstance(value, Mapping):
            yield from _merge(old, value, path, in_path if name == "params" else ())
        elif isinstance(old, dict):
            yield f"{path}: expected an object, not {value!r:.60}"
        elif value is None and where.endswith((*_OPEN, "params")):
            into.pop(name, None)
        elif where.startswith("$.records.") and _are_keys(value):
            into[name] = list(value)
        elif isinstance(value, str) or not (where.startswith("$.records.") or isinstance(old, str)):
            into[name] = value
        else:
            yield f"{path}: expected text, not {value!r:.60}"


def _are_keys(value: Any) -> bool:
    several = isinstance(value, (list, tuple)) and len(value) > 0
    return several and all(isinstance(key, str) for key in value)


def _difference(old: Any, new: Any) -> dict[str, Any]:
    """Return the changes that `_merge` makes `new` of `old` with."""
    changes: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            changes |= {name: inner} if (inner := _difference(old[name], value)) else {}
        elif name not in old or old[name] != value:
            changes[name] = value
    return changes


def _misplaced(old: Contract, new: Contract) -> Iterator[str]:
    """Rows that lost the place of something they cannot do without, or have one for nothing."""
    for name, row in new.operations.items():
        before = old.operations[name]
        # A filter of a read may be left out, so that it cannot stand in the path.
        known = {*before.in_path} if row.method == "GET" else {*before.in_path, *before.params}
        for word in row.in_path:
            if word not in known:
                places = ", ".join(sorted(known)) or "nothing"
                yield f"$.operations.{name}.path: {{{word}}} is none of: {places}"
        if row.method == "GET" and before.method != "GET":
            yield f"$.operations.{name}.method: what changes something cannot be a GET"
        for word in sorted(known - {*row.in_path, *row.params}):
            yield f"$.operations.{name}: no place for {word!r}, in path or params"


@cache
def _default() -> Contract:
    text = files("lms_archive.wire").joinpath("contract.json").read_text(encoding="utf-8")
    return _load(json.loads(text, object_pairs_hook=_without_duplicates), "contract.json")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; JSON's own reader would keep the last of two silently."""
    names = [name for name, _ in pairs]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ValueError(f"{duplicate!r:.60} is there twice in one object; remove or merge one")
    return dict(pairs)


def _load(data: Any, source: str) -> Contract:
    try:
        return from_plain(Contract, data)
    except StructureError as error:
        raise InvalidInputError(
            "\n  ".join(["not a contract:", *error.faults]), source=source
        ) from None
