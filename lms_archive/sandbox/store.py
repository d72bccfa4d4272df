"""The SQLite file: plain tables that anyone can ask with SQL.

Times are text, `YYYY-MM-DD HH:MM:SS` in UTC, NULL for none. Only the schedule of jobs
(`due_at`, `starts_at`, `ends_at`, `hidden_until`) is in microseconds since 1970.
"""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    user_id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    status TEXT NOT NULL,                -- '1' active, '0' suspended
    level TEXT NOT NULL,
    language TEXT,
    last_access_date TEXT,
    creation_date TEXT,
    expiration_date TEXT
);
CREATE INDEX IF NOT EXISTS users_by_last_access ON users (last_access_date);

CREATE TABLE IF NOT EXISTS courses (
    id_course INTEGER PRIMARY KEY,
    code TEXT NOT NULL,                  -- not unique, as on the platform
    name TEXT NOT NULL,
    uidCourse TEXT NOT NULL,
    course_type TEXT NOT NULL,
    language TEXT,
    credits REAL
);

CREATE TABLE IF NOT EXISTS enrollments ( -- the active ones: one for each user and course
    course_id INTEGER NOT NULL REFERENCES courses (id_course),
    user_id INTEGER NOT NULL REFERENCES users (user_id),
    enrollment_status TEXT NOT NULL,
    enrollment_level TEXT NOT NULL,
    enrollment_score REAL,
    enrollment_created_at TEXT,
    enrollment_created_by INTEGER,
    enrollment_completion_date TEXT,
    enrollment_time_spent INTEGER NOT NULL,  -- seconds
    enrollment_validity_begin_datetime TEXT,
    enrollment_validity_end_datetime TEXT,
    enrollment_date_last_updated TEXT,
    PRIMARY KEY (course_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS archived_enrollments ( -- frozen at archive time
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    archived_at TEXT NOT NULL,
    archived_by INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    username TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    language TEXT,
    course_id INTEGER NOT NULL,
    course_name TEXT NOT NULL,
    course_code TEXT NOT NULL,
    course_uid TEXT NOT NULL,
    course_type TEXT NOT NULL,
    course_credits REAL,
    certificate_url TEXT,
    certificate_date TEXT,
    enrollment_created_at TEXT,
    enrollment_created_by INTEGER,
    enrollment_status TEXT NOT NULL,
    enrollment_level TEXT NOT NULL,
    enrollment_score REAL,
    enrollment_time_spent INTEGER NOT NULL,
    enrollment_validity_begin_datetime TEXT,
    enrollment_validity_end_datetime TEXT,
    enrollment_completion_date TEXT,
    learning_plan_id INTEGER,
    -- saved, not returned by the API (article)
    user_last_access_date TEXT,
    user_expiration_date TEXT,
    user_is_active INTEGER NOT NULL,
    user_is_suspended INTEGER NOT NULL,
    user_level TEXT NOT NULL,
    course_language TEXT,
    enrollment_date_last_updated TEXT,
    -- the sandbox's own
    job_hash TEXT,                       -- NULL: archived at once
    hidden_until INTEGER                 -- the fault archived_lag
);
CREATE INDEX IF NOT EXISTS archived_by_course ON archived_enrollments (course_id);
CREATE INDEX IF NOT EXISTS archived_by_user ON archived_enrollments (course_id, user_id);

CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,                -- queued, running, aborted, completed
    percent INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    total INTEGER NOT NULL,
    author_id INTEGER NOT NULL,
    date_created TEXT NOT NULL,
    last_update TEXT NOT NULL,
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
    course_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL,                 -- waiting, spoiled, never; then archived or error
    PRIMARY KEY (job_number, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_rows_due ON job_rows (due_at, job_number, position)
    WHERE state IN ('waiting', 'spoiled');
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making its tables where they are missing.

    The connection may be used from any thread, by one at a time: the caller holds a lock.
    """
    db = sqlite3.connect(path, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN; {SCHEMA} COMMIT")
    return db
