"""The contract: the table of every path, parameter and JSON key of the platform.

`contract.json` beside this file is the default; each row has its evidence. A platform that
differs needs an override, not a change of code.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import field, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.files import path_from, read_text
from lms_archive.records.structure import JsonKey, StructureError, from_plain, to_plain
from lms_archive.wire.operation import Operation


def _are_modes(_: Any, __: Any, modes: Mapping[str, str]) -> None:
    values = [value.strip().casefold() for value in modes.values()]
    if not all(values):
        raise ValueError("an enrollment_mode is blank: give the platform's value")
    if len(set(values)) < len(values):
        raise ValueError(
            "enrollment_mode has the same value for two modes: give each the platform's own value, "
            "both at once: Contract.merged({'enrollment_mode': {...}})"
        )


@frozen(kw_only=True)
class Contract:
    """The library's assumptions about the platform's API, row by row.

    A platform that differs needs an override: `with_operation`, `with_record`,
    `with_enrollment_mode`, or all of them in a file (`load`).

    Attributes:
        operations: the calls, by name.
        records: for each record, its attributes and the JSON key of each; of several keys the
            first with a value counts.
        enrollment_mode: the platform's value for each archive mode. `"delete"` for archive and
            unenroll comes from a user's reply; the value for archive and re-enroll is assumed.
    """

    operations: Mapping[str, Operation]
    records: Mapping[str, Mapping[str, JsonKey]]
    enrollment_mode: Mapping[str, str] = field(validator=_are_modes)

    def __repr__(self) -> str:
        if changes := difference(to_plain(Contract.default()), to_plain(self)):
            return f"<Contract, default with overrides {changes}>"
        return "<Contract, default>"

    @classmethod
    def default(cls) -> Contract:
        """Return the default contract: the best public evidence (see the docs)."""
        return _default()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Contract:
        """Return the default contract with the overrides of a JSON file.

        The file has the shape of the contract itself, and contains only the differences::

            {"operations": {"archive_course_enrollments": {"path": "/course/v1/archive"}},
             "records": {"CourseEnrollment": {"status": "state"}},
             "enrollment_mode": {"unenroll": "archive"}}

        Raises:
            InvalidInputError: the file cannot be read, or does not fit a contract; the message
                has each fault with its JSON path.
        """
        location = path_from(path, "path", "contract.json")
        source = str(location)
        try:
            data = json.loads(read_text(location), object_pairs_hook=_without_duplicates)
        except OSError as error:
            raise InvalidInputError(f"cannot be read: {error.strerror}", source=source) from None
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"not JSON: {error}", source=source) from None
        return cls.default().merged(data, source)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the differences from the default contract to a JSON file, for `load`.

        Raises:
            InvalidInputError: the file exists, or cannot be written.
        """
        changes = difference(to_plain(Contract.default()), to_plain(self))
        text = json.dumps(changes, ensure_ascii=False, indent=2)
        location = path_from(path, "path", "contract.json")
        try:
            with location.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{text}\n")
        except OSError as error:
            reason = f"cannot be written: {error.strerror}"
            if isinstance(error, FileExistsError):
                reason = "already exists; name a new file"
            raise InvalidInputError(reason, source=str(location)) from None

    def merged(self, data: Any, source: str = "overrides") -> Contract:
        """Return a copy with overrides in the shape of the contract; *source* is for errors.

        Raises:
            InvalidInputError: the overrides do not fit a contract.
        """
        if not isinstance(data, Mapping):
            raise InvalidInputError("expected a JSON object", source=source)
        plain = to_plain(self)
        faults = list(_merge(plain, data, "$"))
        if not faults:
            try:
                merged = from_plain(Contract, plain)
                faults = list(_misplaced(self, merged))
            except StructureError as error:
                faults = list(error.faults)
        if faults:
            raise InvalidInputError("\n  ".join(["not a contract:", *faults]), source=source)
        return merged

    def with_operation(self, name: str, /, **changes: Any) -> Contract:
        """Return a copy in which one row is changed.

        Args:
            name: the operation, as in `Contract.operations`.
            **changes: fields of `Operation`; `params`, `fixed` and `answer` are merged into those
                of the row, and None removes an entry.

        Raises:
            InvalidInputError: the name or a field is unknown, or an entry of `fixed` would replace
                a parameter.
        """
        changes.setdefault("evidence", "override")
        _require("with_operation", name, self.operations)
        return self.merged({"operations": {name: changes}}, "with_operation")

    def with_record(self, name: str, /, **keys: str | Sequence[str]) -> Contract:
        """Return a copy in which a record's attributes have other JSON keys.

        Args:
            name: the record, as in `Contract.records`.
            **keys: the key of each attribute, or several keys of which the first with a value
                counts; an attribute of a group is written with a dot, as in
                `**{"user.user_id": "idUser"}`.

        Raises:
            InvalidInputError: the record or an attribute is unknown.
        """
        _require("with_record", name, self.records)
        return self.merged({"records": {name: keys}}, "with_record")

    def with_enrollment_mode(self, mode: str, value: str, /) -> Contract:
        """Return a copy in which the platform has another value for an archive mode.

        To swap the values of both modes, use `merged({"enrollment_mode": {...}})`.

        Raises:
            InvalidInputError: the mode does not exist, or the value is blank or that of the other
                mode.
        """
        _require("with_enrollment_mode", mode, self.enrollment_mode)
        return self.merged({"enrollment_mode": {mode: value}}, "with_enrollment_mode")


