"""Read the platform's lists page by page, and notice where a page is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar

from attrs import define, evolve, field, frozen

from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.structure import StructureError
from lms_archive.wire.progress import ListAnswer, Progress, read_total
from lms_archive.wire.session import Session

__all__ = [
    "IncompleteListError",
    "Page",
    "UnreadableItem",
    "of_target",
    "pages",
    "structured",
    "tolerant_pages",
    "with_partial",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGES = 10_000
"""No list is followed further: two million items at 200 a page."""
_ATTEMPTS = 3
"""How often a page is read that has fewer items than it should have."""


class IncompleteListError(UnexpectedResponseError):
    """A list is not whole: a page is missing, or is shorter than the platform's own totals say."""


@frozen
class UnreadableItem(Generic[T_co]):
    """An item of a list in which a value is not what the contract says.

    Attributes:
        faults: one text for each fault: JSON path, what was expected, page, user.
        fields: the fields of the record that have a fault, as in the contract.
        partial: the record without these values, which are in its `extra` as they came; None
            where it cannot do without one of them.
        user_id: whose item it is; None where that cannot be read.
        username: likewise.
    """

    faults: tuple[str, ...]
    fields: frozenset[str]
    partial: T_co | None
    user_id: int | None
    username: str | None

    def __str__(self) -> str:
        return "; ".join(self.faults)


@frozen
class Page(Generic[T_co]):
    """One page of a list.

    Attributes:
        items: its records.
        total: how many items the whole list has, where the platform says so.
        last: how many pages the whole list has, likewise.
        date: the platform's clock (UTC) when it answered.
        path: the path that was called.
        unreadable: the items of which a value is not what the contract says.
    """

    items: Sequence[T_co]
    total: int | None
    last: int | None
    date: datetime | None
    path: str
    unreadable: Sequence[UnreadableItem[T_co]] = ()


def pages(wire: Session, name: str, cls: type[T], **parameters: Any) -> Iterator[Page[T]]:
    """Yield the pages of a list, each read when it is wanted.

    Args:
        wire: makes the calls.
        name: the operation of the contract.
        cls: the class of the records.
        **parameters: the operation's parameters, by the words of the contract.

    Raises:
        IncompleteListError: a page is missing or too short, however often it is read.
        UnexpectedResponseError: an item is not what the contract says, or the list has no end.
        ApiError: a call failed.
    """
    return _read_pages(wire, name, cls, parameters, unreadable=0)


def tolerant_pages(
    wire: Session, name: str, cls: type[T], parameters: Mapping[str, Any]
) -> Iterator[Page[T]]:
    """Yield the pages of a list as `pages` does, with the items that have faults set apart.

    Raises:
        UnexpectedResponseError: there is no list in the answer, the list has no end, or a page has
            more items with faults than a page has items.
        ApiError: as for `pages`.
    """
    size = wire.settings.limits.page_size
    return _read_pages(wire, name, cls, parameters, unreadable=size)


def _read_pages(
    wire: Session, name: str, cls: type[T], parameters: Mapping[str, Any], *, unreadable: int
) -> Iterator[Page[T]]:
    """Yield the pages of a list, each with so many unreadable items at most.

    Pages start at 1; where the list has a cursor, it is passed on. A list ends where every total
    that the platform gives says so (`total_page_count`, `total_count`); where it gives none, at a
    page without `has_more_data`, or at an empty page after one that has it, because it has been
    seen true on the last page. A page with fewer items than it should have is read again.

    A filter that is an empty list lets nothing through: nothing is read, because without the
    filter everything would come.
    """
    if [] in parameters.values():
        return
    reading = _Reading(wire, name, parameters)
    progress = Progress(wire.settings.limits.page_size)
    for _ in range(MAX_PAGES):
        answer = reading.next_page(progress)
        records, faulty = _records(wire, name, cls, answer, most=unreadable)
        if len(faulty) > unreadable:
            reading.fail(*faulty[0].faults)
        last = progress.last_page(answer)
        yield Page(records, answer.total, last, answer.date, reading.path, faulty)
        missing = progress.add(answer)
        if missing:
            reading.fail(missing, incomplete=True)
        if progress.ended:
            return
        if answer.total is not None and progress.seen > answer.total + progress.size:
            reading.fail(
                f"$: {progress.seen:,} items and more to come, where it counts {answer.total:,}"
            )
    reading.fail(f"$: more than {MAX_PAGES:,} pages: a list without an end")


