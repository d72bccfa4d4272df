"""Read the platform's lists page by page, and detect missing pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar

from attrs import evolve, frozen

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
    "tolerant_pages",
    "with_partial",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGES = 10_000
"""The most pages that are read of a list: two million items at 200 a page."""
_ATTEMPTS = 3
"""How often to read a page that has fewer items than it should have."""


class IncompleteListError(UnexpectedResponseError):
    """A list is incomplete: a page is missing, or is shorter than the platform's totals say."""


@frozen
class UnreadableItem(Generic[T_co]):
    """An item of a list that has a value which does not match the contract.

    `partial` is the record without such values, which its `extra` holds unchanged; None where one
    of them is required.
    """

    faults: tuple[str, ...]  # of each fault: JSON path, expected value, page, user
    fields: frozenset[str]  # that have a fault, as in the contract
    partial: T_co | None
    user_id: int | None
    username: str | None

    def __str__(self) -> str:
        return "; ".join(self.faults)


@frozen
class Page(Generic[T_co]):
    """One page of a list.

    Attributes:
        items: the records of the page.
        total: how many items the whole list has; None where the platform does not say.
        last: how many pages the whole list has; None where the platform does not say.
        date: the platform's time (UTC) when it answered.
        path: the path that was called.
        unreadable: the items with a value that does not match the contract.
    """

    items: Sequence[T_co]
    total: int | None
    last: int | None
    date: datetime | None
    path: str
    unreadable: Sequence[UnreadableItem[T_co]] = ()


def pages(session: Session, name: str, cls: type[T], **parameters: Any) -> Iterator[Page[T]]:
    """Yield the pages of a list as `tolerant_pages` does, but raise an error for a faulty item."""
    for page in tolerant_pages(session, name, cls, parameters):
        if page.unreadable:
            faults = page.unreadable[0].faults
            raise UnexpectedResponseError("GET", page.path, status=200, faults=faults)
        yield page


def tolerant_pages(
    session: Session, name: str, cls: type[T], parameters: Mapping[str, Any]
) -> Iterator[Page[T]]:
    """Yield the pages of a list, each read when it is asked for; see `Page.unreadable`.

    Pages start at 1; where the list has a cursor, it is passed on. A list ends where every total
    of the platform (`total_page_count`, `total_count`) is reached. Without totals it ends at a
    page without `has_more_data`, or at an empty page after a page with it, because the last page
    may claim more data. A page with fewer items than it should have is read again.

    For a filter that is an empty list nothing is read: an empty filter would not be sent, and
    everything would be listed.

    Raises:
        IncompleteListError: a page is missing or too short, however often it is read.
        UnexpectedResponseError: the answer holds no list, or the list never ends.
        ApiError: a call failed.
    """
    if [] in parameters.values():
        return
    reading = _Reading(session, name, parameters)
    progress = Progress(session.settings.limits.page_size)
    for _ in range(MAX_PAGES):
        answer = reading.next_page(progress)
        records, faulty = _records(session, name, cls, answer)
        last = progress.last_page(answer)
        yield Page(records, answer.total, last, answer.date, reading.path, faulty)
        missing = progress.add(answer)
        if missing:
            reading.fail(missing, incomplete=True)
        if progress.ended:
            return
        if answer.total is not None and progress.items_read > answer.total + progress.size:
            reading.fail(
                f"$: {progress.items_read:,} items so far, but total_count is {answer.total:,}"
            )
    reading.fail(f"$: more than {MAX_PAGES:,} pages: the list does not end")


