"""A harness for whole jobs: a sandbox and its clients in one virtual time, where nothing sleeps.

`VirtualTime` is the clock of both: whoever sleeps moves it. `Line` is a transport that carries
each exchange over real HTTP, keeps a note of it, lets a test act right before and right after
it, and loses the answer where more virtual time passed than the client allows. `Harness` puts
them together and compares what a result says with plain SQL on the sandbox's file.
"""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Client
from lms_archive.sandbox import Sandbox
from lms_archive.wire.transport import Response
from lms_archive.wire.waits import Clock

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
ENROLLED_AT = "2025-01-02 03:04:05"
WRITE = "archive_course_enrollments"


class VirtualTime:
    """Time that passes only where a sandbox, a client or a test sleeps."""

    def __init__(self, start: datetime = START) -> None:
        self._start, self.passed = start, 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The platform's time of day, aware and in UTC."""
        return self._start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        """The seconds of a client; they have nothing to do with dates."""
        return 1000.0 + self.passed

    def sleep(self, seconds: float) -> None:
        """Let them pass, at once."""
        assert seconds >= 0
        with self._lock:
            self.passed += seconds
            self.slept.append(seconds)

    def wire(self, client: Client, ahead: float = 0.0) -> Client:
        """Let this client live in this time, its clock so far `ahead`; returns it."""
        client._use_clock(Clock(monotonic=lambda: self.monotonic() + ahead, sleep=self.sleep))
        return client


@dataclass(frozen=True)
class Exchange:
    """One exchange as the client began it."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any

    @property
    def is_write(self) -> bool:
        """Whether it is the archive call."""
        return self.method == "PUT"

    @property
    def is_poll(self) -> bool:
        """Whether it asks for the listing of jobs."""
        return self.path == "/manage/v1/job"


Hook = Callable[[Exchange], None]


class _Carrier:
    """Real HTTP on one connection kept open, in a third of the time that requests takes."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
    ) -> Response:
        parts = urlsplit(url)
        path = f"{parts.path}?{urlencode(params)}" if params else parts.path
        connection, self._connection = self._connection, None  # kept where the answer comes whole
        connection = connection or HTTPConnection(parts.netloc, timeout=5)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return Response(response.status, dict(response.headers.items()), content)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Line:
    """A transport with a note of every exchange, and with hooks before and after each.

    A hook that raises takes the exchange's place (before), or the answer's (after).
    """

    def __init__(self, time: VirtualTime) -> None:
        self._time, self._carrier = time, _Carrier()
        self.exchanges: list[Exchange] = []
        self.before: list[Hook] = []
        self.after: list[Hook] = []

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        """Carry one exchange."""
        sent = json.loads(body) if body and body.startswith(b"{") else None
        exchange = Exchange(method, urlsplit(url).path, tuple(params), sent)
        self.exchanges.append(exchange)
        for hook in list(self.before):
            hook(exchange)
        begun = self._time.monotonic()
        answer = self._carrier(method, url, headers, params, body)
        if self._time.monotonic() - begun > timeout[1]:
            raise TimeoutError("no answer within the time-out")
        for hook in list(self.after):
            hook(exchange)
        return answer

    def once(
        self, when: Callable[[Exchange], bool], do: Callable[[], None], *, after: bool = False
    ) -> None:
        """Do something right before (or after) the first exchange that is like this."""
        hooks = self.after if after else self.before

        def hook(exchange: Exchange) -> None:
            if when(exchange):
                hooks.remove(hook)
                do()

        hooks.append(hook)

    def close(self) -> None:
        """Close the connections."""
        self._carrier.close()


