"""Who is calling: four ways to log in, one token for all, and nothing of it ever shown."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from virtual_time import VirtualTime
from wire_tools import GOOD, URL, Scripted, answer, run_all, scripted, token

from lms_archive import (
    ApiError,
    Client,
    ClientCredentials,
    InvalidInputError,
    JwtBearer,
    PasswordGrant,
    RetryPolicy,
    StaticToken,
)
from lms_archive.errors import (
    AuthenticationError,
    PermissionDeniedError,
)
from lms_archive.sandbox import Sandbox

PASSWORD = PasswordGrant("the-app", "app-secret-1", "ada", "pass-word-1")
APP = ClientCredentials("the-app", "app-secret-1")
JWT = JwtBearer("the-app", "app-secret-1", "the.jwt-assertion.1")
SECRETS = ("app-secret-1", "pass-word-1", "jwt-assertion", "static-token-1", "token-1")


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    """An empty platform to sign in to."""
    with Sandbox() as sandbox:
        yield sandbox


def app(platform: Sandbox) -> tuple[str, str]:
    """The OAuth2 app of a sandbox."""
    env = platform.env()
    return env["LMS_ARCHIVE_CLIENT_ID"], env["LMS_ARCHIVE_CLIENT_SECRET"]


def logins(platform: Sandbox) -> int:
    """How many token calls it has seen."""
    return sum(call.operation == "token" for call in platform.calls)


# Each way in, against the sandbox


def test_an_app_logs_in_as_itself_or_with_an_assertion(platform: Sandbox) -> None:
    """The assertion is given as it is, or made by a callable."""
    for auth in (
        ClientCredentials(*app(platform)),
        JwtBearer(*app(platform), platform.assertion),
        JwtBearer(*app(platform), lambda: platform.assertion),  # called for each login
    ):
        with Client(platform.url, auth) as client:
            assert list(client.courses.list()) == []


def test_a_token_made_elsewhere_needs_no_login() -> None:
    """White space around it is dropped."""
    client, script = scripted(GOOD, auth=StaticToken("  a-bearer\n"))
    client.request("GET", "/x")
    assert script.sent[0].headers["Authorization"] == "Bearer a-bearer"
    assert script.logins == []


# The form of each grant


@pytest.mark.parametrize(
    ("auth", "grant", "keys"),
    [
        (PASSWORD, "password", {"username", "password"}),
        (APP, "client_credentials", set()),
        (JWT, "urn:ietf:params:oauth:grant-type:jwt-bearer", {"assertion"}),
    ],
    ids=["password", "client credentials", "jwt"],
)
def test_each_grant_sends_its_own_fields_and_the_app(auth: Any, grant: str, keys: set[str]) -> None:
    """Each grant sends its name, the app, the scope, and what is its own."""
    form = auth.form()
    assert (form["grant_type"], form["scope"]) == (grant, "api")
    assert set(form) == {"grant_type", "client_id", "client_secret", "scope"} | keys
    client, script = scripted(GOOD, auth=auth)
    client.request("GET", "/x")
    (login,) = script.logins
    assert (login.method, login.url) == ("POST", f"{URL}/oauth2/token")
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in login.headers
    assert login.params == ()
    assert login.form["client_secret"] == "app-secret-1"


def test_a_callable_assertion_is_called_for_every_login() -> None:
    """An assertion soon expires: each login gets a new one, and no login none."""
    made: list[str] = []

    def make() -> str:
        made.append(f"assertion-{len(made) + 1}")
        return made[-1]

    time = VirtualTime()
    client, script = scripted(GOOD, time=time, auth=JwtBearer("the-app", "s", make))
    client.request("GET", "/x")
    client.request("GET", "/x")
    assert made == ["assertion-1"]
    time.passed += 3600
    client.request("GET", "/x")
    assert made == ["assertion-1", "assertion-2"]
    assert [login.form["assertion"] for login in script.logins] == made


# One token for all


def test_threads_share_one_login(platform: Sandbox) -> None:
    """Eight threads that begin at once make one token call."""
    before = logins(platform)
    barrier, failed = threading.Barrier(8), []
    with platform.client() as client:

        def work() -> None:
            barrier.wait()
            try:
                list(client.courses.list())
            except ApiError as error:
                failed.append(error)

        run_all([work] * 8)
        assert client.session.calls["list_courses"] == 8
    assert failed == []
    assert logins(platform) == before + 1


def test_threads_share_one_renewal() -> None:
    """Where eight threads are answered 401 with one token, it is renewed once."""
    barrier = threading.Barrier(8)

    def play(sent: Any) -> Any:
        if sent.headers["Authorization"] == "Bearer token-1":
            barrier.wait(5)
            return answer({"message": "expired"}, 401)
        return GOOD

    client, script = scripted(play, auth=APP)
    run_all([lambda: client.request("GET", "/x")] * 8)
    assert len(script.logins) == 2
    assert len(script.sent) == 16


# Renewal


@pytest.mark.parametrize(
    ("lasts", "renewed_after"),
    [
        (3600, 3540),
        ("3600", 3540),
        (10, 5),
        (None, 3540),
        (0, 3540),
        (-5, 3540),
    ],
)
def test_a_token_is_renewed_before_its_end(lasts: Any, renewed_after: float) -> None:
    """A token is renewed 60 s before its end; a short one at half its time."""
    time = VirtualTime()
    script_token = token(expires_in=lasts)
    client, script = scripted(GOOD, time=time, auth=APP, tokens=[script_token])
    client.request("GET", "/x")
    time.passed += renewed_after - 0.5
    client.request("GET", "/x")
    assert len(script.logins) == 1
    time.passed += 1
    client.request("GET", "/x")
    assert len(script.logins) == 2


def test_a_revoked_token_is_replaced_and_the_call_made_again(platform: Sandbox) -> None:
    """A token that was revoked is replaced, and the call made again."""
    before = logins(platform)
    with platform.client() as client:
        platform.faults.add("expired_token", operation="list_courses")
        assert list(client.courses.list()) == []
        assert client.session.calls["token"] == 2
        assert logins(platform) == before + 2
        platform.faults.add("expired_token", operation="list_courses", times=2)
        with pytest.raises(AuthenticationError, match="GET /course/v1/courses: 401: "):
            list(client.courses.list())
        assert client.session.calls == {"token": 3, "list_courses": 4}


def test_a_static_token_that_is_refused_is_not_renewed() -> None:
    """The error says which setting holds it, after one call."""
    client, script = scripted(answer({"message": "expired"}, 401))
    with pytest.raises(AuthenticationError, match="LMS_ARCHIVE_TOKEN"):
        client.request("GET", "/x")
    assert (len(script.sent), len(script.logins)) == (1, 0)


def test_the_refresh_token_is_used() -> None:
    """Where the platform gave a refresh token, the password is not sent again."""
    client, script = scripted(
        answer({}, 401),
        GOOD,
        auth=PASSWORD,
        tokens=[token("t-1", refresh_token="r-1"), token("t-2", refresh_token="r-2")],
    )
    client.request("GET", "/x")
    first, second = (login.form for login in script.logins)
    assert first["grant_type"] == "password"
    assert second == {
        "grant_type": "refresh_token",
        "client_id": "the-app",
        "client_secret": "app-secret-1",
        "refresh_token": "r-1",
    }
    assert script.sent[-1].headers["Authorization"] == "Bearer t-2"


REFUSED_REFRESH = {"error": "invalid_grant", "error_description": "Invalid refresh token"}


@pytest.mark.parametrize("lost", [answer(REFUSED_REFRESH, 400), OSError("cut")])
def test_a_failed_refresh_call_is_followed_by_the_grant(lost: Scripted) -> None:
    """A refresh token that is refused, or whose call is lost, costs one call."""
    client, script = scripted(
        answer({}, 401),
        GOOD,
        auth=PASSWORD,
        tokens=[token(refresh_token="r-1"), lost, token("t-3")],
    )
    client.request("GET", "/x")
    grants = [login.form["grant_type"] for login in script.logins]
    assert grants == ["password", "refresh_token", "password"]
    assert script.sent[-1].headers["Authorization"] == "Bearer t-3"


# A login that fails says where to look

APP_SETTINGS = "client_id and client_secret (LMS_ARCHIVE_CLIENT_ID, _CLIENT_SECRET)"
USER_SETTINGS = "username and password (LMS_ARCHIVE_USERNAME, _PASSWORD)"


def refused(error: str, words: str = "", status: int = 400) -> Any:
    """A refused login in OAuth2's words."""
    return answer({"error": error, "error_description": words}, status)


