"""The rules of archiving that courses and learning plans have in common, and jobs."""

from typing import Any

import pytest
import requests
from attrs import frozen
from sandbox_tools import ARCHIVED_ITEM, COUNTS, COURSES, PLANS, Http, fill, fill_plans, rows
from virtual_time import VirtualTime

from lms_archive.sandbox import Sandbox, archive_calls

DONE = {"success": True, "background_job": False, "job_id": None}
REFUSED = DONE | {"success": False}
CREATED_BY = 2_000_000_001


@frozen
class Target:
    """A course or learning plan: how it is called, and where it is in the file."""

    sandbox: Sandbox
    http: Http
    kind: str
    id: int
    column: str
    path: str  # where its enrollments are listed
    call: str  # that archives them
    users: str  # the parameter that lists users
    table: str

    def archive(
        self, users: list[int] | None, *, by: Http | None = None, **options: Any
    ) -> requests.Response:
        """Archive these users, or all."""
        chosen = {"select_all": True} if users is None else {self.users: users}
        targets = {"course_id": [self.id]} if self.kind == "course" else {}
        body = {**targets, **chosen, "enrollment_mode": "delete", **options}
        return (by or self.http).call("PUT", self.call, json=body)

    def enroll(self, users: list[int], status: str, *, active: bool = True) -> None:
        """Enroll new users."""
        user_status = "1" if active else "0"
        enrolled = {self.column: self.id, "enrollment_status": status}
        self.sandbox.load(
            users=[{"username": f"new{i}", "user_id": i, "status": user_status} for i in users],
            **{self.table: [{"user_id": user_id, **enrolled} for user_id in users]},
        )

    def archived(self) -> list[int]:
        """Return whose enrollments were archived, by SQL."""
        column = "course_id" if self.kind == "course" else self.column
        sql = f"SELECT user_id FROM archived_{self.table} WHERE {column} = {self.id} ORDER BY id"
        return [user for (user,) in rows(self.sandbox, sql)]


