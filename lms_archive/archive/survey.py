"""Reading a target before anything is planned in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from math import ceil

from attrs import evolve, frozen

from lms_archive.archive.cutting import PlannedTarget
from lms_archive.archive.matching import Asked, user_id_of
from lms_archive.archive.places import Active, active_pages, archived_pages, name_of
from lms_archive.archive.terms import Terms
from lms_archive.archive.walks import Walk, walk
from lms_archive.client import Client
from lms_archive.wire.pages import Page

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


def survey(
    client: Client, target: PlannedTarget, terms: Terms, rows: Sequence[Asked] | None
) -> Survey:
    """The target's active enrollments: all that are `only`, or those of the users asked for.

    The first page tells how many pages there are; where the users are all known by id and take
    fewer calls, they are asked for instead. `rows` is None where all enrollments are wanted.

    Raises:
        NotFound: there is no such target.
        ApiError: a call failed.
    """
    clock, size = client.wire.clock.monotonic(), client.limits.page_size
    pages = _pages(client, target, terms, None)
    first = next(pages)
    ids = [user_id_of(key) for _, key in rows or () if not isinstance(key, str)]
    if ids and len(ids) == len(rows or ()) and ceil(len(ids) / size) < (first.last or 1) - 1:
        found = _by_ids(client, target, terms, sorted(set(ids)))
    else:
        begun = chain([first], pages)
        found = walk(
            lambda: _pages(client, target, terms, None), lambda one: one.user_id, begun=begun
        )
    if found.items and target.code is None:
        code, title = name_of(found.items[0])
        target = evolve(target, code=code, title=title)
    listed = len(found.items) if first.total is None else first.total
    return Survey(evolve(target, listed=listed), found.items, found.began_at, clock)


def _by_ids(
    client: Client, target: PlannedTarget, terms: Terms, ids: Sequence[int]
) -> Walk[Active]:
    size = client.limits.page_size
    found: list[Active] = []
    dates: list[datetime] = []
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        read = walk(partial(_pages, client, target, terms, part), lambda one: one.user_id)
        dates.append(read.began_at)
        found += (one for one in read.items if one.user_id in set(part))
    return Walk(found, min(dates))


def _pages(
    client: Client, target: PlannedTarget, terms: Terms, user_ids: Collection[int] | None
) -> Iterator[Page[Active]]:
    return active_pages(client, target, status=terms.only, user_ids=user_ids)


def archived_since(
    client: Client, target: PlannedTarget, user_ids: Sequence[int], since: datetime
) -> dict[int, datetime]:
    """When users were last archived in a target, of those archived since then."""
    few = list(user_ids) if len(user_ids) <= client.limits.page_size else None
    found = walk(
        lambda: archived_pages(client, target, user_ids=few, archived_from=since),
        lambda record: record.archiving.record_id,
    )
    last: dict[int, datetime] = {}
    for record in found.items:
        at = record.archiving.archived_at
        if at is not None and at >= since:
            last[record.user.user_id] = max(at, last.get(record.user.user_id, at))
    return last
