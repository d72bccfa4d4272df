"""From the platform's JSON to records, and from records to our own files and back."""

from datetime import datetime, timezone
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lms_archive import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment, Contract
from lms_archive.records import (
    BackgroundJob,
    Course,
    CourseEnrollment,
    EnrollmentLevel,
    EnrollmentStatus,
    JobStatus,
    User,
)
from lms_archive.records.structure import StructureError, Structurer, from_plain, to_plain

KEYS = Contract.default().records
structure = Structurer(KEYS)
utc = timezone.utc

ARCHIVED = {"id": 9, "user_id": 1, "course_id": 2}
NEEDED: dict[type, dict[str, Any]] = {
    Course: {"id_course": 7},
    User: {"user_id": 1, "username": "a"},
    CourseEnrollment: {"user_id": 1, "course_id": 2},
    BackgroundJob: {"hash": "h", "status": "queued"},
    ArchivedLearningPlanEnrollment: {"id": 9, "user_id": 1, "learning_plan_id": 5},
}


def faults_of(cls: type, item: object) -> tuple[str, ...]:
    """What is said of a broken item."""
    with pytest.raises(StructureError) as caught:
        structure(cls, item, "$.data.items[3]")
    return caught.value.faults


def test_a_flat_item_becomes_the_groups_of_an_archived_record() -> None:
    """Each attribute is taken from the key that the contract gives; the rest is extra."""
    item = {
        **ARCHIVED,
        "archived_at": "2026-03-01 10:00:00",
        "archived_by": 13,
        "username": "ada",
        "course_credits": "1.5",
        "certificate_date": "2025-02-03 00:00:00",
        "enrollment_status": 2,
        "enrollment_score": 88,
        "learning_plan_id": "31",
        "new_field": [1, 2],
    }
    record = structure(ArchivedCourseEnrollment, item)
    assert record.archiving.record_id == 9
    assert record.archiving.archived_at == datetime(2026, 3, 1, 10, tzinfo=utc)
    assert (record.user.username, record.course.credits) == ("ada", 1.5)
    assert record.course.certificate_at == datetime(2025, 2, 3, tzinfo=utc)
    assert record.enrollment.status is EnrollmentStatus.COMPLETED
    assert (record.enrollment.score, record.learning_plan_id) == (88.0, 31)
    assert record.extra == {"new_field": [1, 2]}


def test_an_override_of_the_contract_reads_other_keys() -> None:
    """What is under the usual key is then extra."""
    other = Contract.default().with_record("Course", course_id="idCourse", title="course_title")
    item = {"idCourse": 7, "course_title": "Safety", "id_course": 8}
    course = Structurer(other.records)(Course, item)
    assert (course.course_id, course.title, course.extra) == (7, "Safety", {"id_course": 8})


@pytest.mark.parametrize(
    ("item", "course_id", "extra"),
    [
        ({"id": 7}, 7, {}),
        ({"id_course": "7"}, 7, {}),
        ({"id": None, "id_course": 7}, 7, {}),
        ({"id": 7, "id_course": 8}, 7, {"id_course": 8}),
    ],
)
def test_of_several_keys_the_first_that_holds_something_counts(
    item: dict[str, Any], course_id: int, extra: dict[str, Any]
) -> None:
    """No value is lost, and a fault names the key that is there."""
    (course,) = structure.many(Course, [item])
    assert course == structure(Course, item)
    assert (course.course_id, course.extra) == (course_id, extra)
    assert structure.value(Course, item, "course_id") == course_id
    with pytest.raises(StructureError, match=r"^\$\.id_course: expected a whole number, not 'x'$"):
        structure(Course, {"id_course": "x"})
    with pytest.raises(StructureError, match=r"^\$\.id: missing$"):
        structure(Course, {"code": "SAFE"})
    shared = Structurer(Contract.default().with_record("Course", code="name").records)
    assert shared(Course, {"id": 7, "name": "SAFE"}).code == "SAFE"


def at(*parts: int) -> datetime:
    """A time in UTC."""
    return datetime(*parts, tzinfo=utc)  # type: ignore[misc,arg-type]


