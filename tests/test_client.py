"""The client: how it is made, copied, opened and closed, and its low-level door."""

import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from virtual_time import VirtualTime
from wire_tools import GOOD, URL, answer, scripted

from lms_archive import (
    ApiError,
    Client,
    ClientCredentials,
    Contract,
    InvalidInputError,
    JwtBearer,
    Limits,
    PasswordGrant,
    RetryPolicy,
    StaticToken,
)
from lms_archive.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
)
from lms_archive.sandbox import Sandbox
from lms_archive.wire.transport import RequestsTransport

NAMES = ("URL", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "TOKEN")
VALUES = {name: f"the-{name.lower()}" for name in NAMES} | {"URL": URL}
WRITE_PATH = "/learn/v1/enrollments"
ARCHIVE = {"course_id": [1], "user_id": [1], "enrollment_mode": "delete"}


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    """A platform of three courses."""
    with Sandbox() as sandbox:
        sandbox.load(courses=[{"code": code} for code in ("A", "B", "C")])
        yield sandbox


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of our variables."""
    for name in NAMES:
        monkeypatch.delenv(f"LMS_ARCHIVE_{name}", raising=False)
    return monkeypatch


def set_env(env: pytest.MonkeyPatch, *names: str) -> None:
    """Set these of our variables."""
    for name in names:
        env.setenv(f"LMS_ARCHIVE_{name}", VALUES[name])


# from_env


def test_from_env_with_a_password(env: pytest.MonkeyPatch) -> None:
    """Address, app and user make a client."""
    set_env(env, *NAMES[:-1])
    client = Client.from_env(calls_per_hour=None)
    assert client.base_url == URL
    assert client.session.settings.auth == PasswordGrant(
        "the-client_id", "the-client_secret", "the-username", "the-password"
    )
    assert client.session.settings.calls_per_hour is None


def test_from_env_with_a_token(env: pytest.MonkeyPatch) -> None:
    """A token is enough, and comes before a password where both are given."""
    set_env(env, "URL", "TOKEN")
    assert Client.from_env().session.settings.auth == StaticToken("the-token")
    set_env(env, *NAMES)
    assert Client.from_env().session.settings.auth == StaticToken("the-token")


MISSING = {
    "everything": ((), "URL CLIENT_ID CLIENT_SECRET USERNAME PASSWORD"),
    "all but the address": (("URL",), "CLIENT_ID CLIENT_SECRET USERNAME PASSWORD"),
    "the secrets": (("URL", "CLIENT_ID", "USERNAME"), "CLIENT_SECRET PASSWORD"),
    "the address": (NAMES[1:-1], "URL"),
    "the address of a token": (("TOKEN",), "URL"),
}


@pytest.mark.parametrize(("given", "missing"), MISSING.values(), ids=MISSING.keys())
def test_from_env_names_all_that_is_missing(
    env: pytest.MonkeyPatch, given: tuple[str, ...], missing: str
) -> None:
    """Every missing variable is named at once, and no value that is there."""
    set_env(env, *given)
    with pytest.raises(InvalidInputError) as caught:
        Client.from_env()
    names = ", ".join(f"LMS_ARCHIVE_{name}" for name in missing.split())
    assert str(caught.value).startswith(f"not set in the environment: {names}")
    replaced = "the last four" if "CLIENT_ID" in missing else "the whole login"
    hint = f" (LMS_ARCHIVE_TOKEN can replace {replaced})" if "PASSWORD" in missing else ""
    assert str(caught.value).endswith(f"{names}{hint}")
    assert "the-" not in str(caught.value).replace("the environment", "")


def test_from_env_with_a_prefix(env: pytest.MonkeyPatch) -> None:
    """Two platforms in one environment; each client keeps its own, in another process too."""
    set_env(env, "URL", "TOKEN")
    for name in NAMES[:-1]:
        value = "https://other.example.com" if name == "URL" else f"other-{name.lower()}"
        env.setenv(f"OTHER_{name}", value)
    ours, other = Client.from_env(), Client.from_env(prefix="OTHER_")
    assert (ours.base_url, other.base_url) == (URL, "https://other.example.com")
    env.setenv("OTHER_PASSWORD", "changed")
    again = pickle.loads(pickle.dumps(other))  # noqa: S301  our own
    assert b"other-password" not in pickle.dumps(other)
    login = PasswordGrant("other-client_id", "other-client_secret", "other-username", "changed")
    assert again.session.settings.auth == login
    assert pickle.loads(pickle.dumps(ours)).base_url == URL  # noqa: S301


def test_a_prefix_is_in_every_message(env: pytest.MonkeyPatch) -> None:
    """What is missing, and what to look at, is named as it is spelt in this environment."""
    with pytest.raises(InvalidInputError, match=r"environment: ACME_URL, ACME_C.*ACME_TO"):
        Client.from_env(prefix="ACME_")
    with pytest.raises(InvalidInputError, match="prefix must be a text such as 'ACME_', not None"):
        Client.from_env(prefix=None)  # type: ignore[arg-type]
    with Sandbox() as sandbox:
        for name, value in sandbox.env().items():
            env.setenv(name.replace("LMS_ARCHIVE_", "ACME_"), value)
        env.setenv("ACME_PASSWORD", "wrong")
        with pytest.raises(AuthenticationError, match="ACME_USERNAME, _PASSWORD") as caught:
            Client.from_env(prefix="ACME_").users.me()
    assert "LMS_ARCHIVE" not in str(caught.value)


def test_a_prefix_has_a_contract_of_its_own(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`ACME_CONTRACT` is for the platform of that prefix only."""
    set_env(env, "URL", "TOKEN")
    env.setenv("ACME_URL", URL)
    env.setenv("ACME_TOKEN", "t")
    path = tmp_path / "contract.json"
    path.write_text('{"enrollment_mode": {"unenroll": "gone"}}')
    env.setenv("ACME_CONTRACT", str(path))
    changed = Client.from_env(prefix="ACME_").session.settings.contract
    assert changed.enrollment_mode["unenroll"] == "gone"
    assert Client.from_env().session.settings.contract == Contract.default()