WHERE: dict[str, tuple[Any, Any, str]] = {
    "unknown app": (PASSWORD, refused("invalid_client"), f"check {APP_SETTINGS}: the platform"),
    "wrong password": (
        PASSWORD,
        refused("invalid_grant", "Invalid username and password combination", 401),
        f"check {USER_SETTINGS}",
    ),
    "wrong password, in words": (
        PASSWORD,
        answer({"message": "Bad credentials"}, 401),
        f"check {USER_SETTINGS}",
    ),
    "locked user": (PASSWORD, answer({"message": "User locked"}, 403), f"check {USER_SETTINGS}"),
    "grant not allowed": (
        PASSWORD,
        refused("unsupported_grant_type", "Grant type 'password' not supported"),
        "the OAuth2 app does not allow the grant 'password'",
    ),
    "grant not for this app": (
        APP,
        refused("unauthorized_client", "not allowed"),
        f"check {APP_SETTINGS}",
    ),
    "assertion expired": (JWT, refused("invalid_grant"), "check the assertion: its issuer"),
    "no words": (PASSWORD, answer(b"", 401), f"check {APP_SETTINGS}, then {USER_SETTINGS}"),
    "an HTML 403": (
        PASSWORD,
        answer(b"<html><title>Blocked</title></html>", 403, Content_Type="text/html"),
        f"check {APP_SETTINGS}, then {USER_SETTINGS}",
    ),
    "a page": (PASSWORD, answer(b"<html>Welcome</html>"), "See LMS_ARCHIVE_URL"),
    "no token": (PASSWORD, answer({"ok": True}), "$.access_token: missing, or not a token"),
    "token of two lines": (PASSWORD, answer({"access_token": "a\nb: c"}), "See LMS_ARCHIVE_URL"),
    "nobody there": (PASSWORD, ConnectionRefusedError("refused"), f"is {URL} reachable from here?"),
}


