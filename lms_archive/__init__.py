"""Archive LMS enrollments in bulk: plan first, never archive twice, account for every row."""

import logging

from lms_archive._version import __version__
from lms_archive.archive.execution import resume
from lms_archive.archive.job import ArchiveJob
from lms_archive.archive.ledger import redact
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.client import Client
from lms_archive.errors import ApiError, InvalidInputError, LmsArchiveError, RunStoppedError
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.wire.auth import ClientCredentials, JwtBearer, PasswordGrant, StaticToken
from lms_archive.wire.contract import Contract

__all__ = [
    "ApiError",
    "ArchiveJob",
    "ArchivePlan",
    "ArchiveResult",
    "ArchivedCourseEnrollment",
    "ArchivedLearningPlanEnrollment",
    "Client",
    "ClientCredentials",
    "Contract",
    "InvalidInputError",
    "JwtBearer",
    "Limits",
    "LmsArchiveError",
    "Outcome",
    "PasswordGrant",
    "RetryPolicy",
    "RunStoppedError",
    "StaticToken",
    "__version__",
    "redact",
    "resume",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
