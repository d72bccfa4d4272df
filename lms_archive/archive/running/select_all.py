"""Check select-all chunks: when they are safe, what else they may have archived, their rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from lms_archive.archive.target.lists import Active, Archived, TargetLists
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.errors import UnexpectedResponseError

__all__ = ["is_everything", "rounds_left", "unnamed_records"]


def is_everything(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment]
) -> bool:
    """Return whether the active enrollments of the target are exactly these, as they were planned.

    Return False if the list changes while it is read.
    """
    try:
        listed = TargetLists(client, target).active()
    except UnexpectedResponseError:
        return False
    return not listed.unreadable and set(map(_image, listed.items)) == set(map(_image, members))


def _image(enrollment: Active | PlannedEnrollment) -> tuple[object, ...]:
    return enrollment.user_id, enrollment.enrolled_at, enrollment.status, enrollment.level


def unnamed_records(
    records: Mapping[int, Sequence[Archived]],
    members: Sequence[PlannedEnrollment],
    since: datetime,
    among: Collection[int] | None = None,
) -> list[int]:
    """Return the ids of records of users who are not members and were archived since then.

    A select-all call also archives users who were enrolled after the last look. With *among*, only
    these users are looked for.
    """
    users = records.keys() if among is None else records.keys() & set(among)
    return [
        record.archiving.record_id
        for user in sorted(users - {member.user_id for member in members})
        for record in records[user]
        if record.archiving.archived_at is not None and record.archiving.archived_at >= since
    ]


def rounds_left(chunk: Chunk, sent: int, archived: int, limit: int) -> bool:
    """Return whether a select-all call of at most *limit* rows has left some for another."""
    return chunk.form == "select_all" and sent > limit and 0 < archived < sent
