"""Courses, and the active enrollments in one."""

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.listing import Select, listing
from lms_archive.sandbox.refusal import Refusal

_ON_DEMAND = ("enrollment_status", "enrollment_time_spent")
_ZERO_WHEN_NONE = (
    "enrollment_created_at",
    "enrollment_validity_begin_datetime",
    "enrollment_validity_end_datetime",
)


def list_courses(ask: Ask) -> dict[str, Any]:
    """Answer `GET /course/v1/courses` (keys: seen)."""
    select = Select("id_course, name, code, uidCourse, course_type", "courses", "id_course")
    if text := ask.args["search_text"]:
        condition = "(instr(lower(code), lower(?)) OR instr(lower(name), lower(?)))"
        select.where(condition, text, text)
    return listing(ask, select)


def get_course(ask: Ask) -> dict[str, Any]:
    """Answer `GET /learn/v1/courses/{course_id}` (2017)."""
    course = dict(find_course(ask))
    del course["language"]
    return {**course, "learningplans": []}


def list_learning_plans(ask: Ask) -> dict[str, Any]:
    """Answer `GET /learningplan/v1/learningplans`: this platform has none yet."""
    return listing(ask, Select("0", "(SELECT 0 WHERE 0)", "1"))


def course_enrollments(ask: Ask) -> dict[str, Any]:
    """Answer `GET /course/v1/courses/{course_id}/enrollments` (seen; `username`: assumed)."""
    course = find_course(ask)
    source = "enrollments e LEFT JOIN users u ON u.user_id = e.user_id"
    select = Select("e.*, u.username", source, "e.user_id")
    select.where("e.course_id = ?", course["id_course"])
    select.where_in("e.user_id", ask.args["user_id[]"])
    select.where_in("e.enrollment_status", ask.args["enrollment_status[]"])
    of_course = {
        "course_code": course["code"],
        "course_name": course["name"],
        "course_uid": course["uidCourse"],
        "course_type": course["course_type"],
    }
    left_out = set(_ON_DEMAND) - set(ask.args["extra_fields[]"] or ())

    def shape(row: Row) -> dict[str, Any]:
        item = {**dict(row), **of_course}
        for key in left_out:
            del item[key]
        for key in _ZERO_WHEN_NONE:
            item[key] = item[key] or "0000-00-00 00:00:00"
        return item

    return listing(ask, select, shape)


def find_course(ask: Ask) -> Row:
    """Return the row of the course that the path names, or refuse with 404."""
    course_id = ask.args["course_id"]
    row = ask.db.execute("SELECT * FROM courses WHERE id_course = ?", [course_id]).fetchone()
    if row is None:
        raise Refusal(404, f"Course {course_id} not found.")
    return row  # type: ignore[no-any-return]
