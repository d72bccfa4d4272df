"""What the role of the account allows is known before the first write."""

from collections import Counter
from typing import Any

import pytest
from plan_tools import UNENROLL, load_plans
from virtual_time import Harness

from lms_archive import ArchiveJob
from lms_archive.errors import AuthenticationError, PermissionDeniedError
from lms_archive.sandbox import PlatformVariant, Sandbox

ROWS = {
    "course": [{"user_id": 1001, "course_id": 1}],
    "learning plan": [{"user_id": 1001, "learning_plan_id": 50}],
}


def _job(*kinds: str) -> ArchiveJob:
    rows: list[dict[str, int]] = [row for kind in kinds for row in ROWS[kind]]
    return ArchiveJob.from_rows(rows, **UNENROLL)


def _harness(harness: Harness) -> Harness:
    load_plans(harness, {50: [2]})
    harness.sandbox.load(
        courses=[{"code": "C1", "id_course": 1}],
        enrollments=[{"user_id": 1001, "id_course": 1, "enrollment_status": "completed"}],
    )
    return harness


@pytest.mark.parametrize("kinds", [("learning plan",), ("course", "learning plan")])
@pytest.mark.parametrize("role", ["power_user", "power_user_without"])
def test_a_power_user_cannot_plan_for_learning_plans(
    harness: Harness, role: str, kinds: tuple[str, ...]
) -> None:
    """The error says who is refused and what to do; nothing was sent."""
    client = _harness(harness).connect(role)
    with pytest.raises(PermissionDeniedError, match="log in as a Superadmin") as caught:
        _job(*kinds).plan(client)
    assert str(caught.value).startswith(
        f"GET /manage/v1/user/session: the account '{role}' is a Power User"
    )
    assert {call.method for call in harness.sandbox.calls} <= {"GET", "POST"}


@pytest.mark.parametrize("role", ["power_user", "power_user_without"])
def test_a_power_user_is_warned_when_planning_for_courses(harness: Harness, role: str) -> None:
    """A permission can allow it, which only the archive call shows."""
    plan = _job("course").plan(_harness(harness).connect(role))
    warnings = [text for text in plan.warnings if "Power User" in text]
    expected = f"the account {role!r} is a Power User: it needs a permission to archive in courses"
    assert [text.startswith(expected) for text in warnings] == [True]
    assert warnings[0] in str(plan)


def test_a_superadmin_is_not_warned_and_the_role_costs_one_call(harness: Harness) -> None:
    """The call belongs to planning: `plan.calls` counts what `apply` makes."""
    plan = _job("course", "learning plan").plan(_harness(harness).client)
    assert not [text for text in plan.warnings if "Power User" in text]
    assert Counter(harness.operations)["session"] == 1
    assert "session" not in plan.calls


def test_a_job_without_targets_does_not_ask_for_the_role(harness: Harness) -> None:
    """A plan of bad rows makes no call at all."""
    job = ArchiveJob.from_rows([{"course_id": "C", "user_id": 1}], **UNENROLL)
    job.plan(harness.client)
    assert harness.operations == []


REFUSALS: dict[str, dict[str, Any]] = {
    "missing": {"kind": "status", "status": 404},
    "forbidden": {"kind": "status", "status": 403},
    "bad request": {"kind": "status", "status": 400, "body": "no"},
    "login page": {"kind": "login_page"},
    "redirect": {"kind": "redirect", "location": "/login"},
    "another shape": {"kind": "status", "status": 200, "body": []},
    "no level": {"kind": "status", "status": 200, "body": {"data": {"id": "7"}}},
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_where_the_role_is_not_known_nothing_changes(
    harness: Harness, refusal: dict[str, Any]
) -> None:
    """The platform itself refuses then, at the first write."""
    _harness(harness).sandbox.faults.add(operation="session", **refusal)
    plan = _job("course", "learning plan").plan(harness.connect("power_user"))
    assert [fault.operation for fault in harness.sandbox.faults.log] == ["session"]
    assert plan.counts["to_archive"] == 2
    assert not [text for text in plan.warnings if "Power User" in text]


def test_a_platform_without_the_call_is_planned_for() -> None:
    """404, and nothing else."""
    with Sandbox(variant=PlatformVariant(calls={"session": None})) as sandbox:
        sandbox.load(
            users=[{"username": "ada", "user_id": 1001}],
            courses=[{"code": "C1"}],
            enrollments=[
                {"username": "ada", "course_code": "C1", "enrollment_status": "completed"}
            ],
        )
        assert _job("course").plan(sandbox.client()).counts["to_archive"] == 1


def test_a_refused_login_is_not_taken_for_an_unknown_role(harness: Harness) -> None:
    """The error of the login reaches the caller."""
    _harness(harness).sandbox.faults.add("status", operation="session", status=401, times=2)
    with pytest.raises(AuthenticationError):
        _job("course").plan(harness.client)


@pytest.mark.parametrize(
    ("level", "power_user"),
    [
        ("power_user", True),
        ("poweruser", True),
        ("Power User", True),
        ("superadmin", False),
        ("user", False),
        (None, False),
    ],
)
def test_the_words_for_a_power_user(
    harness: Harness, level: str | None, *, power_user: bool
) -> None:
    """`power_user` and `poweruser` (seen); every other word is not taken for one."""
    body = {"data": {"id": 7, "username": "ada", "user_level": level}}
    harness.sandbox.faults.add("status", operation="session", status=200, body=body)
    account = harness.client.users.me()
    assert (account.user_id, account.username, account.level) == (7, "ada", level)
    assert account.is_power_user is power_user
