"""Check the contract against the platform's own swagger; only reads.

Where a row is not confirmed, operations that may be meant by it are candidates. An operation is a
candidate if it takes what the row sends (for a read: what it needs), and

* has the method of the row, and its path after service and version; or
* for a call that archives: says "archive", or takes `enrollment_mode`;
* for a call on archived records: its path says so, and a list takes users.

The library never uses a candidate on its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import evolve

from lms_archive.errors import InvalidInputError
from lms_archive.records.structure import to_plain
from lms_archive.wire.contract import Contract, difference
from lms_archive.wire.documents import Document, FolderDocuments, PlatformDocuments
from lms_archive.wire.openapi import ApiOperation, Location, path_shape
from lms_archive.wire.operation import Operation
from lms_archive.wire.report import Candidate, ContractReport, OperationCheck, proposed
from lms_archive.wire.session import Session

SEARCHED = ("enrollment", "course", "learn", "learningplan")
"""The services to search for an operation that its own service does not list."""

_NOT_CHECKED = ("token", "microservices", "swagger")
_MOST_CANDIDATES = 3
_PARTS = {"query": "query", "json": "body", "form": "form"}
_SHOWN = 10
_TARGETS = ("course", "learningplan", "user")

_MODE_VALUES = {
    "unenroll": r"(?!.*reenrol).*(unenrol|delet|remov|archiv)",
    "re-enroll": r".*reenrol",
}


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
        candidate = _candidate_for(name, contract, operation)
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
        row.in_path, _placeholders_of(operation.path), strict=False
    ):
        if noun in _TARGETS and noun != _noun_of(word):
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


def _candidate_for(name: str, contract: Contract, operation: ApiOperation) -> Candidate | None:
    """Return an operation as a candidate for a row, with its override, or None."""
    row = contract.operations[name]
    is_same = _is_same_path(row, operation)
    if not (is_same or _is_about_archived(name, row, operation)):
        return None
    fitted = _fit(row, operation)
    if fitted is None or not (is_same or row.method != "GET" or "user_ids" in fitted.params):
        return None
    changes = difference(to_plain(row), to_plain(fitted))
    values = operation.takes.get(fitted.sends, {}).get(fitted.params.get("mode", ""), ())
    modes = _modes(contract, values) if values else {}
    if not changes and not modes:
        return None
    return Candidate(
        operation=name,
        method=operation.method,
        path=operation.path,
        summary=operation.summary,
        changes=changes,
        modes=modes,
    )


def _is_same_path(row: Operation, operation: ApiOperation) -> bool:
    tails = {re.sub(r"^/[^/]+/v\d+/", "", path_shape(path)) for path in (row.path, operation.path)}
    return row.method == operation.method and len(tails) == 1


def _is_about_archived(name: str, row: Operation, operation: ApiOperation) -> bool:
    path = _letters(operation.path)
    if name.startswith("archive_"):
        names = (each for location in operation.takes.values() for each in location)
        text = _letters(" ".join([operation.path, operation.summary, *names]))
        is_meant = "archiv" in text or "enrollmentmode" in text
        return is_meant and "unarchiv" not in text and operation.method not in ("GET", "DELETE")
    is_meant = "archived" in name and "archiv" in path and "enrol" in path
    return is_meant and "unarchiv" not in path and operation.method == row.method


def _fit(row: Operation, operation: ApiOperation) -> Operation | None:
    """Return the row with the path and the names of an operation; None if it takes too little."""
    is_read = row.method == "GET"
    words, path = list(dict.fromkeys([*row.in_path, *row.params])), operation.path
    for placeholder, noun in _placeholders_of(path):
        word = next((each for each in words if _noun_of(each) == noun and not _is_list(each)), None)
        if word is None or (is_read and word not in row.in_path):
            return None
        words.remove(word)
        path = path.replace(f"{{{placeholder}}}", f"{{{word}}}", 1)
    locations: list[Location] = ["query"] if is_read else [row.sends, "json", "form", "query"]
    names = {
        location: _names(row, words, operation.takes.get(location, {})) for location in locations
    }
    sends = max(names, key=lambda each: len(names[each]))
    fixed = {
        name: value
        for name, value in row.fixed.items()
        # A list that does not take `get_total_count` is read without a total.
        if name == "get_total_count" or name in operation.takes.get(sends, {})
    }
    needed = {*row.in_path, "page", "page_size"} if is_read else {*words}
    if not needed & {*words} <= {*names[sends]} or not (is_read or fixed == row.fixed):
        return None
    service = path.split("/")[1]
    return evolve(
        row,
        method=operation.method,
        path=path,
        service=row.service if service == row.path.split("/")[1] else service,
        sends=sends,
        params=names[sends],
        fixed=fixed,
    )


def _names(row: Operation, words: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return the platform's name for each word that is among the names that it takes."""
    names = dict[str, str]()
    for word in words:
        name = row.params.get(word, word)
        alike = [
            each
            for each in taken
            if _means(each, word, name) and (each.endswith("[]") or not _is_list(word))
        ]
        alike.sort(key=lambda each: (each != name, each.count("."), each[-2:] != name[-2:]))
        names |= {word: alike[0]} if alike else {}
    return names


def _means(platform_name: str, word: str, name: str) -> bool:
    noun = _noun_of(platform_name)
    if word == "mode":
        return noun.endswith("mode")
    if word == "record_ids":
        return noun not in _TARGETS and _letters(platform_name).endswith("ids")
    return noun in (_noun_of(word), _noun_of(name))


def _modes(contract: Contract, values: Collection[str]) -> dict[str, str]:
    """Return the platform's value for each mode whose own value it does not list, if evident."""
    used = {value.casefold() for value in contract.enrollment_mode.values()}
    free = [value for value in values if value.casefold() not in used]
    meant = {
        mode: [value for value in free if re.match(pattern, _letters(value))]
        for mode, pattern in _MODE_VALUES.items()
        if contract.enrollment_mode[mode] not in values
    }
    return {mode: fitting[0] for mode, fitting in meant.items() if len(fitting) == 1}


def _placeholders_of(path: str) -> list[tuple[str, str]]:
    """Return each placeholder and its noun: its own if it is a target, or that of `users/{id}`."""
    nouns = []
    for before, segment in pairwise(path.split("/")):
        for placeholder in re.findall(r"{([^{}]*)}", segment):
            noun = _noun_of(placeholder)
            nouns.append((placeholder, noun if noun in _TARGETS else _noun_of(before)))
    return nouns


def _is_list(word: str) -> bool:
    """Return whether a parameter of the contract always has several values."""
    return word.endswith("_ids")


def _noun_of(name: str) -> str:
    """Return what a name is about: `user` for `id_users`, `userIds[]` and `data.user`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.rpartition(".")[2]).lower()
    words = re.sub(r"\bids?\b", "", re.sub(r"[^a-z]", " ", words))
    return re.sub(r"(ids?|s)$", "", words.replace(" ", ""))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