@define
class _Reading:
    """Calls for the pages of one list, one after the other."""

    wire: Session
    name: str
    parameters: Mapping[str, Any]
    path: str = field(init=False)
    _number: int = 0
    _cursor: Any = None
    _before: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.path = self.wire.operation(self.name).request(**self.parameters).path

    def next_page(self, progress: Progress) -> ListAnswer:
        """Read the next page, and read it again where it has fewer items than it should have."""
        self._number += 1
        answer = self._read()
        for _ in range(_ATTEMPTS - 1):
            if len(answer.items) >= progress.expected(answer):
                break
            answer = self._read()
        if answer.items and answer.items == self._before:
            self.fail(f"$: page {self._number} is page {self._number - 1} again")
        row = self.wire.operation(self.name)
        self._cursor = answer.cursor if "cursor" in row.params else None
        self._before = answer.items
        return answer

    def _read(self) -> ListAnswer:
        row = self.wire.operation(self.name)
        size = self.wire.settings.limits.page_size
        reply = self.wire.call(
            self.name, page=self._number, page_size=size, cursor=self._cursor, **self.parameters
        )
        items = row.find(reply.data, "items")
        if not isinstance(items, list):
            self.fail(f"$.{row.answer.get('items', 'data.items')}: no list")
        count, total = (read_total(row.find(reply.data, word)) for word in ("count", "total"))
        if total is None and count is not None and count > max(size, len(items)):
            total = count  # more than a page can have: of the whole list, then
        page_size = read_total(row.find(reply.data, "size"))
        return ListAnswer(
            number=self._number,
            items=items,
            count=count,
            more=row.find(reply.data, "more"),
            last=read_total(row.find(reply.data, "pages")),
            total=total,
            size=page_size if page_size and page_size <= size else None,
            cursor=row.find(reply.data, "cursor"),
            date=reply.date,
        )

    def fail(self, *faults: str, incomplete: bool = False) -> NoReturn:
        """Raise what is wrong with the list."""
        error = IncompleteListError if incomplete else UnexpectedResponseError
        method = self.wire.operation(self.name).method
        raise error(method, self.path, status=200, faults=faults)


def with_partial(listed: Iterator[Page[T]], needed: frozenset[str]) -> Iterator[Page[T]]:
    """Yield these pages; what is needed decides whether an item can be read.

    The record of an item in which other values have faults is among the items.
    """
    for page in listed:
        items, unreadable = [*page.items], []
        for item in page.unreadable:
            if item.partial is None or item.fields & needed:
                unreadable.append(item)
            else:
                items.append(item.partial)
        yield evolve(page, items=items, unreadable=unreadable)


def of_target(
    listed: Iterator[Page[T]], target_id: int, target: Callable[[T], int]
) -> Iterator[Page[T]]:
    """Yield these pages as long as every item is of that course or learning plan.

    Raises:
        UnexpectedResponseError: an item is not: nothing in such a list can be trusted.
    """
    for page in listed:
        partial = [item.partial for item in page.unreadable if item.partial is not None]
        for other in set(map(target, [*page.items, *partial])) - {target_id}:
            faults = [f"an item of {other} in the list of {target_id}"]
            raise UnexpectedResponseError("GET", page.path, status=200, faults=faults)
        yield page


def structured(
    wire: Session, name: str, cls: type[T], answer: Any, parameters: Mapping[str, Any]
) -> T:
    """Build the record of an answer that holds one.

    Raises:
        UnexpectedResponseError: the item has faults, each named with its JSON path.
    """
    row = wire.operation(name)
    try:
        return wire.structure(cls, row.find(answer, "item"), f"$.{row.answer.get('item', 'item')}")
    except StructureError as error:
        request = row.request(**parameters)
        raise UnexpectedResponseError(
            request.method, request.path, status=200, faults=error.faults
        ) from None


def _records(
    wire: Session, name: str, cls: type[T], answer: ListAnswer, *, most: int
) -> tuple[list[T], list[UnreadableItem[T]]]:
    """Build the records of a page, and say what is wrong with those that cannot be built.

    It ends where more than *most* of them cannot be.
    """
    row = wire.operation(name)
    where = f"$.{row.answer.get('items', 'data.items')}"
    wrapper = row.answer.get("item")
    if wrapper is None:
        try:
            return wire.structure.many(cls, answer.items, where), []
        except StructureError:
            pass  # item by item, so that one does not cost the others
    records: list[T] = []
    unreadable: list[UnreadableItem[T]] = []
    for index, item in enumerate(answer.items):
        path, value = f"{where}[{index}]", item
        if wrapper is not None and isinstance(item, Mapping) and wrapper in item:
            path, value = f"{path}.{wrapper}", item[wrapper]
        try:
            records.append(wire.structure(cls, value, path))
        except StructureError as error:
            unreadable.append(_unreadable(wire, cls, value, error, answer.number))
            if len(unreadable) > most:
                break
    return records, unreadable


def _unreadable(
    wire: Session, cls: type[T], item: Any, error: StructureError, page: int
) -> UnreadableItem[T]:
    user_id = wire.structure.value(cls, item, "user_id")
    username = wire.structure.value(cls, item, "username")
    where = [f"page {page}"] if page > 1 or user_id is not None else []
    if user_id is not None:
        where.append(f"user {user_id}" + (f", {username!r}" if username else ""))
    suffix = f" ({', '.join(where)})" if where else ""
    return UnreadableItem(
        faults=tuple(f"{fault}{suffix}" for fault in error.faults),
        fields=error.fields,
        partial=wire.structure.without_faults(cls, item),
        user_id=user_id,
        username=username,
    )
