"""Records of archived enrollments, which the platform froze when it archived them.

The groups and fields follow the article's list of archived data (for courses, the same four groups
are assumed). A field that the article marks as saved but not returned by the API is always None,
and has `metadata={"returned": False}`.
"""

from datetime import datetime
from typing import Any, TypeVar

from attrs import field, frozen

from lms_archive.records.record import Record
from lms_archive.records.status import EnrollmentLevel, EnrollmentStatus

_SAVED = {"returned": False}


@frozen(kw_only=True)
class ArchiveDetails:
    """When the enrollment was archived (UTC), and by whom: a user id, or the platform's word."""

    record_id: int
    archived_at: datetime | None = None
    archived_by: int | str | None = None


@frozen(kw_only=True)
class ArchivedUser:
    """The user at the time of archiving."""

    user_id: int
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    last_login_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    expires_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    is_active: bool | None = field(default=None, metadata=_SAVED, repr=False)
    is_suspended: bool | None = field(default=None, metadata=_SAVED, repr=False)
    level: str | None = field(default=None, metadata=_SAVED, repr=False)


@frozen(kw_only=True)
class ArchivedCourse:
    """The course at the time of archiving. The fields are assumed, after those of the article."""

    course_id: int
    title: str | None = None
    code: str | None = None
    uid: str | None = None
    type: str | None = None
    language: str | None = field(default=None, metadata=_SAVED, repr=False)
    credits: float | None = None
    certificate_url: str | None = None
    certificate_at: datetime | None = None


@frozen(kw_only=True)
class ArchivedLearningPlan:
    """The learning plan at the time of archiving.

    `courses` holds the ids of its courses; `status` is the learner's status in the plan.
    """

    learning_plan_id: int
    title: str | None = None
    code: str | None = None
    uuid: str | None = None
    status: EnrollmentStatus | str | None = None
    language: str | None = field(default=None, metadata=_SAVED, repr=False)
    created_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    published_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    updated_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    validity_days: int | None = field(default=None, metadata=_SAVED, repr=False)
    starts_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    ends_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    courses: tuple[int, ...] = ()
    credits: float | None = None
    certificate_template_id: int | None = field(default=None, metadata=_SAVED, repr=False)
    certificate_url: str | None = None
    certificate_at: datetime | None = None


@frozen(kw_only=True)
class EnrollmentDetails:
    """The enrollment in a learning plan at the time of archiving."""

    enrolled_at: datetime | None = None
    enrolled_by: int | str | None = None
    updated_at: datetime | None = field(default=None, metadata=_SAVED, repr=False)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    status: EnrollmentStatus | str | None = None
    completed_at: datetime | None = None


@frozen(kw_only=True)
class CourseEnrollmentDetails(EnrollmentDetails):
    """The enrollment in a course at the time of archiving. `time_spent` is in seconds."""

    level: EnrollmentLevel | str | None = None
    score: float | None = None
    time_spent: int | None = None


@frozen(kw_only=True)
class ArchivedCourseEnrollment(Record):
    """An archived enrollment in a course. Times are UTC.

    `learning_plan_id` is set where the enrollment was archived with that of a learning plan
    (assumed). `extra` holds the fields that this library does not know, unchanged. `platform` is
    the base URL that the record was read from, or None where that is unknown.
    """

    archiving: ArchiveDetails
    user: ArchivedUser
    course: ArchivedCourse
    enrollment: CourseEnrollmentDetails
    learning_plan_id: int | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)
    platform: str | None = field(default=None, init=False, eq=False, repr=False)


@frozen(kw_only=True)
class ArchivedLearningPlanEnrollment(Record):
    """An archived enrollment in a learning plan. Times are UTC.

    `extra` holds the fields that this library does not know, unchanged. `platform` is the base
    URL that the record was read from, or None where that is unknown.
    """

    archiving: ArchiveDetails
    user: ArchivedUser
    learning_plan: ArchivedLearningPlan
    enrollment: EnrollmentDetails
    extra: dict[str, Any] = field(factory=dict, repr=False)
    platform: str | None = field(default=None, init=False, eq=False, repr=False)


ArchivedRecord = ArchivedCourseEnrollment | ArchivedLearningPlanEnrollment
"""An archived enrollment in a course or in a learning plan; use `isinstance` to distinguish."""

R = TypeVar("R", bound=ArchivedRecord)


def read_from(record: R, platform: str) -> R:
    """Note in a new record which platform it was read from, and return it."""
    object.__setattr__(record, "platform", platform)
    return record
