"""Find the ids of codes and usernames, in few calls: by one list, or by a search for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import TypeVar

from attrs import frozen

from lms_archive.archive.selection import Target, TargetKind
from lms_archive.archive.target.complete import Reading, read_complete, read_once
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.records.active import Course, LearningPlan, User
from lms_archive.tables.csv import GUARD_HINT, unguarded
from lms_archive.wire.pages import Page, tolerant_pages, with_partial

__all__ = ["UnresolvedTarget", "list_targets", "resolve_targets", "resolve_usernames"]

T = TypeVar("T")


@frozen
class UnresolvedTarget:
    """Why a target was not found: a code and a reason, as for a row."""

    code: str
    reason: str


def resolve_targets(
    client: Client, targets: Collection[Target]
) -> dict[Target, PlannedTarget | UnresolvedTarget]:
    """Find the course or learning plan of each target.

    Ids are taken as they are: reading their enrollments shows whether they exist.
    """
    codes = {
        kind: {target.code for target in targets if target.kind == kind and target.code is not None}
        for kind in ("course", "learning_plan")
    }
    courses = _with_names(client, "list_courses", Course, "course_id", "code", codes["course"])
    plans = _with_names(
        client,
        "list_learning_plans",
        LearningPlan,
        "learning_plan_id",
        "code",
        codes["learning_plan"],
    )
    by_code = {
        "course": _by_code(map(_planned, courses)),
        "learning_plan": _by_code(map(_planned, plans)),
    }
    return {target: _resolve(target, by_code[target.kind]) for target in targets}


def list_targets(client: Client, kind: TargetKind) -> list[PlannedTarget]:
    """Read all courses or all learning plans of the platform.

    Raises:
        ApiError: a call failed, or the list was never whole.
    """
    cls: type[Course | LearningPlan] = Course if kind == "course" else LearningPlan
    identity = f"{kind}_id"

    def listed() -> Iterator[Page[Course | LearningPlan]]:
        pages = tolerant_pages(client.session, f"list_{kind}s", cls, {})
        return with_partial(pages, frozenset({identity}))

    read = read_complete(listed, attrgetter(identity))
    return [_planned(record) for record in read.with_partial(frozenset({identity}))]


def _planned(record: Course | LearningPlan) -> PlannedTarget:
    kind: TargetKind = "course"
    if isinstance(record, Course):
        key = record.course_id
    else:
        kind, key = "learning_plan", record.learning_plan_id
    return PlannedTarget(kind=kind, target_id=key, code=record.code, title=record.title)


def _by_code(targets: Iterable[PlannedTarget]) -> dict[str, list[PlannedTarget]]:
    """Group targets by their codes, case-insensitive."""
    groups: dict[str, list[PlannedTarget]] = defaultdict(list)
    for target in targets:
        groups[(target.code or "").strip().casefold()].append(target)
    return groups


def _resolve(
    target: Target, by_code: Mapping[str, list[PlannedTarget]]
) -> PlannedTarget | UnresolvedTarget:
    noun = target.kind.replace("_", " ")
    if target.code is None:
        assert target.target_id is not None  # noqa: S101  a target has one of them
        return PlannedTarget(kind=target.kind, target_id=target.target_id)
    similar = by_code.get(target.code.strip().casefold(), [])
    exact = [candidate for candidate in similar if candidate.code == target.code]
    exact = exact or [candidate for candidate in similar if candidate.code == target.code.strip()]
    if not exact:
        hint = f"; {similar[0].code!r} differs in upper and lower case or spaces" if similar else ""
        if not hint and unguarded(target.code) != target.code:
            hint = f"; {GUARD_HINT}"
        reason = f"no {noun} has the code {target.code!r}{hint}"
        return UnresolvedTarget(f"unknown_{target.kind}", reason)
    if target.target_id is not None:
        exact = [candidate for candidate in exact if candidate.target_id == target.target_id]
        if not exact:
            reason = f"{noun} {target.target_id} does not have the code {target.code!r}"
            return UnresolvedTarget("disagree", f"{reason}: correct one of the two")
    if len(exact) > 1:
        ids = ", ".join(str(candidate.target_id) for candidate in exact)
        reason = f"{len(exact)} {noun}s have the code {target.code!r} (ids {ids})"
        return UnresolvedTarget(
            f"ambiguous_{target.kind}", f"{reason}: use the column {target.kind}_id"
        )
    return exact[0]


def resolve_usernames(client: Client, names: Collection[str]) -> dict[str, int]:
    """Find the ids of users by username, with no entry for those that are not found.

    A name matches exactly, or else without the spaces around it.
    """
    users = _with_names(client, "list_users", User, "user_id", "username", names)
    ids = {user.username: user.user_id for user in users}
    matches = {name: ids.get(name, ids.get(name.strip())) for name in names}
    return {name: user_id for name, user_id in matches.items() if user_id is not None}


def _with_names(
    client: Client,
    operation: str,
    cls: type[T],
    identity: str,
    name: str,
    names: Collection[str],
) -> list[T]:
    """Return the records in a list that have one of these names, case-insensitive.

    Where the list changes while it is read, the names are searched: usernames that were not in it;
    all codes, because several courses can have one code. Only values that are not the name or the
    id may be unreadable.
    """
    names = {text.strip() for text in names}
    id_of, name_of = attrgetter(identity), attrgetter(name)

    def listed(**parameters: str) -> Iterator[Page[T]]:
        pages = tolerant_pages(client.session, operation, cls, parameters)
        return with_partial(pages, frozenset({identity, name}))

    wanted = {text.casefold() for text in names}
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
    return [item for item in items.values() if (name_of(item) or "").strip().casefold() in wanted]


def _read_list(
    listed: Callable[[], Iterator[Page[T]]], identity: Callable[[T], Hashable], *, at_most: int
) -> Reading[T] | None:
    """Read the list; None where it has more pages than that after the first."""
    pages = listed()
    first = next(pages)
    if first.last is None or first.last - 1 > at_most:
        return None
    return read_once(chain([first], pages), identity)
