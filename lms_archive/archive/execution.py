"""Going on from a ledger, after whatever it was."""

from __future__ import annotations

import os

from lms_archive.archive.applying import (
    Options,
    check_ceiling,
    check_client,
    check_number,
    noting_progress,
)
from lms_archive.archive.events import OnEvent
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.plan import go_on
from lms_archive.archive.result import ArchiveResult
from lms_archive.client import Client
from lms_archive.errors import LedgerError

__all__ = ["resume"]


def resume(
    ledger: str | os.PathLike[str],
    client: Client,
    *,
    max_affected: int | None = None,
    canary: int | None = None,
    progress: bool = False,
    on_event: OnEvent | None = None,
    trust_contract: bool = False,
    allow_changes: bool = False,
    note: str | None = None,
) -> ArchiveResult:
    """Go on with a ledger's plan from where it stood; a finished one gives the same result.

    Jobs that still run are waited for, rows whose answer was lost are read back, unknown rows
    are looked at again, and only what still has its pre-image is sent. The arguments are as in
    `ArchivePlan.apply`; `canary` is the ledger's unless given: 0 goes on behind one that somebody
    else unenrolled. A contract that the ledger's job has been begun with, confirmed or trusted,
    is not asked for again.

    Raises:
        InvalidInputError: an argument cannot be used.
        LedgerError: the ledger is missing, damaged, in use, of another version, or of another
            platform than the client's.
        UnconfirmedContractError: as in `apply`; nothing was sent.
        RunStoppedError: something was not as it should be; the ledger can be resumed.
        ApiError: a call failed; likewise.
    """
    check_client(client)
    with client.session.counting() as calls, Ledger.open(ledger) as book:
        plan = book.plan()
        with noting_progress(book, plan.chunks, ledger):
            if client.base_url != plan.platform:
                raise LedgerError(
                    f"{ledger}: of {plan.platform}; this client is {client.base_url}'s"
                )
            check_ceiling(plan.chunks, max_affected)
            if canary is not None:
                check_number("canary", canary)
            options = Options(
                canary=int(book.meta("canary") or 1) if canary is None else canary,
                progress=progress,
                on_event=on_event,
                trust_contract=trust_contract,
                allow_changes=allow_changes,
                note=note,
            )
            return go_on(plan, client, book, options, calls)
