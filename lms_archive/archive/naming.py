"""From names to ids, by whichever takes fewer calls: one listing, or a search for each name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from attrs import frozen

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.archive.selection import Target
from lms_archive.archive.walks import walk
from lms_archive.client import Client
from lms_archive.records.active import Course
from lms_archive.wire.pages import Page

__all__ = ["Unfound", "courses_of", "user_ids_of"]

T = TypeVar("T")


@frozen
class Unfound:
    """Why a target cannot be told: a code and a reason, as for a row."""

    code: str
    reason: str


def courses_of(
    client: Client, targets: Collection[Target]
) -> dict[Target, PlannedTarget | Unfound]:
    """The course of each target asked for. Ids are taken as they are: reading shows them up."""
    codes = {target.code for target in targets if target.code is not None}
    found = _by_name(
        codes,
        listing=client.courses.pages,
        searching=lambda code: client.courses.list(search=code),
        name=lambda course: course.code,
        identity=lambda course: course.course_id,
    )
    return {target: _course(target, found) for target in targets}


def _course(target: Target, found: Mapping[str, list[Course]]) -> PlannedTarget | Unfound:
    if target.code is None:
        assert target.target_id is not None  # noqa: S101  a target has one of them
        return PlannedTarget(kind="course", target_id=target.target_id)
    courses = [one for one in found.get(target.code.casefold(), ()) if one.code == target.code]
    if not courses:
        near = sorted({str(one.code) for one in found.get(target.code.casefold(), ())})
        hint = f"; {near[0]!r} differs in upper and lower case" if near else ""
        return Unfound("unknown_course", f"no course has the code {target.code!r}{hint}")
    if target.target_id is not None:
        courses = [one for one in courses if one.course_id == target.target_id]
        if not courses:
            reason = f"course {target.target_id} does not have the code {target.code!r}"
            return Unfound("disagree", f"{reason}: correct one of the two")
    if len(courses) > 1:
        ids = ", ".join(str(one.course_id) for one in courses)
        reason = f"{len(courses)} courses have the code {target.code!r} (ids {ids})"
        return Unfound("ambiguous_course", f"{reason}: use the column course_id")
    course = courses[0]
    return PlannedTarget(
        kind="course", target_id=course.course_id, code=course.code, title=course.title
    )


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
    searching: Callable[[str], Iterator[T]],
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
