"""Make a plan: which rows are sent, which are skipped, and why. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import get_args

from attrs import evolve, field, frozen

from lms_archive.archive.planning.estimate import (
    affected,
    duration_of,
    estimate_calls,
    warn_about_time,
)
from lms_archive.archive.planning.expansion import expand
from lms_archive.archive.planning.explanation import explain
from lms_archive.archive.planning.forms import FORMS
from lms_archive.archive.planning.matching import Match, RequestedRows, merge_requested
from lms_archive.archive.planning.preflight import check_role, warn_about_contract
from lms_archive.archive.planning.reading import Draft, OnStep, Snapshot, read_targets
from lms_archive.archive.planning.resolve import resolve_targets, resolve_usernames
from lms_archive.archive.planning.rules import (
    OnShared,
    Rules,
    Sharing,
    read_sharing,
    warn_instructor_led,
)
from lms_archive.archive.selection import (
    Fault,
    Form,
    Rows,
    Selection,
    UserKey,
    WholeTarget,
)
from lms_archive.archive.selection.columns import contradicted_terms
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import LAG, TargetLists
from lms_archive.archive.values.chunks import (
    EPOCH,
    Chunk,
    PlannedEnrollment,
    PlannedTarget,
    split_into_chunks,
)
from lms_archive.archive.values.outcomes import Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.client import Client
from lms_archive.errors import NotFoundError, PermissionDeniedError, plural
from lms_archive.limits import IS_DECISION, Limits, must_be
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

_RECENT = timedelta(days=1)


@frozen
class PlanOptions:
    """How a job is planned: the options of `ArchiveJob.plan`, checked."""

    on_shared: OnShared = field(
        validator=must_be(
            "'skip', 'fail' or 'allow'",
            lambda rule: isinstance(rule, str) and rule in get_args(OnShared),
        )
    )
    skip_archived_within: timedelta = field(
        validator=must_be(
            "a timedelta of at least 0",
            lambda time: isinstance(time, timedelta) and time >= timedelta(),
        )
    )
    explain: bool = field(validator=IS_DECISION)
    progress: bool = field(validator=IS_DECISION)


def make_plan(
    terms: Terms,
    selection: Selection,
    client: Client,
    options: PlanOptions,
    on_step: OnStep | None,
) -> tuple[PlanData, Selection]:
    """Read each target once; return what is sent, what is not and why, and the rows requested."""
    wanted = {target for part in selection.rows for target, _ in part.by_target()}
    kinds = {target.kind for target in wanted}
    for part in selection.parts:
        if not isinstance(part, Rows):
            wanted.update(part.named_targets)
            kinds.add(part.kind)
    warnings = list[str]()
    if kinds:
        warnings = warn_about_contract(client, kinds, terms) + check_role(client, kinds)
    targets = resolve_targets(client, wanted)
    draft = Draft(client, terms, targets, warnings=warnings, on_step=on_step)
    for rows in selection.rows:
        draft.warnings += (*rows.notes, *contradicted_terms(rows, terms))
    requested, selection = selection, expand(draft, selection)
    candidates = _candidates(draft, selection)
    sharing = _sharing(draft, list(candidates))
    candidates = {
        _with_courses(draft, target, sharing): members for target, members in candidates.items()
    }
    if terms.mode is ArchiveMode.RE_ENROLL and options.skip_archived_within:
        pairs = draft.counted(candidates.items(), "checked", len(candidates))
        candidates = {
            target: _without_archived_recently(
                draft, target, members, sharing, options.skip_archived_within
            )
            for target, members in pairs
        }
    rules = Rules(terms, sharing, options.on_shared, selection.where)
    kept = rules.apply(candidates)
    draft.skips += rules.skips
    draft.warnings += rules.warnings
    everything = {
        resolved.key
        for part in requested.parts
        if isinstance(part, WholeTarget) and part.form == "select_all"
        if isinstance(resolved := draft.resolved[part.target], PlannedTarget)
    }
    chunks = tuple(_chunks(draft, kept, everything))
    if options.explain:
        explain(draft, selection)
    calls = estimate_calls(chunks, terms, client)
    plan = PlanData(
        platform=client.base_url,
        terms=terms,
        chunks=chunks,
        skips=tuple(sorted(draft.skips, key=lambda skip: skip.row)),
        warnings=(*draft.warnings, *_warnings(chunks), *warn_about_time(calls, client)),
        calls=calls,
        # A single enrollment is archived at once, without a background job.
        duration=duration_of(calls, sum(len(chunk) > 1 for chunk in chunks), client),
        read_at=min(
            (snapshot.enrollments.read_at for snapshot in draft.snapshots.values()), default=None
        ),
    )
    return plan, selection


def _candidates(draft: Draft, selection: Selection) -> dict[PlannedTarget, list[PlannedEnrollment]]:
    """Return the enrollments that the rows mean, by target, however it was named."""
    merged: dict[tuple[str, int], list[tuple[int, Rows, Sequence[int]]]] = defaultdict(list)
    targets: dict[tuple[str, int], PlannedTarget] = {}
    for offset, _, part in selection.placed:
        for row, fault in part.faults.items():
            draft.skips.append(Skip(offset + row, fault.code, fault.reason, part.user_id(row)))
        for target, indexes in part.by_target():
            resolved = draft.resolved[target]
            if isinstance(resolved, Fault):
                draft.skips += (Skip(offset + i, resolved.code, resolved.reason) for i in indexes)
                continue
            earlier = targets.get(resolved.key)
            targets[resolved.key] = resolved if earlier is None or earlier.code is None else earlier
            merged[resolved.key].append((offset, part, indexes))
    rows = {key: merge_requested(parts) for key, parts in merged.items()}
    members: dict[tuple[str, int], tuple[PlannedTarget, list[PlannedEnrollment]]] = {}
    for key, snapshot in _snapshots(draft, rows, targets):
        if isinstance(snapshot, NotFoundError):
            reason = f"there is no {targets[key]} on the platform"
            draft.skips += (Skip(row, f"unknown_{key[0]}", reason) for row in rows[key].rows)
            continue
        read = snapshot.enrollments
        find = partial(resolve_usernames, draft.client)
        match = Match(draft.terms, read.items, find, selection.where, read.unreadable)
        members[key] = snapshot.target, list(match.members(rows[key]))
        draft.skips += match.skips
        types = (getattr(item, "course_type", None) for item in read.items)
        draft.warnings += warn_instructor_led(snapshot.target, types)
        # A million enrollments are not kept.
        read = evolve(read, items=(), unreadable=())
        draft.snapshots[key] = evolve(snapshot, enrollments=read)
    return dict(members[key] for key in rows if key in members)


def _snapshots(
    draft: Draft,
    rows: Mapping[tuple[str, int], RequestedRows],
    targets: Mapping[tuple[str, int], PlannedTarget],
) -> Iterator[tuple[tuple[str, int], Snapshot | NotFoundError]]:
    """Yield what was read of each target already, then what is read for the others now."""
    wanted: dict[PlannedTarget, Sequence[UserKey]] = {}
    for key, requested in rows.items():
        snapshot = draft.snapshots.get(key)
        if snapshot is not None and snapshot.covers(requested.users):
            yield key, snapshot
        else:
            wanted[targets[key]] = requested.users
    for target, snapshot_or_error in read_targets(draft, wanted):
        yield target.key, snapshot_or_error


def _sharing(draft: Draft, targets: Sequence[PlannedTarget]) -> Sharing:
    plans = {target.target_id for target in targets if target.kind == "learning_plan"}
    courses = {target.target_id for target in targets if target.kind == "course"}
    unenrolls = draft.terms.mode is ArchiveMode.UNENROLL
    wanted = courses if unenrolls else set()
    try:
        return read_sharing(draft.client, courses=wanted, plans=plans)
    except (NotFoundError, PermissionDeniedError) as error:
        if plans:
            raise
        draft.warnings.append(
            f"could not read which learning plans contain these courses ({error}); a course of a "
            "plan cannot be archived and unenrolled on its own"
        )
        return Sharing()


def _with_courses(draft: Draft, target: PlannedTarget, sharing: Sharing) -> PlannedTarget:
    """Add a learning plan's current data, which later changes are compared with."""
    if target.kind != "learning_plan":
        return target
    plan = draft.client.learning_plans.get(target.target_id)
    now = draft.client.session.platform_time()
    if plan.updated_at is not None and plan.updated_at > now - _RECENT:
        draft.warnings.append(
            f"{target} was changed on {plan.updated_at:%Y-%m-%d %H:%M:%S} UTC: archived records "
            "keep the plan as it is when the job runs; make sure that it is final"
        )
    courses = sharing.courses_of[target.target_id]
    for course in courses:
        name = course.code or course.title or course.course_id
        draft.warnings += warn_instructor_led(f"course {name} of {target}", [course.type])
    ids = tuple(course.course_id for course in courses)
    return evolve(target, code=plan.code, title=plan.title, credits=plan.credits, courses=ids)


