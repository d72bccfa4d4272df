"""Learning plans: loading them, and the lists of plans, of their courses and enrollments."""

import io

import pytest
from sandbox_tools import PLANS, FakeClock, Http, fill_plans, rows

from lms_archive.sandbox import Sandbox

ON_DEMAND = (
    "enrollment_status",
    "enrollment_completion_date",
    "enrollment_completion_percentage",
    "enrollment_time_spent",
)


def test_plans() -> None:
    """Plans are listed with their fields and searched in code and title; codes may repeat."""
    with Sandbox(clock=FakeClock()) as sandbox, Http(sandbox) as http:
        fill_plans(sandbox)

        def ids(text: str) -> list[int]:
            items = http.data(PLANS, search_text=text)["items"]
            return [item["learning_plan_id"] for item in items]

        assert [ids("twin"), ids("own"), ids("%")] == [[60, 70], [50], []]
        first = http.data(PLANS)["items"][0]
        assert first == http.data(f"{PLANS}/50")
    assert first == {
        "learning_plan_id": 50,
        "uuid": "00000000-0000-4000-8000-000000000050",
        "code": "OWN",
        "title": "Own",
        "is_published": True,
        "credits": None,
        "assigned_courses_count": 2,
        "created_on": "2026-03-01 12:00:00",
        "updated_on": "2026-03-01 12:00:00",
    }


def test_courses_of_plans(lms_sandbox: Sandbox) -> None:
    """A plan lists its courses in their order, a course all its plans."""
    fill_plans(lms_sandbox)
    with Http(lms_sandbox) as http:
        data = http.data(f"{PLANS}/50/courses")
        plans = [http.data(f"/learn/v1/courses/{i}")["learningplans"] for i in (1, 4)]
    assert data["total_count"] == 2
    assert [item["id"] for item in data["items"]] == [2, 1]
    assert data["items"][0] == {"id": 2, "code": "C2", "title": "Course 2", "type": "elearning"}
    assert plans == [[{"id": 50}], [{"id": 60}, {"id": 70}]]


def test_enrollments(lms_sandbox: Sandbox) -> None:
    """Status, completion, percentage and time spent come only when asked for."""
    fill_plans(lms_sandbox)
    with Http(lms_sandbox) as http:
        bare = http.data(f"{PLANS}/50/enrollments")["items"][0]
        full = http.data(f"{PLANS}/50/enrollments", **{"extra_fields[]": ON_DEMAND})["items"][0]
        one = http.data(f"{PLANS}/50/enrollments", **{"extra_fields[]": ON_DEMAND[:1]})["items"][0]
    asked = dict(zip(ON_DEMAND, ("completed", "2025-02-02 00:00:00", 100, 60), strict=True))
    assert (full, one) == (bare | asked, bare | {"enrollment_status": "completed"})
    assert bare == {
        "user_id": 100,
        "username": "u100",
        "learning_plan_id": 50,
        "learning_plan_code": "OWN",
        "learning_plan_name": "Own",
        "enrollment_level": "student",
        "enrollment_created_at": "2025-01-02 00:00:00",
        "enrollment_created_by": 2_000_000_001,
        "enrollment_date_last_updated": "2025-01-02 00:00:00",
        "enrollment_validity_begin_datetime": "0000-00-00 00:00:00",
        "enrollment_validity_end_datetime": "0000-00-00 00:00:00",
    }


def test_enrollment_filters(lms_sandbox: Sandbox) -> None:
    """Users and statuses filter; pages and the cursor walk."""
    fill_plans(lms_sandbox)
    lms_sandbox.load(
        users=[{"username": "new", "user_id": 200}],
        learning_plan_enrollments=[{"user_id": 200, "learning_plan_id": 50}],
    )
    with Http(lms_sandbox) as http:

        def found(**query: object) -> list[int]:
            items = http.data(f"{PLANS}/50/enrollments", **query)["items"]
            return [item["user_id"] for item in items]

        assert found(**{"enrollment_status[]": "enrolled"}) == [200]
        assert found(**{"user_id[]": [101, 200, 999]}) == [101, 200]
        first = http.data(f"{PLANS}/50/enrollments", page_size=3, get_cursor=1)
        assert found(page=2, page_size=3, cursor=first["cursor"]) == [200]


@pytest.mark.parametrize("path", ["", "/courses", "/enrollments", "/enrollments/archived"])
def test_unknown_plan(lms_sandbox: Sandbox, path: str) -> None:
    """An id that is no plan's is a 404 that says so."""
    with Http(lms_sandbox) as http:
        answer = http.get(f"{PLANS}/99{path}")
    assert (answer.status_code, answer.json()["message"]) == (404, "Learning plan 99 not found.")


