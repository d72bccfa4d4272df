"""Read the platform's lists page by page, and detect missing pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar

from attrs import define, evolve, frozen

from lms_archive.errors import UnexpectedResponseError, plural
from lms_archive.records.structure import StructureError
from lms_archive.wire.session import Session

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGES = 10_000
"""The most pages that are read of a list: two million items at 200 a page."""
_ATTEMPTS = 3
"""How often to read a page that has fewer items than it should have."""
_DIGITS = 18
"""The most digits of a total; a longer number is not a total."""


class IncompleteListError(UnexpectedResponseError):
    """A list is incomplete: a page is missing, or is shorter than the platform's totals say."""


@frozen
class UnreadableItem(Generic[T_co]):
    """An item of a list that has a value which does not match the contract.

    Attributes:
        faults: a text for each such value, with JSON path, expected value, page and user.
        fields: the fields with a fault, as in the contract.
        partial: the record without such values, which its `extra` holds unchanged; None where one
            of them is required.
        user_id: the user, where that can be read.
        username: the user's name, where that can be read.
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
    if any(isinstance(value, list) and not value for value in parameters.values()):
        return
    reading = _Reading(session, name, cls, parameters)
    progress = _Progress(session.settings.limits.page_size)
    for _ in range(MAX_PAGES):
        answer = reading.next_page(progress)
        records, faulty = reading.records(answer)
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


class _Reading(Generic[T]):
    """A list that is being read, page after page."""

    def __init__(
        self, session: Session, name: str, cls: type[T], parameters: Mapping[str, Any]
    ) -> None:
        self._session, self._name, self._cls, self._parameters = session, name, cls, parameters
        self._row = session.operation(name)
        self._where = f"$.{self._row.answer.get('items', 'data.items')}"
        self.path = self._row.request(**parameters).path
        self._number, self._cursor = 0, None
        self._before: list[Any] = []
        self._numbers: dict[tuple[Any, ...], int] = {}  # of pages, by length, first and last item
        words = session.settings.contract.records.get(cls.__name__, {})
        self._id_keys = [
            [key] if isinstance(key, str) else [*key]
            for word, key in words.items()
            if word.endswith("_id")
        ]

    def next_page(self, progress: _Progress) -> _ListAnswer:
        """Read the next page; read it again where it has fewer items than it should have."""
        self._number += 1
        answer = self._read()
        for _ in range(_ATTEMPTS - 1):
            if len(answer.items) >= progress.expected(answer):
                break
            answer = self._read()
        if answer.items and answer.items == self._before:
            self.fail(f"$: page {self._number} repeats page {self._number - 1}")
        ends = tuple(map(self._identity, (*answer.items[:1], *answer.items[-1:])))
        earlier = self._numbers.setdefault((len(answer.items), *ends), self._number)
        if answer.items and earlier != self._number:
            # Items can also move to another page because the list has changed: it may be read again
            self.fail(f"$: page {self._number} repeats page {earlier}", incomplete=True)
        self._cursor = answer.cursor if "cursor" in self._row.params else None
        self._before = answer.items
        return answer

    def _identity(self, item: Any) -> str:
        """Return the ids of an item, or all of it where it has not all of them."""
        value = self._unwrapped(item)
        if isinstance(value, Mapping) and self._id_keys:
            ids = [
                next((value[key] for key in keys if value.get(key) is not None), None)
                for keys in self._id_keys
            ]
            if None not in ids:
                return repr(ids)
        return repr(item)

    def _unwrapped(self, item: Any) -> Any:
        wrapper = self._row.answer.get("item")
        if wrapper is not None and isinstance(item, Mapping) and wrapper in item:
            return item[wrapper]
        return item

    def _read(self) -> _ListAnswer:
        row, size = self._row, self._session.settings.limits.page_size
        own = {"page": self._number, "page_size": size, "cursor": self._cursor}
        reply = self._session.call(self._name, **own, **self._parameters)
        items = row.find(reply.data, "items")
        if not isinstance(items, list):
            self.fail(f"{self._where}: not a list")
        count, total = (_read_total(row.find(reply.data, word)) for word in ("count", "total"))
        if total is None and count is not None and count > max(size, len(items)):
            total = count  # more than fit on a page: it counts the whole list
        page_size = _read_total(row.find(reply.data, "size"))
        return _ListAnswer(
            number=self._number,
            items=items,
            count=count,
            has_more=row.find(reply.data, "more"),
            last=_read_total(row.find(reply.data, "pages")),
            total=total,
            size=page_size if page_size and page_size <= size else None,
            cursor=row.find(reply.data, "cursor"),
            date=reply.date,
        )

    def records(self, answer: _ListAnswer) -> tuple[list[T], list[UnreadableItem[T]]]:
        """Build the records of a page, and return the items that have faults beside them."""
        wrapper = self._row.answer.get("item")
        if wrapper is None:
            try:
                return self._session.structure.many(self._cls, answer.items, self._where), []
            except StructureError:
                pass  # build them one by one, so that a faulty item does not lose the others
        records: list[T] = []
        unreadable: list[UnreadableItem[T]] = []
        for index, item in enumerate(answer.items):
            path, value = f"{self._where}[{index}]", item
            if wrapper is not None and isinstance(item, Mapping) and wrapper in item:
                path, value = f"{path}.{wrapper}", item[wrapper]
            try:
                records.append(self._session.structure(self._cls, value, path))
            except StructureError as error:
                unreadable.append(self._unreadable(value, error))
        return records, unreadable

    def _unreadable(self, item: Any, error: StructureError) -> UnreadableItem[T]:
        structure, page = self._session.structure, self._number
        user_id = structure.value(self._cls, item, "user_id")
        username = structure.value(self._cls, item, "username")
        where = [f"page {page}"] if page > 1 or user_id is not None else []
        if user_id is not None:
            where.append(f"user {user_id}" + (f", {username!r}" if username else ""))
        suffix = f" ({', '.join(where)})" if where else ""
        return UnreadableItem(
            faults=tuple(f"{fault}{suffix}" for fault in error.faults),
            fields=error.fields,
            partial=structure.without_faults(self._cls, item),
            user_id=user_id,
            username=username,
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


@frozen
class _ListAnswer:
    """A page as the platform answered it. The numbers are the platform's, and may be wrong."""

    number: int  # of the page, from 1
    items: list[Any]
    count: int | None  # items on the page
    has_more: object
    last: int | None  # pages of the list
    total: int | None  # items of the list
    size: int | None  # the most items on a page
    cursor: Any  # to be sent with the next page
    date: datetime | None  # UTC


