"""What applying a plan will cost: calls, time, and how many enrollments it may archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from math import ceil

from lms_archive.archive.cutting import Chunk
from lms_archive.archive.frozen import EVERY
from lms_archive.archive.select_all import operation_of
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.limits import Limits
from lms_archive.records.status import ArchiveMode
from lms_archive.wire.throttle import HOUR

__all__ = ["affected", "calls_of", "duration_of"]

_SECONDS_A_CALL = 0.5


def affected(chunks: Sequence[Chunk]) -> int:
    """How many enrollments may be archived: rows, and for plans each course of each row."""
    return sum(len(chunk) * (1 + len(chunk.target.courses)) for chunk in chunks)


def calls_of(chunks: Sequence[Chunk], terms: Terms, client: Client) -> dict[str, int]:
    """The calls of `apply`, polls and repetitions aside."""
    if not chunks:
        return {}
    limits = client.limits
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
    if terms.mode is ArchiveMode.UNENROLL:
        late = _sent_late(chunks, calls.total(), client)
        calls.update(f"{chunk.target.kind}_enrollments" for chunk in late)
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
    by_user = ceil(left / size)
    # Who re-enrolls is asked for by user, before and after; who leaves, whichever is less.
    walked = ceil(max(target.listed - rows, 1) / size)
    active = by_user if again else min(by_user, walked)
    calls[f"archive_{target.kind}_enrollments"] += sendings
    calls[f"{target.kind}_enrollments"] += alone + active + (sendings if again else 0)
    calls[f"archived_{target.kind}_enrollments"] += alone + by_user
    # Whether the canary was taken alone.
    calls[f"archived_{target.kind}_enrollments"] += first and rows > 1
    if target.kind == "learning_plan":
        _count_plan(calls, alone + by_user, part, limits)


def _count_plan(calls: Counter[str], readings: int, part: Sequence[Chunk], limits: Limits) -> None:
    """What a learning plan's courses cost, and the looks at whether it was changed."""
    for name in ("archived_course_enrollments", "course_enrollments"):
        calls[name] += readings * len(part[0].target.courses)
    looks = 2 + int(len(part) * limits.first_poll // EVERY)
    calls["get_learning_plan"] += looks
    calls["learning_plan_courses"] += looks


def _count_all(calls: Counter[str], chunk: Chunk, limits: Limits, *, first: bool) -> None:
    """The calls of a target in the select-all form, round after round."""
    kind, size = chunk.target.kind, limits.page_size
    calls[f"archive_{kind}_enrollments"] += first
    readings = active = int(first)
    looks, left = int(first and len(chunk) > 1), len(chunk) - first
    while left > 0:
        calls[operation_of(chunk.target)] += 1
        after = max(left - limits.select_all, 0)
        # Before each round all that is active is read, to see that it is what was planned.
        active += ceil(left / size) + min(ceil(left / size), ceil(max(after, 1) / size))
        # After it, all that is new is read, to see that nobody else was taken.
        just_before = int(readings == 1 and first)  # the canary, maybe in the same second
        looks += ceil((left - after + just_before) / size) if left > 1 else 0
        readings += ceil(left / size)
        left = after
    calls[f"archived_{kind}_enrollments"] += readings + looks
    calls[f"{kind}_enrollments"] += active
    if kind == "learning_plan":
        _count_plan(calls, readings, [chunk], limits)


def _sent_late(chunks: Sequence[Chunk], total: int, client: Client) -> Sequence[Chunk]:
    """The chunks whose pre-images are read again: the hour's limit holds them up for too long."""
    hourly, left = client.wire.settings.calls_per_hour, client.wire.calls_left
    if hourly is None or left is None or total <= left:
        return ()
    in_time = min(left, int(client.limits.freshness * hourly / HOUR))
    late = 0
    for _ in range(3):  # what is read again takes time too
        late = max(len(chunks) - len(chunks) * in_time // (total + late), 0)
    return [one for one in chunks[len(chunks) - late :] if one.form == "hand_picked"]


def duration_of(calls: Mapping[str, int], chunks: int, client: Client) -> timedelta:
    """The time that these calls take at least."""
    total, limits = sum(calls.values()), client.limits
    seconds = total * _SECONDS_A_CALL + ceil(chunks / limits.max_open_jobs) * limits.first_poll
    hourly = client.wire.settings.calls_per_hour
    if hourly is not None and total > hourly:
        seconds = max(seconds, (total // hourly) * 3600.0)
    return timedelta(seconds=round(seconds))
