"""Reading a target before anything is planned in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve, frozen

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.archive.matching import Asked, user_id_of
from lms_archive.archive.places import Active, active_pages, archived_pages, name_of
from lms_archive.archive.terms import Terms
from lms_archive.archive.walks import ask_or_walk
from lms_archive.client import Client

__all__ = ["Survey", "archived_since", "survey"]


@frozen
class Survey:
    """The enrollments that were read in a target, and when.

    Attributes:
        target: the target, its names filled in.
        items: the enrollments, one for a user.
        began_at: the platform's time (UTC) when the reading began.
        clock: the client's clock then.
    """

    target: PlannedTarget
    items: Sequence[Active]
    began_at: datetime
    clock: float


def survey(client: Client, target: PlannedTarget, terms: Terms, rows: Asked | None) -> Survey:
    """The target's active enrollments: all that are `only`, or those of the users asked for.

    Users who are all known by id are asked for where that is fewer calls than the whole list.
    `rows` is None where all enrollments are wanted.

    Raises:
        NotFoundError: there is no such target.
        ApiError: a call failed.
    """
    clock, size = client.wire.clock.monotonic(), client.limits.page_size
    users = () if rows is None else rows.users
    ids = sorted({user_id_of(key) for key in users if not isinstance(key, str)})
    kinds = set(map(type, users))
    found, listed = ask_or_walk(
        lambda some: active_pages(client, target, status=terms.only, user_ids=some),
        lambda one: one.user_id,
        lambda one: one.user_id,
        None if str in kinds else ids,
        size,
        sure=kinds == {int},  # an id with a name may be another's, who is in the list
    )
    if found.items and target.code is None:
        code, title = name_of(found.items[0])
        target = evolve(target, code=code, title=title)
    listed = len(found.items) if listed is None else listed
    return Survey(evolve(target, listed=listed), found.items, found.began_at, clock)


def archived_since(
    client: Client, target: PlannedTarget, user_ids: Sequence[int], since: datetime
) -> dict[int, datetime]:
    """When users were last archived in a target, of those archived since then."""
    found, _ = ask_or_walk(
        lambda some: archived_pages(client, target, user_ids=some, archived_from=since),
        lambda record: record.archiving.record_id,
        lambda record: record.user.user_id,
        user_ids,
        client.limits.page_size,
    )
    last: dict[int, datetime] = {}
    for record in found.items:
        at = record.archiving.archived_at
        if at is not None and at >= since:
            last[record.user.user_id] = max(at, last.get(record.user.user_id, at))
    return last
