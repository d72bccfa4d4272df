"""From names to ids, by whichever takes fewer calls: one listing, or a search for each name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from attrs import frozen

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.archive.selection import Target
from lms_archive.archive.walks import walk
from lms_archive.client import Client
from lms_archive.wire.pages import Page

__all__ = ["Unfound", "targets_of", "user_ids_of"]

T = TypeVar("T")


@frozen
class Unfound:
    """Why a target cannot be told: a code and a reason, as for a row."""

    code: str
    reason: str


def targets_of(
    client: Client, targets: Collection[Target]
) -> dict[Target, PlannedTarget | Unfound]:
    """The course or learning plan of each target asked for.

    Ids are taken as they are: reading shows them up.
    """
    codes = {
        kind: {one.code for one in targets if one.kind == kind and one.code is not None}
        for kind in ("course", "learning_plan")
    }
    courses = _by_name(
        codes["course"],
        listing=client.courses.pages,
        searching=lambda code: client.courses.list(search=code),
        name=lambda course: course.code,
        identity=lambda course: course.course_id,
    )
    plans = _by_name(
        codes["learning_plan"],
        listing=client.learning_plans.pages,
        searching=lambda code: client.learning_plans.list(search=code),
        name=lambda plan: plan.code,
        identity=lambda plan: plan.learning_plan_id,
    )
    known = {
        "course": _named(
            "course", ((c.course_id, c.code, c.title) for c in chain(*courses.values()))
        ),
        "learning_plan": _named(
            "learning_plan",
            ((p.learning_plan_id, p.code, p.title) for p in chain(*plans.values())),
        ),
    }
    return {target: _target(target, known[target.kind]) for target in targets}


def _named(
    kind: str, found: Iterable[tuple[int, str | None, str | None]]
) -> dict[str, list[PlannedTarget]]:
    """Targets by their codes, upper and lower case aside."""
    named: dict[str, list[PlannedTarget]] = defaultdict(list)
    for target_id, code, title in found:
        target = PlannedTarget(kind=kind, target_id=target_id, code=code, title=title)
        named[(code or "").casefold()].append(target)
    return named


def _target(target: Target, found: Mapping[str, list[PlannedTarget]]) -> PlannedTarget | Unfound:
    what = target.kind.replace("_", " ")
    if target.code is None:
        assert target.target_id is not None  # noqa: S101  a target has one of them
        return PlannedTarget(kind=target.kind, target_id=target.target_id)
    near = found.get(target.code.casefold(), [])
    exact = [one for one in near if one.code == target.code]
    if not exact:
        hint = f"; {near[0].code!r} differs in upper and lower case" if near else ""
        reason = f"no {what} has the code {target.code!r}{hint}"
        return Unfound(f"unknown_{target.kind}", reason)
    if target.target_id is not None:
        exact = [one for one in exact if one.target_id == target.target_id]
        if not exact:
            reason = f"{what} {target.target_id} does not have the code {target.code!r}"
            return Unfound("disagree", f"{reason}: correct one of the two")
    if len(exact) > 1:
        ids = ", ".join(str(one.target_id) for one in exact)
        reason = f"{len(exact)} {what}s have the code {target.code!r} (ids {ids})"
        return Unfound(f"ambiguous_{target.kind}", f"{reason}: use the column {target.kind}_id")
    return exact[0]


def user_ids_of(client: Client, names: Collection[str]) -> dict[str, int]:
    """The ids of users by username, for lists that do not tell usernames; exact matches only."""
    found = _by_name(
        names,
        listing=client.users.pages,
        searching=lambda name: client.users.list(search=name),
        name=lambda user: user.username,
        identity=lambda user: user.user_id,
    )
    ids = {user.username: user.user_id for users in found.values() for user in users}
    return {name: ids[name] for name in names if name in ids}


def _by_name(
    names: Collection[str],
    *,
    listing: Callable[[], Iterator[Page[T]]],
    searching: Callable[[str], Iterable[T]],
    name: Callable[[T], str | None],
    identity: Callable[[T], Hashable],
) -> dict[str, list[T]]:
    """What bears these names, upper and lower case aside, each thing once."""
    wanted = {one.casefold() for one in names}
    items: dict[Hashable, T] = {}
    whole = _listed(listing, identity, at_most=len(names)) if len(names) > 1 else None
    if whole is not None:
        items.update((identity(item), item) for item in whole)
    else:
        for one in sorted(names):
            items.update((identity(item), item) for item in searching(one))
    found: dict[str, list[T]] = defaultdict(list)
    for item in items.values():
        key = (name(item) or "").casefold()
        if key in wanted:
            found[key].append(item)
    return found


def _listed(
    listing: Callable[[], Iterator[Page[T]]], identity: Callable[[T], Hashable], *, at_most: int
) -> list[T] | None:
    """The whole list, or None where it has more pages than that after the first."""
    pages = listing()
    first = next(pages)
    if first.last is None or first.last - 1 > at_most:
        return None
    return walk(listing, identity, begun=chain([first], pages)).items
