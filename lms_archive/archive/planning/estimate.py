"""What applying a plan will cost: calls, time, and how many enrollments it may archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from math import ceil
from types import MappingProxyType
from typing import Final

from lms_archive.archive.planning.select_all import operation_of
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.target.many import SharedList, batches
from lms_archive.archive.values.chunks import Chunk, PlannedTarget
from lms_archive.client import Client
from lms_archive.limits import Limits
from lms_archive.records.status import ArchiveMode
from lms_archive.wire.throttle import HOUR

__all__ = [
    "PLAN_CHECK_INTERVAL",
    "SHARED_LOOKS",
    "affected",
    "duration_of",
    "estimate_calls",
    "warn_about_time",
]

PLAN_CHECK_INTERVAL: Final = 60.0
"""Seconds between two looks at a learning plan while its chunks are sent."""
SHARED_LOOKS: Final = False
"""Whether a run reads the active lists of small targets together: those that have grown too old
before they are sent, and all of them once after the last has been sent."""
_SECONDS_A_CALL = 0.5
_WORTH_A_CALL = 10
"""By how many calls an estimate may be wrong before a call is spent to know better."""
_NOTHING: Final[Mapping[tuple[str, int], int]] = MappingProxyType({})


def affected(chunks: Sequence[Chunk]) -> int:
    """How many enrollments may be archived: rows, and for plans each course of each row."""
    return sum(len(chunk) * (1 + len(chunk.target.courses)) for chunk in chunks)


def estimate_calls(chunks: Sequence[Chunk], terms: Terms, client: Client) -> dict[str, int]:
    """Estimate the calls of `apply`, polls and repetitions excluded.

    Where much depends on whether the platform's filter of users works, one call finds that out.
    """
    calls = _calls_of(chunks, terms, client)
    targets = {chunk.target.key: chunk for chunk in chunks}
    unfiltered: dict[tuple[str, int], int] = {}
    for kind in sorted({kind for kind, _ in targets}):
        of_kind = {key: chunk for key, chunk in targets.items() if key[0] == kind}
        at_most = _calls_of(chunks, terms, client, dict.fromkeys(of_kind, 0))
        if sum(at_most.values()) <= sum(calls.values()) + _WORTH_A_CALL:
            continue
        largest = max(of_kind.values(), key=lambda chunk: chunk.target.listed)
        if TargetLists(client, largest.target).ignores_users(largest.members[0].user_id):
            unfiltered.update(
                (key, TargetLists(client, chunk.target).archived_total(chunk.members[0].user_id))
                for key, chunk in of_kind.items()
            )
    return _calls_of(chunks, terms, client, unfiltered) if unfiltered else calls


def _calls_of(
    chunks: Sequence[Chunk],
    terms: Terms,
    client: Client,
    unfiltered: Mapping[tuple[str, int], int] = _NOTHING,
) -> dict[str, int]:
    """Count the calls.

    *unfiltered* are the targets of which each reading reads the whole lists, because the platform
    ignores the filter of users; each with the number of its archived enrollments.
    """
    if not chunks:
        return {}
    limits = client.limits
    calls = Counter({"list_jobs": 1})
    kinds = {chunk.target.kind for chunk in chunks}
    kinds |= {"course" for chunk in chunks if chunk.target.courses}
    calls.update(f"archived_{kind}_enrollments" for kind in kinds)  # seen once before the first
    later = [chunk for chunk in chunks if chunk.target.key != chunks[0].target.key]
    shared = _count_shared(calls, later, terms, client, unfiltered)
    for place, (key, group) in enumerate(groupby(chunks, key=lambda chunk: chunk.target.key)):
        part = list(group)
        if part[0].form == "select_all":
            _count_all(calls, part[0], limits, first=place == 0)
        else:
            history, looks = unfiltered.get(key), key not in shared
            _count(calls, part, terms, limits, history, first=place == 0, looks=looks)
    if _throttled(calls.total(), client):
        _count_slow(calls, chunks, terms, client, unfiltered)
    return {name: number for name, number in calls.items() if number}


def _count(
    calls: Counter[str],
    part: Sequence[Chunk],
    terms: Terms,
    limits: Limits,
    history: int | None,
    *,
    first: bool,
    looks: bool,
) -> None:
    """Count the calls of one target. The canary and the first chunk are read back on their own.

    *looks* is whether the active list is looked at for this target alone.
    """
    target, size, first_chunk = part[0].target, limits.page_size, len(part[0])
    again = terms.mode is ArchiveMode.RE_ENROLL
    alone = ([1, first_chunk - 1] if first_chunk > 1 else [1]) if first else []
    sent = [*(alone or [first_chunk]), *(len(chunk) for chunk in part[1:])]
    readings, done = [*alone, sum(sent) - sum(alone)], 0

    def pages(users: int, listed: int) -> int:
        """The pages of these users, or of the whole list where a filter is ignored."""
        return ceil(users / size) if history is None else max(ceil(listed / size), 1)

    for number in filter(None, readings):
        done += number
        calls[f"archived_{target.kind}_enrollments"] += pages(number, (history or 0) + done)
        stay = target.listed if again else max(target.listed - done, 1)
        # Who re-enrolls is asked for by user; who leaves, or who is left, whichever is less.
        walked = pages(number, stay) if again else ceil(stay / size)
        calls[f"{target.kind}_enrollments"] += looks and min(pages(number, stay), walked)
    calls[f"archive_{target.kind}_enrollments"] += len(sent)
    if again:
        calls[f"{target.kind}_enrollments"] += sum(pages(number, target.listed) for number in sent)
    if target.kind == "learning_plan":
        _count_plan(calls, sum(ceil(number / size) for number in readings), part, limits)


def _count_shared(
    calls: Counter[str],
    chunks: Sequence[Chunk],
    terms: Terms,
    client: Client,
    unfiltered: Mapping[tuple[str, int], int],
) -> set[tuple[str, int]]:
    """Count the calls that read the active lists of small targets together; return these targets.

    Who has left is not found, so that it takes a call for each batch; who was re-enrolled is.
    """
    shared: set[tuple[str, int]] = set()
    users: dict[PlannedTarget, list[int]] = {}
    for chunk in chunks:
        if chunk.form == "hand_picked" and chunk.target.key not in unfiltered:
            users.setdefault(chunk.target, []).extend(one.user_id for one in chunk.members)
    size, again = client.limits.page_size, terms.mode is ArchiveMode.RE_ENROLL
    for kind in sorted({target.kind for target in users}):
        if not (SHARED_LOOKS and SharedList(client, kind).filters_users):
            continue
        of_kind = {target: ids for target, ids in users.items() if target.kind == kind}
        for batch in batches(of_kind, size):
            found = sum(len(users[target]) for target in batch) if again else 1
            calls[f"all_{kind}_enrollments"] += ceil(found / size)
            shared |= {target.key for target in batch}
    return shared


def _count_plan(calls: Counter[str], readings: int, part: Sequence[Chunk], limits: Limits) -> None:
    """What a learning plan's courses cost, and the looks at whether it was changed."""
    for name in ("archived_course_enrollments", "course_enrollments"):
        calls[name] += readings * len(part[0].target.courses)
    looks = 2 + int(len(part) * limits.first_poll // PLAN_CHECK_INTERVAL)
    calls["get_learning_plan"] += looks
    calls["learning_plan_courses"] += looks


def _count_all(calls: Counter[str], chunk: Chunk, limits: Limits, *, first: bool) -> None:
    """The calls of a target in the select-all form, round after round."""
    kind, size = chunk.target.kind, limits.page_size
    calls[f"archive_{kind}_enrollments"] += first
    records = readings = active = int(first)
    left, new = len(chunk) - first, int(first)
    while left > 1:
        calls[operation_of(chunk.target)] += 1
        after = max(left - limits.select_all, 0)
        # Before each round all that is active is read, to see that it is what was planned.
        active += ceil(left / size) + min(ceil(left / size), ceil(max(after, 1) / size))
        # After it, all that is new is read, to see that nobody else was taken; where more rounds
        # follow, who is left is asked for by user, and all is looked at once more.
        new += left - after
        records += ceil(new / size)
        records += ceil(after / size) + (ceil(new / size) if after else 0)
        readings += ceil(left / size)
        left, new = after, 0
    if left == 1:  # is sent by name
        calls[f"archive_{kind}_enrollments"] += 1
        records, readings, active = records + 1, readings + 1, active + 1
    calls[f"archived_{kind}_enrollments"] += records
    calls[f"{kind}_enrollments"] += active
    if kind == "learning_plan":
        _count_plan(calls, readings, [chunk], limits)


def _throttled(total: int, client: Client) -> bool:
    left = client.session.calls_left
    return left is not None and total > left


def _count_slow(
    calls: Counter[str],
    chunks: Sequence[Chunk],
    terms: Terms,
    client: Client,
    unfiltered: Mapping[tuple[str, int], int],
) -> None:
    """What a job costs more because the hour's limit holds it up.

    Pre-images that have grown too old meanwhile are read again, a learning plan is looked at
    again every minute.
    """
    hourly, left = client.session.settings.calls_per_hour or 0, client.session.calls_left or 0
    total, in_time = calls.total(), min(left, int(client.limits.freshness * hourly / HOUR))
    late = 0
    for _ in range(3):  # what is read again takes time too
        late = max(len(chunks) - len(chunks) * in_time // (total + late), 0)
    if terms.mode is ArchiveMode.UNENROLL:
        aged = [c for c in chunks[len(chunks) - late :] if c.form == "hand_picked"]
        shared = _count_shared(calls, aged, terms, client, unfiltered)
        for chunk in aged:
            pages = ceil(len(chunk) / client.limits.page_size)
            calls[f"{chunk.target.kind}_enrollments"] += chunk.target.key not in shared and pages
    plans = [chunk for chunk in chunks if chunk.target.kind == "learning_plan"]
    looks = int(
        len(plans) * min(3 * HOUR / hourly / PLAN_CHECK_INTERVAL, 1)
    )  # a chunk is three calls or so
    calls["get_learning_plan"] += looks
    calls["learning_plan_courses"] += looks


def duration_of(calls: Mapping[str, int], jobs: int, client: Client) -> timedelta:
    """Return how long these calls and background jobs take at least."""
    total, limits = sum(calls.values()), client.limits
    seconds = total * _SECONDS_A_CALL + ceil(jobs / limits.max_open_jobs) * limits.first_poll
    hourly = client.session.settings.calls_per_hour
    if hourly is not None and _throttled(total, client):
        seconds = max(seconds, total * HOUR / hourly)
    return timedelta(seconds=round(seconds))


def warn_about_time(calls: Mapping[str, int], client: Client) -> Iterator[str]:
    """Yield what takes the time, where that is the limit of calls an hour."""
    total, hourly = sum(calls.values()), client.session.settings.calls_per_hour
    if hourly is not None and _throttled(total, client):
        yield (
            f"it takes {total / hourly:.1f} hours to make {total:,} calls at {hourly:,} an hour, "
            "polls of background jobs not counted; calls_per_hour= changes that"
        )
