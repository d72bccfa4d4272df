"""Archive LMS enrollments in bulk: plan first, never archive twice, account for every row."""

import logging

from lms_archive._version import __version__
from lms_archive.archive.certificates import SavedCertificates
from lms_archive.archive.events import RunEvent
from lms_archive.archive.execution import resume
from lms_archive.archive.job import ArchiveJob
from lms_archive.archive.ledger import redact
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.selection import Target
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import CourseOutcome, Outcome
from lms_archive.archive.views import Outcomes, Records
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    CanaryFailedError,
    ConnectionSettingsError,
    InputFileError,
    InvalidInputError,
    JobTimeoutError,
    LedgerError,
    LmsArchiveError,
    NotFoundError,
    PartialDeletionError,
    PermissionDeniedError,
    PlanChangedError,
    PlatformUnavailableError,
    RateLimitError,
    RunStoppedError,
    TooManyAffectedError,
    UnconfirmedContractError,
    UnexpectedArchiveError,
    UnexpectedResponseError,
)
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.records.active import (
    Account,
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
    ArchiveDetails,
    ArchivedLearningPlan,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
    ArchivedUser,
    CourseEnrollmentDetails,
    EnrollmentDetails,
)
from lms_archive.records.record import Record
from lms_archive.records.status import ArchiveMode, EnrollmentLevel, EnrollmentStatus, JobStatus
from lms_archive.resources.check import ClientCheck
from lms_archive.resources.listing import Listing
from lms_archive.wire.auth import ClientCredentials, JwtBearer, PasswordGrant, StaticToken
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.report import ContractReport, OperationCheck
from lms_archive.wire.transport import RequestNotSentError, Response

__all__ = [
    "Account",
    "ApiError",
    "ArchiveDetails",
    "ArchiveJob",
    "ArchiveMode",
    "ArchivePlan",
    "ArchiveResult",
    "ArchivedCourse",
    "ArchivedCourseEnrollment",
    "ArchivedLearningPlan",
    "ArchivedLearningPlanEnrollment",
    "ArchivedRecord",
    "ArchivedUser",
    "AuthenticationError",
    "BackgroundJob",
    "CanaryFailedError",
    "Chunk",
    "Client",
    "ClientCheck",
    "ClientCredentials",
    "ConnectionSettingsError",
    "Contract",
    "ContractReport",
    "Course",
    "CourseEnrollment",
    "CourseEnrollmentDetails",
    "CourseOutcome",
    "EnrollmentDetails",
    "EnrollmentLevel",
    "EnrollmentStatus",
    "InputFileError",
    "InvalidInputError",
    "JobStatus",
    "JobTimeoutError",
    "JwtBearer",
    "LearningPlan",
    "LearningPlanCourse",
    "LearningPlanEnrollment",
    "LedgerError",
    "Limits",
    "Listing",
    "LmsArchiveError",
    "NotFoundError",
    "Operation",
    "OperationCheck",
    "Outcome",
    "Outcomes",
    "PartialDeletionError",
    "PasswordGrant",
    "PermissionDeniedError",
    "PlanChangedError",
    "PlannedEnrollment",
    "PlannedTarget",
    "PlatformUnavailableError",
    "RateLimitError",
    "Record",
    "Records",
    "RequestNotSentError",
    "Response",
    "RetryPolicy",
    "RunEvent",
    "RunStoppedError",
    "SavedCertificates",
    "StaticToken",
    "Target",
    "Terms",
    "TooManyAffectedError",
    "UnconfirmedContractError",
    "UnexpectedArchiveError",
    "UnexpectedResponseError",
    "User",
    "__version__",
    "redact",
    "resume",
]


logging.getLogger(__name__).addHandler(logging.NullHandler())
