"""The select-all form of both archive calls."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sandbox_tools import PLANS, Http, fill, fill_plans, rows

from lms_archive.sandbox import Sandbox, archived

IN_PROGRESS = {"enrollment_status": "in_progress"}


def load(sandbox: Sandbox) -> None:
    """Enroll four in plan 50 and four in course 7: two have completed, two have begun."""
    fill_plans(sandbox, 2)
    sandbox.load(
        users=[{"username": name, "user_id": i} for i, name in ((200, "a"), (201, "b"))],
        courses=[{"code": "SAFE", "id_course": 7}],
        enrollments=[
            {"user_id": user, "id_course": 7, "enrollment_status": status}
            for user, status in ((100, "completed"), (101, "completed"))
        ]
        + [{"user_id": user, "id_course": 7, **IN_PROGRESS} for user in (200, 201)],
        learning_plan_enrollments=[
            {"user_id": user, "learning_plan_id": 50, **IN_PROGRESS} for user in (200, 201)
        ],
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A platform whose jobs are done at the next look."""
    with Sandbox(job_seconds=0) as sandbox:
        load(sandbox)
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[Http]:
    """A signed-in session."""
    with Http(sandbox) as http:
        yield http


def everyone(http: Http, target: str, **more: Any) -> requests.Response:
    """Send the select-all form, to the plan or to the course."""
    body = {"select_all": True, "enrollment_mode": "delete", **more}
    if target == "plan":
        return http.ask("PUT", f"{PLANS}/50/enrollments", json=body)
    return http.ask("PUT", "/learn/v1/enrollments", json={"course_id": [7], **body})


def archived_users(sandbox: Sandbox, target: str) -> list[int]:
    """Return whose enrollments were archived."""
    table, where = {
        "plan": ("archived_learning_plan_enrollments", "1"),
        "course": ("archived_enrollments", "course_id = 7"),
    }[target]
    sql = f"SELECT user_id FROM {table} WHERE {where} ORDER BY 1"
    return [user for (user,) in rows(sandbox, sql)]


@pytest.mark.parametrize("target", ["plan", "course"])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"enrollment_status": ["completed"]}, [100, 101]),
        ({"enrollment_status": ["completed", "in_progress"]}, [100, 101, 200, 201]),
        ({"status": ["completed"]}, [100, 101, 200, 201]),
        (None, [100, 101, 200, 201]),
    ],
)
def test_filters(
    sandbox: Sandbox, http: Http, target: str, filters: object, expected: list[int]
) -> None:
    """All whom the filters let through are archived by a job; an unknown filter is ignored."""
    data = everyone(http, target, filters=filters).json()["data"]
    assert data["background_job"] is True
    assert archived_users(sandbox, target) == expected
    assert http.job(data["job_id"])["total"] == len(expected)


@pytest.mark.parametrize("target", ["plan", "course"])
def test_ignored_filters(target: str) -> None:
    """With the switch the filters change nothing: everyone is archived."""
    with Sandbox(job_seconds=0, ignores_filters=True) as sandbox, Http(sandbox) as http:
        load(sandbox)
        everyone(http, target, filters={"enrollment_status": ["completed"]})
        assert archived_users(sandbox, target) == [100, 101, 200, 201]


@pytest.mark.parametrize("target", ["plan", "course"])
def test_the_first_ten_thousand(
    sandbox: Sandbox, http: Http, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more matches than the limit the first ones are archived."""
    assert archived.SELECT_ALL == 10_000
    monkeypatch.setattr(archived, "SELECT_ALL", 3)
    everyone(http, target)
    assert archived_users(sandbox, target) == [100, 101, 200]


def test_more_than_two_hundred() -> None:
    """The limit of hand-picked enrollments is none of select-all."""
    with Sandbox(job_seconds=0) as sandbox, Http(sandbox) as http:
        fill(sandbox, 250)
        everyone(http, "course")
        assert rows(sandbox, "SELECT COUNT(*) FROM archived_enrollments") == [(250,)]


@pytest.mark.parametrize("target", ["plan", "course"])
def test_one_or_none(sandbox: Sandbox, http: Http, target: str) -> None:
    """A single match is archived at once; with none there is no job and no success."""
    table = {"plan": "user_ids", "course": "user_id"}
    none = everyone(http, target, filters={"enrollment_status": ["waiting"]}).json()["data"]
    assert none == {"success": False, "background_job": False, "job_id": None}
    sandbox.load(users=[{"username": "c", "user_id": 300}])
    status = {"user_id": 300, "enrollment_status": "enrolled"}
    sandbox.load(
        enrollments=[{"id_course": 7, **status}],
        learning_plan_enrollments=[{"learning_plan_id": 50, **status}],
    )
    one = everyone(http, target, filters={"enrollment_status": ["enrolled"]}).json()["data"]
    assert one == {"success": True, "background_job": False, "job_id": None}
    assert archived_users(sandbox, target) == [300]
    both = everyone(http, target, **{table[target]: [100]})
    assert (both.status_code, list(both.json()["message"])) == (400, [table[target]])


@pytest.mark.parametrize("filters", ["completed", {"enrollment_status": "completed"}, [1]])
def test_bad_filters(sandbox: Sandbox, http: Http, filters: object) -> None:
    """Filters that are no object of lists are a 400, and nothing is archived."""
    answer = everyone(http, "plan", filters=filters)
    assert (answer.status_code, list(answer.json()["message"])) == (400, ["filters"])
    assert archived_users(sandbox, "plan") == []