def _without_archived_recently(
    draft: Draft,
    target: PlannedTarget,
    rows: list[PlannedEnrollment],
    sharing: Sharing,
    skip_archived_within: timedelta,
) -> list[PlannedEnrollment]:
    """Skip users who were archived in the target a short while ago, when the job re-enrolls.

    For a learning plan, an archived enrollment in one of its courses counts too: the course would
    be archived again with the plan.
    """
    if not rows:
        return rows
    now = draft.client.session.platform_time()
    ids = [member.user_id for member in rows]
    last: dict[int, tuple[datetime, PlannedTarget]] = {}
    own = sharing.courses_of[target.target_id] if target.courses else ()
    courses = (
        PlannedTarget(kind="course", target_id=course.course_id, code=course.code) for course in own
    )
    since = now - min(skip_archived_within, now - EPOCH)  # `timedelta.max` means ever
    for searched in (target, *courses):
        archived = TargetLists(draft.client, searched).find_archived(ids, since=since)
        for user_id, records in archived.items():
            dates = (record.archiving.archived_at for record in records)
            at = max(date for date in dates if date is not None)
            last.setdefault(user_id, (at, searched))
    just_now = now - timedelta(seconds=LAG)
    days = skip_archived_within.days
    span = f"{days:,} days" if days else skip_archived_within
    kept: list[PlannedEnrollment] = []
    for member in rows:
        if member.user_id in last:
            at, searched = last[member.user_id]
            reason = (
                f"archived in {searched} on {at:%Y-%m-%d %H:%M:%S} UTC already, less than {span} "
                "ago; skip_archived_within= changes that"
            )
        elif member.enrolled_at and member.enrolled_at > just_now:
            reason = (
                f"enrolled in {target} on {member.enrolled_at:%Y-%m-%d %H:%M:%S} UTC, just now, "
                "maybe by archiving that is not listed yet: plan again in a few minutes"
            )
        else:
            kept.append(member)
            continue
        user_id, username = member.user_id, member.username
        skip = Skip(member.row, "archived_recently", reason, user_id, username=username)
        draft.skips.append(skip)
    return kept


