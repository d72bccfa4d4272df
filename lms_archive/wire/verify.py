"""Check the contract against the platform's own swagger; only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from lms_archive.errors import InvalidInputError
from lms_archive.wire.candidates import LISTS, PLACES, candidates_for, noun_of, override_for
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.documents import Document, Documents, PlatformDocuments
from lms_archive.wire.openapi import ApiOperation, Parameter, Place, path_shape
from lms_archive.wire.report import Candidate, ContractReport, OperationCheck, proposed
from lms_archive.wire.session import Session

__all__ = ["check_contract", "verify"]

SEARCHED = ("enrollment", "course", "learn", "learningplan")
"""The services to search for an operation that its own service does not list."""

_NOT_CHECKED = ("token", "microservices", "swagger")
_SHOWN = 10


def verify(session: Session, names: Iterable[str] | None = None) -> ContractReport:
    """Check these rows of the contract, or all of them, against the platform's swagger.

    Reads each document once for a client: that of the service of each row, and four more where a
    row is not confirmed. `token` and the rows that find the documents are not checked.

    Raises:
        InvalidInputError: the contract has no such row, or the row cannot be checked.
        ApiError: the platform cannot be reached, the login failed, or the rate limit was exceeded
            for too long. Any other refusal of a document makes rows unreadable.
    """
    return check_contract(session.settings.contract, PlatformDocuments(session), names)


def check_contract(
    contract: Contract, documents: Documents, names: Iterable[str] | None = None
) -> ContractReport:
    """Check these rows of a contract, or all of them, against swagger documents.

    Raises:
        InvalidInputError: the contract has no such row, or the row cannot be checked.
    """
    checks = tuple(_check(name, contract, documents) for name in _names(contract, names))
    read = documents.read.values()
    refusals = {document.service: document.refusal for document in read if document.refusal}
    return ContractReport(contract, checks, documents.source, tuple(map(str, read)), refusals)


def _names(contract: Contract, names: Iterable[str] | None) -> list[str]:
    checkable = [name for name in contract.operations if name not in _NOT_CHECKED]
    requested = checkable if names is None else list(dict.fromkeys(names))
    for name in requested:
        if name not in checkable:
            listed = ", ".join(checkable)
            raise InvalidInputError(f"operation {name!r} cannot be verified; these can: {listed}")
    return requested


def _check(name: str, contract: Contract, documents: Documents) -> OperationCheck:
    row = contract.operations[name]
    own = list(documents.of(row.service))
    check = _compare(name, contract, own)
    if check.state == "confirmed":
        return check
    read = [*documents.of(*SEARCHED), *documents.read.values(), *own]
    check = _compare(name, contract, read)
    if check.state == "confirmed":
        return check
    if check.state == "not_listed" and all(document.refusal for document in own):
        refusals = tuple(document.refusal for document in own)
        check = evolve(check, state="unreadable", faults=refusals)
    operations = candidates_for(name, row, _operations(read))
    candidates = tuple(_candidate(name, contract, operation) for operation in operations)
    return evolve(check, candidates=candidates)


def _operations(documents: Iterable[Document]) -> Iterator[ApiOperation]:
    for document in documents:
        yield from document.operations


def _compare(name: str, contract: Contract, documents: Iterable[Document]) -> OperationCheck:
    """Compare a row with the operations of its method and path; return the best check."""
    row, checks, methods = contract.operations[name], list[OperationCheck](), set[str]()
    shape = path_shape(row.path)
    for operation in _operations(documents):
        if path_shape(operation.path) != shape:
            continue
        methods.add(operation.method)
        if operation.method == row.method:
            checks.append(_compare_with(name, contract, operation))
    if checks:
        return min(checks, key=lambda check: len(check.faults))
    listed = f": the path is listed with {', '.join(sorted(methods))} only" if methods else ""
    faults = (f"not listed in the swagger{listed}",)
    return OperationCheck(
        operation=name, state="not_listed", method=row.method, path=row.path, faults=faults
    )


def _compare_with(name: str, contract: Contract, operation: ApiOperation) -> OperationCheck:
    row = contract.operations[name]
    faults, modes, notes = list(_faults(row, operation)), list[str](), list[str]()
    parameter = _parameter(operation, row.params.get("mode", ""), PLACES[row.sends])
    if parameter and not parameter.values:
        notes.append(f"the values of {parameter.name} are not listed, so they are not confirmed")
    elif parameter:
        for mode, value in contract.enrollment_mode.items():
            if value not in parameter.values:
                modes.append(mode)
                faults.append(f"{parameter.name} takes {_values(parameter)}, not {value} ({mode})")
    return OperationCheck(
        operation=name,
        state="differs" if faults else "confirmed",
        method=row.method,
        path=row.path,
        faults=tuple(faults),
        notes=tuple(notes),
        modes=tuple(modes),
    )


def _faults(row: Operation, operation: ApiOperation) -> Iterator[str]:
    """Yield the differences between a row and an operation of the same method and path."""
    place = PLACES[row.sends]
    sent = {name: word for word, name in row.params.items() if word not in row.in_path}
    # A list that does not take `get_total_count` is read without a total.
    sent |= dict.fromkeys((name for name in row.fixed if name != "get_total_count"), "")
    for word, placeholder in zip(row.in_path, operation.placeholders, strict=False):
        if noun_of(placeholder) not in (None, noun_of(word)):
            yield f"its path has {{{placeholder}}} instead of {{{word}}}"
    absent = [name for name in sent if _parameter(operation, name, place) is None]
    if absent:
        plain = ", ".join(name.removesuffix("[]") for name in absent)
        verb = "is" if len(absent) == 1 else "are"
        yield f"{plain} {verb} not in its {place}; it takes {_accepted(operation)}"
    for name, word in sent.items():
        parameter = _parameter(operation, name, place)
        several = name.endswith("[]") or word in LISTS or isinstance(row.fixed.get(name), list)
        if parameter and several and parameter.is_list is False:
            yield f"{parameter.name} takes one value, but a list is sent"
        elif parameter and not several and parameter.is_list and place == "body":
            yield f"{parameter.name} takes a list, but one value is sent"
    yield from _missing(row, operation, sent)


def _missing(row: Operation, operation: ApiOperation, sent: Iterable[str]) -> Iterator[str]:
    """Yield the required parameters that the row does not send, and wrong fixed values."""
    place = PLACES[row.sends]
    for parameter in operation.parameters:
        needed = parameter.required and parameter.place in ("query", place)
        is_top = place != "body" or "." not in parameter.name
        if needed and is_top and not any(_matches(parameter, name, place) for name in sent):
            yield f"{parameter.name} is required, but not sent"
    for name, value in row.fixed.items():
        fixed = _parameter(operation, name, place)
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if fixed and fixed.values and not {*values} <= {*fixed.values}:
            yield f"{name} takes {_values(fixed)}, not all of {', '.join(values)}"


def _parameter(operation: ApiOperation, name: str, place: Place) -> Parameter | None:
    matching = (each for each in operation.parameters if _matches(each, name, place))
    return next(matching, None)


def _matches(parameter: Parameter, name: str, place: Place) -> bool:
    """Return whether a parameter is the one that is sent under this name.

    In JSON the `[]` of a name belongs to the contract, not to the platform's name.
    """
    if place == "body":
        return parameter.place == place and parameter.plain_name == name.removesuffix("[]")
    return parameter.place == place and parameter.name == name


def _accepted(operation: ApiOperation) -> str:
    """Return the names of all parameters of an operation, by place."""
    places = dict[str, list[str]]()
    for parameter in operation.parameters:
        places.setdefault(parameter.place, []).append(parameter.name)
    shown = [
        f"{', '.join(names[:_SHOWN])}{', ...' if names[_SHOWN:] else ''} ({place})"
        for place, names in places.items()
    ]
    return "; ".join(shown) or "nothing"


def _values(parameter: Parameter) -> str:
    return ", ".join(parameter.values[:_SHOWN]) + (", ..." if parameter.values[_SHOWN:] else "")


def _candidate(name: str, contract: Contract, operation: ApiOperation) -> Candidate:
    """Return a candidate, with an override if the overridden row would be confirmed."""
    override = override_for(contract.operations[name], contract, operation)
    candidate = Candidate(
        operation=name,
        method=operation.method,
        path=operation.path,
        summary=operation.summary,
        changes=None if override.obstacles else override.changes,
        modes=override.modes,
        obstacles=override.obstacles,
    )
    if candidate.changes is not None:
        try:
            row = proposed(contract, candidate).operations[name]
            obstacles = tuple(_faults(row, operation))
        except InvalidInputError as error:
            obstacles = (" ".join(str(error).split()),)
        if obstacles:
            return evolve(candidate, changes=None, obstacles=obstacles)
    return candidate
