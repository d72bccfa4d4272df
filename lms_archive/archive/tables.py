"""The columns of outcomes, and CSV that a spreadsheet cannot run."""

from __future__ import annotations

from lms_archive.archive.outcomes import CODES, KINDS
from lms_archive.records.columns import Column
from lms_archive.records.spreadsheet import guarded, unguarded, write_csv

__all__ = ["OUTCOME_COLUMNS", "OUTCOME_KINDS", "guarded", "unguarded", "write_csv"]

OUTCOME_KINDS = (
    Column("outcome", "word", words=KINDS),
    Column("outcome_code", "word", words=tuple(CODES)),
    Column("outcome_reason", "text"),
    Column("outcome_line", "integer"),
    Column("outcome_user_id", "integer"),
    Column("outcome_target_id", "integer"),
    Column("outcome_record_id", "integer"),
    Column("outcome_archived_at", "time"),
    Column("outcome_note", "text"),
)
"""The columns that an outcome adds to those that were given, and what each holds."""

OUTCOME_COLUMNS = tuple(column.name for column in OUTCOME_KINDS)