CREATED, STATUS, SCORE = "enrollment_created_at", "enrollment_status", "enrollment_score"
PLAN = ArchivedLearningPlanEnrollment
VALUES: list[tuple[type, str, str, dict[Any, Any]]] = [
    # ids come as numbers or as digits in text
    (Course, "id_course", "course_id", {71: 71, "0071": 71, 0: 0, "-1": -1, 10**18: 10**18}),
    # times are UTC and aware, whatever zone they came with; zero dates are none
    (CourseEnrollment, CREATED, "enrolled_at", {
        "2026-01-31 23:59:59": at(2026, 1, 31, 23, 59, 59),
        "2026-01-31": at(2026, 1, 31),
        "2026-01-31T23:59:59Z": at(2026, 1, 31, 23, 59, 59),
        "2026-01-31T23:59:59+02:00": at(2026, 1, 31, 21, 59, 59),
        "2026-01-31 23:59:59.250000": at(2026, 1, 31, 23, 59, 59, 250000),
        "0000-00-00": None, "0000-00-00 00:00:00": None, "": None, None: None}),
    # words and numbers that are known become the one word for them; others are kept as they came
    (CourseEnrollment, STATUS, "status", {
        "enrolled": EnrollmentStatus.ENROLLED, "subscribed": EnrollmentStatus.ENROLLED,
        "in_progress": EnrollmentStatus.IN_PROGRESS, "completed": EnrollmentStatus.COMPLETED,
        "Completed ": EnrollmentStatus.COMPLETED, "waiting": EnrollmentStatus.WAITING,
        "not_started": EnrollmentStatus.NOT_STARTED, "suspended": EnrollmentStatus.SUSPENDED,
        0: EnrollmentStatus.ENROLLED, "1": EnrollmentStatus.IN_PROGRESS,
        2: EnrollmentStatus.COMPLETED, None: None, "": None,
        "expelled": "expelled", "3": "3", "complete": "complete"}),
    (CourseEnrollment, "enrollment_level", "level", {
        "student": EnrollmentLevel.LEARNER, "Learner": EnrollmentLevel.LEARNER,
        "tutor": EnrollmentLevel.TUTOR, "owl": "owl", None: None}),
    # a job whose state is unknown may still do something
    (BackgroundJob, "status", "is_open", {
        "queued": True, "running": True, "completed": False, "aborted": False, "paused": True}),
    (BackgroundJob, "status", "status", {"queued": JobStatus.QUEUED, "paused": "paused"}),
    (User, "status", "is_active", {"1": True, "0": False, 1: True, 0: False}),
    (CourseEnrollment, SCORE, "score", {88: 88.0, "88.5": 88.5, "": None, None: None}),
    # text stays as it is; a number where text belongs becomes text
    (User, "username", "username", {7: "7", "007": "007", "": "", " a ": " a "}),
    # who did it is an id, or whatever word the platform has for them
    (CourseEnrollment, "enrollment_created_by", "enrolled_by",
        {13: 13, "13": 13, "cron": "cron", "": None, None: None}),
    # the courses of a plan come as one text with commas, or as a list
    (PLAN, "learning_plan_courses", "learning_plan.courses",
        {"12,15,19": (12, 15, 19), " 12, 15 ": (12, 15), (12, "15"): (12, 15), "": (), None: ()}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "key", "name", "values"), VALUES, ids=[name for _, _, name, _ in VALUES]
)
def test_a_value_is_read_as_its_type(
    cls: type, key: str, name: str, values: dict[Any, Any]
) -> None:
    """In each form in which platforms were seen to write it; our files give it back."""
    for value, expected in values.items():
        record: object = structure(cls, {**NEEDED[cls], key: value})
        read = attrgetter(name)(record)
        assert (type(read), read) == (type(expected), expected), value
        assert getattr(read, "tzinfo", utc) is utc
        assert from_plain(cls, to_plain(record)) == record


FAULTS: list[tuple[type, str, str, list[Any]]] = [
    (Course, "id_course", "expected a whole number", [
        None, "", "7.0", 7.0, True, "x7", "7 ", "--7", "\u0667", [], {}, "9" * 5000]),
    (CourseEnrollment, CREATED, "expected a time like '2026-01-31 23:59:59', not ",
        ["yesterday", "31.01.2026", "2026-02-30 00:00:00", 1767225600, True, [], "-", "Z"]),
    # times that UTC cannot hold
    (CourseEnrollment, CREATED, "", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-05:00"]),
    (User, "status", "expected true or false, not ", ["yes", 2, [], {}]),
    (CourseEnrollment, SCORE, "expected a number, not ",
        ["NaN", "inf", float("inf"), 10**400, "9" * 400, True, "much", [], float("nan")]),
    (User, "username", "expected text, not ", [1.5, True, [], {}]),
    # a fault of the whole, never a part of it
    (PLAN, "learning_plan_courses", "expected ", ["12,x", "12;15", 12, {}, [None], [1.5], "1,-"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "key", "text", "values"), FAULTS, ids=[f"{key} {text}" for _, key, text, _ in FAULTS]
)
def test_a_value_of_another_form_is_a_fault(
    cls: type, key: str, text: str, values: list[Any]
) -> None:
    """Nothing is guessed; the fault says where and what, and quotes only a little."""
    for value in values:
        (fault,) = faults_of(cls, {**NEEDED[cls], key: value})
        assert fault.startswith(f"$.data.items[3].{key}: {text}"), value
        assert len(fault) < 300


def test_every_fault_of_an_item_is_reported_with_its_path() -> None:
    """One error holds them all."""
    item: dict[str, Any] = {
        "id": None,
        "user_id": "x",
        "archived_at": "soon",
        "enrollment_score": [],
        "enrollment_status": "completed",
        "username": {"first": "Ada"},
    }
    assert set(faults_of(ArchivedCourseEnrollment, item)) == {
        "$.data.items[3].id: expected a whole number, not None",
        "$.data.items[3].user_id: expected a whole number, not 'x'",
        "$.data.items[3].archived_at: expected a time like '2026-01-31 23:59:59', not 'soon'",
        "$.data.items[3].enrollment_score: expected a number, not []",
        "$.data.items[3].username: expected text, not {'first': 'Ada'}",
        "$.data.items[3].course_id: missing",
    }
    value: Any
    for value in (None, [], "x", 7, True):
        assert faults_of(User, value) == (f"$.data.items[3]: expected an object, not {value!r}",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(item=st.dictionaries(st.sampled_from(list(KEYS["ArchivedCourseEnrollment"].values())),
                            json_values))  # fmt: skip
def test_any_item_is_a_record_or_faults_with_a_path(item: dict[Any, Any]) -> None:
    """Whatever JSON comes."""
    faults: tuple[str, ...] = ()
    try:
        structure(ArchivedCourseEnrollment, item)
    except StructureError as error:
        faults = error.faults or ("nothing said",)
    assert all(fault.startswith("$.") for fault in faults)