class _Reading:
    """A list that is being read, page after page."""

    def __init__(self, session: Session, name: str, parameters: Mapping[str, Any]) -> None:
        self._session, self._name, self._parameters = session, name, parameters
        self._row = session.operation(name)
        self.path = self._row.request(**parameters).path
        self._number, self._cursor = 0, None
        self._before: list[Any] = []

    def next_page(self, progress: Progress) -> ListAnswer:
        """Read the next page; read it again where it has fewer items than it should have."""
        self._number += 1
        answer = self._read()
        for _ in range(_ATTEMPTS - 1):
            if len(answer.items) >= progress.expected(answer):
                break
            answer = self._read()
        if answer.items and answer.items == self._before:
            self.fail(f"$: page {self._number} repeats page {self._number - 1}")
        self._cursor = answer.cursor if "cursor" in self._row.params else None
        self._before = answer.items
        return answer

    def _read(self) -> ListAnswer:
        row, size = self._row, self._session.settings.limits.page_size
        own = {"page": self._number, "page_size": size, "cursor": self._cursor}
        reply = self._session.call(self._name, **own, **self._parameters)
        items = row.find(reply.data, "items")
        if not isinstance(items, list):
            self.fail(f"$.{row.answer.get('items', 'data.items')}: not a list")
        count, total = (read_total(row.find(reply.data, word)) for word in ("count", "total"))
        if total is None and count is not None and count > max(size, len(items)):
            total = count  # more than fit on a page: it counts the whole list
        page_size = read_total(row.find(reply.data, "size"))
        return ListAnswer(
            number=self._number,
            items=items,
            count=count,
            has_more=row.find(reply.data, "more"),
            last=read_total(row.find(reply.data, "pages")),
            total=total,
            size=page_size if page_size and page_size <= size else None,
            cursor=row.find(reply.data, "cursor"),
            date=reply.date,
        )

    def fail(self, fault: str, *, incomplete: bool = False) -> NoReturn:
        """Raise an error with a fault of the list."""
        error = IncompleteListError if incomplete else UnexpectedResponseError
        raise error("GET", self.path, status=200, faults=[fault])


def with_partial(listed: Iterator[Page[T]], needed: frozenset[str]) -> Iterator[Page[T]]:
    """Yield these pages; a faulty item whose *needed* fields are right is a partial record."""
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
    """Yield these pages; an item of another target is an error: such a list is not trusted."""
    for page in listed:
        partial = [item.partial for item in page.unreadable if item.partial is not None]
        for other in set(map(target, [*page.items, *partial])) - {target_id}:
            faults = [f"the list of {target_id} has an item of {other}"]
            raise UnexpectedResponseError("GET", page.path, status=200, faults=faults)
        yield page


def _records(
    session: Session, name: str, cls: type[T], answer: ListAnswer
) -> tuple[list[T], list[UnreadableItem[T]]]:
    """Build the records of a page, and return the items that have faults beside them."""
    row = session.operation(name)
    where = f"$.{row.answer.get('items', 'data.items')}"
    wrapper = row.answer.get("item")
    if wrapper is None:
        try:
            return session.structure.many(cls, answer.items, where), []
        except StructureError:
            pass  # build them one by one, so that a faulty item does not lose the others
    records: list[T] = []
    unreadable: list[UnreadableItem[T]] = []
    for index, item in enumerate(answer.items):
        path, value = f"{where}[{index}]", item
        if wrapper is not None and isinstance(item, Mapping) and wrapper in item:
            path, value = f"{path}.{wrapper}", item[wrapper]
        try:
            records.append(session.structure(cls, value, path))
        except StructureError as error:
            unreadable.append(_unreadable(session, cls, value, error, answer.number))
    return records, unreadable


def _unreadable(
    session: Session, cls: type[T], item: Any, error: StructureError, page: int
) -> UnreadableItem[T]:
    user_id = session.structure.value(cls, item, "user_id")
    username = session.structure.value(cls, item, "username")
    where = [f"page {page}"] if page > 1 or user_id is not None else []
    if user_id is not None:
        where.append(f"user {user_id}" + (f", {username!r}" if username else ""))
    suffix = f" ({', '.join(where)})" if where else ""
    return UnreadableItem(
        faults=tuple(f"{fault}{suffix}" for fault in error.faults),
        fields=error.fields,
        partial=session.structure.without_faults(cls, item),
        user_id=user_id,
        username=username,
    )
