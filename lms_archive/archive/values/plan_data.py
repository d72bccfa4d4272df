"""What a plan decides: what is sent, what is not, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from lms_archive.archive.selection import Row
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.outcomes import Skip

__all__ = ["PlanData", "RowLookup"]


class RowLookup(Protocol):
    """Rows by their index in the job, wherever they are kept."""

    def __getitem__(self, index: int, /) -> Row: ...


@frozen(kw_only=True)
class PlanData:
    """The decisions of a plan, without the rows that they are about.

    Attributes:
        platform: the base URL that the plan was read from.
        terms: what is done with each row.
        chunks: what is sent, in this order, each at most `Limits.hand_picked` rows.
        skips: rows that are not sent, and why.
        warnings: what to consider before the plan is applied.
        calls: the calls that `apply` will make, by operation; polls of jobs not counted.
        duration: how long that takes at least.
        read_at: the platform's time (UTC) when the reading began.
    """

    platform: str
    terms: Terms
    chunks: tuple[Chunk, ...] = field(repr=False)
    skips: tuple[Skip, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()
    calls: Mapping[str, int] = field(factory=dict)
    duration: timedelta = timedelta()
    read_at: datetime | None = None
