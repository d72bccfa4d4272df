"""The archive call, and the list of what it archived (paths and keys: assumed)."""

import json
from typing import Any

from lms_archive.sandbox.archiving import HAND_PICKED, Order, archive
from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.clock import micros
from lms_archive.sandbox.courses import find_course
from lms_archive.sandbox.jobs import begin_job
from lms_archive.sandbox.listing import Select, listing
from lms_archive.sandbox.refusal import Refusal, invalid

_LAG = frozenset({"archived_lag"})
_RETURNED = """
id, archived_at, archived_by, user_id, username, first_name, last_name, language, course_id,
course_name, course_code, course_uid, course_type, course_credits, certificate_url,
certificate_date, enrollment_created_at, enrollment_created_by, enrollment_status,
enrollment_level, enrollment_score, enrollment_time_spent, enrollment_validity_begin_datetime,
enrollment_validity_end_datetime, enrollment_completion_date, learning_plan_id
"""


def archive_course_enrollments(ask: Ask) -> dict[str, Any]:
    """Answer `PUT /learn/v1/enrollments`: every pair of a course and a user given.

    Without `enrollment_mode` it is the plain "update multiple" (2017) that archives nothing.
    One pair is done at once, from two on it is a background job (article, of plans).
    """
    mode = ask.args["enrollment_mode"]
    if mode is None:
        return _answer(success=True)
    if not ask.account.may_archive:
        raise Refusal(403, "You are not allowed to archive enrollments.")
    rows = _pairs(ask)
    lag = ask.faults.later(_LAG, ask.operation, ask.method, ask.now).get("archived_lag")
    micros_of_lag = None if lag is None else round(lag["seconds"] * 1_000_000)
    order = Order(ask.account.user_id, mode, ask.args["reset_tracking"], lag=micros_of_lag)
    if len(rows) > 1:
        return _answer(success=True, job=begin_job(ask, order, rows))
    return _answer(success=archive(ask.db, order, *rows[0], ask.now))


def _pairs(ask: Ask) -> list[tuple[int, int]]:
    courses, users = ask.args["course_id"], ask.args["user_id"]
    for name, ids in (("course_id", courses), ("user_id", users)):
        if not ids:
            raise invalid(name, f"{name} cannot be blank")
    if len(courses) * len(users) > HAND_PICKED:
        raise invalid("user_id", f"at most {HAND_PICKED} enrollments can be archived at a time")
    return [(course, user) for course in dict.fromkeys(courses) for user in dict.fromkeys(users)]


def _answer(*, success: bool, job: str | None = None) -> dict[str, Any]:
    return {"success": success, "background_job": job is not None, "job_id": job}


def archived_course_enrollments(ask: Ask) -> dict[str, Any]:
    """Answer `GET /course/v1/courses/{course_id}/enrollments/archived`, oldest first.

    The filters are those of the screen (article). A date without a time counts from its
    first second as `archived_from`, to its last as `archived_to`.
    """
    select = Select(_RETURNED, "archived_enrollments", "id")
    select.where("course_id = ?", find_course(ask)["id_course"])
    select.where("(hidden_until IS NULL OR hidden_until <= ?)", micros(ask.now))
    if start := ask.args["archived_from"]:
        select.where("archived_at >= ?", start)
    if end := ask.args["archived_to"]:
        select.where("archived_at <= ?", f"{end[:10]} {end[11:] or '23:59:59'}")
    if status := ask.args["user_status"]:
        select.where("user_is_active = ?", status == "1")
    select.where_in("archived_by", ask.args["archived_by[]"])
    select.where_in("user_id", ask.args["user_id[]"])
    return listing(ask, select)


def delete_archived_course_enrollments(ask: Ask) -> dict[str, Any]:
    """Answer `DELETE` on the archived list; Power Users may not (article)."""
    if not ask.account.may_delete_archived:
        raise Refusal(403, "You are not allowed to delete archived enrollments.")
    course = find_course(ask)
    ids = ask.args["ids"]
    if not ids:
        raise invalid("ids", "ids cannot be blank")
    deleted = ask.db.execute(
        "DELETE FROM archived_enrollments "
        "WHERE course_id = ? AND id IN (SELECT value FROM json_each(?))",
        [course["id_course"], json.dumps(ids)],
    ).rowcount
    return {"success": deleted > 0, "deleted": deleted}
