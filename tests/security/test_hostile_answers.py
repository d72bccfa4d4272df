"""A platform whose answers cannot be used: no write after one, and nothing of it runs."""

import json
import re
import traceback
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Harness
from wire_tools import is_printable

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    InvalidInputError,
    LmsArchiveError,
    RunStoppedError,
    resume,
)
from lms_archive.errors import (
    CanaryFailedError,
    JobTimeoutError,
    LedgerError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from lms_archive.wire import Response

BODIES = {
    "HTML": b"<html>",
    "NaN": b'{"data": NaN}',
    "text": b"please wait",
    "a huge id": b'{"data": {"items": [{"user_id": "' + b"9" * 5000 + b'"}]}}',
    "another shape": b'{"data": {"items": 7, "jobs": 7}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_write_follows_a_read_that_cannot_be_used(harness: Harness, body: bytes) -> None:
    """Whichever read of a job it is: the job stops, or its target is left alone.

    Every read after the plan takes its turn, and resume ends the job. What is not about one course
    stops it; so does a canary or a first chunk that cannot be read back.
    """
    harness.load(3, 3)
    plan, turns = harness.plan(), count(2)  # the first reads ask where the swagger is
    transport = _Poisoned(harness, body)
    client = harness.connect(transport=transport)
    for turn in turns:
        transport.at, transport.seen = turn * 3, 0
        writes = len(harness.writes)
        try:
            if harness.ledger.exists():
                result = resume(harness.ledger, client)
            else:
                result = plan.apply(client, ledger=harness.ledger)
        except LmsArchiveError as error:
            family = UnexpectedResponseError | PermissionDeniedError | RunStoppedError
            assert isinstance(error, family)  # noqa: PT017  the other way out is the end
            assert len(harness.writes) == transport.writes
            assert len(harness.writes) >= writes
        else:
            if not result.counts["unknown"]:
                break
            assert transport.course is not None
            written = {course for course, _ in harness.writes[transport.writes :]}
            assert transport.course not in written
    harness.check(result, archived=6)
    assert turn > 2


class _Poisoned:
    """A transport that answers one read like this.

    It counts the writes before it, and notes which course it was about.
    """

    def __init__(self, harness: Harness, body: bytes) -> None:
        self._harness, self._body = harness, body
        self.at = self.seen = self.writes = 0
        self.course: int | None = None

    def __call__(self, *call: Any) -> Response:
        response = self._harness.line(*call)
        if call[0] != "GET" or call[1].endswith(("/swagger", "/microservices")):
            return response
        self.seen += 1
        if self.seen - 1 != self.at:
            return response
        self.writes = len(self._harness.writes)
        course = re.search(r"/courses/(\d+)/", call[1])
        self.course = None if course is None else int(course[1])
        return Response(200, response.headers, self._body)


EVIL = {
    "half a character": "a\ud800b",
    "terminal": "a\x1b[2J\x1b]0;x\x07b\0\x9b2J",
    "bidi": "a\u202eb\u2066c",
    "line": "a\nFAKE: 0 skipped\rb\u2028c",
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
def test_names_are_printed_escaped(harness: Harness, evil: str, tmp_path: Path) -> None:
    """In a plan, a report on the contract, a result and an error."""
    harness.load(2)
    client = harness.connect(transport=_Renaming(harness, evil))
    rows = [{"course_id": 1, "username": name} for name in ("u1001", evil, f"x{evil}")]
    rows.append({"course_id": 1, "user_id": 1002})
    plan = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False).plan(client)
    assert is_printable(str(plan))
    assert "FAKE: 0 skipped" not in str(plan).split("\n")
    plan.save(tmp_path / "plan.sqlite")
    assert ArchivePlan.load(tmp_path / "plan.sqlite").digest == plan.digest
    plan.to_csv(tmp_path / "plan.csv")
    result = plan.apply(client, ledger=harness.ledger)
    result.to_csv(tmp_path / "outcome.csv")
    assert is_printable(str(result))
    assert is_printable(str(client.verify_contract(["list_users", "get_job"])))
    errors: list[LmsArchiveError] = [
        InvalidInputError(f"no {evil}", source=evil, column=evil),
        UnexpectedResponseError("GET", f"/{evil}", faults=[evil]),
        CanaryFailedError(evil, seen=[evil]),
        LedgerError(evil),
        JobTimeoutError(evil, evil),
    ]
    for error in errors:
        assert is_printable(str(error))
        assert is_printable("".join(traceback.format_exception_only(error)))


class _Renaming:
    """A transport that puts this into titles, names of operations and summaries."""

    def __init__(self, harness: Harness, evil: str) -> None:
        self._harness, self._evil = harness, json.dumps(evil)[1:-1].encode()

    def __call__(self, *call: Any) -> Response:
        response = self._harness.line(*call)
        body = response.body
        for name in (b'"C1"', b'"Course 1"', b'"listUsers"', b'"/manage/v1/user"'):
            body = body.replace(name, name[:-1] + self._evil + b'"')
        return Response(response.status, response.headers, body)


def test_a_job_id_with_half_a_character_stops_nothing_halfway(harness: Harness) -> None:
    """What was sent is in the ledger, and resume reads it back."""
    harness.load(2)

    def transport(*call: Any) -> Response:
        response = harness.line(*call)
        if call[0] != "PUT":
            return response
        body = json.loads(response.body)
        body["data"]["job_id"] = "\ud800"
        return Response(response.status, response.headers, json.dumps(body).encode())

    plan = harness.plan()
    with pytest.raises(CanaryFailedError, match=r"background job .{1,2}ud800 is not listed"):
        plan.apply(harness.connect(transport=transport), ledger=harness.ledger)
    harness.check(resume(harness.ledger, harness.client), archived=2)
