"""Archive LMS enrollments in bulk: plan first, never archive twice, account for every row."""

import logging

from lms_archive._version import __version__
from lms_archive.archive.certificates import SavedCertificates
from lms_archive.archive.cutting import Chunk, PlannedTarget, PreImage
from lms_archive.archive.events import RunEvent
from lms_archive.archive.job import ArchiveJob
from lms_archive.archive.outcomes import CarriedCourse, Outcome
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.redacting import redact
from lms_archive.archive.result import ArchiveResult, Outcomes
from lms_archive.archive.resuming import resume
from lms_archive.archive.selection import Target
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    BadAnswer,
    BadInput,
    ContractNotConfirmed,
    JobTimeout,
    LedgerError,
    LmsArchiveError,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    PlanChanged,
    PlatformUnavailable,
    RateLimited,
    Stopped,
    StoppedByCanary,
    TooManyAffected,
    UnexpectedArchive,
)
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.records.active import (
    BackgroundJob,
    Course,
    CourseEnrollment,
    LearningPlan,
    LearningPlanCourse,
    LearningPlanEnrollment,
    User,
)
from lms_archive.records.archived import (
    ArchivedCourse,
    ArchivedCourseEnrollment,
    ArchivedEnrollment,
    ArchivedEnrollmentInCourse,
    ArchivedLearningPlan,
    ArchivedLearningPlanEnrollment,
    ArchivedUser,
    Archiving,
)
from lms_archive.records.status import ArchiveMode, EnrollmentLevel, EnrollmentStatus, JobStatus
from lms_archive.wire.auth import ClientCredentials, JwtBearer, PasswordGrant, StaticToken
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.report import ContractReport, Judgement
from lms_archive.wire.transport import Answer, NotSent

__all__ = [
    "Answer",
    "ApiError",
    "ArchiveJob",
    "ArchiveMode",
    "ArchivePlan",
    "ArchiveResult",
    "ArchivedCourse",
    "ArchivedCourseEnrollment",
    "ArchivedEnrollment",
    "ArchivedEnrollmentInCourse",
    "ArchivedLearningPlan",
    "ArchivedLearningPlanEnrollment",
    "ArchivedUser",
    "Archiving",
    "BackgroundJob",
    "BadAnswer",
    "BadInput",
    "CarriedCourse",
    "Chunk",
    "Client",
    "ClientCredentials",
    "Contract",
    "ContractNotConfirmed",
    "ContractReport",
    "Course",
    "CourseEnrollment",
    "EnrollmentLevel",
    "EnrollmentStatus",
    "JobStatus",
    "JobTimeout",
    "Judgement",
    "JwtBearer",
    "LearningPlan",
    "LearningPlanCourse",
    "LearningPlanEnrollment",
    "LedgerError",
    "Limits",
    "LmsArchiveError",
    "NotAuthenticated",
    "NotFound",
    "NotSent",
    "Operation",
    "Outcome",
    "Outcomes",
    "PasswordGrant",
    "PermissionDenied",
    "PlanChanged",
    "PlannedTarget",
    "PlatformUnavailable",
    "PreImage",
    "RateLimited",
    "RetryPolicy",
    "RunEvent",
    "SavedCertificates",
    "StaticToken",
    "Stopped",
    "StoppedByCanary",
    "Target",
    "Terms",
    "TooManyAffected",
    "UnexpectedArchive",
    "User",
    "__version__",
    "redact",
    "resume",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
