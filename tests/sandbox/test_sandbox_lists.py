"""Lists: paging, cursor, totals, filters, items; and the errors of every call."""

from typing import Any

import pytest
from sandbox_tools import COURSES, PLANS, Http, fill, fill_plans
from virtual_time import VirtualTime

from lms_archive.sandbox import PlatformVariant, Sandbox

ENROLLMENTS = f"{COURSES}/7/enrollments"
WITH_TOTAL = {"get_total_count": 1}
COMMON = {
    "user_id": 100,
    "username": "u100",
    "enrollment_level": "student",
    "enrollment_created_at": "2025-01-02 00:00:00",
    "enrollment_created_by": 2_000_000_001,
    "enrollment_date_last_updated": "2025-01-02 00:00:00",
    "enrollment_validity_begin_datetime": "0000-00-00 00:00:00",
    "enrollment_validity_end_datetime": "0000-00-00 00:00:00",
}
DONE_AT = {"enrollment_completion_date": "2025-02-02 00:00:00"}
ITEMS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    COURSES: (
        1,
        {
            "course_id": 1,
            "course_code": "C1",
            "course_name": "Course 1",
            "course_uid": "E-000001",
            "course_type": "elearning",
            "enrollment_score": None,
            **DONE_AT,
        },
        {"enrollment_status": "completed", "enrollment_time_spent": 60},
    ),
    PLANS: (
        50,
        {"learning_plan_id": 50, "learning_plan_code": "OWN", "learning_plan_name": "Own"},
        {
            "enrollment_status": "completed",
            "enrollment_completion_percentage": 100,
            "enrollment_time_spent": 60,
            **DONE_AT,
        },
    ),
}
"""For each kind a target, its own keys, and the keys that come only when they are asked for."""


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A platform with one course and six enrollments."""
    fill(sandbox)
    return sandbox


def test_a_list_comes_in_pages_with_every_paging_key(http: Http) -> None:
    """Pages do not overlap; beyond the last there is an empty one."""
    answer = http.get(ENROLLMENTS, page_size=4).json()
    second = http.data(ENROLLMENTS, page_size=4, page=2)
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
    users = [item["user_id"] for item in first["items"] + second["items"]]
    assert users == [100, 101, 102, 103, 104, 105]
    assert (second["count"], second["has_more_data"]) == (2, False)
    assert http.items(ENROLLMENTS, page_size=4, page=3) == []
    assert http.data(ENROLLMENTS)["current_page_size"] == 20


@pytest.mark.parametrize(
    "query", [{"page": 0}, {"page_size": 0}, {"page_size": 201}, {"page": "x"}, {"user_id[]": "x"}]
)
def test_a_wrong_parameter_is_refused_by_name(http: Http, query: dict[str, object]) -> None:
    """The message of the 400 names the parameter."""
    answer = http.get(ENROLLMENTS, **query)
    assert (answer.status_code, list(answer.json()["message"])) == (400, list(query))


def test_a_cursor_continues_its_own_list_only(http: Http) -> None:
    """The cursor of get_cursor=1 opens the next page of the same list, and of no other."""
    first = http.data(ENROLLMENTS, page_size=4, get_cursor=1)
    second = http.data(ENROLLMENTS, page_size=4, page=2, cursor=first["cursor"])
    other = http.get(f"{ENROLLMENTS}/archived", page=2, cursor=first["cursor"])
    assert (second["cursor"], second["count"]) == (first["cursor"], 2)
    assert (other.status_code, list(other.json()["message"])) == (400, ["cursor"])


def test_settings_make_lists_less_reliable() -> None:
    """More data on the last page, ignored filters, and totals only on request."""
    variant = PlatformVariant(totals="on_request")
    settings: dict[str, Any] = {"more_data_lies": True, "ignores_filters": True}
    with Sandbox(variant=variant, **settings) as sandbox, Http(sandbox) as http:
        fill(sandbox)
        lies = [http.data(ENROLLMENTS, page=page)["has_more_data"] for page in (1, 2)]
        assert lies == [True, False]
        assert len(http.items(ENROLLMENTS, **{"user_id[]": [100]})) == 6
        totals = [http.data(ENROLLMENTS, **query).get("total_count") for query in ({}, WITH_TOTAL)]
        assert totals == [None, 6]


@pytest.mark.parametrize("targets", ITEMS)
def test_items_of_enrollments(lms_sandbox: Sandbox, targets: str) -> None:
    """Some keys come only when they are asked for; missing times come in two forms."""
    fill_plans(lms_sandbox)
    target, own, on_request = ITEMS[targets]
    with Http(lms_sandbox) as http:
        for path in (f"{targets}/{target}/enrollments", f"{targets}/enrollments"):
            assert http.items(path)[0] == COMMON | own
            full = http.items(path, **{"extra_fields[]": list(on_request)})[0]
            assert full == COMMON | own | on_request


@pytest.mark.parametrize(("path", "column"), [(COURSES, "course_id"), (PLANS, "learning_plan_id")])
def test_enrollments_are_filtered_by_target_user_and_status(
    lms_sandbox: Sandbox, path: str, column: str
) -> None:
    """Filters combine; an unknown filter is ignored; the list of all is ordered by target."""
    fill_plans(lms_sandbox)
    first, second = (1, 2) if column == "course_id" else (50, 60)
    key = "id_course" if column == "course_id" else column
    table = "enrollments" if column == "course_id" else "learning_plan_enrollments"
    lms_sandbox.load(users=[{"username": "new", "user_id": 200}])
    lms_sandbox.load(**{table: [{"user_id": 200, key: first}]})
    with Http(lms_sandbox) as http:

        def pairs(path: str, **query: object) -> list[tuple[int, int]]:
            return [(item[column], item["user_id"]) for item in http.items(path, **query)]

        of_first = f"{path}/{first}/enrollments"
        assert pairs(of_first, **{"enrollment_status[]": "enrolled"}) == [(first, 200)]
        assert pairs(of_first, **{"user_id[]": [101, "200", 999]}) == [(first, 101), (first, 200)]
        assert pairs(of_first, **{"user_id[]": 100, "enrollment_status[]": "enrolled"}) == []
        assert len(pairs(of_first, user_id=100)) == 4
        everything = pairs(f"{path}/enrollments")
        assert everything == sorted(everything)
        assert set(pairs(of_first)) < set(everything)
        both = {f"{column}[]": [first, second], "user_id[]": [100]}
        assert pairs(f"{path}/enrollments", **both) == [(first, 100), (second, 100)]
        assert pairs(f"{path}/enrollments", **{"enrollment_status[]": "enrolled"}) == [(first, 200)]
        cursor = http.data(f"{path}/enrollments", page_size=5, get_cursor=1)["cursor"]
        rest = pairs(f"{path}/enrollments", page_size=5, page=2, cursor=cursor)
        assert rest[0] == everything[5]


def test_courses_are_listed_in_the_seen_form(sandbox: Sandbox, http: Http) -> None:
    """Courses are searched in code and name; one code may stand for two."""
    sandbox.load(
        courses=[
            {"code": "SAFE", "name": "Fire", "course_type": "classroom", "published": 0},
            {"code": "x%", "name": "Other"},
        ]
    )
    courses = {text: http.items(COURSES, "id", search_text=text) for text in ("safe", "fire", "%")}
    assert courses == {"safe": [7, 8], "fire": [8], "%": [9]}
    assert http.items(COURSES)[1] == {
        "id": 8,
        "title": "Fire",
        "code": "SAFE",
        "uidCourse": "E-000008",
        "type": "classroom",
        "course_status": "unpublished",
        "published": False,
        "language": "en",
        "start_date": None,
        "end_date": None,
        "last_update": None,
    }
    assert http.data("/learn/v1/courses/7") == {
        "id_course": 7,
        "code": "SAFE",
        "name": "Safety at work",
        "uidCourse": "E-000007",
        "course_type": "elearning",
        "credits": 1.5,
        "learningplans": [],
    }


def test_users_are_searched_and_sorted() -> None:
    """By part or exactly; ids are strings; an unknown sort_attr is ignored."""
    people = [
        {"username": "ann", "user_id": 1, "last_access_date": "2024-01-01"},
        {"username": "Ann", "user_id": 2, "email": "joanne@example.com"},
        {"username": "bob", "user_id": 3, "last_access_date": "2023-01-01", "status": "0"},
        {"username": "old", "user_id": 4, "expiration_date": "2026-03-01 12:00:00"},
    ]
    path = "/manage/v1/user"
    with Sandbox(clock=VirtualTime()) as sandbox, Http(sandbox) as http:
        sandbox.load(users=people)
        assert http.items(path, "username", search_text="ann") == ["ann", "Ann"]
        assert http.items(path, "username", search_text="ann", match_type="full") == ["ann"]
        assert http.items(path, "username", sort_attr="shoe_size") == ["ann", "Ann", "bob", "old"]
        items = http.items(path)
        bob = http.data(f"{path}/3")["user_data"]
    assert [(item["user_id"], item["status"], item["expired"]) for item in items] == [
        ("1", "1", False),
        ("2", "1", False),
        ("3", "0", False),
        ("4", "1", True),
    ]
    assert bob == items[2]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{COURSES}/nothing", 404),
        ("GET", "/learn/v1/courses/999", 404),
        ("GET", f"{COURSES}/999/enrollments/archived", 404),
        ("GET", f"{PLANS}/99/enrollments", 404),
        ("GET", "/manage/v1/user/9", 404),
        ("GET", "/manage/v1/job/none", 404),
        ("POST", "/learn/v1/enrollments", 405),
    ],
)
def test_an_unknown_path_id_or_method_is_refused(
    http: Http, method: str, path: str, status: int
) -> None:
    """404 or 405, with the platform's body of an error."""
    answer = http.call(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"status", "name", "message"}
    assert answer.json()["status"] == status


def test_the_rate_limit_answers_429_with_the_seconds_to_wait() -> None:
    """Above calls_per_hour in any 3,600 seconds, logins included."""
    clock = VirtualTime()
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
