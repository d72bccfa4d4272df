"""What is reported of each call: log records, the hook, and raw answers."""

import json
import logging
from typing import Any

import pytest
from wire_tools import answer, scripted, token

from lms_archive import ApiError, PasswordGrant, RetryPolicy
from lms_archive.errors import (
    NotFoundError,
    PermissionDeniedError,
    PlatformUnavailableError,
)
from lms_archive.sandbox import Sandbox
from lms_archive.wire import Call, Response

LOGIN = PasswordGrant("app", "app-secret", "ada", "word")


def test_each_call_is_a_record_and_reaches_the_hook(caplog: pytest.LogCaptureFixture) -> None:
    """Over real HTTP: the login, a good answer and a refusal, with the same fields in both."""
    calls: list[Call] = []
    with Sandbox() as sandbox, caplog.at_level(logging.DEBUG, logger="lms_archive"):
        client = sandbox.client(on_call=calls.append)
        client.users.me()
        with pytest.raises(NotFoundError):
            client.courses.get(99)
        assert [call.path for call in calls] == [call.path for call in sandbox.calls]
    assert [(call.method, call.path, call.status, call.attempt) for call in calls] == [
        ("POST", "/oauth2/token", 200, 1),
        ("GET", "/manage/v1/user/session", 200, 1),
        ("GET", "/learn/v1/courses/99", 404, 1),
    ]
    assert all(0 < call.seconds < 60 for call in calls)
    records: list[Any] = [r for r in caplog.records if r.name == "lms_archive.wire.calls"]
    assert {record.levelno for record in records} == {logging.DEBUG}
    fields = ("method", "path", "status", "seconds", "attempt")
    assert [Call(**{name: getattr(record, name) for name in fields}) for record in records] == calls
    assert records[2].getMessage().startswith("GET /learn/v1/courses/99: 404 after 0.")


def test_attempts_are_counted() -> None:
    """Over a lost connection and a token that has expired; the next call begins at one."""
    calls: list[Call] = []
    refused = answer({"message": "expired"}, 401)
    client, _ = scripted(
        ConnectionResetError("cut"), refused, answer(), auth=LOGIN, on_call=calls.append
    )
    for _ in range(2):
        client.request("GET", "/x")
    attempts = [(call.path, call.status, call.attempt) for call in calls]
    assert attempts == [
        ("/oauth2/token", 200, 1),
        ("/x", None, 1),
        ("/x", 401, 2),
        ("/oauth2/token", 200, 1),
        ("/x", 200, 3),
        ("/x", 200, 1),
    ]


def test_no_query_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A search text may be a name; the body and the token are not reported either."""
    calls: list[Call] = []
    client, _ = scripted(answer({"data": {"items": [], "count": 0}}), on_call=calls.append)
    with caplog.at_level(logging.DEBUG):
        list(client.users.list(search="ada.lovelace"))
        client.request("PUT", "/x", json={"user": "ada.lovelace"})
    assert "ada.lovelace" not in f"{calls}{caplog.text}"
    assert "a-static-token" not in f"{calls}{caplog.text}"


def test_what_the_hook_raises_passes_through() -> None:
    """Like Ctrl-C; the call is not made again."""

    def stop(_: Call) -> None:
        raise RuntimeError("enough")

    client, script = scripted(answer(), on_call=stop)
    with pytest.raises(RuntimeError, match="enough"):
        client.request("GET", "/x")
    assert len(script.sent) == 1


# Raw answers


def test_a_raw_answer() -> None:
    """Status, headers in any case, and bytes, over real HTTP; the JSON is the same."""
    with Sandbox() as sandbox:
        client = sandbox.client()
        raw = client.request("GET", "/manage/v1/user/session", raw=True)
        assert isinstance(raw, Response)
        assert raw.status == 200
        assert raw.headers["Content-Type"] == raw.headers["content-type"]
        assert "json" in raw.headers["CONTENT-TYPE"]
        assert json.loads(raw.body) == client.request("GET", "/manage/v1/user/session")


def test_a_raw_answer_need_not_be_json() -> None:
    """Bytes come as they are."""
    body = b"%PDF-1.7 \x00\xff"
    client, script = scripted(answer(body, 201, Content_Type="application/pdf"))
    raw = client.request("GET", "/report", raw=True)
    assert (raw.status, raw.body) == (201, body)
    assert script.sent[0].headers["Accept"] == "*/*"


def test_secrets_are_masked_in_raw_answers() -> None:
    """The token is removed from headers and body, as from every other answer."""
    secret = "a-long-access-token/7"
    echo = answer(f"you sent {secret}".encode(), X_Echo=f"Bearer {secret}")
    client, _ = scripted(echo, auth=LOGIN, tokens=[token(secret)])
    raw = client.request("GET", "/x", raw=True)
    assert raw.body == b"you sent [secret]"
    assert raw.headers["X-Echo"] == "Bearer [secret]"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer({"message": "no"}, 404), NotFoundError),
        (answer({"message": "oops"}, 500), PlatformUnavailableError),
        (answer(b"<html><title>Sign in</title>", Content_Type="text/html"), PermissionDeniedError),
        (answer(b"", 302, Location="/elsewhere"), ApiError),
    ],
)
def test_a_refusal_is_raised_all_the_same(reply: Response, error: type[ApiError]) -> None:
    """`raw` changes what is returned, not what is an error."""
    client, _ = scripted(reply, retry=RetryPolicy(attempts=1))
    with pytest.raises(error):
        client.request("GET", "/x", raw=True)
