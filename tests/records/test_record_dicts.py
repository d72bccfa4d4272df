"""Records as plain dicts, and back."""

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lms_archive import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment, InvalidInputError
from lms_archive.records import (
    ArchivedCourse,
    ArchiveDetails,
    ArchivedLearningPlan,
    ArchivedUser,
    BackgroundJob,
    Course,
    CourseEnrollment,
    CourseEnrollmentDetails,
    EnrollmentDetails,
    EnrollmentLevel,
    EnrollmentStatus,
    JobStatus,
    LearningPlan,
    LearningPlanCourse,
    LearningPlanEnrollment,
    Record,
    User,
)

AT = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)  # an hour that is missing in Berlin
EXTRA: dict[str, Any] = {"new": {"deep": [1, None, "ü"]}}
RECORDS: list[Record] = [
    User(user_id=7, username="ada", is_active=False, last_login_at=AT, extra=EXTRA),
    Course(course_id=3, code="C3"),
    CourseEnrollment(
        user_id=7, course_id=3, status=EnrollmentStatus.COMPLETED, level="guest", enrolled_at=AT
    ),
    LearningPlan(learning_plan_id=5, credits=1.5, is_published=True, updated_at=AT),
    LearningPlanCourse(course_id=3),
    LearningPlanEnrollment(user_id=7, learning_plan_id=5, enrolled_by="import", percentage=50.0),
    BackgroundJob(job_id="a1", status=JobStatus.RUNNING, created_at=AT),
    ArchivedCourseEnrollment(
        archiving=ArchiveDetails(record_id=1, archived_at=AT, archived_by=13),
        user=ArchivedUser(user_id=7),
        course=ArchivedCourse(course_id=3, certificate_at=AT),
        enrollment=CourseEnrollmentDetails(level=EnrollmentLevel.TUTOR, status="odd"),
        learning_plan_id=5,
        extra=EXTRA,
    ),
    ArchivedLearningPlanEnrollment(
        archiving=ArchiveDetails(record_id=2),
        user=ArchivedUser(user_id=7),
        learning_plan=ArchivedLearningPlan(learning_plan_id=5, courses=(3, 4)),
        enrollment=EnrollmentDetails(valid_until=AT),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_dict_makes_an_equal_record(record: Record) -> None:
    """The dict is JSON's own, with times in ISO 8601, and makes an equal record again."""
    plain = record.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert type(record).from_dict(plain) == record
    assert record.to_dict() == plain


def test_the_dict_of_a_record_keeps_its_groups() -> None:
    """Groups stay, words are texts, times carry their zone."""
    plain = RECORDS[7].to_dict()
    assert plain["archiving"] == {
        "record_id": 1,
        "archived_at": "2026-03-29T01:30:00+00:00",
        "archived_by": 13,
    }
    assert plain["enrollment"]["level"] == "tutor"
    assert plain["extra"] == EXTRA


@settings(max_examples=30)
@given(st.datetimes(timezones=st.timezones()))
def test_every_time_comes_back(moment: datetime) -> None:
    """Whatever zone a time was in, the dict has it, and it is the same moment in UTC."""
    plain = User(user_id=1, username="a", created_at=moment).to_dict()
    assert plain["created_at"] == moment.isoformat()
    back = User.from_dict(plain)
    assert back.created_at == moment.astimezone(timezone.utc)
    assert back.created_at.tzinfo is timezone.utc


def test_every_fault_of_a_dict_is_reported_with_its_path() -> None:
    """An error says what is missing, unknown or of another type."""
    plain = RECORDS[7].to_dict()
    plain["user"]["user_id"] = "x"
    plain["archiving"]["who"] = 1
    del plain["course"]["course_id"]
    with pytest.raises(InvalidInputError, match=r"^not a ArchivedCourseEnrollment: ") as caught:
        ArchivedCourseEnrollment.from_dict(plain)
    for fault in (
        "$.user.user_id: expected a whole number",
        "$.archiving: unknown: who",
        "$.course.course_id: missing",
    ):
        assert fault in str(caught.value)
    value: Any
    for value in (None, [], 7, "x"):
        with pytest.raises(InvalidInputError, match=r"not a Course: \$: expected an object, not "):
            Course.from_dict(value)
        with pytest.raises(InvalidInputError, match=r"\$\.user: has a wrong type"):
            ArchivedCourseEnrollment.from_dict({**plain, "user": value})
