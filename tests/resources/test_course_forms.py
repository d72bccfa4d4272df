"""Courses are read in both forms that platforms were seen to answer, wherever they are read."""

from collections.abc import Iterator
from typing import Any

import pytest

from lms_archive import Contract, InvalidInputError
from lms_archive.records.active import Course
from lms_archive.records.structure import Structurer
from lms_archive.sandbox import PlatformVariant, Sandbox

#: Of each field the key of `/course/v1/courses` (seen) and that of `/learn/v1/courses` (seen).
KEYS = {"id": "id_course", "title": "name", "type": "course_type"}
TO_SEEN = {old: new for new, old in KEYS.items()}


def answers(keys: dict[str, str]) -> dict[str, dict[str, str | None]]:
    """Both calls with the keys on the right in place of those on the left."""
    return {
        "list_courses": {f"data.items.{old}": f"data.items.{new}" for old, new in keys.items()},
        "get_course": {f"data.{old}": f"data.{new}" for old, new in keys.items()},
    }


@pytest.fixture(params=["seen", "learn"])
def platform(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A platform that answers in one form everywhere."""
    variant = PlatformVariant(answers=answers(TO_SEEN if request.param == "seen" else KEYS))
    with Sandbox(job_seconds=0, variant=variant) as sandbox:
        sandbox.load(
            users=[{"username": "ada"}],
            courses=[
                {"id_course": 71, "code": "SAFE", "name": "Safety", "course_type": "elearning"}
            ],
            enrollments=[
                {
                    "username": "ada",
                    "course_code": "SAFE",
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2025-01-02 03:04:05",
                }
            ],
        )
        yield sandbox


def test_a_course_is_the_same_in_both_forms(platform: Sandbox) -> None:
    """The same course, whichever call is asked, and nothing of it is left over."""
    with platform.client() as client:
        (listed,) = client.courses.list()
        courses = [listed, client.courses.get(71), client.courses.find("SAFE")]
    for course in courses:
        assert (course.course_id, course.code) == (71, "SAFE")
        assert (course.title, course.type) == ("Safety", "elearning")
        assert not {*KEYS, *KEYS.values()} & {*course.extra}


def test_several_keys_are_an_override_like_any_other() -> None:
    """Keys can be given as a list, as a tuple, or as one text; nothing else."""
    for keys in (["nr", "id"], ("nr", "id")):
        contract = Contract.default().with_record("Course", course_id=keys)
        assert contract.records["Course"]["course_id"] == ("nr", "id")
        assert Structurer(contract.records)(Course, {"nr": 5}).course_id == 5
    single = Contract.default().with_record("Course", course_id="nr")
    assert single.records["Course"]["course_id"] == "nr"
    wrong: Any
    for wrong in ([], [5], {"a": "b"}, None, 7):
        with pytest.raises(InvalidInputError, match=r"\$\.records\.Course\.course_id: expected te"):
            Contract.default().with_record("Course", course_id=wrong)
