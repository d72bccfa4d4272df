"""Read the active enrollments of many courses, or of many learning plans, together.

The platform has a list over all courses and one over all learning plans, with the same filters as
that of one target. A few enrollments in each of many targets are read there in a fraction of the
calls. What cannot be read in this way is left out, and is read target by target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from lms_archive.archive.selection import TargetKind
from lms_archive.archive.target.complete import CompleteList, joined, read_complete
from lms_archive.archive.target.lists import IDENTITY, Active, name_in
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.records.active import CourseEnrollment, LearningPlanEnrollment
from lms_archive.records.status import EnrollmentStatus
from lms_archive.wire.pages import IncompleteListError, Page, UnreadableItem, tolerant_pages

__all__ = ["MOST_IDS", "SharedList", "batches", "read_active", "read_together"]

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


def read_together(
    client: Client, wanted: Wanted, *, statuses: Collection[EnrollmentStatus] | None = None
) -> Iterator[tuple[PlannedTarget, CompleteList[Active]]]:
    """Read targets together where that takes fewer calls than reading each of them.

    Yields each target that was read, in no particular order, with what was found of the users
    that are wanted there. A target that is not yielded was not read, and has to be read on its
    own: it is too large, or the platform lacks the list, ignores its filters, or kept changing
    it. A target that is yielded without any enrollment may have been deleted: only its own list
    shows that.

    Args:
        client: the platform.
        wanted: the targets, and whose enrollments in each.
        statuses: only in these states; whatever the state, if None.

    Raises:
        AuthenticationError: the login failed.
        RateLimitError: the platform's limit of calls is exhausted.
    """
    for kind in sorted({target.kind for target in wanted}):
        of_kind = {target: users for target, users in wanted.items() if target.kind == kind}
        shared = SharedList(client, kind)
        for batch in batches(of_kind, client.limits.page_size):
            yield from shared.read_batch(batch, statuses)


def read_active(
    client: Client, wanted: Mapping[PlannedTarget, Collection[int]]
) -> dict[tuple[str, int], dict[int, Active]]:
    """Read the active enrollments of these users, whatever their state, by target and user id.

    A key that is missing was not read together with others: read that target on its own, which
    also tells whether it is still there. An empty dict says that none of these users is enrolled
    in the target, or that the target was deleted; where that makes a difference, its own list
    has to be asked.
    """
    enrollments: dict[tuple[str, int], dict[int, Active]] = {}
    for target, listed in read_together(client, wanted):
        try:
            items = list(listed.with_partial(IDENTITY))
        except UnexpectedResponseError:
            continue  # is reported where the target is read on its own
        enrollments[target.key] = {item.user_id: item for item in items}
    return enrollments


def batches(
    wanted: Wanted, page_size: int
) -> Iterator[dict[PlannedTarget, Collection[int] | None]]:
    """Group targets of one kind into batches; what is not worth sharing is in none.

    A batch that is filtered by target and user never takes more calls than it has targets: its
    users fit on one page, so that not even all of them in all of the targets would.
    """
    whole = [target for target, users in wanted.items() if users is None]
    groups: list[dict[PlannedTarget, Collection[int] | None]] = [
        dict.fromkeys(whole[start : start + MOST_IDS]) for start in range(0, len(whole), MOST_IDS)
    ]
    batch: dict[PlannedTarget, Collection[int] | None] = {}
    together: set[int] = set()
    for target, users in wanted.items():
        if not users or len(users) > min(page_size, MOST_IDS - 2):
            continue
        combined = together.union(users)
        if len(combined) > page_size or len(combined) + len(batch) >= MOST_IDS:
            groups.append(batch)
            batch, combined = {}, set(users)
        batch[target] = users
        together = combined
    return (group for group in (*groups, batch) if len(group) > 1)


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
        self, batch: Wanted, statuses: Collection[EnrollmentStatus] | None
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
            read = self._read(sorted(targets), users, statuses, at_most=_LONGEST)
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
        self, user_ids: Sequence[int], statuses: Collection[EnrollmentStatus] | None
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
            read = self._read(None, user_ids[start : start + size], statuses)
            if read is None:
                return None
            for target_id, part in self._by_target(read).items():
                parts_by_target[target_id].append(part)
        return {self._target(key, parts): joined(parts) for key, parts in parts_by_target.items()}

    def pages_in(
        self, targets: Iterable[PlannedTarget], statuses: Collection[EnrollmentStatus] | None
    ) -> int:
        """Return how many pages these targets have in all, by a call for 200 of them.

        Return 0 where that is not known.
        """
        target_ids, number = sorted(target.target_id for target in targets), 0
        for start in range(0, len(target_ids), MOST_IDS):
            page = self._first_page(target_ids[start : start + MOST_IDS], None, statuses)
            if page is None or page.last is None:
                return 0
            number += page.last
        return number

    def obeys_users(
        self, targets: Iterable[PlannedTarget], statuses: Collection[EnrollmentStatus] | None
    ) -> bool:
        """Return whether the list can be filtered by user; makes two calls."""
        target_ids = sorted(target.target_id for target in targets)[: MOST_IDS - 1]
        page = self._first_page(target_ids, None, statuses)
        if page is None or not page.items:
            return False
        return self._first_page(target_ids, [page.items[0].user_id], statuses) is not None

    def _first_page(
        self,
        target_ids: Sequence[int],
        user_ids: Sequence[int] | None,
        statuses: Collection[EnrollmentStatus] | None,
    ) -> Page[Active] | None:
        pages = self._pages(target_ids, user_ids, statuses)
        return self._guarded(target_ids, user_ids, lambda: next(pages))

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
        self,
        target_ids: Sequence[int] | None,
        user_ids: Sequence[int] | None,
        statuses: Collection[EnrollmentStatus] | None,
        *,
        at_most: int | None = None,
    ) -> CompleteList[Active] | None:
        """Read what passes these filters, whole; None where the list cannot be used for that.

        Raises:
            _TooLong: the list has more pages than *at_most*.
            AuthenticationError: the login failed.
            RateLimitError: the platform's limit of calls is exhausted.
        """

        def begin() -> Iterator[Page[Active]]:
            for page in self._pages(target_ids, user_ids, statuses):
                if at_most is not None and (page.last or 1) > at_most:
                    raise _TooLong
                yield page

        identity = attrgetter(f"{self.kind}_id", "user_id")
        read = self._guarded(target_ids, user_ids, lambda: read_complete(begin, identity))
        # An item that could be of any target makes none of them known.
        is_known = read is not None and all(item.partial is not None for item in read.unreadable)
        return read if is_known else None

    def _guarded(
        self,
        target_ids: Sequence[int] | None,
        user_ids: Sequence[int] | None,
        read: Callable[[], T],
    ) -> T | None:
        """Read with these filters; None where the list cannot be used for that."""
        filters = [word for word, ids in self._filters(target_ids, user_ids) if ids is not None]
        ignored = self.client.session.ignored_filters
        if not self.is_there or not ignored.isdisjoint(map(self._ignored, filters)):
            return None
        try:
            return read()
        except (_FilterIgnored, IncompleteListError):
            return None
        except (AuthenticationError, RateLimitError):
            raise
        except ApiError:
            # Whatever the reason is, it shows again where the targets are read on their own.
            self.client.session.missing_lists.add(self._name)
            return None

    def _filters(
        self, target_ids: Sequence[int] | None, user_ids: Sequence[int] | None
    ) -> tuple[tuple[str, Sequence[int] | None], ...]:
        return (f"{self.kind}_id", target_ids), ("user_id", user_ids)

    def _pages(
        self,
        target_ids: Sequence[int] | None,
        user_ids: Sequence[int] | None,
        statuses: Collection[EnrollmentStatus] | None,
    ) -> Iterator[Page[Active]]:
        """Yield the pages of what passes these filters.

        Raises:
            _FilterIgnored: the answer holds something else too.
        """
        cls: Any = CourseEnrollment if self.kind == "course" else LearningPlanEnrollment
        filters = {
            f"{self.kind}_ids": target_ids,
            "user_ids": user_ids,
            "status": None if statuses is None else [str(status) for status in statuses],
        }
        wanted = {
            word: set(ids) for word, ids in self._filters(target_ids, user_ids) if ids is not None
        }
        for page in tolerant_pages(self.client.session, self._name, cls, filters):
            for word, ids in wanted.items():
                if not ids.issuperset(getattr(item, word) for item in page.items):
                    self.client.session.ignored_filters.add(self._ignored(word))
                    raise _FilterIgnored
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


class _FilterIgnored(Exception):
    """The platform ignores a filter."""


class _TooLong(Exception):
    """A list has more pages than a shared reading should have."""


def _records(read: CompleteList[Active]) -> Iterator[Active]:
    """Yield the records of a list, including those in which some values cannot be read."""
    yield from read.items
    yield from (item.partial for item in read.unreadable if item.partial is not None)
