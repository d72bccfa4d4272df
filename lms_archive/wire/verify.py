"""Check the contract against the platform's own swagger; only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve

from lms_archive.errors import InvalidInputError
from lms_archive.wire.candidates import (
    TARGETS,
    candidate_for,
    noun_of,
    placeholders_of,
)
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.documents import Document, FolderDocuments, PlatformDocuments
from lms_archive.wire.openapi import ApiOperation, path_shape
from lms_archive.wire.report import Candidate, ContractReport, OperationCheck, proposed
from lms_archive.wire.session import Session

__all__ = ["check_contract", "verify"]

SEARCHED = ("enrollment", "course", "learn", "learningplan")
"""The services to search for an operation that its own service does not list."""

_NOT_CHECKED = ("token", "microservices", "swagger")
_MOST_CANDIDATES = 3
_PARTS = {"query": "query", "json": "body", "form": "form"}
_SHOWN = 10


def verify(session: Session, names: Iterable[str] | None = None) -> ContractReport:
    """Check these rows of the contract, or all of them, against the platform's swagger.

    Reads each document once for a client: that of the service of each row, and four more where a
    row is not confirmed. `token` and the rows that find the documents are not checked.

    Raises:
        ApiError: the platform cannot be reached, the login failed, or the rate limit was exceeded
            for too long. Any other refusal of a document makes rows unreadable.
    """
    return check_contract(session.settings.contract, PlatformDocuments(session), names)


def check_contract(
    contract: Contract,
    documents: PlatformDocuments | FolderDocuments,
    names: Iterable[str] | None = None,
) -> ContractReport:
    """Check these rows of a contract, or all of them, against swagger documents."""
    checkable = [name for name in contract.operations if name not in _NOT_CHECKED]
    requested = checkable if names is None else list(dict.fromkeys(names))
    for name in requested:
        if name not in checkable:
            listed = ", ".join(checkable)
            raise InvalidInputError(f"operation {name!r} cannot be verified; these can: {listed}")
    checks = tuple(_check(name, contract, documents) for name in requested)
    read = documents.read.values()
    refusals = {document.service: document.refusal for document in read if document.refusal}
    return ContractReport(contract, checks, documents.source, tuple(map(str, read)), refusals)


def _check(
    name: str, contract: Contract, documents: PlatformDocuments | FolderDocuments
) -> OperationCheck:
    own = [*documents.of(contract.operations[name].service)]
    check = _compare(name, contract, _operations(own))
    if check.state != "confirmed":
        operations = _operations([*own, *documents.of(*SEARCHED), *documents.read.values()])
        check = _compare(name, contract, operations)
    if check.state == "confirmed":
        return check
    if check.state == "not_listed" and all(document.refusal for document in own):
        refusals = tuple(document.refusal for document in own)
        check = evolve(check, state="unreadable", faults=refusals)
    return evolve(check, candidates=_candidates(name, contract, operations))


def _operations(documents: Iterable[Document]) -> list[ApiOperation]:
    return [operation for document in documents for operation in document.operations]


def _candidates(
    name: str, contract: Contract, operations: Iterable[ApiOperation]
) -> tuple[Candidate, ...]:
    """Return the candidates for a row; those that their override confirms come first."""
    candidates = []
    for operation in {(each.method, path_shape(each.path)): each for each in operations}.values():
        candidate = candidate_for(name, contract, operation)
        if candidate is not None:
            check = _compare(name, proposed(contract, candidate), [operation])
            candidates.append(evolve(candidate, obstacles=check.faults))
    candidates.sort(key=lambda candidate: (len(candidate.obstacles), candidate.path))
    return tuple(candidates[:_MOST_CANDIDATES])


def _compare(name: str, contract: Contract, operations: Iterable[ApiOperation]) -> OperationCheck:
    """Compare a row with the operations of its method and path; return the best check."""
    row = contract.operations[name]
    unlisted = OperationCheck(operation=name, state="not_listed", method=row.method, path=row.path)
    same = [each for each in operations if path_shape(each.path) == path_shape(row.path)]
    checks = [_compare_with(unlisted, contract, each) for each in same if each.method == row.method]
    if checks:
        return min(checks, key=lambda check: len(check.faults))
    methods = ", ".join(sorted({operation.method for operation in same}))
    listed = f": the path is listed with {methods} only" if methods else ""
    return evolve(unlisted, faults=(f"not listed in the swagger{listed}",))


def _compare_with(
    check: OperationCheck, contract: Contract, operation: ApiOperation
) -> OperationCheck:
    row = contract.operations[check.operation]
    faults, modes, notes = [*_faults(row, operation)], list[str](), list[str]()
    name = row.params.get("mode", "")
    values = operation.takes.get(row.sends, {}).get(name)
    if values == ():
        notes.append(f"the values of {name} are not listed, so they are not confirmed")
    elif values is not None:
        own = contract.enrollment_mode
        modes += [mode for mode, value in own.items() if value not in values]
        faults += [f"{name} takes {_listed(values)}, not {own[mode]} ({mode})" for mode in modes]
    return evolve(
        check,
        state="differs" if faults else "confirmed",
        faults=tuple(faults),
        notes=tuple(notes),
        modes=tuple(modes),
    )


def _faults(row: Operation, operation: ApiOperation) -> Iterator[str]:
    """Yield the differences between a row and an operation of the same method and path."""
    for word, (placeholder, noun) in zip(
        row.in_path, placeholders_of(operation.path), strict=False
    ):
        if noun in TARGETS and noun != noun_of(word):
            yield f"its path has {{{placeholder}}} instead of {{{word}}}"
    # A list that does not take `get_total_count` is read without a total.
    fixed = {name: value for name, value in row.fixed.items() if name != "get_total_count"}
    sent = [name for word, name in row.params.items() if word not in row.in_path]
    taken = operation.takes.get(row.sends, {})
    absent = [name for name in [*sent, *fixed] if name not in taken]
    if absent:
        verb, part = "is" if len(absent) == 1 else "are", _PARTS[row.sends]
        yield f"{', '.join(absent)} {verb} not in its {part}; it takes {_taken(operation)}"
    for name in sorted(operation.required - {each.removesuffix("[]") for each in [*sent, *fixed]}):
        yield f"{name} is required, but not sent"
    for name, value in fixed.items():
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if taken.get(name) and not {*values} <= {*taken[name]}:
            yield f"{name} takes {_listed(taken[name])}, not all of {', '.join(values)}"


def _taken(operation: ApiOperation) -> str:
    """Return the names of all parameters of an operation, by location."""
    parts = [
        f"{_listed([*names])} ({_PARTS[location]})" for location, names in operation.takes.items()
    ]
    return "; ".join(parts) or "nothing"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", ..." if words[_SHOWN:] else "")
