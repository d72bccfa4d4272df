"""Find out why rows have no enrollment to archive, on request: this costs calls."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

from attrs import evolve

from lms_archive.archive.planning.reading import Draft
from lms_archive.archive.planning.resolve import (
    ambiguous_user,
    find_usernames,
    spelling_hint,
)
from lms_archive.archive.selection import (
    IGNORED_IN_NAMES,
    Selection,
    UserKey,
    comparable_name,
)
from lms_archive.archive.selection.rows import user_id_of
from lms_archive.archive.selection.terms import status_words
from lms_archive.archive.target.lists import Active, Archived, TargetLists
from lms_archive.archive.values.chunks import EPOCH, PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import NotFoundError


def explain(draft: Draft, selection: Selection) -> None:
    """Replace the skips of rows without an enrollment by skips that say why there is none."""
    numbers_in: dict[PlannedTarget, list[int]] = defaultdict(list)
    keys: dict[int, UserKey] = {}
    for number, skip in enumerate(draft.skips):
        if not skip.is_unexplained:
            continue
        row = selection[skip.row]
        target = draft.resolved[row.target] if row.target else None
        if isinstance(target, PlannedTarget) and row.user is not None:
            numbers_in[draft.snapshots[target.key].target].append(number)
            keys[number] = row.user
    names = {key for key in keys.values() if isinstance(key, str)}
    ids_of = find_usernames(draft.client, names) if names else {}
    ids = {name: min(user_ids) for name, user_ids in ids_of.items() if len(user_ids) == 1}
    exists: dict[int, bool] = dict.fromkeys(ids.values(), True)
    for target, numbers in draft.counted(numbers_in.items(), "explained", len(numbers_in)):
        user_ids = {
            number: ids.get(key) if isinstance(key := keys[number], str) else user_id_of(key)
            for number in numbers
        }
        wanted = sorted({user for user in user_ids.values() if user is not None})
        lists = TargetLists(draft.client, target)
        active = lists.active_by_user(wanted)
        archived = lists.find_archived(wanted, since=EPOCH) if wanted else {}
        unseen = set(wanted) - active.keys() - archived.keys() - exists.keys()
        exists.update((user_id, _exists(draft.client, user_id)) for user_id in sorted(unseen))
        for number, user in user_ids.items():
            user_id = user if user is None or exists.get(user, True) else None
            code, reason = _reason(draft, target, user_id, active, archived)
            if user_id is None:
                key = keys[number]
                code, reason = "unknown_user", _unknown_user(draft.client, key)
                if isinstance(key, str) and key in ids_of:
                    code, reason = ambiguous_user(key, ids_of[key])
            skip = draft.skips[number]
            draft.skips[number] = evolve(skip, code=code, reason=reason, user_id=user_id)


def _exists(client: Client, user_id: int) -> bool:
    try:
        client.users.get(user_id)
    except NotFoundError:
        return False
    return True


def _unknown_user(client: Client, key: UserKey) -> str:
    """Say that there is no such user, with a similar username if there is one."""
    if not isinstance(key, str):
        return f"there is no user {user_id_of(key)} on the platform"
    reason = f"no user has the username {key!r}"
    search = "".join(filter(str.isprintable, unicodedata.normalize("NFKC", key)))
    search = search.strip().lstrip("0")
    page = next(client.users.pages(search=search), None) if search else None
    for user in page.items if page else ():
        if _comparable(user.username) == _comparable(key):
            ignored = IGNORED_IN_NAMES.replace(" or ", ", ")
            return f"{reason}; {user.username!r} differs only in {ignored} or leading zeros"
    return reason + spelling_hint(key, None)


def _comparable(name: str) -> str:
    return comparable_name(name).lstrip("0")


def _reason(
    draft: Draft,
    target: PlannedTarget,
    user: int | None,
    active: dict[int, Active],
    archived: dict[int, list[Archived]],
) -> tuple[str, str]:
    """Say what is known of a user in a target, as a code and a sentence."""
    if user in active and active[user].status in draft.terms.only:
        return "not_enrolled", f"enrolled in {target} while the plan was made: plan again"
    if user in active:
        status = str(active[user].status).replace("_", " ")
        wanted = " or ".join(status_words(draft.terms))
        return "other_status", f"the enrollment in {target} is {status}, not {wanted}"
    dates = [record.archiving.archived_at for record in archived.get(user or 0, ())]
    if dates:
        latest = max(date for date in dates if date is not None)
        return "archived_earlier", (
            f"already archived in {target} on {latest:%Y-%m-%d %H:%M:%S} UTC, and not enrolled now"
        )
    return "not_enrolled", f"not enrolled in {target}, and has no archived enrollment there"
