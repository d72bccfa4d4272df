"""What the tests of leaks share: secrets that can be found again, and ways for a call to fail."""

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from virtual_time import VirtualTime
from wire_tools import http, listening, read_request

from lms_archive import (
    Client,
    ClientCredentials,
    JwtBearer,
    PasswordGrant,
    RetryPolicy,
    StaticToken,
)

#: Each holds what is written otherwise in JSON, HTML and forms, and a middle that never is.
SECRETS = {
    "client secret": 'a"b/canary1ClientSecret+<x>',
    "password": "p w&é/canary2PassWord'</title>",
    "token": "canary3AccessToken/+=.~",
    "refresh token": "x/canary4RefreshToken+=",
    "assertion": "eyJ/canary5Assertion.sig-_",
    "fixed token": "canary6StaticToken/x",
}
_MIDDLES = {name: re.findall("canary[0-9][A-Za-z]+", text)[0] for name, text in SECRETS.items()}


def found_in(text: str | bytes) -> list[str]:
    """The secrets that a text quotes, in whatever form."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    wide = shown.replace("\0", "")  # UTF-16, as SQLite may write it
    return [name for name, middle in _MIDDLES.items() if middle.lower() in wide.lower()]


def _assertion() -> str:
    return SECRETS["assertion"]


AUTHS: dict[str, Any] = {
    "password": PasswordGrant("app", SECRETS["client secret"], "ada", SECRETS["password"]),
    "client credentials": ClientCredentials("app", SECRETS["client secret"]),
    "assertion": JwtBearer("app", SECRETS["client secret"], SECRETS["assertion"]),
    "made assertion": JwtBearer("app", SECRETS["client secret"], _assertion),
    "fixed token": StaticToken(SECRETS["fixed token"]),
}

Play = Callable[[bytes], bytes | None]
"""From a request to what is sent back; None: silence."""


def as_json(status: str, make: Callable[[bytes], Any], *headers: str) -> Play:
    """An answer in JSON, made of the request."""
    json_type = "Content-Type: application/json"
    return lambda sent: http(json.dumps(make(sent)).encode(), json_type, *headers, status=status)


def said(sent: bytes) -> str:
    """The request as text."""
    return sent.decode("latin-1")


def first_of(sent: bytes, word: bytes) -> bytes:
    """The value of a header, or the form."""
    found = re.search(rb"\r\n" + word + rb": ([^\r]*)", sent, re.IGNORECASE)
    return found[1] if found else sent.rpartition(b"\r\n\r\n")[2]


def bare(sent: bytes) -> bytes:
    """The token or the form, and nothing of HTTP."""
    return first_of(sent, b"authorization") + b"\r\n\r\n"


TOKEN = {"access_token": SECRETS["token"], "refresh_token": SECRETS["refresh token"]}
LOGIN = as_json("200 OK", lambda _: {**TOKEN, "expires_in": 3600})
ECHOES: dict[str, Play] = {
    "echoed message": as_json("400 Bad Request", lambda sent: {"message": said(sent)}),
    "echoed oauth error": as_json(
        "401 Unauthorized", lambda sent: {"error": "no", "error_description": said(sent)}
    ),
    "echoed html": lambda sent: http(
        b"<html><title>" + sent + b"</title>", "Content-Type: text/html", status="404 Not Found"
    ),
    "echoed by a proxy": lambda sent: http(sent, status="502 Bad Gateway"),
    "echoed content type": lambda sent: http(
        b"{", "Content-Type: " + said(first_of(sent, b"authorization"))
    ),
    "echoed, no http": bare,
    "no gzip": lambda sent: http(sent, "Content-Encoding: gzip"),
    "cut": lambda _: b"",
    "silence": lambda _: None,
}
LOGINS: dict[str, Play] = {
    "token in an error": as_json("500 Internal Server Error", lambda _: TOKEN),
    "token in the text": lambda _: http(json.dumps(json.dumps(TOKEN)).encode()[:-1]),
    "no token": as_json("200 OK", lambda _: {**TOKEN, "access_token": SECRETS["token"] + " x"}),
}


@contextmanager
def parrot(login: Play, call: Play) -> Iterator[str]:
    """A platform on loopback that answers logins and calls like this; gives its URL."""

    def talk(connection: socket.socket) -> None:
        sent = read_request(connection)
        answer = (login if b"/oauth2/token" in sent[:40] else call)(sent)
        if answer is None:
            connection.recv(1)
        else:
            connection.sendall(answer)

    with listening(talk) as place:
        yield f"http://{place}"


STAGES: dict[str, tuple[Play, Play]] = {
    **{f"login: {name}": (play, play) for name, play in {**ECHOES, **LOGINS}.items()},
    **{f"call: {name}": (LOGIN, play) for name, play in ECHOES.items()},
}


def fail(stage: str, auth: str, **options: Any) -> None:
    """A call that fails at this stage. No variable in here holds a secret."""
    with parrot(*STAGES[stage]) as url, make_client(url, auth, **options) as client:
        list(client.courses.list())


def make_client(url: str, auth: str, **options: Any) -> Client:
    """A client that logs in like this, and waits for nothing."""
    more = {
        "timeout": (1, 0.1),
        "retry": RetryPolicy(attempts=2),
        "calls_per_hour": None,
        **options,
    }
    return VirtualTime().wire(Client(url, AUTHS[auth], **more))


def failures(**options: Any) -> Iterator[tuple[str, BaseException]]:
    """Every stage with every login that comes so far, and its error."""
    for stage in STAGES:
        for auth in AUTHS:
            error = _error_of(stage, auth, **options)
            if error is not None:
                yield f"{stage} ({auth})", error


def _error_of(stage: str, auth: str, **options: Any) -> BaseException | None:
    try:
        fail(stage, auth, **options)
    except Exception as error:  # noqa: BLE001  whatever it is
        return error
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error with all its causes and contexts."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        link = left.pop()
        if link is not None and link not in seen:
            seen.append(link)
            yield link
            left += [link.__cause__, link.__context__]


def texts_of(value: object) -> Mapping[str, str]:
    """What an object shows of itself."""
    shown = {"repr": repr(value), "str": str(value), "format": f"{value}"}
    html = getattr(value, "_repr_html_", None)
    if callable(html):
        shown["html"] = str(html())
    return shown
