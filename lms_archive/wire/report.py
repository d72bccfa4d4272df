"""The report of a check of the contract: operations, candidates and overrides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from textwrap import indent
from typing import Any, Literal

from attrs import field, frozen

from lms_archive.errors import UnconfirmedContractError
from lms_archive.tables.html import MAX_ROWS, block, counted, line, table
from lms_archive.wire.contract import Contract

State = Literal["confirmed", "differs", "not_listed", "unreadable"]

_PROPOSED = "proposed from the platform's own swagger"
_WIDTH = 80
_FOLLOWS = {
    ("not_listed", True): "A write that is not listed may still exist, because documents can leave "
    "out calls. It is refused; apply(trust_contract=True) sends it, first for one enrollment, "
    "which is read back.",
    ("not_listed", False): "A read that is not listed is still made; if the platform does not "
    "have it, an error says so before anything is sent.",
    ("differs", True): "A write that is described differently is refused, even with "
    "trust_contract=True: override the contract to match the description.",
    ("differs", False): "A read that is described differently is still made, and each item of its "
    "answer is checked.",
    ("unreadable", True): "A write whose document cannot be read is refused; "
    "apply(trust_contract=True) sends it, first for one enrollment, which is read back.",
}
"""The consequences of a state, for a write (True) and for a read."""


@frozen(kw_only=True)
class Candidate:
    """An operation of the platform that may be a row of the contract. It is only a proposal.

    Attributes:
        operation: the row of the contract that it is proposed for.
        method: its HTTP method.
        path: its path, with the platform's placeholders.
        summary: the platform's description of it, or empty.
        changes: the fields for `Contract.with_operation`; empty where only modes differ.
        modes: archive modes and the platform's value for each, where the platform does not list
            the contract's value.
        obstacles: the differences that are left with the override.
    """

    operation: str
    method: str
    path: str
    summary: str = ""
    changes: Mapping[str, Any] = field(factory=dict, hash=False)
    modes: Mapping[str, str] = field(factory=dict, hash=False)
    obstacles: tuple[str, ...] = ()

    @property
    def override(self) -> str:
        """The calls on a `Contract` that select this operation, ready to paste."""
        return "\n".join(self.calls)

    @property
    def calls(self) -> list[str]:
        """The calls of the override, one by one."""
        fields = [f"{name}={_literal(value)}" for name, value in self.changes.items()]
        calls = [_call("with_operation", [_literal(self.operation), *fields])] if fields else []
        calls += [_call("with_enrollment_mode", map(_literal, pair)) for pair in self.modes.items()]
        return calls

    def __str__(self) -> str:
        about = f" ({self.summary})" if self.summary else ""
        left = [f"still differs: {obstacle}" for obstacle in self.obstacles]
        lines = indent("\n".join([*self.calls, *left]), "    ")
        return f"candidate: {self.method} {self.path}{about}\n{lines}"


def _call(name: str, arguments: Iterable[str]) -> str:
    texts = list(arguments)
    flat = f".{name}({', '.join(texts)})"
    if len(flat) <= _WIDTH:
        return flat
    return "\n".join([f".{name}(", *(f"    {text}," for text in texts), ")"])


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


@frozen(kw_only=True)
class OperationCheck:
    """The check of one row of the contract against the platform's swagger.

    Attributes:
        operation: the name of the row.
        state: `confirmed`: method, path, every parameter that is sent and every fixed value are
            described; `differs`: the call is described differently; `not_listed`: it is not
            described, but may still exist; `unreadable`: the document could not be read.
        method: the HTTP method of the row.
        path: the path of the row, with the contract's placeholders.
        faults: the differences, one text for each, or why the document could not be read.
        candidates: at most three operations of the platform that may be meant. They are
            proposals: the library never uses one on its own.
        notes: what the platform does not describe although the row is confirmed.
        modes: the archive modes whose value the platform does not list.
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
        """Whether it is a write, but not the select-all form, which is only used on request."""
        return self.is_write and not self.operation.endswith("_select_all")

    def confirmed(self, mode: str | None = None) -> bool:
        """Return whether the call is confirmed; with an archive mode, for that mode at least."""
        if mode is None or mode in self.modes:
            return self.state == "confirmed"
        return self.state == "confirmed" or len(self.faults) == len(self.modes) > 0

    def __str__(self) -> str:
        shown = self.state.replace("_", " ")
        lines = [f"{self.operation:<44} {shown:<10} {self.method} {self.path}"]
        texts = (*self.faults, *self.notes)
        lines += [f"    {text}" for text in texts if text != "not listed in the swagger"]
        lines += [indent(str(candidate), "    ") for candidate in self.candidates]
        if self.state in ("differs", "not_listed") and not self.candidates:
            lines.append("    no candidate")
        return "\n".join(lines)


