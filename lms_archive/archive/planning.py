"""Making a plan: who is where, as what, since when. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, groupby
from math import ceil

from attrs import define, evolve, field

from lms_archive.archive.cutting import Chunk, PlannedTarget, PreImage, cut
from lms_archive.archive.naming import Unfound, courses_of, user_ids_of
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.selection import Selection, Target, Terms, UserKey
from lms_archive.archive.walks import Walk, walk
from lms_archive.client import Client
from lms_archive.errors import NotFound
from lms_archive.limits import Limits
from lms_archive.records.active import CourseEnrollment
from lms_archive.records.status import ARCHIVABLE, EnrollmentLevel, EnrollmentStatus
from lms_archive.wire.pages import Page

__all__ = ["make_plan"]

_SECONDS_A_CALL = 0.5

_Asked = tuple[int, int | None, UserKey]
"""A row's index, its line, and the user it names."""


@define
class _Draft:
    """A plan in the making."""

    client: Client
    terms: Terms
    chunks: list[Chunk] = field(factory=list)
    skips: list[Skip] = field(factory=list)
    fresh: dict[tuple[str, int], float] = field(factory=dict)
    read_at: datetime | None = None


def make_plan(terms: Terms, selection: Selection, client: Client) -> ArchivePlan:
    """Read each target once, and tell for every row whether it is sent or why it is not.

    Raises:
        ApiError: a call failed.
    """
    draft = _Draft(client.with_options(), terms)
    asked: dict[Target, list[_Asked]] = defaultdict(list)
    for row in selection:
        if row.fault is not None or row.target is None or row.user is None:
            fault = row.fault
            reason = fault.reason if fault else "names no target and user"
            draft.skips.append(Skip(row.index, "bad_row", reason))
        else:
            asked[row.target].append((row.index, row.line, row.user))
    for target, rows in _merged(draft, asked):
        _plan_target(draft, target, rows)
    draft.skips.sort(key=lambda skip: skip.row)
    calls = _calls(draft.chunks, client.limits)
    return ArchivePlan(
        platform=client.base_url,
        terms=terms,
        selection=selection,
        chunks=tuple(draft.chunks),
        skips=tuple(draft.skips),
        warnings=tuple(_warnings(draft)),
        calls=calls,
        duration=_duration(calls, len(draft.chunks), client),
        read_at=draft.read_at,
        fresh=draft.fresh,
    )


def _merged(
    draft: _Draft, asked: dict[Target, list[_Asked]]
) -> Iterator[tuple[PlannedTarget, list[_Asked]]]:
    """The rows of each target found, however it was named; the others are skipped."""
    merged: dict[int, tuple[PlannedTarget, list[_Asked]]] = {}
    for target, found in courses_of(draft.client, asked).items():
        if isinstance(found, Unfound):
            draft.skips += (Skip(row, found.code, found.reason) for row, _, _ in asked[target])
            continue
        known, rows = merged.setdefault(found.target_id, (found, []))
        rows += asked[target]
        if known.code is None:
            merged[found.target_id] = (found, rows)
    for planned, rows in merged.values():
        yield planned, sorted(rows, key=lambda one: one[0])


def _plan_target(draft: _Draft, target: PlannedTarget, rows: list[_Asked]) -> None:
    key, read = target.key, draft.client.wire.clock.monotonic()
    try:
        seen = _read(draft, target, rows)
    except NotFound:
        reason = f"there is no course {target.target_id} on the platform"
        draft.skips += (Skip(row, "unknown_course", reason) for row, _, _ in rows)
        return
    draft.fresh[key] = read
    draft.read_at = min(draft.read_at or seen.began_at, seen.began_at)
    if seen.items and target.code is None:
        target = evolve(target, code=seen.items[0].course_code, title=seen.items[0].course_title)
    target = evolve(target, listed=len(seen.items))
    members = list(_members(draft, rows, seen.items))
    draft.chunks += cut(
        target,
        members,
        size=draft.client.limits.hand_picked,
        terms=draft.terms,
        read_at=seen.began_at,
    )


def _read(draft: _Draft, target: PlannedTarget, rows: list[_Asked]) -> Walk[CourseEnrollment]:
    """The target's active enrollments: all that are `only`, or those of the users asked for.

    The first page tells how many pages there are; where the users are all known by id and take
    fewer calls, they are asked for instead.
    """
    size = draft.client.limits.page_size
    pages = _pages(draft, target, None)
    first = next(pages)
    ids = [_user_id(key) for _, _, key in rows if not isinstance(key, str)]
    if len(ids) == len(rows) and ceil(len(ids) / size) < (first.last or 1) - 1:
        return _read_users(draft, target, sorted(set(ids)))
    return walk(
        lambda: _pages(draft, target, None),
        lambda one: one.user_id,
        begun=chain([first], pages),
    )


def _read_users(draft: _Draft, target: PlannedTarget, ids: list[int]) -> Walk[CourseEnrollment]:
    size = draft.client.limits.page_size
    found: list[CourseEnrollment] = []
    dates: list[datetime] = []
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        read = walk(partial(_pages, draft, target, part), lambda one: one.user_id)
        dates.append(read.began_at)
        found += (one for one in read.items if one.user_id in set(part))
    return Walk(found, min(dates))


def _pages(
    draft: _Draft, target: PlannedTarget, user_ids: Collection[int] | None
) -> Iterator[Page[CourseEnrollment]]:
    return draft.client.enrollments.pages_in_course(
        target.target_id, status=draft.terms.only, user_ids=user_ids
    )


