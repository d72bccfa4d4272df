"""The objects of the platform as frozen, typed records."""

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
from lms_archive.records.status import (
    ArchiveMode,
    EnrollmentLevel,
    EnrollmentStatus,
    JobStatus,
    StatusWord,
)

__all__ = [
    "Account",
    "ArchiveDetails",
    "ArchiveMode",
    "ArchivedCourse",
    "ArchivedCourseEnrollment",
    "ArchivedLearningPlan",
    "ArchivedLearningPlanEnrollment",
    "ArchivedRecord",
    "ArchivedUser",
    "BackgroundJob",
    "Course",
    "CourseEnrollment",
    "CourseEnrollmentDetails",
    "EnrollmentDetails",
    "EnrollmentLevel",
    "EnrollmentStatus",
    "JobStatus",
    "LearningPlan",
    "LearningPlanCourse",
    "LearningPlanEnrollment",
    "Record",
    "StatusWord",
    "User",
]
