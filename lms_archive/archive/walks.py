"""Reading a whole list, and knowing that it was whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

from attrs import frozen

from lms_archive.errors import BadAnswer
from lms_archive.wire.pages import Page

__all__ = ["Walk", "walk"]

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
        BadAnswer: the third walk was no better, or the answers carry no `Date`.
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
            raise BadAnswer("GET", path, faults=["no Date header: nothing can be proven without"])
        totals.discard(None)
        if count == len(items) and totals <= {count}:
            return Walk(list(items.values()), date)
        told = " or ".join(map(str, totals)) or "none"
        wrong = f"{count} items, {len(items)} of them distinct, where it counts {told}"
    raise BadAnswer(
        "GET",
        path,
        faults=[f"read {_WALKS} times and never whole: {wrong}"],
        advice="somebody is changing the list: try again when it is quiet",
    )
