"""Known ground: what the platform's own swagger says of the calls that a job will make.

No public text names the archive endpoints, so the library does not hope: it asks. What is not
confirmed comes with the nearest operations of the platform; none of them is ever used by itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence

from lms_archive.archive.cutting import Chunk, PlannedTarget
from lms_archive.archive.entries import as_json
from lms_archive.archive.ledger import Event, Ledger
from lms_archive.archive.outcomes import CODES
from lms_archive.archive.places import archived_pages
from lms_archive.archive.select_all import operation_of
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import ApiError, LmsArchiveError, UnconfirmedContractError
from lms_archive.records.convert import to_plain
from lms_archive.records.status import ArchiveMode
from lms_archive.wire.report import ContractReport, OperationCheck

__all__ = ["check_for_plan", "confirm_for_apply", "confirm_for_resume", "not_there"]

log: logging.Logger = logging.getLogger(__name__)

_NOT_THERE = (404, 405)


def check_for_plan(client: Client, kinds: Collection[str], terms: Terms) -> list[str]:
    """What to think of before anything is read in targets of these kinds, in words.

    Raises:
        UnconfirmedContractError: a list that the job cannot do without is missing.
        ApiError: the login failed, or the platform cannot be reached.
    """
    if not kinds:
        return []
    writes, lists = [f"archive_{kind}_enrollments" for kind in sorted(kinds)], _lists(kinds)
    report = client.verify_contract([*writes, *lists, *_other_reads(kinds, terms)])
    _require_lists(report, lists)
    why = "; ".join(report.unread.values())
    told = [f"the platform's swagger cannot be read: {why}"] if why else []
    told += (
        f"{one.operation} {one.state}: {'; '.join(one.faults)}"
        for one in report
        if not one.is_write and one.state in ("differs", "missing")
    )
    told += (
        f"{name} is not confirmed by the platform's swagger ({report[name].state}): apply will "
        "refuse it. print(client.verify_contract()) shows what is near; trust_contract=True goes "
        "on all the same, with one enrollment first"
        for name in writes
        if not report.confirmed(name, str(terms.mode))
    )
    return told


def confirm_for_apply(
    client: Client, chunks: Sequence[Chunk], terms: Terms, *, trust: bool
) -> list[Event]:
    """Go ahead on confirmed ground only; the states that say so in the ledger.

    The archived list is read once: without it nothing could be proven afterwards.

    Raises:
        UnconfirmedContractError: a write is not confirmed and not trusted; or the platform has no
            archived list, trusted or not.
        ApiError: the login failed, the platform cannot be reached, or the list cannot be read.
    """
    if not chunks:
        return []
    writes, lists, mode = _writes(chunks), _lists(_kinds(chunks)), str(terms.mode)
    report = client.verify_contract([*writes, *lists])
    _require_lists(report, lists)
    if not trust:
        report.require(*writes, mode=mode)
    _read_archived(client, chunks, report)
    trusted = [
        f"trusted without confirmation: {name}, {one.method} {one.path} ({one.state})"
        for name in writes
        if not (one := report[name]).confirmed(mode)
    ]
    for text in trusted:
        log.warning("%s", text)
    contract = _contract_of(client, chunks, terms)
    return [
        Event(None, "ground", {"contract": contract, "trusted": trusted}),
        *(Event(None, "warning", {"text": text}) for text in trusted),
    ]


def confirm_for_resume(
    client: Client, book: Ledger, chunks: Sequence[Chunk], terms: Terms, *, trust: bool
) -> None:
    """The same for an open ledger: nothing where all is settled, or it stands there already.

    What was trusted stays trusted for the same contract once a canary has proven it.

    Raises:
        UnconfirmedContractError, ApiError: as `confirm_for_apply`.
    """
    contract = _contract_of(client, chunks, terms)
    standing, proven = None, False
    for one in book.events():
        if one.state == "ground":
            standing, proven = one.data, False
        elif one.state == "proven":
            proven = True
    if standing and standing["contract"] == contract and (proven or not standing["trusted"]):
        return
    codes = book.codes()
    kinds = (CODES.get(codes.get(one.row, "")) for chunk in chunks for one in chunk.members)
    if all(kind not in (None, "unknown") for kind in kinds):
        return
    try:
        book.commit((), confirm_for_apply(client, chunks, terms, trust=trust))
    except LmsArchiveError as error:
        error.ledger = book.path
        raise


def not_there(client: Client, name: str, error: ApiError) -> None:
    """A list was asked for and is not there: where the swagger has none either, say what is near.

    Raises:
        UnconfirmedContractError: it has none; nothing was sent.
    """
    if error.status in _NOT_THERE:
        _require_lists(client.verify_contract([name]), [name])


def _require_lists(report: ContractReport, lists: Sequence[str]) -> None:
    missing = [report[name] for name in lists if report[name].state == "missing"]
    if missing:
        told = "\n".join(map(str, missing))
        raise UnconfirmedContractError(
            "the platform's swagger has no such list, and the job cannot do without it; "
            f"nothing was sent.\n{told}",
            report,
        )


def _read_archived(client: Client, chunks: Sequence[Chunk], report: ContractReport) -> None:
    """Read the archived list of the first target of each kind, and of a course of a plan."""
    first = {chunk.target.kind: chunk.target for chunk in reversed(chunks)}
    courses = [course for chunk in chunks for course in chunk.target.courses]
    if courses:
        first.setdefault("course", PlannedTarget(kind="course", target_id=courses[0]))
    someone = [chunks[0].members[0].user_id]
    for kind, target in first.items():
        if not _is_there(client, target, someone, report[f"archived_{kind}_enrollments"]):
            raise UnconfirmedContractError(
                f"the platform has no list of archived {kind} enrollments, and nothing can be "
                f"proven without it; nothing was sent.\n{report}",
                report,
            )


def _is_there(
    client: Client, target: PlannedTarget, someone: Sequence[int], judged: OperationCheck
) -> bool:
    try:
        next(archived_pages(client, target, user_ids=someone))
    except ApiError as error:
        if error.status not in _NOT_THERE or judged.confirmed():
            raise
        return False
    return True


def _contract_of(client: Client, chunks: Sequence[Chunk], terms: Terms) -> str:
    """The hash of the rows of the contract that decide what is sent, and what proves it."""
    contract = client.wire.settings.contract
    names = [*_writes(chunks), *_lists(_kinds(chunks))]
    rows = [to_plain(contract.operations[name]) for name in names]
    text = as_json([rows, contract.enrollment_mode[str(terms.mode)]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kinds(chunks: Sequence[Chunk]) -> set[str]:
    return {chunk.target.kind for chunk in chunks}


def _writes(chunks: Sequence[Chunk]) -> list[str]:
    return sorted(set(_each_write(chunks)))


def _each_write(chunks: Sequence[Chunk]) -> Iterator[str]:
    for chunk in chunks:
        yield f"archive_{chunk.target.kind}_enrollments"  # the canary is always sent by user
        if chunk.form == "select_all":
            yield operation_of(chunk.target)


def _lists(kinds: Collection[str]) -> list[str]:
    """The lists that a job cannot do without: for plans, those of their courses too."""
    wanted = sorted({*kinds, "course"} if "learning_plan" in kinds else kinds)
    return [f"{word}{kind}_enrollments" for kind in wanted for word in ("", "archived_")]


def _other_reads(kinds: Collection[str], terms: Terms) -> list[str]:
    if "learning_plan" in kinds:
        return ["get_learning_plan", "learning_plan_courses"]
    return ["get_course"] if terms.mode is ArchiveMode.UNENROLL else []
