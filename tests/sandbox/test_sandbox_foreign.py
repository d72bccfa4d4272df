"""Platforms with another contract, or with other rules of archiving."""

from typing import Any

import pytest
from sandbox_tools import FakeClock, Http, rows

from lms_archive.sandbox import Foreign, Sandbox

CALL = "archive_course_enrollments"
PLAN_CALL = "archive_learning_plan_enrollments"
LISTED = "/course/v1/courses/7/enrollments"
DATED = "2025-01-02 03:04:05"


def platform(clock: FakeClock | None = None, **foreign: Any) -> Sandbox:
    """A platform that differs in this, whose background jobs take a second."""
    return Sandbox(job_seconds=1, clock=clock or FakeClock(), foreign=Foreign(**foreign))


def fill(sandbox: Sandbox) -> Sandbox:
    """Load a course, a plan of another, and three users in both."""
    users = [100, 101, 102]
    enrolled = {"enrollment_status": "completed", "enrollment_created_at": DATED}
    sandbox.load(
        users=[{"user_id": user, "username": f"u{user}"} for user in users],
        courses=[{"id_course": 7, "code": "A"}, {"id_course": 8, "code": "B"}],
        learning_plans=[{"learning_plan_id": 5, "code": "P", "courses": "B"}],
        enrollments=[
            {"user_id": user, "id_course": course, **enrolled}
            for course in (7, 8)
            for user in users
        ],
        learning_plan_enrollments=[
            {"user_id": user, "learning_plan_id": 5, **enrolled} for user in users
        ],
    )
    return sandbox


def described(http_: Http, service: str, path: str, method: str) -> dict[str, Any]:
    """What the swagger says of a call."""
    document = http_.get(f"/{service}/v1/swagger").json()
    operation: dict[str, Any] = document["paths"][path][method]
    return operation


