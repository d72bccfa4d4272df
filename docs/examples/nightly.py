"""Every night: archive and unenroll what a CSV names, after finishing what was left unfinished.

python nightly.py inactive.csv evidence --max-affected 500

The platform and the account come from the environment, as for `Client.from_env()`. The folder
holds `current.sqlite` while a job is unfinished, the ledger and the outcomes of each finished job,
and the reasons of a night on which nothing of the list could be used.

Exit codes:
    0: done, or nothing to do
    1: done, but rows failed, are not quite as asked, or could not be used: look at the night's CSV
    2: the arguments, the CSV or the settings cannot be used; nothing of tonight's list was sent
    3: stopped by something that passes; the next run goes on
    4: stopped until you have looked and deleted the file STOPPED in the folder
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Client,
    InvalidInputError,
    LmsArchiveError,
    resume,
)
from lms_archive.errors import JobTimeoutError, PlatformUnavailableError, RateLimitError

DONE, LOOK, UNUSABLE, LATER, STOPPED = range(5)
PASSES = (PlatformUnavailableError, RateLimitError, JobTimeoutError)
SETTLED = {"not_enrolled", "duplicate", "archived_lately", "carried_along"}
"""Why a row is skipped that needs nothing: such as one that an earlier night has archived."""

log = logging.getLogger("nightly")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; the exit code says how it ended."""
    given = _parser().parse_args(arguments)
    given.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    set_up_logging(given.folder / "nightly.log")
    try:
        with Client.from_env(app_info="nightly") as client:
            return alone(client, given.csv, given.folder, given.max_affected)
    except InvalidInputError as error:
        log.critical("%s", error)
        return UNUSABLE


def alone(client: Client, csv: Path, folder: Path, max_affected: int) -> int:
    """Run, unless another run is still at work; the operating system frees the lock on death."""
    with closing(sqlite3.connect(folder / "nightly.lock", timeout=0)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")  # a lock on every system, Windows too
        except sqlite3.OperationalError:
            log.warning("another run is still at work")
            return LATER
        return run(client, csv, folder, max_affected)


def run(client: Client, csv: Path, folder: Path, max_affected: int) -> int:
    """Finish what is unfinished, then do tonight's list; returns the exit code."""
    ledger, marker = folder / "current.sqlite", folder / "STOPPED"
    if marker.exists():
        log.error("look into it, then delete %s: %s", marker, marker.read_text(encoding="utf-8"))
        return STOPPED
    code = DONE
    try:
        if ledger.exists():
            log.warning("going on with what the last run has left")
            code = finish(resume(ledger, client), folder)
        if code == LATER:
            return code
        plan = ArchiveJob.from_csv(csv, mode="unenroll", reset_tracking=False).plan(client)
        log.info("plan %s: %s", plan.digest[:16], plan.counts)
        if plan.chunks:
            result = plan.apply(client, ledger=ledger, max_affected=max_affected, note=name_of(csv))
            code = max(code, finish(result, folder))
        else:
            code = max(code, report_nothing(plan, folder, name_of(csv)))
    except PASSES as error:
        log.warning("stopped, the next run goes on: %s", error)
        return LATER
    except InvalidInputError:
        raise
    except LmsArchiveError as error:
        marker.write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")
        log.critical("stopped until somebody has looked: %s: %s", type(error).__name__, error)
        return STOPPED
    return code


def finish(result: ArchiveResult, folder: Path) -> int:
    """Put the evidence away under its time; the code says whether to look at it."""
    counts, incomplete, unusable = result.counts, len(result.incomplete), count_unusable(result)
    if counts["unknown"]:
        log.warning("the next run looks again: %s", result)
        return LATER
    name = time_stamp()
    result.to_csv(folder / f"{name}.csv")
    (folder / "last-list").write_text(result.note or "", encoding="utf-8")
    result.ledger.rename(folder / f"{name}.sqlite")
    log.info("%s: %s, incomplete %d", name, counts, incomplete)
    if counts["failed"] or incomplete or unusable:
        words = "look at %s.csv: %d failed, %d incomplete, %d could not be used"
        log.warning(words, name, counts["failed"], incomplete, unusable)
        return LOOK
    return DONE


def report_nothing(plan: ArchivePlan, folder: Path, list_name: str) -> int:
    """Keep the reasons why nothing of a list is archived, unless it is the list of last time."""
    last = folder / "last-list"
    is_known = last.exists() and last.read_text(encoding="utf-8") == list_name
    unusable = count_unusable(plan)
    if not plan.skips or (is_known and not unusable):
        return DONE
    last.write_text(list_name, encoding="utf-8")
    name = time_stamp()
    plan.to_csv(folder / f"{name}.csv")
    log.warning(
        "nothing to archive, look at %s.csv: %d rows, of which %d could not be used",
        *(name, len(plan.skips), unusable),
    )
    return LOOK


def count_unusable(rows: ArchivePlan | ArchiveResult) -> int:
    """Count the rows that were skipped for a reason that needs attention."""
    return sum(outcome.code not in SETTLED for outcome in rows.skipped)


def name_of(csv: Path) -> str:
    """Name a list by its file and content."""
    return f"{csv.name} {hashlib.sha256(csv.read_bytes()).hexdigest()[:16]}"


def time_stamp() -> str:
    """Make a file name of the time."""
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%S.%f}"


def set_up_logging(path: Path) -> None:
    """Everything into the file; warnings to stderr too, so that cron mails only those."""
    everything = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=5, encoding="utf-8")
    warnings = logging.StreamHandler(sys.stderr)
    warnings.setLevel(logging.WARNING)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=[everything, warnings])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Archive and unenroll what a CSV names.")
    parser.add_argument("csv", type=Path, help="username and course_code, one enrollment a row")
    parser.add_argument("folder", type=Path, help="for ledgers, outcomes and the log")
    parser.add_argument(
        "--max-affected", type=int, default=500, help="refuse to archive more than that (500)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
