"""Find the operations of a platform that may be meant by a row of the contract.

An operation is a candidate if it takes what the row sends (for a read: what it needs), and

* has the method of the row, and its path after service and version; or
* for a call that archives: says "archive", or takes `enrollment_mode`;
* for a call on archived records: its path says so, and a list takes users.

The library never uses a candidate on its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final

from attrs import evolve

from lms_archive.records.structure import to_plain
from lms_archive.wire.contract import Contract, Operation, difference
from lms_archive.wire.openapi import ApiOperation, Location, path_shape
from lms_archive.wire.report import Candidate

__all__ = ["TARGETS", "candidate_for", "noun_of", "placeholders_of"]

TARGETS: Final = ("course", "learningplan", "user")

_MODE_VALUES = {
    "unenroll": r"(?!.*reenrol).*(unenrol|delet|remov|archiv)",
    "re-enroll": r".*reenrol",
}


def candidate_for(name: str, contract: Contract, operation: ApiOperation) -> Candidate | None:
    """Return an operation as a candidate for a row, with its override, or None."""
    row = contract.operations[name]
    is_same = _is_same_path(row, operation)
    if not (is_same or _is_about_archived(name, row, operation)):
        return None
    fitted = _fit(row, operation)
    if fitted is None or not (is_same or row.method != "GET" or "user_ids" in fitted.params):
        return None
    changes = difference(to_plain(row), to_plain(fitted))
    values = operation.takes.get(fitted.sends, {}).get(fitted.params.get("mode", ""), ())
    modes = _modes(contract, values) if values else {}
    if not changes and not modes:
        return None
    return Candidate(
        operation=name,
        method=operation.method,
        path=operation.path,
        summary=operation.summary,
        changes=changes,
        modes=modes,
    )


def _is_same_path(row: Operation, operation: ApiOperation) -> bool:
    tails = {re.sub(r"^/[^/]+/v\d+/", "", path_shape(path)) for path in (row.path, operation.path)}
    return row.method == operation.method and len(tails) == 1


def _is_about_archived(name: str, row: Operation, operation: ApiOperation) -> bool:
    path = _letters(operation.path)
    if name.startswith("archive_"):
        names = (each for location in operation.takes.values() for each in location)
        text = _letters(" ".join([operation.path, operation.summary, *names]))
        is_meant = "archiv" in text or "enrollmentmode" in text
        return is_meant and "unarchiv" not in text and operation.method not in ("GET", "DELETE")
    is_meant = "archived" in name and "archiv" in path and "enrol" in path
    return is_meant and "unarchiv" not in path and operation.method == row.method


def _fit(row: Operation, operation: ApiOperation) -> Operation | None:
    """Return the row with the path and the names of an operation; None if it takes too little."""
    is_read = row.method == "GET"
    words, path = list(dict.fromkeys([*row.in_path, *row.params])), operation.path
    for placeholder, noun in placeholders_of(path):
        word = next((each for each in words if noun_of(each) == noun and not _is_list(each)), None)
        if word is None or (is_read and word not in row.in_path):
            return None
        words.remove(word)
        path = path.replace(f"{{{placeholder}}}", f"{{{word}}}", 1)
    locations: list[Location] = ["query"] if is_read else [row.sends, "json", "form", "query"]
    names = {
        location: _names(row, words, operation.takes.get(location, {})) for location in locations
    }
    sends = max(names, key=lambda each: len(names[each]))
    fixed = {
        name: value
        for name, value in row.fixed.items()
        # A list that does not take `get_total_count` is read without a total.
        if name == "get_total_count" or name in operation.takes.get(sends, {})
    }
    needed = {*row.in_path, "page", "page_size"} if is_read else {*words}
    if not needed & {*words} <= {*names[sends]} or not (is_read or fixed == row.fixed):
        return None
    service = path.split("/")[1]
    return evolve(
        row,
        method=operation.method,
        path=path,
        service=row.service if service == row.path.split("/")[1] else service,
        sends=sends,
        params=names[sends],
        fixed=fixed,
    )


def _names(row: Operation, words: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return the platform's name for each word that is among the names that it takes."""
    names = dict[str, str]()
    for word in words:
        name = row.params.get(word, word)
        alike = [
            each
            for each in taken
            if _means(each, word, name) and (each.endswith("[]") or not _is_list(word))
        ]
        alike.sort(key=lambda each: (each != name, each.count("."), each[-2:] != name[-2:]))
        names |= {word: alike[0]} if alike else {}
    return names


def _means(platform_name: str, word: str, name: str) -> bool:
    noun = noun_of(platform_name)
    if word == "mode":
        return noun.endswith("mode")
    if word == "record_ids":
        return noun not in TARGETS and _letters(platform_name).endswith("ids")
    return noun in (noun_of(word), noun_of(name))


def _modes(contract: Contract, values: Collection[str]) -> dict[str, str]:
    """Return the platform's value for each mode whose own value it does not list, if evident."""
    meant = {
        mode: [value for value in values if re.match(pattern, _letters(value))]
        for mode, pattern in _MODE_VALUES.items()
        if contract.enrollment_mode[mode] not in values
    }
    return {mode: fitting[0] for mode, fitting in meant.items() if len(fitting) == 1}


def placeholders_of(path: str) -> list[tuple[str, str]]:
    """Return each placeholder and its noun: its own if it is a target, or that of `users/{id}`."""
    nouns = []
    for before, segment in pairwise(path.split("/")):
        for placeholder in re.findall(r"{([^{}]*)}", segment):
            noun = noun_of(placeholder)
            nouns.append((placeholder, noun if noun in TARGETS else noun_of(before)))
    return nouns


def _is_list(word: str) -> bool:
    """Return whether a parameter of the contract always has several values."""
    return word.endswith("_ids")


def noun_of(name: str) -> str:
    """Return what a name is about: `user` for `id_users`, `userIds[]` and `data.user`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.rpartition(".")[2]).lower()
    words = re.sub(r"\bids?\b", "", re.sub(r"[^a-z]", " ", words))
    return re.sub(r"(ids?|s)$", "", words.replace(" ", ""))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
