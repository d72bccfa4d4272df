"""The article's list of archived data, line by line, with the attributes that hold them."""

from typing import Any

import pytest
from attrs import NOTHING, fields

from lms_archive import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.records import CourseEnrollmentDetails, EnrollmentDetails

#: The chapter "Archived data" of the article, word for word; `*`: not returned via API.
ARTICLE: dict[str, dict[str, str]] = {
    "archiving": {
        "Date and time when the enrollment was archived in UTC format": "archived_at",
        "The user who archived the learning plan enrollment": "archived_by",
    },
    "user": {
        "Enrolled user": "user_id",
        "Preferred user language": "language",
        "User ID": "user_id",
        "Username": "username",
        "First name": "first_name",
        "Last name": "last_name",
        "Timestamp of the last login *": "last_login_at",
        "User expiration date *": "expires_at",
        "Whether the user is an active user *": "is_active",
        "Whether the user has been suspended *": "is_suspended",
        "User level *": "level",
    },
    "learning_plan": {
        "ID": "learning_plan_id",
        "Title": "title",
        "Code": "code",
        "Unique ID": "uuid",
        "Status (Possible values are: 0=Enrolled, 1=In Progress, 2=Completed)": "status",
        "Language in ISO 639-1 format *": "language",
        "Creation date *": "created_at",
        "Publication date *": "published_at",
        "Last update (the last time the learning plan was updated) *": "updated_at",
        "Days of validity *": "validity_days",
        "Start date *": "starts_at",
        "End date *": "ends_at",
        "Course list (comma-separated list)": "courses",
        "Credits (CEUs)": "credits",
        "Certificate template ID *": "certificate_template_id",
        "Link to the certificate earned by the user": "certificate_url",
        "Date when the certification was assigned": "certificate_at",
    },
    "enrollment": {
        "Enrollment date": "enrolled_at",
        "The user who enrolled the learner in the learning plan": "enrolled_by",
        "Enrollment last update *": "updated_at",
        "Enrollment start of validity": "valid_from",
        "Enrollment end of validity": "valid_until",
        "Enrollment status": "status",
        "Enrollment completion date": "completed_at",
    },
}
LINES = [(group, line, name) for group, lines in ARTICLE.items() for line, name in lines.items()]


def test_the_list_has_37_lines_in_four_groups() -> None:
    """No line of the article is left out; 14 are starred."""
    assert (len(LINES), len(ARTICLE)) == (37, 4)
    assert sum(line.endswith(" *") for _, line, _ in LINES) == 14


@pytest.mark.parametrize(("group", "line", "name"), LINES, ids=[line[:40] for _, line, _ in LINES])
def test_each_line_of_the_article_has_its_attribute(group: str, line: str, name: str) -> None:
    """A starred line has an attribute that is None and says that no call returns it."""
    cls: Any = getattr(fields(ArchivedLearningPlanEnrollment), group).type
    attribute = getattr(fields(cls), name)
    is_starred = line.endswith(" *")
    assert (attribute.metadata.get("returned", True) is False) == is_starred
    if is_starred:
        required = {item.name: 1 for item in fields(cls) if item.default is NOTHING}
        assert getattr(cls(**required), name) is None


def test_records_of_courses_have_the_same_groups() -> None:
    """Assumed: archiving and user are the same, the enrollment has level, score and time too."""
    course, plan = fields(ArchivedCourseEnrollment), fields(ArchivedLearningPlanEnrollment)
    assert (course.archiving.type, course.user.type) == (plan.archiving.type, plan.user.type)
    added = {item.name for item in fields(CourseEnrollmentDetails)} - {
        item.name for item in fields(EnrollmentDetails)
    }
    assert added == {"level", "score", "time_spent"}
