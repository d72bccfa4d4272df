"""Archive and unenroll those who have left, from every course that the directory lists."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lms_archive import ArchiveJob, ArchiveResult, Client, LmsArchiveError

__all__ = ["archive_leavers", "main"]


def archive_leavers(
    client: Client, leavers: Iterable[str], courses: Iterable[str], ledger: Path
) -> ArchiveResult:
    """Archive what these users have completed in these courses, with a ledger of its own."""
    leavers = list(leavers)
    rows = [{"username": user, "course_code": course} for course in courses for user in leavers]
    job = ArchiveJob.from_rows(rows, mode="unenroll", reset_tracking=False)
    return job.plan(client).apply(client, ledger=ledger, max_affected=1_000, note="leavers 1.0")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where every row that was sent is archived."""
    parser = argparse.ArgumentParser(prog="leavers", description=__doc__)
    parser.add_argument("leavers", type=Path, help="a text file, one username a line")
    parser.add_argument("--course", action="append", required=True, help="a course code")
    parser.add_argument("--ledger", type=Path, required=True)
    given = parser.parse_args(arguments)
    names = given.leavers.read_text(encoding="utf-8").split()
    try:
        with Client.from_env(app_info="leavers/1.0") as client:
            result = archive_leavers(client, names, given.course, given.ledger)
            print(result)
            result.raise_for_failures()
    except LmsArchiveError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
