"""Signing in: four grants, refusals, and tokens that end."""

from sandbox_tools import FakeClock, Http, login_form

from lms_archive.sandbox import Sandbox

COURSES = "/course/v1/courses"


def test_password_grant(lms_sandbox: Sandbox) -> None:
    """The password grant answers what the platform's documentation says."""
    with Http(lms_sandbox) as http:
        answer = http.token(**http.login)
    token = answer.json()
    assert answer.status_code == 200
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, "api")
    assert set(token) == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}


def test_client_credentials_act_as_superadmin(lms_sandbox: Sandbox) -> None:
    """A token of the client-credentials grant is the Superadmin's."""
    form = login_form(lms_sandbox) | {"grant_type": "client_credentials"}
    with Http(lms_sandbox) as http:
        token = http.token(**form).json()["access_token"]
        http.session.headers["Authorization"] = f"Bearer {token}"
        assert http.get(COURSES).status_code == 200
    assert lms_sandbox.calls[-1].username == "superadmin"


def test_refresh_token_works_once(lms_sandbox: Sandbox) -> None:
    """A refresh token gives a new pair of tokens, and only once."""
    with Http(lms_sandbox, "power_user") as http:
        refresh = http.token(**http.login).json()["refresh_token"]
        form = http.login | {"grant_type": "refresh_token", "refresh_token": refresh}
        token = http.token(**form).json()["access_token"]
        http.session.headers["Authorization"] = f"Bearer {token}"
        assert http.get(COURSES).status_code == 200
        assert lms_sandbox.calls[-1].username == "power_user"
        again = http.token(**form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_jwt_bearer(lms_sandbox: Sandbox) -> None:
    """The jwt-bearer grant takes the sandbox's assertion and no other."""
    jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = login_form(lms_sandbox) | {"grant_type": jwt}
    with Http(lms_sandbox) as http:
        good = http.token(**form, assertion=lms_sandbox.assertion)
        bad = http.token(**form, assertion="forged")
    assert good.status_code == 200
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_grant")


def test_refused_logins(lms_sandbox: Sandbox) -> None:
    """A wrong secret, password or grant is refused with OAuth's error and a description."""
    with Http(lms_sandbox) as http:
        answers = [
            http.token(**http.login | wrong)
            for wrong in (
                {"client_secret": "x"},
                {"password": "x"},
                {"username": "nobody"},
                {"grant_type": "magic"},
            )
        ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (400, "invalid_client"),
        (401, "invalid_grant"),
        (401, "invalid_grant"),
        (400, "unsupported_grant_type"),
    ]
    assert all(answer.json()["error_description"] for answer in answers)


def test_no_token(lms_sandbox: Sandbox) -> None:
    """Without a bearer, or with a made-up one, every call is a 401 with the error body."""
    with Http(lms_sandbox) as http:
        for header in ("", "Bearer nonsense", "Basic dTpw"):
            http.session.headers["Authorization"] = header
            answer = http.get(COURSES)
            assert (answer.status_code, answer.json()["name"]) == (401, "Unauthorized")
    assert lms_sandbox.calls[-1].username is None


def test_tokens_end_by_the_clock() -> None:
    """A token is good until `token_seconds` have passed on the sandbox's clock."""
    clock = FakeClock()
    with Sandbox(clock=clock, token_seconds=60) as sandbox, Http(sandbox) as http:
        clock.sleep(59)
        assert http.get(COURSES).status_code == 200
        clock.sleep(1)
        assert http.get(COURSES).status_code == 401


def test_secrets_are_not_shown(lms_sandbox: Sandbox) -> None:
    """No password is in the repr of an account, no login in the record of calls."""
    secret = lms_sandbox.env()["LMS_ARCHIVE_PASSWORD"]
    with Http(lms_sandbox):
        assert secret not in repr(lms_sandbox._oauth.accounts)
        assert secret not in repr(lms_sandbox.calls)
