"""Signing in: four grants, refusals, tokens that expire, and the session."""

from sandbox_tools import COURSES, Http
from virtual_time import VirtualTime

from lms_archive.sandbox import Sandbox

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_refresh_token_works_once(lms_sandbox: Sandbox) -> None:
    """It gives a new pair of tokens of the same account, and is spent then."""
    with Http(lms_sandbox, "power_user") as http:
        refresh = http.token(**http.login).json()["refresh_token"]
        form = http.login | {"grant_type": "refresh_token", "refresh_token": refresh}
        token = http.token(**form).json()["access_token"]
        http.session.headers["Authorization"] = f"Bearer {token}"
        assert http.data("/manage/v1/user/session")["username"] == "power_user"
        again = http.token(**form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_refused_logins_name_the_error(lms_sandbox: Sandbox) -> None:
    """A wrong secret, password, assertion or grant is refused with OAuth's error."""
    with Http(lms_sandbox) as http:
        assert http.token(**http.login | {"grant_type": JWT, "assertion": lms_sandbox.assertion})
        answers = [
            http.token(**http.login | wrong)
            for wrong in (
                {"client_secret": "x"},
                {"password": "x"},
                {"username": "unknown"},
                {"grant_type": JWT, "assertion": "forged"},
                {"grant_type": "magic"},
            )
        ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (400, "invalid_client"),
        (401, "invalid_grant"),
        (401, "invalid_grant"),
        (400, "invalid_grant"),
        (400, "unsupported_grant_type"),
    ]
    assert all(answer.json()["error_description"] for answer in answers)


def test_a_call_without_a_valid_token_is_refused(lms_sandbox: Sandbox) -> None:
    """No bearer, an unknown one and basic authentication are 401."""
    with Http(lms_sandbox) as http:
        for header in ("", "Bearer nonsense", "Basic dTpw"):
            http.session.headers["Authorization"] = header
            answer = http.get(COURSES)
            assert (answer.status_code, answer.json()["name"]) == (401, "Unauthorized")
    assert lms_sandbox.calls[-1].username is None


def test_a_token_expires_by_the_clock() -> None:
    """A token is good until `token_seconds` have passed on the sandbox's clock."""
    clock = VirtualTime()
    with Sandbox(clock=clock, token_seconds=60) as sandbox, Http(sandbox) as http:
        clock.sleep(59)
        assert http.get(COURSES).status_code == 200
        clock.sleep(1)
        assert http.get(COURSES).status_code == 401
