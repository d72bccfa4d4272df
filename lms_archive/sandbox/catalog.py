"""Answer calls about courses and learning plans."""

from __future__ import annotations

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.pages import Select, read_page
from lms_archive.sandbox.request import ApiRequest
from lms_archive.sandbox.targets import COURSE, PLAN, find

_COURSE_ITEM = """
id_course AS id, name AS title, code, uidCourse, course_type AS type,
CASE WHEN published THEN 'published' ELSE 'unpublished' END AS course_status,
published, language, start_date, end_date, last_update
"""
_COURSE_DETAILS = ("id_course", "code", "name", "uidCourse", "course_type", "credits")
_PLAN_ITEM = """
learning_plan_id, uuid, code, title, is_published, credits, created_on, updated_on,
(SELECT COUNT(*) FROM learning_plan_courses c
 WHERE c.learning_plan_id = learning_plans.learning_plan_id) AS assigned_courses_count
"""


def list_courses(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /course/v1/courses`; the values of `course_status` are assumed."""
    select = Select(_COURSE_ITEM, "courses", "id_course")
    select.where_contains(request.args["search_text"], "code", "name")
    return read_page(request, select, lambda row: {**row, "published": bool(row["published"])})


def get_course(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /learn/v1/courses/{course_id}`; that it lists all its plans is assumed."""
    course = find(COURSE, request)
    plans = request.db.execute(
        "SELECT learning_plan_id AS id FROM learning_plan_courses WHERE course_id = ? ORDER BY id",
        [course["id_course"]],
    )
    details = {key: course[key] for key in _COURSE_DETAILS}
    return {**details, "learningplans": [dict(plan) for plan in plans]}


def list_learning_plans(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /learningplan/v1/learningplans`; `credits` is assumed."""
    select = Select(_PLAN_ITEM, PLAN.table, PLAN.key)
    select.where_contains(request.args["search_text"], "code", "title")
    return read_page(request, select, _plan_item)


def get_learning_plan(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /learningplan/v1/learningplans/{learning_plan_id}`.

    That it has the fields of the list is assumed.
    """
    select = Select(_PLAN_ITEM, PLAN.table, PLAN.key)
    select.where(f"{PLAN.key} = ?", find(PLAN, request)[PLAN.key])
    (row,) = select.rows(request, page=1, size=1)
    return _plan_item(row)


def learning_plan_courses(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET .../learningplans/{learning_plan_id}/courses`, in their order."""
    select = Select(
        "id_course AS id, code, name AS title, course_type AS type",
        "learning_plan_courses p JOIN courses c ON c.id_course = p.course_id",
        "position",
    )
    select.where("learning_plan_id = ?", find(PLAN, request)[PLAN.key])
    return read_page(request, select)


def _plan_item(row: Row) -> dict[str, Any]:
    return {**row, "is_published": bool(row["is_published"])}
