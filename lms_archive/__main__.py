"""Check a platform's calls, show the progress of a job, or continue it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from attrs import evolve

from lms_archive.archive.events import RunEvent, write_event
from lms_archive.archive.execution import resume
from lms_archive.archive.ledger import canary_failed_in, read_progress
from lms_archive.archive.ledger.lock import hold, ledger_path
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.client import Client
from lms_archive.errors import (
    AuthenticationError,
    ConnectionSettingsError,
    InvalidInputError,
    JobTimeoutError,
    LedgerError,
    LedgerInUseError,
    LmsArchiveError,
    PlatformUnavailableError,
    RateLimitError,
    plural,
    printable,
)
from lms_archive.limits import RetryPolicy
from lms_archive.wire.contract import Contract
from lms_archive.wire.documents import FolderDocuments, PlatformDocuments
from lms_archive.wire.report import ContractReport
from lms_archive.wire.settings import PREFIX, contract_of_environment
from lms_archive.wire.verify import check_contract

_DONE, _LOOK, _FAILED, _LATER, _STOPPED = range(5)
_TEMPORARY = (PlatformUnavailableError, RateLimitError, JobTimeoutError, LedgerInUseError)
_SETTINGS = (AuthenticationError, ConnectionSettingsError)
_ATTEMPTS = 2  # a person is waiting
_CANARY_FAILED = (
    "The first enrollment was not archived as requested. Find the cause before you resume."
)


class _Parser(argparse.ArgumentParser):
    """A parser that reports wrong arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_FAILED, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, which the help of the command explains."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "status":
            return _status(options.ledger)
        if options.command == "resume":
            return _resume(options.ledger, options.prefix)
        return _verify(parser, options)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _silence(sys.stdout, sys.stderr)
        return _FAILED if options.command == "verify" else _status(options.ledger)


