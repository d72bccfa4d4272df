"""Calls put together: addresses that may be used, headers, counts, the platform's clock."""

import platform
import threading
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from wire_tools import GOOD, URL, answer, items, run_all, scripted

from lms_archive import (
    ApiError,
    Client,
    ClientCredentials,
    InvalidInputError,
    StaticToken,
    __version__,
)
from lms_archive.errors import NotFoundError, UnexpectedResponseError
from lms_archive.wire import RequestNotSentError, Response

TOKEN = StaticToken("t")

USABLE = {
    "https://acme.example.com": "https://acme.example.com",
    "https://acme.example.com/": "https://acme.example.com",
    "  https://acme.example.com \n": "https://acme.example.com",
    "HTTPS://Acme.example.com": "https://acme.example.com",
    "https://acme.example.com:443/LMS/": "https://acme.example.com/LMS",
    "https://acme.example.com:8443/lms/": "https://acme.example.com:8443/lms",
    "https://acme.example.com?": "https://acme.example.com",
    "http://localhost": "http://localhost",
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "http://127.8.9.10": "http://127.8.9.10",
    "http://[::1]:5000": "http://[::1]:5000",
}

UNUSABLE = {
    "": "must look like",
    "acme.example.com": "must look like 'https://acme.example.com', not 'acme.example.com'",
    "ftp://acme.example.com": "must look like",
    "file:///etc/passwd": "must look like",
    "https://": "must look like",
    "https:acme.example.com": "must look like",
    "https://acme.example.com:99999": "must look like",
    "https://[::1": "must look like",
    "http://acme.example.com": "plain http would expose the token on the network: use https://acme",
    "http://localhost.example.com": "plain http would expose the token",
    "http://127.0.0.1.example.com": "plain http would expose the token",
    "http://128.0.0.1": "plain http would expose the token",
    "http://10.0.0.1": "plain http would expose the token",
    "http://0177.0.0.1": "plain http would expose the token",
    "http://2130706433": "plain http would expose the token",
    "http://[::ffff:10.0.0.1]": "plain http would expose the token",
    "http://[::1%25eth0]": "",
    "https://acme.example.com\t.evil.example.com": "must look like",
    "https://acme.example.com\x00.evil.example.com": "must look like",
    "//acme.example.com": "must look like",
    "http://[::2]": "plain http would expose the token",
    "http://0x7f000001": "plain http would expose the token",
    "http://localhost\\.example.com": "must look like",
    "https://ada:hush@acme.example.com": "must not contain a user, a query or a fragment; give 'https://acme.exa",
    "https://ada@acme.example.com:8443/x": "give 'https://acme.example.com:8443/x'",
    "https://@acme.example.com": "must not contain a user, a query or a fragment",
    "http://localhost@example.com": "must not contain a user, a query or a fragment",
    "https://acme.example.com?token=hush": "must not contain a user, a query or a fragment",
    "https://acme.example.com/#hush": "must not contain a user, a query or a fragment",
    "ada:hush@acme.example.com": "must look like 'https://acme.example.com', not this value",
    "acme.example.com?token=hush": "not this value",
}


@pytest.mark.parametrize(("given", "used"), USABLE.items())
def test_usable_addresses(given: str, used: str) -> None:
    """An https address anywhere, http on loopback only; a slash at the end does not matter."""
    assert Client(given, TOKEN).base_url == used


@pytest.mark.parametrize(("given", "why"), UNUSABLE.items())
def test_unusable_addresses(given: str, why: str) -> None:
    """Any other address is refused before anything is sent, and no secret in it is quoted."""
    with pytest.raises(InvalidInputError) as caught:
        Client(given, TOKEN)
    assert why in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_transport_gets_the_whole_exchange() -> None:
    """Method, URL without query, pairs, bytes, and headers that name library, Python and tool."""
    client, script = scripted(GOOD)
    client.request("GET", "/x")
    client.with_options(app_info="tidy-lms/2.1 (nightly)").request(
        "put", "/x", params={"a[]": [1, "b"], "c": True, "d": None}, json={"e": "\u00e9"}
    )
    own = f"lms-archive/{__version__} python/{platform.python_version()}"
    assert [sent.headers["User-Agent"] for sent in script.sent] == [
        own,
        f"{own} tidy-lms/2.1 (nightly)",
    ]
    read, write = script.sent
    assert read.headers["Accept"] == "application/json"
    assert "Content-Type" not in read.headers
    assert read.body is None
    assert read.params == ()
    assert (write.method, write.url) == ("PUT", f"{URL}/x")
    assert write.params == (("a[]", "1"), ("a[]", "b"), ("c", "1"))
    assert write.headers["Content-Type"] == "application/json"
    assert write.headers["Authorization"] == "Bearer a-static-token"
    assert write.body == b'{"e": "\\u00e9"}'


