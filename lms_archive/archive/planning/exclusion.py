"""Find the users whom `exclude` names, and refuse a name that matches no user by mistake."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from lms_archive.archive.selection import comparable_name
from lms_archive.errors import InvalidInputError, plural

__all__ = ["resolve_excluded"]

_SHOWN = 5
_SEPARATORS: Final = re.compile(r"""[,;|"'\t\r\n]+""")
"""What separates the names in a text that holds several, or surrounds one."""


def resolve_excluded(
    exclude: Collection[int | str],
    people: Iterable[tuple[int, str | None]],
    find: Callable[[Collection[str]], Mapping[str, int]],
    *,
    state: str,
) -> tuple[set[int], list[str]]:
    """Return the ids of the excluded users, and a note for the plan.

    Names match exactly, except for spaces around them. Where the list has no usernames, they are
    looked up.

    Args:
        exclude: ids and usernames.
        people: the users who would be archived otherwise: ids and usernames.
        find: finds the ids of usernames.
        state: what these users have in common, such as "enrolled".

    Raises:
        InvalidInputError: a name matches no user, but differs little from that of one.
    """
    if not exclude:
        return set(), []
    people = list(people)
    enrolled = {user_id for user_id, _ in people}
    named: dict[str, set[int]] = defaultdict(set)
    for user_id, username in people:
        if username is not None:
            named[username.strip()].add(user_id)
    if any(username is None for _, username in people):
        names = {name for name in exclude if isinstance(name, str)} - named.keys()
        for name, user_id in find(names).items():
            named[name].add(user_id)
    meant = {key: named.get(key, set()) if isinstance(key, str) else {key} for key in exclude}
    unmatched = [key for key, ids in meant.items() if ids.isdisjoint(enrolled)]
    _check_spelling(unmatched, named, state)
    _check_kinds(exclude, unmatched, enrolled, named)
    count = len(meant) - len(unmatched)
    text = f"{plural(count, 'user')} excluded"
    if all(isinstance(key, int) for key in exclude):
        text += ", all given as ids"
    if unmatched:
        shown = [
            f"{key!r}{_id_or_name(key, enrolled, named)}" for key in sorted(unmatched, key=repr)
        ]
        ellipsis = ", ..." if shown[_SHOWN:] else ""
        text += "; no match for "
        text += ", ".join(shown[:_SHOWN]) + ellipsis
    return set().union(*meant.values()), [text]


def _check_spelling(unmatched: Iterable[int | str], names: Iterable[str], state: str) -> None:
    """Refuse a name that nearly matches a selected user: it would exclude no user."""
    wrong = [name for name in unmatched if isinstance(name, str)]
    similar = {comparable_name(name): name for name in names} if wrong else {}
    for name in sorted(wrong):
        meant = similar.get(comparable_name(name))
        if meant is not None:
            raise InvalidInputError(
                f"exclude= contains {name!a}, and {meant!a} is {state}: they differ only in case, "
                "spaces, invisible characters or Unicode form. Give that user's name as it is "
                "on the platform; if you mean another user, give the id"
            )
        inside = [part for part in _SEPARATORS.split(name) if comparable_name(part) in similar]
        if inside:
            raise InvalidInputError(
                f"exclude= contains {name!a}, and {similar[comparable_name(inside[0])]!a} is "
                f"{state}: give each name as a text of its own, without quotes"
            )


def _check_kinds(
    exclude: Collection[int | str],
    unmatched: Collection[int | str],
    ids: Collection[int],
    names: Collection[str],
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


def _id_or_name(key: int | str, ids: Collection[int], names: Collection[str]) -> str:
    """Return a hint where a text is the id of a user, or a number is a username."""
    if isinstance(key, str) and key.isascii() and key.isdigit() and int(key) in ids:
        return " (it is the id of a user there: give ids as int)"
    if isinstance(key, int) and str(key) in names:
        return " (it is the username of a user there: give usernames as str)"
    return ""