def test_csv_files() -> None:
    """Plans and their enrollments are loaded from CSV; ids, titles and dates are filled in."""
    plans = 'code,title,courses,is_published,credits\nP,,"C2, C1",0,1.5\nEMPTY,Nothing,,,\n'
    enrolled = (
        "username,learning_plan_code,enrollment_status,enrollment_completion_percentage\n"
        "ann,P,completed,\nbob,P,in_progress,40\nann,EMPTY,,\n"
    )
    with Sandbox(clock=FakeClock()) as sandbox:
        sandbox.load_csv(
            users=io.StringIO("username\nann\nbob\n"),
            courses=io.StringIO("code\nC1\nC2\n"),
            learning_plans=io.StringIO(plans),
            learning_plan_enrollments=io.StringIO(enrolled),
        )
        named = "learning_plan_id, code, title, is_published, credits, updated_on"
        assert rows(sandbox, f"SELECT {named} FROM learning_plans") == [
            (1, "P", "P", 0, 1.5, "2026-03-01 12:00:00"),
            (2, "EMPTY", "Nothing", 1, None, "2026-03-01 12:00:00"),
        ]
        held = "SELECT course_id FROM learning_plan_courses ORDER BY position"
        assert rows(sandbox, held) == [(2,), (1,)]
        told = "learning_plan_id, user_id, enrollment_status, enrollment_completion_percentage"
        assert rows(sandbox, f"SELECT {told} FROM learning_plan_enrollments") == [
            (1, 10_001, "completed", 100),
            (1, 10_002, "in_progress", 40),
            (2, 10_001, "enrolled", 0),
        ]


@pytest.mark.parametrize(
    ("rows_given", "message"),
    [
        ({"learning_plans": [{"code": "X", "courses": "C9"}]}, "unknown course 'C9'"),
        ({"learning_plans": [{"code": "X", "courses": [9]}]}, "unknown course 9"),
        ({"learning_plans": [{"code": "X", "courses": "C1,C1"}]}, "'C1' is in it twice"),
        ({"learning_plans": [{"code": "X", "is_published": "maybe"}]}, "is_published cannot be"),
        (
            {"learning_plan_enrollments": [{"user_id": 100, "learning_plan_code": "TWIN"}]},
            "learning plan 'TWIN' stands for 2 ids",
        ),
        (
            {"learning_plan_enrollments": [{"user_id": 100, "learning_plan_code": "NO"}]},
            "unknown learning plan 'NO'",
        ),
        (
            {"learning_plan_enrollments": [{"user_id": 100, "learning_plan_id": 50}]},
            "UNIQUE constraint failed",
        ),
        (
            {"learning_plan_enrollments": [{"user_id": 100, "course_code": "C1"}]},
            "unknown column 'course_code'",
        ),
    ],
)
def test_bad_rows(lms_sandbox: Sandbox, rows_given: dict[str, object], message: str) -> None:
    """A row that cannot be is an error with its place, and nothing is loaded."""
    fill_plans(lms_sandbox)
    (name,) = rows_given
    with pytest.raises(ValueError, match=rf"{name}\[0\]: .*{message}"):
        lms_sandbox.load(**rows_given)  # type: ignore[arg-type]
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM learning_plans") == [(3,)]


@pytest.mark.parametrize(
    ("where", "upwards", "downwards"),
    [
        ("first", ["none", "old", "new"], ["new", "old", "none"]),
        ("last", ["old", "new", "none"], ["none", "new", "old"]),
    ],
)
def test_users_without_any_login(where: str, upwards: list[str], downwards: list[str]) -> None:
    """Sorted by last access, they are at either end, as the switch says; levels come along."""
    with Sandbox(never_logged_in=where) as sandbox, Http(sandbox) as http:  # type: ignore[arg-type]
        sandbox.load(
            users=[
                {"username": "none", "level": "power_user"},
                {"username": "new", "last_access_date": "2025-01-01"},
                {"username": "old", "last_access_date": "2024-01-01"},
            ]
        )
        for direction, expected in (("asc", upwards), ("desc", downwards)):
            data = http.data("/manage/v1/user", sort_attr="last_access_date", sort_dir=direction)
            assert [item["username"] for item in data["items"]] == expected
            levels = {item["username"]: item["level"] for item in data["items"]}
            assert levels == {"none": "power_user", "new": "user", "old": "user"}


def test_swagger_of_the_plan_archive_call(lms_sandbox: Sandbox) -> None:
    """The archive call of plans is described with its path, and both ways of selecting."""
    with Http(lms_sandbox) as http:
        document = http.get("/learningplan/v1/swagger").json()
    path, body = document["paths"]["/learningplans/{learning_plan_id}/enrollments"]["put"][
        "parameters"
    ]
    assert (path["name"], path["in"], path["required"]) == ("learning_plan_id", "path", True)
    properties = body["schema"]["properties"]
    assert {"user_ids", "select_all", "filters", "enrollment_mode"} < set(properties)
    assert properties["filters"]["properties"]["enrollment_status"]["type"] == "array"
