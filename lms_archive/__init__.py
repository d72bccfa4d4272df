"""Archive LMS enrollments in bulk: plan first, never archive twice, account for every row."""

import logging
import typing as _typing
from importlib import import_module as _import_module

from lms_archive._version import __version__

if _typing.TYPE_CHECKING:
    from lms_archive.archive.certificates import SavedCertificates
    from lms_archive.archive.cutting import Chunk, PlannedTarget, PreImage
    from lms_archive.archive.events import RunEvent
    from lms_archive.archive.job import ArchiveJob
    from lms_archive.archive.outcomes import CarriedCourse, Outcome
    from lms_archive.archive.plan import ArchivePlan
    from lms_archive.archive.redacting import redact
    from lms_archive.archive.result import ArchiveResult, Outcomes, Records
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
        ArchivedRecord,
        ArchivedUser,
        Archiving,
    )
    from lms_archive.records.record import Record
    from lms_archive.records.status import ArchiveMode, EnrollmentLevel, EnrollmentStatus, JobStatus
    from lms_archive.resources.listing import Listing
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
    "ArchivedRecord",
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
    "Listing",
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
    "Record",
    "Records",
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

_HOMES = {
    "archive.certificates": "SavedCertificates",
    "archive.cutting": "Chunk PlannedTarget PreImage",
    "archive.events": "RunEvent",
    "archive.job": "ArchiveJob",
    "archive.outcomes": "CarriedCourse Outcome",
    "archive.plan": "ArchivePlan",
    "archive.redacting": "redact",
    "archive.result": "ArchiveResult Outcomes Records",
    "archive.resuming": "resume",
    "archive.selection": "Target",
    "archive.terms": "Terms",
    "client": "Client",
    "errors": (
        "ApiError BadAnswer BadInput ContractNotConfirmed JobTimeout LedgerError "
        "LmsArchiveError NotAuthenticated NotFound PermissionDenied PlanChanged "
        "PlatformUnavailable RateLimited Stopped StoppedByCanary TooManyAffected "
        "UnexpectedArchive"
    ),
    "limits": "Limits RetryPolicy",
    "records.active": (
        "BackgroundJob Course CourseEnrollment LearningPlan LearningPlanCourse "
        "LearningPlanEnrollment User"
    ),
    "records.archived": (
        "ArchivedCourse ArchivedCourseEnrollment ArchivedEnrollment "
        "ArchivedEnrollmentInCourse ArchivedLearningPlan ArchivedLearningPlanEnrollment "
        "ArchivedRecord ArchivedUser Archiving"
    ),
    "records.record": "Record",
    "records.status": "ArchiveMode EnrollmentLevel EnrollmentStatus JobStatus",
    "resources.listing": "Listing",
    "wire.auth": "ClientCredentials JwtBearer PasswordGrant StaticToken",
    "wire.contract": "Contract Operation",
    "wire.report": "ContractReport Judgement",
    "wire.transport": "Answer NotSent",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


if not _typing.TYPE_CHECKING:  # else every name would seem to be there

    def __getattr__(name: str) -> object:
        """Load what is behind a name of the front door when it is first asked for."""
        if name in ("errors", "limits"):
            return _import_module(f"lms_archive.{name}")
        if name not in _HOME_OF:
            raise AttributeError(f"module 'lms_archive' has no attribute {name!r}")
        globals()[name] = found = getattr(_import_module(f"lms_archive.{_HOME_OF[name]}"), name)
        return found


def __dir__() -> list[str]:
    return __all__


logging.getLogger(__name__).addHandler(logging.NullHandler())
