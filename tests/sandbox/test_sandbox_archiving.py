"""The rules of archiving, one by one."""

from collections.abc import Iterator

import pytest
from sandbox_tools import FakeClock, Http, fill, rows

from lms_archive.sandbox import Sandbox

ARCHIVED = "/course/v1/courses/7/enrollments/archived"
PLAIN = {"success": True, "background_job": False, "job_id": None}
COUNTS = "SELECT (SELECT COUNT(*) FROM enrollments), (SELECT COUNT(*) FROM archived_enrollments)"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test moves."""
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    """A platform whose background jobs take six seconds."""
    with Sandbox(clock=clock, job_seconds=6, token_seconds=1e7) as sandbox:
        yield sandbox


def test_one_is_archived_at_once(sandbox: Sandbox) -> None:
    """A single enrollment is archived and gone with the answer, its data frozen as they were."""
    fill(sandbox)
    with Http(sandbox) as http:
        answer = http.archive([7], [100])
        sandbox.load(courses=[{"code": "SAFE", "name": "Namesake"}])
        (item,) = http.data(ARCHIVED)["items"]
    assert answer.json()["data"] == PLAIN
    assert rows(sandbox, COUNTS) == [(5, 1)]
    assert sandbox.notifications == 1
    assert item == {
        "id": 1,
        "archived_at": "2026-03-01 12:00:00",
        "archived_by": 2_000_000_001,
        "user_id": 100,
        "username": "u0",
        "first_name": None,
        "last_name": None,
        "language": "en",
        "course_id": 7,
        "course_name": "Safety at work",
        "course_code": "SAFE",
        "course_uid": "E-000007",
        "course_type": "elearning",
        "course_credits": 1.5,
        "certificate_url": None,
        "certificate_date": None,
        "enrollment_created_at": "2025-01-02 03:04:05",
        "enrollment_created_by": 2_000_000_001,
        "enrollment_status": "completed",
        "enrollment_level": "student",
        "enrollment_score": 88,
        "enrollment_time_spent": 600,
        "enrollment_validity_begin_datetime": None,
        "enrollment_validity_end_datetime": None,
        "enrollment_completion_date": "2025-02-02 00:00:00",
        "learning_plan_id": None,
    }


def test_saved_but_not_returned(sandbox: Sandbox) -> None:
    """The starred fields of the article are in the file, though no call returns them."""
    fill(sandbox)
    with Http(sandbox) as http:
        http.archive([7], [100])
    starred = "user_is_active, user_is_suspended, user_level, course_language"
    assert rows(sandbox, f"SELECT {starred} FROM archived_enrollments") == [(1, 0, "user", "en")]


@pytest.mark.parametrize(
    ("status", "success"),
    [("enrolled", True), ("in_progress", True), ("waiting", False), ("suspended", False)],
)
def test_statuses(sandbox: Sandbox, status: str, success: object) -> None:
    """Enrolled, in progress and completed can be archived; waiting and others cannot."""
    fill(sandbox, 1, status)
    with Http(sandbox) as http:
        answer = http.archive([7], [100])
        missing = http.archive([7], [999])
    assert answer.json()["data"] == PLAIN | {"success": success}
    assert missing.json()["data"] == PLAIN | {"success": False}
    assert rows(sandbox, COUNTS) == [(0, 1) if success else (1, 0)]


def test_job_takes_its_time(sandbox: Sandbox, clock: FakeClock) -> None:
    """From two on a job archives row after row, and tells how far it is."""
    users = fill(sandbox)
    told = []
    with Http(sandbox) as http:
        answer = http.archive([7], users).json()["data"]
        for seconds in (0, 1, 1.5, 3.5):
            clock.sleep(seconds)
            job = http.job(answer["job_id"])
            told.append((job["status"], job["percent"], job["errors"], job["total"]))
    assert (answer["success"], answer["background_job"]) == (True, True)
    assert told == [
        ("queued", 0, 0, 6),
        ("running", 16, 0, 6),
        ("running", 33, 0, 6),
        ("completed", 100, 0, 6),
    ]
    at = rows(sandbox, "SELECT archived_at FROM archived_enrollments ORDER BY id")
    assert [text[-2:] for (text,) in at] == ["01", "02", "03", "04", "05", "06"]


def test_path_brings_the_file_up_to_date(sandbox: Sandbox, clock: FakeClock) -> None:
    """SQL on `.path` shows the truth of now, though nobody has made a call meanwhile."""
    users = fill(sandbox)
    with Http(sandbox) as http:
        http.archive([7], users)
    clock.sleep(2)
    assert rows(sandbox, COUNTS) == [(4, 2)]
    clock.sleep(60)
    assert rows(sandbox, COUNTS) == [(0, 6)]
    assert rows(sandbox, "SELECT status, last_update FROM jobs") == [
        ("completed", "2026-03-01 12:00:06")
    ]


def test_job_of_no_time() -> None:
    """With job_seconds=0 a job is done by the first look."""
    with Sandbox(clock=FakeClock(), job_seconds=0) as sandbox, Http(sandbox) as http:
        name = http.archive([7], fill(sandbox)).json()["data"]["job_id"]
        assert http.job(name)["status"] == "completed"


def test_errors_of_a_job(sandbox: Sandbox, clock: FakeClock) -> None:
    """A user who is not enrolled counts as an error and stops nobody else; names are not told."""
    fill(sandbox, 3)
    with Http(sandbox) as http:
        name = http.archive([7], [100, 555, 101]).json()["data"]["job_id"]
        clock.sleep(6)
        job = http.job(name)
    assert (job["status"], job["errors"], job["total"]) == ("completed", 1, 3)
    assert rows(sandbox, COUNTS) == [(1, 2)]


def test_pairs_of_courses_and_users(sandbox: Sandbox) -> None:
    """Every pair of a course and a user is meant; each once."""
    fill(sandbox, 2)
    with Http(sandbox) as http:
        http.archive([7, 8], [100, 101, 100])
    assert rows(sandbox, "SELECT course_id, user_id FROM job_rows") == [
        (7, 100),
        (7, 101),
        (8, 100),
        (8, 101),
    ]


def test_re_enroll_keeps_tracking(sandbox: Sandbox) -> None:
    """Re-enrolled: a new date; status, score and time stay when tracking is not reset."""
    fill(sandbox, 1)
    with Http(sandbox) as http:
        http.archive([7], [100], enrollment_mode="re_enroll")
    assert rows(sandbox, COUNTS) == [(1, 1)]
    tracked = "enrollment_created_at, enrollment_status, enrollment_score, enrollment_time_spent"
    assert rows(sandbox, f"SELECT {tracked} FROM enrollments") == [
        ("2026-03-01 12:00:00", "completed", 88, 600)
    ]


def test_re_enroll_resets_tracking(sandbox: Sandbox) -> None:
    """Re-enrolled with reset: enrolled anew, with nothing done."""
    fill(sandbox, 1)
    with Http(sandbox) as http:
        http.archive([7], [100], enrollment_mode="re_enroll", reset_tracking=True)
    tracked = (
        "enrollment_status, enrollment_score, enrollment_time_spent, enrollment_completion_date"
    )
    assert rows(sandbox, f"SELECT {tracked} FROM enrollments") == [("enrolled", None, 0, None)]


def test_re_enroll_twice_archives_twice(sandbox: Sandbox, clock: FakeClock) -> None:
    """The trap: the same call again archives the new enrollment too."""
    users = fill(sandbox, 2)
    with Http(sandbox) as http:
        for _ in range(2):
            http.archive([7], users, enrollment_mode="re_enroll")
            clock.sleep(6)
    assert rows(sandbox, COUNTS) == [(2, 4)]


def test_without_mode_nothing_is_archived(sandbox: Sandbox) -> None:
    """Without enrollment_mode it is the plain update of 2017: success, and nothing happened."""
    users = fill(sandbox)
    with Http(sandbox) as http:
        answer = http.ask("PUT", "/learn/v1/enrollments", json={"course_id": [7], "user_id": users})
    assert answer.json()["data"] == PLAIN
    assert rows(sandbox, COUNTS) == [(6, 0)]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"user_id": list(range(201))}, "user_id"),
        ({"user_id": []}, "user_id"),
        ({"course_id": []}, "course_id"),
        ({"user_id": "100"}, "user_id"),
        ({"user_id": [True]}, "user_id"),
        ({"enrollment_mode": "archive"}, "enrollment_mode"),
        ({"enrollment_mode": 5}, "enrollment_mode"),
        ({"reset_tracking": "perhaps"}, "reset_tracking"),
    ],
)
def test_bad_bodies(sandbox: Sandbox, body: dict[str, object], named: str) -> None:
    """More than 200, none, or a wrong value: 400 naming the parameter, and nothing is done."""
    fill(sandbox)
    whole = {"course_id": [7], "user_id": [100], "enrollment_mode": "delete", **body}
    with Http(sandbox) as http:
        answer = http.ask("PUT", "/learn/v1/enrollments", json=whole)
    assert answer.status_code == 400
    assert list(answer.json()["message"]) == [named]
    assert rows(sandbox, COUNTS) == [(6, 0)]
    assert rows(sandbox, "SELECT COUNT(*) FROM jobs") == [(0,)]


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_no_json_object(sandbox: Sandbox, body: bytes) -> None:
    """A body that is no JSON object is a 400."""
    with Http(sandbox) as http:
        answer = http.session.put(f"{http.url}/learn/v1/enrollments", data=body, timeout=5)
    assert answer.status_code == 400


def test_two_hundred_are_taken(sandbox: Sandbox) -> None:
    """Exactly 200 are a job."""
    users = fill(sandbox, 200)
    with Http(sandbox) as http:
        assert http.archive([7], users).json()["data"]["background_job"] is True


def test_permission(sandbox: Sandbox) -> None:
    """A Power User archives only with the permission, and deletes archived ones never."""
    fill(sandbox)
    with Http(sandbox, "power_user") as http:
        allowed = http.archive([7], [100])
        deleted = http.ask("DELETE", ARCHIVED, json={"ids": [1]})
    with Http(sandbox, "power_user_without") as http:
        refused = http.archive([7], [101])
    assert [allowed.status_code, deleted.status_code, refused.status_code] == [200, 403, 403]
    assert refused.json()["name"] == "Forbidden"
    assert rows(sandbox, "SELECT user_id, archived_by FROM archived_enrollments") == [
        (100, 2_000_000_002)
    ]


def test_archived_filters(sandbox: Sandbox, clock: FakeClock) -> None:
    """Archived enrollments are found by period, archiver, user status and user."""
    fill(sandbox)
    sandbox.load(
        users=[{"username": "gone", "user_id": 300, "status": "0"}],
        enrollments=[{"username": "gone", "course_code": "SAFE"}],
    )
    with Http(sandbox, "power_user") as http:
        http.archive([7], [100])
    clock.sleep(86_400)
    with Http(sandbox) as http:
        http.archive([7], [101])
        http.archive([7], [300])

        def found(**query: object) -> list[object]:
            return [item["user_id"] for item in http.data(ARCHIVED, **query)["items"]]

        assert found() == [100, 101, 300]
        assert found(archived_from="2026-03-02") == [101, 300]
        assert found(archived_to="2026-03-01") == [100]
        assert found(archived_to="2026-03-01 11:59:59") == []
        assert found(**{"archived_by[]": [2_000_000_002]}) == [100]
        assert found(user_status="0") == [300]
        assert found(user_status="1") == [100, 101]
        assert found(**{"user_id[]": [101, 300]}) == [101, 300]
        assert http.get(ARCHIVED, archived_from="yesterday").status_code == 400


def test_delete_archived(sandbox: Sandbox) -> None:
    """The Superadmin deletes archived enrollments by their ids, in that course only."""
    fill(sandbox)
    sandbox.load(courses=[{"code": "OTHER", "id_course": 8}])
    with Http(sandbox) as http:
        http.archive([7], [100])
        elsewhere = http.ask("DELETE", ARCHIVED.replace("7", "8", 1), json={"ids": [1]})
        none = http.ask("DELETE", ARCHIVED, json={"ids": []})
        here = http.ask("DELETE", ARCHIVED, json={"ids": [1]})
    assert elsewhere.json()["data"]["success"] is False
    assert none.status_code == 400
    assert here.json()["data"] == {"success": True, "deleted": 1}
    assert rows(sandbox, COUNTS) == [(5, 0)]
    assert sandbox.notifications == 1


def test_list_of_jobs(sandbox: Sandbox, clock: FakeClock) -> None:
    """Jobs are listed newest first, one's own or an author's, by status, for 13 days."""
    fill(sandbox)
    with Http(sandbox, "power_user") as other, Http(sandbox) as http:
        first = http.archive([7], [100, 101]).json()["data"]["job_id"]
        clock.sleep(10)
        second = http.archive([7], [102, 103]).json()["data"]["job_id"]
        others = other.archive([7], [104, 105]).json()["data"]["job_id"]

        def hashes(**query: object) -> list[object]:
            jobs = http.data("/manage/v1/job", **query)["jobs"]
            return [job["job_descriptor"]["hash"] for job in jobs]

        assert hashes() == [second, first]
        assert hashes(id_author=2_000_000_002) == [others]
        assert hashes(status="completed") == [first]
        assert http.get("/manage/v1/job", status="lost").status_code == 400
        clock.sleep(13 * 86_400 + 6)
        assert hashes() == []
        assert http.job(first)["status"] == "completed"
