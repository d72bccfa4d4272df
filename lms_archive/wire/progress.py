"""Decide from the pages of a list whether the list is complete. Pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import define, frozen

from lms_archive.errors import plural

__all__ = ["ListAnswer", "Progress", "read_total"]

_DIGITS = 18
"""The most digits of a total; a longer number is not a total."""


@frozen
class ListAnswer:
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
class Progress:
    """How far a list has been read, and whether it can be complete."""

    size: int  # items that each call asks for
    items_read: int = 0
    ended: bool = False
    _longest: int = 0
    _shortest: tuple[int, int] | None = None

    def last_page(self, answer: ListAnswer) -> int | None:
        """Return the number of pages: the platform's own, or by its total; None if unknown."""
        if answer.last is None and answer.total is not None:
            size = answer.size or max(self._longest, len(answer.items)) or self.size
            return -(-answer.total // size)
        return answer.last

    def expected(self, answer: ListAnswer) -> int:
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

    def add(self, answer: ListAnswer) -> str:
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

    def _missing(self, answer: ListAnswer, shortest: tuple[int, int] | None, expected: int) -> str:
        """Return which page is missing from a list that has no total, or an empty text."""
        length, number = len(answer.items), answer.number
        full = max(self._longest, answer.size or 0)
        if length and shortest is not None and shortest[0] < full:
            return f"$: page {shortest[1]} has only {shortest[0]} of {full} items, but more follow"
        if length or not expected:
            return "" if length >= expected else f"$: page {number} has only {length} of {expected}"
        if answer.last is not None or answer.count or (shortest is not None and not shortest[0]):
            return f"$: page {number} is empty, but more should follow"
        return ""  # the last page may claim more data (seen): the next page decides

    def _has_ended(self, answer: ListAnswer) -> bool:
        if answer.last is None and answer.total is None:
            if answer.has_more is None:
                return len(answer.items) != self.size  # after a full page, more may follow
            return not answer.has_more
        is_whole = answer.total is None or self.items_read >= answer.total
        if answer.number < (self.last_page(answer) or 0):
            return is_whole and answer.last is None
        return is_whole or not (answer.has_more and answer.items)


def read_total(value: Any) -> int | None:
    """Return a total that is a whole number or its digits; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        return int(value)
    return value if type(value) is int and 0 <= value < 10**_DIGITS else None
