"""Turn whole targets and users into rows, without those whom `exclude` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial

from lms_archive.archive.planning.exclusions import excluded_ids, name_in
from lms_archive.archive.planning.matching import Person, username_in
from lms_archive.archive.planning.reading import Draft, Snapshot, read_targets
from lms_archive.archive.planning.resolve import (
    ambiguous_user,
    find_usernames,
    list_targets,
)
from lms_archive.archive.selection import (
    Fault,
    Rows,
    Selection,
    Target,
    TargetKind,
    UserEnrollments,
    UserKey,
    WholeTarget,
)
from lms_archive.archive.selection.in_memory import numbers_note
from lms_archive.archive.selection.terms import status_words
from lms_archive.archive.target.shared_list import SharedList
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.errors import InvalidInputError, NotFoundError, plural

_USER = ("user_id", "username")

Scope = tuple[TargetKind, tuple[Target, ...] | None]
"""Where enrollments are looked for: in these targets, or in every one of the kind."""
People = tuple[Mapping[int, str | None], Mapping[UserKey, Fault]]
"""The selected users: names by id, and the users who cannot be found, with the reason."""


ListTargets = Callable[[TargetKind], Sequence[PlannedTarget]]
"""Lists all targets of a kind, read once."""


def expand(draft: Draft, selection: Selection) -> Selection:
    """Return the selection with a row for each enrollment of its whole targets and users."""
    whole = [part for part in selection.parts if isinstance(part, WholeTarget)]
    wanted = {_resolved(draft, part.target): None for part in whole}
    for target, read in read_targets(draft, wanted):
        if isinstance(read, NotFoundError):
            raise InvalidInputError(f"there is no {target} on the platform: {read}") from None
    everywhere = {
        index: (part, _people(draft, part))
        for index, part in enumerate(selection.parts)
        if isinstance(part, UserEnrollments)
    }
    _warn_of_parts(draft, selection)
    list_all = cache(partial(list_targets, draft.client))
    snapshots_of = _read_everywhere(draft, everywhere.values(), list_all)
    parts = []
    for index, part in enumerate(selection.parts):
        if isinstance(part, WholeTarget):
            parts.append(_rows_of_target(draft, part))
        elif isinstance(part, UserEnrollments):
            snapshots = snapshots_of[part.kind, part.targets]
            _check_left_out(part, snapshots, list_all)
            parts.append(_rows_of_users(draft, part, everywhere[index][1], snapshots))
        else:
            parts.append(part)
    return Selection(tuple(parts))


def _warn_of_parts(draft: Draft, selection: Selection) -> None:
    """Add warnings for targets that are all numbers, and for exclusions in one part of several."""
    for part in selection.parts:
        if isinstance(part, UserEnrollments):
            codes = {target.code for target in part.named_targets}
            if codes == {None}:
                note = numbers_note(len(part.named_targets), part.noun, "code")
                draft.warnings.append(note)
    if len(selection.parts) > 1:
        for part in selection.parts:
            if not isinstance(part, Rows) and part.exclude:
                where = part.target if isinstance(part, WholeTarget) else part.where
                draft.warnings.append(
                    f"{where}: exclude= holds for this part of the job only; another part may "
                    "select the same users"
                )


def _resolved(draft: Draft, target: Target) -> PlannedTarget:
    resolved = draft.resolved[target]
    if isinstance(resolved, Fault):
        raise InvalidInputError(resolved.reason)
    return resolved


def _rows_of_target(draft: Draft, part: WholeTarget) -> Rows:
    """Make a row of each enrollment of a target."""
    target = _resolved(draft, part.target)
    inactive = None if part.inactive_since is None else _inactive(draft, part.inactive_since)
    people = _people_in(draft.snapshots[target.key])
    names = [
        (person.user_id, username_in(person)) for person in people if person.user_id is not None
    ]
    excluded = excluded_ids(draft, part.exclude, names, str(target), "enrolled")
    by_id = part.target.code is None
    key = part.target.target_id if by_id else part.target.code
    rows = Rows((f"{part.target.kind}_{'id' if by_id else 'code'}", *_USER))
    for person in people:
        if person.user_id not in excluded and (inactive is None or person.user_id in inactive):
            rows.add((key, person.user_id, person.username), None, part.target, person.user_id)
    if not len(rows):
        draft.warnings.append(f"no enrollment of {part.target} matches: nothing to archive there")
    return rows


def _people(draft: Draft, part: UserEnrollments) -> People:
    if part.inactive_since is not None:
        inactive = _inactive(draft, part.inactive_since)
        people = inactive.items()
        excluded = excluded_ids(draft, part.exclude, people, "inactive users", "inactive")
        return {key: name for key, name in inactive.items() if key not in excluded}, {}
    names = {name_in(user) for user in part.users if not isinstance(user, int)}
    ids = find_usernames(draft.client, names) if names else {}
    names_by_id: dict[int, str | None] = {}
    faults: dict[UserKey, Fault] = {}
    for user in part.users:
        if isinstance(user, int):
            names_by_id.setdefault(user, None)
            continue
        name = name_in(user)
        matches = ids.get(name, set())
        if isinstance(user, tuple):
            if user[0] in matches:
                names_by_id[user[0]] = name
            else:
                reason = f"user {user[0]} is not {name!r}: is the record of another platform?"
                faults[user] = Fault("disagree", reason)
        elif len(matches) == 1:
            names_by_id[min(matches)] = name
        elif matches:
            faults[user] = Fault(*ambiguous_user(name, matches))
        else:
            reason = f"no user has the username {name!r}; names match exactly"
            faults[user] = Fault("unknown_user", reason)
    if part.users and all(isinstance(user, int) for user in part.users):
        draft.warnings.append(numbers_note(len(part.users)))
    return names_by_id, faults


def _inactive(draft: Draft, since: datetime | timedelta) -> dict[int, str | None]:
    """Return the names of the inactive users by id, read once for each time."""
    if since not in draft.inactive:
        users = draft.client.users.inactive(since=since)
        draft.inactive[since] = {user.user_id: user.username for user in users}
        moment = since
        if isinstance(moment, timedelta):
            moment = draft.client.session.platform_time() - moment
        number = plural(len(draft.inactive[since]), "user")
        draft.warnings.append(
            f"{number} inactive since {moment:%Y-%m-%d %H:%M:%S} UTC; "
            "those who never logged in are not included"
        )
    return draft.inactive[since]


def _check_left_out(
    part: UserEnrollments, snapshots: Iterable[Snapshot], list_all: ListTargets
) -> None:
    """Refuse an id of no course: it may be a code that was made a number, and would do nothing."""
    read = {snapshot.target.target_id for snapshot in snapshots}
    ids = {target.target_id for target in part.left_out if target.code is None} - read
    if not ids:
        return
    listed = list_all(part.kind)
    for target_id in sorted(filter(None, ids - {target.target_id for target in listed})):
        same = [target.target_id for target in listed if target.code == str(target_id)]
        hint = f"; it is the code of {part.noun} {same[0]}: give codes as text" if same else ""
        raise InvalidInputError(
            f"exclude_courses= names {part.noun} {target_id}, which is not on the platform{hint}"
        )


def _read_everywhere(
    draft: Draft, parts: Iterable[tuple[UserEnrollments, People]], list_all: ListTargets
) -> dict[Scope, list[Snapshot]]:
    """Read the enrollments of all these users, once for all parts with the same scope."""
    users: dict[Scope, dict[int, None]] = {}
    for part, (names, _) in parts:
        users.setdefault((part.kind, part.targets), {}).update(dict.fromkeys(names))
    return {
        (kind, targets): list(_read_users(draft, kind, targets, sorted(ids), list_all))
        for (kind, targets), ids in users.items()
    }


def _read_users(
    draft: Draft,
    kind: TargetKind,
    targets: Sequence[Target] | None,
    user_ids: Sequence[int],
    list_all: ListTargets,
) -> Iterator[Snapshot]:
    """Read the enrollments of these users, in these targets or in every one.

    Without the platform's list over all targets, each of them is read.
    """
    if not user_ids:
        return
    if targets is None:
        read = SharedList(draft.client, kind).of_users(user_ids, draft.terms.only)
        if read is not None:
            for target in sorted(read, key=lambda target: target.target_id):
                yield draft.keep(target, read[target], frozenset(user_ids))
            return
    searched = (
        list_all(kind) if targets is None else [_resolved(draft, target) for target in targets]
    )
    read_there = dict(read_targets(draft, dict.fromkeys(searched, user_ids)))
    for target in searched:
        snapshot = read_there[target]
        if not isinstance(snapshot, NotFoundError):
            yield snapshot
        elif targets is not None:
            raise InvalidInputError(f"there is no {target} on the platform: {snapshot}")


def _rows_of_users(
    draft: Draft, part: UserEnrollments, people: People, snapshots: Sequence[Snapshot]
) -> Rows:
    """Make a row of each enrollment of these users, and one of each user who has none."""
    names, faults = people
    left_out = {_resolved(draft, target).key for target in part.left_out}
    rows = Rows((f"{part.kind}_id", f"{part.kind}_code", *_USER))
    enrolled: set[int] = set()
    for snapshot in snapshots:
        planned_target = snapshot.target
        if planned_target.key in left_out:
            continue
        target_id, code = planned_target.target_id, planned_target.code or None
        target = Target(part.kind, target_id=target_id, code=code)
        draft.resolved[target] = planned_target
        for person in _people_in(snapshot):
            user_id = person.user_id
            if user_id is not None and user_id in names:
                enrolled.add(user_id)
                cells = (target_id, code, user_id, person.username)
                rows.add(cells, None, target, user_id)
    statuses = " or ".join(status_words(draft.terms))
    reason = f"no {statuses} enrollment found in any {part.noun} of this job"
    for user_id, name in names.items():
        if user_id not in enrolled:
            fault = Fault("not_enrolled", reason)
            rows.add((None, None, user_id, name), None, None, user_id, fault)
    for user, fault in faults.items():
        id_and_name = user if isinstance(user, tuple) else (None, user)
        rows.add((None, None, *id_and_name), None, None, user, fault)
    return rows


def _people_in(snapshot: Snapshot) -> list[Person]:
    """Return the enrollments with a user id, including those that cannot be archived."""
    read = snapshot.enrollments
    return [*read.items, *(item for item in read.unreadable if item.user_id is not None)]