def test_an_empty_variable_is_missing(env: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing is as good as none."""
    set_env(env, *NAMES[:-1])
    env.setenv("LMS_ARCHIVE_PASSWORD", "")
    with pytest.raises(InvalidInputError, match="not set in the environment: LMS_ARCHIVE_PASSWORD"):
        Client.from_env()


# Copies


def test_a_copy_has_other_settings() -> None:
    """The client it came from has not changed."""
    client, script = scripted(answer({"data": {"items": []}}))
    copy = client.with_options(limits=Limits(page_size=7), app_info="x")
    assert (copy.limits.page_size, client.limits.page_size) == (7, 200)
    assert client.session.settings.app_info is None
    list(copy.courses.list())
    list(client.courses.list())
    assert [dict(sent.params)["page_size"] for sent in script.sent] == ["7", "200"]


@pytest.mark.parametrize("limit", [3, None])
def test_a_copy_shares_login_hour_and_connections(limit: int | None) -> None:
    """What a copy does not change it shares: the login, the hour, the transport."""
    time = VirtualTime()
    auth = ClientCredentials("app", "s")  # a login is a call as well
    client, script = scripted(GOOD, time=time, auth=auth, calls_per_hour=limit)
    copies = [
        client,
        client.with_options(timeout=1),
        client.with_options(calls_per_hour=3),
    ]
    for copy in copies[:2]:
        copy.request("GET", "/x")
    assert (len(script.logins), len(script.sent), time.slept) == (1, 2, [])
    copies[2].request("GET", "/x")
    assert sum(time.slept) == pytest.approx(3600)


def test_a_copy_for_another_account_shares_the_hour() -> None:
    """Another account has a token of its own, and still shares the hour."""
    time = VirtualTime()
    client, script = scripted(GOOD, time=time, auth=ClientCredentials("one", "s"), calls_per_hour=4)
    other = client.with_options(auth=ClientCredentials("two", "s"))
    client.request("GET", "/x")
    other.request("GET", "/x")
    assert [login.form["client_id"] for login in script.logins] == ["one", "two"]
    assert time.slept == []
    client.request("GET", "/x")
    assert sum(time.slept) == pytest.approx(3600)


@pytest.mark.parametrize("name", ["base_url", "timeouts"])
def test_an_unknown_option_is_refused(name: str) -> None:
    """A misspelt option is an error that names those there are."""
    client, _ = scripted(GOOD)
    with pytest.raises(
        InvalidInputError, match=f"unknown option '{name}'; the options are: auth, contract"
    ):
        client.with_options(**cast("Any", {name: 1}))


WRONG_TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "limits as a dict": ({"limits": {"page_size": 50}}, "limits must be a Limits, such as Limits"),
    "contract as a name": ({"contract": "x"}, "contract must be a Contract, such as Contract.def"),
    "transport as a name": ({"transport": "x"}, "transport must be a callable"),
    "transport, the class": ({"transport": RequestsTransport}, "transport must be a callable"),
    "retry as a number": ({"retry": 3}, "retry must be a RetryPolicy, such as RetryPolicy"),
    "calls as text": ({"calls_per_hour": "800"}, "calls_per_hour must be a whole number"),
    "no calls": ({"calls_per_hour": 0}, "calls_per_hour must be a whole number, at least 1, or No"),
    **{
        f"app_info {name!r}": ({"app_info": name}, "app_info goes into the user agent")
        for name in (7, "two\nlines", "caf\u00e9", "\u5de5\u5177", "tab\t")
    },
    **{
        f"timeout {seconds!r}": (
            {"timeout": seconds},
            "timeout must be a number of seconds above 0, ",
        )
        for seconds in (
            None,
            0,
            -1,
            (1, None),
            (1, 2, 3),
            math.inf,
            1e10,
            10**400,
            (5, 1_000_001),
            "soon",
            "10",
            True,
        )
    },
    "on_call as text": ({"on_call": "print"}, "on_call must be a function that takes a Call"),
    "auth as text": ({"auth": "a-token"}, "auth must be a PasswordGrant, ClientCredentials"),
    "auth, the class": ({"auth": StaticToken}, "not the class StaticToken"),
    "auth as a pair": ({"auth": ("ada", "hush")}, "auth must be .* not tuple"),
}


@pytest.mark.parametrize(("wrong", "text"), WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_an_argument_of_a_wrong_type_is_refused_at_once(wrong: dict[str, Any], text: str) -> None:
    """An argument of a wrong type is refused in the constructor, and nothing is sent."""
    client, script = scripted(GOOD)
    options: dict[str, Any] = {"auth": StaticToken("a-token"), "transport": script, **wrong}
    makers: list[Callable[[], Client]] = [
        lambda: Client(URL, **options),
        lambda: client.with_options(**wrong),
    ]
    for make in makers:
        with pytest.raises(InvalidInputError, match=text) as caught:
            make()
        assert "a-token" not in str(caught.value)
        assert "hush" not in str(caught.value)
    assert (script.sent, script.logins) == ([], [])


WRONG_LOGINS: dict[str, Callable[[], object]] = {
    "no address": lambda: Client(None, StaticToken("t")),  # type: ignore[arg-type]
    "no password": lambda: PasswordGrant("app", "s", "ada", None),  # type: ignore[arg-type]
    "an app that is a number": lambda: ClientCredentials(7, "s"),  # type: ignore[arg-type]
    "no assertion": lambda: JwtBearer("app", "s", None),  # type: ignore[arg-type]
    "a token in bytes": lambda: StaticToken(b"hush"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("make", WRONG_LOGINS.values(), ids=WRONG_LOGINS.keys())
def test_a_login_must_be_text_and_is_not_quoted(make: Callable[[], object]) -> None:
    """A login that is not text is refused where it is made, and is not quoted."""
    with pytest.raises(InvalidInputError, match="must be a str, not") as caught:
        make()
    assert "hush" not in str(caught.value)


HALF = "hush\ud800"
HALF_LOGINS: dict[str, Callable[[], object]] = {
    "app": lambda: ClientCredentials(HALF, "s"),
    "app secret": lambda: ClientCredentials("app", HALF),
    "username": lambda: PasswordGrant("app", "s", HALF, "p"),
    "password": lambda: PasswordGrant("app", "s", "ada", HALF),
    "assertion": lambda: JwtBearer("app", "s", HALF),
    "assertion of a callable": lambda: JwtBearer("app", "s", lambda: HALF).form(),
}


@pytest.mark.parametrize("make", HALF_LOGINS.values(), ids=HALF_LOGINS.keys())
def test_a_login_with_half_a_character_is_refused_and_not_quoted(make: Callable[[], Any]) -> None:
    """A lone surrogate cannot be sent; the error does not quote the secret."""
    with pytest.raises(InvalidInputError, match="contains half a character") as caught:
        make()
    assert "hush" not in str(caught.value)


def test_the_defaults_of_a_client() -> None:
    """Without a word a client has the default contract, limits and tries, and 800 calls an hour."""
    settings = Client(URL, StaticToken("t")).session.settings
    assert settings.contract is Contract.default()
    assert (settings.limits, settings.retry) == (Limits(), RetryPolicy())
    assert (settings.calls_per_hour, settings.transport) == (800, None)


LIMITS: list[tuple[type, dict[str, Any]]] = [
    (Limits, {"hand_picked": 201}),
    (Limits, {"select_all": 10_001}),
    (Limits, {"page_size": 201}),
    (Limits, {"page_size": 2.5}),
    (Limits, {"page_size": True}),
    (Limits, {"max_open_jobs": 0}),
    (Limits, {"first_poll": -1}),
    (Limits, {"first_poll": 10**30}),
    (Limits, {"freshness": 1_000_001}),
    (Limits, {"job_timeout": float("inf")}),
    (RetryPolicy, {"attempts": 0}),
    (RetryPolicy, {"attempts": "3"}),
    (RetryPolicy, {"settle": -1}),
    (RetryPolicy, {"settle": float("inf")}),
    (RetryPolicy, {"settle": 1e7}),
]


@pytest.mark.parametrize(("cls", "wrong"), LIMITS, ids=str)
def test_impossible_limits_are_refused(cls: type, wrong: dict[str, Any]) -> None:
    """A limit above the platform's, no attempt at all, or a wait without an end."""
    with pytest.raises(InvalidInputError, match=f"^{next(iter(wrong))} must be"):
        cls(**wrong)


# The low-level door


def test_any_call_can_be_made(platform: Sandbox) -> None:
    """Any call of the platform can be made, and its JSON comes decoded."""
    with platform.client() as client:
        listed = client.request("get", "/course/v1/courses", params={"search_text": "B", "page": 1})
        assert [item["code"] for item in listed["data"]["items"]] == ["B"]
        with pytest.raises(NotFoundError, match="GET /nowhere: 404: Page not found"):
            client.request("GET", "/nowhere")
        with pytest.raises(ApiError, match="POST /course/v1/courses: 405"):
            client.request("POST", "/course/v1/courses", json={})


PARAMS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "one": ({"page": 1}, [("page", "1")]),
    "several": ({"id[]": [1, 2]}, [("id[]", "1"), ("id[]", "2")]),
    "none": ({"a": None, "b": ""}, [("b", "")]),
    "truth": ({"a": True, "b": False}, [("a", "1"), ("b", "0")]),
    "a name of ours": ({"self": 1, "method": "x"}, [("self", "1"), ("method", "x")]),
    "text": ({"q": "\u00e9 &="}, [("q", "\u00e9 &=")]),
}