def _require(method: str, name: object, names: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or name not in names:
        reason = f"{name!r:.60} is unknown; expected one of: {', '.join(names)}"
        raise InvalidInputError(reason, source=method)


_OPEN = ("fixed", "answer")


def _merge(
    into: dict[str, Any], changes: Mapping[str, Any], where: str, also: Sequence[str] = ()
) -> Iterator[str]:
    """Merge changes into the contract, and yield a fault for each that does not fit."""
    in_path = re.findall(r"{(\w+)}", str(into.get("path")))  # these may become parameters
    for name, value in changes.items():
        path, old = f"{where}.{name}", into.get(name)
        if name not in into and name not in also and not where.endswith(_OPEN):
            yield f"{path}: unknown; expected one of: {', '.join(into) or 'none'}"
        elif isinstance(old, dict) and isinstance(value, Mapping):
            yield from _merge(old, value, path, in_path if name == "params" else ())
        elif isinstance(old, dict):
            yield f"{path}: expected an object, not {value!r:.60}"
        elif value is None and where.endswith((*_OPEN, "params")):
            into.pop(name, None)
        elif where.startswith("$.records.") and _are_keys(value):
            into[name] = [str.__str__(key) for key in value]
        elif isinstance(value, str):
            into[name] = str.__str__(value)  # of a StrEnum or numpy's text, the text itself
        elif not (where.startswith("$.records.") or isinstance(old, str)):
            into[name] = value
        else:
            yield f"{path}: expected text, not {value!r:.60}"


def _are_keys(value: Any) -> bool:
    several = isinstance(value, (list, tuple)) and len(value) > 0
    return several and all(isinstance(key, str) for key in value)


def difference(old: Any, new: Any) -> dict[str, Any]:
    """Return the changes with which `_merge` turns *old* into *new*."""
    changes: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            changes |= {name: inner} if (inner := difference(old[name], value)) else {}
        elif name not in old or old[name] != value:
            changes[name] = value
    return changes


def _misplaced(old: Contract, new: Contract) -> Iterator[str]:
    """Yield a fault for each row that lacks a required value, or has an unknown placeholder."""
    for name, row in new.operations.items():
        before = old.operations[name]
        # A filter of a read may be left out, so it cannot be in the path.
        required = {*before.in_path} if row.method == "GET" else {*before.in_path, *before.params}
        for word in row.in_path:
            if word not in required:
                allowed = ", ".join(sorted(required)) or "nothing"
                yield f"$.operations.{name}.path: {{{word}}} is not one of: {allowed}"
        if row.method == "GET" and before.method != "GET":
            yield f"$.operations.{name}.method: a call that changes something cannot be a GET"
        for word in sorted(required - {*row.in_path, *row.params}):
            yield f"$.operations.{name}: {word!r} is missing from path and params"


@cache
def _default() -> Contract:
    text = files("lms_archive.wire").joinpath("contract.json").read_text(encoding="utf-8")
    return from_plain(Contract, json.loads(text, object_pairs_hook=_without_duplicates))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; the default would silently keep the last duplicate."""
    names = [name for name, _ in pairs]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ValueError(f"{duplicate!r:.60} occurs twice in one object; remove or merge one")
    return dict(pairs)
