"""Platforms with another contract, or with other rules of archiving."""

from typing import Any

import pytest
from sandbox_tools import FakeClock, Http, rows

from lms_archive.sandbox import Foreign, Sandbox

CALL = "archive_course_enrollments"
PLAN_CALL = "archive_learning_plan_enrollments"
LISTED = "/course/v1/courses/7/enrollments"
DISCOVERY = "/manage/v1/site/microservices"
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


def test_another_call_replaces_the_usual_one() -> None:
    """Another method and path is served and described, and what it replaces is gone."""
    call = "POST /enrollment/v1/archive Put them away"
    with platform(calls={CALL: call}) as sandbox, Http(fill(sandbox)) as http_:
        body = {"course_id": [7], "user_id": [100], "enrollment_mode": "delete"}
        assert http_.call("POST", "/enrollment/v1/archive", body).json()["data"]["success"]
        assert http_.archive([7], [101]).status_code == 404
        operation = described(http_, "enrollment", "/archive", "post")
        assert "/enrollments" not in http_.get("/learn/v1/swagger").json()["paths"]
        assert [one.operation for one in sandbox.calls][1:3] == [CALL, None]
        assert archived(sandbox) == [(7, 100)]
    assert operation["operationId"] == "post_enrollment_v1_archive"
    assert operation["summary"] == "Put them away"


def test_a_service_that_is_nowhere_else_has_a_swagger_too() -> None:
    """A service that is nowhere else has a swagger too."""
    with platform(calls={CALL: "POST /archive/v1/courses"}) as sandbox, Http(sandbox) as http_:
        assert described(http_, "archive", "/courses", "post")["summary"].startswith("Update")


def test_a_call_that_is_missing_is_not_described() -> None:
    """A call that there is not answers 404 and is not described."""
    gone = {"archived_course_enrollments": None}
    with platform(calls=gone) as sandbox, Http(fill(sandbox)) as http_:
        assert http_.get(f"{LISTED}/archived").status_code == 405  # DELETE is there
        paths = http_.get("/course/v1/swagger").json()["paths"]
    assert list(paths["/courses/{course_id}/enrollments/archived"]) == ["delete"]


def test_parameters_can_have_other_places_and_names() -> None:
    """Ids may be in the query, others in the body under other names; the own names are gone."""
    moved = {"course_id": "query courses[]", "user_id": "userIds", "select_all": None}
    with platform(parameters={CALL: moved}) as sandbox, Http(fill(sandbox)) as http_:
        path, mode = "/learn/v1/enrollments", {"enrollment_mode": "delete"}
        body = {"userIds": [100], **mode}
        assert http_.call("PUT", path, body, **{"courses[]": [7]}).status_code == 200
        assert http_.call("PUT", path, {"course_id": [7], **body}).status_code == 400
        wrong = http_.call("PUT", path, {"userIds": "x", **mode}, **{"courses[]": [7]})
        operation = described(http_, "learn", "/enrollments", "put")
        assert archived(sandbox) == [(7, 100)]
    assert wrong.json()["message"] == {"userIds": ["userIds must be a list of integers"]}
    in_query, in_body = operation["parameters"]
    assert (in_query["name"], in_query["in"]) == ("courses[]", "query")
    assert set(in_body["schema"]["properties"]) == {
        *("userIds", "filters", "enrollment_mode", "reset_tracking")
    }


def test_ids_can_move_into_the_path_and_out_of_it() -> None:
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
        http_.call("POST", "/course/v1/courses/7/archive", {"user_id": [100], **mode})
        plan = {"plan": 5, "user_ids": [101], **mode}
        http_.call("POST", "/learningplan/v1/archive", plan)
        (in_path, _) = described(http_, "course", "/courses/{id}/archive", "post")["parameters"]
        assert archived(sandbox) == [(7, 100), (8, 101), (-5, 101)]
    assert in_path == {"name": "id", "in": "path", "required": True, "type": "integer"}


def test_keys_of_an_answer_can_move_or_be_left_out() -> None:
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


