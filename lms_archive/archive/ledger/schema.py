"""The tables of a ledger and of a saved plan. `docs/how-to/evidence.md` explains them."""

from __future__ import annotations

from typing import Final

FORMAT: Final = 3
"""The number of this file format. Version 0.1.0 wrote format 2, with other tables."""

CREATE: Final = tuple(
    """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE columns (
    part INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (part, position)
);
CREATE TABLE targets (
    target INTEGER PRIMARY KEY, kind TEXT NOT NULL, target_id INTEGER, code TEXT, title TEXT,
    credits REAL, courses TEXT, listed INTEGER
);
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, part INTEGER NOT NULL, line INTEGER,
    target INTEGER REFERENCES targets, user_id INTEGER, username TEXT, cells TEXT NOT NULL,
    fault_code TEXT, fault TEXT, position INTEGER, label
);
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY, chunk_id TEXT NOT NULL UNIQUE,
    target INTEGER NOT NULL REFERENCES targets, form TEXT NOT NULL, read_at TEXT NOT NULL
);
CREATE TABLE planned (
    row INTEGER PRIMARY KEY REFERENCES rows, chunk INTEGER NOT NULL REFERENCES chunks,
    user_id INTEGER NOT NULL, username TEXT, enrolled_at TEXT, status TEXT, level TEXT,
    completed_at TEXT, score REAL, time_spent INTEGER
);
CREATE TABLE outcomes (
    outcome INTEGER PRIMARY KEY, row INTEGER NOT NULL REFERENCES rows, kind TEXT NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, user_id INTEGER, username TEXT,
    learning_plan_row INTEGER REFERENCES rows, learning_plan_course_id INTEGER,
    record_id INTEGER, archived_at TEXT, record TEXT, recorded_at TEXT,
    event INTEGER REFERENCES events
);
CREATE TABLE course_outcomes (
    outcome INTEGER NOT NULL REFERENCES outcomes, course_id INTEGER NOT NULL,
    status TEXT NOT NULL, record_id INTEGER
);
CREATE TABLE differences (outcome INTEGER NOT NULL REFERENCES outcomes, text TEXT NOT NULL);
CREATE TABLE events (
    event INTEGER PRIMARY KEY, recorded_at TEXT NOT NULL, type TEXT NOT NULL, chunk_id TEXT,
    job_id TEXT, sent_at TEXT, text TEXT
);
CREATE TABLE sent (
    event INTEGER NOT NULL REFERENCES events, row INTEGER NOT NULL REFERENCES rows,
    PRIMARY KEY (event, row)
) WITHOUT ROWID;
CREATE TABLE details (
    event INTEGER NOT NULL REFERENCES events, name TEXT NOT NULL, position INTEGER, value
);
CREATE INDEX outcomes_of_row ON outcomes (row, outcome, kind, code);
CREATE INDEX courses_of_outcome ON course_outcomes (outcome);
CREATE INDEX differences_of_outcome ON differences (outcome);
CREATE INDEX details_of_event ON details (event);
CREATE VIEW latest AS SELECT * FROM outcomes AS o
    WHERE outcome = (SELECT max(outcome) FROM outcomes WHERE row = o.row)
""".strip().split(";\n")
)
"""The view `latest` has the current outcome of every row that has an outcome.

`outcomes.event` and `.recorded_at` are empty for outcomes that the plan decided: those rows are
never sent.
`events.recorded_at` is this machine's time (UTC), `sent_at` the platform's.
"""

TABLES: Final = (
    *("meta", "columns", "targets", "rows", "chunks", "planned", "outcomes"),
    *("course_outcomes", "differences", "events", "sent", "details"),
)

APPEND_ONLY: Final = tuple(
    f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for table in TABLES
    for verb in ("update", "delete")
)
MUTABLE: Final = tuple(
    f"DROP TRIGGER {table}_{verb}" for table in TABLES for verb in ("update", "delete")
)
"""The statements that drop the triggers, in a copy that is redacted."""
