"""Memory that a million records, and a million outcomes, take while they pass by.

Growth is what the process holds at most, beyond what it held after the first thousand.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Client,
    Contract,
    Outcome,
    StaticToken,
)
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.values.events import Settled
from lms_archive.records.structure import Structurer
from lms_archive.wire import Response

from .common import archived_items, figure, in_child, peak, resident

_MILLION, _SIZE, _FIRST = 1_000_000, 200, 1_000


class _Pages:
    """A transport that has two pages, and gives them by turns."""

    def __init__(self, count: int) -> None:
        items = list(archived_items(2 * _SIZE))
        of = {"has_more_data": True, "total_page_count": count // _SIZE, "total_count": count}
        self._bodies = [
            json.dumps({"data": {"items": part, **of}}).encode()
            for part in (items[:_SIZE], items[_SIZE:])
        ]

    def __call__(
        self,
        method: str,  # noqa: ARG002  the shape of a transport
        url: str,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        params: Sequence[tuple[str, str]],
        body: bytes | None,  # noqa: ARG002
        timeout: tuple[float, float],  # noqa: ARG002
    ) -> Response:
        """The page asked for."""
        return Response(200, {}, self._bodies[int(dict(params)["page"]) % 2])


def child(what: str, count: str, folder: str = "") -> dict[str, Any]:
    """One measurement."""
    if what == "records":
        client = Client(
            "https://acme.example.com",
            StaticToken("token"),
            calls_per_hour=None,
            transport=_Pages(int(count)),
        )
        return _growth(iter(client.archived.in_course(1)))
    path = Path(folder, "ledger.sqlite")
    if what == "ledger":
        outcomes = _outcomes(int(count))
        plan = _plan(int(count))
        numbered = enumerate(outcomes)
        with Ledger.create(path, plan, plan.selection, digest=plan.digest) as book:
            while block := tuple(islice(numbered, 1000)):
                book.append(Settled(outcomes=block))
        return {}
    first = iter(ArchiveResult(path).outcomes)
    for _ in range(_FIRST):
        next(first)
    before = resident()
    ArchiveResult(path).to_csv(Path(folder, "outcome.csv"))
    return {"growth": max(peak() - before, 0.0)}


def _growth(items: Iterator[object]) -> dict[str, Any]:
    for _ in range(_FIRST):
        next(items)
    before = resident()
    for _ in items:
        pass
    return {"growth": max(peak() - before, 0.0)}


def _plan(count: int) -> ArchivePlan:
    rows = (
        {"username": f"learner{row:06d}@example.com", "course_code": "COURSE-0001"}
        for row in range(count)
    )
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    return ArchivePlan(
        platform="http://127.0.0.1", terms=job.terms, selection=job.selection, chunks=(), skips=()
    )


def _outcomes(count: int) -> Iterator[Outcome]:
    structure = Structurer(Contract.default().records)
    at = datetime(2026, 1, 1, tzinfo=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    for item in archived_items(count):
        record = structure(ArchivedCourseEnrollment, {**item, "archived_at": at})
        yield Outcome(
            kind="archived",
            code="archived",
            reason="archived, read back",
            record=record,
            user_id=record.user.user_id,
        )


def main() -> None:
    """Measure each in a process of its own."""
    told = in_child("memory", "records", _MILLION)
    figure("1,000,000 archived records iterated: growth", told["growth"], "MiB", goal="<= 30")
    with tempfile.TemporaryDirectory() as folder:
        in_child("memory", "ledger", _MILLION, folder)
        told = in_child("memory", "csv", _MILLION, folder)
    figure("1,000,000 outcomes from ledger to CSV: growth", told["growth"], "MiB", goal="<= 30")
