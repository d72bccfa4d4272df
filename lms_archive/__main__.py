"""`python -m lms_archive verify URL`: whether a platform's calls are those of the contract."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from lms_archive.client import Client
from lms_archive.errors import LmsArchiveError
from lms_archive.limits import RetryPolicy
from lms_archive.wire.contract import Contract
from lms_archive.wire.report import ContractReport

_FAILED = 2
_TRIES = 2  # somebody is waiting


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_FAILED, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Returns:
        0: every write is confirmed; 1: one is not; 2: the arguments, the environment, the login
        or the connection is at fault, which is told in one line on stderr.
    """
    given = _parser().parse_args(arguments)
    try:
        contract = Contract.from_file(given.contract) if given.contract else None
        options = {"contract": contract, "retry": RetryPolicy(attempts=_TRIES)}
        with Client.from_env(base_url=given.url, **options) as client:
            report = client.verify_contract()
    except LmsArchiveError as error:
        return _failed(str(error))
    if report.judgements and all(_is_401(judgement.faults) for judgement in report):
        return _failed(f"the token is not accepted: {next(iter(report.unread.values()))}")
    return _told(report)


def _told(report: ContractReport) -> int:
    print(report)
    if report.overrides:
        print(f"\nTo paste, once you have compared it with the platform:\n\n{report.overrides}")
    open_ones = [one.operation for one in report if one.is_needed and one.state != "confirmed"]
    print(
        f"\nNot confirmed: {', '.join(open_ones)}." if open_ones else "\nEvery write is confirmed."
    )
    return 1 if open_ones else 0


def _is_401(faults: Sequence[str]) -> bool:
    return any(": 401 " in f"{fault} " for fault in faults)


def _failed(words: str) -> int:
    print(f"lms_archive: {' '.join(words.split())}", file=sys.stderr)
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lms_archive", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="verify")
    verify = commands.add_parser(
        "verify",
        help="ask a platform's own swagger whether its calls are those of the contract",
        description="Reads only. The account comes from the environment: LMS_ARCHIVE_TOKEN, or "
        "LMS_ARCHIVE_CLIENT_ID, _CLIENT_SECRET, _USERNAME and _PASSWORD.",
        epilog="Exit code: 0 every write is confirmed, 1 one is not, 2 it could not be asked.",
    )
    verify.add_argument("url", metavar="URL", help="the platform, https://acme.example.com")
    verify.add_argument("--contract", metavar="FILE", help="overrides, as for Contract.from_file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
