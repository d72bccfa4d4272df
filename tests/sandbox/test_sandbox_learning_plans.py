"""Learning plans: how they are listed, what is archived with an enrollment, and what stays."""

from typing import Any

import pytest
from sandbox_tools import ARCHIVED_ITEM, PLANS, Http, fill_plans, rows
from virtual_time import VirtualTime

from lms_archive.sandbox import Sandbox

DONE = {"success": True, "background_job": False, "job_id": None}
ARCHIVED = f"{PLANS}/50/enrollments/archived"
IN_PLANS = "SELECT learning_plan_id, user_id FROM learning_plan_enrollments"
IN_COURSES = "SELECT course_id, user_id FROM enrollments WHERE user_id = 100"
ARCHIVED_PLANS = "SELECT learning_plan_id, user_id FROM archived_learning_plan_enrollments"
ARCHIVED_COURSES = "SELECT course_id, user_id, learning_plan_id FROM archived_enrollments"
NOW = "2026-03-01 12:00:00"


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A platform with three plans."""
    fill_plans(sandbox)
    return sandbox


def test_plans_and_their_courses_are_listed(http: Http) -> None:
    """Plans are searched in code and title; a plan lists its courses, a course its plans."""
    plans = [http.items(PLANS, "learning_plan_id", search_text=t) for t in ("twin", "own", "%")]
    assert plans == [[60, 70], [50], []]
    assert http.items(PLANS)[0] == http.data(f"{PLANS}/50")
    assert http.data(f"{PLANS}/50") == {
        "learning_plan_id": 50,
        "uuid": "00000000-0000-4000-8000-000000000050",
        "code": "OWN",
        "title": "Own",
        "is_published": True,
        "credits": None,
        "assigned_courses_count": 2,
        "created_on": "2025-03-01 12:00:00",
        "updated_on": "2025-03-01 12:00:00",
    }
    second, first = http.items(f"{PLANS}/50/courses")
    assert second == {"id": 2, "code": "C2", "title": "Course 2", "type": "elearning"}
    assert first["id"] == 1
    of_courses = [http.data(f"/learn/v1/courses/{i}")["learningplans"] for i in (1, 4)]
    assert of_courses == [[{"id": 50}], [{"id": 60}, {"id": 70}]]


def test_an_enrollment_is_archived_with_those_in_all_courses(sandbox: Sandbox, http: Http) -> None:
    """Each of them notifies; the plan and its courses stay as they are."""
    answer = http.archive_plan(50, [100])
    assert answer.json()["data"] == DONE
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 100)]
    assert sorted(rows(sandbox, ARCHIVED_COURSES)) == [(1, 100, 50), (2, 100, 50)]
    assert rows(sandbox, IN_COURSES) == [(3, 100), (4, 100)]
    assert rows(sandbox, f"{IN_PLANS} WHERE user_id = 100") == [(60, 100)]
    assert sandbox.notifications == 3
    assert rows(sandbox, "SELECT COUNT(*) FROM learning_plan_courses") == [(5,)]


def test_an_archived_item_has_the_fields_of_the_article(sandbox: Sandbox, http: Http) -> None:
    """The course's record names the plan; the starred fields are saved, not returned."""
    sandbox.change_learning_plan(50, validity_days=30, start_date="2025-01-01", language="it")
    http.archive_plan(50, [100])
    (item,) = http.items(ARCHIVED)
    assert http.items("/course/v1/courses/1/enrollments/archived", "learning_plan_id") == [50]
    assert item == ARCHIVED_ITEM | {
        "archived_at": NOW,
        "learning_plan_id": 50,
        "learning_plan_title": "Own",
        "learning_plan_code": "OWN",
        "learning_plan_uuid": "00000000-0000-4000-8000-000000000050",
        "learning_plan_status": 2,
        "learning_plan_courses": "2,1",
        "learning_plan_credits": None,
        "enrollment_created_at": "2025-01-02 00:00:00",
    }
    starred = (
        "user_is_active, user_level, enrollment_date_last_updated, learning_plan_language,"
        " learning_plan_validity_days, learning_plan_start_date, learning_plan_end_date"
    )
    assert rows(sandbox, f"SELECT {starred} FROM archived_learning_plan_enrollments") == [
        (1, "user", "2025-01-02 00:00:00", "it", 30, "2025-01-01 00:00:00", None)
    ]


