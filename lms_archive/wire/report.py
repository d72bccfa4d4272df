"""What the platform's own description says about the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from textwrap import indent
from typing import Any, Literal

from attrs import field, frozen

from lms_archive.errors import InvalidInputError, UnconfirmedContractError
from lms_archive.tables.html import MAX_ROWS, block, counted, line, table
from lms_archive.wire.contract import Contract

__all__ = ["Candidate", "ContractReport", "OperationCheck", "State", "proposed"]

State = Literal["confirmed", "differs", "not_listed", "unreadable"]

_PROPOSED = "proposed from the platform's own swagger"
_WIDTH = 80
_FOLLOWS = {
    ("not_listed", True): "A write that is not listed may exist all the same: documents can leave "
    "out calls. It is refused; apply(trust_contract=True) makes it, with one enrollment first that "
    "is read back.",
    ("not_listed", False): "A read that is not listed is made all the same; where the platform "
    "does not have it, the error says so before anything is sent.",
    ("differs", True): "A write that is described differently is refused, with "
    "trust_contract=True too: override the contract to match the description.",
    ("differs", False): "A read that is described differently is made all the same, and each item "
    "of its answer is checked.",
    ("unreadable", True): "A write whose document cannot be read is refused; "
    "apply(trust_contract=True) makes it, with one enrollment first that is read back.",
}
"""What a state means, for a write (True) and for a read."""


@frozen(kw_only=True)
class Candidate:
    """An operation of the platform that may be the one looked for. It is never used by itself.

    Attributes:
        operation: the row of the contract it is proposed for.
        method: its HTTP method.
        path: its path, with the platform's placeholders.
        summary: the platform's line about it, or empty.
        changes: the fields for `Contract.with_operation`; None where no override can express it.
        modes: archive modes and the platform's value for each, where the contract's value is not
            among those that it lists.
        obstacles: what no override can express.
    """

    operation: str
    method: str
    path: str
    summary: str = ""
    changes: Mapping[str, Any] | None = field(default=None, hash=False)
    modes: Mapping[str, str] = field(factory=dict, hash=False)
    obstacles: tuple[str, ...] = ()

    @property
    def override(self) -> str:
        """The calls on a `Contract` that make it match, ready to paste; empty where none can."""
        return "\n".join(self.calls)

    @property
    def calls(self) -> list[str]:
        """The calls of the override, one by one."""
        if self.changes is None:
            return []
        given = [f"{name}={_literal(value)}" for name, value in self.changes.items()]
        calls = [_call("with_operation", [_literal(self.operation), *given])] if given else []
        calls += [_call("with_enrollment_mode", map(_literal, pair)) for pair in self.modes.items()]
        return calls

    def __str__(self) -> str:
        about = f" ({self.summary})" if self.summary else ""
        lines = [f"candidate: {self.method} {self.path}{about}"]
        lines += [f"    {obstacle}" for obstacle in self.obstacles]
        return "\n".join([*lines, *(f"    {text}" for text in self.override.splitlines())])


def _call(name: str, arguments: Iterable[str]) -> str:
    given = list(arguments)
    flat = f".{name}({', '.join(given)})"
    if len(flat) <= _WIDTH:
        return flat
    return "\n".join([f".{name}(", *(f"    {argument}," for argument in given), ")"])


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


@frozen(kw_only=True)
class OperationCheck:
    """What the platform says about one row of the contract.

    Attributes:
        operation: the name of the row.
        state: `confirmed`: method, path, every parameter that is sent and every value that is
            fixed are described; `differs`: the call is described differently; `not_listed`: it is
            not described, which does not mean that it does not exist; `unreadable`: the document
            could not be read.
        method: the HTTP method of the row.
        path: the path of the row, with our placeholders.
        faults: what differs, one text for each, or why the document could not be read.
        candidates: operations of the platform that may be the one, at most three. They are
            proposals: nothing here is ever used by itself.
        notes: what the platform leaves open although the row is confirmed.
        modes: the archive modes whose value is not among those that the platform lists.
    """

    operation: str
    state: State
    method: str
    path: str
    faults: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    @property
    def is_write(self) -> bool:
        """Whether the call would change something."""
        return self.method != "GET"

    @property
    def is_needed(self) -> bool:
        """Whether it is a write other than the select-all form, which is only used on request."""
        return self.is_write and not self.operation.endswith("_select_all")

    def confirmed(self, mode: str | None = None) -> bool:
        """Return whether the call is confirmed; with an archive mode, for that mode at least."""
        if mode is None or mode in self.modes:
            return self.state == "confirmed"
        return self.state == "confirmed" or len(self.faults) == len(self.modes) > 0

    def __str__(self) -> str:
        shown = self.state.replace("_", " ")
        lines = [f"{self.operation:<44} {shown:<10} {self.method} {self.path}"]
        said = (*self.faults, *self.notes)
        lines += [f"    {text}" for text in said if text != "not listed in the swagger"]
        lines += [indent(str(candidate), "    ") for candidate in self.candidates]
        if self.state in ("differs", "not_listed") and not self.candidates:
            lines.append("    no candidate")
        return "\n".join(lines)


@frozen
class ContractReport:
    """What the platform's own swagger says about the contract. `print` shows it as a table.

    Attributes:
        contract: the contract that was checked.
        checks: one for each operation, in the contract's order.
        source: how the documents were found.
        documents: each document that was read, or the reason why it was not, one line each.
        unreadable: the services whose document could not be read, and why.
    """

    contract: Contract = field(repr=False)
    checks: tuple[OperationCheck, ...]
    source: str = ""
    documents: tuple[str, ...] = field(default=(), repr=False)
    unreadable: Mapping[str, str] = field(factory=dict, hash=False)

    def __iter__(self) -> Iterator[OperationCheck]:
        """Iterate over the checks."""
        return iter(self.checks)

    def __getitem__(self, name: str) -> OperationCheck:
        """Return the check of that operation.

        Raises:
            KeyError: it was not checked.
        """
        for check in self.checks:
            if check.operation == name:
                return check
        raise KeyError(name)

    def confirmed(self, name: str, mode: str | None = None) -> bool:
        """Return whether an operation is confirmed; with an archive mode, for that mode at least.

        Raises:
            KeyError: it was not checked.
        """
        return self[name].confirmed(mode)

    def require(self, *names: str, mode: str | None = None, trust: bool = False) -> None:
        """Do nothing if these operations are confirmed.

        Args:
            *names: operations of the contract.
            mode: the archive mode that is needed; None: all of them.
            trust: accept what is not listed or cannot be read, but nothing that differs.

        Raises:
            UnconfirmedContractError: an operation is not confirmed; the text names candidates and
                their overrides.
            KeyError: one was not checked.
        """
        refused = [self[name] for name in names if not self.confirmed(name, mode)]
        if trust:
            refused = [check for check in refused if check.state == "differs"]
        if refused:
            raise UnconfirmedContractError(
                "\n".join(
                    [
                        "the platform's swagger does not confirm a call; nothing was sent.",
                        *map(str, refused),
                        *_consequences(refused),
                    ]
                ),
                self,
            )

    def suggested_contract(self) -> Contract:
        """Return the contract with the first candidate of each operation laid over it.

        A human reads and decides: the library never uses a candidate by itself. Where there is no
        candidate, or no override can express it, the row is left as it is.
        """
        return self._suggestion[0]

    @property
    def overrides(self) -> str:
        """The first candidates as one expression to paste; empty where there is none."""
        calls = self._suggestion[1]
        start = "Contract.default()" if self.contract == Contract.default() else "contract"
        lines = indent("\n".join([start, *calls]), "    ")
        return f"contract = (\n{lines}\n)" if calls else ""

    @property
    def _suggestion(self) -> tuple[Contract, list[str]]:
        """The suggested contract, and the calls that make it."""
        contract, calls = self.contract, dict[str, None]()
        for check in self.checks:
            for candidate in filter(lambda one: one.override, check.candidates):
                with suppress(InvalidInputError):  # it does not fit those before it
                    contract = proposed(contract, candidate)
                    calls |= dict.fromkeys(candidate.calls)
                    break
        return contract, list(calls)

    def __str__(self) -> str:
        lines = [self._head(), ""]
        if self.source:
            lines += [f"Documents, {self.source}:", *(f"    {text}" for text in self.documents), ""]
        lines += map(str, self.checks)
        consequences = _consequences(self.checks)
        return "\n".join([*lines, *([""] if consequences else []), *consequences])

    def _head(self) -> str:
        writes = [check for check in self.checks if check.is_write]
        confirmed = [check for check in self.checks if check.state == "confirmed"]
        return (
            f"{len(confirmed)} of {len(self.checks)} operations confirmed, "
            f"{sum(check.is_write for check in confirmed)} of {len(writes)} writes"
        )

    def _repr_html_(self) -> str:
        rows = (
            (
                check.operation,
                check.state.replace("_", " "),
                f"{check.method} {check.path}",
                "; ".join((*check.faults, *check.notes)),
                "; ".join(f"{one.method} {one.path}" for one in check.candidates),
            )
            for check in self.checks
        )
        header = ("operation", "state", "call", "what is open", "candidates")
        shown = counted(min(len(self.checks), MAX_ROWS), len(self.checks), "operation")
        return block(line(self._head(), strong=True), line(shown), table(header, rows))


def _consequences(checks: Iterable[OperationCheck]) -> list[str]:
    states = dict.fromkeys((check.state, check.is_write) for check in checks)
    return [_FOLLOWS[state] for state in states if state in _FOLLOWS]


def proposed(contract: Contract, candidate: Candidate) -> Contract:
    """Return the contract with a candidate laid over it.

    Raises:
        InvalidInputError: it does not fit.
    """
    if candidate.changes:
        changes = {"evidence": _PROPOSED, **candidate.changes}
        contract = contract.with_operation(candidate.operation, **changes)
    for mode, value in candidate.modes.items():
        contract = contract.with_enrollment_mode(mode, value)
    return contract
