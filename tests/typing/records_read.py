"""Reading records: a union, told apart by their classes. Checked, never run."""

from datetime import datetime

from typing_extensions import assert_type

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchiveResult,
    Client,
)
from lms_archive.records import ArchivedRecord, CourseEnrollment


def certificates(result: ArchiveResult) -> dict[str, str | None]:
    """What both kinds have needs no look at which it is; for the rest ask its class."""
    links: dict[str, str | None] = {}
    for record in result.records:
        assert_type(record, ArchivedRecord)
        assert_type(record.archiving.archived_at, datetime | None)
        assert_type(record.enrollment.completed_at, datetime | None)
        name = record.user.username or str(record.user.user_id)
        if isinstance(record, ArchivedCourseEnrollment):
            assert_type(record.course.code, str | None)
            links[name] = record.course.certificate_url
        else:
            assert_type(record, ArchivedLearningPlanEnrollment)
            links[name] = record.learning_plan.certificate_url
    return links


def title(record: ArchivedRecord) -> str | None:
    """There are two kinds, and a checker knows it."""
    if isinstance(record, ArchivedCourseEnrollment):
        return record.course.title
    return record.learning_plan.title


def of_one_kind(client: Client) -> None:
    """What is asked of one course, or of one learning plan, is of one kind."""
    for archived in client.archived.in_course(71):
        assert_type(archived, ArchivedCourseEnrollment)
    for active in client.enrollments.in_course(71, status=["completed"]):
        assert_type(active, CourseEnrollment)
    one = client.archived.get(5, learning_plan_id=7)
    assert_type(one, ArchivedLearningPlanEnrollment)
