"""Archiving in learning plans: what goes with an enrollment, and what stays behind."""

from collections.abc import Iterator

import pytest
from sandbox_tools import PLANS, FakeClock, Http, fill_plans, rows

from lms_archive.sandbox import Sandbox

PLAIN = {"success": True, "background_job": False, "job_id": None}
ACTIVE = f"{PLANS}/50/enrollments"
ARCHIVED = f"{ACTIVE}/archived"
IN_PLANS = "SELECT learning_plan_id, user_id FROM learning_plan_enrollments"
IN_COURSES = "SELECT course_id, user_id FROM enrollments WHERE user_id = 100"
ARCHIVED_PLANS = "SELECT learning_plan_id, user_id FROM archived_learning_plan_enrollments"
ARCHIVED_COURSES = "SELECT course_id, user_id, learning_plan_id FROM archived_enrollments"
NEW = "2026-03-01 12:00:00"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test moves."""
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    """A platform with three plans, whose background jobs take six seconds."""
    with Sandbox(clock=clock, job_seconds=6, token_seconds=1e7) as sandbox:
        fill_plans(sandbox)
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[Http]:
    """A signed-in session."""
    with Http(sandbox) as http:
        yield http


def test_one_with_all_its_courses(sandbox: Sandbox, http: Http) -> None:
    """One enrollment is archived at once, with those in all courses of the plan; each notifies."""
    answer = http.archive_plan(50, [100])
    assert answer.json()["data"] == PLAIN
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 100)]
    assert sorted(rows(sandbox, ARCHIVED_COURSES)) == [(1, 100, 50), (2, 100, 50)]
    assert rows(sandbox, IN_COURSES) == [(3, 100), (4, 100)]
    assert rows(sandbox, f"{IN_PLANS} WHERE user_id = 100") == [(60, 100)]
    assert sandbox.notifications == 3
    assert rows(sandbox, "SELECT COUNT(*) FROM learning_plan_courses") == [(5,)]


def test_archived_item(http: Http) -> None:
    """The list returns the article's fields; the course's record names the plan."""
    http.archive_plan(50, [100])
    (item,) = http.data(ARCHIVED)["items"]
    (of_course,) = http.data("/course/v1/courses/1/enrollments/archived")["items"]
    assert of_course["learning_plan_id"] == 50
    assert item == {
        "id": 1,
        "archived_at": NEW,
        "archived_by": 2_000_000_001,
        "user_id": 100,
        "username": "u100",
        "first_name": None,
        "last_name": None,
        "language": "en",
        "learning_plan_id": 50,
        "learning_plan_title": "Own",
        "learning_plan_code": "OWN",
        "learning_plan_uuid": "00000000-0000-4000-8000-000000000050",
        "learning_plan_status": 2,
        "learning_plan_courses": "2,1",
        "learning_plan_credits": None,
        "certificate_url": None,
        "certificate_date": None,
        "enrollment_created_at": "2025-01-02 00:00:00",
        "enrollment_created_by": 2_000_000_001,
        "enrollment_status": "completed",
        "enrollment_validity_begin_datetime": None,
        "enrollment_validity_end_datetime": None,
        "enrollment_completion_date": "2025-02-02 00:00:00",
    }


def test_saved_but_not_returned(sandbox: Sandbox, http: Http) -> None:
    """The starred fields of the article are in the file, though no call returns them."""
    sandbox.change_learning_plan(50, validity_days=30, start_date="2025-01-01", language="it")
    http.archive_plan(50, [100])
    starred = (
        "user_is_active, user_level, enrollment_date_last_updated, learning_plan_language,"
        " learning_plan_validity_days, learning_plan_start_date, learning_plan_end_date"
    )
    assert rows(sandbox, f"SELECT {starred} FROM archived_learning_plan_enrollments") == [
        (1, "user", "2025-01-02 00:00:00", "it", 30, "2025-01-01 00:00:00", None)
    ]


def test_job(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """From two on a job archives row after row; who is not in the plan counts as an error."""
    name = http.archive_plan(50, [100, 555, 102]).json()["data"]["job_id"]
    clock.sleep(2)
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 100)]
    assert len(rows(sandbox, ARCHIVED_COURSES)) == 2
    clock.sleep(4)
    job = http.job(name)
    assert (job["status"], job["errors"], job["total"]) == ("completed", 1, 3)
    assert rows(sandbox, f"{IN_PLANS} WHERE learning_plan_id = 50") == [(50, 101)]
    at = "SELECT DISTINCT archived_at FROM archived_enrollments"
    assert rows(sandbox, at) == [("2026-03-01 12:00:02",), ("2026-03-01 12:00:06",)]


def test_frozen(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """Changing plan or course leaves archived records as they were; a running job takes it in."""
    http.archive_plan(50, [100, 101])
    clock.sleep(3)
    sandbox.change_learning_plan("OWN", title="Changed", code="NEW", credits=4, courses="C1")
    sandbox.change_course(1, name="Changed too", credits=9)
    clock.sleep(3)
    first, second = http.data(ARCHIVED)["items"]
    told = ("learning_plan_title", "learning_plan_code", "learning_plan_credits")
    assert [first[key] for key in told] == ["Own", "OWN", None]
    assert [second[key] for key in told] == ["Changed", "NEW", 4]
    assert [item["learning_plan_courses"] for item in (first, second)] == ["2,1", "1"]
    assert rows(sandbox, "SELECT course_name FROM archived_enrollments WHERE course_id = 1") == [
        ("Course 1",),
        ("Changed too",),
    ]
    plan = http.data(f"{PLANS}/50")
    assert (plan["updated_on"], plan["created_on"]) == ("2026-03-01 12:00:03", NEW)


@pytest.mark.parametrize(
    ("plan", "column", "value"),
    [
        (99, "title", "x"),
        ("TWIN", "title", "x"),
        ("NOBODY", "title", "x"),
        (50, "colour", "red"),
        (50, "courses", "C9"),
        (50, "courses", "C1,C1"),
    ],
)
def test_wrong_changes(sandbox: Sandbox, plan: int | str, column: str, value: str) -> None:
    """A change that cannot be is an error naming the plan, and changes nothing."""
    with pytest.raises(ValueError, match=f"learning plan '?{plan}"):
        sandbox.change_learning_plan(plan, **{column: value})
    assert rows(sandbox, "SELECT COUNT(*) FROM learning_plan_courses") == [(5,)]


def test_re_enroll_keeps_tracking(sandbox: Sandbox, http: Http) -> None:
    """Re-enrolled in plan and courses, dated now; the courses stay done, and so is the plan."""
    http.archive_plan(50, [100], enrollment_mode="re_enroll")
    in_plan = (
        "enrollment_created_at, enrollment_status, enrollment_completion_percentage,"
        " enrollment_time_spent, enrollment_completion_date"
    )
    assert rows(
        sandbox,
        f"SELECT {in_plan} FROM learning_plan_enrollments"
        " WHERE learning_plan_id = 50 AND user_id = 100",
    ) == [(NEW, "completed", 100, 120, "2025-02-02 00:00:00")]
    in_course = "enrollment_created_at, enrollment_status, enrollment_time_spent"
    assert (
        rows(sandbox, f"SELECT {in_course} FROM enrollments WHERE user_id = 100 AND course_id < 3")
        == [(NEW, "completed", 60)] * 2
    )
    assert len(rows(sandbox, ARCHIVED_COURSES)) == 2


def test_re_enroll_resets_tracking(sandbox: Sandbox, http: Http) -> None:
    """Re-enrolled with reset: nothing is done, in the plan and in its courses."""
    http.archive_plan(50, [100], enrollment_mode="re_enroll", reset_tracking=True)
    told = "enrollment_status, enrollment_time_spent, enrollment_completion_date"
    of_user = "WHERE user_id = 100 AND enrollment_created_at > '2026'"
    fresh = ("enrolled", 0, None)
    assert rows(sandbox, f"SELECT {told} FROM enrollments {of_user}") == [fresh, fresh]
    assert rows(
        sandbox,
        f"SELECT {told}, enrollment_completion_percentage FROM learning_plan_enrollments {of_user}",
    ) == [(*fresh, 0)]


def test_status_is_computed_anew(sandbox: Sandbox, http: Http) -> None:
    """A course put into the plan since, and begun, leaves the new enrollment in progress."""
    sandbox.load(
        courses=[{"code": "C5", "id_course": 5}],
        enrollments=[{"user_id": 100, "id_course": 5, "enrollment_status": "in_progress"}],
    )
    sandbox.change_learning_plan(50, courses=[1, 5])
    http.archive_plan(50, [100], enrollment_mode="re_enroll")
    told = "enrollment_status, enrollment_completion_percentage, enrollment_completion_date"
    of_user = "WHERE learning_plan_id = 50 AND user_id = 100"
    assert rows(sandbox, f"SELECT {told} FROM learning_plan_enrollments {of_user}") == [
        ("in_progress", 50, None)
    ]


def test_in_the_plan_but_not_in_its_courses(sandbox: Sandbox, http: Http) -> None:
    """Only the enrollments that there are go along; without any the plan's status stays."""
    sandbox.load(
        users=[{"username": "half", "user_id": 200}, {"username": "none", "user_id": 201}],
        enrollments=[
            {"user_id": 200, "id_course": 1, "enrollment_status": "in_progress"},
            {"user_id": 200, "id_course": 2, "enrollment_status": "waiting"},
        ],
        learning_plan_enrollments=[
            {"user_id": 200, "learning_plan_id": 50, "enrollment_status": "in_progress"},
            {"user_id": 201, "learning_plan_id": 50, "enrollment_status": "in_progress"},
        ],
    )
    http.archive_plan(50, [200])
    http.archive_plan(50, [201], enrollment_mode="re_enroll")
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 200), (50, 201)]
    assert rows(sandbox, ARCHIVED_COURSES) == [(1, 200, 50)]
    assert rows(sandbox, "SELECT course_id FROM enrollments WHERE user_id = 200") == [(2,)]
    assert rows(
        sandbox, "SELECT enrollment_status FROM learning_plan_enrollments WHERE user_id = 201"
    ) == [("in_progress",)]


