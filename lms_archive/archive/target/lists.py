"""Read the active and the archived enrollments of a course or learning plan, whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from math import ceil
from operator import attrgetter
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from lms_archive.archive.selection import UserKey
from lms_archive.archive.target.complete import CompleteList, joined, read_complete, read_once
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus
from lms_archive.wire.pages import Page, of_target, tolerant_pages, with_partial

T = TypeVar("T")
Active = CourseEnrollment | LearningPlanEnrollment
Archived = ArchivedCourseEnrollment | ArchivedLearningPlanEnrollment

GRACE: Final = timedelta(minutes=2)
"""How far the platform's own times may disagree."""
LAG: Final = 60.0
"""Seconds for which a record that should be there is looked for again (assumed to be enough)."""
IDENTITY: Final = frozenset({"enrolled_at"})
"""The field that identifies an active enrollment, together with its target and user."""

_ARCHIVED_IDENTITY = frozenset({"enrollment.enrolled_at", "archiving.archived_at"})
_user_of_active: Callable[[Any], int] = attrgetter("user_id")
_user_of_archived: Callable[[Any], int] = attrgetter("user.user_id")
_record_id: Callable[[Any], int] = attrgetter("archiving.record_id")


@frozen
class TargetLists:
    """The active and the archived enrollments of a course or learning plan.

    Each call asks for one page of users, so that an address has 200 ids at most. Entries of other
    users are dropped, because the platform may ignore the filter; where it does, the whole list is
    read once.
    """

    client: Client
    target: PlannedTarget

    def active_pages(
        self,
        *,
        users: Sequence[int] | None = None,
        statuses: Iterable[EnrollmentStatus] | None = None,
    ) -> Iterator[Page[Active]]:
        """Yield the pages of the active list."""
        cls = CourseEnrollment if self.target.kind == "course" else LearningPlanEnrollment
        status = None if statuses is None else [str(status) for status in statuses]
        listed = self._pages(self._active, cls, user_ids=users, status=status)
        return of_target(listed, self.target.target_id, attrgetter(f"{self.target.kind}_id"))

    def archived_pages(
        self, *, users: Sequence[int] | None = None, since: datetime | None = None
    ) -> Iterator[Page[Archived]]:
        """Yield the pages of the archived list."""
        kind = self.target.kind
        cls = ArchivedCourseEnrollment if kind == "course" else ArchivedLearningPlanEnrollment
        listed = self._pages(self._archived, cls, user_ids=users, archived_from=since)
        return of_target(listed, self.target.target_id, attrgetter(f"{kind}.{kind}_id"))

    def active(
        self,
        *,
        users: Sequence[int] | None = None,
        statuses: Iterable[EnrollmentStatus] | None = None,
    ) -> CompleteList[Active]:
        """Read the active enrollments: all of them, or those of these users.

        Raises:
            NotFoundError: there is no such target.
            ApiError: a call failed, or the list was never whole.
        """

        def pages(user_ids: Sequence[int] | None) -> Iterator[Page[Active]]:
            return self.active_pages(users=user_ids, statuses=statuses)

        return self._read(self._active, pages, _user_of_active, _user_of_active, users)

    def find_active(
        self,
        users: Iterable[UserKey],
        *,
        statuses: Sequence[EnrollmentStatus],
        resolve: Callable[[Collection[str]], Mapping[str, int]],
    ) -> CompleteList[Active]:
        """Read the active enrollments of users given by id, username or both, in few calls.

        Users are read by id where that is fewer calls than the whole list. Names are looked for in
        the whole list; where it changes while it is read, they are resolved and read by id.

        Args:
            users: whose enrollments.
            statuses: only in these states.
            resolve: returns the ids of usernames.
        """
        keys = list(users)
        ids, names = _ids_in(keys), _names_in(keys)
        calls = ceil(len(ids) / self._size)
        if calls == 1 and not names:
            return self.active(users=sorted(ids), statuses=statuses)
        listed = self.active_pages(statuses=statuses)
        first = next(listed)
        # An id with a name may be another user's, who is in the list.
        by_id = not any(isinstance(key, str) for key in keys)
        if not by_id or calls >= (first.last or 1) - 1:
            reading = read_once(chain([first], listed), _user_of_active)
            if not reading.flaw:
                complete = reading.complete()
                return complete if first.total is None else evolve(complete, listed=first.total)
            # A name may be of two users: both are read, so that the matching sees it.
            ids |= {item.user_id for item in reading.items if item.username in names}
            names -= {item.username for item in reading.items if item.username is not None}
            ids |= set(resolve(names).values())
        complete = self.active(users=sorted(ids), statuses=statuses)
        return complete if first.total is None else evolve(complete, listed=first.total)

    def active_by_user(
        self,
        users: Sequence[int],
        *,
        statuses: Sequence[EnrollmentStatus] | None = None,
        expected: int = 0,
    ) -> dict[int, Active]:
        """Read the active enrollments of these users, whatever their state, by user id.

        Args:
            users: whose enrollments.
            statuses: where given, the whole list in these states may be read instead, where that
                is fewer calls; an enrollment whose state changed meanwhile is then not seen.
            expected: how many enrollments that list is expected to have.

        Raises:
            ApiError: a call failed, the list was never whole, or the enrollment date of one of
                these users cannot be read.
        """
        if not users:
            return {}
        listed: CompleteList[Active] | None = None
        if statuses is not None and ceil(expected / self._size) < ceil(len(users) / self._size):
            reading = read_once(self.active_pages(statuses=statuses), _user_of_active)
            listed = (
                None if reading.flaw else reading.complete().of_users(_user_of_active, set(users))
            )
        if listed is None:
            listed = self.active(users=users)
        return {item.user_id: item for item in listed.with_partial(IDENTITY)}

    def find_archived(self, users: Sequence[int], *, since: datetime) -> dict[int, list[Archived]]:
        """Read the archived records of these users since then, by user id, in few calls.

        Raises:
            ApiError: as for `archived`.
        """
        calls = ceil(len(users) / self._size)
        if calls > 1:
            pages = self.archived_pages(since=since)
            first = next(pages)
            if calls >= (first.last or 1) - 1:
                reading = read_once(chain([first], pages), _record_id)
                if not reading.flaw:
                    listed = reading.complete().of_users(_user_of_archived, set(users))
                    return _by_user(listed, since)
        return self.archived(users=users, since=since)

    def archived(
        self, *, users: Sequence[int] | None = None, since: datetime
    ) -> dict[int, list[Archived]]:
        """Read the archived records since then, by user id: of all users, or of these.

        Raises:
            ApiError: a call failed, the list was never whole, or the dates of one of these records
                cannot be read.
        """
        if users is not None and not users:
            return {}

        def pages(user_ids: Sequence[int] | None) -> Iterator[Page[Archived]]:
            return self.archived_pages(users=user_ids, since=since)

        listed = self._read(self._archived, pages, _record_id, _user_of_archived, users)
        return _by_user(listed, since)

    def check_archived(self, users: Sequence[int]) -> None:
        """Read a page of the archived list, to see that it exists and can be read.

        Raises:
            UnexpectedResponseError: which enrollment a record is of cannot be read.
            ApiError: the call failed; there may be no such list.
        """
        page = next(with_partial(self.archived_pages(users=users), _ARCHIVED_IDENTITY))
        for item in page.unreadable:
            raise UnexpectedResponseError("GET", page.path, status=200, faults=item.faults)

    def total(self) -> int | None:
        """Return how many active enrollments there are, where the platform says so."""
        return next(self.active_pages()).total

    def ignores_users(self, user_id: int) -> bool:
        """Return whether the platform ignores the filter of users; the first time, by one call."""
        ignored = self.client.session.ignored_filters
        if self._active not in ignored:
            page = next(self.active_pages(users=[user_id]))
            if any(item.user_id != user_id for item in page.items):
                ignored.add(self._active)
        return self._active in ignored

    def archived_total(self, user_id: int) -> int:
        """Return how many archived enrollments are listed in spite of filters that exclude them."""
        now = self.client.session.platform_time()
        page = next(self.archived_pages(users=[user_id], since=now))
        return len(page.items) if page.total is None else page.total

    @property
    def _size(self) -> int:
        return self.client.limits.page_size

    @property
    def _active(self) -> str:
        return f"{self.target.kind}_enrollments"

    @property
    def _archived(self) -> str:
        return f"archived_{self.target.kind}_enrollments"

    def _pages(self, operation: str, cls: Any, **filters: Any) -> Iterator[Page[Any]]:
        filters[f"{self.target.kind}_id"] = self.target.target_id
        return tolerant_pages(self.client.session, operation, cls, filters)

    def _read(
        self,
        operation: str,
        begin: Callable[[Sequence[int] | None], Iterator[Page[T]]],
        identity: Callable[[T], Hashable],
        user: Callable[[T], int],
        user_ids: Sequence[int] | None,
    ) -> CompleteList[T]:
        """Read the items of these users, a page of users a call; of all users, if None."""
        if user_ids is None:
            return read_complete(partial(begin, None), identity)
        session, size = self.client.session, self._size
        batches = [user_ids[start : start + size] for start in range(0, len(user_ids), size)]
        if not batches:
            return CompleteList((), (), session.platform_time(), "", 0)

        def begin_batch(batch: Sequence[int]) -> Iterator[Page[T]]:
            for page in begin(batch):
                if not {user(item) for item in page.items} <= set(batch):
                    session.ignored_filters.add(operation)
                    if len(batches) > 1:
                        raise FilterIgnored
                yield page

        parts: list[CompleteList[T]] = []
        if len(batches) == 1 or operation not in session.ignored_filters:
            with suppress(FilterIgnored):
                parts = [read_complete(partial(begin_batch, batch), identity) for batch in batches]
        if not parts:
            parts = [read_complete(partial(begin, None), identity)]
        return joined(parts).of_users(user, set(user_ids))


