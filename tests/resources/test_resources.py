"""The nouns of a client, each against a real platform."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wire_tools import answer, items, scripted

from lms_archive import ApiError, Client, InvalidInputError, Limits, RetryPolicy
from lms_archive.errors import NotFoundError, UnexpectedResponseError
from lms_archive.records import EnrollmentStatus, JobStatus
from lms_archive.sandbox import Sandbox

utc = timezone.utc
ENROLLED_AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=utc)
NAMES = {101: "ada", 102: "Ada", 103: "bob", 104: "eve@example.com", 105: "007"}
STATES = {101: "completed", 102: "completed", 103: "in_progress", 104: "enrolled", 105: "waiting"}


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    """A platform of five users and four courses, where two enrollments have been archived."""
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"user_id": i, "username": name} for i, name in NAMES.items()],
            courses=[
                {"id_course": 7, "code": "SAFE", "name": "Safety at work"},
                {"id_course": 8, "code": "SAFETY", "name": "More safety"},
                {"id_course": 9, "code": "TWIN"},
                {"id_course": 10, "code": "TWIN"},
            ],
            learning_plans=[
                {"learning_plan_id": number, "code": code, "courses": []}
                for number, code in ((50, "OWN"), (70, "TWIN"), (71, "TWIN"))
            ],
            learning_plan_enrollments=[{"user_id": 101, "learning_plan_id": 50}],
            enrollments=[
                {
                    "user_id": i,
                    "id_course": 7,
                    "enrollment_status": state,
                    "enrollment_created_at": ENROLLED_AT,
                }
                for i, state in STATES.items()
            ]
            + [
                {"user_id": i, "id_course": 8, "enrollment_status": "completed"} for i in (101, 103)
            ],
        )
        with sandbox.client() as archivist:
            archivist.session.call(
                "archive_course_enrollments",
                course_id=8,
                user_ids=[101, 103],
                mode="delete",
                reset_tracking=False,
            )
            list(archivist.background_jobs.list())
        yield sandbox


@pytest.fixture
def client(platform: Sandbox) -> Iterator[Client]:
    """A client of it that reads two items a page."""
    with platform.client(limits=Limits(page_size=2), retry=RetryPolicy(attempts=1)) as client:
        yield client


# Records by id, code and name

FIND: dict[str, Callable[[Client], Any]] = {
    "course": lambda client: client.courses,
    "learning plan": lambda client: client.learning_plans,
    "user": lambda client: client.users,
}
FOUND = [
    ("course", "SAFE", 7),
    ("learning plan", "OWN", 50),
    *(("user", name, user_id) for user_id, name in NAMES.items()),
]


@pytest.mark.parametrize(("noun", "name", "record_id"), FOUND)
def test_a_name_finds_exactly_its_record(
    client: Client, noun: str, name: str, record_id: int
) -> None:
    """Case, digits and @ are part of a name; the record is the one that its id gets."""
    resource = FIND[noun](client)
    found = resource.find(name)
    assert getattr(found, f"{noun.replace(' ', '_')}_id") == record_id
    got = resource.get(record_id)
    assert name in (getattr(got, "code", None), getattr(got, "username", None))
    with pytest.raises(NotFoundError, match="/99: 404: "):
        resource.get(99)


@pytest.mark.parametrize(
    ("noun", "names"),
    [
        ("course", ["SAF", "safe", "Safety at work", ""]),
        ("learning plan", ["OW", "own", ""]),
        ("user", ["ADA", "ad", "", " ada"]),
    ],
)
def test_a_name_that_no_record_has_exactly_is_an_error(
    client: Client, noun: str, names: list[str]
) -> None:
    """Not another's part, and not in another case; the error names the call."""
    for name in names:
        text = rf"^GET /\S+: no {noun} with the (code|username) '{name}'"
        with pytest.raises(NotFoundError, match=text):
            FIND[noun](client).find(name)


@pytest.mark.parametrize(("noun", "ids"), [("course", "9, 10"), ("learning plan", "70, 71")])
def test_a_code_of_two_records_is_an_error(client: Client, noun: str, ids: str) -> None:
    """Neither of them is guessed."""
    text = rf"2 {noun}s have the code 'TWIN' \(ids {ids}\): use the id"
    with pytest.raises(InvalidInputError, match=text):
        FIND[noun](client).find("TWIN")


@pytest.mark.parametrize("noun", FIND)
def test_a_text_that_cannot_be_sent_is_refused(client: Client, noun: str) -> None:
    """Half a character, and values that are not texts, are refused before anything is sent."""
    resource = FIND[noun](client)
    for value, text in {
        "ad\ud800": "half a character",
        np.int64(1): "search must be text",
        pd.NaT: "search must be text",
        7: "search must be text",
    }.items():
        for read in (resource.list, resource.pages):
            with pytest.raises(InvalidInputError, match=text):
                read(search=value)
        with pytest.raises(InvalidInputError, match=text.replace("search", "(code|username)")):
            resource.find(value)
    assert not client.session.calls


