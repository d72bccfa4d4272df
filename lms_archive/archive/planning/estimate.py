"""What applying a plan will cost: calls, time, and how many enrollments it may archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from math import ceil

from attrs import evolve, frozen

from lms_archive.archive.planning.forms import FORMS, PLAN_CHECK_INTERVAL
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.target.many import split_into_batches
from lms_archive.archive.target.shared_list import SharedList
from lms_archive.archive.values.chunks import Chunk, PlannedTarget
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode
from lms_archive.wire.throttle import HOUR

_SECONDS_A_CALL = 0.5
_WORTH_A_CALL = 10
"""By how many calls an estimate may be wrong before a call is spent to know better."""


def affected(chunks: Sequence[Chunk]) -> int:
    """Return how many enrollments may be archived: rows, and for plans each course of each row."""
    return sum(len(chunk) * (1 + len(chunk.target.courses)) for chunk in chunks)


def estimate_calls(chunks: Sequence[Chunk], terms: Terms, client: Client) -> dict[str, int]:
    """Estimate the calls of `apply`, polls and repetitions excluded.

    Where much depends on whether the platform's filter of users works, one call finds that out.
    """
    estimate = _Estimate(chunks, terms, client, {})
    calls = estimate.count()
    targets = {chunk.target.key: chunk for chunk in chunks}
    unfiltered: dict[tuple[str, int], int] = {}
    for kind in sorted({kind for kind, _ in targets}):
        of_kind = {key: chunk for key, chunk in targets.items() if key[0] == kind}
        at_most = evolve(estimate, unfiltered=dict.fromkeys(of_kind, 0)).count()
        if sum(at_most.values()) <= sum(calls.values()) + _WORTH_A_CALL:
            continue
        largest = max(of_kind.values(), key=lambda chunk: chunk.target.listed)
        if TargetLists(client, largest.target).ignores_users(largest.members[0].user_id):
            unfiltered.update(
                (key, TargetLists(client, chunk.target).archived_total(chunk.members[0].user_id))
                for key, chunk in of_kind.items()
            )
    return evolve(estimate, unfiltered=unfiltered).count() if unfiltered else calls


@frozen
class _Estimate:
    """Counts the calls of `apply`.

    `unfiltered` are the targets of which each reading reads the whole lists, because the platform
    ignores the filter of users; each with the number of its archived enrollments.
    """

    chunks: Sequence[Chunk]
    terms: Terms
    client: Client
    unfiltered: Mapping[tuple[str, int], int]

    def count(self) -> dict[str, int]:
        """Count the calls, by operation."""
        chunks = self.chunks
        if not chunks:
            return {}
        calls = Counter({"list_jobs": 1})
        kinds = {chunk.target.kind for chunk in chunks}
        kinds |= {"course" for chunk in chunks if chunk.target.courses}
        calls.update(f"archived_{kind}_enrollments" for kind in kinds)  # read before the first
        keys = list(dict.fromkeys(chunk.target.key for chunk in chunks))
        has_one_row = len(chunks[0]) == 1  # then another target's first chunk is sent alone too
        proven = keys[: 1 + has_one_row]
        later = [chunk for chunk in chunks if chunk.target.key not in proven]
        are_listed = self.terms.mode is ArchiveMode.RE_ENROLL  # who has left is not
        shared = self._count_shared(calls, later, are_listed=are_listed)
        groups = groupby(chunks, key=lambda chunk: chunk.target.key)
        for position, (key, group) in enumerate(groups):
            part = list(group)
            if part[0].form == "select_all":
                calls.update(self._count_select_all(part[0], has_canary=position == 0))
                continue
            size, alone = len(part[0]), list[int]()
            if position == 0:  # the canary and the first chunk are read back on their own
                alone = [1, size - 1] if size > 1 else [1]
            elif position == 1 and has_one_row:
                alone = [size]
            calls.update(self._count_hand_picked(part, alone, is_shared=key in shared))
        if _throttled(calls.total(), self.client):
            self._count_slow(calls)
        return {name: number for name, number in calls.items() if number}

    def _count_hand_picked(
        self, part: Sequence[Chunk], alone: Sequence[int], *, is_shared: bool
    ) -> Counter[str]:
        """Count the calls of one target whose users are named.

        Args:
            part: its chunks.
            alone: the sizes of the calls at its start that are read back one by one.
            is_shared: whether its active list is read together with those of others.
        """
        calls: Counter[str] = Counter()
        target, size = part[0].target, self.client.limits.page_size
        history = self.unfiltered.get(target.key)
        again = self.terms.mode is ArchiveMode.RE_ENROLL
        sent = [*(alone or [len(part[0])]), *(len(chunk) for chunk in part[1:])]
        readings, done = [*alone, sum(sent) - sum(alone)], 0

        def pages(users: int, listed: int) -> int:
            """Count the pages of these users, or of the whole list where the filter is ignored."""
            return ceil(users / size) if history is None else max(ceil(listed / size), 1)

        for number in filter(None, readings):
            done += number
            calls[f"archived_{target.kind}_enrollments"] += pages(number, (history or 0) + done)
            stay = target.listed if again else max(target.listed - done, 1)
            # Who re-enrolls is read by user; who leaves, or who is left, whichever is less.
            whole = pages(number, stay) if again else ceil(stay / size)
            calls[f"{target.kind}_enrollments"] += not is_shared and min(pages(number, stay), whole)
        calls[FORMS["hand_picked"].operation(target.kind)] += len(sent)
        if again:
            calls[f"{target.kind}_enrollments"] += sum(
                pages(number, target.listed) for number in sent
            )
        self._count_plan(calls, sum(ceil(number / size) for number in readings), part)
        return calls

    def _count_select_all(self, chunk: Chunk, *, has_canary: bool) -> Counter[str]:
        """Count the calls of one target in the select-all form, round after round."""
        calls: Counter[str] = Counter()
        limits, kind, canary = self.client.limits, chunk.target.kind, int(has_canary)
        size = limits.page_size
        by_name = records = readings = active = canary
        left, new = len(chunk) - canary, canary
        while left > 1:
            calls[FORMS["select_all"].operation(kind)] += 1
            after = max(left - limits.select_all, 0)
            # Before each round all that is active is read, to see that it is what was planned.
            active += ceil(left / size) + min(ceil(left / size), ceil(max(after, 1) / size))
            # After it, all that is new is read, to see that nobody else was taken; where more
            # rounds follow, who is left is read by user, and all is looked at once more.
            new += left - after
            records += ceil(new / size)
            records += ceil(after / size) + (ceil(new / size) if after else 0)
            readings += ceil(left / size)
            left, new = after, 0
        if left == 1:  # is sent by name
            by_name += 1
            records, readings, active = records + 1, readings + 1, active + 1
        calls[FORMS["hand_picked"].operation(kind)] += by_name
        calls[f"archived_{kind}_enrollments"] += records
        calls[f"{kind}_enrollments"] += active
        self._count_plan(calls, readings, [chunk])
        return calls

    def _count_plan(self, calls: Counter[str], readings: int, part: Sequence[Chunk]) -> None:
        """Count what a learning plan's courses cost, and the checks whether it was changed."""
        target = part[0].target
        if target.kind != "learning_plan":
            return
        for name in ("archived_course_enrollments", "course_enrollments"):
            calls[name] += readings * len(target.courses)
        checks = 2 + int(len(part) * self.client.limits.first_poll // PLAN_CHECK_INTERVAL)
        calls["get_learning_plan"] += checks
        calls["learning_plan_courses"] += checks

    def _count_shared(
        self, calls: Counter[str], chunks: Sequence[Chunk], *, are_listed: bool
    ) -> set[tuple[str, int]]:
        """Count the calls that read the active lists of small targets together.

        Return these targets. A run reads them before they are sent, if their readings are too
        old, and after they were sent. *are_listed* says whether the users of the chunks are still
        in the lists.
        """
        shared: set[tuple[str, int]] = set()
        users: dict[PlannedTarget, list[int]] = {}
        for chunk in chunks:
            if chunk.form == "hand_picked" and chunk.target.key not in self.unfiltered:
                user_ids = (member.user_id for member in chunk.members)
                users.setdefault(chunk.target, []).extend(user_ids)
        size = self.client.limits.page_size
        for kind in sorted({target.kind for target in users}):
            if not SharedList(self.client, kind).filters_users:
                continue
            of_kind = {target: ids for target, ids in users.items() if target.kind == kind}
            for batch in split_into_batches(of_kind, size):
                items = sum(len(users[target]) for target in batch) if are_listed else 0
                calls[f"all_{kind}_enrollments"] += max(ceil(items / size), 1)
                shared |= {target.key for target in batch}
        return shared

    def _count_slow(self, calls: Counter[str]) -> None:
        """Add the calls of a job that the hourly limit slows down.

        Enrollments whose reading has become too old are read again, and a learning plan is checked
        every minute.
        """
        session, limits, chunks = self.client.session, self.client.limits, self.chunks
        hourly, left = session.settings.calls_per_hour or 0, session.calls_left or 0
        total, in_time = calls.total(), min(left, int(limits.freshness * hourly / HOUR))
        late = 0
        for _ in range(3):  # what is read again takes time too
            late = max(len(chunks) - len(chunks) * in_time // (total + late), 0)
        if self.terms.mode is ArchiveMode.UNENROLL:
            aged = [c for c in chunks[len(chunks) - late :] if c.form == "hand_picked"]
            shared = self._count_shared(calls, aged, are_listed=True)
            for chunk in aged:
                pages = ceil(len(chunk) / limits.page_size)
                calls[f"{chunk.target.kind}_enrollments"] += (
                    chunk.target.key not in shared and pages
                )
        plans = [chunk for chunk in chunks if chunk.target.kind == "learning_plan"]
        # A chunk is three calls or so.
        checks = int(len(plans) * min(3 * HOUR / hourly / PLAN_CHECK_INTERVAL, 1))
        calls["get_learning_plan"] += checks
        calls["learning_plan_courses"] += checks


def _throttled(total: int, client: Client) -> bool:
    left = client.session.calls_left
    return left is not None and total > left


def duration_of(calls: Mapping[str, int], jobs: int, client: Client) -> timedelta:
    """Return how long these calls and background jobs take at least."""
    total, limits = sum(calls.values()), client.limits
    seconds = total * _SECONDS_A_CALL + ceil(jobs / limits.max_open_jobs) * limits.first_poll
    hourly = client.session.settings.calls_per_hour
    if hourly is not None and _throttled(total, client):
        seconds = max(seconds, total * HOUR / hourly)
    return timedelta(seconds=round(seconds))


def warn_about_time(calls: Mapping[str, int], client: Client) -> Iterator[str]:
    """Yield a warning where the hourly limit of calls determines how long the job takes."""
    total, hourly = sum(calls.values()), client.session.settings.calls_per_hour
    if hourly is not None and _throttled(total, client):
        yield (
            f"it takes {total / hourly:.1f} hours to make {total:,} calls at {hourly:,} an hour, "
            "polls of background jobs not counted; calls_per_hour= changes that"
        )
