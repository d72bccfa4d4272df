"""Apply a plan or resume its ledger: checks, ledger, run and result."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from lms_archive.archive.events import reporting
from lms_archive.archive.ledger import Ledger, read_progress
from lms_archive.archive.ledger.lock import ledger_path
from lms_archive.archive.options import RUN_DEFAULTS, Options, RunOptions, check_client
from lms_archive.archive.planning.preflight import (
    check_role,
    require_contract,
    require_contract_again,
)
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.running.plan_courses import decide_course_rows
from lms_archive.archive.running.run import run
from lms_archive.archive.running.state import Recorder, RunState
from lms_archive.archive.selection import Selection
from lms_archive.archive.values.events import CallsMade, Noted, Warned
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, LedgerError, LmsArchiveError, RunStoppedError
from lms_archive.resources.signatures import shows_options
from lms_archive.wire.tracebacks import short_traceback

if TYPE_CHECKING:
    from typing_extensions import Unpack

log: logging.Logger = logging.getLogger(__name__)


def apply_plan(
    plan: PlanData,
    selection: Selection,
    digest: str,
    client: Client,
    *,
    ledger: str | os.PathLike[str],
    options: RunOptions,
) -> ArchiveResult:
    """Run a plan in a new ledger, or go on with a ledger of the same plan."""
    checked = Options.of(options, canary=1)
    check_client(client)
    if client.base_url != plan.platform:
        raise InvalidInputError(
            f"the plan was read from {plan.platform}, and this client is for {client.base_url}"
        )
    checked.check_ceiling(plan.chunks)
    path, trust = ledger_path(ledger), checked.trust_contract
    with client.session.counting() as calls, client.session.waits.hooked(stop=checked.stop):
        is_new, may_use_reading = not path.exists(), False
        if is_new:
            confirmed = require_contract(client, plan, trust=trust)
            events = [*map(Warned, plan.warnings), *confirmed]
            may_use_reading = client.session.use_reading(plan)
            own_ledger = Ledger.create(
                path, plan, selection, digest=digest, canary=checked.canary, events=events
            )
        else:
            own_ledger = _ledger_of(digest, path, ledger)
        with own_ledger, _noting_progress(own_ledger, ledger):
            if not is_new:
                plan = own_ledger.plan()
                require_contract_again(client, own_ledger, plan, trust=trust)
            return _go_on(plan, client, own_ledger, checked, calls, may_use_reading=may_use_reading)


@short_traceback
@shows_options(RunOptions, RUN_DEFAULTS)
def resume(
    ledger: str | os.PathLike[str], client: Client, **options: Unpack[RunOptions]
) -> ArchiveResult:
    """Continue the job in a ledger; a finished job gives the same result again.

    Background jobs that still run are waited for, rows whose answer was lost are read back,
    unknown rows are read again, and only enrollments that are still as planned are sent. The
    arguments are those of `ArchivePlan.apply`; by default `canary` is that of the ledger, and 0
    continues after a canary that another person unenrolled. A contract that was confirmed or
    trusted before is not checked again.

    Raises:
        InvalidInputError: an argument cannot be used.
        LedgerError: the ledger is missing, damaged, in use, of another version, or of another
            platform than the client's.
        UnconfirmedContractError: as in `apply`; nothing was sent.
        TooManyAffectedError: as in `apply`; nothing was sent by this call.
        RunStoppedError: something was not as it should be, or `stop` is set (that is a
            `StopRequestedError`); the ledger can be resumed.
        JobTimeoutError: a background job has not ended; the ledger can be resumed.
        ApiError: a call failed; the ledger can be resumed.
    """
    check_client(client)
    with (
        client.session.counting() as calls,
        Ledger.open(ledger) as open_ledger,
        _noting_progress(open_ledger, ledger),
    ):
        plan = open_ledger.plan()
        if client.base_url != plan.platform:
            raise LedgerError(
                f"{ledger}: belongs to {plan.platform}, and this client is for {client.base_url}"
            )
        checked = Options.of(options, canary=int(open_ledger.meta("canary") or 1))
        checked.check_ceiling(plan.chunks)
        with client.session.waits.hooked(stop=checked.stop):
            require_contract_again(client, open_ledger, plan, trust=checked.trust_contract)
            return _go_on(plan, client, open_ledger, checked, calls)


def _go_on(
    plan: PlanData,
    client: Client,
    ledger: Ledger,
    options: Options,
    calls: Mapping[str, int],
    *,
    may_use_reading: bool = False,
) -> ArchiveResult:
    """Run a plan, starting from the state in its ledger.

    `may_use_reading` says whether the reading that the plan was made of may be used while it is
    recent enough.
    """
    if options.note is not None:
        ledger.append(Noted(options.note))
    state = RunState(plan.chunks)
    for event in ledger.events():
        state.apply(event)
    counts = ledger.sent_counts()
    left = counts.get(None, 0) + counts.get("unknown", 0)
    calls_left = ceil(sum(plan.calls.values()) * left / max(sum(counts.values()), 1))
    client.session.expect(calls_left)
    kinds = {queue.target.kind for queue in state.queues.values() if queue.pending}
    try:
        if kinds and not may_use_reading:
            check_role(client, kinds)
        with reporting(client, state, options.on_event, progress=options.progress) as listeners:
            run(
                client,
                Recorder(ledger, state, listeners),
                ledger.rows(),
                plan.terms,
                canary=options.canary,
                may_use_reading=may_use_reading,
                allow_changes=options.allow_changes,
            )
    except BaseException:
        with suppress(LedgerError):  # what went wrong first is what is reported
            _record_calls(ledger, calls)
            decide_course_rows(ledger)
        raise
    _record_calls(ledger, calls)
    decide_course_rows(ledger)
    return ArchiveResult(ledger.path, client)


def _record_calls(ledger: Ledger, calls: Mapping[str, int]) -> None:
    if calls:
        ledger.append(CallsMade(dict(calls)))


@contextmanager
def _noting_progress(ledger: Ledger, name: str | os.PathLike[str]) -> Iterator[None]:
    """Add a note to the error that stops a job: how far it got, and what to type next.

    The note is the last line of the traceback; it is logged too, and an error of this library
    carries the ledger.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, LmsArchiveError):
            error.ledger = ledger.path
        with suppress(LedgerError):  # what went wrong first is what is reported
            if isinstance(error, RunStoppedError):
                error.counts = read_progress(ledger.path).counts
            note = f"{_progress(ledger)}; nothing is lost; resume({os.fspath(name)!r}, client)"
            log.warning("stopped: %s", note)
            add_note = getattr(error, "add_note", None)  # every exception's from Python 3.11 on
            if add_note is not None:
                add_note(note)
        raise


