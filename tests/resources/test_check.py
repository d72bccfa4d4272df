"""`client.check()`: login, role, contract and archived lists in one short report."""

import pytest

from lms_archive import Client, PasswordGrant
from lms_archive.sandbox import PlatformVariant, Sandbox


def load(sandbox: Sandbox) -> Sandbox:
    """Load a course and a learning plan, and archive one enrollment of the course."""
    sandbox.load(
        users=[{"username": "ada", "user_id": 1}],
        courses=[{"code": "C1", "id_course": 7}],
        learning_plans=[{"code": "P1", "learning_plan_id": 50}],
        enrollments=[{"user_id": 1, "id_course": 7, "enrollment_status": "completed"}],
    )
    with sandbox.client() as client:
        client.request(
            "PUT",
            "/learn/v1/enrollments",
            json={"course_id": [7], "user_id": [1], "enrollment_mode": "delete"},
        )
    return sandbox


@pytest.fixture
def platform(lms_sandbox: Sandbox) -> Sandbox:
    """A platform with something in its archived list."""
    return load(lms_sandbox)


def test_a_good_client_has_no_problems(platform: Sandbox) -> None:
    """The report names account, role, contract and lists; nothing is written."""
    before = len(platform.calls)
    with platform.client() as client:
        check = client.check()
    assert check.ok
    assert check.account is not None
    assert not check.account.is_power_user
    assert check.contract is not None
    assert str(check).splitlines() == [
        platform.url,
        "  login           superadmin (id 2000000001)",
        "  role            superadmin",
        f"  contract        {str(check.contract).splitlines()[0]}",
        "  archived list   course 7: 1 record",
        "  archived list   learning plan 50: 0 records",
        "no problems",
    ]
    assert {call.method for call in platform.calls[before:] if call.operation != "token"} == {"GET"}


def test_a_power_user_is_a_problem(platform: Sandbox) -> None:
    """It says what the role forbids."""
    with platform.client("power_user") as client:
        check = client.check()
    assert not check.ok
    count, problem = str(check).splitlines()[-2:]
    assert count == "1 problem"
    assert problem.startswith(
        "  - the account is a Power User: it cannot archive in learning plans"
    )


def test_a_call_that_no_job_makes_is_not_a_problem() -> None:
    """Deleting archived records is not part of a job."""
    names = ("delete_archived_course_enrollments", "delete_archived_learning_plan_enrollments")
    with Sandbox(variant=PlatformVariant(calls=dict.fromkeys(names))) as sandbox:
        check = load(sandbox).client().check()
    assert check.ok
    assert "20 of 22 operations confirmed, 4 of 6 writes" in str(check)


@pytest.mark.parametrize(
    ("variant", "state"),
    [
        (PlatformVariant(calls={"archive_course_enrollments": None}), "not listed"),
        (
            PlatformVariant(parameters={"archive_course_enrollments": {"user_id": "body ids"}}),
            "differs",
        ),
        (PlatformVariant(swagger="html"), "unreadable"),
    ],
)
def test_a_write_that_is_not_confirmed_is_a_problem(variant: PlatformVariant, state: str) -> None:
    """It says which, why, and where to look for the cure."""
    with Sandbox(variant=variant) as sandbox:
        (problem,) = sandbox.client().check().problems
    assert f"archive_course_enrollments ({state})" in problem
    assert problem.endswith("print(client.verify_contract()) shows what to do")


def test_what_the_platform_says_cannot_write_to_the_terminal(platform: Sandbox) -> None:
    """Control characters in a name or a role are shown as escapes, each on its own line."""
    account = {"id": 7, "username": "ada\x1b[2J\nno problems", "user_level": "\x07super"}
    body = {"data": account}
    platform.faults.add("status", operation="session", status=200, body=body)
    lines = str(platform.client().check()).split("\n")
    assert lines[1:3] == [
        "  login           ada\\x1b[2J\\nno problems (id 7)",
        "  role            \\x07super",
    ]
    assert len(lines) == 7


def test_a_refused_login_is_a_problem_not_an_exception(platform: Sandbox) -> None:
    """The rest is not checked then."""
    grant = PasswordGrant("app", "wrong", "ada", "wrong")
    check = Client(platform.url, grant).check()
    assert (check.account, check.contract, check.archived_lists) == (None, None, {})
    (problem,) = check.problems
    assert "the login failed" in problem
    assert str(check).splitlines()[:2] == [platform.url, "1 problem"]


def test_an_unknown_role_an_unconfirmed_write_and_a_missing_list_are_named() -> None:
    """Where the platform does not say who is logged in, that is not a problem by itself."""
    gone = {"session": None, "archived_course_enrollments": None}
    variant = PlatformVariant(swagger="forbidden", calls=gone)
    with Sandbox(variant=variant) as sandbox:
        sandbox.load(courses=[{"code": "C1"}])
        check = sandbox.client().check()
    assert check.account is None
    assert "the platform does not say" in str(check)
    assert "  archived list   course: cannot be read" in str(check)
    line = "  archived list   learning plan: not checked; the platform has no learning plan"
    assert line in str(check).splitlines()
    contract, archived = check.problems
    assert contract.startswith("not confirmed by the platform's swagger: ")
    assert "archive_course_enrollments (unreadable)" in contract
    assert archived.startswith("the archived list of a course cannot be read: GET /course/v1/")
