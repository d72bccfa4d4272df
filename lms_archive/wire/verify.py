"""Judges the contract against what the platform says of itself; reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from attrs import evolve

from lms_archive.errors import ApiError, InvalidInputError, PlatformUnavailableError, RateLimitError
from lms_archive.wire.calls import Wire
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.described import Described, Parameter, Place, shape
from lms_archive.wire.nearest import Nearest, nearest
from lms_archive.wire.overriding import LISTS, MEANT, PLACES
from lms_archive.wire.report import ContractReport, OperationCheck, State, proposed
from lms_archive.wire.swagger import NotASwagger, read_swagger
from lms_archive.wire.wording import meaning

__all__ = ["verify"]

SEARCHED = ("enrollment", "course", "learn", "learningplan")
"""The services in which an operation is looked for that is not where it should be."""

_NOT_JUDGED = ("token", "swagger")
_SHOWN = 10
_LONGEST = 120


def verify(wire: Wire, names: Iterable[str] | None = None) -> ContractReport:
    """Judge these rows of the contract, or all of them.

    Calls `GET /<service>/v1/swagger` (assumed) once for each service, as long as the line lasts:
    that of each row, and four more where a row is not confirmed. The rows `token` and `swagger`
    are not judged.

    Raises:
        InvalidInputError: the contract has no row of that name, or it is not judged.
        ApiError: the platform cannot be reached, the login failed, or it was 429 for too long.
            Any other refusal of a document makes rows unreadable.
    """
    contract = wire.settings.contract
    known = [name for name in contract.operations if name not in _NOT_JUDGED]
    asked = known if names is None else list(dict.fromkeys(names))
    for name in asked:
        if name not in known:
            raise InvalidInputError(
                f"no operation {name!r} to verify; there are: {', '.join(known)}"
            )
    documents = _Documents(wire)
    judgements = tuple(_judge(name, contract, documents) for name in asked)
    return ContractReport(contract, judgements, dict(documents.unread))


class _Documents:
    """The platform's documents, each read when it is wanted."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.unread: dict[str, str] = {}

    def of(self, *services: str) -> Iterator[Described]:
        """The operations of these services; one that cannot be read has none."""
        for service in dict.fromkeys(services):
            read = self.unread.get(service) or self._read(service)
            if isinstance(read, str):
                self.unread[service] = read
            else:
                yield from read

    def _read(self, service: str) -> tuple[Described, ...] | str:
        """The operations of a service, or why they cannot be read."""
        path = self._wire.operation("swagger").request(service=service).path
        known = self._wire.documents.get(path)
        if known is not None:
            return known
        read: tuple[Described, ...] | str
        try:
            data = self._wire.call("swagger", service=service).data
            root = urlsplit(self._wire.settings.base_url).path
            read = read_swagger(data, service=service, location=path, root=root)
        except ApiError as error:
            no_answer = error.status is None or isinstance(error, RateLimitError)
            if no_answer or error.path != path:
                raise
            read = f"GET {path}: {error.status} {error.message[:_LONGEST]}".rstrip()
            if isinstance(error, PlatformUnavailableError):
                return read  # another time it may be there
        except NotASwagger as error:
            read = f"GET {path}: {error}"
        self._wire.documents[path] = read
        return read


def _judge(name: str, contract: Contract, documents: _Documents) -> OperationCheck:
    row = contract.operations[name]
    services = (row.service, *SEARCHED)
    best = _best(row, contract, documents.of(row.service))
    if best is None or best[1] or best[2]:
        best = _best(row, contract, documents.of(*services))
    state: State
    if best is None:
        state, faults = "missing", _missing(row, documents.of(*services))
        if row.service in documents.unread:
            state, faults = "unreadable", [documents.unread[row.service]]
        modes: dict[str, str] = {}
        notes: list[str] = []
    else:
        found, faults, modes = best
        state = "differs" if faults or modes else "confirmed"
        notes = list(_notes(row, found))
    near: tuple[Nearest, ...] = ()
    if state != "confirmed":
        every = nearest(name, contract, documents.of(*services))
        near = tuple(_checked(one, contract, described) for one, described in every)
    return OperationCheck(
        operation=name,
        state=state,
        method=row.method,
        path=row.path,
        faults=(*faults, *modes.values()),
        nearest=near,
        notes=tuple(notes),
        modes=tuple(modes),
    )


_Match = tuple[Described, list[str], dict[str, str]]


def _best(row: Operation, contract: Contract, described: Iterable[Described]) -> _Match | None:
    """The operation of the same method and path that has the fewest faults."""
    wanted = shape(row.path)
    same = [one for one in described if one.method == row.method and one.shape == wanted]
    judged = [(one, list(_faults(row, one)), _mode_faults(row, one, contract)) for one in same]
    return min(judged, key=lambda match: len(match[1]) + len(match[2]), default=None)


def _missing(row: Operation, described: Iterable[Described]) -> list[str]:
    wanted = shape(row.path)
    methods = sorted({one.method for one in described if one.shape == wanted})
    return [f"the path is there with {', '.join(methods)} only" if methods else "no such path"]