def test_archived_records_keep_the_plan_as_it_was(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """A change of plan or course shows only in what a running job archives after it."""
    http.archive_plan(50, [100, 101])
    clock.sleep(3)
    sandbox.change_learning_plan("OWN", title="Changed", code="NEW", credits=4, courses="C1")
    sandbox.change_course(1, name="Changed too", credits=9)
    clock.sleep(3)
    keys = ("title", "code", "credits", "courses")
    records = [[item[f"learning_plan_{key}"] for key in keys] for item in http.items(ARCHIVED)]
    assert records == [["Own", "OWN", None, "2,1"], ["Changed", "NEW", 4, "1"]]
    names = rows(sandbox, "SELECT course_name FROM archived_enrollments WHERE course_id = 1")
    assert names == [("Course 1",), ("Changed too",)]
    plan = http.data(f"{PLANS}/50")
    assert (plan["updated_on"], plan["created_on"]) == (
        "2026-03-01 12:00:03",
        NOW.replace("6", "5"),
    )


@pytest.mark.parametrize("reset", [False, True])
def test_re_enrolling_renews_plan_and_courses(sandbox: Sandbox, http: Http, *, reset: bool) -> None:
    """Dated now; without a reset the courses stay done and so does the plan."""
    http.archive_plan(50, [100], enrollment_mode="re_enroll", reset_tracking=reset)
    columns = "enrollment_status, enrollment_time_spent, enrollment_completion_date"
    renewed = "WHERE user_id = 100 AND enrollment_created_at > '2026'"
    of_courses = rows(sandbox, f"SELECT {columns} FROM enrollments {renewed}")
    of_plan = rows(
        sandbox,
        f"SELECT {columns}, enrollment_completion_percentage FROM learning_plan_enrollments "
        f"{renewed}",
    )
    if reset:
        assert (of_courses, of_plan) == ([("enrolled", 0, None)] * 2, [("enrolled", 0, None, 0)])
    else:
        done = "2025-02-02 00:00:00"
        assert of_courses == [("completed", 60, done)] * 2
        assert of_plan == [("completed", 120, done, 100)]
    assert len(rows(sandbox, ARCHIVED_COURSES)) == 2


def test_the_status_of_a_renewed_plan_follows_from_its_courses(
    sandbox: Sandbox, http: Http
) -> None:
    """A course added since, and begun, leaves the new enrollment in progress."""
    sandbox.load(
        courses=[{"code": "C5", "id_course": 5}],
        enrollments=[{"user_id": 100, "id_course": 5, "enrollment_status": "in_progress"}],
    )
    sandbox.change_learning_plan(50, courses=[1, 5])
    http.archive_plan(50, [100], enrollment_mode="re_enroll")
    columns = "enrollment_status, enrollment_completion_percentage, enrollment_completion_date"
    now = f"SELECT {columns} FROM learning_plan_enrollments"
    assert rows(sandbox, f"{now} WHERE learning_plan_id = 50 AND user_id = 100") == [
        ("in_progress", 50, None)
    ]


def test_only_existing_archivable_enrollments_go_along(sandbox: Sandbox, http: Http) -> None:
    """A waiting one stays; without any in the courses the plan's status stays."""
    begun = {"enrollment_status": "in_progress"}
    sandbox.load(
        users=[{"username": "half", "user_id": 200}, {"username": "none", "user_id": 201}],
        enrollments=[
            {"user_id": 200, "id_course": 1, **begun},
            {"user_id": 200, "id_course": 2, "enrollment_status": "waiting"},
        ],
        learning_plan_enrollments=[
            {"user_id": user, "learning_plan_id": 50, **begun} for user in (200, 201)
        ],
    )
    http.archive_plan(50, [200])
    http.archive_plan(50, [201], enrollment_mode="re_enroll")
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 200), (50, 201)]
    assert rows(sandbox, ARCHIVED_COURSES) == [(1, 200, 50)]
    assert rows(sandbox, "SELECT course_id FROM enrollments WHERE user_id = 200") == [(2,)]
    status = "SELECT enrollment_status FROM learning_plan_enrollments WHERE user_id = 201"
    assert rows(sandbox, status) == [("in_progress",)]