def active(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    """User, date and last update of who is in course 7."""
    sql = (
        "SELECT user_id, enrollment_created_at, enrollment_date_last_updated "
        "FROM enrollments WHERE course_id = 7"
    )
    return rows(sandbox, sql)


def archived(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    """Target and user of everything that is archived."""
    return rows(
        sandbox,
        "SELECT course_id, user_id FROM archived_enrollments "
        "UNION ALL SELECT -learning_plan_id, user_id FROM archived_learning_plan_enrollments",
    )


def test_another_call() -> None:
    """Another method and path is served and described, and what it replaces is gone."""
    call = "POST /enrollment/v1/archive Put them away"
    with platform(calls={CALL: call}) as sandbox, Http(fill(sandbox)) as http_:
        body = {"course_id": [7], "user_id": [100], "enrollment_mode": "delete"}
        assert http_.ask("POST", "/enrollment/v1/archive", body).json()["data"]["success"]
        assert http_.archive([7], [101]).status_code == 404
        operation = described(http_, "enrollment", "/archive", "post")
        assert "/enrollments" not in http_.get("/learn/v1/swagger").json()["paths"]
        assert [one.operation for one in sandbox.calls][1:3] == [CALL, None]
        assert archived(sandbox) == [(7, 100)]
    assert operation["operationId"] == "post_enrollment_v1_archive"
    assert operation["summary"] == "Put them away"


def test_a_call_of_a_service_of_its_own() -> None:
    """A service that is nowhere else has a swagger too."""
    with platform(calls={CALL: "POST /archive/v1/courses"}) as sandbox, Http(sandbox) as http_:
        assert described(http_, "archive", "/courses", "post")["summary"].startswith("Update")


def test_no_such_call() -> None:
    """A call that there is not answers 404 and is not described."""
    gone = {"archived_course_enrollments": None}
    with platform(calls=gone) as sandbox, Http(fill(sandbox)) as http_:
        assert http_.get(f"{LISTED}/archived").status_code == 405  # DELETE is there
        paths = http_.get("/course/v1/swagger").json()["paths"]
    assert list(paths["/courses/{course_id}/enrollments/archived"]) == ["delete"]


def test_other_places_and_names() -> None:
    """Ids may be in the query, others in the body under other names; the own names are gone."""
    moved = {"course_id": "query courses[]", "user_id": "userIds", "notify": None}
    with platform(parameters={CALL: moved}) as sandbox, Http(fill(sandbox)) as http_:
        path, mode = "/learn/v1/enrollments", {"enrollment_mode": "delete"}
        body = {"userIds": [100], **mode}
        assert http_.ask("PUT", path, body, **{"courses[]": [7]}).status_code == 200
        assert http_.ask("PUT", path, {"course_id": [7], **body}).status_code == 400
        wrong = http_.ask("PUT", path, {"userIds": "x", **mode}, **{"courses[]": [7]})
        operation = described(http_, "learn", "/enrollments", "put")
        assert archived(sandbox) == [(7, 100)]
    assert wrong.json()["message"] == {"userIds": ["userIds must be a list of integers"]}
    in_query, in_body = operation["parameters"]
    assert (in_query["name"], in_query["in"]) == ("courses[]", "query")
    assert set(in_body["schema"]["properties"]) == {
        *("userIds", "select_all", "filters", "enrollment_mode", "reset_tracking")
    }


def test_ids_into_the_path_and_out_of_it() -> None:
    """A parameter whose name is in the path stands there; one of several is then one."""
    foreign = Foreign(
        calls={
            CALL: "POST /course/v1/courses/{id}/archive",
            PLAN_CALL: "POST /learningplan/v1/archive",
        },
        parameters={CALL: {"course_id": "id"}, PLAN_CALL: {"learning_plan_id": "body plan"}},
    )
    with Sandbox(clock=FakeClock(), foreign=foreign) as sandbox, Http(fill(sandbox)) as http_:
        mode = {"enrollment_mode": "delete"}
        http_.ask("POST", "/course/v1/courses/7/archive", {"user_id": [100], **mode})
        plan = {"plan": 5, "user_ids": [101], **mode}
        http_.ask("POST", "/learningplan/v1/archive", plan)
        (in_path, _) = described(http_, "course", "/courses/{id}/archive", "post")["parameters"]
        assert archived(sandbox) == [(7, 100), (8, 101), (-5, 101)]
    assert in_path == {"name": "id", "in": "path", "required": True, "type": "integer"}


def test_other_answers() -> None:
    """Keys of an answer move, are renamed in every item, or are left out."""
    answers = {
        CALL: {"data.job_id": "data.background.id", "data.background_job": None},
        PLAN_CALL: {"data": None},
        "course_enrollments": {
            "data.items": "data.list",
            "data.list.user_id": "data.list.idUser",
            "data.list.username": None,
        },
    }
    with platform(answers=answers) as sandbox, Http(fill(sandbox)) as http_:
        listed = http_.data(LISTED)
        written = http_.archive([7], [100, 101]).json()["data"]
        in_plan = http_.archive_plan(5, [100]).json()
        (job,) = http_.data("/manage/v1/job")["jobs"]
    assert [one["idUser"] for one in listed["list"]] == [100, 101, 102]
    assert not {"user_id", "username"} & set(listed["list"][0])
    assert written == {"success": True, "background": {"id": job["job_descriptor"]["hash"]}}
    assert in_plan == {"version": "1.0.0", "_links": []}


def test_other_modes() -> None:
    """Other words of enrollment_mode are described, taken and meant; ours are refused."""
    modes = {"delete": "archive_and_unenroll"}
    with platform(modes=modes) as sandbox, Http(fill(sandbox)) as http_:
        assert http_.archive([7], [100]).status_code == 400
        http_.archive([7], [100], enrollment_mode="archive_and_unenroll")
        http_.archive([7], [101], enrollment_mode="re_enroll")
        (body,) = described(http_, "learn", "/enrollments", "put")["parameters"]
        assert [user for user, *_ in active(sandbox)] == [101, 102]
        assert archived(sandbox) == [(7, 100), (7, 101)]
    enum = body["schema"]["properties"]["enrollment_mode"]["enum"]
    assert enum == ["archive_and_unenroll", "re_enroll"]


@pytest.mark.parametrize(
    ("effect", "updated"), [("updates", "2026-03-01 12:00:00"), ("nothing", DATED)]
)
def test_the_mode_is_ignored(effect: str, updated: str) -> None:
    """The archive call is an update: nothing is archived, nobody unenrolled."""
    with platform(effect=effect) as sandbox, Http(fill(sandbox)) as http_:
        assert http_.archive([7], [100, 101]).json()["data"]["success"]
        assert http_.archive_plan(5, [100]).json()["data"]["success"]
        touched = [(user, DATED, updated) for user in (100, 101)]
        assert active(sandbox)[:2] == touched
        assert active(sandbox)[2] == (102, DATED, DATED)
        assert archived(sandbox) == []


@pytest.mark.parametrize("mode", ["delete", None])
def test_unenrolls_without_archiving(mode: str | None) -> None:
    """Who is sent is gone, by a background job too, and nothing is archived."""
    clock = FakeClock()
    with platform(clock, effect="unenrolls") as sandbox, Http(fill(sandbox)) as http_:
        http_.archive([7], [100], enrollment_mode=mode)
        http_.archive([7], [101, 102, 999], enrollment_mode=mode)
        http_.archive_plan(5, [100], enrollment_mode=mode)
        clock.sleep(1)
        assert active(sandbox) == []
        assert rows(sandbox, "SELECT user_id FROM enrollments WHERE course_id = 8") == [
            (101,),
            (102,),
        ]
        assert archived(sandbox) == []
        (job,) = http_.data("/manage/v1/job")["jobs"]
    assert job["job_descriptor"]["errors"] == 1


def test_keeps_the_date() -> None:
    """An enrollment archived and re-enrolled keeps its date, in a plan too."""
    with platform(keeps_date=True) as sandbox, Http(fill(sandbox)) as http_:
        http_.archive([7], [100], enrollment_mode="re_enroll")
        http_.archive_plan(5, [100], enrollment_mode="re_enroll")
        dates = rows(
            sandbox, "SELECT DISTINCT enrollment_created_at FROM learning_plan_enrollments"
        )
        assert {at for _, at, _ in active(sandbox)} == {DATED}
        assert dates == [(DATED,)]
        assert archived(sandbox) == [(7, 100), (8, 100), (-5, 100)]


def test_the_archived_list_lags() -> None:
    """A record is shown so many seconds after it was archived, that of a job too."""
    clock = FakeClock()
    with platform(clock, archived_lag=30) as sandbox, Http(fill(sandbox)) as http_:
        http_.archive([7], [100])
        http_.archive([7], [101, 102])
        seen = []
        for seconds in (0, 29.5, 0.5, 0.5, 0.5):
            clock.sleep(seconds)
            items = http_.data(f"{LISTED}/archived")["items"]
            seen.append([one["user_id"] for one in items])
        assert len(archived(sandbox)) == 3
    assert seen == [[], [], [100], [100, 101], [100, 101, 102]]


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("missing", 404, "application/json"),
        ("forbidden", 403, "application/json"),
        ("html", 200, "text/html"),
    ],
)
def test_no_swagger(kind: str, status: int, content: str) -> None:
    """The contract cannot be read; everything else is as ever."""
    with platform(swagger=kind) as sandbox, Http(fill(sandbox)) as http_:
        answer = http_.get("/learn/v1/swagger")
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (
            status,
            content,
        )
        assert http_.archive([7], [100]).json()["data"]["success"]


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        ({"calls": {"archive": "PUT /learn/v1/x"}}, "unknown operation 'archive'"),
        ({"answers": {"token": {"access_token": None}}}, "unknown operation 'token'"),
        ({"calls": {CALL: "/learn/v1/x"}}, "'/learn/v1/x' is no call"),
        ({"calls": {PLAN_CALL: "PUT /learn/v1/x"}}, "learning_plan_id"),
        ({"calls": {CALL: "PUT /learn/v1/{id}"}}, "for nothing"),
        ({"parameters": {CALL: {"users": "ids"}}}, "has no 'users'"),
        ({"parameters": {CALL: {"user_id": "header ids"}}}, "'header ids' is no parameter"),
        ({"effect": "deletes"}, "effect cannot be 'deletes'"),
        ({"swagger": "yaml"}, "swagger cannot be 'yaml'"),
    ],
)
def test_what_cannot_be_is_refused_at_once(foreign: dict[str, Any], said: str) -> None:
    """A platform that could not be served is refused before it starts."""
    with pytest.raises(ValueError, match=said):
        platform(**foreign)
