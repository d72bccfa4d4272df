"""What a plan of a million rows takes in memory, and what is done with it takes on top.

Growth is the most that the process held meanwhile, beyond what it held before (Linux). For what
opens a plan, that is the plan itself and what it took to read it. Each is a process of its own.
"""

import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .common import figure, in_child, resident, say

_MILLION, _COURSES, _SIZE = 1_000_000, 2_000, 200
_AT = datetime(2024, 1, 1, tzinfo=timezone.utc)
_MAKES = ("tell its digest", "save it", "create the ledger")
_OPENS = ("load it", "open the ledger", "redact the ledger")


def child(what: str, count: str, folder: str) -> dict[str, Any]:
    """One measurement: growth in MiB, CPU seconds, and what the plan takes where one was made."""
    from lms_archive import ArchivePlan, redact  # noqa: PLC0415  the parent needs none of it
    from lms_archive.archive.ledger import Ledger, digest_of  # noqa: PLC0415

    bare, saved, book = resident(), Path(folder, "plan.sqlite"), Path(folder, "a.sqlite")

    def opened() -> Any:
        with Ledger.open(book) as ledger:
            return ledger.plan()

    do: dict[str, Any] = {
        "load it": lambda: ArchivePlan.load(saved),
        "open the ledger": opened,
        "redact the ledger": lambda: redact(book),
    }
    if what in _MAKES:
        plan = _plan(int(count))
        do["tell its digest"] = lambda: digest_of(plan, plan.selection)
        do["save it"] = lambda: plan.save(saved)
        do["create the ledger"] = lambda: _begin(plan, book)
    before, begun = resident(), time.process_time()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    made = do[what]()
    took = time.process_time() - begun
    del made
    return {"plan": before - bare, "growth": _most() - before, "cpu": took}


def _most() -> float:
    """The most memory that this process has held since that was last forgotten, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def _begin(plan: Any, path: Path) -> None:
    """A ledger in which each row has an outcome."""
    from lms_archive.archive.ledger import Ledger  # noqa: PLC0415
    from lms_archive.archive.values.events import Settled  # noqa: PLC0415
    from lms_archive.archive.values.outcomes import Outcome  # noqa: PLC0415

    Ledger.create(path, plan, plan.selection, digest=plan.digest).close()
    with Ledger.open(path) as book:
        for chunk in plan.chunks:
            rows = [(one.row, plan.selection[one.row]) for one in chunk.members]
            settled = tuple((at, Outcome.of(row, "still_active", "as it was")) for at, row in rows)
            book.append(Settled(outcomes=settled))


def _plan(count: int) -> Any:
    """A plan as reading makes it: half of the rows are sent, half of them are not."""
    from lms_archive import ArchivePlan  # noqa: PLC0415
    from lms_archive.archive.selection import Selection  # noqa: PLC0415
    from lms_archive.archive.selection.csv_file import read_csv  # noqa: PLC0415
    from lms_archive.archive.selection.terms import Terms  # noqa: PLC0415
    from lms_archive.archive.values.outcomes import Skip  # noqa: PLC0415

    terms = Terms(mode="unenroll", reset_tracking=False, only="completed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "asked.csv")
        with path.open("w", encoding="utf-8") as file:
            file.write("username,course_code,team\n")
            each = count // _COURSES
            file.writelines(
                f"learner{row % 300_000:06d}@example.com,COURSE-{row // each:04d},{row % 100}\n"
                for row in range(count)
            )
        rows = read_csv(path)
    return ArchivePlan(
        platform="https://acme.example.com",
        terms=terms,
        selection=Selection((rows,)),
        chunks=tuple(_chunks(rows, terms)),
        skips=tuple(
            Skip(row, "not_enrolled", "not enrolled as completed in this course, or already gone")
            for row in range(1, count, 2)
        ),
        read_at=_AT,
    )


def _chunks(rows: Any, terms: Any) -> Iterator[Any]:
    from lms_archive.archive.values.chunks import (  # noqa: PLC0415
        PlannedEnrollment,
        PlannedTarget,
        split_into_chunks,
    )
    from lms_archive.records import EnrollmentLevel, EnrollmentStatus  # noqa: PLC0415

    for number, (target, places) in enumerate(rows.by_target(), start=1):
        found = PlannedTarget(kind="course", target_id=number, code=target.code, listed=9)
        members = [
            PlannedEnrollment(
                row=row,
                user_id=row % 300_000 + 1,
                username=f"learner{row % 300_000:06d}@example.com",
                enrolled_at=_AT + timedelta(seconds=row),
                status=EnrollmentStatus.COMPLETED,
                level=EnrollmentLevel.LEARNER,
                completed_at=_AT + timedelta(days=9, seconds=row),
                score=88.0,
                time_spent=600,
            )
            for row in places
            if row % 2 == 0
        ]
        yield from split_into_chunks(found, members, size=_SIZE, terms=terms, read_at=_AT)


def main() -> None:
    """Measure each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for what in (*_MAKES, *_OPENS):
            told = in_child("plan_memory", what, _MILLION, folder)
            if what in _MAKES:
                figure("the plan of 1,000,000 rows takes", told["plan"], "MiB")
            figure(f"to {what}: growth", told["growth"], "MiB")
            figure(f"to {what}: CPU time", told["cpu"], "s")
        for path in sorted(Path(folder).iterdir()):
            say(f"  {path.name}: {path.stat().st_size / 2**20:.0f} MiB")
