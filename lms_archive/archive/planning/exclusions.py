"""Find the users whom `exclude` names, and refuse names that would miss the one who is meant."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from lms_archive.archive.planning.reading import Draft
from lms_archive.archive.planning.resolve import find_usernames
from lms_archive.archive.selection import IGNORED_IN_NAMES, UserKey, comparable_name
from lms_archive.errors import InvalidInputError, plural

_SHOWN = 5
_SEPARATORS: Final = re.compile(r"""[,;|"'\s]+""")
"""What separates the names in a text that holds several, or surrounds one."""


def name_in(user: str | tuple[int, str]) -> str:
    """Return the username of a user who was given by name, or as a record."""
    return user if isinstance(user, str) else user[1]


def excluded_ids(
    draft: Draft,
    exclude: Collection[UserKey],
    people: Collection[tuple[int, str | None]],
    where: str,
    state: str,
) -> set[int]:
    """Return the ids of the excluded users, and add a note to the plan.

    Names match exactly, except for spaces around them. Where the list has no usernames, they are
    looked up.

    Args:
        draft: what is collected for the plan.
        exclude: ids, usernames, and both of records, which must agree.
        people: the ids and usernames of those who would be archived otherwise.
        where: where they are, in words.
        state: what they have in common, such as "enrolled".

    Raises:
        InvalidInputError: a name matches no user, but differs little from that of one; or a record
            is of another platform.
    """
    if not exclude:
        return set()
    selected = {user_id for user_id, _ in people}
    named: dict[str, set[int]] = defaultdict(set)
    for user_id, username in people:
        if username is not None:
            named[username.strip()].add(user_id)
    if any(username is None for _, username in people):
        names = {name_in(user) for user in exclude if not isinstance(user, int)} - named.keys()
        for name, user_ids in find_usernames(draft.client, names).items():
            named[name.strip()] |= user_ids
    keys = {key[0] if isinstance(key, tuple) else key for key in exclude}
    meant = {key: named.get(key, set()) if isinstance(key, str) else {key} for key in keys}
    unmatched = [key for key, ids in meant.items() if ids.isdisjoint(selected)]
    comparable = {_comparable(name): name for name in named if name.isdigit()}
    try:
        _check_records(exclude, selected, named)
        _check_spelling(draft, unmatched, named, state)
        _check_kinds(keys, unmatched, selected, comparable)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from None
    text = f"{where}: {plural(len(meant) - len(unmatched), 'user')} excluded"
    if all(isinstance(key, int) for key in exclude):
        text += ", all given as ids"
    if unmatched:
        shown = [
            f"{key!r}{_id_or_name(key, selected, comparable)}"
            for key in sorted(unmatched, key=repr)
        ]
        ellipsis = ", ..." if shown[_SHOWN:] else ""
        text += f"; no match for {', '.join(shown[:_SHOWN])}{ellipsis}"
    draft.warnings.append(text)
    return set().union(*meant.values())


def _check_records(
    exclude: Iterable[UserKey], selected: Collection[int], named: Mapping[str, Collection[int]]
) -> None:
    """Refuse a record whose id and username are not of one user: it is of another platform."""
    for user in exclude:
        if not isinstance(user, tuple):
            continue
        ids = named.get(user[1].strip(), ())
        if user[0] not in ids and (ids or user[0] in selected):
            raise InvalidInputError(
                f"exclude= contains a record of user {user[0]} with the username {user[1]!a}, and "
                "on this platform they are not of one user: is the record of another platform?"
            )


def _check_spelling(
    draft: Draft, unmatched: Iterable[int | str], names: Iterable[str], state: str
) -> None:
    """Refuse a name that nearly matches a selected user: it would exclude no user."""
    wrong = [name for name in unmatched if isinstance(name, str)]
    similar = {_comparable(name): name for name in names} if wrong else {}
    for name in sorted(wrong):
        meant = similar.get(_comparable(name))
        if meant is not None:
            raise InvalidInputError(
                f"exclude= contains {name!a}, and {meant!a} is {state}: they differ only in "
                f"{IGNORED_IN_NAMES.replace(' or ', ', ')} or leading zeros. Give that user's name "
                "as it is on the platform; if you mean another user, give the id"
            )
        inside = [part for part in _SEPARATORS.split(name) if _comparable(part) in similar]
        if inside and not find_usernames(draft.client, [name]):  # else it is a name with spaces
            raise InvalidInputError(
                f"exclude= contains {name!a}, and {similar[_comparable(inside[0])]!a} is "
                f"{state}: give each name as a text of its own, without quotes"
            )


def _comparable(name: str) -> str:
    """Return a name without what is easily lost or confused: see `comparable_name`, and zeros."""
    text = comparable_name(name)
    return text.lstrip("0") if text.isdigit() else text


def _check_kinds(
    exclude: Collection[int | str],
    unmatched: Collection[int | str],
    ids: Collection[int],
    names: Mapping[str, str],
) -> None:
    """Refuse ids that were given as texts, and usernames that were given as numbers.

    A single one may be a coincidence. They are refused if more of them look like the other kind
    than match an enrolled user as they are.
    """
    for kind in (str, int):
        of_kind = [key for key in exclude if isinstance(key, kind)]
        wrong = [key for key in unmatched if key in of_kind and _id_or_name(key, ids, names)]
        if len(wrong) > len(of_kind) - sum(key in unmatched for key in of_kind):
            first = min(wrong, key=repr)
            raise InvalidInputError(f"exclude= contains {first!r}{_id_or_name(first, ids, names)}")


def _id_or_name(key: int | str, ids: Collection[int], names: Mapping[str, str]) -> str:
    """Return a hint where a text is the id of a user, or a number is a username.

    *names* has the usernames by `_comparable`.
    """
    if isinstance(key, str) and key.isascii() and key.isdigit() and int(key) in ids:
        return " (it is the id of a user there: give ids as int)"
    if isinstance(key, int) and str(key) in names:
        return f" (there is a user named {names[str(key)]!r}: give usernames as str)"
    return ""
