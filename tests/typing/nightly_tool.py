"""A tool on top: many platforms, its own settings, its own report. Checked, never run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from attrs import frozen

from lms_archive import (
    ArchiveJob,
    ArchiveResult,
    Client,
    ClientCredentials,
    Contract,
    LmsArchiveError,
    resume,
)
from lms_archive.errors import TooManyAffectedError
from lms_archive.records import ArchiveMode


@frozen
class Platform:
    """What the tool keeps of one platform."""

    url: str
    login: ClientCredentials
    contract: Contract | None = None

    def connect(self) -> Client:
        """A client that says which tool calls."""
        return Client(self.url, self.login, contract=self.contract, app_info="nightly/2.1")


def night(platform: Platform, rows: Iterable[Mapping[str, Any]], folder: Path) -> ArchiveResult:
    """One platform's job; begun before, it is resumed."""
    ledger = folder / "tonight.sqlite"
    with platform.connect() as client:
        if ledger.exists():
            return resume(ledger, client)
        job = ArchiveJob.from_rows(rows, mode=ArchiveMode.UNENROLL, reset_tracking=False)
        return job.plan(client).apply(client, ledger=ledger, max_affected=1_000)


def nights(
    executor: Executor, tasks: Iterable[tuple[Platform, list[dict[str, Any]], Path]]
) -> Iterator[tuple[str, Counter[str]]]:
    """All platforms; one that fails does not stop the others."""
    running = {executor.submit(night, *task): task[0].url for task in tasks}
    for future, url in running.items():
        error = future.exception()
        if isinstance(error, TooManyAffectedError):
            yield url, Counter(refused=error.affected)
        elif isinstance(error, LmsArchiveError):
            yield url, Counter()
        else:
            yield url, Counter[str](future.result().counts)
