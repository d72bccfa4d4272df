"""Check the calls that a job will make against the platform's own swagger, before any write.

No public text names the archive endpoints, so the library asks the platform. A write that is not
confirmed stops the job; `trust_contract=True` overrides that where the platform is silent, never
where it describes the call differently.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.ledger.codec import as_json
from lms_archive.archive.planning.forms import FORMS
from lms_archive.archive.selection import Form
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.values.chunks import Chunk, PlannedTarget
from lms_archive.archive.values.events import ContractChecked, Event, Proven, Warned
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.client import Client
from lms_archive.errors import ApiError, UnconfirmedContractError
from lms_archive.records.status import ArchiveMode
from lms_archive.records.structure import to_plain
from lms_archive.resources.account import known_account, power_user_error
from lms_archive.wire.report import ContractReport, OperationCheck

log: logging.Logger = logging.getLogger(__name__)

_NOT_FOUND = 404
_MISSING = (_NOT_FOUND, 405)
_BY_USER: Form = "hand_picked"
_MOST_TARGETS = 3
"""Targets of a kind whose archived list is read until one is there."""


def check_role(client: Client, kinds: Collection[str]) -> list[str]:
    """Return warnings about the account's role, for a job in targets of these kinds.

    Makes one call. Where the platform does not say who is logged in, nothing is refused.

    Raises:
        PermissionDeniedError: a Power User, who cannot archive in learning plans.
    """
    account = known_account(client.session)
    if account is None or not account.is_power_user:
        return []
    if "learning_plan" in kinds:
        act = "archive learning plan enrollments"
        raise power_user_error(client.session, account, act)
    name = account.username or account.user_id
    return [f"the account {name!r} is a Power User: it needs a permission to archive in courses"]


def warn_about_contract(client: Client, kinds: Collection[str], terms: Terms) -> list[str]:
    """Return what the swagger leaves open about the calls of a job on targets of these kinds."""
    writes, reads = [f"archive_{kind}_enrollments" for kind in sorted(kinds)], _lists(kinds)
    if "learning_plan" in kinds:
        reads += ["get_learning_plan", "learning_plan_courses"]
    elif terms.mode is ArchiveMode.UNENROLL:
        reads.append("get_course")
    report = client.verify_contract([*writes, *reads])
    why = "; ".join(report.unreadable.values())
    warnings = [f"the platform's swagger cannot be read: {why}"] if why else []
    warnings += filter(None, map(_warning_about_read, report))
    mode = str(terms.mode)
    return warnings + [
        _warning_about_write(report[name]) for name in writes if not report.confirmed(name, mode)
    ]


def _warning_about_read(check: OperationCheck) -> str:
    if check.is_write or check.state not in ("differs", "not_listed"):
        return ""
    if check.state == "differs":
        return f"{check.operation} is described differently: {'; '.join(check.faults)}"
    stops = "if the platform does not have it, apply stops before the first write"
    follows = stops if check.operation.startswith("archived_") else "it is called anyway"
    return f"{check.operation} is {'; '.join(check.faults)}; {follows}"


def _warning_about_write(check: OperationCheck) -> str:
    state = {"differs": "described differently", "not_listed": "not listed"}
    shown = state.get(check.state, check.state)
    trust = (
        "trust_contract=True cannot override this"
        if check.state == "differs"
        else "trust_contract=True sends it anyway, for one enrollment first"
    )
    return (
        f"{check.operation} is not confirmed by the platform's swagger ({shown}): apply will "
        "refuse it. print(client.verify_contract()) lists possible overrides; "
        f"{trust}"
    )


def require_contract(client: Client, plan: PlanData, *, trust: bool) -> list[Event]:
    """Check that every write is confirmed or trusted; return the events for the ledger.

    The archived list is read once: without it nothing could be proven afterwards.

    Raises:
        UnconfirmedContractError: a write is not confirmed and not trusted, or is described
            differently; or the platform has no archived list.
    """
    if not plan.chunks:
        return []
    writes, lists, mode = _writes(plan.chunks), _lists_of(plan.chunks), str(plan.terms.mode)
    report = client.verify_contract([*writes, *lists])
    report.require(*writes, mode=mode, trust=trust)
    _read_archived(client, plan.chunks, report)
    trusted = [
        f"trusted without confirmation: {name}, {check.method} {check.path} "
        f"({check.state.replace('_', ' ')})"
        for name in writes
        if not (check := report[name]).confirmed(mode)
    ]
    for text in trusted:
        log.warning("%s", text)
    return [ContractChecked(_contract_digest(client, plan), tuple(trusted)), *map(Warned, trusted)]


def require_contract_again(client: Client, ledger: Ledger, plan: PlanData, *, trust: bool) -> None:
    """Check the contract of a ledger that is resumed, if rows are left and it was not checked yet.

    What was trusted stays trusted for the same contract once a canary has proven it.
    """
    last, proven = None, False
    for event in ledger.events(ContractChecked, Proven):
        if isinstance(event, ContractChecked):
            last, proven = event, False
        else:
            proven = True
    digest = _contract_digest(client, plan)
    if last is not None and last.contract == digest and (proven or not last.trusted):
        return
    if ledger.sent_counts().keys().isdisjoint((None, "unknown")):
        return
    ledger.append(*require_contract(client, plan, trust=trust))


def require_endpoint(client: Client, name: str, error: ApiError) -> None:
    """Raise an error that explains a 404 or 405 of a read that the swagger does not list."""
    if error.status not in _MISSING:
        return
    report = client.verify_contract([name])
    if report[name].state == "not_listed":
        raise UnconfirmedContractError(
            f"the platform may not have this call: {error}\n{report[name]}",
            report,
        ) from None


def _read_archived(client: Client, chunks: Sequence[Chunk], report: ContractReport) -> None:
    """Read the archived list of a target of each kind, and of a course of a plan.

    One of them may have been deleted meanwhile: then the next ones are tried.
    """
    targets = {chunk.target.key: chunk.target for chunk in chunks}
    for chunk in chunks:
        for course in chunk.target.courses:
            target = PlannedTarget(kind="course", target_id=course)
            targets.setdefault(target.key, target)
    user_ids = [chunks[0].members[0].user_id]
    for kind in dict.fromkeys(target.kind for target in targets.values()):
        of_kind = [target for target in targets.values() if target.kind == kind][:_MOST_TARGETS]
        check = report[f"archived_{kind}_enrollments"]
        if not any(_has_archived_list(client, target, user_ids, check) for target in of_kind):
            raise UnconfirmedContractError(
                f"the platform has no list of archived {kind} enrollments, and nothing can be "
                f"proven without it; nothing was sent.\n{check}",
                report,
            )


def _has_archived_list(
    client: Client, target: PlannedTarget, user_ids: Sequence[int], check: OperationCheck
) -> bool:
    """Return whether the archived list exists: it can be read, or only the target is missing."""
    try:
        TargetLists(client, target).check_archived(user_ids)
    except ApiError as error:
        if error.status not in _MISSING or (check.confirmed() and error.status != _NOT_FOUND):
            raise
        return check.confirmed()  # then it is the target that is not there
    return True


def _contract_digest(client: Client, plan: PlanData) -> str:
    """Return the hash of the rows of the contract that decide what is sent, and what proves it."""
    contract = client.session.settings.contract
    names = [*_writes(plan.chunks), *_lists_of(plan.chunks)]
    rows = [to_plain(contract.operations[name]) for name in names]
    text = as_json([rows, contract.enrollment_mode[str(plan.terms.mode)]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _writes(chunks: Sequence[Chunk]) -> list[str]:
    """Return the writes of a job; where a chunk is select-all, the canary still names its user."""
    uses = {(form, chunk.target.kind) for chunk in chunks for form in (_BY_USER, chunk.form)}
    return sorted({FORMS[form].operation(kind) for form, kind in uses})


def _lists_of(chunks: Sequence[Chunk]) -> list[str]:
    return _lists({chunk.target.kind for chunk in chunks})


def _lists(kinds: Collection[str]) -> list[str]:
    """Return the lists that a job cannot do without: for plans, those of their courses too."""
    wanted = sorted({*kinds, "course"} if "learning_plan" in kinds else kinds)
    return [f"{word}{kind}_enrollments" for kind in wanted for word in ("", "archived_")]
