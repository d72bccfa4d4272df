"""Find the ids of codes and usernames, in few calls: by one list, or by a search for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeVar

from lms_archive.archive.selection import (
    IGNORED_IN_NAMES,
    Fault,
    Target,
    TargetKind,
    comparable_name,
)
from lms_archive.archive.target.complete import Reading, read_complete, read_once
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.records.active import Course, LearningPlan, User
from lms_archive.tables.csv import GUARD_HINT, unguarded
from lms_archive.wire.pages import Page, tolerant_pages, with_partial

T = TypeVar("T")

_RECORDS: Final[Mapping[TargetKind, type[Course | LearningPlan]]] = MappingProxyType(
    {"course": Course, "learning_plan": LearningPlan}
)


def resolve_targets(
    client: Client, targets: Collection[Target]
) -> dict[Target, PlannedTarget | Fault]:
    """Find the course or learning plan of each target, or say why there is none.

    Ids are taken as they are: reading their enrollments shows whether they exist.
    """
    by_code: dict[str, dict[str, list[PlannedTarget]]] = {}
    for kind, cls in _RECORDS.items():
        codes = {
            target.code for target in targets if target.kind == kind and target.code is not None
        }
        records = _with_names(client, f"list_{kind}s", cls, f"{kind}_id", "code", codes)
        by_code[kind] = defaultdict(list)
        for record in records:
            if record.code:
                by_code[kind][comparable_name(record.code)].append(_planned(kind, record))
    return {target: _resolve(target, by_code[target.kind]) for target in targets}


def list_targets(client: Client, kind: TargetKind) -> list[PlannedTarget]:
    """Read all courses or all learning plans of the platform."""
    identity = f"{kind}_id"

    def listed() -> Iterator[Page[Course | LearningPlan]]:
        pages = tolerant_pages(client.session, f"list_{kind}s", _RECORDS[kind], {})
        return with_partial(pages, frozenset({identity}))

    read = read_complete(listed, attrgetter(identity))
    return [_planned(kind, record) for record in read.with_partial(frozenset({identity}))]


def _planned(kind: TargetKind, record: Course | LearningPlan) -> PlannedTarget:
    target_id = getattr(record, f"{kind}_id")
    return PlannedTarget(kind=kind, target_id=target_id, code=record.code, title=record.title)


def _resolve(target: Target, by_code: Mapping[str, list[PlannedTarget]]) -> PlannedTarget | Fault:
    noun = target.kind.replace("_", " ")
    if target.code is None:
        assert target.target_id is not None  # noqa: S101  a target has one of them
        return PlannedTarget(kind=target.kind, target_id=target.target_id)
    similar = by_code.get(comparable_name(target.code), [])
    exact = [candidate for candidate in similar if candidate.code == target.code]
    exact = exact or [candidate for candidate in similar if candidate.code == target.code.strip()]
    if not exact:
        hint = spelling_hint(target.code, similar[0].code if similar else None)
        reason = f"no {noun} has the code {target.code!r}{hint}"
        return Fault(f"unknown_{target.kind}", reason)
    if target.target_id is not None:
        exact = [candidate for candidate in exact if candidate.target_id == target.target_id]
        if not exact:
            reason = f"{noun} {target.target_id} does not have the code {target.code!r}"
            return Fault("disagree", f"{reason}: correct one of the two")
    if len(exact) > 1:
        ids = ", ".join(str(candidate.target_id) for candidate in exact)
        reason = f"{len(exact)} {noun}s have the code {target.code!r} (ids {ids})"
        return Fault(f"ambiguous_{target.kind}", f"{reason}: use the column {target.kind}_id")
    return exact[0]


def spelling_hint(name: str, similar: str | None) -> str:
    """Return a hint for a name that was not found: a similar name, or a guard against formulas."""
    if similar is not None:
        return f"; {similar!r} differs only in {IGNORED_IN_NAMES}"
    return "" if unguarded(name) == name else f"; {GUARD_HINT}"


def resolve_usernames(client: Client, names: Collection[str]) -> dict[str, int]:
    """Find the ids of users by username, with no entry for a name that is not of exactly one."""
    ids_of = find_usernames(client, names)
    return {name: min(user_ids) for name, user_ids in ids_of.items() if len(user_ids) == 1}


def find_usernames(client: Client, names: Collection[str]) -> dict[str, set[int]]:
    """Find the ids of all users with each username, with no entry for those that are not found.

    A name matches exactly, or else without the spaces around it.
    """
    ids: dict[str, set[int]] = defaultdict(set)
    for user in _with_names(client, "list_users", User, "user_id", "username", names):
        ids[user.username].add(user.user_id)
    matches = {name: ids.get(name) or ids.get(name.strip()) for name in names}
    return {name: user_ids for name, user_ids in matches.items() if user_ids}


def ambiguous_user(name: str, user_ids: Collection[int | None]) -> tuple[str, str]:
    """Return the code and the reason for a username that several users have."""
    ids = ", ".join(sorted(map(str, user_ids)))
    reason = f"{len(user_ids)} users have the username {name!r} (ids {ids}): give the user id"
    return "ambiguous_user", reason


def _with_names(
    client: Client,
    operation: str,
    cls: type[T],
    identity: str,
    name: str,
    names: Collection[str],
) -> list[T]:
    """Return the records in a list, among them those that have one of these names.

    Where the list changes while it is read, the names are searched: usernames that were not in it;
    all codes, because several courses can have one code. Only values that are not the name or the
    id may be unreadable.
    """
    names = {text.strip() for text in names}
    id_of, name_of = attrgetter(identity), attrgetter(name)

    def listed(**parameters: str) -> Iterator[Page[T]]:
        pages = tolerant_pages(client.session, operation, cls, parameters)
        return with_partial(pages, frozenset({identity, name}))

    items: dict[Hashable, T] = {}
    to_search = set(names)
    reading = _read_list(listed, id_of, at_most=len(names)) if len(names) > 1 else None
    if reading is not None:
        items.update((id_of(item), item) for item in reading.items)
        if not reading.flaw:
            to_search.clear()
        elif name == "username":
            to_search -= {(name_of(item) or "").strip() for item in reading.items}
    for text in sorted(to_search):
        items.update((id_of(item), item) for page in listed(search=text) for item in page.items)
    return list(items.values())


def _read_list(
    listed: Callable[[], Iterator[Page[T]]], identity: Callable[[T], Hashable], *, at_most: int
) -> Reading[T] | None:
    """Read the list; None where it has more pages than that after the first."""
    pages = listed()
    first = next(pages)
    if first.last is None or first.last - 1 > at_most:
        return None
    return read_once(chain([first], pages), identity)