@pytest.mark.parametrize("status", ["waiting", "suspended"])
def test_statuses(sandbox: Sandbox, http: Http, status: str) -> None:
    """Waiting and others cannot be archived; their courses stay too."""
    sandbox.load(
        users=[{"username": "late", "user_id": 200}],
        enrollments=[{"user_id": 200, "id_course": 1}],
        learning_plan_enrollments=[
            {"user_id": 200, "learning_plan_code": "OWN", "enrollment_status": status}
        ],
    )
    assert http.archive_plan(50, [200]).json()["data"] == PLAIN | {"success": False}
    assert (rows(sandbox, ARCHIVED_PLANS), rows(sandbox, ARCHIVED_COURSES)) == ([], [])


@pytest.mark.parametrize("mode", ["delete", "re_enroll"])
@pytest.mark.parametrize("plan", [True, False])
def test_tracking(mode: str, plan: bool) -> None:  # noqa: FBT001  # a parameter
    """In both modes, of plans and courses, tracking is kept unless it is reset."""
    tracked = "SELECT course_id, enrollment_status, enrollment_time_spent FROM tracking"
    with Sandbox(shared_reading="B") as sandbox, Http(sandbox) as http:
        fill_plans(sandbox)
        sandbox.change_learning_plan(70, courses=[])
        if not plan:
            sandbox.change_learning_plan(60, courses=[])
        for reset in (False, True):
            how = {"enrollment_mode": mode, "reset_tracking": reset}
            user = 101 if reset else 100
            answer = (
                http.archive_plan(60, [user], **how) if plan else http.archive([3], [user], **how)
            )
            assert answer.json()["data"]["success"]
        kept = rows(sandbox, f"{tracked} WHERE user_id = 100")
        assert kept == [(3, "completed", 60), (4, "completed", 60)][: 2 if plan else 1]
        assert rows(sandbox, f"{tracked} WHERE user_id = 101") == []
        if mode == "delete":
            sandbox.load(enrollments=[{"user_id": u, "id_course": 3} for u in (100, 101)])
        now = "SELECT enrollment_status, enrollment_time_spent FROM enrollments WHERE course_id = 3"
        assert rows(sandbox, now)[:2] == [("completed", 60), ("enrolled", 0)]


