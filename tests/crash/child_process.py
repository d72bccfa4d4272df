"""Where the processes are born that are to die: `python -m crash.child_process`.

A Python of its own takes orders, one a line, as JSON. For each it forks a process, which plans
and applies a job, or resumes its ledger where there is one; at the point that the order names,
that process kills itself with SIGKILL, which nothing can catch; or its files may only grow so
far, which is how a full disk looks. Forking saves the half second
that a new interpreter takes; to the kernel, the files and the platform it is a process like any.
"""

import http.client
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crash.scenarios import DAY
from crash.shared_time import SharedTime
from lms_archive import ArchiveJob, Client, Limits, PasswordGrant, resume
from lms_archive.archive.ledger import Ledger, store
from lms_archive.archive.running.jobs import InFlight
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.values.events import Event, JobEnded, Sending, type_of
from lms_archive.sandbox import Sandbox
from lms_archive.wire.transport import RequestsTransport, Response

Order = Mapping[str, Any]


class Life:
    """Counts the points that this process passes, and ends it at one of them.

    Args:
        report: where the names of the points go, so that they are known after a death too.
        kill: the number of the point, from 1; 0 for a life to the end.
    """

    def __init__(self, report: int, kill: int) -> None:
        self._report, self._kill, self._passed = report, kill, 0

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        self._passed += 1
        self.tell(name)
        if self._passed == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, text: str) -> None:
        """Write one line into the report."""
        os.write(self._report, f"{text}\n".encode())

    def around(self, owner: Any, name: str, shown: str) -> None:
        """Make points of the moments before and after each call of a function."""
        whole: Callable[..., Any] = getattr(owner, name)

        def mortal(*given: Any, **options: Any) -> Any:
            self.point(f"{shown}: before")
            answer = whole(*given, **options)
            self.point(f"{shown}: after")
            return answer

        setattr(owner, name, mortal)


def commits(life: Life) -> None:
    """Three points for each transaction, named after the states that it commits."""
    transaction, append = Ledger._transaction, Ledger.append
    words = ["created"]

    def named(book: Ledger, *events: Event) -> None:
        words[:] = map(type_of, events)
        append(book, *events)

    @contextmanager
    def mortal(book: Ledger) -> Iterator[None]:
        name = f"ledger {' '.join(words)}"
        life.point(f"{name}: before")
        with transaction(book):
            yield
            life.point(f"{name}: not committed yet")
        life.point(f"{name}: committed")

    for place, hook in (("append", named), ("_transaction", mortal)):
        setattr(Ledger, place, hook)


def calls(life: Life) -> Callable[..., Response]:
    """The library's own transport, with points around each call and inside each write."""
    carry, getresponse = RequestsTransport(), http.client.HTTPConnection.getresponse

    def answered(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        if connection._method == "PUT":  # type: ignore[attr-defined]
            life.point("write: sent, perhaps not there yet")
            select.select([connection.sock], [], [])
            life.point("write: done, answer not read")
        return getresponse(connection)

    def mortal(method: str, url: str, *more: Any) -> Response:
        name = "write" if method == "PUT" else "call"
        life.point(f"{name}: before")
        answer = carry(method, url, *more)
        if name == "write":
            life.point("write: the answer read")
        return answer

    http.client.HTTPConnection.getresponse = answered  # type: ignore[assignment,method-assign]
    return mortal


def live(life: Life, order: Order) -> None:
    """Do what is asked, from where the ledger stands."""
    commits(life)
    life.around(store, "hold", "ledger locked")
    life.around(store, "connect", "ledger opened")
    life.around(store, "ledger_at", "ledger opened")
    life.around(store, "checkpoint", "ledger copied into its main file")
    life.around(Path, "replace", "ledger renamed")
    life.around(Ledger, "close", "ledger closed")
    client = Client(
        order["url"],
        PasswordGrant(*order["grant"]),
        limits=Limits(**order["limits"]),
        calls_per_hour=None,
        transport=calls(life),
    )
    time = SharedTime(Path(order["time"]))
    life.around(time, "sleep", "sleep")
    time.wire(client, ahead=order["kill"] * DAY)  # no two processes need clocks that agree
    path = Path(order["ledger"])
    if path.exists():
        resume(path, client)
    else:
        ArchiveJob.from_rows(order["rows"], **order["terms"]).plan(client).apply(
            client, ledger=path
        )
    life.point("the end")


def send_first() -> None:
    """A mutant: `sending` is committed when the answer is there."""
    append, kept = Ledger.append, list[Event]()

    def late(book: Ledger, *events: Event) -> None:
        if any(isinstance(event, Sending) for event in events):
            kept.extend(events)
            return
        append(book, *kept, *events)
        kept.clear()

    Ledger.append = late  # type: ignore[method-assign,assignment]


def never_wait() -> None:
    """A mutant: what is in doubt is read back at once, whatever may still be at work."""

    def at_once(self: InFlight, submissions: Sequence[Submission], **_: Any) -> None:
        self.record(*(JobEnded(one.chunk.chunk_id, one.job_id) for one in submissions))

    InFlight.wait_for_quiet = at_once  # type: ignore[method-assign]


MUTANTS = {"send_first": send_first, "never_wait": never_wait}


def born(order: Order) -> dict[str, Any]:
    """Let one process live, and tell of it: points passed, how it ended, with what error."""
    reading, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        life = Life(report, order["kill"])
        try:
            if order["disk"]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (order["disk"], order["disk"]))
            if order["mutant"]:
                MUTANTS[order["mutant"]]()
            live(life, order)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is told
            life.tell(f"! {type(error).__name__}: {error}")
        finally:
            os._exit(0)
    os.close(report)
    with os.fdopen(reading, encoding="utf-8") as file:
        lines = file.read().splitlines()
    _, status = os.waitpid(pid, 0)
    at = next((i for i, line in enumerate(lines) if line.startswith("! ")), len(lines))
    return {
        "points": lines[:at],
        "error": "\n".join(lines[at:]),
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
    }


def rehearse() -> None:
    """Do a small job, so that what Python makes at first use is made once, not in every life."""
    with TemporaryDirectory() as folder, Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"user_id": 1, "username": "u"}],
            courses=[{"id_course": 1, "code": "C"}],
            enrollments=[{"user_id": 1, "id_course": 1, "enrollment_status": "completed"}],
        )
        job = ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False).users([1])
        with sandbox.client() as client:
            result = job.plan(client).apply(client, ledger=Path(folder) / "ledger.sqlite")
        assert [one.kind for one in result.outcomes] == ["archived"]


if __name__ == "__main__":
    rehearse()
    for line in sys.stdin:
        print(json.dumps(born(json.loads(line))), flush=True)  # noqa: T201  that is its answer
