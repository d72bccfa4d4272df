"""List the active enrollments in one course or learning plan, or in all of them."""

from __future__ import annotations

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.pages import Select, read_page
from lms_archive.sandbox.request import ApiRequest
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind, find

_ON_REQUEST = {
    COURSE: ("enrollment_status", "enrollment_time_spent"),
    PLAN: (
        "enrollment_status",
        "enrollment_completion_date",
        "enrollment_completion_percentage",
        "enrollment_time_spent",
    ),
}
"""The fields that are returned only if `extra_fields[]` asks for them."""
_TARGET_FIELDS = {
    COURSE: "t.code AS course_code, t.name AS course_name, t.uidCourse AS course_uid,"
    " t.course_type",
    PLAN: "t.code AS learning_plan_code, t.title AS learning_plan_name",
}
_NEVER = ("certificate_url", "certificate_date")
_ZERO_WHEN_NONE = (
    "enrollment_created_at",
    "enrollment_validity_begin_datetime",
    "enrollment_validity_end_datetime",
)


def target_enrollments(kind: TargetKind, request: ApiRequest) -> dict[str, Any]:
    """Answer `GET .../enrollments` of a course or plan; `username` in courses is assumed."""
    return _enrollments(kind, request, [find(kind, request)[kind.key]])


def all_enrollments(kind: TargetKind, request: ApiRequest) -> dict[str, Any]:
    """Answer `GET .../enrollments` over all courses or plans, ordered by target and user."""
    return _enrollments(kind, request, request.list_filter(f"{kind.column}[]"))


def _enrollments(
    kind: TargetKind, request: ApiRequest, target_ids: list[int] | None
) -> dict[str, Any]:
    source = (
        f"{kind.enrollments} e JOIN {kind.table} t ON t.{kind.key} = e.{kind.column}"
        " LEFT JOIN users u ON u.user_id = e.user_id"
    )
    columns, order = f"e.*, u.username, {_TARGET_FIELDS[kind]}", f"e.{kind.column}, e.user_id"
    select = Select(columns, source, order)
    select.where_in(f"e.{kind.column}", target_ids)
    select.where_in("e.user_id", request.list_filter("user_id[]"))
    select.where_in("e.enrollment_status", request.list_filter("enrollment_status[]"))
    left_out = {*_NEVER, *_ON_REQUEST[kind]} - set(request.args["extra_fields[]"] or ())

    def item(row: Row) -> dict[str, Any]:
        fields = {key: row[key] for key in row.keys() if key not in left_out}  # noqa: SIM118
        zeros = {key: fields[key] or "0000-00-00 00:00:00" for key in _ZERO_WHEN_NONE}
        return fields | zeros

    return read_page(request, select, item)
