"""The SQLite file of a sandbox: plain tables that you can query with SQL.

A `DATETIME TEXT` is `YYYY-MM-DD HH:MM:SS` in UTC, NULL for none. Only the schedule of jobs
(`due_at`, `starts_at`, `ends_at`, `hidden_until`) is in microseconds since 1970. The loader reads
from these tables which columns can be loaded, with which values and defaults.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path


def _active(measure: str) -> str:
    return f"""
    user_id INTEGER NOT NULL REFERENCES users (user_id),
    enrollment_status TEXT NOT NULL DEFAULT 'enrolled',
    enrollment_level TEXT NOT NULL DEFAULT 'student',
    {measure},
    enrollment_created_at DATETIME TEXT,
    enrollment_created_by INTEGER,
    enrollment_completion_date DATETIME TEXT,
    enrollment_time_spent INTEGER NOT NULL DEFAULT 0,  -- seconds
    enrollment_validity_begin_datetime DATETIME TEXT,
    enrollment_validity_end_datetime DATETIME TEXT,
    enrollment_date_last_updated DATETIME TEXT,
    certificate_url TEXT,
    certificate_date DATETIME TEXT,
"""


_ARCHIVED = """
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    archived_at DATETIME TEXT NOT NULL,
    archived_by INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    username TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    language TEXT,
    certificate_url TEXT,
    certificate_date DATETIME TEXT,
    enrollment_created_at DATETIME TEXT,
    enrollment_created_by INTEGER,
    enrollment_status TEXT NOT NULL,
    enrollment_validity_begin_datetime DATETIME TEXT,
    enrollment_validity_end_datetime DATETIME TEXT,
    enrollment_completion_date DATETIME TEXT,
"""
_SAVED = """
    -- saved, not returned by the API (article)
    user_last_access_date DATETIME TEXT,
    user_expiration_date DATETIME TEXT,
    user_is_active INTEGER NOT NULL,
    user_is_suspended INTEGER NOT NULL,
    user_level TEXT NOT NULL,
    enrollment_date_last_updated DATETIME TEXT,
    -- the sandbox's own
    job_hash TEXT,                       -- NULL: archived at once
    hidden_until INTEGER                 -- the fault archived_lag