def _chunks(
    draft: Draft,
    kept: dict[PlannedTarget, list[PlannedEnrollment]],
    everything: Collection[tuple[str, int]],
) -> Iterator[Chunk]:
    for target, members in kept.items():
        form: Form = "hand_picked"
        size = draft.client.limits.hand_picked
        if target.key in everything and members:
            reason = _select_all_refusal(draft, target, len(members))
            if reason is None:
                form, size = "select_all", len(members)
                draft.warnings += _select_all_notes(target, len(members), draft.client.limits)
            else:
                draft.warnings.append(f"{target} is sent as hand-picked chunks: {reason}")
        yield from split_into_chunks(
            target,
            members,
            size=size,
            terms=draft.terms,
            read_at=draft.snapshots[target.key].enrollments.read_at,
            form=form,
        )


def _select_all_refusal(draft: Draft, target: PlannedTarget, count: int) -> str | None:
    """Return why a target is not archived in the select-all form, or None where it is.

    Reads a page of the target's list, and the platform's swagger.
    """
    name = FORMS["select_all"].operation(target.kind)
    if draft.terms.mode is ArchiveMode.RE_ENROLL:
        return "a select-all call would archive again users who were just re-enrolled"
    if not draft.client.verify_contract([name]).confirmed(name, str(draft.terms.mode)):
        return "the platform's swagger does not confirm that call"
    if TargetLists(draft.client, target).total() != count:
        return "it holds other enrollments too, which an ignored filter would archive"
    return None


def _select_all_notes(target: PlannedTarget, count: int, limits: Limits) -> Iterator[str]:
    yield f"{target} is sent in the select-all form, which does not name the users"
    rounds = ceil(count / limits.select_all)
    if rounds > 1:
        yield (
            f"{target} is sent in {rounds} rounds of select all: one takes "
            f"{limits.select_all:,} at most"
        )


def _warnings(chunks: Sequence[Chunk]) -> Iterator[str]:
    if not chunks:
        return
    statuses = Counter(member.status for chunk in chunks for member in chunk.members)
    unfinished = sum(statuses.values()) - statuses[EnrollmentStatus.COMPLETED]
    if unfinished:
        are = "enrollment is" if unfinished == 1 else "enrollments are"
        yield f"{unfinished:,} {are} unfinished: archiving removes the progress"
    events = affected(chunks)
    yield (
        f"the platform may send up to {plural(events, 'notification')}, one for each archived "
        "enrollment; consider disabling them there while the job runs"
    )
    if any(chunk.target.kind == "learning_plan" for chunk in chunks):
        yield "do not change these learning plans while the job runs"
