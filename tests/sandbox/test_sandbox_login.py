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


def test_refused_logins_name_the_error(sandbox: Sandbox, http: Http) -> None:
    """A wrong secret, password, assertion or grant is refused with OAuth's error."""
    assert http.token(**http.login | {"grant_type": JWT, "assertion": sandbox.assertion}).ok
    for wrong, status, error in (
        ({"client_secret": "x"}, 400, "invalid_client"),
        ({"password": "x"}, 401, "invalid_grant"),
        ({"username": "unknown"}, 401, "invalid_grant"),
        ({"grant_type": JWT, "assertion": "forged"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
    ):
        answer = http.token(**http.login | wrong)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.json()["error_description"]


def test_a_call_without_a_valid_token_is_refused(sandbox: Sandbox, http: Http) -> None:
    """No bearer, an unknown one and basic authentication are 401."""
    for header in ("", "Bearer nonsense", "Basic dTpw"):
        http.session.headers["Authorization"] = header
        answer = http.get(COURSES)
        assert (answer.status_code, answer.json()["name"]) == (401, "Unauthorized")
    assert sandbox.calls[-1].username is None


def test_a_token_expires_by_the_clock(clock: VirtualTime) -> None:
    """A token is good until `token_seconds` have passed on the sandbox's clock."""
    with Sandbox(clock=clock, token_seconds=60) as sandbox, Http(sandbox) as http:
        clock.sleep(59)
        assert http.get(COURSES).status_code == 200
        clock.sleep(1)
        assert http.get(COURSES).status_code == 401
