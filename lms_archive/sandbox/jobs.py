"""Background jobs: how one begins, what it does when, and what is told of it (2017).

No thread does the work: whoever looks first calls `advance`, and each row is archived with the
time at which it fell due. Nobody can tell the difference.
"""

import hashlib
import sqlite3
from datetime import datetime, timedelta
from sqlite3 import Row
from typing import Any, NamedTuple

from lms_archive.sandbox.archiving import Order, archive
from lms_archive.sandbox.ask import Ask, Settings
from lms_archive.sandbox.clock import micros, moment, stamp
from lms_archive.sandbox.kinds import COURSE, PLAN, Enrollment
from lms_archive.sandbox.listing import Select, listing
from lms_archive.sandbox.refusal import Refusal

STATUSES = ("queued", "running", "aborted", "completed")
_FAULTS = frozenset({"job_late", "job_aborted", "job_partial"})
_LISTED = timedelta(days=13)
_DESCRIBED = (
    "hash",
    "name",
    "status",
    "percent",
    "errors",
    "total",
    "author_id",
    "date_created",
    "last_update",
    "log_file",
)


class Mail(NamedTuple):
    """A mail that tells the author of a background job that it has ended."""

    username: str
    job_id: str
    sent_at: str


def begin_job(ask: Ask, order: Order, enrollments: list[Enrollment]) -> str:
    """Queue a job over `enrollments`, all of one kind, and return its hash.

    Row i of n falls due at start + job_seconds * (i + 1) / n.
    """
    faults = ask.faults.later(_FAULTS, ask.operation, ask.method, ask.now)
    late = faults["job_late"]["seconds"] if "job_late" in faults else 0
    total = kept = len(enrollments)
    if "job_aborted" in faults:
        kept = int(kept * faults["job_aborted"]["fraction"])
    spoiled = _spoiled(faults.get("job_partial"), total)
    starts_at = micros(ask.now + timedelta(seconds=late))
    whole = round(ask.settings.job_seconds * 1_000_000)

    (number,) = ask.db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM jobs").fetchone()
    name = hashlib.sha256(f"{number} {starts_at}".encode()).hexdigest()[:40]
    ask.db.execute(
        "INSERT INTO jobs VALUES "
        "(?, ?, ?, 'queued', 0, 0, ?, ?, ?, ?, NULL, ?, ?, 0, ?, ?, ?, ?, ?)",
        [
            *(number, name, "archive_enrollments", total, order.author_id),
            *(stamp(ask.now), stamp(ask.now), order.mode, order.reset_tracking),
            *(starts_at, starts_at + whole * kept // total),
            *("completed" if kept == total else "aborted", order.lag, ask.args["notify"]),
        ],
    )
    column = enrollments[0].kind.column
    ask.db.executemany(
        f"INSERT INTO job_rows (job_number, position, {column}, user_id, due_at, state)"  # noqa: S608  # own names
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (number, i, one.target_id, one.user_id, starts_at + whole * (i + 1) // total, state)
            for i, one in enumerate(enrollments)
            for state in ["never" if i >= kept else "spoiled" if i in spoiled else "waiting"]
        ],
    )
    return name


def advance(db: sqlite3.Connection, now: datetime, settings: Settings) -> None:
    """Do the rows of jobs that have fallen due, in the order of their times."""
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
            orders[number] = _order(db, number, settings)
        kind = COURSE if row["learning_plan_id"] is None else PLAN
        enrollment = Enrollment(kind, row[kind.column], row["user_id"])
        done = row["state"] == "waiting" and archive(
            db, orders[number], enrollment, moment(row["due_at"])
        )
        states.append(("archived" if done else "error", number, row["position"]))
    db.executemany("UPDATE job_rows SET state = ? WHERE job_number = ? AND position = ?", states)
    for number in orders:
        _report_progress(db, number)
    _end_jobs(db, now)


def _order(db: sqlite3.Connection, number: int, settings: Settings) -> Order:
    job = db.execute("SELECT * FROM jobs WHERE number = ?", [number]).fetchone()
    reset = bool(job["reset_tracking"])
    return Order(job["author_id"], job["enrollment_mode"], reset, settings, job["hash"], job["lag"])


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
        "SELECT * FROM jobs WHERE status IN ('queued', 'running') AND ends_at <= ?",
        [micros(now)],
    ).fetchall()
    for job in ended:
        at = stamp(moment(job["ends_at"]))
        db.execute(
            "UPDATE jobs SET status = ends_as, last_update = ? WHERE number = ?",
            [at, job["number"]],
        )
        if job["notify"]:
            db.execute(
                "INSERT INTO mails (sent_at, user_id, job_hash) VALUES (?, ?, ?)",
                [at, job["author_id"], job["hash"]],
            )


def get_job(ask: Ask) -> dict[str, Any]:
    """Answer `GET /manage/v1/job/{hash}`."""
    name = ask.args["hash"]
    row = ask.db.execute("SELECT * FROM jobs WHERE hash = ?", [name]).fetchone()
    if row is None:
        raise Refusal(404, f"Job {name} not found.")
    return _describe(row)


def list_jobs(ask: Ask) -> dict[str, Any]:
    """Answer `GET /manage/v1/job`: newest first; without `id_author` the caller's own.

    Ended jobs are listed for 13 days (doc).
    """
    author = ask.args["id_author"]
    select = Select("*", "jobs", "number DESC")
    select.where("author_id = ?", ask.account.user_id if author is None else author)
    select.where("starts_at <= ?", micros(ask.now))
    select.where("(status IN ('queued', 'running') OR ends_at > ?)", micros(ask.now - _LISTED))
    if status := ask.args["status"]:
        select.where("status = ?", status)
    return listing(ask, select, _describe, key="jobs")


def _describe(row: Row) -> dict[str, Any]:
    return {"job_descriptor": {key: row[key] for key in _DESCRIBED}}


def _spoiled(partial: dict[str, Any] | None, total: int) -> frozenset[int]:
    if partial is None:
        return frozenset()
    if partial["every"]:
        return frozenset(range(partial["every"] - 1, total, partial["every"]))
    return frozenset(range(min(partial["errors"], total)))
