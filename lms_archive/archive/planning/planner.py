"""Making a plan: who is where, as what, since when. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from math import ceil

from attrs import define, evolve, field, frozen

from lms_archive.archive.planning.estimate import affected, duration_of, estimate_calls
from lms_archive.archive.planning.matching import (
    Match,
    RequestedRows,
    merge_requested,
    who_is_left_alone,
)
from lms_archive.archive.planning.preflight import (
    check_role,
    require_endpoint,
    warn_about_contract,
)
from lms_archive.archive.planning.resolve import (
    UnresolvedTarget,
    resolve_targets,
    resolve_usernames,
)
from lms_archive.archive.planning.rules import (
    OnShared,
    Rules,
    warn_instructor_led,
    warn_recent_change,
)
from lms_archive.archive.planning.select_all import why_not
from lms_archive.archive.planning.shared_courses import Sharing, read_sharing
from lms_archive.archive.selection import (
    Everything,
    Form,
    Rows,
    RowsBuilder,
    Selection,
    Target,
    contradicted_terms,
)
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.complete import CompleteList
from lms_archive.archive.target.lists import LAG, Active, TargetLists, name_in
from lms_archive.archive.values.chunks import (
    Chunk,
    PlannedEnrollment,
    PlannedTarget,
    split_into_chunks,
)
from lms_archive.archive.values.outcomes import Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

__all__ = ["make_plan"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@frozen
class _Snapshot:
    """The enrollments that were read in a target, and when by the client's clock."""

    target: PlannedTarget
    enrollments: CompleteList[Active]
    clock: float


@define
class _Draft:
    """A plan in the making."""

    client: Client
    terms: Terms
    found: dict[Target, PlannedTarget | UnresolvedTarget]
    snapshots: dict[tuple[str, int], _Snapshot] = field(factory=dict)
    inactive: dict[datetime | timedelta, set[int]] = field(factory=dict)
    skips: list[Skip] = field(factory=list)
    warnings: list[str] = field(factory=list)


def make_plan(
    terms: Terms,
    selection: Selection,
    client: Client,
    *,
    on_shared: OnShared,
    skip_archived_within: timedelta,
) -> tuple[PlanData, Selection]:
    """Read each target once; return what is sent, what is not and why, and the rows asked for.

    Raises:
        InvalidInputError: a target of all enrollments is not there, or `on_shared="fail"`.
        UnconfirmedContractError: the platform has no such lists as the job cannot do without.
        ApiError: a call failed.
    """
    wanted = {target for part in selection.rows for target, _ in part.by_target()}
    wanted |= {part.target for part in selection.parts if isinstance(part, Everything)}
    kinds = {target.kind for target in wanted}
    told = warn_about_contract(client, kinds, terms) + check_role(client, kinds)
    draft = _Draft(client, terms, resolve_targets(client, wanted), warnings=told)
    for part in selection.rows:
        draft.warnings += (*part.notes, *contradicted_terms(part, terms))
    asked_for = selection
    selection = Selection(tuple(_as_rows(draft, part) for part in asked_for.parts))
    candidates = dict(_candidates(draft, selection))
    sharing = _sharing(draft, list(candidates))
    candidates = {_with_courses(draft, one, sharing): two for one, two in candidates.items()}
    candidates = {
        target: _not_lately(draft, target, rows, skip_archived_within)
        for target, rows in candidates.items()
    }
    rules = Rules(terms, sharing, on_shared, selection.where)
    kept = rules.apply(candidates)
    draft.skips += rules.skips
    draft.warnings += rules.warnings
    everything = {
        found.key
        for part in asked_for.parts
        if isinstance(part, Everything) and part.form == "select_all"
        if isinstance(found := draft.found[part.target], PlannedTarget)
    }
    chunks = tuple(_cut(draft, kept, everything))
    calls = estimate_calls(chunks, terms, client)
    plan = PlanData(
        platform=client.base_url,
        terms=terms,
        chunks=chunks,
        skips=tuple(sorted(draft.skips, key=lambda skip: skip.row)),
        warnings=(*draft.warnings, *_warnings(chunks)),
        calls=calls,
        duration=duration_of(calls, len(chunks), client),
        read_at=min((one.enrollments.read_at for one in draft.snapshots.values()), default=None),
    )
    return plan, selection


