"""The columns of archived records: the source of each, and which of them calls return."""

from __future__ import annotations

from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind

ARCHIVABLE = "('enrolled', 'in_progress', 'completed')"
"""The statuses that can be archived: no waiting list (doc for courses; assumed for plans)."""


def _same(alias: str, names: str) -> dict[str, str]:
    return {name: f"{alias}.{name}" for name in names.split()}


_COMMON = {
    "archived_at": ":at",
    "archived_by": ":author",
    **_same("u", "user_id username first_name last_name language"),
    **_same("e", "certificate_url certificate_date"),
    **_same("e", "enrollment_created_at enrollment_created_by enrollment_status"),
    **_same("e", "enrollment_validity_begin_datetime enrollment_validity_end_datetime"),
    **_same("e", "enrollment_completion_date"),
}
_RETURNED = {
    COURSE: {
        **_COMMON,
        "course_id": "c.id_course",
        "course_name": "c.name",
        "course_code": "c.code",
        "course_uid": "c.uidCourse",
        "course_type": "c.course_type",
        "course_credits": "c.credits",
        **_same("e", "enrollment_level enrollment_score enrollment_time_spent"),
        "learning_plan_id": ":plan",
    },
    PLAN: {
        **_COMMON,
        "learning_plan_id": "p.learning_plan_id",
        "learning_plan_title": "p.title",
        "learning_plan_code": "p.code",
        "learning_plan_uuid": "p.uuid",
        "learning_plan_status": "CASE e.enrollment_status"
        " WHEN 'enrolled' THEN 0 WHEN 'in_progress' THEN 1 ELSE 2 END",
        "learning_plan_courses": ":course_list",
        "learning_plan_credits": "p.credits",
    },
}
_SAVED_ALWAYS = {
    "user_last_access_date": "u.last_access_date",
    "user_expiration_date": "u.expiration_date",
    "user_is_active": "u.status = '1'",
    "user_is_suspended": "u.status = '0'",
    "user_level": "u.level",
    **_same("e", "enrollment_date_last_updated"),
    "job_hash": ":job_hash",
    "hidden_until": ":hidden_until",
}
_SAVED = {
    COURSE: {"course_language": "c.language", **_SAVED_ALWAYS},
    PLAN: {
        **{
            f"learning_plan_{column}": f"p.{column}"
            for column in (
                *("language", "created_on", "published_on", "updated_on", "validity_days"),
                *("start_date", "end_date", "certificate_template_id"),
            )
        },
        **_SAVED_ALWAYS,
    },
}
"""Columns that are saved but not returned by the API (article), and columns of the sandbox."""
_SOURCES = {
    COURSE: "enrollments e JOIN users u USING (user_id)"
    " JOIN courses c ON c.id_course = e.course_id",
    PLAN: "learning_plan_enrollments e JOIN users u USING (user_id)"
    " JOIN learning_plans p USING (learning_plan_id)",
}


def archivable(kind: TargetKind) -> str:
    """Return the condition for enrollments of `:user` in `:ids` that can be archived."""
    whose = f"{kind.column} IN (SELECT value FROM json_each(:ids)) AND user_id = :user"  # noqa: S608  own names
    return f"{whose} AND enrollment_status IN {ARCHIVABLE}"


def _insert(kind: TargetKind) -> str:
    columns = _RETURNED[kind] | _SAVED[kind]
    return (
        f"INSERT INTO {kind.archived} ({', '.join(columns)})"  # noqa: S608  own names
        f" SELECT {', '.join(columns.values())} FROM {_SOURCES[kind]} WHERE {archivable(kind)}"
    )


RETURNED = {kind: ", ".join(["id", *columns]) for kind, columns in _RETURNED.items()}
"""The columns that the archived list returns."""
INSERT_RECORDS = {kind: _insert(kind) for kind in (COURSE, PLAN)}
"""The statements that write the archived records of the enrollments that `archivable` selects."""
