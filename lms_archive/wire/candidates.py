"""Find the operations of a platform that may be a row of the contract, and the override for each.

A read is a candidate if its path is the same after service and version. A call on archived
enrollments is a candidate if its path consists of words for archiving, enrollments, courses,
learning plans and users only; a call that archives also if it takes both `enrollment_mode` and
`reset_tracking`. There are at most three candidates, and the library never uses one on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.openapi import ApiOperation, Parameter, Place, path_shape

__all__ = ["LISTS", "PLACES", "Override", "candidates_for", "noun_of", "override_for"]

PLACES: Mapping[str, Place] = {"query": "query", "json": "body", "form": "form"}
"""The place of the parameters of a row, by its `sends`."""

LISTS = {"user_ids", "record_ids"}
"""The parameters of the contract that always have several values."""

_MOST = 3
_NOUNS = {
    "course": "course",
    "learningplan": "learning_plan",
    "lp": "learning_plan",
    "user": "user",
    "learner": "user",
    "student": "user",
    "job": "job",
    "hash": "job",
}
_ARCHIVE = {"archive", "archived", "archiving"}
_PATH_WORDS = _ARCHIVE | {
    "enrollment",
    "course",
    "learning",
    "plan",
    "learningplan",
    "user",
    "bulk",
}
_MODE = {"enrollmentmode", "archivemode"}
_MODE_VALUES = {
    "unenroll": r"(?!.*reenrol).*(unenrol|delet|remov|archiv)",
    "re-enroll": r".*reenrol",
}


def candidates_for(
    name: str, row: Operation, described: Iterable[ApiOperation]
) -> list[ApiOperation]:
    """Return the operations that may be a row of the contract, the most likely first."""
    fitting = {
        (operation.method, path_shape(operation.path)): operation
        for operation in described
        if _is_candidate(name, row, operation)
    }
    ranked = sorted(fitting.values(), key=lambda each: (not _takes_both(each), each.path))
    return ranked[:_MOST]


def _is_candidate(name: str, row: Operation, operation: ApiOperation) -> bool:
    if row.method == operation.method == "GET" and _tail(row.path) == _tail(operation.path):
        return True
    about = re.fullmatch(r"(?:delete_)?archived?_(course|learning_plan)_enrollments", name)
    if about is None or "unarchive" in _words(operation.path):
        return False
    targets, names = _targets(operation), [*_names(operation)]
    if not name.startswith("archive_"):
        is_whole_list = {*_nouns_in_path(operation)} <= targets == {about[1]}
        takes_records = any(map(_is_record_ids, names)) or row.method == "GET"
        same_method = operation.method == row.method
        return same_method and is_whole_list and takes_records and _is_of_archive(operation)
    if operation.method in ("GET", "DELETE"):
        return False
    if _takes_both(operation):
        return about[1] in targets or not targets
    return about[1] in targets and "user" in map(noun_of, names) and _is_of_archive(operation)


def _is_of_archive(operation: ApiOperation) -> bool:
    """Return whether an operation is about archived enrollments only."""
    path = {word.removesuffix("s") for word in _words(_literals(_tail(operation.path)))}
    name = _words(operation.operation_id)
    of_enrollments = "enrollment" in "".join(_words(operation.path) + name)
    return bool(_ARCHIVE & {*path, *name[:1]}) and of_enrollments and path <= _PATH_WORDS


def _takes_both(operation: ApiOperation) -> bool:
    """Return whether an operation takes both known parameters of archiving."""
    names = {_squash(name) for name in _names(operation)}
    return bool(names & _MODE) and "resettracking" in names


def _targets(operation: ApiOperation) -> set[str]:
    """Return the kinds of target of an operation: courses, learning plans, both, or unknown."""
    words = {"course": "course", "learning_plan": "learningplan"}
    named = {*map(noun_of, _names(operation))}

    def mentioned_in(text: str) -> set[str]:
        return {target for target, word in words.items() if word in _squash(text)}

    of_parameters = {target for target in words if target in named}
    service = mentioned_in(operation.path.split("/")[1])
    return mentioned_in(_literals(_tail(operation.path))) or of_parameters or service


@frozen
class Override:
    """The changes to the contract that make a row match an operation of the platform.

    Attributes:
        changes: the fields of `Contract.with_operation`.
        modes: the values of `Contract.with_enrollment_mode`.
        obstacles: differences that no override can express; with any, the changes are useless.
    """

    changes: dict[str, Any]
    modes: dict[str, str]
    obstacles: tuple[str, ...]


def override_for(row: Operation, contract: Contract, operation: ApiOperation) -> Override:
    """Return the override that makes a row match an operation, as far as it is evident."""
    words = list(dict.fromkeys([*row.in_path, *row.params]))
    path, in_path, obstacles = _path(operation, words)
    left = [word for word in words if word not in in_path]
    place, matched = _parameters(row, operation, left)
    needed = ("page", "page_size", *row.in_path) if row.method == "GET" else left
    missing = [word for word in left if word in needed and word not in matched]
    obstacles += [f"it has no evident place for {word}" for word in missing]
    modes, unclear = _modes(contract, matched.get("mode"))
    sends = next(sends for sends, its_place in PLACES.items() if its_place == place)
    changes: dict[str, Any] = {"method": operation.method, "path": path, "sends": sends}
    if row.path.split("/")[1] == row.service:
        changes["service"] = path.split("/")[1]
    changes = {name: value for name, value in changes.items() if getattr(row, name) != value}
    params = {word: _spelling(word, matched.get(word), place) for word in left}
    params |= {word: None for word in in_path if word in row.params}
    params = {word: name for word, name in params.items() if row.params.get(word) != name}
    accepted = {each.plain_name for each in operation.parameters if each.place == place}
    accepted |= {"get_total_count"}  # harmless: a list can be read without a total
    fixed = {name: None for name in row.fixed if name.removesuffix("[]") not in accepted}
    changes |= {name: value for name, value in (("params", params), ("fixed", fixed)) if value}
    return Override(changes, modes, (*obstacles, *unclear))


def _path(operation: ApiOperation, words: list[str]) -> tuple[str, list[str], list[str]]:
    """Return the path with the contract's words, the words in it, and the obstacles."""
    used, obstacles, path = list[str](), list[str](), operation.path
    for place, noun in zip(operation.placeholders, _nouns_in_path(operation), strict=True):
        left = [word for word in words if word not in {*LISTS, *used}]
        word = next((word for word in left if noun and noun_of(word) == noun), None)
        if word is None:
            obstacles.append(f"its path needs {{{place}}}")
        else:
            used.append(word)
            path = path.replace(f"{{{place}}}", f"{{{word}}}", 1)
    return path, used, obstacles