"""
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS users (
    user_id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    status TEXT NOT NULL DEFAULT '1' CHECK (status IN ('0', '1')),  -- '1' active, '0' suspended
    level TEXT NOT NULL DEFAULT 'user',
    language TEXT DEFAULT 'en',
    last_access_date DATETIME TEXT,
    creation_date DATETIME TEXT,
    expiration_date DATETIME TEXT
);
CREATE INDEX IF NOT EXISTS users_by_last_access ON users (last_access_date);

CREATE TABLE IF NOT EXISTS courses (
    id_course INTEGER PRIMARY KEY,
    code TEXT NOT NULL,                  -- not unique, as on the platform
    name TEXT,
    uidCourse TEXT,
    course_type TEXT NOT NULL DEFAULT 'elearning',
    published BOOLEAN NOT NULL DEFAULT TRUE,
    language TEXT DEFAULT 'en',
    credits REAL,
    start_date DATETIME TEXT,
    end_date DATETIME TEXT,
    last_update DATETIME TEXT
);
CREATE INDEX IF NOT EXISTS courses_by_code ON courses (code);

CREATE TABLE IF NOT EXISTS enrollments ( -- the active ones: one for each user and course
    course_id INTEGER NOT NULL REFERENCES courses (id_course),
{_active("enrollment_score REAL")}
    PRIMARY KEY (course_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tracking (    -- what was kept of work in an archived enrollment
    course_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    enrollment_status TEXT NOT NULL,
    enrollment_score REAL,
    enrollment_time_spent INTEGER NOT NULL,
    enrollment_completion_date DATETIME TEXT,
    PRIMARY KEY (course_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS learning_plans (
    learning_plan_id INTEGER PRIMARY KEY,
    uuid TEXT,
    code TEXT NOT NULL,                  -- not unique
    title TEXT,
    is_published BOOLEAN NOT NULL DEFAULT TRUE,
    credits REAL,
    language TEXT DEFAULT 'en',
    created_on DATETIME TEXT,
    published_on DATETIME TEXT,
    updated_on DATETIME TEXT,
    validity_days INTEGER,
    start_date DATETIME TEXT,
    end_date DATETIME TEXT,
    certificate_template_id INTEGER
);

CREATE TABLE IF NOT EXISTS learning_plan_courses (
    learning_plan_id INTEGER NOT NULL REFERENCES learning_plans (learning_plan_id),
    course_id INTEGER NOT NULL REFERENCES courses (id_course),
    position INTEGER NOT NULL,
    PRIMARY KEY (learning_plan_id, course_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS plans_by_course ON learning_plan_courses (course_id);

CREATE TABLE IF NOT EXISTS learning_plan_enrollments ( -- the active ones
    learning_plan_id INTEGER NOT NULL REFERENCES learning_plans (learning_plan_id),
{_active("enrollment_completion_percentage REAL NOT NULL DEFAULT 0")}
    PRIMARY KEY (learning_plan_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS certificates ( -- served at /certificates/<name>
    name TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS archived_enrollments ( -- frozen at archive time
{_ARCHIVED}
    course_id INTEGER NOT NULL,
    course_name TEXT NOT NULL,
    course_code TEXT NOT NULL,
    course_uid TEXT NOT NULL,
    course_type TEXT NOT NULL,
    course_credits REAL,
    enrollment_level TEXT NOT NULL,
    enrollment_score REAL,
    enrollment_time_spent INTEGER NOT NULL,
    learning_plan_id INTEGER,            -- archived with this plan
    course_language TEXT,                -- saved, not returned
{_SAVED}
);
CREATE INDEX IF NOT EXISTS archived_by_course ON archived_enrollments (course_id);
CREATE INDEX IF NOT EXISTS archived_by_user ON archived_enrollments (course_id, user_id);

CREATE TABLE IF NOT EXISTS archived_learning_plan_enrollments ( -- frozen at archive time
{_ARCHIVED}
    learning_plan_id INTEGER NOT NULL,
    learning_plan_title TEXT NOT NULL,
    learning_plan_code TEXT NOT NULL,
    learning_plan_uuid TEXT NOT NULL,
    learning_plan_status INTEGER NOT NULL,  -- 0 enrolled, 1 in progress, 2 completed
    learning_plan_courses TEXT NOT NULL,    -- ids, separated by commas
    learning_plan_credits REAL,
    learning_plan_language TEXT,            -- from here on saved, not returned
    learning_plan_created_on TEXT,
    learning_plan_published_on TEXT,
    learning_plan_updated_on TEXT,
    learning_plan_validity_days INTEGER,
    learning_plan_start_date DATETIME TEXT,
    learning_plan_end_date DATETIME TEXT,
    learning_plan_certificate_template_id INTEGER,
{_SAVED}
);
CREATE INDEX IF NOT EXISTS archived_by_plan
    ON archived_learning_plan_enrollments (learning_plan_id, user_id);

CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,                -- queued, running, aborted, completed
    percent INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    total INTEGER NOT NULL,
    author_id INTEGER NOT NULL,
    date_created DATETIME TEXT NOT NULL,
    last_update DATETIME TEXT NOT NULL,
    log_file TEXT,
    enrollment_mode TEXT NOT NULL,       -- what is done to each row
    reset_tracking INTEGER NOT NULL,
    done INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    ends_as TEXT NOT NULL,               -- completed or, by the fault job_aborted, aborted
    lag INTEGER                          -- the fault archived_lag
);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (ends_at) WHERE status IN ('queued', 'running');

CREATE TABLE IF NOT EXISTS job_rows (
    job_number INTEGER NOT NULL REFERENCES jobs (number),
    position INTEGER NOT NULL,
    course_id INTEGER,                   -- one of the two
    learning_plan_id INTEGER,
    user_id INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL,                 -- waiting, spoiled, never; then archived or error
    PRIMARY KEY (job_number, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_rows_due ON job_rows (due_at, job_number, position)
    WHERE state IN ('waiting', 'spoiled');
"""

_FIRST_USER = """
INSERT INTO sqlite_sequence
SELECT 'users', 10000 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'users')
"""
"""Users get ids from 10,001 on, so that no user has the id of a course by accident."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'sqlite_sequence'"


def connect(path: Path) -> sqlite3.Connection:
    """Open the file and create the tables that are missing.

    The connection may be used from any thread, by one at a time: the caller holds a lock.

    Raises:
        ValueError: the file is of another program, such as a ledger; it is left unchanged.
    """
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        tables = {name for (name,) in db.execute(_TABLES)}
    except sqlite3.DatabaseError as error:
        db.close()
        raise ValueError(f"{path} is not a file of a sandbox: {error}") from None
    if others := sorted(tables.difference(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", SCHEMA))):
        db.close()
        raise ValueError(f"{path} is not a file of a sandbox: it has a table {others[0]!r}")
    db.row_factory = sqlite3.Row
    script = f"BEGIN; {SCHEMA} {_FIRST_USER}; COMMIT"
    db.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; {script}")
    return db
