"""What stands in a ledger's file: for whoever reads it with SQL, see `docs/how-to/evidence.md`."""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND_ONLY", "BLOCKS", "BLOCK_OF", "LATEST", "SCHEMA", "TABLES"]

SCHEMA: Final = 2

TABLES: Final = """
CREATE TABLE head (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE plan (
    piece INTEGER PRIMARY KEY, kind TEXT NOT NULL, row INTEGER, value TEXT NOT NULL
);
CREATE TABLE events (
    event INTEGER PRIMARY KEY, chunk TEXT, state TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TABLE outcomes (
    outcome INTEGER PRIMARY KEY, row INTEGER NOT NULL, kind TEXT NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, user_id INTEGER, record TEXT, more TEXT
);
CREATE INDEX plan_of_row ON plan (row) WHERE row IS NOT NULL;
CREATE INDEX outcomes_of_row ON outcomes (row, outcome, kind, code);
CREATE VIEW asked AS
SELECT
    plan.row + one.key AS row,
    json_extract(one.value, '$[0]') AS line,
    json_extract(one.value, '$[1]') AS target,
    json_extract(one.value, '$[2]') AS user,
    json_extract(one.value, '$[3]') AS cells
FROM plan, json_each(plan.value, '$.rows') AS one WHERE plan.row IS NOT NULL;
"""
"""`plan.row` is the first of a block of rows; what is counted is in the index of the outcomes."""

APPEND_ONLY: Final = "".join(
    f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}"
    f" BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;"
    for table in ("head", "plan", "events", "outcomes")
    for verb in ("update", "delete")
)

LATEST: Final = """
SELECT row, kind, code, reason, user_id, record, more FROM outcomes AS o
WHERE outcome = (SELECT max(outcome) FROM outcomes WHERE row = o.row)
"""
"""The outcome that counts, of every row that has one."""

BLOCKS: Final = "SELECT value FROM plan WHERE row IS NOT NULL ORDER BY row, piece"
BLOCK_OF: Final = "SELECT row, value FROM plan WHERE row <= ? ORDER BY row DESC, piece DESC LIMIT 1"
"""The rows that are asked for, and the block with that row."""