@frozen
class ContractReport:
    """The check of a contract against the platform's own swagger. `print` shows it as a table.

    Attributes:
        contract: the contract that was checked.
        checks: one check for each operation, in the contract's order.
        source: how the documents were found.
        documents: a line for each document: that it was read, or why it was not.
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
        """Return the check of an operation.

        Raises:
            KeyError: the operation was not checked.
        """
        for check in self.checks:
            if check.operation == name:
                return check
        raise KeyError(name)

    def confirmed(self, name: str, mode: str | None = None) -> bool:
        """Return whether an operation is confirmed; with an archive mode, for that mode at least.

        Raises:
            KeyError: the operation was not checked.
        """
        return self[name].confirmed(mode)

    def require(self, *names: str, mode: str | None = None, trust: bool = False) -> None:
        """Raise an error unless these operations are confirmed.

        Args:
            *names: operations of the contract.
            mode: the archive mode that is needed; None: all of them.
            trust: accept operations that are not listed or whose document cannot be read, but
                none that differs.

        Raises:
            UnconfirmedContractError: an operation is not confirmed; the text names candidates and
                their overrides.
            KeyError: an operation was not checked.
        """
        refused = [self[name] for name in names if not self.confirmed(name, mode)]
        if trust:
            refused = [check for check in refused if check.state == "differs"]
        if refused:
            start = "the platform's swagger does not confirm a call; nothing was sent."
            lines = [start, *map(str, refused), *_consequences(refused)]
            raise UnconfirmedContractError("\n".join(lines), self)

    def suggested_contract(self) -> Contract:
        """Return the contract with the override of the first candidate of each operation.

        Read it before you use it: the library never uses a candidate on its own. Without a
        candidate a row stays unchanged.
        """
        contract = self.contract
        for candidate in self._first_candidates():
            contract = proposed(contract, candidate)
        return contract

    @property
    def overrides(self) -> str:
        """The overrides of the first candidates as one expression to paste, or empty."""
        calls = dict.fromkeys(call for each in self._first_candidates() for call in each.calls)
        start = "Contract.default()" if self.contract == Contract.default() else "contract"
        lines = indent("\n".join([start, *calls]), "    ")
        return f"contract = (\n{lines}\n)" if calls else ""

    def _first_candidates(self) -> list[Candidate]:
        return [candidate for check in self.checks for candidate in check.candidates[:1]]

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
                "; ".join(f"{operation.method} {operation.path}" for operation in check.candidates),
            )
            for check in self.checks
        )
        header = ("operation", "state", "call", "differences", "candidates")
        shown = counted(min(len(self.checks), MAX_ROWS), len(self.checks), "operation")
        return block(line(self._head(), strong=True), line(shown), table(header, rows))


def _consequences(checks: Iterable[OperationCheck]) -> list[str]:
    states = dict.fromkeys((check.state, check.is_write) for check in checks)
    return [_FOLLOWS[state] for state in states if state in _FOLLOWS]


def proposed(contract: Contract, candidate: Candidate) -> Contract:
    """Return the contract with the override of a candidate."""
    if candidate.changes:
        changes = {"evidence": _PROPOSED, **candidate.changes}
        contract = contract.with_operation(candidate.operation, **changes)
    for mode, value in candidate.modes.items():
        contract = contract.with_enrollment_mode(mode, value)
    return contract