@pytest.mark.parametrize(("given", "sent"), PARAMS.values(), ids=PARAMS.keys())
def test_parameters_go_out_under_the_names_given(
    given: dict[str, Any], sent: list[tuple[str, str]]
) -> None:
    """Parameters go out under the names they are given, a list once for each item."""
    client, script = scripted(GOOD)
    client.request("GET", "/x", params=given)
    assert list(script.sent[0].params) == sent


WRONG_CALLS: dict[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "method": (("FETCH", "/x"), {}),
    "path without slash": (("GET", "x"), {}),
    "a whole URL": (("GET", "https://evil.example.com/x"), {}),
    "line break in the path": (("GET", "/x\r\nHost: evil"), {}),
    "a place in the path": (("GET", "/x/{course_id}"), {}),
    "NaN": (("PUT", "/x"), {"json": {"a": float("nan")}}),
    "half a character": (("GET", "/x"), {"params": {"a": ["b", "\ud800"]}}),
    "half a character in the path": (("GET", "/\ud800"), {}),
    "no JSON": (("PUT", "/x"), {"json": {"a": {1, 2}}}),
    "raw as a word": (("GET", "/x"), {"raw": "yes"}),
}


@pytest.mark.parametrize(("call", "more"), WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_an_impossible_call_is_refused_before_it_is_sent(
    call: tuple[str, str], more: dict[str, Any]
) -> None:
    """What is not a call is refused before anything is sent."""
    client, script = scripted(GOOD)
    with pytest.raises(InvalidInputError, match="the call cannot be made: "):
        client.request(*call, **more)
    assert (script.sent, script.logins) == ([], [])


# Opening and closing


def test_a_block_closes_its_transport(platform: Sandbox) -> None:
    """At its end, also after an error, and where the transport can be closed at all."""
    closed: list[str] = []

    class Closing(RequestsTransport):
        def close(self) -> None:
            closed.append("closed")
            super().close()

    own = platform.client(transport=Closing())
    with own as client:
        assert client is own
        list(client.courses.list())
    assert closed == ["closed"]
    with pytest.raises(RuntimeError), platform.client(transport=Closing()):
        raise RuntimeError
    assert closed == ["closed"] * 2
    assert len(list(own.courses.list())) == 3
    own.close()
    with Client(URL, StaticToken("t"), transport=lambda *_: GOOD):
        pass


def test_the_repr_shows_where_and_as_whom() -> None:
    """A client shows where and as whom, and no secret."""
    client = Client(URL, PasswordGrant("app", "s-1", "ada", "s-2"))
    assert repr(client) == f"Client({URL!r}, PasswordGrant(client_id='app', username='ada'))"


@pytest.mark.parametrize("role", ["superadmin", "power_user", "power_user_without"])
def test_the_sandbox_gives_a_client_for_each_role(platform: Sandbox, role: Any) -> None:
    """With the options asked for; without the permission a Power User may not archive."""
    with platform.client(role, calls_per_hour=5) as client:
        assert client.base_url == platform.url
        assert client.session.settings.calls_per_hour == 5
        assert len(list(client.courses.list())) == 3
        if role == "power_user_without":
            with pytest.raises(PermissionDeniedError, match="PUT /learn/v1/enrollments: 403: "):
                client.request("PUT", WRITE_PATH, json=ARCHIVE)
        else:
            client.request("PUT", WRITE_PATH, json=ARCHIVE)
    assert platform.calls[-1].username == role
