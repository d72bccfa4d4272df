"""Lists: paging, cursor, filters, shapes; and the errors of every call."""

import pytest
from sandbox_tools import FakeClock, Http, fill, rows

from lms_archive.sandbox import Sandbox

ENROLLMENTS = "/course/v1/courses/7/enrollments"


@pytest.fixture
def sandbox(lms_sandbox: Sandbox) -> Sandbox:
    """A platform with one course and six enrollments."""
    fill(lms_sandbox)
    return lms_sandbox


def test_envelope_and_paging(sandbox: Sandbox) -> None:
    """A list comes in the envelope, with every paging key, and pages do not overlap."""
    with Http(sandbox) as http:
        answer = http.get(ENROLLMENTS, page_size=4).json()
        second = http.data(ENROLLMENTS, page_size=4, page=2)
        beyond = http.data(ENROLLMENTS, page_size=4, page=3)
    first = answer["data"]
    assert (answer["version"], answer["_links"]) == ("1.0.0", [])
    assert {key: value for key, value in first.items() if key != "items"} == {
        "count": 4,
        "has_more_data": True,
        "cursor": None,
        "current_page": 1,
        "current_page_size": 4,
        "total_page_count": 2,
        "total_count": 6,
    }
    seen = [item["user_id"] for item in first["items"] + second["items"]]
    assert seen == [100, 101, 102, 103, 104, 105]
    assert (second["count"], second["has_more_data"], beyond["items"]) == (2, False, [])


def test_default_page_size(sandbox: Sandbox) -> None:
    """Without page and page_size it is the first page, of twenty."""
    with Http(sandbox) as http:
        data = http.data("/manage/v1/user")
    assert (data["current_page"], data["current_page_size"]) == (1, 20)


@pytest.mark.parametrize(
    "query", [{"page": 0}, {"page_size": 0}, {"page_size": 201}, {"page": "x"}]
)
def test_wrong_page(sandbox: Sandbox, query: dict[str, object]) -> None:
    """A page that cannot be is a 400 whose message names the parameter."""
    with Http(sandbox) as http:
        answer = http.get(ENROLLMENTS, **query)
    assert answer.status_code == 400
    assert list(answer.json()["message"]) == list(query)


def test_cursor(sandbox: Sandbox) -> None:
    """The cursor of get_cursor=1 opens the next page of the same walk, and of no other."""
    with Http(sandbox) as http:
        first = http.data(ENROLLMENTS, page_size=4, get_cursor=1)
        second = http.data(ENROLLMENTS, page_size=4, page=2, cursor=first["cursor"])
        other = http.get(f"{ENROLLMENTS}/archived", page=2, cursor=first["cursor"])
    assert first["cursor"] == second["cursor"]
    assert second["count"] == 2
    assert (other.status_code, list(other.json()["message"])) == (400, ["cursor"])


def test_more_data_lies() -> None:
    """With the switch, has_more_data is true on the last page, and false on an empty one."""
    with Sandbox(more_data_lies=True) as sandbox, Http(sandbox) as http:
        fill(sandbox)
        told = [http.data(ENROLLMENTS, page=page)["has_more_data"] for page in (1, 2)]
    assert told == [True, False]


def test_enrollment_item(sandbox: Sandbox) -> None:
    """Status and time spent come only when asked for; missing times come in two forms."""
    with Http(sandbox) as http:
        (bare, *_) = http.data(ENROLLMENTS)["items"]
        asked = ["enrollment_status", "enrollment_time_spent"]
        (full, *_) = http.data(ENROLLMENTS, **{"extra_fields[]": asked})["items"]
    assert full == bare | {"enrollment_status": "completed", "enrollment_time_spent": 600}
    assert bare == {
        "user_id": 100,
        "username": "u0",
        "course_id": 7,
        "course_code": "SAFE",
        "course_name": "Safety at work",
        "course_uid": "E-000007",
        "course_type": "elearning",
        "enrollment_level": "student",
        "enrollment_score": 88,
        "enrollment_created_at": "2025-01-02 03:04:05",
        "enrollment_created_by": 2_000_000_001,
        "enrollment_completion_date": "2025-02-02 00:00:00",
        "enrollment_date_last_updated": "2025-01-02 03:04:05",
        "enrollment_validity_begin_datetime": "0000-00-00 00:00:00",
        "enrollment_validity_end_datetime": "0000-00-00 00:00:00",
    }


