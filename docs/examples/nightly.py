"""Archive and unenroll the users in a CSV every night, after finishing any unfinished job.

python nightly.py inactive.csv evidence --max-affected 500

Address and login come from the environment: see `Client.from_env()`. The folder contains the log,
`current.sqlite` while a job is unfinished, and the ledger and outcomes of each finished job. If
nothing in the CSV could be archived, it contains a CSV with the reasons.

Exit codes:
    0: finished, or nothing to do
    1: finished, but rows need attention; a warning names the CSV
    2: the arguments, the CSV, the login or the settings cannot be used
    3: stopped by a temporary problem, or another run is still active; the next run continues
    4: stopped until a person has checked it and deleted the file STOPPED in the folder
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
from lms_archive.errors import (
    AuthenticationError,
    ConnectionSettingsError,
    JobTimeoutError,
    LedgerInUseError,
    PlatformUnavailableError,
    RateLimitError,
)

DONE, LOOK, UNUSABLE, LATER, STOPPED = range(5)
TEMPORARY = (PlatformUnavailableError, RateLimitError, JobTimeoutError, LedgerInUseError)
SETTINGS = (InvalidInputError, AuthenticationError, ConnectionSettingsError)

log = logging.getLogger("nightly")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once, and return the exit code."""
    options = _parser().parse_args(arguments)
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    set_up_logging(options.folder / "nightly.log")
    try:
        with Client.from_env(app_info="nightly") as client:
            return run_alone(client, options.csv, options.folder, options.max_affected)
    except SETTINGS as error:
        log.critical("%s", error)
        return UNUSABLE


def run_alone(client: Client, csv: Path, folder: Path, max_affected: int) -> int:
    """Run unless another run is active; the operating system releases the lock if this one dies."""
    with closing(sqlite3.connect(folder / "nightly.lock", timeout=0)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")  # a lock on every system, Windows too
        except sqlite3.OperationalError:
            log.warning("another run is still active")
            return LATER
        return run(client, csv, folder, max_affected)


def run(client: Client, csv: Path, folder: Path, max_affected: int) -> int:
    """Finish an unfinished job, then archive the users in the CSV; return the exit code."""
    ledger, marker = folder / "current.sqlite", folder / "STOPPED"
    if marker.exists():
        log.error("check the error, then delete %s: %s", marker, marker.read_text(encoding="utf-8"))
        return STOPPED
    code = DONE
    try:
        if ledger.exists():
            log.warning("resuming the unfinished job of the last run")
            code = finish(resume(ledger, client), folder)
        if code == LATER:
            return code
        plan = ArchiveJob.from_csv(csv, mode="unenroll", reset_tracking=False).plan(client)
        log.info("plan %s: %s", plan.digest[:16], plan.counts)
        if plan.chunks:
            result = plan.apply(client, ledger=ledger, max_affected=max_affected, note=name_of(csv))
            code = max(code, finish(result, folder))
        else:
            code = max(code, report_skipped(plan, folder, name_of(csv)))
    except TEMPORARY as error:
        log.warning("stopped; the next run continues: %s", error)
        return LATER
    except SETTINGS:
        raise
    except LmsArchiveError as error:
        marker.write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")
        log.critical("stopped, please check: %s: %s", type(error).__name__, error)
        return STOPPED
    return code


def finish(result: ArchiveResult, folder: Path) -> int:
    """Store the evidence of a finished job under the current time, and return the exit code."""
    counts, attention = result.counts, len(result.needs_attention)
    if counts["unknown"]:
        log.warning("some rows are unknown; the next run reads them again: %s", result)
        return LATER
    name = time_stamp()
    result.to_csv(folder / f"{name}.csv")
    (folder / "last-list").write_text(result.note or "", encoding="utf-8")
    result.ledger.rename(folder / f"{name}.sqlite")
    log.info("%s: %s", name, counts)
    if attention:
        log.warning("check %s.csv: %d rows need attention", name, attention)
        return LOOK
    return DONE


def report_skipped(plan: ArchivePlan, folder: Path, list_name: str) -> int:
    """Save why nothing is archived, unless the CSV is the same as last time; return the code."""
    last = folder / "last-list"
    is_known = last.exists() and last.read_text(encoding="utf-8") == list_name
    attention = sum(outcome.needs_attention for outcome in plan.skipped)
    if not plan.skips or (is_known and not attention):
        return DONE
    last.write_text(list_name, encoding="utf-8")
    name = time_stamp()
    plan.to_csv(folder / f"{name}.csv")
    log.warning(
        "nothing to archive, check %s.csv: %d rows, of which %d need attention",
        *(name, len(plan.skips), attention),
    )
    return LOOK


def name_of(csv: Path) -> str:
    """Identify a CSV by its file name and content."""
    return f"{csv.name} {hashlib.sha256(csv.read_bytes()).hexdigest()[:16]}"


def time_stamp() -> str:
    """Return the current time as a file name."""
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%S.%f}"


def set_up_logging(path: Path) -> None:
    """Log everything to the file, and warnings to stderr, so that cron mails only those."""
    everything = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=5, encoding="utf-8")
    warnings = logging.StreamHandler(sys.stderr)
    warnings.setLevel(logging.WARNING)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=[everything, warnings])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Archive and unenroll the users in a CSV.")
    parser.add_argument("csv", type=Path, help="username and course_code, one enrollment a row")
    parser.add_argument("folder", type=Path, help="for ledgers, outcomes and the log")
    parser.add_argument(
        "--max-affected", type=int, default=500, help="refuse to archive more than this (500)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