def _silence(*streams: TextIO) -> None:
    """Write to nowhere from now on: these streams are closed at the other end."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _status(ledger: str) -> int:
    try:
        return _print_result(ArchiveResult(ledger), ledger)
    except LmsArchiveError as error:
        return _failed(str(error))


def _resume(ledger: str, prefix: str) -> int:
    try:
        read_progress(ledger_path(ledger))  # a missing ledger is reported before missing settings
        with Client.from_env(prefix=prefix) as client:
            return _print_result(resume(ledger, client, on_event=_print_event), ledger)
    except _TEMPORARY as error:
        return _failed(f"{str(error).rstrip('.')}; to continue: {_command(ledger)}", _LATER)
    except (InvalidInputError, LedgerError, *_SETTINGS) as error:
        return _failed(str(error))
    except LmsArchiveError as error:
        advice = f"find the cause, then run: {_command(ledger)}"
        text = f"{type(error).__name__}: {error}".rstrip(".")
        return _failed(f"{text}; {advice}", _STOPPED)
    except KeyboardInterrupt:
        return _failed(f"interrupted; nothing is lost; to continue: {_command(ledger)}", _LATER)


def _print_event(event: RunEvent) -> None:
    if event.kind == "stopped":  # the error itself is printed after this line
        event = evolve(event, reason=(event.reason or "").partition(":")[0])
    try:
        write_event(event)
    except BrokenPipeError:  # nobody reads the progress: the job goes on
        _silence(sys.stderr)


def _print_result(result: ArchiveResult, ledger: str) -> int:
    """Print how a job stands and which rows need attention; return the exit code."""
    print(result._terminal_text())  # noqa: SLF001  who reads it has no Python object
    by_code = _by_code(result.needs_attention)
    if by_code:
        attention = sum(count for count, _ in by_code.values())
        print(f"{plural(attention, 'row')} {'needs' if attention == 1 else 'need'} attention:")
        for code, (count, outcome) in by_code.items():
            print(f"  {count:,} {code}, for example {_line(outcome)}")
        print(f"To get all of them as a CSV: {_csv_command(ledger)}")
    if not result.is_finished:
        print(_advice(ledger))
        return _LATER
    print("Finished.")
    return _LOOK if by_code else _DONE


def _line(outcome: Outcome) -> str:
    line = f"line {outcome.line}: " if outcome.line else ""
    names = f"{outcome.user} in {outcome.target}: " if outcome.target else ""
    reason = "; ".join([outcome.reason, *outcome.differences])
    return printable(f"{line}{names}{outcome.kind}, {reason}")


def _by_code(outcomes: Iterable[Outcome]) -> dict[str, tuple[int, Outcome]]:
    """Count outcomes by code, and keep the first of each: one reason does not hide the others."""
    counts: dict[str, tuple[int, Outcome]] = {}
    for outcome in outcomes:
        count, first = counts.get(outcome.code, (0, outcome))
        counts[outcome.code] = count + 1, first
    return counts


def _advice(ledger: str) -> str:
    """Return how to continue, or which process is at work on the ledger now."""
    try:
        hold(ledger_path(ledger)).close()
    except LedgerInUseError as error:
        return f"Not finished: {error}"
    except LedgerError:
        pass  # it cannot be locked here, which `resume` explains
    advice = f"Not finished. To continue: {_command(ledger)}"
    return f"{_CANARY_FAILED}\n{advice}" if canary_failed_in(ledger_path(ledger)) else advice


def _command(ledger: str) -> str:
    return f"python -m lms_archive resume {shlex.quote(ledger)}"


def _csv_command(ledger: str) -> str:
    path = Path(ledger).as_posix()  # a backslash means something else in some shells
    rows = f"ArchiveResult({path!r}).needs_attention"
    code = f"from lms_archive import ArchiveResult; {rows}.to_csv('attention.csv')"
    quoted = shlex.quote(code) if set(code) & set('"$`!\\') else f'"{code}"'
    return f"python -c {quoted}"


def _verify(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
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
        holds = "holds the contract that was checked"
        if report.contract == Contract.default():
            holds = "has no override of the default contract"
        print(f"\nThere is no suggestion: {options.save} {holds}.")
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


def _failed(message: str, code: int = _FAILED) -> int:
    print(f"lms_archive: {' '.join(message.split())}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lms_archive", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    verify = commands.add_parser(
        "verify",
        help="compare a platform's own Swagger documents with the contract",
        description="Compare a platform's own Swagger documents with the contract; only reads. The "
        "account comes from the environment: LMS_ARCHIVE_TOKEN, or LMS_ARCHIVE_CLIENT_ID, "
        "_CLIENT_SECRET, _USERNAME and _PASSWORD. --documents needs neither a platform nor an "
        "account.",
        epilog="Exit code: 0 every write is confirmed, 1 a write is not confirmed, 2 the check was "
        "not possible.",
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
        help="save every Swagger document that the platform lists, unchanged",
    )
    codes = (
        "Exit code: 0 finished, 1 finished and rows need attention, 2 the ledger or the settings "
        "cannot be used, 3 not finished"
    )
    status = commands.add_parser(
        "status",
        help="show the progress of a job",
        description="Reads the ledger only: neither a platform nor an account is needed.",
        epilog=f"{codes}.",
    )
    resuming = commands.add_parser(
        "resume",
        help="continue a job",
        description="Continues a job from its ledger, as lms_archive.resume does. Address and "
        "account come from the environment: LMS_ARCHIVE_URL, and LMS_ARCHIVE_TOKEN or "
        "LMS_ARCHIVE_CLIENT_ID, _CLIENT_SECRET, _USERNAME and _PASSWORD. Progress is written to "
        "stderr.",
        epilog=f"{codes}, 4 stopped until you have looked.",
    )
    for command in (status, resuming):
        command.add_argument("ledger", metavar="LEDGER", help="the ledger file of the job")
    resuming.add_argument(
        "--prefix",
        default=PREFIX,
        metavar="ACME_",
        help="the prefix of the environment variables, as for Client.from_env",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