class FilterIgnored(Exception):
    """The platform ignores a filter of a list."""


def _by_user(listed: CompleteList[Archived], since: datetime) -> dict[int, list[Archived]]:
    """Group the records since then by user id; the filter of dates may be ignored.

    Raises:
        UnexpectedResponseError: the dates of one of them cannot be read.
    """

    def is_older(record: Archived) -> bool:
        at = record.archiving.archived_at
        return at is not None and at < since

    records: dict[int, list[Archived]] = defaultdict(list)
    for record in listed.with_partial(_ARCHIVED_IDENTITY, is_older):
        if record.archiving.archived_at is not None and not is_older(record):
            records[record.user.user_id].append(record)
    return records


def name_in(enrollment: Active) -> tuple[str | None, str | None]:
    """Return the code and the title of the target that an enrollment is in."""
    if isinstance(enrollment, CourseEnrollment):
        return enrollment.course_code, enrollment.course_title
    return enrollment.learning_plan_code, enrollment.learning_plan_title


def _ids_in(users: Iterable[UserKey]) -> set[int]:
    """Return the ids among these users."""
    return {key if isinstance(key, int) else key[0] for key in users if not isinstance(key, str)}


def _names_in(users: Iterable[UserKey]) -> set[str]:
    """Return the usernames among these users."""
    return {key if isinstance(key, str) else key[1] for key in users if not isinstance(key, int)}
