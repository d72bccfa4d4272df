"""Platforms with another contract, or with other rules of archiving."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sandbox_tools import Http, rows
from virtual_time import VirtualTime

from lms_archive.sandbox import PlatformVariant, Sandbox

CALL = "archive_course_enrollments"
PLAN_CALL = "archive_learning_plan_enrollments"
DATED = "2025-01-02 03:04:05"


@contextmanager
def platform(clock: VirtualTime | None = None, **variant: Any) -> Iterator[tuple[Sandbox, Http]]:
    """Start a platform that differs: courses 7 and 8, plan 5 of course 8, three users in each."""
    users = [100, 101, 102]
    enrolled = [
        {"user_id": u, "enrollment_status": "completed", "enrollment_created_at": DATED}
        for u in users
    ]
    sandbox_of_variant = Sandbox(
        job_seconds=1, clock=clock or VirtualTime(), variant=PlatformVariant(**variant)
    )
    with sandbox_of_variant as sandbox, Http(sandbox) as http:
        sandbox.load(
            users=[{"user_id": user, "username": f"u{user}"} for user in users],
            courses=[{"id_course": 7, "code": "A"}, {"id_course": 8, "code": "B"}],
            learning_plans=[{"learning_plan_id": 5, "code": "P", "courses": "B"}],
            enrollments=[{"id_course": course, **row} for course in (7, 8) for row in enrolled],
            learning_plan_enrollments=[{"learning_plan_id": 5, **row} for row in enrolled],
        )
        yield sandbox, http


def described(http: Http, service: str, path: str, method: str) -> dict[str, Any]:
    """What the swagger says of a call."""
    document = http.get(f"/{service}/v1/swagger").json()
    operation: dict[str, Any] = document["paths"][path][method]
    return operation


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
    with platform(calls={CALL: call}) as (sandbox, http):
        body = {"course_id": [7], "user_id": [100], "enrollment_mode": "delete"}
        assert http.call("POST", "/enrollment/v1/archive", body).json()["data"]["success"]
        assert http.archive([7], [101]).status_code == 404
        operation = described(http, "enrollment", "/archive", "post")
        assert "/enrollments" not in http.get("/learn/v1/swagger").json()["paths"]
        assert [call.operation for call in sandbox.calls][1:3] == [CALL, None]
        assert archived(sandbox) == [(7, 100)]
    assert operation["operationId"] == "post_enrollment_v1_archive"
    assert operation["summary"] == "Put them away"


def test_parameters_can_have_other_places_and_names() -> None:
    """Ids may be in the query, others in the body under other names; the own names are gone."""
    moved = {"course_id": "query courses[]", "user_id": "userIds", "select_all": None}
    with platform(parameters={CALL: moved}) as (sandbox, http):
        path, mode = "/learn/v1/enrollments", {"enrollment_mode": "delete"}
        body = {"userIds": [100], **mode}
        assert http.call("PUT", path, body, **{"courses[]": [7]}).status_code == 200
        assert http.call("PUT", path, {"course_id": [7], **body}).status_code == 400
        wrong = http.call("PUT", path, {"userIds": "x", **mode}, **{"courses[]": [7]})
        operation = described(http, "learn", "/enrollments", "put")
        assert archived(sandbox) == [(7, 100)]
    assert wrong.json()["message"] == {"userIds": ["userIds must be a list of integers"]}
    in_query, in_body = operation["parameters"]
    assert (in_query["name"], in_query["in"]) == ("courses[]", "query")
    assert set(in_body["schema"]["properties"]) == {
        *("userIds", "filters", "enrollment_mode", "reset_tracking")
    }


def test_ids_can_move_into_the_path_and_out_of_it() -> None:
    """A parameter whose name is in the path stands there; one of several is then one."""
    calls = {
        CALL: "POST /course/v1/courses/{id}/archive",
        PLAN_CALL: "POST /learningplan/v1/archive",
    }
    moved = {CALL: {"course_id": "id"}, PLAN_CALL: {"learning_plan_id": "body plan"}}
    with platform(calls=calls, parameters=moved) as (sandbox, http):
        mode = {"enrollment_mode": "delete"}
        http.call("POST", "/course/v1/courses/7/archive", {"user_id": [100], **mode})
        plan = {"plan": 5, "user_ids": [101], **mode}
        http.call("POST", "/learningplan/v1/archive", plan)
        (in_path, _) = described(http, "course", "/courses/{id}/archive", "post")["parameters"]
        assert archived(sandbox) == [(7, 100), (8, 101), (-5, 101)]
    assert in_path == {"name": "id", "in": "path", "required": True, "type": "integer"}


def test_the_archive_call_can_be_an_update_that_archives_nothing() -> None:
    """It changes only the date of the last update; nobody is unenrolled."""
    with platform(effect="updates") as (sandbox, http):
        assert http.archive([7], [100, 101]).json()["data"]["success"]
        assert http.archive_plan(5, [100]).json()["data"]["success"]
        now = "2026-03-01 12:00:00"
        dates = "enrollment_created_at, enrollment_date_last_updated"
        assert rows(sandbox, f"SELECT user_id, {dates} FROM enrollments WHERE course_id = 7") == [
            (100, DATED, now),
            (101, DATED, now),
            (102, DATED, DATED),
        ]
        assert archived(sandbox) == []


def test_the_archive_call_can_unenroll_without_archiving() -> None:
    """Who is sent is gone, by a background job too, and nothing is archived."""
    clock = VirtualTime()
    with platform(clock, effect="unenrolls") as (sandbox, http):
        http.archive([7], [100])
        http.archive([7], [101, 102, 999])
        http.archive_plan(5, [100])
        clock.sleep(1)
        active = rows(sandbox, "SELECT course_id, user_id FROM enrollments")
        assert active == [(8, 101), (8, 102)]
        assert archived(sandbox) == []
        (job,) = http.data("/manage/v1/job")["jobs"]
    assert job["job_descriptor"]["errors"] == 1


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
    with platform(errors=form) as (sandbox, http):
        refused = http.get("/learn/v1/courses/99")
        wrong = http.get("/course/v1/courses", page=0)
        sandbox.faults.add("503")
        failed = http.get("/course/v1/courses")
    assert (refused.text if form == "text" else refused.json()) == body
    assert "page must be 1 or more" in wrong.text
    assert [a.status_code for a in (refused, wrong, failed)] == [404, 400, 503]
    types = {a.headers["Content-Type"].split(";")[0] for a in (refused, wrong, failed)}
    assert types == {"text/plain" if form == "text" else "application/json"}


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"calls": {"archive": "PUT /learn/v1/x"}}, "unknown operation 'archive'"),
        ({"calls": {CALL: "/learn/v1/x"}}, "'/learn/v1/x' is not a call"),
        ({"calls": {PLAN_CALL: "PUT /learn/v1/x"}}, "learning_plan_id"),
        ({"parameters": {CALL: {"users": "ids"}}}, "has no 'users'"),
        ({"parameters": {CALL: {"user_id": "header ids"}}}, "'header ids' is not a parameter"),
        ({"effect": "deletes"}, "effect cannot be 'deletes'"),
    ],
)
def test_a_platform_that_cannot_be_served_is_refused_at_once(
    variant: dict[str, Any], message: str
) -> None:
    """A platform that could not be served is refused before it starts."""
    with pytest.raises(ValueError, match=message):
        Sandbox(variant=PlatformVariant(**variant))
