"""Match each row with its enrollment, or give the reason why it has none. Makes no calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

from attrs import define, field, frozen

from lms_archive.archive.planning.resolve import ambiguous_user, spelling_hint
from lms_archive.archive.selection import Rows, UserKey, comparable_name
from lms_archive.archive.selection.cells import is_blank
from lms_archive.archive.selection.rows import user_id_of
from lms_archive.archive.selection.terms import Terms, status_words
from lms_archive.archive.target.lists import Active
from lms_archive.archive.values.chunks import PlannedEnrollment
from lms_archive.archive.values.outcomes import NOT_CHECKED, Skip
from lms_archive.records.status import ARCHIVABLE, ArchiveMode, EnrollmentLevel, EnrollmentStatus
from lms_archive.wire.pages import UnreadableItem

Person = Active | UnreadableItem[Active]
"""An enrollment that was read, or one that cannot be archived because of a value in it."""

_LEARNER = EnrollmentLevel.LEARNER
_NOT_ARCHIVABLE: Final = {
    EnrollmentStatus.WAITING: "is on the waiting list",
    EnrollmentStatus.TO_CONFIRM: "waits for confirmation",
    EnrollmentStatus.OVERBOOKING: "is overbooked",
    EnrollmentStatus.SUSPENDED: "is suspended",
    EnrollmentStatus.NOT_STARTED: "is reported as not started",
}


@frozen
class RequestedRows:
    """The rows of one target, in input order: their indexes, and the users that they name."""

    rows: Sequence[int]
    users: Sequence[UserKey]

    def __iter__(self) -> Iterator[tuple[int, UserKey]]:
        return zip(self.rows, self.users, strict=True)


@define
class Match:
    """Matches the rows of one target with the enrollments that were read there.

    Attributes:
        terms: what is done with each row.
        items: the enrollments, one for a user.
        find: finds the ids of usernames, where the list does not have them.
        where: describes the position of a row, such as "line 4".
        unreadable: the enrollments in which a value cannot be read: they are not archived.
        skips: the rows for which nothing is archived, filled by `members`.
    """

    terms: Terms
    items: Sequence[Active]
    find: Callable[[Collection[str]], Mapping[str, int]]
    where: Callable[[int], str]
    unreadable: Sequence[UnreadableItem[Active]] = ()
    skips: list[Skip] = field(factory=list)
    _similar: dict[str, str] | None = field(default=None, init=False)

    def members(self, rows: RequestedRows) -> Iterator[PlannedEnrollment]:
        """Yield the enrollment of each row that is to be archived, in the order of the rows."""
        people: list[Person] = [*self.items, *self.unreadable]
        by_id = {person.user_id: person for person in people if person.user_id is not None}
        by_name = {name: person for person in people if (name := username_in(person))}
        namesakes = _namesakes(people)
        if not all(map(username_in, people)):
            names = {name for key in rows.users if (name := _username(key))} - by_name.keys()
            ids = self.find(names) if names else {}
            by_name.update((name, by_id[i]) for name, i in ids.items() if i in by_id)

        first_rows: dict[int, int] = {}
        for index, key in rows:
            name = _username(key) or ""
            name = name if name in by_name else name.strip()  # exactly, or else without spaces
            member = by_name.get(name) if isinstance(key, str) else by_id.get(user_id_of(key))
            fault = _fault(key, member, by_name.get(name), namesakes.get(name, ()))
            if fault is not None:
                self._skip(index, fault)
            elif member is None:
                self._skip(index, ("not_enrolled", self._not_enrolled(key, by_name)))
            elif isinstance(member, UnreadableItem):
                self._skip(index, ("bad_enrollment", _unreadable(member)), member)
            elif (ineligible := _ineligible(self.terms, member)) is not None:
                self._skip(index, ineligible, member)
            elif (first := first_rows.setdefault(member.user_id, index)) != index:
                reason = f"same enrollment as {self.where(first)}: archived only once"
                self._skip(index, ("duplicate", reason), member)
            else:
                yield _planned(index, key, member)

    def _not_enrolled(self, key: UserKey, names: Collection[str]) -> str:
        reason = f"no {' or '.join(status_words(self.terms))} enrollment found {NOT_CHECKED}"
        if not isinstance(key, str):
            return reason
        if self._similar is None:
            self._similar = {comparable_name(name): name for name in names}
        hint = spelling_hint(key, self._similar.get(comparable_name(key)))
        if not hint and "@" in key:
            hint = "; is the username really the e-mail address?"
        return reason + hint

    def _skip(self, row: int, why: tuple[str, str], person: Person | None = None) -> None:
        user_id, username = (None, None) if person is None else (person.user_id, person.username)
        self.skips.append(Skip(row, *why, user_id, username=username))


def username_in(person: Person) -> str | None:
    """Return the username in an enrollment; a blank one is missing."""
    return None if is_blank(person.username) else person.username


def merge_requested(parts: Sequence[tuple[int, Rows, Sequence[int]]]) -> RequestedRows:
    """Return the rows of a target, in input order.

    Each of *parts* has the number of rows before it, its rows, and the indexes that are meant.
    """
    merged = [
        RequestedRows(
            [offset + index for index in indexes] if offset else indexes, part.users_at(indexes)
        )
        for offset, part, indexes in parts
    ]
    if len(merged) == 1:
        return merged[0]
    pairs = sorted(chain.from_iterable(merged), key=itemgetter(0))
    return RequestedRows([row for row, _ in pairs], [user for _, user in pairs])


def _username(key: UserKey) -> str | None:
    if isinstance(key, tuple):
        return key[1]
    return key if isinstance(key, str) else None


def _namesakes(people: Iterable[Person]) -> dict[str, set[int]]:
    """Return the ids of users who have the same username, by that name."""
    ids: dict[str, int] = {}
    namesakes: dict[str, set[int]] = {}
    for person in people:
        name, user_id = username_in(person), person.user_id
        if name is None or user_id is None:
            continue
        if ids.setdefault(name, user_id) != user_id:
            namesakes.setdefault(name, {ids[name]}).add(user_id)
    return namesakes


def _fault(
    key: UserKey, person: Person | None, named: Person | None, namesakes: Collection[int]
) -> tuple[str, str] | None:
    """Return why a row does not name one user, or None: two have its name, or id and name differ.

    *named* is who has the name of the row, *namesakes* are the ids where several have it.
    """
    if isinstance(key, str) and namesakes:
        return ambiguous_user(key, namesakes)
    if isinstance(key, tuple) and person is not named and key[0] not in namesakes:
        return "disagree", _disagree(key, person)
    return None


def _disagree(key: tuple[int, str], person: Person | None) -> str:
    actual = f"{person.username!r}, not " if person and person.username else "not "
    return f"user {key[0]} is {actual}{key[1]!r}: correct one of the two"


def _unreadable(item: UnreadableItem[Active]) -> str:
    return f"its enrollment cannot be read, so it is not archived: {item}; archive it by hand"


def _planned(index: int, key: UserKey, enrollment: Active) -> PlannedEnrollment:
    # Where the row has the same name, its text is kept and not the one that was read.
    username = enrollment.username or _username(key)
    if isinstance(key, str) and username == key:
        username = key
    return PlannedEnrollment(
        row=index,
        user_id=enrollment.user_id,
        username=username,
        enrolled_at=enrollment.enrolled_at,
        status=enrollment.status,
        level=enrollment.level,
        completed_at=enrollment.completed_at,
        score=getattr(enrollment, "score", None),
        time_spent=enrollment.time_spent,
    )


def _ineligible(terms: Terms, enrollment: Active) -> tuple[str, str] | None:
    """Return why an enrollment that was found is not archived, or None."""
    status = enrollment.status
    if status is None:
        return "no_status", "the platform reports no status for it, so it is not archived"
    if status not in ARCHIVABLE:
        text = f"has the unknown status {status!r}"
        if isinstance(status, EnrollmentStatus):
            text = _NOT_ARCHIVABLE[status]
        return "status", f"{text}: only {', '.join(sorted(ARCHIVABLE))} can be archived"
    if status not in terms.only:
        return "status", f"is {status}, not {' or '.join(terms.only)}"
    if enrollment.level != _LEARNER and not terms.include_staff:
        return "staff", f"{_staff(enrollment.level)}; include_staff=True includes staff"
    if enrollment.enrolled_at is None and terms.mode is ArchiveMode.RE_ENROLL:
        return "undated", (
            "has no enrollment date, so it could not be distinguished from the one made by "
            "re-enrolling: archive it by hand"
        )
    return None


def _staff(level: str | None) -> str:
    if level is None:
        return "has no level on the platform, so it may be a tutor's"
    return f"is {'an' if level[:1] in 'aeiou' else 'a'} {level}, not a learner"
