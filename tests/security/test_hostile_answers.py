"""A platform that answers anything: bounded memory, finite time, a clear error, no write after it.

Each answer comes over a real socket to a process of its own, whose peak memory is measured.
"""

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Stage
from wire_tools import http, items, read_request, scripted

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    CanaryFailedError,
    InvalidInputError,
    JobTimeoutError,
    LedgerError,
    LmsArchiveError,
    Response,
    UnexpectedResponseError,
    resume,
)
from lms_archive.wire import pages as module
from lms_archive.wire.transport import MAX_BODY

#: MiB above what the process had before: what `docs/explanation/security.md` promises.
BOUND = 160
GIGABYTE = 10**9
PART = b"x" * 1_000_000

Parts = Callable[[], Iterator[bytes]]


def stream(head: bytes, part: bytes, count: int) -> Parts:
    """An answer of so many equal parts, none of which is kept."""

    def parts() -> Iterator[bytes]:
        yield head
        yield from repeat(part, count)

    return parts


def whole(body: bytes | Callable[[], bytes], *headers: str) -> Parts:
    """An answer that is sent at once; what is large is made when it is wanted."""
    return lambda: iter([http(body if isinstance(body, bytes) else body(), *headers)])


def bomb(layers: int) -> bytes:
    """A gigabyte, packed."""
    packed = gzip.compress(bytes(10**7)) * 100
    for _ in range(layers - 1):
        packed = gzip.compress(packed)
    return packed


def listed(inside: bytes) -> bytes:
    """A page of a list with this inside."""
    return b'{"data": {"items": [' + inside + b'], "total_count": 1}}'


