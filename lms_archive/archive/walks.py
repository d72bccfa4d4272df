"""Reading a whole list, and knowing that it was whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from math import ceil
from typing import Generic, TypeVar

from attrs import frozen

from lms_archive.errors import UnexpectedResponseError
from lms_archive.wire.pages import Page

__all__ = ["Walk", "ask", "ask_or_walk", "walk"]

T = TypeVar("T")

_WALKS = 3


@frozen
class Walk(Generic[T]):
    """A list read whole: its items, and the platform's time (UTC) when the reading began."""

    items: list[T]
    began_at: datetime


def walk(
    begin: Callable[[], Iterator[Page[T]]],
    identity: Callable[[T], Hashable],
    *,
    begun: Iterator[Page[T]] | None = None,
) -> Walk[T]:
    """Read a list whole.

    Pages move while others work on the platform. Where an item came twice, or fewer or more
    distinct items came than the platform counts, on any page, the walk starts again: one item
    that left from a page already read lets another slip past the page at hand.

    Args:
        begin: begins the list anew.
        identity: what tells an item from every other.
        begun: a walk that has been begun already, for the first time through.

    Raises:
        UnexpectedResponseError: the third walk was no better, or the answers carry no `Date`.
    """
    path, wrong = "", ""
    for _ in range(_WALKS):
        items: dict[Hashable, T] = {}
        count, date = 0, None
        totals: set[int | None] = set()
        for page in begun or begin():
            date, path = date or page.date, page.path
            totals.add(page.total)
            count += len(page.items)
            items.update((identity(item), item) for item in page.items)
        begun = None
        if date is None:
            raise UnexpectedResponseError(
                "GET", path, faults=["no Date header: nothing can be proven without"]
            )
        totals.discard(None)
        if count == len(items) and totals <= {count}:
            return Walk(list(items.values()), date)
        told = " or ".join(map(str, totals)) or "none"
        wrong = f"{count} items, {len(items)} of them distinct, where it counts {told}"
    raise UnexpectedResponseError(
        "GET",
        path,
        faults=[f"read {_WALKS} times and never whole: {wrong}"],
        advice="somebody is changing the list: try again when it is quiet",
    )


def ask(
    begin: Callable[[Sequence[int]], Iterator[Page[T]]],
    identity: Callable[[T], Hashable],
    user: Callable[[T], int],
    user_ids: Sequence[int],
    size: int,
) -> Iterator[Walk[T]]:
    """What a list holds of these users, so many of them a call.

    What comes of others is dropped: a filter may be ignored. `size` is that of a page, so that an
    answer is one page, and no address is longer than 200 ids make it.
    """
    for start in range(0, len(user_ids), size):
        some = user_ids[start : start + size]
        wanted, read = set(some), walk(partial(begin, some), identity)
        yield Walk([one for one in read.items if user(one) in wanted], read.began_at)


def ask_or_walk(
    begin: Callable[[Sequence[int] | None], Iterator[Page[T]]],
    identity: Callable[[T], Hashable],
    user: Callable[[T], int],
    user_ids: Sequence[int] | None,
    size: int,
    *,
    sure: bool = True,
) -> tuple[Walk[T], int | None]:
    """The same, or the whole list, whichever is fewer calls; and how many the whole list holds.

    The first page of the whole list tells how many pages it has. It is not read where one call
    asks for all of these users, unless it is not `sure` that these are all who are wanted.
    """
    calls = ceil(len(user_ids or ()) / size)
    total = None
    if calls != 1 or not sure:
        pages = begin(None)
        first = next(pages)
        total = first.total
        if not calls or calls >= (first.last or 1) - 1:
            whole = walk(partial(begin, None), identity, begun=chain([first], pages))
            return whole, len(whole.items) if total is None else total
    parts = list(ask(begin, identity, user, user_ids or (), size))
    found = [one for part in parts for one in part.items]
    return Walk(found, min(part.began_at for part in parts)), total