def _nouns_in_path(operation: ApiOperation) -> list[str | None]:
    """Return the noun of each placeholder; a plain `{id}` has that of the segment before it."""
    segments = operation.path.split("/")
    return [
        noun_of(place) or (noun_of(segments[at - 1]) if _squash(place) == "id" else None)
        for at, segment in enumerate(segments)
        for place in re.findall(r"{([^{}]*)}", segment)
    ]


def _parameters(
    row: Operation, operation: ApiOperation, words: list[str]
) -> tuple[Place, dict[str, Parameter]]:
    """Return the place that takes the most words, and the parameter of each word."""
    places: list[Place] = ["query"] if row.method == "GET" else ["body", "form", "query"]
    places.sort(key=lambda place: place != PLACES[row.sends])
    by_place = {place: dict(_matches(row, operation, words, place)) for place in places}
    best = max(places, key=lambda place: len(by_place[place]))
    return best, by_place[best]


def _matches(
    row: Operation, operation: ApiOperation, words: list[str], place: Place
) -> Iterator[tuple[str, Parameter]]:
    """Yield for each word the parameter with its spelling, else the first with its meaning."""
    here = [p for p in operation.parameters if p.place == place and "[]." not in p.name]
    for word in words:
        ours = row.params.get(word, word)
        same = [p for p in here if _squash(_last(p.name)) == _squash(_last(ours))]
        same.sort(key=lambda p: (p.name != ours, p.name.count(".")))
        alike = [p for p in here if _means(_last(p.plain_name), word)]
        alike.sort(key=lambda p: (p.name.count("."), p.is_list is False))
        for parameter in [*same, *alike][:1]:
            yield word, parameter


def _means(name: str, word: str) -> bool:
    if word == "mode":
        return _squash(name) in {*_MODE, "mode"}
    if word == "record_ids":
        return _is_record_ids(name)
    return noun_of(word) is not None and noun_of(name) == noun_of(word)


def _is_record_ids(name: str) -> bool:
    return noun_of(name) is None and _squash(name).endswith("ids")


def _spelling(word: str, parameter: Parameter | None, place: Place) -> str | None:
    if parameter is None:
        return None
    if place != "body":
        return parameter.name
    return parameter.plain_name + ("[]" if word in LISTS or parameter.is_list else "")


def _modes(contract: Contract, parameter: Parameter | None) -> tuple[dict[str, str], list[str]]:
    """Return the platform's value for each mode whose own value is not listed, and obstacles."""
    values = parameter.values if parameter else ()
    modes, unclear = dict[str, str](), list[str]()
    for mode, value in contract.enrollment_mode.items():
        if values and value not in values:
            fitting = [text for text in values if re.match(_MODE_VALUES[mode], _squash(text))]
            if len(fitting) == 1:
                modes[mode] = fitting[0]
            else:
                listed = ", ".join(values[:10])
                unclear.append(f"none of its values clearly means {mode}: {listed}")
    return modes, unclear


def noun_of(name: str) -> str | None:
    """Return the noun of an id or a list of ids: `user` for `id_users`, `userIds[]` and `user`."""
    words = "".join(word for word in _words(name) if word not in ("id", "ids"))
    return _NOUNS.get(words) or _NOUNS.get(re.sub(r"(ids?|s)$", "", words))


def _tail(path: str) -> str:
    """Return the part of a path after service and version."""
    return re.sub(r"^/[^/]+/v\d+/", "", path_shape(path))


def _words(text: str) -> list[str]:
    """Return the words of a name or path in lower case; `archiveEnrollments` has two words."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())
    return [word.replace("enrolment", "enrollment") for word in words]


def _squash(name: str) -> str:
    return "".join(_words(name))


def _literals(path: str) -> str:
    return re.sub(r"{[^{}]*}", "", path)


def _names(operation: ApiOperation) -> Iterator[str]:
    yield from operation.placeholders
    named = (p.plain_name for p in operation.parameters if p.place != "elsewhere")
    yield from map(_last, named)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
