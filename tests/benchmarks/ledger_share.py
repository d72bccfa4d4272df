"""The ledger's share of a run whose calls take 20 ms each, and its commits for each write.

A sandbox on loopback, in a process of its own, whose background jobs take 0 s; each exchange is
filled up to 20 ms. A client that looks at once whether a job has ended waits least, so that the
ledger's share is largest.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from lms_archive import ArchiveJob, Limits
from lms_archive.archive.ledger import Ledger
from lms_archive.wire import Response
from lms_archive.wire.transport import RequestsTransport

from .common import figure, say
from .job import PER_COURSE, serving

_CALL = 0.02
_COURSES, _ROUNDS = 8, 5


class _SlowCalls(RequestsTransport):
    """Calls of 20 ms, or longer where the sandbox takes longer."""

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
        begun = time.perf_counter()
        answer = super().__call__(method, url, headers, params, body, timeout)
        time.sleep(max(_CALL - (time.perf_counter() - begun), 0.0))
        return answer


def _timed(spent: list[tuple[float, float]]) -> Callable[..., None]:
    """Every commit of a run goes through `append`: its wall time and CPU time, noted."""
    append = Ledger.append

    def timed(*given: Any) -> None:
        begun, cpu = time.perf_counter(), time.thread_time()
        append(*given)
        spent.append((time.perf_counter() - begun, time.thread_time() - cpu))

    return timed


def _once(folder: Path, first_poll: float) -> tuple[float, float, float, float]:
    with serving(_COURSES) as client_with:
        client = client_with(Limits(first_poll=first_poll), _SlowCalls())
        rows = [
            {"course_code": f"C{course:03d}", "username": f"learner{user:05d}"}
            for course in range(1, _COURSES + 1)
            for user in range(1, PER_COURSE + 1)
        ]
        plan = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False).plan(client)
        spent: list[tuple[float, float]] = []
        begun = time.perf_counter()
        with patch.object(Ledger, "append", _timed(spent)):
            result = plan.apply(client, ledger=folder / "ledger.sqlite")
        whole = time.perf_counter() - begun
        client.close()
        if result.counts["archived"] != len(rows):
            raise RuntimeError(str(result.counts))
        writes = result.calls["archive_course_enrollments"]
        inside, cpu = (sum(one) for one in zip(*spent, strict=True))
        return whole, inside / whole * 100, cpu / whole * 100, len(spent) / writes


def main() -> None:
    """Measure runs that poll jobs as soon as they have ended, and one with the default waits."""
    say(f"  {_COURSES * PER_COURSE:,} rows in {_COURSES} courses")
    for first_poll, rounds in ((0.05, _ROUNDS), (Limits().first_poll, 1)):
        seen = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                seen.append(_once(Path(folder), first_poll))
        whole, share, cpu, commits = (median(one) for one in zip(*seen, strict=True))
        say(f"  first look after {first_poll} s")
        figure("wall time of apply", whole, "s")
        figure("the ledger's share", share, "%", goal="<= 3")
        figure("of it CPU time", cpu, "%")
        figure("commits for each write", commits, "", goal="<= 4")
