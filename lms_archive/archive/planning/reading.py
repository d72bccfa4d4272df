"""Read the targets of a plan, small ones together, and keep what was read until it is matched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, TypeVar, cast

from attrs import define, evolve, field, frozen

from lms_archive.archive.planning.preflight import require_endpoint
from lms_archive.archive.planning.resolve import resolve_usernames
from lms_archive.archive.selection import Fault, Target, UserKey
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.complete import CompleteList
from lms_archive.archive.target.lists import Active, TargetLists, name_in
from lms_archive.archive.target.many import read_together
from lms_archive.archive.target.shared_list import SharedList
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.archive.values.outcomes import Skip
from lms_archive.client import Client
from lms_archive.errors import NotFoundError
from lms_archive.records.active import User
from lms_archive.wire.pages import tolerant_pages

T = TypeVar("T")
OnStep = Callable[[str, int, int], Any]
"""Receives what is done with the targets, with how many of them, and how many there are."""

_MARGIN = 10
"""By how many calls another way has to be shorter before calls are spent to know that."""

Wanted = Mapping[PlannedTarget, Collection[UserKey] | None]
"""Targets, and the users whose enrollments are wanted there; None for all."""


@frozen
class Snapshot:
    """The enrollments that were read in a target: those of *users* (by id), or all if None."""

    target: PlannedTarget
    enrollments: CompleteList[Active]
    users: frozenset[int] | None

    def covers(self, users: Iterable[UserKey]) -> bool:
        """Return whether the enrollments of all these users were read."""
        return self.users is None or self.users.issuperset(users)


@define
class Draft:
    """What is collected while a plan is made."""

    client: Client
    terms: Terms
    resolved: dict[Target, PlannedTarget | Fault]
    snapshots: dict[tuple[str, int], Snapshot] = field(factory=dict)
    inactive: dict[datetime | timedelta, dict[int, str | None]] = field(factory=dict)
    skips: list[Skip] = field(factory=list)
    warnings: list[str] = field(factory=list)
    on_step: OnStep | None = None

    def keep(
        self, target: PlannedTarget, read: CompleteList[Active], users: frozenset[int] | None
    ) -> Snapshot:
        """Keep what was read of these users in a target, and warn of enrollments without a user.

        A reading of all users is not replaced.
        """
        self.warnings += (
            f"{target}: an enrollment cannot be read, so it is not archived: {item}"
            for item in read.unreadable
            if item.user_id is None
        )
        if read.items and target.code is None:
            code, title = name_in(read.items[0])
            target = evolve(target, code=code, title=title)
        snapshot = Snapshot(evolve(target, listed=read.listed), read, users)
        earlier = self.snapshots.get(target.key)
        if earlier is None or earlier.users is not None:
            self.snapshots[target.key] = snapshot
        return snapshot

    def counted(self, targets: Iterable[T], step: str, total: int) -> Iterator[T]:
        """Yield what is made of each target, and report after each how many are done."""
        for number, target in enumerate(targets, 1):
            yield target
            if self.on_step is not None:
                self.on_step(step, number, total)


def read_targets(
    draft: Draft, wanted: Wanted
) -> Iterator[tuple[PlannedTarget, Snapshot | NotFoundError]]:
    """Read targets in the fewest calls, and keep each snapshot; in no particular order.

    A target that seems to be empty is read on its own as well: only its own list tells whether it
    exists, and that a long filter was not cut off.

    Raises:
        UnconfirmedContractError: the platform has no such lists.
        ApiError: a call failed.
    """
    return draft.counted(_read_targets(draft, wanted), "read", len(wanted))


def _read_targets(
    draft: Draft, wanted: Wanted
) -> Iterator[tuple[PlannedTarget, Snapshot | NotFoundError]]:
    wanted = _with_ids(draft, wanted)
    ids = {target: _only_ids(users) for target, users in wanted.items()}
    alone = dict(wanted)
    for target, read in read_together(draft.client, ids, statuses=draft.terms.only):
        if read.listed:
            del alone[target]
            yield target, draft.keep(target, read, ids[target])
    for target, users in alone.items():
        snapshot_or_error: Snapshot | NotFoundError
        try:
            snapshot_or_error = draft.keep(target, _read_alone(draft, target, users), ids[target])
        except NotFoundError as error:
            require_endpoint(draft.client, f"{target.kind}_enrollments", error)
            snapshot_or_error = error
        yield target, snapshot_or_error


def _with_ids(draft: Draft, wanted: Wanted) -> Wanted:
    """Put the ids of users in the place of names, where reading by id saves many calls.

    Names can only be looked for in the whole lists of their targets. A few users in each of many
    large courses are looked up once, and then read by id.
    """
    changed = dict(wanted)
    for kind in sorted({target.kind for target in wanted}):
        named = {
            target: frozenset(users)
            for target, users in wanted.items()
            if target.kind == kind and users is not None and _only_ids(users) is None
        }
        if _saves_calls(draft, SharedList(draft.client, kind), named):
            names = {user for users in named.values() for user in users if isinstance(user, str)}
            ids_by_name = resolve_usernames(draft.client, names)
            for target, users in named.items():
                keys = (ids_by_name.get(user) if isinstance(user, str) else user for user in users)
                changed[target] = [user for user in keys if user is not None]
    return changed


def _saves_calls(
    draft: Draft, shared: SharedList, named: Mapping[PlannedTarget, Collection[UserKey]]
) -> bool:
    """Return whether looking up names and reading by id saves calls; makes a few to find out."""
    client, only, size = draft.client, draft.terms.only, draft.client.limits.page_size
    by_id = ceil(sum(len(users) + 1 for users in named.values()) / size)
    if len(named) < max(2 * by_id, _MARGIN):  # not a few users in each of many targets
        return False
    by_id += _MARGIN
    whole = shared.pages_in(named, only)
    if whole <= by_id:
        return False
    names = {user for users in named.values() for user in users if isinstance(user, str)}
    last = next(tolerant_pages(client.session, "list_users", User, {})).last
    looked_up = min(last or len(names), len(names) + 1)
    return whole > by_id + looked_up and shared.obeys_users(named, only)


def _read_alone(
    draft: Draft, target: PlannedTarget, users: Collection[UserKey] | None
) -> CompleteList[Active]:
    lists, only = TargetLists(draft.client, target), draft.terms.only
    if users is None:
        return lists.active(statuses=only)
    resolve = partial(resolve_usernames, draft.client)
    return lists.find_active(users, statuses=only, resolve=resolve)


def _only_ids(users: Collection[UserKey] | None) -> frozenset[int] | None:
    """Return the users' ids; None where one is given by name alone, which needs the whole list."""
    if users is None:
        return None
    ids = frozenset(key[0] if isinstance(key, tuple) else key for key in users)
    return None if any(isinstance(key, str) for key in ids) else cast("frozenset[int]", ids)