def test_enrollment_filters(sandbox: Sandbox) -> None:
    """Users and statuses filter, repeated; an unknown filter name is ignored."""
    sandbox.load(
        users=[{"username": "late", "user_id": 200}],
        enrollments=[{"user_id": 200, "id_course": 7, "enrollment_status": "in_progress"}],
    )

    def count(**query: object) -> object:
        return http.data(ENROLLMENTS, **query)["total_count"]

    with Http(sandbox) as http:
        assert count(**{"user_id[]": [100, "101", 999]}) == 2
        assert count(**{"enrollment_status[]": ["in_progress"]}) == 1
        assert count(**{"enrollment_status[]": ["in_progress", "completed"]}) == 7
        assert count(**{"user_id[]": [100], "enrollment_status[]": ["in_progress"]}) == 0
        assert count(status="in_progress", user_id=100) == 7
        assert http.get(ENROLLMENTS, **{"user_id[]": "x"}).status_code == 400


def test_courses(sandbox: Sandbox) -> None:
    """Courses are searched in code and name; one code may stand for two."""
    sandbox.load(courses=[{"code": "SAFE", "name": "Fire"}, {"code": "x%", "name": "Other"}])
    with Http(sandbox) as http:
        found = {
            text: [item["id_course"] for item in http.data(path, search_text=text)["items"]]
            for path in ["/course/v1/courses"]
            for text in ("safe", "fire", "%", "nothing")
        }
        one = http.data("/learn/v1/courses/7")
    assert found == {"safe": [7, 8], "fire": [8], "%": [9], "nothing": []}
    assert one == {
        "id_course": 7,
        "code": "SAFE",
        "name": "Safety at work",
        "uidCourse": "E-000007",
        "course_type": "elearning",
        "credits": 1.5,
        "learningplans": [],
    }


def test_users() -> None:
    """Users are searched by part or exactly, sorted, and their ids are strings."""
    people = [
        {"username": "ann", "user_id": 1, "last_access_date": "2024-01-01"},
        {"username": "Ann", "user_id": 2, "email": "joanne@example.com"},
        {"username": "bob", "user_id": 3, "last_access_date": "2023-01-01", "status": "0"},
        {"username": "old", "user_id": 4, "expiration_date": "2026-03-01 12:00:00"},
    ]
    with Sandbox(clock=FakeClock()) as sandbox, Http(sandbox) as http:
        sandbox.load(users=people)

        def names(**query: object) -> list[object]:
            items = http.data("/manage/v1/user", **query)["items"]
            return [item["username"] for item in items]

        assert names(search_text="ann") == ["ann", "Ann"]
        assert names(search_text="ann", match_type="full") == ["ann"]
        assert names(sort_attr="last_access_date", sort_dir="desc")[:2] == ["ann", "bob"]
        assert names(sort_attr="shoe_size") == ["ann", "Ann", "bob", "old"]
        items = http.data("/manage/v1/user")["items"]
    assert [item["user_id"] for item in items] == ["1", "2", "3", "4"]
    assert [item["expired"] for item in items] == [False, False, False, True]
    assert [item["status"] for item in items] == ["1", "1", "0", "1"]


def test_no_learning_plans_yet(sandbox: Sandbox) -> None:
    """The list of learning plans is there and empty."""
    with Http(sandbox) as http:
        assert http.data("/learningplan/v1/learningplans")["total_count"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/course/v1/nothing", 404),
        ("GET", "/course/v1/courses/", 404),
        ("GET", "/learn/v1/courses/999", 404),
        ("GET", "/learn/v1/courses/seven", 404),
        ("GET", "/course/v1/courses/999/enrollments", 404),
        ("GET", "/course/v1/courses/999/enrollments/archived", 404),
        ("GET", "/manage/v1/job/none", 404),
        ("POST", "/learn/v1/enrollments", 405),
        ("DELETE", "/course/v1/courses", 405),
    ],
)
def test_errors(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    """An unknown path or id is a 404, a wrong method a 405, each with the platform's body."""
    with Http(sandbox) as http:
        answer = http.ask(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"status", "name", "message"}
    assert answer.json()["status"] == status


def test_rate_limit() -> None:
    """Above calls_per_hour it is a 429 that says after how many seconds to come back."""
    clock = FakeClock()
    with (
        Sandbox(clock=clock, calls_per_hour=3, token_seconds=1e6) as sandbox,
        Http(sandbox) as http,
    ):
        clock.sleep(100)
        statuses = [http.get("/manage/v1/job").status_code for _ in range(2)]
        refused = http.get("/manage/v1/job")
        clock.sleep(3500)
        after = http.get("/manage/v1/job")
    assert (statuses, after.status_code) == ([200, 200], 200)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3500")


def test_the_file_is_plain_sql(sandbox: Sandbox) -> None:
    """Anyone can ask the SQLite file."""
    assert rows(sandbox, "SELECT COUNT(*) FROM enrollments JOIN users USING (user_id)") == [(6,)]
