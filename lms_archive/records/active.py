"""Records of users, courses, learning plans, active enrollments and background jobs."""

from datetime import datetime
from typing import Any

from attrs import field, frozen

from lms_archive.records.record import Record
from lms_archive.records.status import EnrollmentLevel, EnrollmentStatus, JobStatus


@frozen(kw_only=True)
class Account:
    """The account that a client is logged in as. `level` is the platform's own word."""

    user_id: int | None = None
    username: str | None = None
    level: str | None = None

    @property
    def is_power_user(self) -> bool:
        """Whether the account is a Power User: its level is `power_user` or `poweruser`."""
        letters = "".join(filter(str.isalpha, (self.level or "").lower()))
        return letters == "poweruser"


@frozen(kw_only=True)
class User(Record):
    """A user of the platform. Times are UTC.

    `is_active` is False for a suspended user. `extra` holds the fields that this library does
    not know, unchanged.
    """

    user_id: int
    username: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    is_active: bool | None = None
    is_expired: bool | None = None
    level: str | None = None
    language: str | None = None
    last_login_at: datetime | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Course(Record):
    """A course as the list of courses shows it."""

    course_id: int
    code: str | None = None
    title: str | None = None
    uid: str | None = None
    type: str | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class _Enrollment(Record):
    """The fields that active enrollments in courses and learning plans share."""

    user_id: int
    username: str | None = None
    status: EnrollmentStatus | str | None = None
    level: EnrollmentLevel | str | None = None
    time_spent: int | None = None
    enrolled_at: datetime | None = None
    enrolled_by: int | str | None = None
    completed_at: datetime | None = None
    updated_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class CourseEnrollment(_Enrollment):
    """An active enrollment of a user in a course.

    Times are UTC; `time_spent` is in seconds. `status` and `level` are enum members where the
    word is known, else the platform's own word; None where the item has none.
    """

    course_id: int
    course_code: str | None = None
    course_title: str | None = None
    course_uid: str | None = None
    course_type: str | None = None
    score: float | None = None


@frozen(kw_only=True)
class LearningPlan(Record):
    """A learning plan as the list of learning plans shows it."""

    learning_plan_id: int
    code: str | None = None
    title: str | None = None
    uuid: str | None = None
    is_published: bool | None = None
    courses_count: int | None = None
    credits: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class LearningPlanCourse(Record):
    """A course as a learning plan lists it."""

    course_id: int
    code: str | None = None
    title: str | None = None
    type: str | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class LearningPlanEnrollment(_Enrollment):
    """An active enrollment of a user in a learning plan.

    Times are UTC; `time_spent` is in seconds. `status` and `level` are as in `CourseEnrollment`.
    """

    learning_plan_id: int
    learning_plan_code: str | None = None
    learning_plan_title: str | None = None
    percentage: float | None = None


@frozen(kw_only=True)
class BackgroundJob(Record):
    """A background job of the platform. Times are UTC.

    `errors` and `total` count rows; the platform does not say which rows failed.
    """

    job_id: str
    name: str | None = None
    status: JobStatus | str
    percent: float | None = None
    errors: int | None = None
    total: int | None = None
    author_id: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    log_file: str | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether the job may still be working: an unknown status counts as open."""
        return self.status not in (JobStatus.COMPLETED, JobStatus.ABORTED)
