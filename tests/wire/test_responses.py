"""The faults of an exchange, one row each: what comes, and which error is raised.

Each row is played as a read and as a write. `in_doubt` is what matters most: True says that the
write may have been carried out, so that it is never sent again blindly.
"""

import json
import socket
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import requests
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, ProxyError
from urllib3.exceptions import SSLError as Urllib3SSLError
from wire_tools import DATE, READ, WRITE, Scripted, answer, refusal, scripted

from lms_archive import ApiError, Client, RetryPolicy, StaticToken
from lms_archive.errors import (
    AuthenticationError,
    ConnectionSettingsError,
    NotFoundError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.wire import RequestNotSentError, Response
from lms_archive.wire import responses as module
from lms_archive.wire.calls import Request
from lms_archive.wire.masking import Mask, Secret
from lms_archive.wire.responses import parse_response

HTML = b"<!DOCTYPE html><html><head><title>Scheduled\n maintenance</title></head></html>"


@frozen
class Fault:
    """What comes from the wire, and what is said of it."""

    plays: Scripted
    family: type[ApiError]
    fragment: str
    in_doubt: bool


def html(status: int, body: bytes = HTML) -> Response:
    """The page of a proxy."""
    return Response(status, {**DATE, "Content-Type": "text/html; charset=utf-8"}, body)


def of_type(kind: str | None, body: bytes) -> Response:
    """A 200 with this content type."""
    return Response(200, {**DATE, **({} if kind is None else {"Content-Type": kind})}, body)


def nested(depth: int) -> bytes:
    """JSON of that depth."""
    return b"[" * depth + b"]" * depth


def untrusted() -> OSError:
    """What requests raises where a certificate is not trusted."""
    cause = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify")
    cause.verify_message = "self-signed certificate"
    return requests.exceptions.SSLError(MaxRetryError(None, "/", Urllib3SSLError(cause)))  # type: ignore[arg-type]


def tunnel(status: str) -> OSError:
    """What requests raises where a proxy does not connect."""
    cause = ProxyError("Unable to connect to proxy", OSError(f"Tunnel connection failed: {status}"))
    return requests.exceptions.ProxyError(MaxRetryError(None, "/", cause))  # type: ignore[arg-type]


#: The platform says no: nothing was done.
REFUSED: dict[str, tuple[Scripted, type[ApiError], str]] = {
    "400 message": (refusal(400), ApiError, "400: m-400"),
    "400 message an object": (
        refusal(400, {"message": {"user_id": ["x"]}}), ApiError, '400: {"user_id": ["x"]}'),
    "400 with code": (
        refusal(400, {"message": "no mode", "code": 1008}), ApiError, "no mode [code 1008]"),
    "400 message deep": (
        refusal(400, b'{"message": ' + nested(900) + b"}"), ApiError, "400: [[["),
    "400 success false": (
        refusal(400, {"success": False, "error": "No such user", "errorCode": "E12"}),
        ApiError, "400: No such user [code E12]"),
    "400 plain text": (refusal(400, b"Bad\r\nmode"), ApiError, "400: Bad mode"),
    "400 other keys": (refusal(400, {"why": "no"}), ApiError, '400: {"why": "no"}'),
    "400 a list": (refusal(400, ["no"]), ApiError, '400: ["no"]'),
    "400 empty": (refusal(400, b""), ApiError, ": 400"),
    "400 long": (refusal(400, {"message": "x" * 5000}), ApiError, "xxx..."),
    "401": (refusal(401), AuthenticationError, "LMS_ARCHIVE_TOKEN"),
    "403": (refusal(403), PermissionDeniedError, "the account may not do this"),
    "404": (refusal(404), NotFoundError, "404: m-404"),
    "413": (html(413, b"<h1>Too large</h1>"), ApiError, "413: an HTML page: Too large"),
    "418 not UTF-8": (refusal(418, b"caf\xe9"), ApiError, "418: caf\ufffd"),
    "451 control characters": (
        refusal(451, {"message": "a\x1b[31m\r\nb\u202ec"}), ApiError, "451: a [31m b c"),
    "429": (refusal(429), RateLimitError, "the calls of this hour are used up"),
    "429 seconds": (refusal(429, Retry_After="7"), RateLimitError, "m-429"),
    "429 beyond an hour": (refusal(429, Retry_After="3601"), RateLimitError, "m-429"),
}  # fmt: skip

#: No good answer: a write may have been carried out.
IN_DOUBT: dict[str, tuple[Scripted, type[ApiError], str]] = {
    "302": (
        refusal(302, b"", Location="https://evil.example.com/login"), ApiError,
        "302: redirects to https://evil.example.com/login (redirects are not followed"),
    "308": (refusal(308, b"", Location="/x"), ApiError, "308: redirects to /x"),
    "302 to nowhere": (refusal(302, b""), ApiError, "302: redirects to nowhere"),
    "408": (refusal(408), PlatformUnavailableError, "timed out waiting"),
    "500": (refusal(500), PlatformUnavailableError, "500: m-500"),
    "502 HTML": (
        html(502), PlatformUnavailableError, "502: an HTML page: Scheduled maintenance"),
    "503": (refusal(503, Retry_After="1"), PlatformUnavailableError, "503: m-503"),
    "599": (refusal(599), PlatformUnavailableError, "599: m-599"),
    "200 HTML": (
        html(200), PermissionDeniedError,
        "web page: Scheduled maintenance (the account is not permitted to do this, or is not "),
    "200 HTML called JSON": (
        answer(HTML), PermissionDeniedError, "the platform answered with a web page"),
    "203 HTML": (html(203), PermissionDeniedError, "203: the platform"),
    "200 success false": (
        answer({"success": False, "error": "Not for you", "errorCode": 1008}),
        ApiError, "200: Not for you [code 1008]"),
    "200 success false, only a code": (
        answer({"success": False, "errorCode": 1008}),
        ApiError, '200: {"success": false, "errorCode": 1008}'),
    "200 truncated": (
        answer(b'{"data": {"it'), UnexpectedResponseError, "not JSON (application/json)"),
    "200 two values": (answer(b"{}{}"), UnexpectedResponseError, "not JSON"),
    "200 text": (
        of_type("text/plain", b"OK"), UnexpectedResponseError, "not JSON (text/plain): 'OK'"),
    "200 no content type": (of_type(None, b"OK"), UnexpectedResponseError, "(no content type)"),
    "200 NaN": (
        answer(b'{"data": NaN}'), UnexpectedResponseError, "NaN is not a finite number"),
    "200 Infinity": (
        answer(b'{"data": -Infinity}'), UnexpectedResponseError, "-Infinity is not a finite"),
    "200 1e999": (answer(b"1e999"), UnexpectedResponseError, "1e999 is not a finite number"),
    "200 very deep": (answer(nested(10**6)), UnexpectedResponseError, "JSON nested too deeply"),
    "200 wrong charset": (answer(b'{"a": "caf\xe9"}'), UnexpectedResponseError, "not JSON"),
    "200 a number of 5,000 digits": (answer(b"9" * 5000), UnexpectedResponseError, "not JSON"),
    "cut": (
        requests.ConnectionError("Connection aborted."), PlatformUnavailableError,
        ": the connection was lost: Connection aborted. (is https://acme.example.com reachable"),
    "read time-out": (
        requests.ReadTimeout("timed out"), PlatformUnavailableError,
        ": no complete answer within 60 s ("),
    "TLS failure": (
        requests.exceptions.SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac"),
        PlatformUnavailableError, "the connection was lost: bad record mac"),
    "cut in the body": (
        requests.exceptions.ChunkedEncodingError("IncompleteRead"),
        PlatformUnavailableError, "the connection was lost: IncompleteRead"),
    "OSError": (OSError("the tunnel fell"), PlatformUnavailableError, "the tunnel fell"),
    "TimeoutError": (TimeoutError("too slow"), PlatformUnavailableError, "no complete answer"),
    "reset": (ConnectionResetError("reset"), PlatformUnavailableError, "connection was lost"),
}  # fmt: skip

#: No connection: nothing was done.
NOT_SENT: dict[str, tuple[Scripted, type[ApiError], str]] = {
    "a certificate that is not trusted": (
        untrusted(), ConnectionSettingsError,
        "certificate verify failed: self-signed certificate; for your own certificate authority"),
    "a CA bundle that is not there": (
        OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /no.pem"),
        ConnectionSettingsError,
        "a certificate file cannot be used: Could not find a suitable TLS CA certificate bundle"),
    "a proxy that refuses": (
        tunnel("407 Proxy Authentication Required"), ConnectionSettingsError,
        "the proxy refuses: 407 Proxy Authentication Required; see HTTPS_PROXY"),
    "a proxy that does not reach the platform": (
        tunnel("502 Bad Gateway"), PlatformUnavailableError,
        "no connection could be made: the proxy answered: 502 Bad Gateway"),
    "a proxy whose address is wrong": (
        requests.exceptions.InvalidProxyURL("Please check proxy URL."), ConnectionSettingsError,
        "an address cannot be used: Please check proxy URL.; see HTTPS_PROXY"),
    "RequestNotSentError": (
        RequestNotSentError("no route"), PlatformUnavailableError,
        "no connection could be made: no route"),
    "refused": (
        ConnectionRefusedError("nobody there"), PlatformUnavailableError,
        "no connection could be made"),
    "no such name": (
        socket.gaierror(-2, "Name or service not known"), PlatformUnavailableError,
        "no connection could be made"),
}  # fmt: skip

FAULTS = {
    name: Fault(*fault, in_doubt=table is IN_DOUBT)
    for table in (REFUSED, IN_DOUBT, NOT_SENT)
    for name, fault in table.items()
}


def error_of(request: Request, plays: Scripted) -> ApiError:
    """The error of one exchange."""
    client, script = scripted(plays, retry=RetryPolicy(attempts=1))
    with pytest.raises(ApiError) as caught:
        client.session.send(request, repeat=False)
    assert len(script.sent) == 1
    return caught.value


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_error_says_what_happened_and_whether_a_write_may_be_done(
    fault: Fault, request_: Request
) -> None:
    """Each fault has its family, its words, and its doubt."""
    error = error_of(request_, fault.plays)
    assert type(error) is fault.family
    assert fault.fragment in str(error)
    assert error.in_doubt is fault.in_doubt
    status = fault.plays.status if isinstance(fault.plays, Response) else None
    assert error.status == status
    head = f"{request_.method} {request_.path}: "
    assert str(error).startswith(f"{head}{status}" if status else head)
    assert (error.method, error.path) == (request_.method, request_.path)
    assert len(str(error)) < 700
    assert str(error).isprintable()


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_call_is_made_again_only_where_it_is_safe(fault: Fault, request_: Request) -> None:
    """A write that may have been carried out is never sent a second time; a refusal stays one."""
    client, script = scripted(fault.plays, answer({}))
    is_safe = request_ is READ or not fault.in_doubt
    passes = fault.family in (RateLimitError, PlatformUnavailableError)
    if is_safe and passes and (error_of(READ, fault.plays).retry_after or 0) <= 3600:
        client.session.send(request_)
        assert len(script.sent) == 2
        return
    with pytest.raises(fault.family):
        client.session.send(request_)
    assert len(script.sent) == 1


def test_a_write_that_is_not_permitted_says_what_power_users_may_not_do() -> None:
    """A read that is not permitted says nothing of archiving."""
    assert "Power Users cannot archive" in str(error_of(WRITE, refusal(403)))
    assert "Power Users" not in str(error_of(READ, refusal(403)))


def test_where_nobody_listens_no_write_is_in_doubt() -> None:
    """Where nobody listens, the error says where it looked, and no write is in doubt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with Client(url, StaticToken("t")) as client, pytest.raises(PlatformUnavailableError) as caught:
        client.session.send(WRITE, repeat=False)
    assert not caught.value.in_doubt
    assert f"is {url} reachable from here?" in str(caught.value)


@pytest.mark.parametrize("raw", [True, False])
def test_a_body_over_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch, *, raw: bool) -> None:
    """A body that was cut at the limit is not read as if it were whole."""
    monkeypatch.setattr(module, "MAX_BODY", 2**20)
    error = error_of(evolve(WRITE, raw=raw), answer(b"1" * (2**20 + 1)))
    assert (type(error), error.in_doubt) == (UnexpectedResponseError, True)
    assert str(error) == "PUT /learn/v1/enrollments: 200: more than 1 MiB"


GOOD: dict[str, tuple[Response, Any]] = {
    "JSON": (answer({"data": [1]}), {"data": [1]}),
    "201": (answer({"data": 1}, 201), {"data": 1}),
    "202": (answer({"data": 1}, 202), {"data": 1}),
    "blank": (answer(b" \r\n"), None),
    "204": (answer(b"", 204), None),
    "null": (answer(b"null"), None),
    "JSON called text": (Response(200, {"content-type": "text/html"}, b'{"a": 1}'), {"a": 1}),
    "UTF-16": (answer('{"a": "é"}'.encode("utf-16")), {"a": "é"}),
    "deep enough": (answer(nested(100)), json.loads(nested(100))),
    "no success of one item": (
        answer({"data": {"success": False, "error": "x"}}),
        {"data": {"success": False, "error": "x"}},
    ),
    "large ids": (answer(b"123456789012345678901234567890"), 123456789012345678901234567890),
}


@pytest.mark.parametrize(("given_", "data"), GOOD.values(), ids=GOOD.keys())
def test_the_json_of_a_2xx_is_returned_as_it_is(given_: Response, data: Any) -> None:
    """A 2xx with JSON, or with nothing, is taken as it is."""
    assert parse_response(WRITE, given_).data == data


RETRY_AFTER: dict[str, tuple[Mapping[str, str], float | None]] = {
    "none": ({}, None),
    "seconds": ({"Retry-After": "120"}, 120.0),
    "spaces": ({"Retry-After": " 5 "}, 5.0),
    "fractions": ({"Retry-After": "1.5"}, 1.5),
    "date": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 12:01:30 GMT"}, 90.0),
    "date with zone": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 13:01:30 +0100"}, 90.0),
    "date past": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
    "negative": ({"Retry-After": "-1"}, None),
    "word": ({"Retry-After": "soon"}, None),
    "not a number": ({"Retry-After": "nan"}, None),
    "beyond the calendar": ({**DATE, "Retry-After": "Fri, 31 Dec 9999 23:59:59 -0100"}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER.keys())
def test_retry_after_is_seconds_or_a_date_by_the_platforms_clock(
    headers: Mapping[str, str], seconds: float | None
) -> None:
    """Seconds or a date, measured by the platform's own clock; anything else says nothing."""
    with pytest.raises(RateLimitError) as caught:
        parse_response(READ, Response(429, headers, b""))
    assert caught.value.retry_after == seconds


def test_a_retry_date_without_a_date_header_is_measured_by_our_clock() -> None:
    """Without a `Date` a date to wait for is measured by ours, rather than not at all."""
    with pytest.raises(RateLimitError) as caught:
        parse_response(READ, Response(429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b""))
    assert (caught.value.retry_after or 0) > timedelta(days=365).total_seconds()


@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "Date", "Location", "Content-Type"]),
        st.text(max_size=40) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+]?\w*"),
    ),
    body=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: json.dumps(text).encode()),
)
def test_any_response_is_a_value_or_an_api_error(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    """Whatever comes is a value or an `ApiError`, never another exception."""
    is_refused = False
    try:
        parse_response(READ, Response(status, headers, body))
    except ApiError:
        is_refused = True
    assert is_refused or 200 <= status < 300


def test_secrets_are_removed_before_a_message_is_cut() -> None:
    """Words are shortened only after the secrets are out."""
    secret = "x" * 900
    answered = Response(400, {}, f"bad assertion {secret}".encode())
    with pytest.raises(ApiError) as caught:
        parse_response(READ, answered, Mask([Secret(secret)]))
    assert str(caught.value) == "GET /course/v1/courses: 400: bad assertion [secret]"
