"""Read the active enrollments of many courses, or of many learning plans, together.

The platform has a list over all courses and one over all learning plans, with the same filters as
that of one target. A few enrollments in each of many targets are read there in a fraction of the
calls. What cannot be read in this way is left out, and is read target by target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from lms_archive.archive.target.complete import CompleteList
from lms_archive.archive.target.lists import IDENTITY, Active
from lms_archive.archive.target.shared_list import MOST_IDS, SharedList, Wanted
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.status import EnrollmentStatus


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
        for batch in split_into_batches(of_kind, client.limits.page_size):
            yield from shared.read_batch(batch, statuses)


def read_active_together(
    client: Client, wanted: Mapping[PlannedTarget, Collection[int]]
) -> dict[tuple[str, int], dict[int, Active]]:
    """Read the active enrollments of these users, whatever their state, by target and user id.

    A key that is missing was not read together with others: read that target on its own, which
    also tells whether it is still there. An empty dict says that none of these users is enrolled
    in the target, or that the target was deleted; where that makes a difference, its own list
    has to be read.
    """
    enrollments: dict[tuple[str, int], dict[int, Active]] = {}
    for target, listed in read_together(client, wanted):
        try:
            items = list(listed.with_partial(IDENTITY))
        except UnexpectedResponseError:
            continue  # is reported where the target is read on its own
        enrollments[target.key] = {item.user_id: item for item in items}
    return enrollments


def split_into_batches(
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