def test_other_words_of_the_mode_are_described_and_understood() -> None:
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
def test_the_archive_call_can_be_an_update_that_archives_nothing(effect: str, updated: str) -> None:
    """The archive call is an update: nothing is archived, nobody unenrolled."""
    with platform(effect=effect) as sandbox, Http(fill(sandbox)) as http_:
        assert http_.archive([7], [100, 101]).json()["data"]["success"]
        assert http_.archive_plan(5, [100]).json()["data"]["success"]
        touched = [(user, DATED, updated) for user in (100, 101)]
        assert active(sandbox)[:2] == touched
        assert active(sandbox)[2] == (102, DATED, DATED)
        assert archived(sandbox) == []


@pytest.mark.parametrize("mode", ["delete", None])
def test_the_archive_call_can_unenroll_without_archiving(mode: str | None) -> None:
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


def test_a_renewed_enrollment_can_keep_its_date() -> None:
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


def test_the_archived_list_can_lag() -> None:
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
def test_the_swagger_can_be_missing_refused_or_a_page(kind: str, status: int, content: str) -> None:
    """The list of services too, or only that; everything else works."""
    expected = (status, content)
    for only_discovery in (False, True):
        foreign: Any = {"microservices" if only_discovery else "swagger": kind}
        with platform(**foreign) as sandbox, Http(fill(sandbox)) as http_:
            answers = [http_.get(DISCOVERY), http_.get("/learn/v1/swagger")]
            got = [(a.status_code, a.headers["Content-Type"].split(";")[0]) for a in answers]
            document = (200, "application/json") if only_discovery else expected
            assert got == [expected, document]
            assert http_.archive([7], [100]).json()["data"]["success"]


def test_courses_can_be_listed_in_the_older_form() -> None:
    """With the keys of `/learn/v1/courses`: id_course, name, course_type."""
    older = {"id": "id_course", "title": "name", "type": "course_type"}
    keys = {f"data.items.{new}": f"data.items.{old}" for new, old in older.items()}
    with platform(answers={"list_courses": keys}) as sandbox, Http(fill(sandbox)) as http_:
        first = http_.items("/course/v1/courses")[0]
    assert (first["id_course"], first["name"], first["course_type"]) == (7, "A", "elearning")
    assert not {"id", "title", "type"} & set(first)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("message", {"status": 404, "name": "Not Found", "message": "Course 99 not found."}),
        ("code", {"success": False, "error": "Course 99 not found.", "errorCode": 404}),
        ("text", "Course 99 not found."),
    ],
)
def test_errors_have_the_form_of_the_platform(form: str, body: object) -> None:
    """Refusals, wrong parameters and faults alike."""
    with platform(errors=form) as sandbox, Http(sandbox) as http_:
        refused = http_.get("/learn/v1/courses/99")
        wrong = http_.get("/course/v1/courses", page=0)
        sandbox.faults.add("503")
        failed = http_.get("/course/v1/courses")
    assert (refused.text if form == "text" else refused.json()) == body
    assert "page must be 1 or more" in wrong.text
    assert [a.status_code for a in (refused, wrong, failed)] == [404, 400, 503]
    types = {a.headers["Content-Type"].split(";")[0] for a in (refused, wrong, failed)}
    assert types == {"text/plain" if form == "text" else "application/json"}


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        ({"calls": {"archive": "PUT /learn/v1/x"}}, "unknown operation 'archive'"),
        ({"answers": {"token": {"access_token": None}}}, "unknown operation 'token'"),
        ({"calls": {CALL: "/learn/v1/x"}}, "'/learn/v1/x' is not a call"),
        ({"calls": {PLAN_CALL: "PUT /learn/v1/x"}}, "learning_plan_id"),
        ({"calls": {CALL: "PUT /learn/v1/{id}"}}, "must have exactly no placeholder"),
        ({"parameters": {CALL: {"users": "ids"}}}, "has no 'users'"),
        ({"parameters": {CALL: {"user_id": "header ids"}}}, "'header ids' is not a parameter"),
        ({"effect": "deletes"}, "effect cannot be 'deletes'"),
        ({"swagger": "yaml"}, "swagger cannot be 'yaml'"),
        ({"errors": "xml"}, "errors cannot be 'xml'"),
    ],
)
def test_a_platform_that_cannot_be_served_is_refused_at_once(
    foreign: dict[str, Any], message: str
) -> None:
    """A platform that could not be served is refused before it starts."""
    with pytest.raises(ValueError, match=message):
        platform(**foreign)