def _members(
    draft: _Draft, rows: list[_Asked], items: Sequence[CourseEnrollment]
) -> Iterator[PreImage]:
    by_id = {one.user_id: one for one in items}
    by_name = {one.username: one for one in items if one.username is not None}
    names = {name for _, _, key in rows if (name := _username(key))} - by_name.keys()
    if names and any(one.username is None for one in items):
        found = user_ids_of(draft.client, names)
        by_name.update((name, by_id[i]) for name, i in found.items() if i in by_id)
    lower = {name.casefold(): name for name in by_name}
    seen: dict[object, str] = {}
    for index, line, key in rows:
        one = by_name.get(key) if isinstance(key, str) else by_id.get(_user_id(key))
        if isinstance(key, tuple) and one is not by_name.get(key[1]):
            draft.skips.append(Skip(index, "disagree", _disagree(key, one)))
            continue
        where = f"line {line}" if line else f"row {index + 1}"
        first = seen.setdefault(one.user_id if one else (key,), where)
        if first is not where:
            reason = f"asked for already in {first}: archived at most once"
            draft.skips.append(
                Skip(index, "duplicate", reason, None if one is None else one.user_id)
            )
        elif one is None:
            draft.skips.append(Skip(index, "not_enrolled", _not_seen(draft.terms, key, lower)))
        elif (unfit := _unfit(draft.terms, one)) is not None:
            draft.skips.append(Skip(index, *unfit, one.user_id))
        else:
            yield _pre_image(index, key, one)


def _user_id(key: int | tuple[int, str]) -> int:
    return key if isinstance(key, int) else key[0]


def _username(key: UserKey) -> str | None:
    if isinstance(key, tuple):
        return key[1]
    return key if isinstance(key, str) else None


def _disagree(key: tuple[int, str], one: CourseEnrollment | None) -> str:
    known = f"{one.username!r}, not " if one and one.username else "not "
    return f"user {key[0]} is {known}{key[1]!r}: correct one of the two"


def _pre_image(index: int, key: UserKey, one: CourseEnrollment) -> PreImage:
    return PreImage(
        row=index,
        user_id=one.user_id,
        username=one.username or _username(key),
        enrolled_at=one.enrolled_at,
        status=one.status,
        level=one.level,
        completed_at=one.completed_at,
        score=one.score,
    )


def _not_seen(terms: Terms, key: UserKey, lower: dict[str, str]) -> str:
    reason = (
        f"not enrolled as {' or '.join(terms.only)}: not enrolled, other status, already "
        "archived, or no such user"
    )
    if isinstance(key, str) and key.casefold() in lower:
        return f"{reason}; {lower[key.casefold()]!r} differs in upper and lower case"
    if isinstance(key, str) and "@" in key:
        return f"{reason}; is the username really the e-mail address?"
    return reason


def _unfit(terms: Terms, one: CourseEnrollment) -> tuple[str, str] | None:
    """Why an enrollment that is there is not archived all the same."""
    if one.status is None:
        return "no_status", "the platform tells no status for it: never archived on a guess"
    if one.status not in ARCHIVABLE:
        return "status", f"is {one.status}: only {', '.join(sorted(ARCHIVABLE))} can be archived"
    if one.status not in terms.only:
        return "status", f"is {one.status}, not {' or '.join(terms.only)}: left alone"
    if one.level != EnrollmentLevel.LEARNER and not terms.include_staff:
        level = one.level or "of a level the platform does not tell"
        return "staff", f"is {level}, no learner: include_staff=True takes them too"
    return None


def _warnings(draft: _Draft) -> Iterator[str]:
    statuses = Counter(one.status for chunk in draft.chunks for one in chunk.members)
    unfinished = sum(statuses.values()) - statuses[EnrollmentStatus.COMPLETED]
    if unfinished:
        yield f"{unfinished:,} enrollments are unfinished: archiving takes their progress away"


def _calls(chunks: Sequence[Chunk], limits: Limits) -> dict[str, int]:
    """The calls of `apply`, polls and repetitions aside."""
    if not chunks:
        return {}
    size = limits.page_size
    calls = Counter({"list_jobs": 1})
    for place, (_, group) in enumerate(groupby(chunks, key=lambda chunk: chunk.target.key)):
        part = list(group)
        rows, listed = sum(len(chunk) for chunk in part), part[0].target.listed
        records = rows
        calls["archive_course_enrollments"] += len(part)
        if place == 0:
            # The canary and the first chunk are read back on their own.
            alone = 2 if len(part[0]) > 1 else 1
            calls["archive_course_enrollments"] += alone - 1
            settled = len(part[0])
            calls["archived_course_enrollments"] += alone
            calls["course_enrollments"] += alone
            if len(part) == 1:
                continue
            rows, listed = rows - settled, listed - settled
        # A few are asked for by user; of many, all that is new in the list is read.
        calls["archived_course_enrollments"] += ceil((rows if rows <= size else records) / size)
        calls["course_enrollments"] += min(ceil(rows / size), ceil(max(listed - rows, 1) / size))
    return dict(calls)


def _duration(calls: dict[str, int], chunks: int, client: Client) -> timedelta:
    total, limits = sum(calls.values()), client.limits
    seconds = total * _SECONDS_A_CALL + ceil(chunks / limits.max_open_jobs) * limits.first_poll
    hourly = client.wire.settings.calls_per_hour
    if hourly is not None and total > hourly:
        seconds = max(seconds, (total // hourly) * 3600.0)
    return timedelta(seconds=round(seconds))
