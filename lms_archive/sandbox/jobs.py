"""Background jobs: how one begins, and what is told of it (2017)."""

import hashlib
from datetime import timedelta
from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.archiving import Order
from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.clock import micros, stamp
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


def begin_job(ask: Ask, order: Order, rows: list[tuple[int, int]]) -> str:
    """Queue a job over (course, user) `rows` and return its hash.

    Row i of n falls due at start + job_seconds * (i + 1) / n.
    """
    faults = ask.faults.later(_FAULTS, ask.operation, ask.method, ask.now)
    late = faults["job_late"]["seconds"] if "job_late" in faults else 0
    kept = len(rows)
    if "job_aborted" in faults:
        kept = int(kept * faults["job_aborted"]["fraction"])
    spoiled = _spoiled(faults.get("job_partial"), len(rows))
    starts_at = micros(ask.now + timedelta(seconds=late))
    whole = round(ask.settings.job_seconds * 1_000_000)

    (number,) = ask.db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM jobs").fetchone()
    name = hashlib.sha256(f"{number} {starts_at}".encode()).hexdigest()[:40]
    ask.db.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, 'queued', 0, 0, ?, ?, ?, ?, NULL, ?, ?, 0, ?, ?, ?, ?)",
        [
            *(number, name, "archive_enrollments", len(rows), order.author_id),
            *(stamp(ask.now), stamp(ask.now), order.mode, order.reset_tracking),
            *(starts_at, starts_at + whole * kept // len(rows)),
            *("completed" if kept == len(rows) else "aborted", order.lag),
        ],
    )
    ask.db.executemany(
        "INSERT INTO job_rows VALUES (?, ?, ?, ?, ?, ?)",
        [
            (number, i, course, user, starts_at + whole * (i + 1) // len(rows), state)
            for i, (course, user) in enumerate(rows)
            for state in ["never" if i >= kept else "spoiled" if i in spoiled else "waiting"]
        ],
    )
    return name


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
