"""Name the operations of a platform that may be the one looked for, and the override for each.

The rule: a read is a candidate if its path is the same after service and version. A call on
archived enrollments is one if its path speaks of archiving, enrollments, courses, learning plans
and users, and of nothing else; one that archives also if it takes both `enrollment_mode` and
`reset_tracking`. At most three are named, and none is ever used by itself.
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
"""Where the parameters of a row go, by its `sends`."""

LISTS = {"user_ids", "record_ids"}
"""Our words that always stand for several values."""

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
    """Return the operations that may be a row of the contract, the most telling first."""
    fitting = {
        (operation.method, path_shape(operation.path)): operation
        for operation in described
        if _is_candidate(name, row, operation)
    }
    ranked = sorted(fitting.values(), key=lambda one: (not _takes_both(one), one.path))
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
    """Whether an operation is about archived enrollments, and about nothing else."""
    path = {word.removesuffix("s") for word in _words(_literals(_tail(operation.path)))}
    name = _words(operation.operation_id)
    of_enrollments = "enrollment" in "".join(_words(operation.path) + name)
    return bool(_ARCHIVE & {*path, *name[:1]}) and of_enrollments and path <= _PATH_WORDS


def _takes_both(operation: ApiOperation) -> bool:
    """Whether an operation takes both parameters that are known of archiving."""
    names = {_squash(name) for name in _names(operation)}
    return bool(names & _MODE) and "resettracking" in names


def _targets(operation: ApiOperation) -> set[str]:
    """Return what an operation is about: courses, learning plans, both, or empty if not known."""
    words = {"course": "course", "learning_plan": "learningplan"}
    named = {*map(noun_of, _names(operation))}

    def said(text: str) -> set[str]:
        return {target for target, word in words.items() if word in _squash(text)}

    of_parameters = {target for target in words if target in named}
    service = operation.path.split("/")[1]
    return said(_literals(_tail(operation.path))) or of_parameters or said(service)


@frozen
class Override:
    """What would have to change in the contract for a row to be an operation of the platform.

    Attributes:
        changes: the fields of `Contract.with_operation`.
        modes: the values of `Contract.with_enrollment_mode`.
        obstacles: what no override can express; then the changes are of no use.
    """

    changes: dict[str, Any]
    modes: dict[str, str]
    obstacles: tuple[str, ...]


def override_for(row: Operation, contract: Contract, operation: ApiOperation) -> Override:
    """Return the override that makes a row match an operation, as far as it is evident."""
    words = list(dict.fromkeys([*row.in_path, *row.params]))
    path, in_path, obstacles = _path(operation, words)
    left = [word for word in words if word not in in_path]
    place, found = _parameters(row, operation, left)
    needed = ("page", "page_size", *row.in_path) if row.method == "GET" else left
    missing = [word for word in left if word in needed and word not in found]
    obstacles += [f"it has no evident place for {word}" for word in missing]
    modes, unclear = _modes(contract, found.get("mode"))
    sends = next(sends for sends, one in PLACES.items() if one == place)
    changes: dict[str, Any] = {"method": operation.method, "path": path, "sends": sends}
    if row.path.split("/")[1] == row.service:
        changes["service"] = path.split("/")[1]
    changes = {name: value for name, value in changes.items() if getattr(row, name) != value}
    params = {word: _spelling(word, found.get(word), place) for word in left}
    params |= {word: None for word in in_path if word in row.params}
    params = {word: name for word, name in params.items() if row.params.get(word) != name}
    taken = {one.plain_name for one in operation.parameters if one.place == place}
    taken |= {"get_total_count"}  # never in the way: a list is read without a total as well
    fixed = {name: None for name in row.fixed if name.removesuffix("[]") not in taken}
    changes |= {name: value for name, value in (("params", params), ("fixed", fixed)) if value}
    return Override(changes, modes, (*obstacles, *unclear))


def _path(operation: ApiOperation, words: list[str]) -> tuple[str, list[str], list[str]]:
    """Return its path with our words, the words in it, and the places that cannot be filled."""
    used, obstacles, path = list[str](), list[str](), operation.path
    for place, noun in zip(operation.placeholders, _nouns_in_path(operation), strict=True):
        left = [word for word in words if word not in {*LISTS, *used}]
        word = next((word for word in left if noun and noun_of(word) == noun), None)
        if word is None:
            obstacles.append(f"its path asks for {{{place}}}")
        else:
            used.append(word)
            path = path.replace(f"{{{place}}}", f"{{{word}}}", 1)
    return path, used, obstacles


def _nouns_in_path(operation: ApiOperation) -> list[str | None]:
    """Return what each placeholder is about; a plain `{id}` is about the segment before it."""
    segments = operation.path.split("/")
    return [
        noun_of(place) or (noun_of(segments[at - 1]) if _squash(place) == "id" else None)
        for at, segment in enumerate(segments)
        for place in re.findall(r"{([^{}]*)}", segment)
    ]


def _parameters(
    row: Operation, operation: ApiOperation, words: list[str]
) -> tuple[Place, dict[str, Parameter]]:
    """Return the place that takes most of our words, and which parameter is which word."""
    places: list[Place] = ["query"] if row.method == "GET" else ["body", "form", "query"]
    places.sort(key=lambda place: place != PLACES[row.sends])
    by_place = {place: dict(_found(row, operation, words, place)) for place in places}
    best = max(places, key=lambda place: len(by_place[place]))
    return best, by_place[best]


def _found(
    row: Operation, operation: ApiOperation, words: list[str], place: Place
) -> Iterator[tuple[str, Parameter]]:
    """Yield for each word the parameter of that spelling, else the first of that meaning."""
    here = [one for one in operation.parameters if one.place == place and "[]." not in one.name]
    for word in words:
        ours = row.params.get(word, word)
        same = [one for one in here if _squash(_last(one.name)) == _squash(_last(ours))]
        same.sort(key=lambda one: (one.name != ours, one.name.count(".")))
        alike = [one for one in here if _means(_last(one.plain_name), word)]
        alike.sort(key=lambda one: (one.name.count("."), one.is_list is False))
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
    """Return the platform's value for each mode whose value is not listed, and what is unclear."""
    values = parameter.values if parameter else ()
    modes, unclear = dict[str, str](), list[str]()
    for mode, value in contract.enrollment_mode.items():
        if values and value not in values:
            fitting = [one for one in values if re.match(_MODE_VALUES[mode], _squash(one))]
            if len(fitting) == 1:
                modes[mode] = fitting[0]
            else:
                listed = ", ".join(values[:10])
                unclear.append(f"which of its values means {mode} is not evident: {listed}")
    return modes, unclear


def noun_of(name: str) -> str | None:
    """Return what an id or a list of ids is about: `id_users`, `userIds[]` and `user` are one."""
    words = "".join(word for word in _words(name) if word not in ("id", "ids"))
    return _NOUNS.get(words) or _NOUNS.get(re.sub(r"(ids?|s)$", "", words))


def _tail(path: str) -> str:
    """Return what follows service and version in a path."""
    return re.sub(r"^/[^/]+/v\d+/", "", path_shape(path))


def _words(text: str) -> list[str]:
    """Return the words of a name or path in lower case; `archiveEnrollments` has two."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())
    return [word.replace("enrolment", "enrollment") for word in words]


def _squash(name: str) -> str:
    return "".join(_words(name))


def _literals(path: str) -> str:
    return re.sub(r"{[^{}]*}", "", path)


def _names(operation: ApiOperation) -> Iterator[str]:
    yield from operation.placeholders
    here = (one for one in operation.parameters if one.place != "elsewhere")
    yield from (_last(one.plain_name) for one in here)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
