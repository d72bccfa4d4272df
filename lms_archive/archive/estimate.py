"""What applying a plan will cost: calls, time, and how many enrollments it may archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from math import ceil

from lms_archive.archive.cutting import Chunk
from lms_archive.archive.select_all import operation_of
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.limits import Limits
from lms_archive.records.status import ArchiveMode

__all__ = ["affected", "calls_of", "duration_of"]

_SECONDS_A_CALL = 0.5


def affected(chunks: Sequence[Chunk]) -> int:
    """How many enrollments may be archived: rows, and for plans each course of each row."""
    return sum(len(chunk) * (1 + len(chunk.target.courses)) for chunk in chunks)


def calls_of(chunks: Sequence[Chunk], terms: Terms, limits: Limits) -> dict[str, int]:
    """The calls of `apply`, polls and repetitions aside."""
    if not chunks:
        return {}
    calls = Counter({"list_jobs": 1})
    kinds = {chunk.target.kind for chunk in chunks}
    kinds |= {"course" for chunk in chunks if chunk.target.courses}
    calls.update(f"archived_{kind}_enrollments" for kind in kinds)  # seen once before the first
    for place, (_, group) in enumerate(groupby(chunks, key=lambda chunk: chunk.target.key)):
        part = list(group)
        if part[0].form == "select_all":
            _count_all(calls, part[0], limits, first=place == 0)
        else:
            _count(calls, part, terms, limits, first=place == 0)
    return {name: number for name, number in calls.items() if number}


def _count(
    calls: Counter[str], part: Sequence[Chunk], terms: Terms, limits: Limits, *, first: bool
) -> None:
    """The calls of one target. The canary and the first chunk are read back on their own."""
    target, size = part[0].target, limits.page_size
    rows = sum(len(chunk) for chunk in part)
    alone = (2 if len(part[0]) > 1 else 1) if first else 0
    left = rows - (len(part[0]) if first else 0)
    sendings = len(part) + max(alone - 1, 0)
    again = terms.mode is ArchiveMode.RE_ENROLL
    # A few are asked for by user; of many, all that is new in the list is read.
    records = alone + ceil((left if left <= size else rows) / size)
    records += first and rows > 1  # and whether the canary was taken alone
    # Who re-enrolls is asked for by user, before and after; who leaves, whichever is less.
    walked = ceil(max(target.listed - rows, 1) / size)
    active = alone + (ceil(left / size) if again else min(ceil(left / size), left and walked))
    calls[f"archive_{target.kind}_enrollments"] += sendings
    calls[f"archived_{target.kind}_enrollments"] += records
    calls[f"{target.kind}_enrollments"] += active + (sendings if again else 0)
    if target.kind == "learning_plan":
        calls["archived_course_enrollments"] += records * len(target.courses)
        calls["course_enrollments"] += (alone + ceil(left / size)) * len(target.courses)
        # Whether the plan was changed is looked at before its first chunk and after its last.
        calls["get_learning_plan"] += 2
        calls["learning_plan_courses"] += 2


def _count_all(calls: Counter[str], chunk: Chunk, limits: Limits, *, first: bool) -> None:
    """The calls of a target in the select-all form, round after round."""
    kind, courses, size = chunk.target.kind, len(chunk.target.courses), limits.page_size
    calls[f"archive_{kind}_enrollments"] += first
    records, active = first + (first and len(chunk) > 1), int(first)
    left = len(chunk) - first
    while left > 0:
        calls[operation_of(chunk.target)] += 1
        after = max(left - limits.select_all, 0)
        # Before each round all that is active is read, to see that it is what was planned.
        active += ceil(left / size) + min(ceil(left / size), ceil(max(after, 1) / size))
        # After it, all that is new is read, to see that nobody else was taken.
        records += 1 if left <= size else ceil((len(chunk) - after) / size)
        records += ceil((len(chunk) - after) / size) if left > 1 else 0
        left = after
    calls[f"archived_{kind}_enrollments"] += records
    calls[f"{kind}_enrollments"] += active
    if kind == "learning_plan":
        calls["archived_course_enrollments"] += records * courses
        calls["course_enrollments"] += active * courses
        calls["get_learning_plan"] += 2
        calls["learning_plan_courses"] += 2


def duration_of(calls: Mapping[str, int], chunks: int, client: Client) -> timedelta:
    """The time that these calls take at least."""
    total, limits = sum(calls.values()), client.limits
    seconds = total * _SECONDS_A_CALL + ceil(chunks / limits.max_open_jobs) * limits.first_poll
    hourly = client.wire.settings.calls_per_hour
    if hourly is not None and total > hourly:
        seconds = max(seconds, (total // hourly) * 3600.0)
    return timedelta(seconds=round(seconds))
