"""The rules of archiving: what may be archived, what it leaves behind, and when.

No thread does the work of background jobs: whoever looks first calls `advance`, and each row
is archived with the time at which it fell due. Nobody can tell the difference.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from lms_archive.sandbox.clock import micros, moment, stamp

MODES = ("delete", "re_enroll")
#: Enrollments in one call: a limit of the screen, assumed for the API.
HAND_PICKED = 200


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done to enrollments, by whom.

    `lag`: microseconds until the archived list shows the records (a fault).
    """

    author_id: int
    mode: str
    reset_tracking: bool
    job_hash: str | None = None
    lag: int | None = None


_FREEZE = """
INSERT INTO archived_enrollments (
    archived_at, archived_by, user_id, username, first_name, last_name, language,
    course_id, course_name, course_code, course_uid, course_type, course_credits,
    enrollment_created_at, enrollment_created_by, enrollment_status, enrollment_level,
    enrollment_score, enrollment_time_spent, enrollment_validity_begin_datetime,
    enrollment_validity_end_datetime, enrollment_completion_date,
    user_last_access_date, user_expiration_date, user_is_active, user_is_suspended, user_level,
    course_language, enrollment_date_last_updated, job_hash, hidden_until)
SELECT
    :at, :author, u.user_id, u.username, u.first_name, u.last_name, u.language,
    c.id_course, c.name, c.code, c.uidCourse, c.course_type, c.credits,
    e.enrollment_created_at, e.enrollment_created_by, e.enrollment_status, e.enrollment_level,
    e.enrollment_score, e.enrollment_time_spent, e.enrollment_validity_begin_datetime,
    e.enrollment_validity_end_datetime, e.enrollment_completion_date,
    u.last_access_date, u.expiration_date, u.status = '1', u.status = '0', u.level,
    c.language, e.enrollment_date_last_updated, :job_hash, :hidden_until
FROM enrollments e JOIN users u USING (user_id) JOIN courses c ON c.id_course = e.course_id
WHERE e.course_id = :course AND e.user_id = :user
    AND e.enrollment_status IN ('enrolled', 'in_progress', 'completed')
"""
_UNENROLL = "DELETE FROM enrollments WHERE course_id = :course AND user_id = :user"
_RE_ENROLL = """
UPDATE enrollments SET enrollment_created_at = :at, enrollment_created_by = :author,
    enrollment_date_last_updated = :at
WHERE course_id = :course AND user_id = :user
"""
_RESET = """
UPDATE enrollments SET enrollment_status = 'enrolled', enrollment_score = NULL,
    enrollment_completion_date = NULL, enrollment_time_spent = 0
WHERE course_id = :course AND user_id = :user
"""


def archive(db: sqlite3.Connection, order: Order, course: int, user: int, at: datetime) -> bool:
    """Archive one enrollment at the time `at`; False where there is none to archive.

    Unenrolled (`delete`) or enrolled anew, dated `at`. On re-enrollment status, score and
    time spent stay unless the tracking is reset (article, of plans); validity always stays.
    """
    values = {
        "at": stamp(at),
        "author": order.author_id,
        "course": course,
        "user": user,
        "job_hash": order.job_hash,
        "hidden_until": None if order.lag is None else micros(at) + order.lag,
    }
    if db.execute(_FREEZE, values).rowcount != 1:
        return False
    if order.mode == "delete":
        db.execute(_UNENROLL, values)
    else:
        db.execute(_RE_ENROLL, values)
        if order.reset_tracking:
            db.execute(_RESET, values)
    return True


def advance(db: sqlite3.Connection, now: datetime) -> None:
    """Do the rows of background jobs that have fallen due, in the order of their times."""
    due = db.execute(
        "SELECT * FROM job_rows WHERE state IN ('waiting', 'spoiled') AND due_at <= ? "
        "ORDER BY due_at, job_number, position",
        [micros(now)],
    ).fetchall()
    orders: dict[int, Order] = {}
    states: list[tuple[str, int, int]] = []
    for row in due:
        number = row["job_number"]
        if number not in orders:
            orders[number] = _order(db, number)
        at = moment(row["due_at"])
        done = row["state"] == "waiting" and archive(
            db, orders[number], row["course_id"], row["user_id"], at
        )
        states.append(("archived" if done else "error", number, row["position"]))
    db.executemany("UPDATE job_rows SET state = ? WHERE job_number = ? AND position = ?", states)
    for number in orders:
        _report_progress(db, number)
    _end_jobs(db, now)


def _order(db: sqlite3.Connection, number: int) -> Order:
    job = db.execute("SELECT * FROM jobs WHERE number = ?", [number]).fetchone()
    reset = bool(job["reset_tracking"])
    return Order(job["author_id"], job["enrollment_mode"], reset, job["hash"], job["lag"])


def _report_progress(db: sqlite3.Connection, number: int) -> None:
    done, errors, latest = db.execute(
        "SELECT COUNT(*), SUM(state = 'error'), MAX(due_at) FROM job_rows "
        "WHERE job_number = ? AND state IN ('archived', 'error')",
        [number],
    ).fetchone()
    db.execute(
        "UPDATE jobs SET status = 'running', done = ?, errors = ?, percent = ? * 100 / total, "
        "last_update = ? WHERE number = ?",
        [done, errors, done, stamp(moment(latest)), number],
    )


def _end_jobs(db: sqlite3.Connection, now: datetime) -> None:
    ended = db.execute(
        "SELECT number, ends_at FROM jobs WHERE status IN ('queued', 'running') AND ends_at <= ?",
        [micros(now)],
    ).fetchall()
    for number, ends_at in ended:
        db.execute(
            "UPDATE jobs SET status = ends_as, last_update = ? WHERE number = ?",
            [stamp(moment(ends_at)), number],
        )