@pytest.mark.parametrize(
    ("given", "used"), [((3, 7), (3.0, 7.0)), (5, (5.0, 5.0)), (0.5, (0.5, 0.5))]
)
def test_timeouts_go_with_each_call(given: Any, used: tuple[float, float]) -> None:
    """Seconds to connect and to read, or one number for both, go with each call."""
    client, script = scripted(GOOD, timeout=given)
    client.request("GET", "/x")
    assert script.sent[0].timeout == used
    assert scripted(GOOD)[0].session.settings.timeout == (10.0, 60.0)


def test_calls_are_counted_by_operation() -> None:
    """Every exchange counts, also one that was never sent; each client counts its own."""
    script = items({"id_course": 1}), RequestNotSentError("x"), items(), GOOD
    client, _ = scripted(*script, auth=ClientCredentials("app", "s"))
    list(client.courses.list())
    list(client.users.list())
    client.request("GET", "/x")
    assert client.session.calls == {"token": 1, "list_courses": 1, "list_users": 2, "request": 1}
    copy = client.with_options(timeout=1)
    copy.request("GET", "/x")
    assert copy.session.calls == {"request": 1}
    assert client.session.calls["request"] == 1


def test_counting_counts_a_block() -> None:
    """`counting()` counts what is called in its block; blocks may be nested."""
    client, _ = scripted(items())
    client.request("GET", "/x")
    with client.session.counting() as outer:
        list(client.users.list())
        with client.session.counting() as inner:
            list(client.courses.list())
        list(client.users.list())
    client.request("GET", "/x")
    assert inner == {"list_courses": 1}
    assert outer == {"list_users": 2, "list_courses": 1}
    assert client.session.calls == {"request": 2, "list_users": 2, "list_courses": 1}


def test_counting_ends_with_an_error() -> None:
    """A block that an error leaves counts no further; the calls up to there are counted."""
    client, _ = scripted(answer({}, 404))
    with pytest.raises(NotFoundError), client.session.counting() as calls:
        client.request("GET", "/x")
    with pytest.raises(NotFoundError):
        client.request("GET", "/x")
    assert calls == {"request": 1}


def test_a_block_counts_the_calls_of_its_own_thread() -> None:
    """A block counts the calls of its own thread; the session counts those of all."""
    client, _ = scripted(GOOD)
    counted: list[int] = []
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        with client.session.counting() as calls:
            barrier.wait(5)
            for _ in range(number * 50):
                client.request("GET", "/x")
        counted.append(calls["request"])

    run_all([partial(work, number) for number in range(4)])
    assert sorted(counted) == [0, 50, 100, 150]
    assert client.session.calls == {"request": 300}


def test_the_platforms_time_is_the_date_of_its_last_good_answer() -> None:
    """The clock that proofs rest on is the `Date` of the last good answer, in UTC."""
    later = answer({}, Date="Sun, 01 Mar 2026 14:30:00 +0200")
    client, _ = scripted(GOOD, later, answer({}, 404), Response(200, {}, b"{}"))
    at = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    client.request("GET", "/x")
    assert client.session.platform_time() == at
    client.request("GET", "/x")
    assert client.session.platform_time() == at + timedelta(minutes=30)
    with pytest.raises(ApiError):
        client.request("GET", "/x")
    client.request("GET", "/x")
    assert client.session.platform_time() == at + timedelta(minutes=30)


@pytest.mark.parametrize("date", ["yesterday", "", "2026-03-01T12:00:00Z"])
def test_without_a_date_the_platforms_time_is_not_known(date: str) -> None:
    """Ours is not taken for it."""
    client, _ = scripted(answer({}, Date=date))
    for _ in range(2):  # before any answer, and after one
        with pytest.raises(UnexpectedResponseError, match="no Date header: without it"):
            client.session.platform_time()
        client.request("GET", "/x")