def _checked(one: Nearest, contract: Contract, described: Described) -> Nearest:
    """The proposal without its override, if the row it makes would not be confirmed."""
    if one.changes is None:
        return one
    try:
        row = proposed(contract, one).operations[one.operation]
        obstacles = [*_faults(row, described)]
    except InvalidInputError as error:
        obstacles = [" ".join(str(error).split())]
    if not obstacles:
        return one
    return evolve(one, changes=None, obstacles=(*one.obstacles, *obstacles))


def _faults(row: Operation, found: Described) -> Iterator[str]:
    """What an operation of the same method and path has against this row."""
    sent = {name: name.endswith("[]") or word in LISTS for word, name in _sent(row)}
    sent |= {name: isinstance(value, list) for name, value in row.fixed.items()}
    yield from _misread_places(row, found)
    yield from _misplaced(row, found, sent)
    yield from _required(row, found, sent)
    yield from _refused(row, found)


def _misread_places(row: Operation, found: Described) -> Iterator[str]:
    for word, place in zip(row.in_path, found.placeholders, strict=False):
        if meaning(place) not in (None, MEANT.get(word)):
            yield f"our {{{word}}} is {{{place}}} in its path"


def _misplaced(row: Operation, found: Described, sent: Mapping[str, bool]) -> Iterator[str]:
    here = PLACES[row.sends]
    for name, several in sent.items():
        parameter = _parameter(found, name, here)
        if parameter is None:
            yield _absent(found, name, here)
        elif several and not parameter.many:
            yield f"{parameter.name} takes one value, a list is sent"
        elif not several and not parameter.one and here == "body":
            yield f"{parameter.name} takes a list, one value is sent"


def _required(row: Operation, found: Described, sent: Iterable[str]) -> Iterator[str]:
    places = {"query", "body", "form"} - ({"form", "body"} - {PLACES[row.sends]})
    for one in found.parameters:
        wanted = one.required and one.place in places and not one.inside
        if wanted and not any(_is(one, name, PLACES[row.sends]) for name in sent):
            yield f"{one.name} is required, and not sent"


def _refused(row: Operation, found: Described) -> Iterator[str]:
    for name, value in row.fixed.items():
        parameter = _parameter(found, name, PLACES[row.sends])
        values = value if isinstance(value, list) else [value]
        if parameter and parameter.values:
            wrong = [str(one) for one in values if str(one) not in parameter.values]
            if wrong:
                yield f"{name} takes {_listed(parameter)}; sent is {', '.join(wrong)}"


def _sent(row: Operation) -> Iterator[tuple[str, str]]:
    return ((word, name) for word, name in row.params.items() if word not in row.in_path)


def _mode_faults(row: Operation, found: Described, contract: Contract) -> dict[str, str]:
    """For each archive mode whose value is not among those that the platform lists: the fault."""
    parameter = _parameter(found, row.params.get("mode", ""), PLACES[row.sends])
    if parameter is None or not parameter.values:
        return {}
    return {
        mode: f"{parameter.name} takes {_listed(parameter)}; {value} ({mode}) is none of them"
        for mode, value in contract.enrollment_mode.items()
        if value not in parameter.values
    }


def _notes(row: Operation, found: Described) -> Iterator[str]:
    parameter = _parameter(found, row.params.get("mode", ""), PLACES[row.sends])
    if parameter is not None and not parameter.values:
        yield f"the values of {parameter.name} are not listed: they are not confirmed"


def _parameter(found: Described, name: str, place: Place) -> Parameter | None:
    return next((p for p in found.parameters if _is(p, name, place)), None)


def _is(parameter: Parameter, name: str, place: Place) -> bool:
    """In JSON the `[]` is ours alone; elsewhere it is part of the name."""
    if place == "body":
        whole = f"{parameter.inside}{parameter.plain}"
        return parameter.place == place and whole == name.removesuffix("[]")
    return parameter.place == place and not parameter.inside and parameter.name == name


def _absent(found: Described, name: str, place: Place) -> str:
    plain = name.removesuffix("[]")
    others = [p for p in found.parameters if p.plain == plain]
    at_place = [p for p in others if p.place == place]
    if any(p.inside for p in at_place):
        return f"{plain} stands in {at_place[0].inside.rstrip('.')} of its body, not at the top"
    if at_place:
        return f"{name} is spelt {at_place[0].name}"
    if others:
        where = sorted({p.place for p in others})
        return f"{plain} goes into {', '.join(where)}, not into {place}"
    there = [p.plain for p in found.parameters if p.place == place and not p.inside]
    shown = ", ".join(there[:_SHOWN]) + (", ..." if there[_SHOWN:] else "") or "nothing"
    cut = "" if found.whole else " (too large to be read to its end)"
    return f"{plain} is not among its parameters ({place}: {shown}){cut}"


def _listed(parameter: Parameter) -> str:
    more = ", ..." if parameter.values[_SHOWN:] else ""
    return ", ".join(parameter.values[:_SHOWN]) + more
