"""A platform that answers anything: bounded bodies, a clear error, no write after it."""

import gzip
import json
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Stage
from wire_tools import http, items, read_request, scripted

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    Client,
    InvalidInputError,
    LmsArchiveError,
    RetryPolicy,
    RunStoppedError,
    StaticToken,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    JobTimeoutError,
    LedgerError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from lms_archive.wire import Response, responses, transport
from lms_archive.wire import pages as module
from lms_archive.wire.download import download

LIMIT = 2**20
Parts = Callable[[], Iterator[bytes]]


def without_end(head: bytes) -> Parts:
    """An answer that goes on until the connection is closed."""
    return lambda: chain([head], repeat(b"x" * 100_000, 1000))


def whole(body: bytes, *headers: str) -> Parts:
    """An answer that is sent at once."""
    return lambda: iter([http(body, *headers)])


def listed(inside: bytes) -> bytes:
    """A page of a list with this inside."""
    return b'{"data": {"items": [' + inside + b'], "total_count": 1}}'


ASK: dict[str, Callable[[Client], object]] = {
    "list": lambda client: list(client.courses.list()),
    "write": lambda client: client.request("PUT", "/x", json={"a": 1}),
    "certificate": lambda client: download(client.session, "/c.pdf", "certificate"),
    "plan": lambda client: (
        ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False).users([1, 2]).plan(client)
    ),
}
OK = b"HTTP/1.1 200 OK\r\n"
LARGE = OK + b"Content-Length: 100000000\r\n\r\n"
HOSTILE: dict[str, tuple[str, Parts, str]] = {
    "large": ("list", without_end(LARGE), "200: more than 1 MiB"),
    "large, without length": ("list", without_end(b"HTTP/1.0 200 OK\r\n\r\n"), "more than 1 MiB"),
    "large, packed": (
        "list",
        whole(gzip.compress(bytes(10**7)), "Content-Encoding: gzip"),
        "more than 1 MiB",
    ),
    "large, an error": (
        "write",
        without_end(LARGE.replace(b"200 OK", b"400 Bad")),
        "400: xxx",
    ),
    "large, a certificate": ("certificate", without_end(LARGE + b"%PDF-"), "more than 1 MiB"),
    "very deep": ("list", whole(b"[" * 999_999), "nested too deeply|not JSON"),
    "NaN": ("list", whole(listed(b'{"id_course": NaN}')), "NaN is not a JSON number"),
    "Infinity": ("list", whole(listed(b'{"id_course": -Infinity}')), "Infinity is not a JSON"),
    "1e999": ("list", whole(listed(b'{"id_course": 1e999}')), "1e999 is too large a number"),
    "an id of 5,000 digits as text": (
        "list",
        whole(listed(b'{"id_course": "' + b"7" * 5000 + b'"}')),
        "expected a whole number",
    ),
    "an id beyond 64 bits": (
        "list",
        whole(listed(b'{"id_course": 9223372036854775808}')),
        "expected a whole number",
    ),
    "a plan of web pages": ("plan", whole(b"<html>", "Content-Type: text/html"), "a web page"),
    "a plan of NaN": ("plan", whole(listed(b"NaN")), "NaN"),
    "no JSON at all": ("list", whole(bytes(range(256)) * 1000), "not JSON"),
    "a line without end": ("list", without_end(OK + b"X: "), "the connection was lost"),
    "a status without end": ("list", without_end(b"HTTP/1.1 200 "), "the connection was lost"),
}


