"""The decisions of a plan: chunks to send, rows to skip, warnings and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from lms_archive.archive.selection import Row
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.outcomes import Skip


class RowLookup(Protocol):
    """Finds the rows of a job."""

    def by_index(self, indexes: Iterable[int], /) -> Mapping[int, Row]:
        """Return the rows with these indexes."""


@frozen(kw_only=True)
class PlanData:
    """The decisions of a plan, without its rows.

    Attributes:
        platform: the base URL of the platform that was read.
        terms: the mode and the rules that apply to every row.
        chunks: the chunks to send, in this order, each of at most `Limits.hand_picked` rows.
        skips: the rows that are not sent, and why.
        warnings: what to consider before applying the plan.
        calls: the calls that `apply` will make, by operation, without the polls of background jobs.
        duration: about how long `apply` takes: half a second a call, the first wait for background
            jobs, and the hourly limit of calls.
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
