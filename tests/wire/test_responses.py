"""The faults of an exchange, one row each: what comes, and which error is raised.

Each row is played as a read and as a write. `in_doubt` is what matters most: True says that the
write may have been carried out, so that it is never sent again blindly.
"""

import gzip
import json
import socket
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import requests
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, ProxyError
from urllib3.exceptions import SSLError as Urllib3SSLError
from wire_tools import DATE, URL, FakeTime, Scripted, answer, bare_server, on_time, says, scripted

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
from lms_archive.wire.contract import Request
from lms_archive.wire.masking import Mask, Secret
from lms_archive.wire.responses import parse_response
from lms_archive.wire.transport import RequestsTransport

HTML = b"<!DOCTYPE html><html><head><title>Scheduled\n maintenance</title></head></html>"
READ = Request("GET", "/course/v1/courses")
WRITE = Request("PUT", "/learn/v1/enrollments", json={"user_id": [1]})


@frozen
class Fault:
    """What comes from the wire, and what is to be said of it."""

    plays: Scripted
    family: type[ApiError]
    fragment: str
    in_doubt: bool = False
    status: int | None = None


def refusal(status: int, body: Any = None, **headers: str) -> Response:
    """An error as the platform answers it."""
    said = {"status": status, "name": "n", "message": f"m-{status}"} if body is None else body
    return answer(said, status, **headers)


def html(status: int, body: bytes = HTML) -> Response:
    """The page of a proxy."""
    return Response(status, {**DATE, "Content-Type": "text/html; charset=utf-8"}, body)


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