COURSE = {
    "kind": "course",
    "id": 3,
    "column": "id_course",
    "path": f"{COURSES}/3/enrollments",
    "call": "/learn/v1/enrollments",
    "users": "user_id",
    "table": "enrollments",
}
PLAN = {
    "kind": "plan",
    "id": 50,
    "column": "learning_plan_id",
    "path": f"{PLANS}/50/enrollments",
    "call": f"{PLANS}/50/enrollments",
    "users": "user_ids",
    "table": "learning_plan_enrollments",
}


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A platform of three users in every target."""
    fill_plans(sandbox)
    sandbox.change_learning_plan(60, courses=[])  # course 3 is in no plan
    return sandbox


@pytest.fixture(params=[COURSE, PLAN], ids=["course", "plan"])
def target(request: pytest.FixtureRequest, sandbox: Sandbox, http: Http) -> Target:
    """A course, then a learning plan of courses 1 and 2."""
    return Target(sandbox, http, **request.param)


def test_a_single_enrollment_is_archived_at_once(lms_sandbox: Sandbox) -> None:
    """It is gone with the answer, its data frozen as they were; the starred fields are saved."""
    fill(lms_sandbox)
    with Http(lms_sandbox) as http:
        answer = http.archive([7], [100])
        (item,) = http.items(f"{COURSES}/7/enrollments/archived")
    assert answer.json()["data"] == DONE
    assert rows(lms_sandbox, COUNTS) == [(5, 1)]
    assert lms_sandbox.notifications == 1
    assert item.pop("archived_at") > "2026"
    assert item == ARCHIVED_ITEM | {
        "course_id": 7,
        "course_name": "Safety at work",
        "course_code": "SAFE",
        "course_uid": "E-000007",
        "course_type": "elearning",
        "course_credits": 1.5,
        "enrollment_created_at": "2025-01-02 03:04:05",
        "enrollment_level": "student",
        "enrollment_score": 88,
        "enrollment_time_spent": 600,
        "learning_plan_id": None,
    }
    starred = "user_is_active, user_is_suspended, user_level, course_language"
    assert rows(lms_sandbox, f"SELECT {starred} FROM archived_enrollments") == [
        (1, 0, "user", "en")
    ]


@pytest.mark.parametrize(
    ("status", "archivable"),
    [
        ("enrolled", True),
        ("in_progress", True),
        ("completed", True),
        ("waiting", False),
        ("suspended", False),
        ("overbooking", False),
    ],
)
def test_only_three_statuses_can_be_archived(
    target: Target, status: str, *, archivable: bool
) -> None:
    """Enrolled, in progress and completed; every other status stays, its courses too."""
    target.enroll([200], status)
    answer = target.archive([200]).json()["data"]
    assert answer == (DONE if archivable else REFUSED)
    assert target.archived() == ([200] if archivable else [])
    assert target.archive([999]).json()["data"] == REFUSED


def test_two_enrollments_are_a_job_that_takes_its_time(
    sandbox: Sandbox, http: Http, target: Target, clock: VirtualTime
) -> None:
    """Row after row; a user who is not enrolled counts as an error and stops nobody else."""
    answer = target.archive([100, 555, 101]).json()["data"]
    progress = []
    for seconds in (0, 2, 2, 2):
        clock.sleep(seconds)
        job = http.job(answer["job_id"])
        progress.append((job["status"], job["percent"], job["errors"], job["total"]))
    assert (answer["success"], answer["background_job"]) == (True, True)
    assert progress == [
        ("queued", 0, 0, 3),
        ("running", 33, 0, 3),
        ("running", 66, 1, 3),
        ("completed", 100, 1, 3),
    ]
    assert target.archived() == [100, 101]
    at = rows(sandbox, "SELECT DISTINCT archived_at FROM archived_enrollments ORDER BY 1")
    assert [text[-2:] for (text,) in at] == ["02", "06"]


def test_the_file_is_brought_up_to_date_without_a_call(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """SQL on `.path` shows the present, though no client has called meanwhile."""
    http.archive([3], [100, 101, 102])
    clock.sleep(2)
    assert rows(sandbox, COUNTS) == [(11, 1)]
    clock.sleep(60)
    assert rows(sandbox, COUNTS) == [(9, 3)]
    ended = rows(sandbox, "SELECT status, last_update FROM jobs")
    assert ended == [("completed", "2026-03-01 12:00:06")]


def test_every_pair_of_a_course_and_a_user_is_meant_once(sandbox: Sandbox, http: Http) -> None:
    """Ids that are listed twice count once."""
    http.archive([3, 4], [100, 101, 100])
    pairs = rows(sandbox, "SELECT course_id, user_id FROM job_rows")
    assert pairs == [(3, 100), (3, 101), (4, 100), (4, 101)]


def test_the_same_call_again_archives_the_new_enrollment_too(
    target: Target, clock: VirtualTime
) -> None:
    """The trap that a client must not step into."""
    for _ in range(2):
        target.archive([100, 101], enrollment_mode="re_enroll")
        clock.sleep(6)
    assert target.archived() == [100, 101, 100, 101]


def test_without_a_mode_nothing_is_archived(target: Target) -> None:
    """Without enrollment_mode it is the plain update of 2017: success, and nothing happened."""
    answer = target.archive([100, 101], enrollment_mode=None)
    assert answer.json()["data"] == DONE
    assert target.archived() == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"users": list(range(201))}, "users"),
        ({"users": []}, "users"),
        ({"users": [True]}, "users"),
        ({"enrollment_mode": "archive"}, "enrollment_mode"),
        ({"enrollment_mode": 5}, "enrollment_mode"),
        ({"select_all": True, "filters": "completed"}, "filters"),
        ({"reset_tracking": "perhaps"}, "reset_tracking"),
        ({"select_all": True, "users": [1]}, "users"),
        ({"select_all": True, "filters": {"enrollment_status": "completed"}}, "filters"),
    ],
)
def test_a_bad_body_is_refused_by_name(
    sandbox: Sandbox, target: Target, body: dict[str, Any], parameter: str
) -> None:
    """More than 200 users, none, or a wrong value: 400, and nothing is done."""
    body = {target.users if key == "users" else key: value for key, value in body.items()}
    users = [] if "select_all" in body else [100]
    answer = target.archive(users, **body)
    expected = target.users if parameter == "users" else parameter
    assert (answer.status_code, list(answer.json()["message"])) == (400, [expected])
    assert target.archived() == []
    assert rows(sandbox, "SELECT COUNT(*) FROM jobs") == [(0,)]


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_a_body_that_is_not_a_json_object_is_refused(http: Http, body: bytes) -> None:
    """400, whatever it is."""
    answer = http.session.put(f"{http.url}/learn/v1/enrollments", data=body, timeout=5)
    assert answer.status_code == 400


def test_unknown_targets_are_refused_and_two_hundred_users_are_accepted(
    http: Http, target: Target
) -> None:
    """A course list cannot be empty, a plan must exist; 200 users are a job."""
    assert http.archive([], [100]).status_code == 400
    assert http.archive_plan(99, [100]).status_code == 404
    assert target.archive(list(range(200))).json()["data"]["background_job"] is True


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"enrollment_status": ["completed"]}, [100, 101, 102]),
        ({"enrollment_status": ["completed", "in_progress"]}, [100, 101, 102, 200, 201]),
        ({"status": ["completed"]}, [100, 101, 102, 200, 201]),
        (None, [100, 101, 102, 200, 201]),
    ],
)
def test_select_all_archives_what_passes_the_filters(
    http: Http, target: Target, clock: VirtualTime, filters: Any, expected: list[int]
) -> None:
    """An unknown filter is ignored."""
    target.enroll([200, 201], "in_progress")
    data = target.archive(None, filters=filters).json()["data"]
    clock.sleep(6)
    assert data["background_job"] is True
    assert target.archived() == expected
    assert http.job(data["job_id"])["total"] == len(expected)


def test_select_all_takes_the_first_ten_thousand(
    target: Target, clock: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more matches than the limit, the first ones; one match is archived at once."""
    assert archive_calls.SELECT_ALL == 10_000
    none = target.archive(None, filters={"enrollment_status": ["waiting"]})
    assert none.json()["data"] == REFUSED
    monkeypatch.setattr(archive_calls, "SELECT_ALL", 1)
    assert target.archive(None).json()["data"] == DONE
    monkeypatch.setattr(archive_calls, "SELECT_ALL", 2)
    assert target.archive(None).json()["data"]["background_job"] is True
    clock.sleep(6)
    assert target.archived() == [100, 101, 102]


