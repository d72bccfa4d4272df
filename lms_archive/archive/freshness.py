"""How old a pre-image may be when it is sent, and what is read again."""

from __future__ import annotations

from collections.abc import Sequence

from lms_archive.archive.cutting import PlannedTarget, PreImage
from lms_archive.archive.readback import active_now
from lms_archive.archive.verdict import change
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode

__all__ = ["changes_in"]


def changes_in(
    client: Client,
    target: PlannedTarget,
    members: Sequence[PreImage],
    *,
    mode: ArchiveMode,
    read: float | None,
) -> list[tuple[PreImage, str]]:
    """The members that are not as planned any more, and why: one page of reading, or none.

    For archive and unenroll a reading of `Limits.freshness` seconds is good enough. For archive
    and re-enroll, members are always read again right before they are sent.

    Args:
        client: the platform.
        target: where they are.
        members: what is to be sent.
        mode: what is to be done.
        read: when they were read, by the client's clock; None where that is not known.
    """
    age = None if read is None else client.wire.clock.monotonic() - read
    fresh = age is not None and 0 <= age <= client.limits.freshness
    if fresh and mode is ArchiveMode.UNENROLL:
        return []
    active = active_now(client, target, members)
    found = [(one, change(one, active.get(one.user_id))) for one in members]
    return [(one, why) for one, why in found if why is not None]
