"""Making a plan: who is where, as what, since when. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil

from attrs import define, evolve, field

from lms_archive.archive.cutting import Chunk, PlannedEnrollment, PlannedTarget, cut
from lms_archive.archive.estimate import affected, calls_of, duration_of
from lms_archive.archive.matching import Asked, Match, asked, who_is_left_alone
from lms_archive.archive.naming import Unfound, targets_of, user_ids_of
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.preflight import check_for_plan
from lms_archive.archive.readback import LAG
from lms_archive.archive.rows import RowsBuilder
from lms_archive.archive.rules import OnShared, Rules
from lms_archive.archive.select_all import why_not
from lms_archive.archive.selection import Everything, Form, Rows, Selection, Target
from lms_archive.archive.sharing import Sharing, read_sharing
from lms_archive.archive.survey import Survey, archived_since, survey
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

__all__ = ["make_plan"]


@define
class _Draft:
    """A plan in the making."""

    client: Client
    terms: Terms
    found: dict[Target, PlannedTarget | Unfound]
    surveys: dict[tuple[str, int], Survey] = field(factory=dict)
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
) -> ArchivePlan:
    """Read each target once, and tell for every row whether it is sent or why it is not.

    Raises:
        InvalidInputError: a target of all enrollments is not there, or `on_shared="fail"`.
        UnconfirmedContractError: the platform has no such lists as the job cannot do without.
        ApiError: a call failed.
    """
    client = client.with_options()
    wanted = {target for part in selection.rows for target, _ in part.by_target()}
    wanted |= {part.target for part in selection.parts if isinstance(part, Everything)}
    told = check_for_plan(client, {one.kind for one in wanted}, terms)
    draft = _Draft(client, terms, targets_of(client, wanted), warnings=told)
    asked_for = selection
    selection = Selection(tuple(_as_rows(draft, part) for part in asked_for.parts))
    candidates = dict(_candidates(draft, selection))
    sharing = _sharing(draft, list(candidates))
    candidates = {_with_courses(client, one, sharing): two for one, two in candidates.items()}
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
    calls = calls_of(chunks, terms, client)
    return ArchivePlan(
        platform=client.base_url,
        terms=terms,
        selection=selection,
        chunks=chunks,
        skips=tuple(sorted(draft.skips, key=lambda skip: skip.row)),
        warnings=(*draft.warnings, *_warnings(chunks)),
        calls=calls,
        duration=duration_of(calls, len(chunks), client),
        read_at=min((one.began_at for one in draft.surveys.values()), default=None),
        fresh={key: one.clock for key, one in draft.surveys.items()},
    )


def _as_rows(draft: _Draft, part: Rows | Everything) -> Rows:
    """The rows of a part; all enrollments of a target become one row each."""
    if isinstance(part, Rows):
        return part
    target = draft.found[part.target]
    if isinstance(target, Unfound):
        raise InvalidInputError(target.reason)
    try:
        seen = draft.surveys[target.key] = survey(draft.client, target, draft.terms, None)
    except NotFoundError as error:
        raise InvalidInputError(f"there is no {target} on the platform: {error}") from None
    inactive = _inactive(draft, part.inactive_since)
    left_alone, told = who_is_left_alone(
        part.exclude, seen.items, lambda names: user_ids_of(draft.client, names)
    )
    draft.warnings += (f"{target}: {text}" for text in told)
    by_id = part.target.code is None
    builder = RowsBuilder((f"{target.kind}_{'id' if by_id else 'code'}", "user_id", "username"))
    for one in seen.items:
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
            moment = draft.client.wire.platform_time() - moment
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
            if isinstance(found, Unfound):
                draft.skips += (Skip(offset + i, found.code, found.reason) for i in places)
                continue
            known = targets.get(found.key)
            targets[found.key] = found if known is None or known.code is None else known
            merged[found.key].append((offset, part, places))
    for key, parts in merged.items():
        rows = asked(parts)
        seen = _surveyed(draft, targets[key], rows)
        if seen is not None:
            find = partial(user_ids_of, draft.client)
            match = Match(draft.terms, seen.items, find, selection.where)
            members = list(match.members(rows))
            draft.skips += match.skips
            draft.surveys[key] = evolve(seen, items=())  # a million of them are not kept
            yield seen.target, members


def _surveyed(draft: _Draft, target: PlannedTarget, rows: Asked) -> Survey | None:
    if target.key not in draft.surveys:
        try:
            draft.surveys[target.key] = survey(draft.client, target, draft.terms, rows)
        except NotFoundError:
            reason = f"there is no {target} on the platform"
            draft.skips += (Skip(row, f"unknown_{target.kind}", reason) for row in rows.rows)
            return None
    return draft.surveys[target.key]


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
            "plan cannot be archived and unenrolled on its own (Docebo's pages)"
        )
        return Sharing()


def _with_courses(client: Client, target: PlannedTarget, sharing: Sharing) -> PlannedTarget:
    """A learning plan as it is now: what it is compared with while the job runs."""
    if target.kind != "learning_plan":
        return target
    plan = client.learning_plans.get(target.target_id)
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
    now = draft.client.wire.platform_time()
    ids = [one.user_id for one in rows]
    last: dict[int, tuple[datetime, PlannedTarget]] = {}
    courses = (PlannedTarget(kind="course", target_id=one) for one in target.courses)
    for place in (target, *courses):
        for user_id, at in archived_since(
            draft.client, place, ids, now - skip_archived_within
        ).items():
            last.setdefault(user_id, (at, place))
    lag = now - timedelta(seconds=LAG)
    new = {one.user_id for one in rows if one.enrolled_at and one.enrolled_at > lag} - last.keys()
    for one in rows:
        if one.user_id in new:
            reason = f"enrolled in {target} on {one.enrolled_at:%Y-%m-%d %H:%M:%S} UTC, just now"
            more = "maybe by an archiving that is not listed yet: plan again in a few minutes"
            draft.skips.append(Skip(one.row, "archived_lately", f"{reason}, {more}", one.user_id))
        if one.user_id in last:
            at, place = last[one.user_id]
            reason = f"archived in {place} on {at:%Y-%m-%d %H:%M:%S} UTC already"
            span = (
                f"{skip_archived_within.days} days"
                if skip_archived_within.days
                else skip_archived_within
            )
            more = f"less than {span} ago; skip_archived_within= says otherwise"
            draft.skips.append(Skip(one.row, "archived_lately", f"{reason}, {more}", one.user_id))
    return [one for one in rows if one.user_id not in last.keys() | new]


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
                    f"{draft.client.limits.select_all:,} at most (on the screen: article)"
                )
        yield from cut(
            target,
            members,
            size=draft.client.limits.hand_picked,
            terms=draft.terms,
            read_at=draft.surveys[target.key].began_at,
            form=form,
        )


def _warnings(chunks: Sequence[Chunk]) -> Iterator[str]:
    if not chunks:
        return
    statuses = Counter(one.status for chunk in chunks for one in chunk.members)
    unfinished = sum(statuses.values()) - statuses[EnrollmentStatus.COMPLETED]
    if unfinished:
        yield f"{unfinished:,} enrollments are unfinished: archiving takes their progress away"
    plans = any(chunk.target.kind == "learning_plan" for chunk in chunks)
    known = "article" if plans else "article, on learning plans"
    yield (
        f"up to {affected(chunks):,} events may send notifications, one for each enrollment; "
        f"consider disabling them on the platform for the time of the job ({known})"
    )
    if plans:
        yield "change nothing in the learning plans while the job runs (article)"