@define
class _Progress:
    """How far a list has been read, and whether it can be complete."""

    size: int  # items that each call asks for
    items_read: int = 0
    ended: bool = False
    _longest: int = 0
    _shortest: tuple[int, int] | None = None

    def last_page(self, answer: _ListAnswer) -> int | None:
        """Return the number of pages: the platform's own, or by its total; None if unknown."""
        if answer.last is None and answer.total is not None:
            size = answer.size or max(self._longest, len(answer.items)) or self.size
            return -(-answer.total // size)
        return answer.last

    def expected(self, answer: _ListAnswer) -> int:
        """Return the fewest items that the page should have, as far as that is known."""
        is_last = answer.last is not None and answer.number >= answer.last
        full = max(answer.size or 0, self._longest, 1)
        if answer.total is not None:
            left = max(answer.total - self.items_read, 0)
            number = min(left, self.size if is_last else full)
        elif answer.last is not None:
            number = 0 if is_last else full
        else:
            number = 1 if answer.has_more else 0
        if answer.count is not None and answer.count <= self.size and answer.count != answer.total:
            number = max(number, answer.count)
        return number

    def add(self, answer: _ListAnswer) -> str:
        """Add a page, and return which page is missing, or an empty text."""
        length, shortest, expected = len(answer.items), self._shortest, self.expected(answer)
        self.items_read += length
        self._longest = max(self._longest, length)
        if shortest is None or length < shortest[0]:
            self._shortest = (length, answer.number)
        self.ended = self._has_ended(answer)
        if answer.total is None:
            return self._missing(answer, shortest, expected)
        if self.ended and self.items_read < answer.total:
            short = shortest if shortest and shortest[0] < self._longest else None
            length, number = short or (length, answer.number)
            text = f"{self.items_read:,} of {answer.total:,} items on "
            text += plural(answer.number, "page")
            return f"$: {text}: page {number} has only {length}"
        return ""

    def _missing(self, answer: _ListAnswer, shortest: tuple[int, int] | None, expected: int) -> str:
        """Return which page is missing from a list that has no total, or an empty text."""
        length, number = len(answer.items), answer.number
        full = max(self._longest, answer.size or 0)
        if length and shortest is not None and shortest[0] < full:
            return f"$: page {shortest[1]} has only {shortest[0]} of {full} items, but more follow"
        if length or not expected:
            return "" if length >= expected else f"$: page {number} has only {length} of {expected}"
        if answer.last is not None or answer.count or (shortest is not None and not shortest[0]):
            return f"$: page {number} is empty, but more should follow"
        return ""  # the last page may claim more data: the next page decides

    def _has_ended(self, answer: _ListAnswer) -> bool:
        if answer.last is None and answer.total is None:
            if answer.has_more is None:
                return len(answer.items) != self.size  # after a full page, more may follow
            return not answer.has_more
        is_whole = answer.total is None or self.items_read >= answer.total
        if answer.number < (self.last_page(answer) or 0):
            return is_whole and answer.last is None
        return is_whole or not (answer.has_more and answer.items)


def _read_total(value: Any) -> int | None:
    """Return a total that is a whole number or its digits; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        return int(value)
    return value if type(value) is int and 0 <= value < 10**_DIGITS else None
