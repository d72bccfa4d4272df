"""The ledger's share of a run whose calls take 20 ms each, and its commits for each write.

A sandbox on loopback, background jobs of 0 s; each exchange is filled up to 20 ms.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from lms_archive import Answer, ArchiveJob
from lms_archive.archive.ledger import Ledger
from lms_archive.sandbox import Sandbox
from lms_archive.wire.transport import RequestsTransport

from .common import figure, say

_CALL = 0.02
_COURSES, _EACH, _ROUNDS = 5, 800, 3


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
    ) -> Answer:
        """Carry one exchange."""
        begun = time.perf_counter()
        answer = super().__call__(method, url, headers, params, body, timeout)
        time.sleep(max(_CALL - (time.perf_counter() - begun), 0.0))
        return answer


def _timed(seconds: list[float]) -> Callable[..., None]:
    """Every commit of a run goes through `settle`: its time, noted."""
    settle = Ledger.settle

    def timed(*given: Any) -> None:
        begun = time.perf_counter()
        settle(*given)
        seconds.append(time.perf_counter() - begun)

    return timed


def _once(folder: Path) -> tuple[float, float, float]:
    with Sandbox(job_seconds=0) as sandbox:
        sandbox.load(
            users=[{"username": f"u{i}", "user_id": 1_001 + i} for i in range(_EACH)],
            courses=[{"code": f"C{i}", "id_course": i + 1} for i in range(_COURSES)],
            enrollments=[
                {
                    "user_id": 1_001 + i,
                    "id_course": course + 1,
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2025-01-02 03:04:05",
                    "enrollment_completion_date": "2025-02-03 04:05:06",
                }
                for course in range(_COURSES)
                for i in range(_EACH)
            ],
        )
        client = sandbox.client(calls_per_hour=None, transport=_SlowCalls())
        rows = [
            {"course_code": f"C{course}", "username": f"u{i}"}
            for course in range(_COURSES)
            for i in range(_EACH)
        ]
        plan = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False).plan(client)
        seconds: list[float] = []
        begun = time.perf_counter()
        with patch.object(Ledger, "settle", _timed(seconds)):
            result = plan.apply(client, ledger=folder / "ledger.sqlite")
        whole = time.perf_counter() - begun
        if result.counts["archived"] != len(rows):
            raise RuntimeError(str(result.counts))
        writes = result.calls["archive_course_enrollments"]
        return sum(seconds), whole, len(seconds) / writes


def main() -> None:
    """A few runs."""
    seen = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            seen.append(_once(Path(folder)))
    say(f"  {_COURSES * _EACH:,} rows in {_COURSES} courses")
    figure("wall time of apply", median(whole for _, whole, _ in seen), "s")
    share = median(inside / whole for inside, whole, _ in seen)
    figure("the ledger's share", share * 100, "%", goal="<= 3")
    figure("commits for each write", median(commits for *_, commits in seen), "", goal="<= 4")
