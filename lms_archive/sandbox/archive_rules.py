"""The rules of archiving: what may be archived, what is archived with it, and what stays."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from typing import Any

from attrs import frozen

from lms_archive.sandbox.archive_records import ARCHIVABLE, INSERT_RECORDS, archivable
from lms_archive.sandbox.clock import micros, stamp
from lms_archive.sandbox.request import Settings
from lms_archive.sandbox.targets import COURSE, PLAN, Enrollment, TargetKind

MODES = ("delete", "re_enroll")
_BOTH = (COURSE, PLAN)


@frozen
class Order:
    """An order to archive: who asks for it, and in which way.

    `lag`: microseconds until the archived list shows the records (a fault).
    """

    author_id: int
    mode: str
    reset_tracking: bool
    settings: Settings
    job_hash: str | None = None
    lag: int | None = None


# Own names only, in all of these.
_UNENROLL = {kind: f"DELETE FROM {kind.enrollments} WHERE {archivable(kind)}" for kind in _BOTH}  # noqa: S608
_RE_ENROLL = {
    kind: f"UPDATE {kind.enrollments} SET "  # noqa: S608
    "enrollment_created_at = CASE WHEN :keeps_date THEN enrollment_created_at ELSE :at END, "
    "enrollment_created_by = :author, enrollment_date_last_updated = :at, "
    f"certificate_url = NULL, certificate_date = NULL WHERE {archivable(kind)}"
    for kind in _BOTH
}
_TOUCH = {
    kind: f"UPDATE {kind.enrollments} SET enrollment_date_last_updated = :at"  # noqa: S608
    f" WHERE {archivable(kind)}"
    for kind in _BOTH
}
_RESET = f"""
UPDATE enrollments SET enrollment_status = 'enrolled', enrollment_score = NULL,
    enrollment_completion_date = NULL, enrollment_time_spent = 0
WHERE {archivable(COURSE)}
"""  # noqa: S608
_KEEP_TRACKING = f"""
INSERT OR REPLACE INTO tracking
SELECT course_id, user_id, enrollment_status, enrollment_score, enrollment_time_spent,
    enrollment_completion_date
FROM enrollments WHERE {archivable(COURSE)}
"""  # noqa: S608
_FORGET_TRACKING = """
DELETE FROM tracking
WHERE course_id IN (SELECT value FROM json_each(:ids)) AND user_id = :user
"""
_COURSES_OF_PLAN = """
SELECT course_id, EXISTS (
    SELECT 1 FROM learning_plan_courses other
    WHERE other.course_id = own.course_id AND other.learning_plan_id <> own.learning_plan_id
) FROM learning_plan_courses own WHERE learning_plan_id = ? ORDER BY position
"""
_RECOMPUTE = f"""
WITH standing AS (
    SELECT COUNT(*) AS courses, SUM(enrollment_status = 'completed') AS done,
        SUM(enrollment_status <> 'enrolled') AS begun,
        MAX(enrollment_completion_date) AS latest, SUM(enrollment_time_spent) AS spent
    FROM enrollments WHERE user_id = :user AND enrollment_status IN {ARCHIVABLE}
        AND course_id IN (
            SELECT course_id FROM learning_plan_courses WHERE learning_plan_id = :plan)
)
UPDATE learning_plan_enrollments SET
    (enrollment_status, enrollment_completion_percentage, enrollment_completion_date,
     enrollment_time_spent) = (
    SELECT CASE WHEN done = courses THEN 'completed' WHEN begun THEN 'in_progress'
            ELSE 'enrolled' END,
        COALESCE(done * 100 / courses, 0), CASE WHEN done = courses THEN latest END,
        COALESCE(spent, 0)
    FROM standing)
WHERE learning_plan_id = :plan AND user_id = :user
    AND (:reset OR (SELECT courses FROM standing))
"""  # noqa: S608


def archive(db: sqlite3.Connection, order: Order, enrollment: Enrollment, at: datetime) -> bool:
    """Archive one enrollment at the time *at*; return False if it cannot be archived.

    The user is unenrolled (`delete`) or enrolled again with the date *at*; the validity stays. In
    both modes the tracking (status, score, time spent) is kept unless it is reset (article): in
    the new enrollment, and in the table `tracking` for a later enrollment.
    """
    values = {
        "at": stamp(at),
        "author": order.author_id,
        "user": enrollment.user_id,
        "reset": order.reset_tracking,
        "plan": None,
        "job_hash": order.job_hash,
        "keeps_date": order.settings.variant.keeps_date,
        "hidden_until": None if order.lag is None else micros(at) + order.lag,
    }
    if enrollment.kind is PLAN:
        return _archive_plan(db, order, values, enrollment.target_id)
    course = enrollment.target_id
    if order.mode == "delete" and _is_in_a_plan(db, course):
        return False
    return _archive_courses(db, order, values, [course])


def _is_in_a_plan(db: sqlite3.Connection, course: int) -> bool:
    """Return whether a course is part of a plan, which excludes unenrolling from it."""
    sql = "SELECT 1 FROM learning_plan_courses WHERE course_id = ?"
    return db.execute(sql, [course]).fetchone() is not None


def _archive_plan(db: sqlite3.Connection, order: Order, values: dict[str, Any], plan: int) -> bool:
    """Archive a plan's enrollment and those in all its courses.

    Unenrolling spares courses of other plans; with the reading "A" nothing happens at all.
    """
    courses = [tuple(row) for row in db.execute(_COURSES_OF_PLAN, [plan])]
    taken = [course for course, shared in courses if not (shared and order.mode == "delete")]
    if len(taken) < len(courses) and order.settings.shared_courses_rule == "A":
        return False
    values |= {"plan": plan, "course_list": ",".join(str(course) for course, _ in courses)}
    if not _apply(db, order, PLAN, values, [plan]):
        return False
    _archive_courses(db, order, values, taken)
    if order.mode == "re_enroll":
        db.execute(_RECOMPUTE, values)
    return True


def _archive_courses(
    db: sqlite3.Connection, order: Order, values: dict[str, Any], courses: list[int]
) -> bool:
    in_courses = {**values, "ids": json.dumps(courses)}
    if not order.reset_tracking:
        db.execute(_KEEP_TRACKING, in_courses)
    if not _apply(db, order, COURSE, values, courses):
        return False
    if order.reset_tracking:
        db.execute(_FORGET_TRACKING, in_courses)
        db.execute(_RESET, in_courses)
    return True


def _apply(
    db: sqlite3.Connection, order: Order, kind: TargetKind, values: dict[str, Any], ids: list[int]
) -> bool:
    """Write the records, then remove or renew the enrollments; return False if none exist."""
    values = {**values, "ids": json.dumps(ids)}
    if order.settings.variant.effect == "archives":
        db.execute(INSERT_RECORDS[kind], values)
    statement = _UNENROLL if order.mode == "delete" else _RE_ENROLL
    return db.execute(statement[kind], values).rowcount > 0


def touch(db: sqlite3.Connection, enrollment: Enrollment, at: datetime) -> None:
    """Set the time of the last update of an enrollment."""
    ids = json.dumps([enrollment.target_id])
    values = {"at": stamp(at), "ids": ids, "user": enrollment.user_id}
    db.execute(_TOUCH[enrollment.kind], values)