FAULTS: dict[str, Fault] = {
    # refused: the platform says no, nothing was done
    "400 message": Fault(refusal(400), ApiError, "400: m-400"),
    "400 message an object": Fault(
        refusal(400, {"message": {"user_id": ["not a number"]}}),
        ApiError,
        '400: {"user_id": ["not a number"]}',
    ),
    "400 with code": Fault(
        refusal(400, {"message": "no such mode", "code": 1008}),
        ApiError,
        "no such mode [code 1008]",
    ),
    "400 message deep": Fault(
        refusal(400, b'{"message": ' + nested(900) + b"}"), ApiError, "400: [[["
    ),
    "400 success false": Fault(
        refusal(400, {"success": False, "error": "No such user", "errorCode": "E12"}),
        ApiError,
        "400: No such user [code E12]",
    ),
    "400 plain text": Fault(refusal(400, b"Bad\r\nmode"), ApiError, "400: Bad mode"),
    "400 other keys": Fault(refusal(400, {"why": "no"}), ApiError, '400: {"why": "no"}'),
    "400 a list": Fault(refusal(400, ["no"]), ApiError, '400: ["no"]'),
    "400 empty": Fault(refusal(400, b""), ApiError, ": 400"),
    "401": Fault(refusal(401), AuthenticationError, "LMS_ARCHIVE_TOKEN"),
    "403": Fault(refusal(403), PermissionDeniedError, "the account may not do this"),
    "404": Fault(refusal(404), NotFoundError, "404: m-404"),
    "405": Fault(refusal(405), ApiError, "405: m-405"),
    "409": Fault(refusal(409), ApiError, "409: m-409"),
    "413": Fault(html(413, b"<h1>Too large</h1>"), ApiError, "413: an HTML page: Too large"),
    "422": Fault(refusal(422), ApiError, "422: m-422"),
    "418 not UTF-8": Fault(refusal(418, b"caf\xe9"), ApiError, "418: caf\ufffd"),
    "451 control characters": Fault(
        refusal(451, {"message": "a\x1b[31m\r\nb\u202ec"}), ApiError, "451: a [31m b c"
    ),
    "400 long": Fault(refusal(400, {"message": "x" * 5000}), ApiError, "xxx..."),
    "301": Fault(refusal(301, b"", Location="/new"), ApiError, "301: redirects to /new"),
    "302": Fault(
        refusal(302, b"", Location="https://evil.example.com/login"),
        ApiError,
        "302: redirects to https://evil.example.com/login (redirects are not followed",
    ),
    "303": Fault(refusal(303, b"", Location="/x"), ApiError, "303: redirects to /x"),
    "307": Fault(refusal(307, b"", Location="/x"), ApiError, "307: redirects to /x"),
    "308": Fault(refusal(308, b"", Location="/x"), ApiError, "308: redirects to /x"),
    "302 to nowhere": Fault(refusal(302, b""), ApiError, "302: redirects to nowhere"),
    # too many calls: nothing was done, and it passes
    "429": Fault(refusal(429), RateLimitError, "the calls of this hour are used up"),
    "429 seconds": Fault(refusal(429, Retry_After="7"), RateLimitError, "m-429"),
    "429 garbage": Fault(refusal(429, Retry_After="soon"), RateLimitError, "m-429"),
    "429 negative": Fault(refusal(429, Retry_After="-7"), RateLimitError, "m-429"),
    "429 beyond an hour": Fault(refusal(429, Retry_After="3601"), RateLimitError, "m-429"),
    "429 a date": Fault(
        refusal(429, Retry_After="Sun, 01 Mar 2026 12:00:30 GMT"), RateLimitError, "m-429"
    ),
    # no good answer: a write may have been carried out
    "408": Fault(refusal(408), PlatformUnavailableError, "timed out waiting", in_doubt=True),
    "500": Fault(refusal(500), PlatformUnavailableError, "500: m-500", in_doubt=True),
    "502 HTML": Fault(
        html(502),
        PlatformUnavailableError,
        "502: an HTML page: Scheduled maintenance",
        in_doubt=True,
    ),
    "503": Fault(
        refusal(503, Retry_After="1"), PlatformUnavailableError, "503: m-503", in_doubt=True
    ),
    "504 empty": Fault(refusal(504, b""), PlatformUnavailableError, "504", in_doubt=True),
    "599": Fault(refusal(599), PlatformUnavailableError, "599: m-599", in_doubt=True),
    "200 HTML": Fault(
        html(200),
        PermissionDeniedError,
        "200: the platform answered with a web page: Scheduled maintenance "
        "(the account is not permitted to do this, or is not logged in)",
        in_doubt=True,
    ),
    "200 HTML called JSON": Fault(
        answer(HTML), PermissionDeniedError, "the platform answered with a web page", in_doubt=True
    ),
    "200 success false": Fault(
        answer({"success": False, "error": "Not for you", "errorCode": 1008}),
        ApiError,
        "200: Not for you [code 1008]",
        in_doubt=True,
    ),
    "200 success false, only a code": Fault(
        answer({"success": False, "errorCode": 1008}),
        ApiError,
        '200: {"success": false, "errorCode": 1008}',
        in_doubt=True,
    ),
    "200 success false, a message": Fault(
        answer({"success": False, "message": "Not for you", "data": None}),
        ApiError,
        "200: Not for you",
        in_doubt=True,
    ),
    "200 truncated": Fault(
        answer(b'{"data": {"it'),
        UnexpectedResponseError,
        "not JSON (application/json)",
        in_doubt=True,
    ),
    "200 two values": Fault(answer(b"{}{}"), UnexpectedResponseError, "not JSON", in_doubt=True),
    "200 text": Fault(
        Response(200, {**DATE, "Content-Type": "text/plain"}, b"OK"),
        UnexpectedResponseError,
        "not JSON (text/plain): 'OK'",
        in_doubt=True,
    ),
    "200 no content type": Fault(
        Response(200, DATE, b"OK"), UnexpectedResponseError, "(no content type)", in_doubt=True
    ),
    "200 NaN": Fault(
        answer(b'{"data": NaN}'), UnexpectedResponseError, "NaN is not a JSON number", in_doubt=True
    ),
    "200 Infinity": Fault(
        answer(b'{"data": -Infinity}'),
        UnexpectedResponseError,
        "-Infinity is not a JSON",
        in_doubt=True,
    ),
    "200 very deep": Fault(
        answer(nested(10**6)), UnexpectedResponseError, "JSON nested too deeply", in_doubt=True
    ),
    "200 wrong charset": Fault(
        answer(b'{"a": "caf\xe9"}'), UnexpectedResponseError, "not JSON", in_doubt=True
    ),
    "200 a number of 5,000 digits": Fault(
        answer(b'{"data": ' + b"9" * 5000 + b"}"),
        UnexpectedResponseError,
        "not JSON",
        in_doubt=True,
    ),
    "203 HTML": Fault(html(203), PermissionDeniedError, "203: the platform", in_doubt=True),
    "cut": Fault(
        requests.ConnectionError("Connection aborted."),
        PlatformUnavailableError,
        ": the connection was lost: Connection aborted. (is https://acme.example.com reachable",
        in_doubt=True,
    ),
    "read time-out": Fault(
        requests.ReadTimeout("timed out"),
        PlatformUnavailableError,
        ": no complete answer within 60 s (",
        in_doubt=True,
    ),
    "TLS failure": Fault(
        requests.exceptions.SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac"),
        PlatformUnavailableError,
        "the connection was lost: bad record mac",
        in_doubt=True,
    ),
    "a certificate that is not trusted": Fault(
        untrusted(),
        ConnectionSettingsError,
        "no connection is possible: certificate verify failed: self-signed certificate; for "
        "your own certificate authority set REQUESTS_CA_BUNDLE",
    ),
    "a CA bundle that is not there": Fault(
        OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /no.pem"),
        ConnectionSettingsError,
        "no connection is possible: the CA bundle '/no.pem' does not exist; see REQUESTS_CA",
    ),
    "a proxy that refuses": Fault(
        tunnel("407 Proxy Authentication Required"),
        ConnectionSettingsError,
        "the proxy refuses: 407 Proxy Authentication Required; see HTTPS_PROXY",
    ),
    "a proxy that does not reach the platform": Fault(
        tunnel("502 Bad Gateway"),
        PlatformUnavailableError,
        "no connection could be made: the proxy answered: 502 Bad Gateway",
    ),
    "a proxy whose address is wrong": Fault(
        requests.exceptions.InvalidProxyURL("Please check proxy URL."),
        ConnectionSettingsError,
        "an address cannot be used: Please check proxy URL.; see HTTPS_PROXY",
    ),
    "cut in the body": Fault(
        requests.exceptions.ChunkedEncodingError("IncompleteRead"),
        PlatformUnavailableError,
        "the connection was lost: IncompleteRead",
        in_doubt=True,
    ),
    "own transport: OSError": Fault(
        OSError("the tunnel fell"), PlatformUnavailableError, "the tunnel fell", in_doubt=True
    ),
    "own transport: TimeoutError": Fault(
        TimeoutError("too slow"), PlatformUnavailableError, "no complete answer", in_doubt=True
    ),
    "own transport: reset": Fault(
        ConnectionResetError("reset"),
        PlatformUnavailableError,
        "connection was lost",
        in_doubt=True,
    ),
    # never connected: nothing was done
    "own transport: RequestNotSentError": Fault(
        RequestNotSentError("no route"),
        PlatformUnavailableError,
        "no connection could be made: no route",
    ),
    "own transport: refused": Fault(
        ConnectionRefusedError("nobody there"),
        PlatformUnavailableError,
        "no connection could be made",
    ),
    "own transport: no such name": Fault(
        socket.gaierror(-2, "Name or service not known"),
        PlatformUnavailableError,
        "no connection could be made",
    ),
}


