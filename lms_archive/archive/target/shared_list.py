"""The platform's list of active enrollments over all courses, or over all learning plans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from lms_archive.archive.selection import TargetKind
from lms_archive.archive.target.complete import CompleteList, joined, read_complete
from lms_archive.archive.target.lists import Active, FilterIgnored, name_in
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import ApiError, AuthenticationError, RateLimitError
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus
from lms_archive.wire.pages import IncompleteListError, Page, UnreadableItem, tolerant_pages

T = TypeVar("T")

MOST_IDS: Final = 200
"""Ids in one address, of targets and users together, so that no address is too long."""
_LONGEST: Final = 20
"""Pages of a shared reading; where a list is longer, its targets are split. A long reading is
likelier to be disturbed, and then saves little."""
_FEW: Final = 8
"""Targets that are not split any more: at more than two pages each, they are not small."""

Wanted = Mapping[PlannedTarget, Collection[int] | None]
"""Targets, and the ids of the users whose enrollments are wanted there; None for all."""
Statuses = Collection[EnrollmentStatus] | None
"""Only enrollments in these states; whatever the state, if None."""


@frozen
class _Filters:
    """What a reading of the list is restricted to; None for no restriction."""

    targets: Sequence[int] | None
    users: Sequence[int] | None
    statuses: Statuses


@frozen
class SharedList:
    """The platform's list of active enrollments over all targets of one kind.

    The session remembers whether the platform lacks the list or ignores one of its filters.
    """

    client: Client
    kind: TargetKind

    @property
    def is_there(self) -> bool:
        """Whether the platform has the list, as far as is known."""
        missing, row = self.client.session.missing_lists, self.client.session.operation(self._name)
        if self._name in missing:
            return False
        filters = {f"{self.kind}_ids", "user_ids"} <= row.params.keys()
        report = self.client.verify_contract([self._name])
        if not filters or report[self._name].state == "not_listed":
            missing.add(self._name)
        return self._name not in missing

    @property
    def filters_users(self) -> bool:
        """Whether the list is there and, as far as is known, obeys both filters."""
        ignored = {self._ignored("user_id"), self._ignored(f"{self.kind}_id")}
        return self.is_there and ignored.isdisjoint(self.client.session.ignored_filters)

    def read_batch(
        self, batch: Wanted, statuses: Statuses
    ) -> Iterator[tuple[PlannedTarget, CompleteList[Active]]]:
        """Read a batch of targets from one list, or in halves where that is too long.

        Raises:
            AuthenticationError: the login failed.
            RateLimitError: the platform's limit of calls is exhausted.
        """
        if len(batch) < 2:  # noqa: PLR2004
            return
        listed = [users for users in batch.values() if users is not None]
        users = sorted(set().union(*listed)) if listed else None
        targets = {target.target_id: target for target in batch}
        try:
            read = self._read(_Filters(sorted(targets), users, statuses), at_most=_LONGEST)
        except _TooLong:
            pairs = list(batch.items()) if len(batch) > _FEW else []
            for half in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]):
                yield from self.read_batch(dict(half), statuses)
            return
        if read is None:
            return
        for target_id, part in self._by_target(read).items():
            wanted = batch[targets[target_id]]
            if wanted is not None:
                part = part.of_users(attrgetter("user_id"), set(wanted))  # noqa: PLW2901
            yield targets[target_id], part
        empty = evolve(read, items=(), unreadable=(), listed=0)
        for target_id in sorted(targets.keys() - set(map(self._target_of, _records(read)))):
            yield targets[target_id], empty

    def of_users(
        self, user_ids: Sequence[int], statuses: Statuses
    ) -> dict[PlannedTarget, CompleteList[Active]] | None:
        """Read the enrollments of these users in every target that has one.

        Return None where the platform cannot tell them from those of others.

        Raises:
            AuthenticationError: the login failed.
            RateLimitError: the platform's limit of calls is exhausted.
        """
        size = min(self.client.limits.page_size, MOST_IDS)
        parts_by_target: dict[int, list[CompleteList[Active]]] = defaultdict(list)
        for start in range(0, len(user_ids), size):
            read = self._read(_Filters(None, user_ids[start : start + size], statuses))
            if read is None:
                return None
            for target_id, part in self._by_target(read).items():
                parts_by_target[target_id].append(part)
        return {self._target(key, parts): joined(parts) for key, parts in parts_by_target.items()}

    def pages_in(self, targets: Iterable[PlannedTarget], statuses: Statuses) -> int:
        """Return how many pages these targets have in all, by a call for 200 of them.

        Return 0 where that is not known.
        """
        target_ids, number = sorted(target.target_id for target in targets), 0
        for start in range(0, len(target_ids), MOST_IDS):
            page = self._first_page(_Filters(target_ids[start : start + MOST_IDS], None, statuses))
            if page is None or page.last is None:
                return 0
            number += page.last
        return number

    def obeys_users(self, targets: Iterable[PlannedTarget], statuses: Statuses) -> bool:
        """Return whether the list can be filtered by user; makes two calls."""
        target_ids = sorted(target.target_id for target in targets)[: MOST_IDS - 1]
        page = self._first_page(_Filters(target_ids, None, statuses))
        if page is None or not page.items:
            return False
        filters = _Filters(target_ids, [page.items[0].user_id], statuses)
        return self._first_page(filters) is not None

    def _first_page(self, filters: _Filters) -> Page[Active] | None:
        pages = self._pages(filters)
        return self._guarded(filters, lambda: next(pages))

    @property
    def _name(self) -> str:
        return f"all_{self.kind}_enrollments"

    def _ignored(self, word: str) -> str:
        return f"{self._name} by {word}"

    def _target_of(self, item: Active) -> int:
        target_id: int = getattr(item, f"{self.kind}_id")
        return target_id

    def _target(self, target_id: int, parts: Sequence[CompleteList[Active]]) -> PlannedTarget:
        code, title = name_in(next(chain.from_iterable(map(_records, parts))))
        return PlannedTarget(kind=self.kind, target_id=target_id, code=code, title=title)

    def _read(
        self, filters: _Filters, *, at_most: int | None = None
    ) -> CompleteList[Active] | None:
        """Read what passes these filters, whole; None where the list cannot be used for that.

        Raises:
            _TooLong: the list has more pages than *at_most*.
            AuthenticationError: the login failed.
            RateLimitError: the platform's limit of calls is exhausted.
        """

        def begin() -> Iterator[Page[Active]]:
            for page in self._pages(filters):
                if at_most is not None and (page.last or 1) > at_most:
                    raise _TooLong
                yield page

        identity = attrgetter(f"{self.kind}_id", "user_id")
        read = self._guarded(filters, lambda: read_complete(begin, identity))
        # An item that could be of any target makes none of them known.
        is_known = read is not None and all(item.partial is not None for item in read.unreadable)
        return read if is_known else None

    def _guarded(self, filters: _Filters, read: Callable[[], T]) -> T | None:
        """Read with these filters; None where the list cannot be used for that."""
        ignored = self.client.session.ignored_filters
        if not self.is_there or not ignored.isdisjoint(map(self._ignored, self._ids(filters))):
            return None
        try:
            return read()
        except (FilterIgnored, IncompleteListError):
            return None
        except (AuthenticationError, RateLimitError):
            raise
        except ApiError:
            # Whatever the reason is, it shows again where the targets are read on their own.
            self.client.session.missing_lists.add(self._name)
            return None

    def _ids(self, filters: _Filters) -> dict[str, Sequence[int]]:
        """Return the ids that an item may have, by the field that is filtered."""
        ids = {f"{self.kind}_id": filters.targets, "user_id": filters.users}
        return {word: values for word, values in ids.items() if values is not None}

    def _pages(self, filters: _Filters) -> Iterator[Page[Active]]:
        """Yield the pages of what passes these filters.

        Raises:
            FilterIgnored: the answer holds something else too.
        """
        cls: Any = CourseEnrollment if self.kind == "course" else LearningPlanEnrollment
        statuses = None if filters.statuses is None else [str(each) for each in filters.statuses]
        parameters: dict[str, Any] = {
            **{f"{word}s": ids for word, ids in self._ids(filters).items()},
            "status": statuses,
        }
        wanted = {word: set(ids) for word, ids in self._ids(filters).items()}
        for page in tolerant_pages(self.client.session, self._name, cls, parameters):
            for word, ids in wanted.items():
                if not ids.issuperset(getattr(item, word) for item in page.items):
                    self.client.session.ignored_filters.add(self._ignored(word))
                    raise FilterIgnored
            yield page

    def _by_target(self, read: CompleteList[Active]) -> dict[int, CompleteList[Active]]:
        """Divide a list into those of its targets."""
        items: dict[int, list[Active]] = defaultdict(list)
        unreadable: dict[int, list[UnreadableItem[Active]]] = defaultdict(list)
        for item in read.items:
            items[self._target_of(item)].append(item)
        for faulty in read.unreadable:
            assert faulty.partial is not None  # noqa: S101  `_read` returns no such list
            unreadable[self._target_of(faulty.partial)].append(faulty)
        return {
            key: evolve(
                read,
                items=items[key],
                unreadable=unreadable[key],
                listed=len(items[key]) + len(unreadable[key]),
            )
            for key in dict.fromkeys([*items, *unreadable])
        }


class _TooLong(Exception):
    """A list has more pages than a shared reading should have."""


def _records(read: CompleteList[Active]) -> Iterator[Active]:
    """Yield the records of a list, including those in which some values cannot be read."""
    yield from read.items
    yield from (item.partial for item in read.unreadable if item.partial is not None)