@pytest.mark.parametrize(("auth", "said", "look"), WHERE.values(), ids=WHERE.keys())
def test_a_failed_login_says_which_setting_to_look_at(auth: Any, said: Scripted, look: str) -> None:
    """A login that fails says which of the five settings to look at, and quotes no secret."""
    client, script = scripted(GOOD, auth=auth, tokens=[said], retry=RetryPolicy(attempts=1))
    with pytest.raises(ApiError) as caught:
        client.request("GET", "/x")
    assert str(caught.value).startswith("POST /oauth2/token: ")
    assert look in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    assert (len(script.logins), script.sent) == (1, [])


@pytest.mark.parametrize("text", ["", " ", "a b", "a\nb", "Bearer x", "t\u00f6ken", "a\x00b"])
def test_a_token_that_fits_no_header_is_refused_and_not_quoted(text: str) -> None:
    """What fits no header is refused before it goes anywhere, and is not quoted."""
    with pytest.raises(InvalidInputError, match="LMS_ARCHIVE_TOKEN") as caught:
        StaticToken(text)
    assert not text.strip() or text not in str(caught.value)


def test_a_403_is_not_answered_by_another_login() -> None:
    """Who is logged in and may not do it gets that error."""
    client, script = scripted(answer({"message": "no"}, 403), auth=APP)
    with pytest.raises(PermissionDeniedError):
        client.request("PUT", "/x", json={})
    assert (len(script.logins), len(script.sent)) == (1, 1)