# Active enrollments


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"user_ids": [101, 104, 999]}, {101, 104}),
        ({"user_ids": {103: "a key"}.keys()}, {103}),
        ({"status": ["completed"]}, {101, 102}),
        ({"status": [EnrollmentStatus.COMPLETED, "waiting"]}, {101, 102, 105}),
        ({"status": "completed"}, {101, 102}),
        ({"status": EnrollmentStatus.IN_PROGRESS}, {103}),
        ({"user_ids": [101, 103], "status": ["in_progress"]}, {103}),
        ({"user_ids": [], "status": None}, set()),
        ({"status": ()}, set()),
    ],
    ids=str,
)
def test_an_empty_filter_finds_nobody(
    client: Client, filters: dict[str, Any], expected: set[int]
) -> None:
    """Filters pick users and states; an empty one picks nobody, not everybody."""
    found = client.enrollments.in_course(7, **filters)
    assert {enrollment.user_id for enrollment in found} == expected


def test_in_no_course(client: Client) -> None:
    """A course that is not there is an error, not an empty list."""
    with pytest.raises(NotFoundError, match="GET /course/v1/courses/99/enrollments: 404: "):
        list(client.enrollments.in_course(99))


#: Lists of a target by its code, with the code and the id of the target.
CODES: dict[str, tuple[Callable[[Client, Any], Any], str, int]] = {
    "enrollments": (lambda client, key: client.enrollments.in_course(key), "SAFE", 7),
    "pages": (lambda client, key: client.enrollments.pages_in_course(key), "SAFE", 7),
    "archived": (lambda client, key: client.archived.in_course(key), "SAFETY", 8),
    "archived pages": (lambda client, key: client.archived.pages_in_course(key), "SAFETY", 8),
    "of a plan": (lambda client, key: client.enrollments.in_learning_plan(key), "OWN", 50),
    "pages of a plan": (
        lambda client, key: client.enrollments.pages_in_learning_plan(key), "OWN", 50),
    "archived of a plan": (lambda client, key: client.archived.in_learning_plan(key), "OWN", 50),
    "archived pages of a plan": (
        lambda client, key: client.archived.pages_in_learning_plan(key), "OWN", 50),
    "courses of a plan": (lambda client, key: client.learning_plans.courses(key), "OWN", 50),
}  # fmt: skip
each_list = pytest.mark.parametrize(("read", "code", "target_id"), CODES.values(), ids=CODES.keys())


@each_list
def test_a_target_is_named_by_its_code(
    client: Client, platform: Sandbox, read: Callable[[Client, Any], Any], code: str, target_id: int
) -> None:
    """A str is a code, and costs one look-up of one page, once the list is wanted."""
    before = len(platform.calls)
    by_code = read(client, code)
    assert len(platform.calls) == before
    found = list(by_code)
    operations = [call.operation for call in platform.calls[before:]]
    assert operations[0] == "token"
    lookup = "list_learning_plans" if target_id == 50 else "list_courses"
    assert operations.count(lookup) == 1
    assert found == list(read(client, target_id))


@each_list
def test_a_code_that_names_no_target_is_refused(
    client: Client, read: Callable[[Client, Any], Any], code: str, target_id: int
) -> None:
    """An id in quotation marks is a code too, as in jobs; two targets are never mixed."""
    noun = "learning plan" if target_id == 50 else "course"
    for wrong, error, text in (
        (code.lower(), NotFoundError, f"no {noun} with the code '{code.lower()}'"),
        (str(target_id), NotFoundError, f"no {noun} with the code '{target_id}'"),
        ("TWIN", InvalidInputError, f"2 {noun}s have the code 'TWIN'"),
        (" ", InvalidInputError, f"the {noun} must be an id, not ' ', or a code"),
        ("\ud800", InvalidInputError, f"the {noun} must be an id, not '.ud800', or a code"),
    ):
        with pytest.raises(error, match=text):
            list(read(client, wrong))


@each_list
def test_a_target_is_named_by_a_number_of_any_library(
    client: Client, read: Callable[[Client, Any], Any], code: str, target_id: int
) -> None:
    """Whole numbers and texts of numpy are ids and codes; other values are refused at once."""
    expected = list(read(client, target_id))
    for same in (np.int64(target_id), np.array(target_id), np.str_(code)):
        assert list(read(client, same)) == expected
    for wrong in (None, True, 7.0, np.float64(7), pd.NA, pd.NaT, np.array(["a"]), 0, -1, [7]):
        with pytest.raises(InvalidInputError, match="must be an id, not "):
            read(client, wrong)


def test_filters_of_any_library(client: Client) -> None:
    """Ids of numpy are ids; a value that is not a list of them, or not a status, is refused."""
    ids = np.array([101, 103])
    assert {each.user_id for each in client.enrollments.in_course(7, user_ids=ids)} == {101, 103}
    assert client.archived.get(1, course_id=np.int64(8)).user.user_id == 101
    nothing: Any = pd.NA
    no_time: Any = pd.NaT
    wrong: list[Callable[[], object]] = [
        lambda: client.archived.in_course(8, user_ids=np.array(1)),
        lambda: client.archived.in_course(8, archived_by=nothing),
        lambda: client.archived.in_course(8, user_status=nothing),
        lambda: client.archived.in_course(8, user_status=np.array(["1"])),  # type: ignore[arg-type]
        lambda: client.archived.in_course(8, archived_from=no_time),
        lambda: client.enrollments.in_course(7, status=np.array("completed")),
        lambda: client.enrollments.in_course(7, status=nothing),
        lambda: client.archived.delete(np.array(1)),
    ]
    for call in wrong:
        with pytest.raises(InvalidInputError):
            call()


