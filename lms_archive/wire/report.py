"""What the platform's own description says about the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Literal

from attrs import field, frozen

from lms_archive.errors import InvalidInputError, UnconfirmedContractError
from lms_archive.records.html import MAX_ROWS, block, counted, line, table
from lms_archive.wire.contract import Contract
from lms_archive.wire.nearest import Nearest

__all__ = ["ContractReport", "OperationCheck", "State", "proposed"]

State = Literal["confirmed", "differs", "missing", "unreadable"]

_PROPOSED = "proposed after the platform's own swagger"


@frozen(kw_only=True)
class OperationCheck:
    """What the platform says about one row of the contract.

    Attributes:
        operation: the name of the row.
        state: `confirmed`: method, path and every parameter that is sent are there;
            `differs`: the call is there, and takes something else; `missing`: the platform has
            no such call; `unreadable`: the platform could not be asked.
        method: the HTTP method of the row.
        path: the path of the row, with our placeholders.
        faults: what differs, one text for each, or why it could not be asked.
        nearest: operations of the platform that may be the one, the likeliest first; each with
            `method`, `path`, `why`, `override` (ready to paste, or empty) and `obstacles`.
            They are proposals: nothing here is ever used by itself.
        notes: what the platform leaves open although the row is confirmed.
        modes: the archive modes whose value is not among those that the platform lists.
    """

    operation: str
    state: State
    method: str
    path: str
    faults: tuple[str, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    notes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    @property
    def is_write(self) -> bool:
        """Whether the call would change something."""
        return self.method != "GET"

    @property
    def is_needed(self) -> bool:
        """Whether it is a write that jobs need: the select-all form is only used on request."""
        return self.is_write and not self.operation.endswith("_select_all")

    def confirmed(self, mode: str | None = None) -> bool:
        """Whether the call is confirmed; with an archive mode, for that mode at least."""
        if mode is None or mode in self.modes:
            return self.state == "confirmed"
        return self.state == "confirmed" or len(self.faults) == len(self.modes) > 0

    def __str__(self) -> str:
        lines = [f"{self.operation:<41} {self.state:<10} {self.method} {self.path}"]
        lines += [f"    {fault}" for fault in (*self.faults, *self.notes)]
        for one in self.nearest:
            lines.append(f"    near: {one.method} {one.path} ({'; '.join(filter(None, one.why))})")
            lines += [f"          {text}" for text in one.obstacles]
            lines += [f"        {line}" for line in one.override.splitlines()]
        if self.state in ("differs", "missing") and not self.nearest:
            lines.append("    the platform describes nothing that is near")
        return "\n".join(lines)


@frozen
class ContractReport:
    """What the platform's own swagger says about the contract. `print` shows it as a table.

    Attributes:
        contract: the contract that was judged.
        judgements: one for each operation, in the contract's order.
        unread: the services whose document could not be read, and why.
    """

    contract: Contract = field(repr=False)
    judgements: tuple[OperationCheck, ...]
    unread: Mapping[str, str] = field(factory=dict, hash=False)

    def __iter__(self) -> Iterator[OperationCheck]:
        """The judgements."""
        return iter(self.judgements)

    def __getitem__(self, name: str) -> OperationCheck:
        """The judgement of that operation.

        Raises:
            KeyError: it was not judged.
        """
        for judgement in self.judgements:
            if judgement.operation == name:
                return judgement
        raise KeyError(name)

    def confirmed(self, name: str, mode: str | None = None) -> bool:
        """Whether an operation is confirmed; with an archive mode, for that mode at least.

        Raises:
            KeyError: it was not judged.
        """
        return self[name].confirmed(mode)

    def require(self, *names: str, mode: str | None = None) -> None:
        """Do nothing, if these operations are confirmed.

        Raises:
            UnconfirmedContractError: one is not; the text names the nearest and its override.
            KeyError: one was not judged.
        """
        open_ones = [self[name] for name in names if not self.confirmed(name, mode)]
        if open_ones:
            told = "\n".join(map(str, open_ones))
            raise UnconfirmedContractError(
                f"the platform's swagger does not confirm a call; nothing was sent.\n{told}", self
            )

    def suggested_contract(self) -> Contract:
        """The contract with the likeliest proposals laid over it.

        For a human to read and to decide: the library never uses a guess by itself. Where
        nothing is near, or no override can say it, the row is left as it is.
        """
        contract = self.contract
        for one in self._likeliest():
            contract = proposed(contract, one)
        return contract

    @property
    def overrides(self) -> str:
        """The likeliest proposals as one expression to paste; empty where there is none."""
        calls = dict.fromkeys(call for one in self._likeliest() for call in one.calls)
        if not calls:
            return ""
        start = "Contract.default()" if self.contract == Contract.default() else "contract"
        return "\n".join(["contract = (", indent("\n".join([start, *calls]), "    "), ")"])

    def _likeliest(self) -> Iterator[Nearest]:
        """The first proposal of each row that an override can say, if they go together."""
        contract = self.contract
        for judgement in self.judgements:
            for one in judgement.nearest:
                if one.override:
                    try:
                        contract = proposed(contract, one)
                    except InvalidInputError:
                        continue
                    yield one
                    break

    def __str__(self) -> str:
        return "\n".join([self._head(), "", *map(str, self.judgements)])

    def _head(self) -> str:
        writes = [one for one in self.judgements if one.is_write]
        sure = [one for one in self.judgements if one.state == "confirmed"]
        return (
            f"{len(sure)} of {len(self.judgements)} operations confirmed, "
            f"{sum(one.is_write for one in sure)} of {len(writes)} writes"
        )

    def _repr_html_(self) -> str:
        rows = (
            (
                one.operation,
                one.state,
                f"{one.method} {one.path}",
                "; ".join((*one.faults, *one.notes)),
                "; ".join(f"{near.method} {near.path}" for near in one.nearest),
            )
            for one in self.judgements
        )
        header = ("operation", "state", "call", "what is open", "near it")
        shown = min(len(self.judgements), MAX_ROWS)
        told = counted(shown, len(self.judgements), "operation")
        return block(line(self._head(), strong=True), line(told), table(header, rows))


def proposed(contract: Contract, one: Nearest) -> Contract:
    """The contract with a proposal laid over it.

    Raises:
        InvalidInputError: it does not fit.
    """
    if one.changes:
        contract = contract.with_operation(one.operation, **{"evidence": _PROPOSED, **one.changes})
    for mode, value in one.modes.items():
        contract = contract.with_enrollment_mode(mode, value)
    return contract