def test_roles_may_do_what_the_platform_allows(sandbox: Sandbox, target: Target) -> None:
    """A Power User archives in courses with the permission, never in plans, and never deletes."""
    target.archive([100])
    for role in ("power_user", "power_user_without"):
        with Http(sandbox, role) as power_user:
            archived = target.archive([101], by=power_user)
            deleted = power_user.call("DELETE", f"{target.path}/archived", json={"ids": [1]})
            allowed = role == "power_user" and target.kind == "course"
            assert archived.status_code == (200 if allowed else 403)
            assert (deleted.status_code, deleted.json()["name"]) == (403, "Forbidden")
            assert power_user.data(f"{target.path}/archived")["total_count"] > 0
    assert target.archived() == ([100, 101] if target.kind == "course" else [100])


def test_archived_enrollments_are_filtered_as_on_the_screen(
    http: Http, target: Target, clock: VirtualTime
) -> None:
    """By period, archiver, user status and user; in pages."""
    path = f"{target.path}/archived"
    target.enroll([300], "enrolled", active=False)
    target.archive([100])
    clock.sleep(86_400)
    for user in (101, 300):
        target.archive([user])

    def users(**query: object) -> list[object]:
        return http.items(path, "user_id", **query)

    assert users() == [100, 101, 300]
    assert users(archived_from="2026-03-02") == [101, 300]
    assert users(archived_to="2026-03-01") == [100]
    assert users(archived_to="2026-03-01 11:59:59") == []
    assert users(**{"archived_by[]": [1]}) == []
    assert users(user_status="0") == [300]
    assert users(**{"archived_by[]": [CREATED_BY], "user_id[]": [100, 300]}) == [100, 300]
    first = http.data(path, page_size=2, get_cursor=1)
    assert users(page=2, page_size=2, cursor=first["cursor"]) == [300]
    assert http.get(path, archived_from="yesterday").status_code == 400


def test_archived_enrollments_are_deleted_by_id_in_their_target(
    sandbox: Sandbox, http: Http, target: Target
) -> None:
    """A record of another target stays; what was notified stays counted."""
    target.archive([100])
    notified = sandbox.notifications
    other = f"{COURSES}/4" if target.kind == "course" else f"{PLANS}/60"
    path = f"{target.path}/archived"
    elsewhere = http.call("DELETE", f"{other}/enrollments/archived", json={"ids": [1]})
    none = http.call("DELETE", path, json={"ids": []})
    here = http.call("DELETE", path, json={"ids": [1]})
    assert elsewhere.json()["data"] == {"success": False, "deleted": 0}
    assert none.status_code == 400
    assert here.json()["data"] == {"success": True, "deleted": 1}
    assert target.archived() == []
    assert sandbox.notifications == notified == (1 if target.kind == "course" else 3)


def test_jobs_are_listed_by_author_and_status_for_thirteen_days(
    sandbox: Sandbox, http: Http, clock: VirtualTime
) -> None:
    """Newest first; without an author one's own."""
    with Http(sandbox, "power_user") as power_user:
        first = http.archive([3], [100, 101]).json()["data"]["job_id"]
        clock.sleep(10)
        second = http.archive([4], [100, 101]).json()["data"]["job_id"]
        foreign = power_user.archive([4], [101, 102]).json()["data"]["job_id"]

        def hashes(**query: object) -> list[object]:
            jobs = http.data("/manage/v1/job", **query)["jobs"]
            return [job["job_descriptor"]["hash"] for job in jobs]

        assert hashes() == [second, first]
        assert hashes(id_author=CREATED_BY + 1) == [foreign]
        assert hashes(status="completed") == [first]
        assert http.get("/manage/v1/job", status="lost").status_code == 400
        clock.sleep(13 * 86_400 + 6)
        assert hashes() == []
        assert http.job(first)["status"] == "completed"