def error_of(request: Request, plays: Scripted) -> ApiError:
    """The error of one exchange."""
    client, script = scripted(plays, retry=RetryPolicy(attempts=1))
    with pytest.raises(ApiError) as caught:
        client.session.send(request, repeat=False)
    assert len(script.sent) == 1
    return caught.value


def test_the_table_is_long_enough() -> None:
    """At least forty faults of the wire stand in the table."""
    assert len(FAULTS) >= 40


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_faults(fault: Fault, request_: Request) -> None:
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


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_writes_are_sent_again_only_where_nothing_was_done(fault: Fault) -> None:
    """A write that may have been carried out, or was refused, is never sent a second time."""
    client, script = scripted(fault.plays, answer({}))
    again = fault.family in (RateLimitError, PlatformUnavailableError) and not fault.in_doubt
    if again and "beyond" not in str(fault.plays) and _asked(fault) <= 3600:
        client.session.send(WRITE)
        assert len(script.sent) == 2
        return
    with pytest.raises(fault.family):
        client.session.send(WRITE)
    assert len(script.sent) == 1


def _asked(fault: Fault) -> float:
    error = error_of(READ, fault.plays)
    return error.retry_after or 0.0


REAL: dict[str, tuple[list[bytes], type[ApiError], str]] = {
    "cut before the answer": ([], PlatformUnavailableError, "the connection was lost"),
    "cut after the headers": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
        PlatformUnavailableError,
        "the connection was lost",
    ),
    "cut in the body": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"],
        PlatformUnavailableError,
        "the connection was lost",
    ),
    "garbage for chunks": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"],
        PlatformUnavailableError,
        "the connection was lost",
    ),
    "garbage for HTTP": (
        [b"220 smtp ready\r\n"],
        PlatformUnavailableError,
        "the connection was lost",
    ),
    "garbage for gzip": (
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"],
        PlatformUnavailableError,
        "the connection was lost",
    ),
    "half a gzip": (
        [
            b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            gzip.compress(json.dumps(list(range(99))).encode())[:60],
        ],
        UnexpectedResponseError,
        "not JSON",
    ),
}


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize(("parts", "family", "fragment"), REAL.values(), ids=REAL.keys())
def test_faults_of_real_sockets(
    parts: list[bytes], family: type[ApiError], fragment: str, request_: Request
) -> None:
    """What a real server can do to an answer leaves a write in doubt."""
    with bare_server(says(*parts)) as url, Client(url, StaticToken("t"), timeout=1) as client:
        with pytest.raises(ApiError) as caught:
            client.session.send(request_, repeat=False)
        assert type(caught.value) is family
        assert fragment in str(caught.value)
        assert caught.value.in_doubt