def _as_rows(draft: _Draft, part: Rows | Everything) -> Rows:
    """The rows of a part; all enrollments of a target become one row each."""
    if isinstance(part, Rows):
        return part
    target = draft.found[part.target]
    if isinstance(target, UnresolvedTarget):
        raise InvalidInputError(target.reason)
    try:
        snapshot = _read_target(draft, target, None)
    except NotFoundError as error:
        require_endpoint(draft.client, f"{target.kind}_enrollments", error)
        raise InvalidInputError(f"there is no {target} on the platform: {error}") from None
    inactive = _inactive(draft, part.inactive_since)
    items, unreadable = snapshot.enrollments.items, snapshot.enrollments.unreadable
    people = [*items, *(item for item in unreadable if item.user_id is not None)]
    try:
        left_alone, told = who_is_left_alone(
            part.exclude, people, lambda names: resolve_usernames(draft.client, names)
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{target}: {error}") from None
    draft.warnings += (f"{target}: {text}" for text in told)
    by_id = part.target.code is None
    builder = RowsBuilder((f"{target.kind}_{'id' if by_id else 'code'}", "user_id", "username"))
    for one in people:
        if one.user_id in left_alone:
            continue
        if inactive is None or one.user_id in inactive:
            key = part.target.target_id if by_id else part.target.code
            builder.add((key, one.user_id, one.username), None, part.target, one.user_id)
    rows = builder.rows()
    if not len(rows):
        draft.warnings.append(f"no enrollment of {part.target} matches: nothing to archive there")
    return rows


def _inactive(draft: _Draft, since: datetime | timedelta | None) -> set[int] | None:
    if since is None:
        return None
    if since not in draft.inactive:
        users = draft.client.users.inactive(since=since)
        draft.inactive[since] = {user.user_id for user in users}
        moment = since
        if isinstance(moment, timedelta):
            moment = draft.client.session.platform_time() - moment
        draft.warnings.append(
            f"inactive since {moment:%Y-%m-%d %H:%M:%S} UTC: {len(draft.inactive[since]):,} users; "
            "those who never logged in are left out"
        )
    return draft.inactive[since]


def _candidates(
    draft: _Draft, selection: Selection
) -> Iterator[tuple[PlannedTarget, list[PlannedEnrollment]]]:
    """The enrollments that the rows mean, by target, however it was named."""
    merged: dict[tuple[str, int], list[tuple[int, Rows, Sequence[int]]]] = defaultdict(list)
    targets: dict[tuple[str, int], PlannedTarget] = {}
    for offset, part in selection.placed:
        for row, fault in part.faults.items():
            draft.skips.append(Skip(offset + row, "bad_row", fault.reason))
        for target, places in part.by_target():
            found = draft.found[target]
            if isinstance(found, UnresolvedTarget):
                draft.skips += (Skip(offset + i, found.code, found.reason) for i in places)
                continue
            known = targets.get(found.key)
            targets[found.key] = found if known is None or known.code is None else known
            merged[found.key].append((offset, part, places))
    for key, parts in merged.items():
        rows = merge_requested(parts)
        try:
            snapshot = draft.snapshots.get(key) or _read_target(draft, targets[key], rows)
        except NotFoundError as error:
            require_endpoint(draft.client, f"{key[0]}_enrollments", error)
            reason = f"there is no {targets[key]} on the platform"
            draft.skips += (Skip(row, f"unknown_{key[0]}", reason) for row in rows.rows)
            continue
        read = snapshot.enrollments
        find = partial(resolve_usernames, draft.client)
        match = Match(draft.terms, read.items, find, selection.where, read.unreadable)
        members = list(match.members(rows))
        draft.skips += match.skips
        types = (getattr(item, "course_type", None) for item in read.items)
        draft.warnings += warn_instructor_led(snapshot.target, types)
        # A million enrollments are not kept.
        read = evolve(read, items=(), unreadable=())
        draft.snapshots[key] = evolve(snapshot, enrollments=read)
        yield snapshot.target, members


def _read_target(draft: _Draft, target: PlannedTarget, rows: RequestedRows | None) -> _Snapshot:
    """Read the active enrollments of the users that the rows name, or all of them.

    Raises:
        NotFoundError: there is no such target.
        ApiError: a call failed.
    """
    client, lists, only = draft.client, TargetLists(draft.client, target), draft.terms.only
    clock = client.session.clock.monotonic()
    if rows is None:
        read = lists.active(statuses=only)
    else:
        resolve = partial(resolve_usernames, client)
        read = lists.find_active(rows.users, statuses=only, resolve=resolve)
    draft.warnings += (
        f"{target}: an enrollment cannot be read, and so not archived: {item}"
        for item in read.unreadable
        if item.user_id is None
    )
    if read.items and target.code is None:
        code, title = name_in(read.items[0])
        target = evolve(target, code=code, title=title)
    snapshot = _Snapshot(evolve(target, listed=read.listed), read, clock)
    draft.snapshots[target.key] = snapshot
    return snapshot


def _sharing(draft: _Draft, targets: Sequence[PlannedTarget]) -> Sharing:
    plans = {one.target_id for one in targets if one.kind == "learning_plan"}
    courses = {one.target_id for one in targets if one.kind == "course"}
    leaves = draft.terms.mode is ArchiveMode.UNENROLL
    wanted = courses if leaves else set()
    try:
        return read_sharing(draft.client, courses=wanted, plans=plans)
    except (NotFoundError, PermissionDeniedError) as error:
        if plans:
            raise
        draft.warnings.append(
            f"which learning plans hold these courses could not be asked ({error}); a course of a "
            "plan cannot be archived and unenrolled on its own"
        )
        return Sharing()


def _with_courses(draft: _Draft, target: PlannedTarget, sharing: Sharing) -> PlannedTarget:
    """A learning plan as it is now: what it is compared with while the job runs."""
    if target.kind != "learning_plan":
        return target
    plan, now = (
        draft.client.learning_plans.get(target.target_id),
        draft.client.session.platform_time(),
    )
    draft.warnings += warn_recent_change(target, plan.updated_at, now)
    for course in sharing.courses_of[target.target_id]:
        name = course.code or course.title or course.course_id
        draft.warnings += warn_instructor_led(f"course {name} of {target}", [course.type])
    courses = tuple(one.course_id for one in sharing.courses_of[target.target_id])
    return evolve(target, code=plan.code, title=plan.title, credits=plan.credits, courses=courses)


def _not_lately(
    draft: _Draft,
    target: PlannedTarget,
    rows: list[PlannedEnrollment],
    skip_archived_within: timedelta,
) -> list[PlannedEnrollment]:
    """Re-enroll archives nobody again who was archived in the target a short while ago.

    Nor in a learning plan who was in one of its courses: that would be archived again with it.
    """
    if draft.terms.mode is not ArchiveMode.RE_ENROLL or not skip_archived_within or not rows:
        return rows
    now = draft.client.session.platform_time()
    ids = [one.user_id for one in rows]
    last: dict[int, tuple[datetime, PlannedTarget]] = {}
    courses = (PlannedTarget(kind="course", target_id=one) for one in target.courses)
    since = now - min(skip_archived_within, now - _EPOCH)  # `timedelta.max` means ever
    for place in (target, *courses):
        found = TargetLists(draft.client, place).find_archived(ids, since=since)
        for user_id, records in found.items():
            dates = (record.archiving.archived_at for record in records)
            at = max(date for date in dates if date is not None)
            last.setdefault(user_id, (at, place))
    lag = now - timedelta(seconds=LAG)
    new = {one.user_id for one in rows if one.enrolled_at and one.enrolled_at > lag} - last.keys()
    for one in rows:
        if one.user_id in new:
            reason = f"enrolled in {target} on {one.enrolled_at:%Y-%m-%d %H:%M:%S} UTC, just now"
            more = "maybe by an archiving that is not listed yet: plan again in a few minutes"
            draft.skips.append(_lately(one, f"{reason}, {more}"))
        if one.user_id in last:
            at, place = last[one.user_id]
            reason = f"archived in {place} on {at:%Y-%m-%d %H:%M:%S} UTC already"
            span = (
                f"{skip_archived_within.days:,} days"
                if skip_archived_within.days
                else skip_archived_within
            )
            more = f"less than {span} ago; skip_archived_within= says otherwise"
            draft.skips.append(_lately(one, f"{reason}, {more}"))
    return [one for one in rows if one.user_id not in last.keys() | new]


def _lately(one: PlannedEnrollment, reason: str) -> Skip:
    return Skip(one.row, "archived_lately", reason, one.user_id, username=one.username)


def _cut(
    draft: _Draft,
    kept: dict[PlannedTarget, list[PlannedEnrollment]],
    everything: Collection[tuple[str, int]],
) -> Iterator[Chunk]:
    for target, members in kept.items():
        form: Form = "hand_picked"
        if target.key in everything and members:
            reason = why_not(draft.client, target, members, draft.terms)
            form = "select_all" if reason is None else "hand_picked"
            if reason is None:
                draft.warnings.append(f"{target} is sent in the select-all form: it names nobody")
            if reason is not None:
                draft.warnings.append(f"{target} is sent as hand-picked chunks: {reason}")
            elif len(members) > draft.client.limits.select_all:
                rounds = ceil(len(members) / draft.client.limits.select_all)
                draft.warnings.append(
                    f"{target} is sent in {rounds} rounds of select all: one takes "
                    f"{draft.client.limits.select_all:,} at most"
                )
        yield from split_into_chunks(
            target,
            members,
            size=draft.client.limits.hand_picked,
            terms=draft.terms,
            read_at=draft.snapshots[target.key].enrollments.read_at,
            form=form,
        )


def _warnings(chunks: Sequence[Chunk]) -> Iterator[str]:
    if not chunks:
        return
    statuses = Counter(one.status for chunk in chunks for one in chunk.members)
    unfinished = sum(statuses.values()) - statuses[EnrollmentStatus.COMPLETED]
    if unfinished:
        are = "enrollment is" if unfinished == 1 else "enrollments are"
        yield f"{unfinished:,} {are} unfinished: archiving takes the progress away"
    events = affected(chunks)
    yield (
        f"up to {events:,} event{'' if events == 1 else 's'} may send notifications, one for each "
        "archived enrollment; consider disabling them on the platform while the job runs"
    )
    if any(chunk.target.kind == "learning_plan" for chunk in chunks):
        yield "change nothing in the learning plans while the job runs"
