"""Read a list of the platform whole, and read it again where it changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from attrs import evolve, frozen

from lms_archive.errors import UnexpectedResponseError
from lms_archive.wire.pages import IncompleteListError, Page, UnreadableItem

T = TypeVar("T")

_READINGS = 3


@frozen
class CompleteList(Generic[T]):
    """A list that was read whole.

    Attributes:
        items: its records, each once.
        unreadable: the items that have a value which is not what the contract says.
        read_at: the platform's time (UTC) when the reading began.
        path: the path that was called.
        listed: how many items the list of the target holds without a filter of users, as far as
            that is known.
    """

    items: Sequence[T]
    unreadable: Sequence[UnreadableItem[T]]
    read_at: datetime
    path: str
    listed: int

    def of_users(self, user: Callable[[T], int], user_ids: Collection[int]) -> CompleteList[T]:
        """Leave out the items of other users."""
        return evolve(
            self,
            items=[item for item in self.items if user(item) in user_ids],
            unreadable=[
                item for item in self.unreadable if item.user_id is None or item.user_id in user_ids
            ],
        )

    def with_partial(
        self, needed: frozenset[str], is_irrelevant: Callable[[T], bool] = lambda _: False
    ) -> Iterator[T]:
        """Yield the records, and those of unreadable items that have what is needed.

        Raises:
            UnexpectedResponseError: a value that is needed cannot be read.
        """
        yield from self.items
        for item in self.unreadable:
            record = item.partial
            if record is None or (item.fields & needed and not is_irrelevant(record)):
                raise UnexpectedResponseError("GET", self.path, status=200, faults=item.faults)
            yield record


def joined(parts: Sequence[CompleteList[T]]) -> CompleteList[T]:
    """Return lists that have no item in common as one, as old as the oldest of them."""
    return CompleteList(
        [item for part in parts for item in part.items],
        [item for part in parts for item in part.unreadable],
        min(part.read_at for part in parts),
        parts[0].path,
        sum(part.listed for part in parts),
    )


@frozen
class Reading(Generic[T]):
    """One reading of a list.

    Attributes:
        items: the records that were read, each once.
        unreadable: the items that have a value which is not what the contract says.
        read_at: the platform's time (UTC) when the reading began.
        path: the path that was called.
        flaw: why this cannot be the whole list; empty where it is.
    """

    items: Sequence[T]
    unreadable: Sequence[UnreadableItem[T]]
    read_at: datetime | None
    path: str
    flaw: str

    def complete(self) -> CompleteList[T]:
        """Return what was read, which is the whole list.

        Raises:
            UnexpectedResponseError: the answers carry no `Date`.
        """
        if self.read_at is None:
            faults = ["no Date header: nothing can be proven without"]
            raise UnexpectedResponseError("GET", self.path, faults=faults)
        listed = len(self.items) + len(self.unreadable)
        return CompleteList(self.items, self.unreadable, self.read_at, self.path, listed)


def read_once(listed: Iterator[Page[T]], identity: Callable[[T], Hashable]) -> Reading[T]:
    """Read these pages to their end, and return whether they are a whole list.

    Pages move while others work on the platform. So a list is whole only where no item came twice,
    and as many came as each page says there are: one item that left from a page already read lets
    another slip past the next page.
    """
    items: dict[Hashable, T] = {}
    unreadable: list[UnreadableItem[T]] = []
    totals: set[int] = set()
    count, read_at, path, flaw = 0, None, "", ""
    try:
        for page in listed:
            read_at, path = read_at or page.date, page.path
            totals |= set() if page.total is None else {page.total}
            count += len(page.items) + len(page.unreadable)
            items.update((identity(item), item) for item in page.items)
            unreadable += page.unreadable
    except IncompleteListError as error:
        path, flaw = error.path, "; ".join(error.faults)
    partial_ids = {identity(item.partial) for item in unreadable if item.partial is not None}
    missing = sum(item.partial is None for item in unreadable)
    distinct = len(items.keys() | partial_ids) + missing
    if not flaw and (count != distinct or not totals <= {count}):
        expected = " or ".join(f"{total:,}" for total in sorted(totals)) or "none"
        flaw = f"{count:,} items, {distinct:,} of them distinct, where the total is {expected}"
    return Reading(list(items.values()), unreadable, read_at, path, flaw)


def read_complete(
    begin: Callable[[], Iterator[Page[T]]], identity: Callable[[T], Hashable]
) -> CompleteList[T]:
    """Read a list whole, and read it again where it changed meanwhile.

    Args:
        begin: begins to read the list.
        identity: what distinguishes an item from every other.

    Raises:
        IncompleteListError: the third reading was not whole either.
        UnexpectedResponseError: the answers carry no `Date`.
    """
    for _ in range(_READINGS):
        reading = read_once(begin(), identity)
        if not reading.flaw:
            return reading.complete()
    raise IncompleteListError(
        "GET",
        reading.path,
        faults=[f"read {_READINGS} times and never whole: {reading.flaw}"],
        advice="the list changed while it was being read; try again later",
    )
