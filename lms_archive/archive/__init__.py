"""Jobs, plans, runs and results: archive enrollments in bulk."""

from lms_archive.archive.events import EventKind, OnEvent, RunEvent
from lms_archive.archive.execution import resume
from lms_archive.archive.job import ArchiveJob
from lms_archive.archive.ledger import redact
from lms_archive.archive.plan import ArchivePlan, PlanCount
from lms_archive.archive.planning.rules import OnShared
from lms_archive.archive.result import ArchiveResult, SavedCertificates
from lms_archive.archive.selection import Form, Target, TargetKind
from lms_archive.archive.selection.rows import Targets
from lms_archive.archive.selection.terms import Status, Terms
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import (
    CourseOutcome,
    CourseStatus,
    Outcome,
    OutcomeCode,
    OutcomeKind,
    PendingRow,
)
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.archive.views import Outcomes, Pending, Records, SkippedRows
from lms_archive.wire.waits import StopSignal

__all__ = [
    "ArchiveJob",
    "ArchivePlan",
    "ArchiveResult",
    "Chunk",
    "CourseOutcome",
    "CourseStatus",
    "EventKind",
    "Form",
    "OnEvent",
    "OnShared",
    "Outcome",
    "OutcomeCode",
    "OutcomeKind",
    "Outcomes",
    "Pending",
    "PendingRow",
    "PlanCount",
    "PlanData",
    "PlannedEnrollment",
    "PlannedTarget",
    "Records",
    "RunEvent",
    "SavedCertificates",
    "SkippedRows",
    "Status",
    "StopSignal",
    "Target",
    "TargetKind",
    "Targets",
    "Terms",
    "redact",
    "resume",
]
