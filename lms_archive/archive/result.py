"""What came of a job: read from its ledger when it is asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

from lms_archive.archive.certificates import SavedCertificates, save_certificates
from lms_archive.archive.ledger import (
    counts_in,
    pending_count_in,
    read_events,
    standing_in,
)
from lms_archive.archive.options import check_client
from lms_archive.archive.rendering import (
    Part,
    html,
    outcome_grid,
    result_lines,
    text,
)
from lms_archive.archive.values.events import CallsMade, ContractChecked, Warned
from lms_archive.archive.views import (
    Outcomes,
    Pending,
    Records,
    ledger_path_from,
    note_in,
    texts_in,
)
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, RunStoppedError
from lms_archive.files import path_from
from lms_archive.tables.columns import Column
from lms_archive.tables.frames import Table
from lms_archive.tables.html import counted

__all__ = ["ArchiveResult"]

_NAMED = 10


def _is_client(_: object, __: Attribute[Client | None], value: object) -> None:
    if value is not None:
        check_client(value)


@frozen
class ArchiveResult(Table):
    """One outcome for every row asked for; the ledger is the evidence.

    Attributes:
        ledger: the file that holds it all.
        client: the platform it came from, where certificates are asked for.
    """

    ledger: Path = field(converter=ledger_path_from)
    client: Client | None = field(default=None, eq=False, repr=False, validator=_is_client)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its client: that would carry the login to wherever results are kept."""
        return ArchiveResult, (self.ledger,)

    @property
    def outcomes(self) -> Outcomes:
        """Every outcome, in input order."""
        return Outcomes(self.ledger)

    @property
    def archived(self) -> Outcomes:
        """Rows whose archived record was read back."""
        return Outcomes(self.ledger, "archived")

    @property
    def skipped(self) -> Outcomes:
        """Rows that were never sent."""
        return Outcomes(self.ledger, "skipped")

    @property
    def failed(self) -> Outcomes:
        """Rows that were sent and are still active; `to_csv` gives valid input again."""
        return Outcomes(self.ledger, "failed")

    @property
    def unknown(self) -> Outcomes:
        """Rows that are not settled yet: `resume` looks again."""
        return Outcomes(self.ledger, "unknown")

    @property
    def incomplete(self) -> Outcomes:
        """Archived rows where something is not as asked: see `differences` and `reason`."""
        return Outcomes(self.ledger, "archived", incomplete_only=True)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by kind: archived, skipped, failed, unknown."""
        return counts_in(self.ledger)

    @property
    def pending(self) -> Pending:
        """Rows that have no outcome yet: the job was interrupted, or still runs."""
        return Pending(self.ledger)

    @property
    def is_finished(self) -> bool:
        """Whether every row has its final outcome; else `resume` goes on, or looks again."""
        return standing_in(self.ledger).is_finished

    @property
    def records(self) -> Records:
        """The archived record of each archived row, in input order."""
        return Records(self.ledger)

    @property
    def calls(self) -> dict[str, int]:
        """Calls made by `apply` and every `resume`, by operation."""
        calls: Counter[str] = Counter()
        for event in read_events(self.ledger, CallsMade):
            calls.update(event.calls)
        return dict(calls)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the plan warned of."""
        return texts_in(self.ledger, Warned)

    @property
    def note(self) -> str | None:
        """What `apply` and each `resume` were given as `note`."""
        return note_in(self.ledger)

    def to_pandas(self) -> Any:
        """Return every outcome as a DataFrame, as `result.outcomes.to_pandas` does."""
        return self.outcomes.to_pandas()

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        return self.outcomes._table()  # noqa: SLF001  its outcomes are its table

    def _repr_html_(self) -> str:
        return html([*self._lines(), outcome_grid(self.outcomes)])

    def save_certificates(self, folder: str | os.PathLike[str]) -> SavedCertificates:
        """Save the certificates that were present at archive time (article), as PDFs.

        The folder is made where it is missing, for its owner alone. Links are followed to the
        platform only. A certificate that cannot be had does not stop the others: it is told.

        Raises:
            InvalidInputError: this result has no client: make it with `resume(ledger, client)`. Or
                the folder cannot be made.
            ApiError: the platform cannot be reached, or the login failed.
        """
        if self.client is None:
            raise InvalidInputError(
                "this result has no client: resume(ledger, client) gives one that has"
            )
        return save_certificates(
            self.client, self.records, path_from(folder, "folder", "certificates", "folder")
        )

    def raise_for_failures(self) -> None:
        """Do nothing where the job is finished, and every row that was sent is archived.

        Raises:
            RunStoppedError: rows failed, are unknown, or have no outcome yet; the first that
                failed or are unknown are named.
        """
        counts, unfinished = self.counts, list(self._unfinished())
        if not (counts["failed"] or counts["unknown"] or unfinished):
            return
        wrong = list(islice(self._wrong(), _NAMED))
        if wrong:
            is_unknown = "is unknown" if counts["unknown"] == 1 else "are unknown"
            failed = f"{_rows(counts['failed'])} failed"
            unfinished.append(f"{failed} and {counts['unknown']:,} {is_unknown}:")
        error = RunStoppedError("\n".join(unfinished), counts=counts, seen=wrong)
        error.ledger = self.ledger
        raise error

    def _wrong(self) -> Iterator[str]:
        """The rows that failed or are unknown, and why."""
        for outcome in self.outcomes:
            if outcome.kind in ("failed", "unknown"):
                where = f"line {outcome.line}: " if outcome.line else ""
                yield f"{where}{outcome.user} in {outcome.target}: {outcome.reason}"

    def __str__(self) -> str:
        return text(self._lines())

    def _lines(self) -> list[Part]:
        return result_lines(self.counts, self.ledger, [*self._unfinished(), *self._trusted()])

    def _unfinished(self) -> Iterator[str]:
        """What is left of a job that was interrupted, and what to type."""
        pending = pending_count_in(self.ledger)
        if pending:
            yield (
                f"unfinished: {counted(pending, pending, 'row')} pending; "
                f"resume({str(self.ledger)!r}, client) goes on"
            )

    def _trusted(self) -> Iterable[str]:
        """What went unconfirmed by the platform's swagger, and was sent all the same."""
        events = read_events(self.ledger, ContractChecked)
        return dict.fromkeys(text for event in events for text in event.trusted)


def _rows(count: int) -> str:
    return counted(count, count, "row")
