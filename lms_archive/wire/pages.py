"""Lists of the platform, one page in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import frozen

from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.convert import Faults
from lms_archive.wire.calls import Wire

__all__ = ["Page", "of_target", "pages", "structured"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGES = 10_000
"""No list is followed further: two million items at 200 a page."""


@frozen
class Page(Generic[T_co]):
    """One page: its items, what the platform says of the whole, and its clock (UTC)."""

    items: Sequence[T_co]
    total: int | None
    last: int | None
    date: datetime | None
    path: str


def pages(wire: Wire, name: str, cls: type[T], **given: Any) -> Iterator[Page[T]]:
    """The pages of a list, each asked for when it is wanted.

    Pages start at 1; where the list gives a cursor it is passed on (seen). The end is the last
    page by `total_page_count`, else `has_more_data`, which has been seen true on the last page,
    so `total_count` reached, or an empty page, ends a list as well. A filter that is an empty
    list lets nothing through: it is not asked for, since without it everything would come.

    Raises:
        UnexpectedResponseError: an item is not what the contract says, or a page comes twice.
        ApiError: a call failed.
    """
    if [] in given.values():
        return
    row, size = wire.operation(name), wire.settings.limits.page_size
    number, cursor, before = 1, None, None
    path = row.request(**given).path
    seen = 0
    while number <= MAX_PAGES:
        reply = wire.call(name, page=number, page_size=size, cursor=cursor, **given)
        raw = row.find(reply.data, "items")
        if not isinstance(raw, list):
            raise _bad(wire, name, given, [f"$.{row.answer.get('items', 'data.items')}: no list"])
        if raw and raw == before:
            raise _bad(wire, name, given, [f"$: page {number} is page {number - 1} again"])
        items = _items(wire, name, cls, raw, given)
        last, total = _count(row.find(reply.data, "pages")), _count(row.find(reply.data, "total"))
        seen += len(items)
        yield Page(items, total, last, reply.date, path)
        if not raw or _is_last(number, last, seen, total, more=row.find(reply.data, "more")):
            return
        if total is not None and seen > total + size:
            faults = [f"$: {seen:,} items and more to come, where it counts {total:,}"]
            raise _bad(wire, name, given, faults)
        cursor = row.find(reply.data, "cursor") if "cursor" in row.params else None
        number, before = number + 1, raw
    raise _bad(wire, name, given, [f"$: more than {MAX_PAGES:,} pages: a list without an end"])


def _is_last(number: int, last: int | None, seen: int, total: int | None, *, more: object) -> bool:
    if last is not None:
        return number >= last
    return not more or (total is not None and seen >= total)


def of_target(
    found: Iterator[Page[T]], target_id: int, target: Callable[[T], int]
) -> Iterator[Page[T]]:
    """These pages, as long as every item is of that course or learning plan.

    Raises:
        UnexpectedResponseError: one is not: nothing of such a list can be trusted.
    """
    for page in found:
        for other in set(map(target, page.items)) - {target_id}:
            faults = [f"an item of {other} in the list of {target_id}"]
            raise UnexpectedResponseError("GET", page.path, status=200, faults=faults)
        yield page


def structured(
    wire: Wire, name: str, cls: type[T], item: Any, index: int | None, given: Mapping[str, Any]
) -> T:
    """The record of one item; a list's items may be wrapped (2017: jobs are).

    Raises:
        UnexpectedResponseError: the item has faults, each named with its JSON path.
    """
    row = wire.operation(name)
    where = "$"
    if index is not None:
        where = f"$.{row.answer.get('items', 'data.items')}[{index}]"
        wrap = row.answer.get("item")
        if wrap is not None and isinstance(item, Mapping) and wrap in item:
            item, where = item[wrap], f"{where}.{wrap}"
    else:
        where = f"$.{row.answer.get('item', 'item')}"
        item = row.find(item, "item")
    try:
        return wire.structure(cls, item, where)
    except Faults as error:
        raise _bad(wire, name, given, list(error.faults)) from None


def _items(
    wire: Wire, name: str, cls: type[T], raw: Sequence[Any], given: Mapping[str, Any]
) -> list[T]:
    """The records of a page; a page of items that are not wrapped is done in one go."""
    answer = wire.operation(name).answer
    if "item" in answer:
        return [structured(wire, name, cls, one, index, given) for index, one in enumerate(raw)]
    try:
        return wire.structure.many(cls, raw, f"$.{answer.get('items', 'data.items')}")
    except Faults as error:
        raise _bad(wire, name, given, list(error.faults)) from None


_DIGITS = 18


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        return int(value)
    return value if type(value) is int and value >= 0 else None


def _bad(
    wire: Wire, name: str, given: Mapping[str, Any], faults: list[str]
) -> UnexpectedResponseError:
    request = wire.operation(name).request(**given)
    return UnexpectedResponseError(request.method, request.path, status=200, faults=faults)
