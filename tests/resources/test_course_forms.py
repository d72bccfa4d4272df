"""Courses are read in both forms that platforms were seen to answer, wherever they are read."""

from collections.abc import Iterator
from typing import Any

import pytest

from lms_archive import ArchiveJob, Contract, InvalidInputError
from lms_archive.records.active import Course
from lms_archive.records.structure import Structurer
from lms_archive.sandbox import Foreign, Sandbox

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
    foreign = Foreign(answers=answers(TO_SEEN if request.param == "seen" else KEYS))
    with Sandbox(job_seconds=0, foreign=foreign) as sandbox:
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


def test_list_get_and_find(platform: Sandbox) -> None:
    """The same course, whichever call is asked, and nothing of it is left over."""
    with platform.client() as client:
        (listed,) = client.courses.list()
        courses = [listed, client.courses.get(71), client.courses.find("SAFE")]
    for course in courses:
        assert (course.course_id, course.code) == (71, "SAFE")
        assert (course.title, course.type) == ("Safety", "elearning")
        assert not {*KEYS, *KEYS.values()} & {*course.extra}


def test_codes_of_rows(platform: Sandbox) -> None:
    """A job by code finds its course, and archives in it."""
    rows = [{"course_code": "SAFE", "username": "ada"}]
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    with platform.client() as client:
        plan = job.plan(client)
    assert plan.counts["to_archive"] == 1
    assert plan.chunks[0].target.target_id == 71


FORMS: dict[str, tuple[dict[str, Any], int]] = {
    "seen": ({"id": 7, "title": "a"}, 7),
    "learn": ({"id_course": 7, "name": "a"}, 7),
    "both, the first counts": ({"id": 7, "id_course": 8, "title": "a", "name": "b"}, 7),
    "the first is null": ({"id": None, "id_course": 7, "title": None, "name": "a"}, 7),
    "mixed": ({"id_course": "7", "title": "a"}, 7),
}


@pytest.mark.parametrize(("item", "course_id"), FORMS.values(), ids=FORMS.keys())
def test_the_first_key_that_holds_something_counts(item: dict[str, Any], course_id: int) -> None:
    """Of several keys one counts; no value is lost."""
    structure = Structurer(Contract.default().records)
    course = structure(Course, item)
    assert structure.many(Course, [item, item]) == [course, course]
    assert (course.course_id, course.title) == (course_id, "a")
    assert course.extra == (
        {"id_course": 8, "name": "b"} if item.get("id_course") == 8 else course.extra
    )


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ({"code": "SAFE"}, r"\$\.id: missing"),
        ({"id_course": "x"}, r"\$\.id_course: expected a whole number, not 'x'"),
        ({"id": "x", "id_course": 7}, r"\$\.id: expected a whole number, not 'x'"),
        (5, r"\$: expected an object"),
    ],
)
def test_faults_name_the_key_that_is_there(item: Any, fault: str) -> None:
    """The path of a fault is that of the platform's own answer."""
    structure = Structurer(Contract.default().records)
    for read in (lambda: structure(Course, item), lambda: structure.many(Course, [item])):
        with pytest.raises(ValueError, match=fault.replace(r"\$", r"\$(\[0\])?")):
            read()


def test_two_fields_may_share_a_key() -> None:
    """A key that one field falls back to can still be another field's own."""
    contract = Contract.default().with_record("Course", code="name")
    course = Structurer(contract.records)(Course, {"id": 7, "name": "SAFE"})
    assert (course.code, course.title, course.extra) == ("SAFE", "SAFE", {})


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
