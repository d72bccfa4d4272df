"""The article's list of archived data, line by line, beside the attributes that hold them."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import NOTHING, fields

from lms_archive import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.records import (
    ArchiveDetails,
    ArchivedLearningPlan,
    ArchivedUser,
    CourseEnrollmentDetails,
    EnrollmentDetails,
)

ARTICLE = """
Archiving data
- Date and time when the enrollment was archived in UTC format
- The user who archived the learning plan enrollment
User data
- Enrolled user
- Preferred user language
- User ID
- Username
- First name
- Last name
- Timestamp of the last login *
- User expiration date *
- Whether the user is an active user *
- Whether the user has been suspended *
- User level *
Learning plan data
- ID
- Title
- Code
- Unique ID
- Status (Possible values are: 0=Enrolled, 1=In Progress, 2=Completed)
- Language in ISO 639-1 format *
- Creation date *
- Publication date *
- Last update (the last time the learning plan was updated) *
- Days of validity *
- Start date *
- End date *
- Course list (comma-separated list)
- Credits (CEUs)
- Certificate template ID *
- Link to the certificate earned by the user
- Date when the certification was assigned
Learning plan enrollment data
- Enrollment date
- The user who enrolled the learner in the learning plan
- Enrollment last update *
- Enrollment start of validity
- Enrollment end of validity
- Enrollment status
- Enrollment completion date
"""
"""The chapter "Archived data" of the article, word for word; `*`: not returned via API."""

GROUPS: dict[str, tuple[str, type, str]] = {
    "Archiving data": ("archiving", ArchiveDetails, "archived_at archived_by"),
    "User data": (
        "user",
        ArchivedUser,
        """user_id language user_id username first_name last_name last_login_at expires_at
        is_active is_suspended level""",
    ),
    "Learning plan data": (
        "learning_plan",
        ArchivedLearningPlan,
        """learning_plan_id title code uuid status language created_at published_at updated_at
        validity_days starts_at ends_at courses credits certificate_template_id
        certificate_url certificate_at""",
    ),
    "Learning plan enrollment data": (
        "enrollment",
        EnrollmentDetails,
        "enrolled_at enrolled_by updated_at valid_from valid_until status completed_at",
    ),
}
"""For each group: where it is, its class, and the attribute of each of its lines, in order."""

"""Fields of these classes that the article's list does not name."""


def _lines() -> Iterator[tuple[str, int, str, bool]]:
    """Each line of the list: its group, its number in it, its words, whether it is starred."""
    group, number = "", 0
    for line in ARTICLE.strip().splitlines():
        if not line.startswith("- "):
            group, number = line, 0
            continue
        words = line.removeprefix("- ")
        yield group, number, words.removesuffix(" *"), words.endswith(" *")
        number += 1


LINES = list(_lines())


def _attribute(group: str, number: int) -> Any:
    _, cls, names = GROUPS[group]
    return getattr(fields(cls), names.split()[number])


def test_the_list_has_37_lines_in_four_groups() -> None:
    """37 lines in four groups, 14 of them starred, one attribute for each."""
    assert len(LINES) == 37
    assert sum(starred for *_, starred in LINES) == 14
    for group, (_, _, names) in GROUPS.items():
        assert len(names.split()) == sum(line[0] == group for line in LINES)


@pytest.mark.parametrize(
    ("group", "number", "words", "starred"), LINES, ids=[words[:40] for _, _, words, _ in LINES]
)
def test_each_line_of_the_article_has_its_attribute(
    group: str, number: int, words: str, *, starred: bool
) -> None:
    """A starred one is present, None, and says that no call returns it; others may be returned."""
    assert words
    attribute = _attribute(group, number)
    assert (attribute.metadata.get("returned", True) is False) == starred
    where, cls, _ = GROUPS[group]
    assert getattr(fields(ArchivedLearningPlanEnrollment), where).type is cls
    if starred:
        assert attribute.default is None
        given = {one.name: 1 for one in fields(cls) if one.default is NOTHING and one.init}
        assert getattr(cls(**given), attribute.name) is None


def test_records_of_courses_have_the_same_groups() -> None:
    """Assumed: archiving and user are the same, the enrollment has level, score and time too."""
    course = fields(ArchivedCourseEnrollment)
    assert (course.archiving.type, course.user.type) == (ArchiveDetails, ArchivedUser)
    more = {one.name for one in fields(CourseEnrollmentDetails)} - {
        one.name for one in fields(EnrollmentDetails)
    }
    assert more == {"level", "score", "time_spent"}
