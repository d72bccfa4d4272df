"""Checks of the select-all form while a job runs: before a call for all, and after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from lms_archive.archive.planning.forms import SELECT_ALL
from lms_archive.archive.target.lists import Active, Archived, TargetLists
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import UnexpectedResponseError

__all__ = ["is_everything", "operation_of", "rounds_left", "strangers"]


def operation_of(target: PlannedTarget) -> str:
    """Return the contract's row of the form."""
    return SELECT_ALL.operation(target.kind)


def is_everything(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment]
) -> bool:
    """Whether these are still all active enrollments of the target, each as it was planned.

    A list that changes while it is read is not.
    """
    try:
        listed = TargetLists(client, target).active()
    except UnexpectedResponseError:
        return False
    return not listed.unreadable and set(map(_image, listed.items)) == set(map(_image, members))


def _image(one: Active | PlannedEnrollment) -> tuple[object, ...]:
    return one.user_id, one.enrolled_at, one.status, one.level


def strangers(
    records: Mapping[int, Sequence[Archived]],
    members: Sequence[PlannedEnrollment],
    since: datetime,
    among: Collection[int] | None = None,
) -> list[int]:
    """The records, by id, of users who were no members and were archived since then all the same.

    Somebody who was enrolled between the last look and a call for all is archived with them.
    `among` looks for these users only.
    """
    users = (records.keys() if among is None else records.keys() & set(among)) - {
        one.user_id for one in members
    }
    return [
        record.archiving.record_id
        for user in sorted(users)
        for record in records[user]
        if record.archiving.archived_at is not None and record.archiving.archived_at >= since
    ]


def rounds_left(chunk: Chunk, sent: int, archived: int, limit: int) -> bool:
    """Whether a call that takes at most `limit` has more to do: it got on, and some are left."""
    return chunk.form == "select_all" and sent > limit and 0 < archived < sent
