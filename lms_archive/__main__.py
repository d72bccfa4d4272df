"""Check a platform's own description of its calls against the contract."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lms_archive.client import Client
from lms_archive.errors import LmsArchiveError
from lms_archive.limits import RetryPolicy
from lms_archive.wire.contract import Contract
from lms_archive.wire.documents import FolderDocuments, PlatformDocuments
from lms_archive.wire.environment import contract_of_environment
from lms_archive.wire.report import ContractReport
from lms_archive.wire.verify import check_contract

_FAILED = 2
_ATTEMPTS = 2  # a person is waiting


class _Parser(argparse.ArgumentParser):
    """A parser that reports wrong arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_FAILED, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Returns:
        0: every write is confirmed; 1: a write is not confirmed; 2: the arguments, the
        environment, the login, the connection or a file is at fault: one line on stderr says
        which.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.url) == bool(options.documents):
        parser.error("pass either a URL or --documents FOLDER")
    if options.save_documents and options.documents:
        parser.error("--save-documents needs a URL")
    try:
        report = _report(options)
        if options.save:
            report.suggested_contract().save(options.save)
    except LmsArchiveError as error:
        return _failed(str(error))
    if report.checks and all(_is_401(check.faults) for check in report):
        return _failed(f"the token is not accepted: {next(iter(report.unreadable.values()))}")
    _print(report, options)
    return 1 if _unconfirmed(report) else 0


def _report(options: argparse.Namespace) -> ContractReport:
    contract = Contract.load(options.contract) if options.contract else contract_of_environment()
    contract = contract or Contract.default()
    if options.documents:
        return check_contract(contract, FolderDocuments(Path(options.documents)))
    folder = Path(options.save_documents) if options.save_documents else None
    retry = RetryPolicy(attempts=_ATTEMPTS)
    with Client.from_env(base_url=options.url, contract=contract, retry=retry) as client:
        documents = PlatformDocuments(client.session, folder)
        if folder is not None:
            documents.read_all()
        return check_contract(contract, documents)


def _print(report: ContractReport, options: argparse.Namespace) -> None:
    print(report)
    if report.overrides:
        print(f"\nTo paste, once you have compared it with the platform:\n\n{report.overrides}")
    if options.save_documents:
        folder = Path(options.save_documents)
        saved = f"The documents are in {folder}; they hold no personal data."
        print(f"\n{saved if any(folder.glob('*.json')) else 'No document could be saved.'}")
    if options.save and report.overrides:
        print(
            f"\nThe suggested contract is in {options.save}. Compare it with the platform, then "
            f"set LMS_ARCHIVE_CONTRACT={options.save}, or pass Contract.load({options.save!r})."
        )
    elif options.save:
        print(f"\nThere is no suggestion: {options.save} holds the contract that was checked.")
    print(f"\n{_conclusion(report)}")


def _conclusion(report: ContractReport) -> str:
    unconfirmed = _unconfirmed(report)
    if unconfirmed:
        return f"Not confirmed: {', '.join(unconfirmed)}."
    others = [row.operation for row in report if row.is_write and row.state != "confirmed"]
    if others:
        return (
            f"Every write is confirmed except {', '.join(others)}, which "
            f"{'is' if len(others) == 1 else 'are'} only used on request."
        )
    return "Every write is confirmed."


def _unconfirmed(report: ContractReport) -> list[str]:
    return [row.operation for row in report if row.is_needed and row.state != "confirmed"]


def _is_401(faults: Sequence[str]) -> bool:
    return any(": 401 " in f"{fault} " for fault in faults)


def _failed(message: str) -> int:
    print(f"lms_archive: {' '.join(message.split())}", file=sys.stderr)
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lms_archive", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="verify")
    verify = commands.add_parser(
        "verify",
        help="compare a platform's own swagger with the contract",
        description="Compare a platform's own swagger with the contract; only reads. The account "
        "comes from the environment: LMS_ARCHIVE_TOKEN, or LMS_ARCHIVE_CLIENT_ID, _CLIENT_SECRET, "
        "_USERNAME and _PASSWORD. --documents needs neither a platform nor an account.",
        epilog="Exit code: 0: every write is confirmed; 1: a write is not confirmed; 2: the check "
        "failed.",
    )
    verify.add_argument("url", metavar="URL", nargs="?", help="https://acme.example.com")
    verify.add_argument(
        "--documents", metavar="FOLDER", help="check documents saved by --save-documents"
    )
    verify.add_argument(
        "--contract",
        metavar="FILE",
        help="a file for Contract.load; by default LMS_ARCHIVE_CONTRACT or the default contract",
    )
    verify.add_argument("--save", metavar="FILE", help="write the suggested contract to a new file")
    verify.add_argument(
        "--save-documents",
        metavar="FOLDER",
        help="save every swagger document that the platform lists, unchanged",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
