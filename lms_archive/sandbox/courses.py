"""Courses."""

from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.kinds import COURSE, find
from lms_archive.sandbox.listing import Select, listing


def list_courses(ask: Ask) -> dict[str, Any]:
    """Answer `GET /course/v1/courses` (keys: seen)."""
    select = Select("id_course, name, code, uidCourse, course_type", "courses", "id_course")
    select.where_found(ask.args["search_text"], "code", "name")
    return listing(ask, select)


def get_course(ask: Ask) -> dict[str, Any]:
    """Answer `GET /learn/v1/courses/{course_id}` (2017; that all its plans are told: assumed)."""
    course = dict(find(COURSE, ask))
    del course["language"]
    plans = ask.db.execute(
        "SELECT learning_plan_id AS id FROM learning_plan_courses WHERE course_id = ? ORDER BY id",
        [course["id_course"]],
    )
    return {**course, "learningplans": [dict(plan) for plan in plans]}
