"""Apply one plan for each platform with any executor: threads, processes or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, as_completed
from pathlib import Path

from lms_archive import ArchivePlan, ArchiveResult, Client


def archive(plan: ArchivePlan, client: Client, ledger: Path) -> ArchiveResult:
    """Apply a plan; running this more than once archives each enrollment only once."""
    with client:
        return plan.apply(client, ledger=ledger, max_affected=5_000)


def archive_all(
    executor: Executor, plans: Mapping[str, tuple[ArchivePlan, Client]], folder: Path
) -> Iterator[tuple[str, ArchiveResult | BaseException]]:
    """Yield the result of each platform, or its error, as soon as it is finished."""
    running = {
        executor.submit(archive, plan, client, folder / f"{name}.sqlite"): name
        for name, (plan, client) in plans.items()
    }
    for future in as_completed(running):
        yield running[future], future.exception() or future.result()
