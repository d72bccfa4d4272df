"""What a learning plan's archive carried along: each of its courses, read back (article)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lms_archive.archive.cutting import PlannedTarget, PreImage
from lms_archive.archive.outcomes import CarriedCourse
from lms_archive.archive.readback import active_now, records_since
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode

__all__ = ["carried"]


def carried(
    client: Client,
    plan: PlannedTarget,
    members: Sequence[PreImage],
    *,
    since: datetime,
    terms: Terms,
) -> dict[int, tuple[CarriedCourse, ...]]:
    """What became of each course of the plan, for each user: two readings a course.

    Which courses a user was in is not read before, so a course that is neither active nor
    archived now is told as `not_enrolled`.
    """
    if not plan.courses:
        return {}
    found: dict[int, list[CarriedCourse]] = {one.user_id: [] for one in members}
    for course_id in plan.courses:
        course = PlannedTarget(kind="course", target_id=course_id)
        records = records_since(client, course, members, since)
        active = active_now(client, course, members)
        for user_id, courses in found.items():
            record = max(
                records.get(user_id, ()), key=lambda one: one.archiving.record_id, default=None
            )
            now = active.get(user_id)
            if record is None:
                became = "not_enrolled" if now is None else "not_archived"
                courses.append(CarriedCourse(course_id, became))
                continue
            anew = now is not None and now.enrolled_at != record.enrollment.enrolled_at
            if terms.mode is ArchiveMode.RE_ENROLL:
                became = (
                    "archived" if anew else "not_re_enrolled" if now is None else "still_enrolled"
                )
            else:
                became = "archived" if now is None or anew else "still_enrolled"
            courses.append(CarriedCourse(course_id, became, record.archiving.record_id))
    return {user_id: tuple(courses) for user_id, courses in found.items()}