# Archived enrollments


def test_archived_enrollments_are_frozen_in_groups(client: Client) -> None:
    """What was archived is there, frozen in its groups."""
    found = {record.user.user_id: record for record in client.archived.in_course(8)}
    assert set(found) == {101, 103}
    record = found[101]
    assert (record.user.username, record.course.code) == ("ada", "SAFETY")
    assert record.enrollment.status is EnrollmentStatus.COMPLETED
    assert record.archiving.archived_at is not None
    assert record.archiving.archived_at.utcoffset() == timedelta(0)
    assert list(client.archived.in_course(7)) == []


# Background jobs


def test_background_jobs_are_listed_and_read_by_their_hash(client: Client) -> None:
    """The account's jobs are listed, and each can be asked for by its hash."""
    (job,) = client.background_jobs.list()
    assert job.status is JobStatus.COMPLETED
    assert (job.total, job.errors, job.is_open) == (2, 0, False)
    assert client.background_jobs.get(job.job_id) == job
    with pytest.raises(NotFoundError, match="GET /manage/v1/job/nothing: 404: "):
        client.background_jobs.get("nothing")


def test_a_hash_goes_into_the_path_whole(client: Client) -> None:
    """A hash goes into the path whole, whatever is in it."""
    with pytest.raises(NotFoundError, match=r"GET /manage/v1/job/\.\.%2Fuser%3Fx: 404: "):
        client.background_jobs.get("../user?x")


# Answers about something else

OTHERS: dict[str, tuple[dict[str, Any], Callable[[Client], Any], str]] = {
    "course": ({"id_course": 8}, lambda client: client.courses.get(7), "course_id"),
    "learning plan": (
        {"learning_plan_id": 8},
        lambda client: client.learning_plans.get(7),
        "learning_plan_id",
    ),
    "user": (
        {"user_data": {"user_id": "8", "username": "bob"}},
        lambda client: client.users.get(7),
        "user_id",
    ),
    "plans of a course": (
        {"id_course": 8, "learningplans": [{"id": 1}]},
        lambda client: client.learning_plans.of_course(7),
        "course_id",
    ),
    "job": (
        {"job_descriptor": {"hash": "8", "status": "running"}},
        lambda client: client.background_jobs.get("7"),
        "job_id",
    ),
}


@pytest.mark.parametrize(("data", "get", "other"), OTHERS.values(), ids=OTHERS.keys())
def test_an_answer_about_something_else_is_refused(
    data: dict[str, Any], get: Callable[[Client], Any], other: str
) -> None:
    """Whatever mixed the answers up: nothing is taken for what it is not."""
    client, _ = scripted(answer({"data": data}))
    with pytest.raises(
        UnexpectedResponseError, match=f"asked for {other} 7, but the answer is about 8"
    ):
        get(client)


# All of them


def test_a_course_that_is_listed_twice_is_found() -> None:
    """A list that shifts while it is read can show a course on two pages."""
    twin = {"id": 1, "code": "A", "title": "A"}
    client, _ = scripted(
        items(twin, {**twin, "id": 3, "code": "C"}, has_more_data=True),
        items(twin, {**twin, "id": 2, "code": "B"}),
    )
    assert client.courses.find("A").course_id == 1


@pytest.mark.parametrize("kind", ["cut_before", "429"])
def test_a_list_that_fails_in_the_middle_raises(
    client: Client, platform: Sandbox, kind: str
) -> None:
    """A list that fails in the middle raises; it never ends early as if it were whole."""
    found = iter(client.courses.list())
    assert [next(found).course_id, next(found).course_id] == [7, 8]
    more: dict[str, Any] = {"retry_after": 7200} if kind == "429" else {}
    platform.faults.add(kind, operation="list_courses", **more)
    with pytest.raises(ApiError):
        next(found)


@pytest.mark.parametrize("body", [None, {"data": []}, {"data": {"code": "A"}}], ids=str)
def test_an_answer_without_a_course_is_an_error(body: Any) -> None:
    """An answer that holds no course is an error with a path, never a half-filled record."""
    client, _ = scripted(answer(body))
    with pytest.raises(UnexpectedResponseError, match=r"GET /learn/v1/courses/7: 200: \$\.data"):
        client.courses.get(7)


def test_find_reads_every_page() -> None:
    """A twin on the second page is a twin."""
    twin = {"code": "T"}
    client, _ = scripted(
        items({**twin, "id_course": 1}, has_more_data=True), items({**twin, "id_course": 2})
    )
    with pytest.raises(InvalidInputError, match="2 courses have the code 'T'"):
        client.courses.find("T")
