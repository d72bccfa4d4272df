"""The ledger of a job, and saved plans: one SQLite file each."""

from __future__ import annotations

from lms_archive.archive.ledger.plan_codec import digest_of
from lms_archive.archive.ledger.plan_store import load_plan, save_plan
from lms_archive.archive.ledger.queries import (
    JobProgress,
    canary_failed_in,
    cells_in,
    is_redacted,
    outcome_count_in,
    outcome_table_in,
    outcomes_in,
    pending_in,
    read_events,
    read_progress,
    target_kinds_in,
)
from lms_archive.archive.ledger.redact import redact
from lms_archive.archive.ledger.store import Ledger

__all__ = [
    "JobProgress",
    "Ledger",
    "canary_failed_in",
    "cells_in",
    "digest_of",
    "is_redacted",
    "load_plan",
    "outcome_count_in",
    "outcome_table_in",
    "outcomes_in",
    "pending_in",
    "read_events",
    "read_progress",
    "redact",
    "save_plan",
    "target_kinds_in",
]
