"""From the platform's JSON to records, and from records to our own files and back."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
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

ENROLLMENT = {"user_id": 1, "course_id": 2}
ARCHIVED = {"id": 9, "user_id": 1, "course_id": 2}


def enrollment(**fields: Any) -> CourseEnrollment:
    """An active enrollment with these fields of the platform."""
    return structure(CourseEnrollment, {**ENROLLMENT, **fields})


def faults_of(cls: type, item: object) -> tuple[str, ...]:
    """What is said of a broken item."""
    with pytest.raises(StructureError) as caught:
        structure(cls, item, "$.data.items[3]")
    return caught.value.faults


def test_flat_item() -> None:
    """Each attribute is taken from the key that the contract gives."""
    item = {"id_course": "7", "name": "Safety", "code": "SAFE", "uidCourse": "u-7"}
    assert structure(Course, item) == Course(course_id=7, title="Safety", code="SAFE", uid="u-7")


def test_grouped_item() -> None:
    """A flat item becomes the groups of an archived record."""
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


def test_other_keys() -> None:
    """An override of the contract is all it takes to read other keys."""
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
def test_several_keys(item: dict[str, Any], course_id: int, extra: dict[str, Any]) -> None:
    """Of several keys of a field, the first that holds something counts."""
    keys: dict[str, dict[str, Any]] = {
        "Course": {**KEYS["Course"], "course_id": ("id", "id_course")}
    }
    reads = Structurer(keys)
    (course,) = reads.many(Course, [item])
    assert (course.course_id, course.extra) == (course_id, extra)
    assert reads.value(Course, item, "course_id") == course_id
    with pytest.raises(StructureError, match=r"^\$\.id_course: expected a whole number, not 'x'$"):
        reads(Course, {"id_course": "x"})
    with pytest.raises(StructureError, match=r"^\$\.id: missing$"):
        reads(Course, {"code": "SAFE"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [(71, 71), ("71", 71), ("0071", 71), (0, 0), ("-1", -1), (10**18, 10**18)],
)
def test_ids(given: object, expected: int) -> None:
    """Ids come as numbers or as digits in text."""
    assert structure(Course, {"id_course": given}).course_id == expected


@pytest.mark.parametrize(
    "given", [None, "", "7.0", 7.0, True, "x7", "7 ", "--7", "\u0667", [], {}, "9" * 5000]
)
def test_no_ids(given: object) -> None:
    """Nothing else is an id; an id is never guessed."""
    (fault,) = faults_of(Course, {"id_course": given})
    assert fault.startswith("$.data.items[3].id_course: ")
    assert len(fault) < 300


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-31 23:59:59", datetime(2026, 1, 31, 23, 59, 59, tzinfo=utc)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=utc)),
        ("2026-01-31T23:59:59Z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=utc)),
        ("2026-01-31T23:59:59z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=utc)),
        ("2026-01-31T23:59:59+02:00", datetime(2026, 1, 31, 21, 59, 59, tzinfo=utc)),
        ("2026-01-31 23:59:59.250000", datetime(2026, 1, 31, 23, 59, 59, 250000, tzinfo=utc)),
        ("0000-00-00", None),
        ("0000-00-00 00:00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_times(given: object, expected: datetime | None) -> None:
    """Times are UTC and aware, whatever zone they came with; zero dates are none."""
    at = enrollment(enrollment_created_at=given).enrolled_at
    assert at == expected
    assert at is None or at.tzinfo is utc


@pytest.mark.parametrize(
    "given", ["yesterday", "31.01.2026", "2026-02-30 00:00:00", 1767225600, True, [], "-", "Z"]
)
def test_no_times(given: object) -> None:
    """What is no time is a fault, never the epoch."""
    (fault,) = faults_of(CourseEnrollment, {**ENROLLMENT, "enrollment_created_at": given})
    assert fault.startswith("$.data.items[3].enrollment_created_at: expected a time like")


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-05:00"])
def test_times_beyond_the_calendar(given: str) -> None:
    """A time that UTC cannot hold is a fault like any other."""
    (fault,) = faults_of(CourseEnrollment, {**ENROLLMENT, "enrollment_created_at": given})
    assert fault.startswith("$.data.items[3].enrollment_created_at: ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("enrolled", EnrollmentStatus.ENROLLED),
        ("subscribed", EnrollmentStatus.ENROLLED),
        ("in_progress", EnrollmentStatus.IN_PROGRESS),
        ("completed", EnrollmentStatus.COMPLETED),
        ("Completed ", EnrollmentStatus.COMPLETED),
        ("waiting", EnrollmentStatus.WAITING),
        ("not_started", EnrollmentStatus.NOT_STARTED),
        ("suspended", EnrollmentStatus.SUSPENDED),
        (0, EnrollmentStatus.ENROLLED),
        ("1", EnrollmentStatus.IN_PROGRESS),
        (2, EnrollmentStatus.COMPLETED),
        (None, None),
        ("", None),
    ],
)
def test_known_status(given: object, expected: EnrollmentStatus | None) -> None:
    """Words and numbers that are known become the one word for them."""
    assert enrollment(enrollment_status=given).status is expected


@pytest.mark.parametrize("given", ["expelled", "3", "complete", "-1", "COMPLETED?"])
def test_unknown_status(given: str) -> None:
    """An unknown word is kept as it came, and is nothing that could be archived."""
    status = enrollment(enrollment_status=given).status
    assert status == given
    assert not isinstance(status, EnrollmentStatus)


def test_absent_status() -> None:
    """An item without a status has none; it is not guessed."""
    assert enrollment().status is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("student", EnrollmentLevel.LEARNER),
        ("Learner", EnrollmentLevel.LEARNER),
        ("tutor", EnrollmentLevel.TUTOR),
        ("owl", "owl"),
        (None, None),
    ],
)
def test_levels(given: object, expected: object) -> None:
    """Levels are read like states."""
    assert enrollment(enrollment_level=given).level == expected


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        ("queued", True),
        ("running", True),
        ("completed", False),
        ("aborted", False),
        ("paused", True),
    ],
)
def test_jobs(status: str, is_open: bool) -> None:  # noqa: FBT001  a table's column
    """A job whose state is unknown may still do something."""
    job = structure(BackgroundJob, {"hash": "h", "status": status})
    assert job.is_open is is_open
    assert isinstance(job.status, JobStatus) is (status != "paused")


@pytest.mark.parametrize(
    ("given", "expected"), [("1", True), ("0", False), (1, True), (0, False), (True, True)]
)
def test_flags(given: object, expected: bool) -> None:  # noqa: FBT001  a table's column
    """Flags come as truth values, numbers or digits."""
    assert structure(User, {"user_id": 1, "username": "a", "status": given}).is_active is expected


@pytest.mark.parametrize("given", ["yes", 2, [], {}])
def test_no_flags(given: object) -> None:
    """Any other word for yes is a fault."""
    (fault,) = faults_of(User, {"user_id": 1, "username": "a", "status": given})
    assert fault.startswith("$.data.items[3].status: expected true or false, not ")


@pytest.mark.parametrize(
    ("given", "expected"), [(88, 88.0), ("88.5", 88.5), ("", None), (None, None)]
)
def test_numbers(given: object, expected: float | None) -> None:
    """Numbers come as numbers or as text."""
    assert enrollment(enrollment_score=given).score == expected


@pytest.mark.parametrize(
    "given", ["NaN", "inf", float("inf"), 10**400, "9" * 400, True, "much", [], float("nan")]
)
def test_no_numbers(given: object) -> None:
    """What is no finite number could not be written to a plan and read back."""
    (fault,) = faults_of(CourseEnrollment, {**ENROLLMENT, "enrollment_score": given})
    assert fault.startswith("$.data.items[3].enrollment_score: expected a number, not ")


@pytest.mark.parametrize(
    ("given", "expected"), [(7, "7"), ("007", "007"), ("", ""), (" a ", " a ")]
)
def test_text(given: object, expected: str) -> None:
    """Text stays as it is; a number where text belongs becomes text."""
    assert structure(User, {"user_id": 1, "username": given}).username == expected


@pytest.mark.parametrize("given", [1.5, True, [], {}])
def test_no_text(given: object) -> None:
    """Other things are no text."""
    (fault,) = faults_of(User, {"user_id": 1, "username": given})
    assert fault.startswith("$.data.items[3].username: expected text, not ")


@pytest.mark.parametrize(
    ("given", "expected"), [(13, 13), ("13", 13), ("cron", "cron"), ("", None), (None, None)]
)
def test_who(given: object, expected: int | str | None) -> None:
    """Who did it is an id, or whatever word the platform has for them."""
    assert enrollment(enrollment_created_by=given).enrolled_by == expected


def test_every_fault_at_once() -> None:
    """A broken item gives one error that names the JSON path of each fault."""
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


@pytest.mark.parametrize("item", [None, [], "x", 7, True])
def test_no_object(item: object) -> None:
    """An item that is no object is told as that."""
    assert faults_of(User, item) == (f"$.data.items[3]: expected an object, not {item!r}",)


def test_long_values_are_shortened() -> None:
    """A fault quotes no more than a little of what came."""
    (fault,) = faults_of(User, {"user_id": "x" * 10_000, "username": "a"})
    assert fault.endswith("...")
    assert len(fault) < 150


def test_unknown_fields_keep_their_order() -> None:
    """Unknown fields are kept as they came, in their order, so that files come out the same."""
    extra = {f"field_{i}": i for i in range(50)}
    assert list(enrollment(**extra).extra.items()) == list(extra.items())
    archived = structure(ArchivedCourseEnrollment, {**extra, **ARCHIVED})
    assert list(archived.extra.items()) == list(extra.items())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
times = st.none() | st.datetimes(timezones=st.just(utc)) | st.datetimes().map(str)
words = st.text(max_size=12)
whole = st.integers(-(2**63) + 1, 2**63 - 1)
leaves: dict[str, st.SearchStrategy[Any]] = {
    "user_id": whole,
    "course_id": whole,
    "id": whole,
    "username": st.none() | words,
    "course_name": st.none() | words,
    "archived_at": times.map(lambda at: at and str(at)),
    "archived_by": st.none() | whole | words,
    "enrollment_status": st.none() | st.sampled_from(EnrollmentStatus).map(str) | words,
    "enrollment_level": st.none() | st.sampled_from(EnrollmentLevel).map(str) | words,
    "enrollment_score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "enrollment_time_spent": st.none() | whole,
    "enrollment_created_at": times.map(lambda at: at and str(at)),
    "enrollment_created_by": st.none() | whole | words,
}


@pytest.mark.parametrize("cls", [CourseEnrollment, ArchivedCourseEnrollment])
@given(data=st.data())
def test_our_files_give_back_what_they_were_given(cls: type, data: st.DataObject) -> None:
    """A record, written to a file of ours and read back, is the same record."""
    extra = st.dictionaries(words, st.none() | st.booleans() | whole | words, max_size=3)
    item = {**data.draw(extra), **data.draw(st.fixed_dictionaries(leaves))}
    record: object = structure(cls, item)
    assert from_plain(cls, to_plain(record)) == record


@given(item=st.dictionaries(st.sampled_from(sorted(leaves)), json_values))
def test_a_record_or_faults(item: dict[str, Any]) -> None:
    """Whatever JSON comes, it gives a record, or faults that each begin with a path."""
    faults: tuple[str, ...] = ()
    try:
        structure(ArchivedCourseEnrollment, item)
    except StructureError as error:
        faults = error.faults or ("nothing said",)
    assert all(fault.startswith("$.") for fault in faults)


def test_faults_of_our_files() -> None:
    """A broken file of ours is told with the path of each fault too."""
    plain = to_plain(structure(ArchivedCourseEnrollment, ARCHIVED))
    plain["user"]["user_id"] = "x"
    plain["archiving"]["who"] = 1
    del plain["course"]["course_id"]
    with pytest.raises(StructureError) as caught:
        from_plain(ArchivedCourseEnrollment, plain)
    assert set(caught.value.faults) == {
        "$.user.user_id: expected a whole number",
        "$.archiving: unknown: who",
        "$.course.course_id: missing",
    }


@pytest.mark.parametrize("value", [None, [], 7, "x"])
def test_no_record_at_all(value: object) -> None:
    """What is no object is a fault of the whole."""
    with pytest.raises(StructureError, match=r"^\$: expected an object, not "):
        from_plain(Course, value)
    plain = {**to_plain(structure(ArchivedCourseEnrollment, ARCHIVED)), "user": value}
    with pytest.raises(StructureError, match=r"^\$\.user: has a wrong type$"):
        from_plain(ArchivedCourseEnrollment, plain)


def test_times_in_our_files() -> None:
    """Times are written with their zone, and read back as UTC."""
    east = timezone(timedelta(hours=9))
    record = CourseEnrollment(
        user_id=1, course_id=2, enrolled_at=datetime(2026, 1, 1, 9, tzinfo=east)
    )
    plain = to_plain(record)
    assert plain["enrolled_at"] == "2026-01-01T09:00:00+09:00"
    back = from_plain(CourseEnrollment, plain).enrolled_at
    assert back == datetime(2026, 1, 1, tzinfo=utc)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("12,15,19", (12, 15, 19)),
        (" 12, 15 ", (12, 15)),
        ([12, "15"], (12, 15)),
        (["0012"], (12,)),
        ("", ()),
        (None, ()),
        ([], ()),
    ],
)
def test_lists_of_ids(given: object, expected: tuple[int, ...]) -> None:
    """The courses of an archived plan come as one text with commas, or as a list."""
    item = {"id": 9, "user_id": 1, "learning_plan_id": 5, "learning_plan_courses": given}
    record = structure(ArchivedLearningPlanEnrollment, item)
    assert record.learning_plan.courses == expected
    assert from_plain(ArchivedLearningPlanEnrollment, to_plain(record)) == record


@pytest.mark.parametrize("given", ["12,x", "12;15", 12, {}, [None], [1.5], "1,-"])
def test_no_lists_of_ids(given: object) -> None:
    """What is no list of ids is a fault of the whole, never a part of it."""
    item = {"id": 9, "user_id": 1, "learning_plan_id": 5, "learning_plan_courses": given}
    (fault,) = faults_of(ArchivedLearningPlanEnrollment, item)
    assert fault.startswith("$.data.items[3].learning_plan_courses: expected ")
