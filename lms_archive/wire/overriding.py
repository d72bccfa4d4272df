"""What would have to change in a row of the contract for it to be an operation of the platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.described import Described, Parameter, Place
from lms_archive.wire.wording import RESET, is_mode, like, meaning, squashed

__all__ = ["LISTS", "MEANT", "PLACES", "changes_for"]

PLACES: Mapping[str, Place] = {"query": "query", "json": "body", "form": "form"}
"""Where the parameters of a row go, by its `sends`."""

LISTS = {"user_ids", "record_ids"}
"""Our words that always stand for several."""

MEANT = {
    "course_id": "course",
    "learning_plan_id": "plan",
    "user_id": "user",
    "user_ids": "user",
    "job_id": "job",
}
"""What our words for ids are about."""

_SENDS: Mapping[Place, str] = {"body": "json", "form": "form", "query": "query"}
_PAGING = {"page", "page_size"}
_RECORDS = {"ids", "recordids", "archivedids", "enrollmentids", "archivedenrollmentids"}


def changes_for(
    name: str, contract: Contract, one: Described
) -> tuple[dict[str, Any] | None, dict[str, str], list[str]]:
    """The fields of `with_operation`, the values of `with_enrollment_mode`, and what is in the way.

    Only names that are evident are taken over; where one is not, there are no fields.
    """
    row = contract.operations[name]
    words = list(dict.fromkeys([*row.in_path, *row.params]))
    path, used, obstacles = _path(row, one, words)
    left = [word for word in words if word not in used]
    place, found = _found(row, one, left)
    missing = [word for word in left if word not in found]
    if row.method == "GET":
        missing = [word for word in missing if word in _PAGING or word in row.in_path]
    obstacles += [f"it has no evident place for {word}" for word in missing]
    obstacles += [
        f"its {found[word].name} takes one value, not a list"
        for word in LISTS.intersection(found)
        if not found[word].many
    ]
    modes, unclear = _modes(contract, found.get("mode"))
    if obstacles:
        return None, modes, obstacles + unclear
    changes: dict[str, Any] = {"method": one.method, "path": path, "sends": _SENDS[place]}
    service = path.split("/")[1]
    if row.path.split("/")[1] == row.service:
        changes["service"] = service
    changes = {field: value for field, value in changes.items() if getattr(row, field) != value}
    params = {word: _named(word, found.get(word), place) for word in left}
    params |= {word: None for word in used if word in row.params}
    params = {word: spelt for word, spelt in params.items() if row.params.get(word) != spelt}
    if params:
        changes["params"] = params
    taken = {p.plain for p in one.parameters if p.place == place}
    fixed = {key: None for key in row.fixed if key.removesuffix("[]") not in taken}
    if fixed:
        changes["fixed"] = fixed
    return changes, modes, unclear


def _path(row: Operation, one: Described, words: list[str]) -> tuple[str, list[str], list[str]]:
    """Its path with our placeholders, our words in it, and the places we cannot fill."""
    used, obstacles, before, segments = list[str](), list[str](), "", list[str]()
    for segment in one.path.split("/"):
        for place in re.findall(r"{([^{}]*)}", segment):
            word = _in_path(place, before, row, one, [word for word in words if word not in used])
            if word is None:
                obstacles.append(f"its path asks for {{{place}}}")
            else:
                used.append(word)
                segment = segment.replace(f"{{{place}}}", f"{{{word}}}", 1)  # noqa: PLW2901
        before = segment
        segments.append(segment)
    return "/".join(segments), used, obstacles


def _in_path(
    place: str, before: str, row: Operation, one: Described, words: list[str]
) -> str | None:
    means = meaning(place) or (meaning(before) if squashed(place) in ("id", "") else None)
    fitting = [w for w in words if w not in LISTS and means and MEANT.get(w) == means]
    if fitting:
        return fitting[0]
    alone = row.in_path[0] if len(row.in_path) == len(one.placeholders) == 1 else None
    return alone if alone in words and (means is None or alone == "job_id") else None


def _found(row: Operation, one: Described, words: list[str]) -> tuple[Place, dict[str, Parameter]]:
    """Where its parameters go, and which of them our words are: the place that has most."""
    places: tuple[Place, ...] = ("query",) if row.method == "GET" else ("body", "form", "query")
    by_place = {
        place: {w: p for w in words if (p := _parameter(w, row, one, place)) is not None}
        for place in places
    }
    # max() keeps the first of equals; what the row does already goes before the rest.
    now = PLACES[row.sends]
    best = max(places, key=lambda place: (len(by_place[place]), place == now))
    return best, by_place[best]


def _parameter(word: str, row: Operation, one: Described, place: Place) -> Parameter | None:
    ours = row.params.get(word, word)
    here = [p for p in one.parameters if p.place == place and not p.inside]
    same = [p for p in here if p.name == ours] or [
        p for p in here if squashed(p.name) == squashed(ours)
    ]
    if word == "mode":
        same += [p for p in here if is_mode(p.plain, strict=True)]
        same += [p for p in here if is_mode(p.plain)]
    elif word == "reset_tracking":
        same += [p for p in here if squashed(p.plain) in RESET]
    elif word == "record_ids":
        same += [p for p in here if squashed(p.plain) in _RECORDS]
    elif word in MEANT:
        means = [p for p in here if meaning(p.plain) == MEANT[word]]
        same += [p for p in means if p.many] + means
    return same[0] if same else None


def _named(word: str, parameter: Parameter | None, place: Place) -> str | None:
    if parameter is None:
        return None
    if place != "body":
        return parameter.name
    several = word in LISTS or not parameter.one
    return parameter.plain + "[]" if several else parameter.plain


def _modes(contract: Contract, parameter: Parameter | None) -> tuple[dict[str, str], list[str]]:
    """The platform's values where ours are not among them, and what is not clear in them."""
    values = parameter.values if parameter else ()
    modes, unclear = dict[str, str](), list[str]()
    for mode, value in contract.enrollment_mode.items():
        if values and value not in values:
            fitting = like(mode, values)
            if len(fitting) == 1:
                modes[mode] = fitting[0]
            else:
                listed = ", ".join(values[:10])
                unclear.append(f"which of its values is to {mode} is not evident: {listed}")
    return modes, unclear