@dataclass
class Harness:
    """A sandbox, a client and a folder for ledgers, in one time.

    Courses are numbered from 1 and called C1, C2, ...; users from 1001 and called u1001, ...
    """

    sandbox: Sandbox
    time: VirtualTime
    folder: Path
    line: Line = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.line = Line(self.time)
        self.client = self.connect()

    def connect(self, role: Any = "superadmin", *, ahead: float = 0.0, **options: Any) -> Client:
        """Connect another client in this time, on the harness's line unless an option differs."""
        options = {"calls_per_hour": None, "transport": self.line, **options}
        return self.time.wire(self.sandbox.client(role, **options), ahead)

    def load(self, *sizes: int, status: str = "completed", dated: bool = True) -> None:
        """Load courses C1, C2, ... with these numbers of enrollments, of users from u1001 on."""
        self.sandbox.load(
            users=[{"username": f"u{1001 + i}", "user_id": 1001 + i} for i in range(max(sizes))],
            courses=[{"code": f"C{i + 1}", "id_course": i + 1} for i in range(len(sizes))],
            enrollments=[
                {
                    "user_id": 1001 + i,
                    "id_course": course + 1,
                    "enrollment_status": status,
                    "enrollment_created_at": ENROLLED_AT if dated else None,
                    "enrollment_completion_date": "2025-02-03 04:05:06",
                    "enrollment_score": 88,
                }
                for course, size in enumerate(sizes)
                for i in range(size)
            ],
        )

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the platform's file."""
        with closing(sqlite3.connect(self.sandbox.path, timeout=10)) as database:
            return database.execute(query, values).fetchall()

    def change(self, statement: str, *values: Any) -> None:
        """Change the platform's file behind everyone's back."""
        with closing(sqlite3.connect(self.sandbox.path, timeout=10)) as database, database:
            database.execute(statement, values)

    def unenroll(self, course: int, user: int) -> None:
        """Unenroll as another client would, without archiving."""
        self.change("DELETE FROM enrollments WHERE course_id = ? AND user_id = ?", course, user)

    def enroll_anew(self, course: int, user: int) -> None:
        """Unenroll and enroll again at this moment, as another client would."""
        self.change(
            "UPDATE enrollments SET enrollment_created_at = ? WHERE course_id = ? AND user_id = ?",
            self.time.now().strftime("%Y-%m-%d %H:%M:%S"),
            course,
            user,
        )

    def hang_jobs(self) -> None:
        """The jobs that are open now stay so, and do nothing more."""
        self.change(f"UPDATE job_rows SET due_at = {_NEVER} WHERE state = 'waiting'")
        self.change(f"UPDATE jobs SET ends_at = {_NEVER} WHERE status IN ('queued', 'running')")

    def end_jobs(self) -> None:
        """The jobs that were hung do their work now, and end."""
        now = int(self.time.now().timestamp() * 1_000_000)
        self.change(f"UPDATE job_rows SET due_at = {now} WHERE due_at = {_NEVER}")
        self.change(f"UPDATE jobs SET ends_at = {now} WHERE ends_at = {_NEVER}")

    def job(self, *courses: int, users: Iterable[int] | None = None) -> ArchiveJob:
        """Archive and unenroll these users, or all, from these courses, or all."""
        enrolled = self.active
        all_courses = [number for (number,) in self.sql("SELECT id_course FROM courses")]
        all_users = [number for (number,) in self.sql("SELECT user_id FROM users")]
        rows = [
            {"course_id": course, "user_id": user}
            for course in courses or all_courses
            for user in users or all_users
            if users or (course, user) in enrolled
        ]
        return ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)

    def plan(self, *courses: int, users: Iterable[int] | None = None) -> ArchivePlan:
        """The plan of that job."""
        return self.job(*courses, users=users).plan(self.client)

    @property
    def ledger(self) -> Path:
        """Where the harness's ledger is kept."""
        return self.folder / "ledger.sqlite"

    def apply(self, plan: ArchivePlan | None = None, **options: Any) -> ArchiveResult:
        """Apply a plan, or one of everything."""
        return (plan or self.plan()).apply(self.client, ledger=self.ledger, **options)

    @property
    def writes(self) -> list[tuple[int, list[int]]]:
        """The archive calls that reached the platform: course and users (none: all), in order."""
        bodies = [json.loads(call.body) for call in self.sandbox.calls if call.operation == WRITE]
        return [(body["course_id"][0], body.get("user_id", [])) for body in bodies]

    @property
    def operations(self) -> list[str]:
        """The calls that reached the platform, by operation, in order."""
        return [str(call.operation) for call in self.sandbox.calls]

    @property
    def archived(self) -> Counter[tuple[int, int]]:
        """How often each (course, user) is in the archive."""
        return Counter(self.sql("SELECT course_id, user_id FROM archived_enrollments"))

    @property
    def active(self) -> set[tuple[int, int]]:
        """Every (course, user) that is enrolled."""
        return set(self.sql("SELECT course_id, user_id FROM enrollments"))

    def check(self, result: ArchiveResult, **counts: int) -> None:
        """Check that a result is true, row by row, against the platform's own file."""
        zero = dict.fromkeys(("archived", "skipped", "failed", "unknown"), 0)
        assert result.counts == zero | counts
        assert len(result.outcomes) == sum(counts.values())
        twice = self.sql(
            "SELECT course_id, user_id, enrollment_created_at FROM archived_enrollments "
            "GROUP BY 1, 2, 3 HAVING count(*) > 1"
        )
        assert twice == []
        records = dict(self.sql("SELECT id, course_id || ' ' || user_id FROM archived_enrollments"))
        sent = {(course, user) for course, users in self.writes for user in users}
        active, archived = self.active, self.archived
        for outcome in result.outcomes:
            key = (outcome.row["course_id"], outcome.row["user_id"])
            if outcome.kind == "archived":
                assert outcome.record is not None
                assert records[outcome.record.archiving.record_id] == f"{key[0]} {key[1]}"
                assert key not in active
            elif outcome.kind == "failed":
                assert key in active
                assert not archived[key]
            elif outcome.kind == "skipped":
                assert key not in sent


_NEVER = 9_000_000_000_000_000


@contextmanager
def new_harness(folder: Path, **options: Any) -> Iterator[Harness]:
    """Start an empty platform of these options, and a client in virtual time, for whole jobs."""
    time = VirtualTime()
    with Sandbox(clock=time, **{"job_seconds": 3, **options}) as sandbox:
        harness = Harness(sandbox, time, folder)
        yield harness
        harness.line.close()