def _progress(ledger: Ledger) -> str:
    """Return how far a job got, of the rows that the plan sends."""
    kinds = ledger.sent_counts()
    total, unknown = sum(kinds.values()), kinds.get("unknown", 0)
    done = total - unknown - kinds.get(None, 0)
    text = f"{done:,} of {total:,} done"
    return f"{text}, {unknown:,} unknown" if unknown else text


def _ledger_of(digest: str, path: Path, name: str | os.PathLike[str]) -> Ledger:
    """Open the ledger that is there already, or say what to do if it is another plan's."""
    ledger = Ledger.open(path)
    if ledger.meta("digest") == digest:
        return ledger
    ledger.close()
    status = read_progress(path)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in status.counts.items())
    if status.is_finished:
        when = f" on {status.changed_at:%Y-%m-%d %H:%M} UTC" if status.changed_at else ""
        advice = (
            f"holds the finished job of another plan, done{when}: {counts}. For this plan, name "
            f"another ledger; ArchiveResult({str(name)!r}) shows that job"
        )
    else:
        advice = (
            f"holds an unfinished job of another plan: {counts}, {status.pending:,} pending. "
            f"Finish it first: resume({str(name)!r}, client). Then plan again; only a plan for "
            "other rows may run before that, with another ledger"
        )
    error = LedgerError(f"{name}: {advice}")
    error.ledger = path
    raise error
