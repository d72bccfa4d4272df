"""What the tests of the input side share: jobs on usual terms, and plans in short."""

import json
import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, Outcome
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.events import Decided
from lms_archive.wire import Response
from lms_archive.wire.transport import Transport

MakeCsv = Callable[[str | bytes], Path]
Body = dict[str, Any]


def from_csv(path: Any, **more: Any) -> ArchiveJob:
    """The job of a file: archive and unenroll, tracking kept."""
    return ArchiveJob.from_csv(path, **{"mode": "unenroll", "reset_tracking": False, **more})


def from_rows(rows: Any, **more: Any) -> ArchiveJob:
    """The job of rows on the same terms."""
    return ArchiveJob.from_rows(rows, **{"mode": "unenroll", "reset_tracking": False, **more})


def for_course(target: Any, **more: Any) -> ArchiveJob:
    """The job of a course on the same terms."""
    return ArchiveJob.for_course(target, **{"mode": "unenroll", "reset_tracking": False, **more})


def plan_of(job: ArchiveJob) -> ArchivePlan:
    """A plan with these rows, none of which is sent."""
    return ArchivePlan(
        platform="http://127.0.0.1", terms=job.terms, selection=job.selection, chunks=(), skips=()
    )


def begin(
    path: Path, plan: ArchivePlan | ArchiveJob, outcomes: Iterable[tuple[int, Outcome]] = ()
) -> Ledger:
    """Begin a ledger of a plan, or of a job's rows, in which some have an outcome already."""
    plan = plan_of(plan) if isinstance(plan, ArchiveJob) else plan
    rows = tuple(outcomes)
    events = [Decided(outcomes=rows)] if rows else []
    return Ledger.create(path, plan, plan.selection, digest=plan.digest, events=events)


def given(job: ArchiveJob) -> list[dict[str, Any]]:
    """The cells of each row, as given."""
    return [dict(row.cells) for row in job.selection]


def asked(job: ArchiveJob) -> list[tuple[Any, ...]]:
    """What each row names: id and code of the target, the user; or the fault's code."""
    return [
        (row.fault.code,)
        if row.fault
        else (row.target and row.target.target_id, row.target and row.target.code, row.user)
        for row in job.selection
    ]


def planned(plan: ArchivePlan) -> list[tuple[int | None, int, int]]:
    """Line, course and user of each enrollment to archive, in input order."""
    members = [
        (member.row, plan.selection[member.row].line, chunk.target.target_id, member.user_id)
        for chunk in plan.chunks
        for member in chunk.members
    ]
    return [(line, course, user) for _, line, course, user in sorted(members)]


def user_ids(plan: ArchivePlan) -> list[int]:
    """The user of each enrollment to archive, in the order of the chunks."""
    return [member.user_id for chunk in plan.chunks for member in chunk.members]


def skipped(outcomes: Iterable[Outcome]) -> dict[int | None, tuple[str, str]]:
    """Code and reason of what is skipped, by line."""
    return {outcome.line: (outcome.code, outcome.reason) for outcome in outcomes}


def calls_but_polls(calls: Mapping[str, int]) -> int:
    """Count calls, without logins and the polls of background jobs."""
    aside = ("list_jobs", "get_job", "token")
    return sum(count for name, count in calls.items() if name not in aside)


def change_plan(path: Path, change: str) -> None:
    """Change a plan in its file, as only another program does."""
    with closing(sqlite3.connect(path)) as database, database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        assert database.execute(change).rowcount


def interrupt() -> None:
    """Stand for a Ctrl-C at this moment."""
    raise KeyboardInterrupt


def changed_answers(
    transport: Callable[..., Response], change: Callable[[str, dict[str, Any]], object]
) -> Callable[..., Response]:
    """Return a transport on which *change* alters the data of each answer, given its path."""

    def carry(method: str, url: str, *rest: Any) -> Response:
        answer = transport(method, url, *rest)
        body = json.loads(answer.body)
        if isinstance(body.get("data"), dict):
            change(urlsplit(url).path, body["data"])
        return Response(answer.status, answer.headers, json.dumps(body).encode())

    return carry


def changed_writes(
    transport: Transport, write: Callable[[Body, Callable[[Body], Response]], Response]
) -> Transport:
    """Return a transport on which *write* carries the archive calls.

    It gets the body of each, and a function that sends a body in its place.
    """

    def carry(
        method: str, url: str, headers: Any, params: Any, body: bytes | None, timeout: Any
    ) -> Response:
        def send(call: Body) -> Response:
            return transport(method, url, headers, params, json.dumps(call).encode(), timeout)

        if method == "PUT":
            assert body is not None
            return write(json.loads(body), send)
        return transport(method, url, headers, params, body, timeout)

    return carry


def refusal(status: int = 400, message: str = "no") -> Response:
    """Return the answer of a platform that refuses a call."""
    body = json.dumps({"message": message}).encode()
    return Response(status, {"Content-Type": "application/json"}, body)


def ignoring_users(harness: Harness) -> Transport:
    """Return a platform that archives everybody in the course, whomever the call names."""

    def write(call: Body, send: Callable[[Body], Response]) -> Response:
        query = "SELECT user_id FROM enrollments WHERE course_id = ?"
        return send(
            {**call, "user_id": [user for (user,) in harness.sql(query, *call["course_id"])]}
        )

    return changed_writes(harness.line, write)


def without_usernames(
    transport: Callable[..., Response], hidden: Container[str] | None = None
) -> Callable[..., Response]:
    """Return a transport on which enrollments lack these usernames; None: every username."""

    def change(path: str, data: dict[str, Any]) -> None:
        if path.endswith("/enrollments"):
            for item in data["items"]:
                if hidden is None or item["username"] in hidden:
                    del item["username"]

    return changed_answers(transport, change)


def archive_elsewhere(harness: Harness, course: int, user: int, mode: str = "re_enroll") -> None:
    """Archive an enrollment as another client of the platform."""
    body = {"course_id": [course], "user_id": [user], "enrollment_mode": mode}
    harness.connect(transport=None).request("PUT", "/learn/v1/enrollments", json=body)