def test_refused_over_a_real_socket() -> None:
    """Where nobody listens, the error says where it looked, and no write is in doubt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with Client(url, StaticToken("t")) as client, pytest.raises(PlatformUnavailableError) as caught:
        client.session.send(WRITE, repeat=False)
    assert not caught.value.in_doubt
    assert f"is {url} reachable from here?" in str(caught.value)


def test_a_body_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that was cut at the limit is not read as if it were whole."""
    monkeypatch.setattr(module, "MAX_BODY", 2**20)
    error = error_of(WRITE, answer(b"1" * (2**20 + 1)))
    assert (type(error), error.in_doubt) == (UnexpectedResponseError, True)
    assert str(error) == "PUT /learn/v1/enrollments: 200: more than 1 MiB"


GOOD: dict[str, tuple[Response, Any]] = {
    "JSON": (answer({"data": [1]}), {"data": [1]}),
    "201": (answer({"data": 1}, 201), {"data": 1}),
    "202": (answer({"data": 1}, 202), {"data": 1}),
    "empty": (answer(b""), None),
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
def test_good_answers(given_: Response, data: Any) -> None:
    """A 2xx with JSON, or with nothing, is taken as it is."""
    assert parse_response(WRITE, given_).data == data


RETRY_AFTER: dict[str, tuple[Mapping[str, str], float | None]] = {
    "none": ({}, None),
    "seconds": ({"Retry-After": "120"}, 120.0),
    "zero": ({"Retry-After": "0"}, 0.0),
    "spaces": ({"Retry-After": " 5 "}, 5.0),
    "any case": ({"RETRY-AFTER": "5"}, 5.0),
    "fractions": ({"Retry-After": "1.5"}, 1.5),
    "days": ({"Retry-After": "864000"}, 864000.0),
    "date": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 12:01:30 GMT"}, 90.0),
    "date with zone": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 13:01:30 +0100"}, 90.0),
    "date past": ({**DATE, "Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
    "date past, no Date": ({"Retry-After": "Sun, 01 Mar 2020 11:00:00 GMT"}, 0.0),
    "negative": ({"Retry-After": "-1"}, None),
    "word": ({"Retry-After": "soon"}, None),
    "empty": ({"Retry-After": ""}, None),
    "not a number": ({"Retry-After": "nan"}, None),
    "Arabic digits": ({"Retry-After": "\u0663"}, None),
    "beyond the calendar": ({**DATE, "Retry-After": "Fri, 31 Dec 9999 23:59:59 -0100"}, None),
    "no such date": ({**DATE, "Retry-After": "Sun, 99 Mar 2026 12:01:30 GMT"}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER.keys())
def test_retry_after(headers: Mapping[str, str], seconds: float | None) -> None:
    """Seconds or a date, measured by the platform's own clock; anything else says nothing."""
    with pytest.raises(RateLimitError) as caught:
        parse_response(READ, Response(429, headers, b""))
    assert caught.value.retry_after == seconds


def test_a_date_without_the_platforms_clock() -> None:
    """Without a `Date` a date to wait for is measured by ours, rather than not at all."""
    with pytest.raises(RateLimitError) as caught:
        parse_response(READ, Response(429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b""))
    assert (caught.value.retry_after or 0) > timedelta(days=365).total_seconds()


@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "Date", "Location", "Content-Type"]), st.text(max_size=40)
    ),
    body=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: json.dumps(text).encode()),
)
def test_anything_may_come(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever comes is a value or an `ApiError`, never another exception."""
    found: object = None
    try:
        found = parse_response(READ, Response(status, headers, body))
    except ApiError as error:
        found = error
    assert isinstance(found, ApiError) is not (
        200 <= status < 300 and not isinstance(found, UnexpectedResponseError)
    )


@given(date=st.text(max_size=40) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+]?\w*"))
def test_any_date_may_come(date: str) -> None:
    """A `Date` that cannot be read is none, whatever it is."""
    reply = parse_response(READ, Response(200, {"Date": date}, b"{}"))
    assert reply.date is None or reply.date.utcoffset() == timedelta(0)


SECRET = "s3cret&\"<'é +/%"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"message": f"got {SECRET}"}).encode(),
        json.dumps({"message": f"got {SECRET}"}, ensure_ascii=False).encode(),
        f"got {SECRET}".encode(),
        b"got s3cret%26%22%3C%27%C3%A9+%2B%2F%25",
        "<p>got s3cret&amp;&quot;&lt;&#x27;é +/%</p>".encode(),
    ],
    ids=["JSON", "JSON in UTF-8", "text", "form", "HTML"],
)
@pytest.mark.parametrize("status", [400, 500, 302, 200])
def test_no_error_quotes_a_secret(body: bytes, status: int) -> None:
    """What we sent in confidence is taken out of whatever the platform quotes."""
    given_ = Response(status, {}, body + (b"]" if status == 200 else b""))
    with pytest.raises(ApiError) as caught:
        parse_response(READ, given_, Mask([None, Secret(SECRET)]))
    assert "s3cret" not in str(caught.value)


def test_a_token_that_is_quoted() -> None:
    """A page that quotes our headers does not show the token."""
    error = error_of(READ, html(500, b"<h1>Debug</h1> Authorization: Bearer a-static-token"))
    assert "a-static-token" not in str(error)
    assert "[secret]" in str(error)


def test_a_long_secret_is_not_cut_and_shown() -> None:
    """Words are shortened only after the secrets are out."""
    secret = "x" * 900
    answered = Response(400, {}, f"bad assertion {secret}".encode())
    with pytest.raises(ApiError) as caught:
        parse_response(READ, answered, Mask([Secret(secret)]))
    assert str(caught.value) == "GET /course/v1/courses: 400: bad assertion [secret]"


def test_no_date() -> None:
    """Where no answer has told the time, nothing is guessed."""
    client, _ = scripted(Response(200, {}, b"{}"))
    client.request("GET", "/x")
    with pytest.raises(
        UnexpectedResponseError,
        match="no Date header: without it the time of an archive cannot be verified",
    ):
        client.session.platform_time()


def test_the_address_stays_out_of_paths() -> None:
    """An error's path holds neither host nor query; the host is named where none answers."""
    client, _ = scripted(RequestNotSentError("x"), retry=RetryPolicy(attempts=1))
    with pytest.raises(PlatformUnavailableError) as caught:
        client.request("GET", "/x", params={"q": "1"})
    assert caught.value.path == "/x"
    assert URL in str(caught.value)


def test_real_time_is_not_needed() -> None:
    """The default transport takes a client's fake time as well as any."""
    time = FakeTime()
    with bare_server(says(b"")) as url:
        client = on_time(Client(url, StaticToken("t"), transport=RequestsTransport()), time)
        with client, pytest.raises(PlatformUnavailableError):
            client.request("GET", "/x")
    assert len(time.slept) == 5