def test_reset_forgets_what_was_kept(sandbox: Sandbox, http: Http) -> None:
    """Tracking kept by one archiving is forgotten by the next that resets."""
    http.archive_plan(50, [100], enrollment_mode="re_enroll")
    http.archive_plan(50, [100], enrollment_mode="re_enroll", reset_tracking=True)
    assert rows(sandbox, "SELECT * FROM tracking") == []
    assert rows(sandbox, "SELECT enrollment_status FROM archived_learning_plan_enrollments") == [
        ("completed",),
        ("completed",),
    ]


def test_shared_courses_read_as_a(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """Reading A: unenrolling from a plan with a shared course does nothing at all."""
    assert http.archive_plan(60, [100]).json()["data"] == PLAIN | {"success": False}
    name = http.archive_plan(60, [100, 101]).json()["data"]["job_id"]
    clock.sleep(6)
    job = http.job(name)
    assert (job["status"], job["errors"]) == ("completed", 2)
    assert (sandbox.notifications, len(rows(sandbox, IN_PLANS))) == (0, 6)


def test_shared_courses_read_as_b() -> None:
    """Reading B: shared course and other plan are spared, tracking too; the rest is archived."""
    with Sandbox(shared_reading="B") as sandbox, Http(sandbox) as http:
        fill_plans(sandbox)
        sandbox.load(learning_plan_enrollments=[{"user_id": 100, "learning_plan_id": 70}])
        assert http.archive_plan(60, [100], reset_tracking=True).json()["data"] == PLAIN
        assert rows(sandbox, ARCHIVED_PLANS) == [(60, 100)]
        assert rows(sandbox, ARCHIVED_COURSES) == [(3, 100, 60)]
        assert rows(sandbox, IN_COURSES) == [(1, 100), (2, 100), (4, 100)]
        assert rows(sandbox, f"{IN_PLANS} WHERE user_id = 100") == [(50, 100), (70, 100)]
        assert (
            rows(sandbox, "SELECT enrollment_status FROM enrollments WHERE course_id = 4")
            == [("completed",)] * 3
        )


@pytest.mark.parametrize("reading", ["A", "B"])
def test_shared_courses_do_not_hinder_re_enrolling(reading: str) -> None:
    """The warning is of unenrolling only; two plans archive a shared course twice."""
    with Sandbox(shared_reading=reading) as sandbox, Http(sandbox) as http:  # type: ignore[arg-type]
        fill_plans(sandbox, 1)
        sandbox.load(learning_plan_enrollments=[{"user_id": 100, "learning_plan_id": 70}])
        for plan in (60, 70):
            http.archive_plan(plan, [100], enrollment_mode="re_enroll")
        assert rows(sandbox, ARCHIVED_COURSES) == [(3, 100, 60), (4, 100, 60), (4, 100, 70)]
        assert rows(sandbox, ARCHIVED_PLANS) == [(60, 100), (70, 100)]


def test_a_course_of_a_plan(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """On its own it can be archived and re-enrolled, not archived and unenrolled."""
    assert http.archive([1], [100]).json()["data"]["success"] is False
    name = http.archive([1], [100, 101]).json()["data"]["job_id"]
    clock.sleep(6)
    assert http.job(name)["errors"] == 2
    assert http.archive([1], [100], enrollment_mode="re_enroll").json()["data"]["success"] is True
    assert rows(sandbox, ARCHIVED_COURSES) == [(1, 100, None)]


def test_power_users(sandbox: Sandbox, http: Http) -> None:
    """No Power User archives in plans or deletes, whatever they may in courses; all may look."""
    http.archive_plan(50, [100])
    for role in ("power_user", "power_user_without"):
        with Http(sandbox, role) as other:
            refused = [
                other.archive_plan(50, [101]),
                other.ask("DELETE", ARCHIVED, json={"ids": [1]}),
            ]
            assert other.data(ARCHIVED)["total_count"] == 1
        for answer in refused:
            assert (answer.status_code, answer.json()["name"]) == (403, "Forbidden")
            assert answer.json()["message"] == (
                "Power Users cannot archive learning plan enrollments, "
                "nor delete archived learning plan enrollments."
            )
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 100)]


