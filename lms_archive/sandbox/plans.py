"""Learning plans."""

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.kinds import PLAN, find
from lms_archive.sandbox.listing import Select, listing

_DESCRIBED = """
learning_plan_id, uuid, code, title, is_published, credits, created_on, updated_on,
(SELECT COUNT(*) FROM learning_plan_courses c
 WHERE c.learning_plan_id = learning_plans.learning_plan_id) AS assigned_courses_count
"""


def list_learning_plans(ask: Ask) -> dict[str, Any]:
    """Answer `GET /learningplan/v1/learningplans` (keys: seen; `credits`: assumed)."""
    select = Select(_DESCRIBED, PLAN.table, PLAN.key)
    select.where_found(ask.args["search_text"], "code", "title")
    return listing(ask, select, _shape)


def get_learning_plan(ask: Ask) -> dict[str, Any]:
    """Answer `GET /learningplan/v1/learningplans/{learning_plan_id}`: the same fields (assumed)."""
    plan_id = find(PLAN, ask)[PLAN.key]
    select = Select(_DESCRIBED, PLAN.table, PLAN.key)
    select.where(f"{PLAN.key} = ?", plan_id)
    (row,) = select.rows(ask, page=1, size=1)
    return _shape(row)


def learning_plan_courses(ask: Ask) -> dict[str, Any]:
    """Answer `GET .../learningplans/{learning_plan_id}/courses`, in their order (seen, weak)."""
    select = Select(
        "id_course AS id, code, name AS title, course_type AS type",
        "learning_plan_courses p JOIN courses c ON c.id_course = p.course_id",
        "position",
    )
    select.where("learning_plan_id = ?", find(PLAN, ask)[PLAN.key])
    return listing(ask, select)


def _shape(row: Row) -> dict[str, Any]:
    return {**dict(row), "is_published": bool(row["is_published"])}
