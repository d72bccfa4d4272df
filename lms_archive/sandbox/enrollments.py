"""The active enrollments in a course or a learning plan."""

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.kinds import COURSE, PLAN, Kind, find
from lms_archive.sandbox.listing import Select, listing

#: Returned only when asked for in `extra_fields[]` (seen).
_ON_DEMAND = {
    COURSE: ("enrollment_status", "enrollment_time_spent"),
    PLAN: (
        "enrollment_status",
        "enrollment_completion_date",
        "enrollment_completion_percentage",
        "enrollment_time_spent",
    ),
}
#: What the item tells of its course or plan, and the column that it comes from.
_OF_TARGET = {
    COURSE: {
        "course_code": "code",
        "course_name": "name",
        "course_uid": "uidCourse",
        "course_type": "course_type",
    },
    PLAN: {"learning_plan_code": "code", "learning_plan_name": "title"},
}
_NEVER = ("certificate_url", "certificate_date")
_ZERO_WHEN_NONE = (
    "enrollment_created_at",
    "enrollment_validity_begin_datetime",
    "enrollment_validity_end_datetime",
)


def active_enrollments(kind: Kind, ask: Ask) -> dict[str, Any]:
    """Answer `GET .../enrollments` of a course or plan (seen; `username` in courses: assumed)."""
    target = find(kind, ask)
    source = f"{kind.enrollments} e LEFT JOIN users u ON u.user_id = e.user_id"
    select = Select("e.*, u.username", source, "e.user_id")
    select.where(f"e.{kind.column} = ?", target[kind.key])
    select.where_in("e.user_id", ask.args["user_id[]"])
    select.where_in("e.enrollment_status", ask.args["enrollment_status[]"])
    of_target = {key: target[column] for key, column in _OF_TARGET[kind].items()}
    left_out = {*_NEVER, *_ON_DEMAND[kind]} - set(ask.args["extra_fields[]"] or ())

    def shape(row: Row) -> dict[str, Any]:
        item = {**dict(row), **of_target}
        for key in left_out:
            del item[key]
        for key in _ZERO_WHEN_NONE:
            item[key] = item[key] or "0000-00-00 00:00:00"
        return item

    return listing(ask, select, shape)
