"""Which enrollment each row means, and why some mean none that is archived: pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from attrs import define, field, frozen

from lms_archive.archive.cutting import PlannedEnrollment
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.places import Active
from lms_archive.archive.selection import Rows, UserKey
from lms_archive.archive.terms import Terms
from lms_archive.records.making import twin
from lms_archive.records.status import ARCHIVABLE, ArchiveMode, EnrollmentLevel

__all__ = ["Asked", "Match", "asked", "user_id_of", "who_is_left_alone"]

_SHOWN = 5
_LEARNER = EnrollmentLevel.LEARNER


@frozen
class Asked:
    """The rows of one target, in input order, by column.

    Attributes:
        rows: their indexes.
        users: the users that they name.
    """

    rows: Sequence[int]
    users: Sequence[UserKey]

    def __iter__(self) -> Iterator[tuple[int, UserKey]]:
        return zip(self.rows, self.users, strict=True)


@define
class Match:
    """The rows of one target beside the enrollments read there.

    Attributes:
        terms: what is done with each row.
        items: the enrollments, one for a user.
        find: finds the ids of usernames, where the list does not tell them.
        where: the words for a row's place.
        skips: the rows that mean no enrollment that is archived, filled by `members`.
    """

    terms: Terms
    items: Sequence[Active]
    find: Callable[[Collection[str]], Mapping[str, int]]
    where: Callable[[int], str]
    skips: list[Skip] = field(factory=list)
    _near: dict[str, str] | None = field(default=None, init=False)

    def members(self, rows: Asked) -> Iterator[PlannedEnrollment]:
        """The enrollments that are meant, in the order of the rows."""
        by_id = {one.user_id: one for one in self.items}
        by_name = {one.username: one for one in self.items if one.username is not None}
        if any(one.username is None for one in self.items):
            names = {name for key in rows.users if (name := _username(key))} - by_name.keys()
            found = self.find(names) if names else {}
            by_name.update((name, by_id[i]) for name, i in found.items() if i in by_id)
        seen: dict[object, int] = {}
        for index, key in rows:
            one = by_name.get(key) if isinstance(key, str) else by_id.get(user_id_of(key))
            if isinstance(key, tuple) and one is not by_name.get(key[1]):
                self._skip(index, ("disagree", _disagree(key, one)))
                continue
            first = seen.setdefault(one.user_id if one else (key,), index)
            if first != index:
                reason = f"asked for already in {self.where(first)}: archived at most once"
                self._skip(index, ("duplicate", reason), one)
            elif one is None:
                self._skip(index, ("not_enrolled", self._not_seen(key, by_name)))
            elif (unfit := _unfit(self.terms, one)) is not None:
                self._skip(index, unfit, one)
            else:
                yield _pre_image(index, key, one)

    def _not_seen(self, key: UserKey, names: Collection[str]) -> str:
        reason = (
            f"not enrolled as {' or '.join(self.terms.only)}: not enrolled, other status, already "
            "archived, or no such user"
        )
        if not isinstance(key, str):
            return reason
        if self._near is None:
            self._near = {name.casefold(): name for name in names}
        near = self._near.get(key.casefold())
        if near is not None:
            return f"{reason}; {near!r} differs in upper and lower case"
        if "@" in key:
            return f"{reason}; is the username really the e-mail address?"
        return reason

    def _skip(self, row: int, why: tuple[str, str], one: Active | None = None) -> None:
        self.skips.append(Skip(row, *why, None if one is None else one.user_id))


def asked(parts: Sequence[tuple[int, Rows, Sequence[int]]]) -> Asked:
    """The rows at these places, in input order; given is how many rows are before each part."""
    found = [
        Asked([offset + place for place in places] if offset else places, part.users_at(places))
        for offset, part, places in parts
    ]
    if len(found) == 1:
        return found[0]
    together = sorted(chain.from_iterable(found), key=itemgetter(0))
    return Asked([row for row, _ in together], [user for _, user in together])


def user_id_of(key: int | tuple[int, str]) -> int:
    """The id that a row names."""
    return key if isinstance(key, int) else key[0]


def _username(key: UserKey) -> str | None:
    if isinstance(key, tuple):
        return key[1]
    return key if isinstance(key, str) else None


def _disagree(key: tuple[int, str], one: Active | None) -> str:
    known = f"{one.username!r}, not " if one and one.username else "not "
    return f"user {key[0]} is {known}{key[1]!r}: correct one of the two"


_OPEN = twin(PlannedEnrollment)


def _pre_image(index: int, key: UserKey, one: Active) -> PlannedEnrollment:
    made: Any = object.__new__(_OPEN)
    made.row = index
    made.user_id = one.user_id
    # Where the row has the same name, its text is kept and not the one that was read.
    made.username = key if one.username == key else one.username or _username(key)
    made.enrolled_at = one.enrolled_at
    made.status = one.status
    made.level = one.level
    made.completed_at = one.completed_at
    made.score = getattr(one, "score", None)
    made.time_spent = one.time_spent
    made.__class__ = PlannedEnrollment
    image: PlannedEnrollment = made
    return image


def _unfit(terms: Terms, one: Active) -> tuple[str, str] | None:
    """Why an enrollment that is there is not archived all the same."""
    if one.status is None:
        return "no_status", "the platform tells no status for it: never archived on a guess"
    if one.status not in ARCHIVABLE:
        return "status", f"is {one.status}: only {', '.join(sorted(ARCHIVABLE))} can be archived"
    if one.status not in terms.only:
        return "status", f"is {one.status}, not {' or '.join(terms.only)}: left alone"
    if one.level != _LEARNER and not terms.include_staff:
        level = one.level or "of a level the platform does not tell"
        return "staff", f"is {level}, no learner: include_staff=True takes them too"
    if one.enrolled_at is None and terms.mode is ArchiveMode.RE_ENROLL:
        return "undated", (
            "has no enrollment date, so that it could not be told from the one made by "
            "re-enrolling: archive it by hand"
        )
    return None


def who_is_left_alone(
    exclude: Collection[int | str],
    items: Sequence[Active],
    find: Callable[[Collection[str]], Mapping[str, int]],
) -> tuple[set[int], list[str]]:
    """The ids that `exclude` means, and what to tell of it: names match exactly.

    Names are looked up where the list does not tell them.
    """
    if not exclude:
        return set(), []
    known = {one.username: one.user_id for one in items}
    if None in known:
        known.update(find({one for one in exclude if isinstance(one, str)} - known.keys()))
    here = {one.user_id for one in items}
    meant = {one: known.get(one) if isinstance(one, str) else one for one in exclude}
    nobody = sorted(repr(one) for one, user_id in meant.items() if user_id not in here)
    text = f"{len(meant) - len(nobody):,} left alone"
    if nobody:
        shown = ", ".join(nobody[:_SHOWN]) + (", ..." if nobody[_SHOWN:] else "")
        text += f"; exclude also names nobody who would be taken there: {shown}"
    return {user_id for user_id in meant.values() if user_id is not None}, [text]