def test_without_mode_nothing_is_archived(sandbox: Sandbox, http: Http) -> None:
    """Without enrollment_mode it is a plain update: success, and nothing happened."""
    answer = http.ask("PUT", ACTIVE, json={"user_ids": [100]})
    assert answer.json()["data"] == PLAIN
    assert rows(sandbox, ARCHIVED_PLANS) == []


def test_bad_bodies(sandbox: Sandbox, http: Http) -> None:
    """More than 200 users, none, or no such plan is refused, and nothing is done."""
    for users in (list(range(201)), []):
        answer = http.archive_plan(50, users)
        assert (answer.status_code, list(answer.json()["message"])) == (400, ["user_ids"])
    assert http.archive_plan(99, [100]).status_code == 404
    assert http.archive_plan(50, list(range(200))).json()["data"]["background_job"] is True
    assert rows(sandbox, ARCHIVED_PLANS) == []


def test_archived_filters(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """Archived enrollments are found by period, archiver, user status and user; in pages."""
    sandbox.load(
        users=[{"username": "gone", "user_id": 300, "status": "0"}],
        learning_plan_enrollments=[{"user_id": 300, "learning_plan_id": 50}],
    )
    http.archive_plan(50, [100])
    clock.sleep(86_400)
    for user in (101, 300):
        http.archive_plan(50, [user])

    def found(**query: object) -> list[object]:
        return [item["user_id"] for item in http.data(ARCHIVED, **query)["items"]]

    assert found() == [100, 101, 300]
    assert found(archived_from="2026-03-02") == [101, 300]
    assert found(archived_to="2026-03-01") == [100]
    assert found(user_status="0") == [300]
    assert found(**{"archived_by[]": [1]}) == []
    assert found(**{"archived_by[]": [2_000_000_001], "user_id[]": [100, 300]}) == [100, 300]
    first = http.data(ARCHIVED, page_size=2, get_cursor=1)
    assert found(page=2, page_size=2, cursor=first["cursor"]) == [300]
    assert http.data(f"{PLANS}/60/enrollments/archived")["items"] == []


def test_delete_archived(sandbox: Sandbox, http: Http) -> None:
    """Deleted by id, of that plan only; the courses' records stay."""
    http.archive_plan(50, [100])
    elsewhere = http.ask("DELETE", f"{PLANS}/60/enrollments/archived", json={"ids": [1]})
    here = http.ask("DELETE", ARCHIVED, json={"ids": [1]})
    assert elsewhere.json()["data"] == {"success": False, "deleted": 0}
    assert here.json()["data"] == {"success": True, "deleted": 1}
    assert rows(sandbox, ARCHIVED_PLANS) == []
    assert len(rows(sandbox, ARCHIVED_COURSES)) == 2
    assert sandbox.notifications == 3


def test_faults_of_jobs(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """Half-failed, aborted and lagging jobs are so for plans too, their courses included."""
    write = "archive_learning_plan_enrollments"
    sandbox.faults.add("job_partial", operation=write, errors=1)
    sandbox.faults.add("job_aborted", operation=write, fraction=0.7)
    sandbox.faults.add("archived_lag", operation=write, seconds=60)
    name = http.archive_plan(50, [100, 101, 102]).json()["data"]["job_id"]
    clock.sleep(6)
    job = http.job(name)
    assert (job["status"], job["errors"]) == ("aborted", 1)
    assert rows(sandbox, ARCHIVED_PLANS) == [(50, 101)]
    assert sorted(rows(sandbox, ARCHIVED_COURSES)) == [(1, 101, 50), (2, 101, 50)]
    of_course = "/course/v1/courses/1/enrollments/archived"
    assert [http.data(path)["items"] for path in (ARCHIVED, of_course)] == [[], []]
    clock.sleep(60)
    assert [len(http.data(path)["items"]) for path in (ARCHIVED, of_course)] == [1, 1]


def test_mails(sandbox: Sandbox, http: Http, clock: FakeClock) -> None:
    """A job that was begun with notify mails its author when it ends; others do not."""
    http.archive_plan(50, [100, 101])
    name = http.archive_plan(60, [100, 101], notify=1).json()["data"]["job_id"]
    assert sandbox.mails == []
    clock.sleep(7)
    assert sandbox.mails == [("superadmin", name, "2026-03-01 12:00:06")]
