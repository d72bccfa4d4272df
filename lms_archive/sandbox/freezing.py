"""What an archived record holds: the columns, where each comes from, and what calls return."""

from lms_archive.sandbox.kinds import COURSE, PLAN, Kind

#: Only these can be archived: no waiting list (doc, of courses; of plans: assumed).
ARCHIVABLE = "('enrolled', 'in_progress', 'completed')"


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
#: Saved, not returned by the API (article: marked with a star); then the sandbox's own.
_SAVED = {
    COURSE: {"course_language": "c.language", **_SAVED_ALWAYS},
    PLAN: {
        "learning_plan_language": "p.language",
        "learning_plan_created_on": "p.created_on",
        "learning_plan_published_on": "p.published_on",
        "learning_plan_updated_on": "p.updated_on",
        "learning_plan_validity_days": "p.validity_days",
        "learning_plan_start_date": "p.start_date",
        "learning_plan_end_date": "p.end_date",
        "learning_plan_certificate_template_id": "p.certificate_template_id",
        **_SAVED_ALWAYS,
    },
}
_SOURCES = {
    COURSE: "enrollments e JOIN users u USING (user_id)"
    " JOIN courses c ON c.id_course = e.course_id",
    PLAN: "learning_plan_enrollments e JOIN users u USING (user_id)"
    " JOIN learning_plans p USING (learning_plan_id)",
}


def these(kind: Kind) -> str:
    """Return the condition: what of `:ids` the user `:user` is in and can be archived of."""
    whose = f"{kind.column} IN (SELECT value FROM json_each(:ids)) AND user_id = :user"  # noqa: S608  # own names
    return f"{whose} AND enrollment_status IN {ARCHIVABLE}"


def _freeze(kind: Kind) -> str:
    held = _RETURNED[kind] | _SAVED[kind]
    return (
        f"INSERT INTO {kind.archived} ({', '.join(held)})"  # noqa: S608  # own names
        f" SELECT {', '.join(held.values())} FROM {_SOURCES[kind]} WHERE {these(kind)}"
    )


#: The columns that the archived list returns.
RETURNED = {kind: ", ".join(["id", *held]) for kind, held in _RETURNED.items()}
#: The statement that archives what `these` finds.
FREEZE = {kind: _freeze(kind) for kind in (COURSE, PLAN)}
