"""Background jobs: start them, do their work, and describe them.

No thread does the work: each request first calls `advance`, and each row is archived with the
time when it was due, so that no client can see a difference.
"""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime, timedelta
from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.answers import Refusal
from lms_archive.sandbox.archive_rules import Order, archive
from lms_archive.sandbox.clock import micros, moment, stamp
from lms_archive.sandbox.pages import Select, read_page
from lms_archive.sandbox.request import ApiRequest, Settings
from lms_archive.sandbox.targets import COURSE, PLAN, Enrollment

STATUSES = ("queued", "running", "aborted", "completed")
_LISTED = timedelta(days=13)
_DESCRIBED = (
    *("hash", "name", "status", "percent", "errors", "total"),
    *("author_id", "date_created", "last_update", "log_file"),
)


def begin_job(request: ApiRequest, order: Order, enrollments: list[Enrollment]) -> str:
    """Queue a job for *enrollments*, all of one kind, and return its hash.

    Row i of n is due at start + job_seconds * (i + 1) / n.
    """
    faults = request.faults_of_work("job_late", "job_aborted", "job_partial")
    late = faults.get("job_late", {}).get("seconds", 0)
    total = len(enrollments)
    kept = int(total * faults.get("job_aborted", {}).get("fraction", 1))
    spoiled = _spoiled(faults.get("job_partial"), total)
    starts_at = micros(request.now + timedelta(seconds=late))
    duration = round(request.settings.job_seconds * 1_000_000)

    (number,) = request.db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM jobs").fetchone()
    job_hash = hashlib.sha256(f"{number} {starts_at}".encode()).hexdigest()[:40]
    request.db.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, 'queued', 0, 0, ?, ?, ?, ?, NULL, ?, ?, 0, ?, ?, ?, ?)",
        [
            *(number, job_hash, "archive_enrollments", total, order.author_id),
            *(stamp(request.now), stamp(request.now), order.mode, order.reset_tracking),
            *(starts_at, starts_at + duration * kept // total),
            *("completed" if kept == total else "aborted", order.lag),
        ],
    )
    column = enrollments[0].kind.column
    request.db.executemany(
        f"INSERT INTO job_rows (job_number, position, {column}, user_id, due_at, state)"  # noqa: S608  own names
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (number, i, e.target_id, e.user_id, starts_at + duration * (i + 1) // total, state)
            for i, e in enumerate(enrollments)
            for state in ["never" if i >= kept else "spoiled" if i in spoiled else "waiting"]
        ],
    )
    return job_hash


def _spoiled(partial: dict[str, Any] | None, total: int) -> frozenset[int]:
    if partial is None:
        return frozenset()
    if partial["every"]:
        return frozenset(range(partial["every"] - 1, total, partial["every"]))
    return frozenset(range(min(partial["errors"], total)))


_DUE = """
SELECT r.*, j.author_id, j.enrollment_mode, j.reset_tracking, j.hash, j.lag
FROM job_rows r JOIN jobs j ON j.number = r.job_number
WHERE r.state IN ('waiting', 'spoiled') AND r.due_at <= ?
ORDER BY r.due_at, r.job_number, r.position
"""
_PROGRESS = """
UPDATE jobs SET status = 'running', (done, percent, errors, last_update) = (
    SELECT COUNT(*), COUNT(*) * 100 / total, SUM(state = 'error'),
        datetime(MAX(due_at) / 1000000, 'unixepoch')
    FROM job_rows WHERE job_number = number AND state IN ('archived', 'error'))
WHERE number = ?
"""
_END = """
UPDATE jobs SET status = ends_as, last_update = datetime(ends_at / 1000000, 'unixepoch')
WHERE status IN ('queued', 'running') AND ends_at <= ?
"""


def advance(db: sqlite3.Connection, now: datetime, settings: Settings) -> None:
    """Do the rows of jobs that are due, in the order of their times."""
    states: list[tuple[str, int, int]] = []
    for row in db.execute(_DUE, [micros(now)]).fetchall():
        how = (row["author_id"], row["enrollment_mode"], bool(row["reset_tracking"]))
        order = Order(*how, settings, row["hash"], row["lag"])
        kind = COURSE if row["learning_plan_id"] is None else PLAN
        enrollment = Enrollment(kind, row[kind.column], row["user_id"])
        is_archived = row["state"] == "waiting" and archive(
            db, order, enrollment, moment(row["due_at"])
        )
        state = "archived" if is_archived else "error"
        states.append((state, row["job_number"], row["position"]))
    db.executemany("UPDATE job_rows SET state = ? WHERE job_number = ? AND position = ?", states)
    db.executemany(_PROGRESS, {(number,) for _, number, _ in states})
    db.execute(_END, [micros(now)])


def get_job(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /manage/v1/job/{hash}`."""
    job_hash = request.args["hash"]
    row = request.db.execute("SELECT * FROM jobs WHERE hash = ?", [job_hash]).fetchone()
    if row is None:
        raise Refusal(404, f"Job {job_hash} not found.")
    return _described(row)


def list_jobs(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /manage/v1/job`: newest first; without `id_author` the caller's own jobs.

    Ended jobs are listed for 13 days (doc).
    """
    author = request.args["id_author"]
    select = Select("*", "jobs", "number DESC")
    select.where("author_id = ?", request.account.user_id if author is None else author)
    select.where("starts_at <= ?", micros(request.now))
    listed_since = micros(request.now - _LISTED)
    select.where("(status IN ('queued', 'running') OR ends_at > ?)", listed_since)
    if status := request.args["status"]:
        select.where("status = ?", status)
    return read_page(request, select, _described, key="jobs")


def _described(row: Row) -> dict[str, Any]:
    return {"job_descriptor": {key: row[key] for key in _DESCRIBED}}