@pytest.mark.parametrize("mode", ["delete", "re_enroll"])
@pytest.mark.parametrize("kind", ["plan", "course"])
def test_tracking_is_kept_unless_it_is_reset(mode: str, kind: str) -> None:
    """In both modes; a later enrollment in the course shows it again."""
    kept = "SELECT course_id, enrollment_status, enrollment_time_spent FROM tracking"
    with Sandbox(shared_courses_rule="B") as sandbox, Http(sandbox) as http:
        fill_plans(sandbox)
        sandbox.change_learning_plan(70, courses=[])
        if kind == "course":
            sandbox.change_learning_plan(60, courses=[])
        for user, reset in ((100, False), (101, True)):
            how = {"enrollment_mode": mode, "reset_tracking": reset}
            if kind == "plan":
                answer = http.archive_plan(60, [user], **how)
            else:
                answer = http.archive([3], [user], **how)
            assert answer.json()["data"]["success"]
        both = [(3, "completed", 60), (4, "completed", 60)]
        assert rows(sandbox, f"{kept} WHERE user_id = 100") == both[: 2 if kind == "plan" else 1]
        assert rows(sandbox, f"{kept} WHERE user_id = 101") == []
        if mode == "delete":
            sandbox.load(enrollments=[{"user_id": u, "id_course": 3} for u in (100, 101)])
        now = "SELECT enrollment_status, enrollment_time_spent FROM enrollments WHERE course_id = 3"
        assert rows(sandbox, now)[:2] == [("completed", 60), ("enrolled", 0)]


def test_a_reset_forgets_what_was_kept_before(sandbox: Sandbox, http: Http) -> None:
    """Tracking kept by one archiving is forgotten by the next that resets."""
    http.archive_plan(50, [100], enrollment_mode="re_enroll")
    http.archive_plan(50, [100], enrollment_mode="re_enroll", reset_tracking=True)
    assert rows(sandbox, "SELECT * FROM tracking") == []


def test_read_as_a_unenrolling_from_a_plan_with_a_shared_course_does_nothing(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """Alone it is not a success; in a job it is an error."""
    assert http.archive_plan(60, [100]).json()["data"] == DONE | {"success": False}
    job_hash = http.archive_plan(60, [100, 101]).json()["data"]["job_id"]
    clock.sleep(6)
    job = http.job(job_hash)
    assert (job["status"], job["errors"]) == ("completed", 2)
    assert (sandbox.notifications, len(rows(sandbox, IN_PLANS))) == (0, 6)


def test_read_as_b_only_shared_courses_and_other_plans_are_spared() -> None:
    """Their tracking too; the rest is archived."""
    with Sandbox(shared_courses_rule="B") as sandbox, Http(sandbox) as http:
        fill_plans(sandbox)
        sandbox.load(learning_plan_enrollments=[{"user_id": 100, "learning_plan_id": 70}])
        assert http.archive_plan(60, [100], reset_tracking=True).json()["data"] == DONE
        assert rows(sandbox, ARCHIVED_PLANS) == [(60, 100)]
        assert rows(sandbox, ARCHIVED_COURSES) == [(3, 100, 60)]
        assert rows(sandbox, IN_COURSES) == [(1, 100), (2, 100), (4, 100)]
        assert rows(sandbox, f"{IN_PLANS} WHERE user_id = 100") == [(50, 100), (70, 100)]
        status = "SELECT enrollment_status FROM enrollments WHERE course_id = 4"
        assert rows(sandbox, status) == [("completed",)] * 3


@pytest.mark.parametrize("reading", ["A", "B"])
def test_shared_courses_do_not_hinder_re_enrolling(reading: Any) -> None:
    """The warning is about unenrolling only; two plans archive a shared course twice."""
    with Sandbox(shared_courses_rule=reading) as sandbox, Http(sandbox) as http:
        fill_plans(sandbox, 1)
        sandbox.load(learning_plan_enrollments=[{"user_id": 100, "learning_plan_id": 70}])
        for plan in (60, 70):
            http.archive_plan(plan, [100], enrollment_mode="re_enroll")
        assert rows(sandbox, ARCHIVED_COURSES) == [(3, 100, 60), (4, 100, 60), (4, 100, 70)]
        assert rows(sandbox, ARCHIVED_PLANS) == [(60, 100), (70, 100)]


def test_a_course_of_a_plan_cannot_be_unenrolled_from_alone(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """It can be archived and re-enrolled."""
    assert http.archive([1], [100]).json()["data"]["success"] is False
    job_hash = http.archive([1], [100, 101]).json()["data"]["job_id"]
    clock.sleep(6)
    assert http.job(job_hash)["errors"] == 2
    assert http.archive([1], [100], enrollment_mode="re_enroll").json()["data"]["success"] is True
    assert rows(sandbox, ARCHIVED_COURSES) == [(1, 100, None)]