def filled(unit: bytes) -> bytes:
    """JSON that is as long as may be, of equal units."""
    return b"[" + unit * ((MAX_BODY - 2) // len(unit)) + b"0]"


OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(PART), PART)
JOB = b'{"job_descriptor": {"hash": "%032d", "name": "Archive", "status": "running"}},'
HOSTILE: dict[str, tuple[str, Parts, str]] = {
    "a gigabyte": (
        "list",
        stream(OK + b"Content-Length: 1000000000\r\n\r\n", PART, 1000),
        "more than 16 MiB",
    ),
    "a gigabyte in chunks": (
        "list",
        stream(OK + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, 1000),
        "more than 16 MiB",
    ),
    "a gigabyte without length": (
        "list",
        stream(b"HTTP/1.0 200 OK\r\n\r\n", PART, 1000),
        "more than 16 MiB",
    ),
    "a gigabyte as an error": (
        "write",
        stream(b"HTTP/1.1 400 Bad\r\nContent-Length: 1000000000\r\n\r\n", PART, 1000),
        "400: xxx",
    ),
    "a gigabyte as a certificate": (
        "certificate",
        stream(OK + b"Content-Length: 1000000000\r\n\r\n%PDF-", PART, 1000),
        "more than 16 MiB",
    ),
    "a gigabyte as swagger": ("swagger", stream(OK + b"\r\n", PART, 1000), ""),
    "a gigabyte packed": (
        "list",
        whole(lambda: bomb(1), "Content-Encoding: gzip"),
        "more than 16 MiB",
    ),
    "packed twice": (
        "list",
        whole(lambda: bomb(2), "Content-Encoding: gzip, gzip"),
        "more than 16 MiB",
    ),
    "a million lists": ("list", whole(lambda: filled(b"[],")), "more than 1,000,000 values"),
    "a million objects": ("list", whole(lambda: filled(b"{},")), "more than 1,000,000 values"),
    "as many objects as may be": (
        "list",
        whole(lambda: listed(b'{"a":1},' * 499_000 + b"1")),
        "missing",
    ),
    "as many lists as may be": ("request", whole(lambda: b"[" + b"[],[]," * 240_000 + b"1]"), ""),
    "a long text": (
        "list",
        whole(lambda: listed(b'"' + "\U0001f600".encode() * 4_190_000 + b'"')),
        "expected an object",
    ),
    "a million jobs": ("jobs", stream(OK + b"\r\n" + b'{"data":{"jobs":[', JOB % 1, 10**6), "MiB"),
    "a million short jobs": (
        "jobs",
        whole(lambda: b'{"data":{"jobs":[' + b"{}," * 999_990 + b"{}]}}"),
        "1,000,000 values",
    ),
    "a thousand deep": ("list", whole(b"[" * 1000 + b"]" * 1000), "nested deeper than 100"),
    "a million deep": ("list", whole(lambda: b"[" * 999_999), "nested deeper than 100|not JSON"),
    "deep objects": (
        "list",
        whole(lambda: b'{"a":' * 400_000 + b"1" + b"}" * 400_000),
        "nested deeper",
    ),
    "NaN": ("list", whole(listed(b'{"id_course": NaN}')), "NaN is no JSON number"),
    "Infinity": ("list", whole(listed(b'{"id_course": -Infinity}')), "Infinity is no JSON number"),
    "1e999": ("list", whole(listed(b'{"id_course": 1e999}')), "1e999 is too large a number"),
    "an id of 5,000 digits": (
        "list",
        whole(listed(b'{"id_course": ' + b"7" * 5000 + b"}")),
        "Exceeds the limit",
    ),
    "an id of 16 million digits": (
        "list",
        whole(lambda: b"7" * 16_000_000),
        "Exceeds the limit",
    ),
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
    "HTML with 200": (
        "list",
        whole(b"<html><title>Log in</title>", "Content-Type: text/html"),
        "not JSON .text/html.: 'an HTML page: Log in'",
    ),
    "a plan of HTML": ("plan", whole(b"<html>", "Content-Type: text/html"), "not JSON"),
    "a plan of NaN": ("plan", whole(listed(b"NaN")), "NaN"),
    "no JSON at all": ("list", whole(lambda: bytes(range(256)) * 1000), "not JSON"),
    "a line without end": (
        "list",
        stream(OK + b"X: ", PART, 1000),
        "the connection was lost",
    ),
    "headers without end": ("list", stream(OK, b"X: y\r\n", 10**7), "the connection was lost"),
    "a status without end": ("list", stream(b"HTTP/1.1 200 ", PART, 1000), "the connection"),
    "continue for ever": (
        "list",
        stream(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 10**9),
        "the answer's head took longer than 2 s|the connection was lost",
    ),
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


Told = dict[str, Any]


@pytest.fixture(scope="module")
def told() -> dict[str, Told]:
    """What came of each, all of them asked by one child process."""
    with ExitStack() as stack:
        up = {name: stack.enter_context(hostile(one[1])) for name, one in HOSTILE.items()}
        asked = {name: (url, HOSTILE[name][0]) for name, (url, _) in up.items()}
        done = subprocess.run(  # noqa: S603  our own words
            [sys.executable, str(Path(__file__).with_name("hostile.py"))],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.stderr == ""
        found: dict[str, Told] = json.loads(done.stdout)
        return {name: {**one, "calls": up[name][1]} for name, one in found.items()}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, told: dict[str, Told]) -> None:
    """One call, one clear error, and never more memory than is promised."""
    what, _, words = HOSTILE[name]
    one = told[name]
    sys.stdout.write(f"{name}: {one['MiB']:.0f} MiB, {one['seconds']:.1f} s, {one['error']}\n")
    assert one["MiB"] < BOUND
    assert one["seconds"] < 60
    assert set(one["calls"]) == {"PUT" if what == "write" else "GET"}
    assert len(one["calls"]) == 1 or what in ("swagger", "plan")
    assert len(one["error"]) < 1500
    assert bool(one["error"]) is bool(words)
    assert re.search(words, one["error"]), one["error"]


# Lists


def test_pages_without_end() -> None:
    """A list that goes on after all that it counts is told at once."""
    numbers = count(1)

    def page(_: object) -> Response:
        found = [{"id_course": next(numbers), "name": "C"} for _ in range(200)]
        return items(*found, has_more_data=True, total_count=400, total_page_count=9999)

    client, script = scripted(page)
    with pytest.raises(
        UnexpectedResponseError, match="800 items and more to come, where it counts 400"
    ):
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
    with pytest.raises(UnexpectedResponseError, match="a list without an end"):
        list(client.courses.list())
    assert len(script.sent) == 50


# Nothing is sent after a hostile answer


BODIES = {
    "html": b"<html>",
    "nan": b'{"data": NaN}',
    "deep": b"[" * 1000 + b"]" * 1000,
    "many": b"[" + b"{}," * 1_000_001 + b"1]",
    "huge id": b'{"data": {"items": [{"user_id": "' + b"9" * 5000 + b'"}]}}',
    "other shape": b'{"data": {"items": 7, "jobs": 7}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_write_after_it(stage: Stage, body: bytes) -> None:
    """Whichever read of a job is answered so, and whenever: no write follows, and resume ends it.

    Every exchange after the plan that is no write takes its turn.
    """
    stage.load(3, 3)
    plan, turns = stage.plan(), count()
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
            assert isinstance(error, UnexpectedResponseError)  # noqa: PT017  the other way out is the end
            assert len(stage.writes) == line.writes
            assert len(stage.writes) >= writes
        else:
            break
    stage.check(result, archived=6)
    assert turn > 1


class _Poisoned:
    """A line on which one read is answered like this; tells how many writes were before it."""

    def __init__(self, stage: Stage, body: bytes) -> None:
        self._stage, self._body = stage, body
        self.at = self.seen = self.writes = 0

    def __call__(self, *call: Any) -> Response:
        found = self._stage.line(*call)
        if call[0] != "GET" or "swagger" in call[1]:
            return found
        self.seen += 1
        if self.seen - 1 != self.at:
            return found
        self.writes = len(self._stage.writes)
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