@contextmanager
def hostile(parts: Parts) -> Iterator[tuple[str, list[str]]]:
    """A platform that answers everything like this; its URL, and the calls that it got."""
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        calls.append(read_request(connection).split(b" ")[0].decode())
                        for part in parts():
                            connection.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", calls
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("kind", "parts", "text"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(kind: str, parts: Parts, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call, and one clear error."""
    monkeypatch.setattr(transport, "MAX_BODY", LIMIT)
    monkeypatch.setattr(responses, "MAX_BODY", LIMIT)
    quick: dict[str, Any] = {"timeout": (2, 2), "retry": RetryPolicy(attempts=1, settle=0)}
    with hostile(parts) as (url, calls), Client(url, StaticToken("t" * 40), **quick) as client:
        with pytest.raises(LmsArchiveError) as caught:
            ASK[kind](client)
        assert re.search(text, str(caught.value)), caught.value
        assert len(str(caught.value)) < 1500
        assert calls == ["PUT" if kind == "write" else "GET"] or kind == "plan"
        assert "PUT" not in calls or kind == "write"


UNITS = ["x", "<", "<title>", "token", "token=", "token ", '"', "\\", "&", " ", "a_token:"]


@pytest.mark.parametrize("unit", UNITS)
def test_no_message_takes_long(unit: str) -> None:
    """Whatever an error's body repeats, its message is ready at once."""
    body = (unit * 70_000)[:70_000].encode()
    client, _ = scripted(Response(400, {"Content-Type": "text/html"}, body))
    started = time.process_time()
    with pytest.raises(LmsArchiveError):
        client.request("GET", "/x")
    assert time.process_time() - started < 2


# Lists


def test_pages_without_end() -> None:
    """A list that goes on after all that it counts is told at once."""
    numbers = count(1)

    def page(_: object) -> Response:
        found = [{"id_course": next(numbers), "name": "C"} for _ in range(200)]
        return items(*found, has_more_data=True, total_count=400, total_page_count=9999)

    client, script = scripted(page)
    with pytest.raises(UnexpectedResponseError, match="800 items so far, but total_count is 400"):
        list(client.courses.list())
    assert len(script.sent) == 4


def test_a_list_that_grows_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that counts more with every page has an end all the same, for us."""
    monkeypatch.setattr(module, "MAX_PAGES", 50)
    numbers = count(1)

    def page(_: object) -> Response:
        number = next(numbers)
        paging = {"has_more_data": True, "total_count": 10**12, "total_page_count": 10**9}
        return items({"id_course": number, "name": "C"}, **paging)

    client, script = scripted(page)
    with pytest.raises(UnexpectedResponseError, match="the list does not end"):
        list(client.courses.list())
    assert len(script.sent) == 50


# Nothing is sent after a hostile answer


BODIES = {
    "html": b"<html>",
    "nan": b'{"data": NaN}',
    "deep": b"[" * 1000 + b"]" * 1000,
    "text": b"please wait",
    "huge id": b'{"data": {"items": [{"user_id": "' + b"9" * 5000 + b'"}]}}',
    "other shape": b'{"data": {"items": 7, "jobs": 7}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_write_after_it(stage: Stage, body: bytes) -> None:
    """Whichever read of a job is answered so, and whenever: no write to its target follows.

    Every exchange after the plan that is no write takes its turn, and resume ends the job. What
    is not about one course stops it; so does a canary or a first chunk that cannot be read back.
    """
    stage.load(3, 3)
    plan, turns = stage.plan(), count(2)  # the first reads ask where the swagger is
    line = _Poisoned(stage, body)
    client = stage.connect(transport=line)
    for turn in turns:
        line.at, line.seen = turn * 3, 0
        writes = len(stage.writes)
        try:
            if stage.ledger.exists():
                result = resume(stage.ledger, client)
            else:
                result = plan.apply(client, ledger=stage.ledger)
        except LmsArchiveError as error:
            family = UnexpectedResponseError | PermissionDeniedError | RunStoppedError
            assert isinstance(error, family)  # noqa: PT017  the other way out is the end
            assert len(stage.writes) == line.writes
            assert len(stage.writes) >= writes
        else:
            if not result.counts["unknown"]:
                break
            assert line.course is not None
            assert line.course not in {course for course, _ in stage.writes[line.writes :]}
    stage.check(result, archived=6)
    assert turn > 2


class _Poisoned:
    """A line on which one read is answered like this.

    It tells how many writes were before it, and which course it was about.
    """

    def __init__(self, stage: Stage, body: bytes) -> None:
        self._stage, self._body = stage, body
        self.at = self.seen = self.writes = 0
        self.course: int | None = None

    def __call__(self, *call: Any) -> Response:
        found = self._stage.line(*call)
        if call[0] != "GET" or call[1].endswith(("/swagger", "/microservices")):
            return found
        self.seen += 1
        if self.seen - 1 != self.at:
            return found
        self.writes = len(self._stage.writes)
        course = re.search(r"/courses/(\d+)/", call[1])
        self.course = None if course is None else int(course[1])
        return Response(200, found.headers, self._body)


# What is shown


EVIL = {
    "nul": "a\0b",
    "half a character": "a\ud800b",
    "terminal": "a\x1b[2J\x1b]0;x\x07b",
    "bidi": "a\u202eb\u2066c",
    "c1": "a\x9b2Jb",
    "line": "a\nFAKE: 0 skipped\rb\u2028c",
    "hidden": "a\u200bb\u00adc\ufeff",
}


def shown(text: str) -> bool:
    """Whether a terminal shows each character, and does nothing else with any."""
    return all(c.isprintable() for line in text.split("\n") for c in line)


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
def test_strings_are_shown_escaped(stage: Stage, evil: str, tmp_path: Path) -> None:
    """The printed plan, the report of a contract, results and errors show what is in a name."""
    stage.load(2)
    client = stage.connect(transport=_Renaming(stage, evil))
    rows = [{"course_id": 1, "username": name} for name in ("u1001", evil, f"x{evil}")]
    rows.append({"course_id": 1, "user_id": 1002})
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    plan = job.plan(client)
    assert shown(str(plan))
    assert "FAKE: 0 skipped" not in str(plan).split("\n")
    plan.save(tmp_path / "plan.json")
    assert ArchivePlan.load(tmp_path / "plan.json").digest == plan.digest
    plan.to_csv(tmp_path / "plan.csv")
    result = plan.apply(client, ledger=stage.ledger)
    result.to_csv(tmp_path / "outcome.csv")
    assert shown(str(result))
    assert shown(str(client.verify_contract(["list_users", "get_job"])))
    for make in (
        lambda: InvalidInputError(f"no {evil}", source=evil, column=evil),
        lambda: UnexpectedResponseError("GET", f"/{evil}", faults=[evil]),
        lambda: CanaryFailedError(evil, seen=[evil]),
        lambda: LedgerError(evil),
        lambda: JobTimeoutError(evil, evil),
    ):
        assert shown(str(make()))
        told = "".join(traceback.format_exception_only(make()))
        assert shown(told)


class _Renaming:
    """A line on which titles, names of operations and summaries are like this."""

    def __init__(self, stage: Stage, evil: str) -> None:
        self._stage, self._evil = stage, json.dumps(evil)[1:-1].encode()

    def __call__(self, *call: Any) -> Response:
        found = self._stage.line(*call)
        body = found.body
        for name in (b'"C1"', b'"Course 1"', b'"listUsers"', b'"/manage/v1/user"'):
            body = body.replace(name, name[:-1] + self._evil + b'"')
        return Response(found.status, found.headers, body)
