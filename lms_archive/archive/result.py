"""What came of a job: read from its ledger when it is asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from attrs import field, frozen

from lms_archive.archive.certificates import SavedCertificates, save_certificates
from lms_archive.archive.html import outcomes_html, records_html, result_html
from lms_archive.archive.ledger import counts_in, read_events, readable
from lms_archive.archive.ledger_rows import asked_in, outcomes_in
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.tables import OUTCOME_COLUMNS, OUTCOME_KINDS
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, RunStoppedError
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.records.columns import Column, columns_of, given_columns, rows_of
from lms_archive.records.frames import Table

__all__ = ["ArchiveResult", "Outcomes", "Records", "outcome_rows"]

_NAMED = 10
_RECORDS = {
    "course": ArchivedCourseEnrollment,
    "learning_plan": ArchivedLearningPlanEnrollment,
}


@frozen
class Outcomes(Table):
    """Outcomes in input order, read from the ledger as they are iterated."""

    ledger: Path = field(converter=Path)
    kind: str | None = None
    incomplete_only: bool = field(default=False, kw_only=True)

    def __iter__(self) -> Iterator[Outcome]:
        found = outcomes_in(self.ledger, self.kind)
        if self.incomplete_only:
            return (one for one in found if one.is_incomplete)
        return found

    def __len__(self) -> int:
        if self.incomplete_only:
            return sum(1 for _ in self)
        counts = counts_in(self.ledger)
        return sum(counts.values()) if self.kind is None else counts[self.kind]

    def _rows(self) -> Iterator[dict[str, Any]]:
        return outcome_rows(self, _note_in(self.ledger))

    def _columns(self) -> list[Column]:
        """Those of all rows, so that every view is valid input again, an empty one too."""
        given = given_columns(_samples(self.ledger))
        return [one for one in given if one.name not in OUTCOME_COLUMNS] + [*OUTCOME_KINDS]

    def _repr_html_(self) -> str:
        which = "incomplete" if self.incomplete_only else self.kind or "all rows"
        return outcomes_html(self, f"Outcomes: {which}")


@frozen
class Records(Table):
    """The archived records of a result in input order, read from the ledger as it is iterated.

    As a table they have the columns of `ArchivedCourseEnrollment`, or those of
    `ArchivedLearningPlanEnrollment`, or, where the job has targets of both kinds, both.
    """

    ledger: Path = field(converter=Path)

    def __iter__(self) -> Iterator[ArchivedRecord]:
        return (one.record for one in Outcomes(self.ledger, "archived") if one.record is not None)

    def __len__(self) -> int:
        return counts_in(self.ledger)["archived"]

    def _rows(self) -> Iterator[dict[str, Any]]:
        return rows_of(self)

    def _columns(self) -> tuple[Column, ...]:
        targets = (target for _, rows in asked_in(self.ledger) for _, target, *_ in rows)
        kinds = {target[0] for target in targets if target is not None}
        found = [cls for kind, cls in _RECORDS.items() if kind in kinds]
        return columns_of(*(found or [ArchivedCourseEnrollment]))

    def _repr_html_(self) -> str:
        return records_html(self)


def _texts_in(ledger: Path, state: str) -> tuple[str, ...]:
    """The texts of events, each once: every run of a job tells its own."""
    with readable(ledger):
        return tuple(dict.fromkeys(one["text"] for one in read_events(ledger, state)))


def _note_in(ledger: Path) -> str | None:
    return "; ".join(map(str, _texts_in(ledger, "note"))) or None


def _samples(ledger: Path) -> Iterator[dict[str, Any]]:
    """Rows with all the columns that were given, and in each a value of every type that is there.

    Of whole numbers the least and the largest: not all of them fit into a column.
    """
    for header, rows in asked_in(ledger):
        columns = list(zip_longest(*(cells for _, _, _, cells, *_ in rows)))
        yield dict.fromkeys(header[: len(columns)])
        for name, cells in zip(header, columns, strict=False):
            for kind in set(map(type, cells)):
                of_kind: list[Any] = [one for one in cells if type(one) is kind]
                ends = (min(of_kind), max(of_kind)) if kind is int else of_kind[:1]
                yield from ({name: one} for one in ends)


def outcome_rows(outcomes: Iterable[Outcome], note: str | None) -> Iterator[dict[str, Any]]:
    """Each outcome as one flat row: what was given, then what became of it."""
    for one in outcomes:
        record = one.record
        values = (
            one.kind,
            one.code,
            one.reason,
            one.line,
            one.user_id,
            _target_id(record) if record else None,
            record.archiving.record_id if record else None,
            record.archiving.archived_at if record else None,
            note,
        )
        yield {**one.row, **dict(zip(OUTCOME_COLUMNS, values, strict=True))}


@frozen
class ArchiveResult(Table):
    """One outcome for every row asked for; the ledger is the evidence.

    Attributes:
        ledger: the file that holds it all.
        client: the platform it came from, where certificates are asked for.
    """

    ledger: Path = field(converter=Path)
    client: Client | None = field(default=None, eq=False, repr=False)

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
    def records(self) -> Records:
        """The archived record of each archived row, in input order."""
        return Records(self.ledger)

    @property
    def calls(self) -> dict[str, int]:
        """Calls made by `apply` and every `resume`, by operation."""
        calls: Counter[str] = Counter()
        with readable(self.ledger):
            for made in read_events(self.ledger, "calls"):
                calls.update(made)
        return dict(calls)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the plan warned of."""
        return _texts_in(self.ledger, "warning")

    @property
    def note(self) -> str | None:
        """What `apply` and each `resume` were given as `note`."""
        return _note_in(self.ledger)

    def _rows(self) -> Iterator[dict[str, Any]]:
        return self.outcomes._rows()  # noqa: SLF001  its outcomes are its table

    def _columns(self) -> list[Column]:
        return self.outcomes._columns()  # noqa: SLF001  likewise

    def _repr_html_(self) -> str:
        return result_html(self.counts, [str(self.ledger), *self._trusted()], self.outcomes)

    def save_certificates(self, folder: str | os.PathLike[str]) -> SavedCertificates:
        """Save the certificates that were present at archive time (article), as PDFs.

        The folder is made where it is missing, for its owner alone. Links are followed to the
        platform only. A certificate that cannot be had does not stop the others: it is told.

        Raises:
            InvalidInputError: this result has no client: make it with `resume(ledger, client)`.
            ApiError: the platform cannot be reached, or the login failed.
        """
        if self.client is None:
            raise InvalidInputError(
                "this result has no client: resume(ledger, client) gives one that has"
            )
        return save_certificates(self.client, self.records, Path(folder))

    def raise_for_failures(self) -> None:
        """Do nothing where every row that was sent is archived.

        Raises:
            RunStoppedError: rows failed or are unknown; the first of them are named.
        """
        counts = self.counts
        if not (counts["failed"] or counts["unknown"]):
            return
        seen: list[str] = []
        for one in self.outcomes:
            if one.kind in ("failed", "unknown") and len(seen) < _NAMED:
                where = f"line {one.line}: " if one.line else ""
                seen.append(f"{where}{one.user} in {one.target}: {one.reason}")
        error = RunStoppedError(
            f"{counts['failed']} rows failed and {counts['unknown']} are unknown:",
            counts=counts,
            seen=seen,
        )
        error.ledger = self.ledger
        raise error

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
        return "\n".join([f"{counts} ({self.ledger})", *self._trusted()])

    def _trusted(self) -> Iterable[str]:
        """What went unconfirmed by the platform's swagger, and was sent all the same."""
        with readable(self.ledger):
            events = read_events(self.ledger, "ground")
            return dict.fromkeys(text for one in events for text in one["trusted"])


def _target_id(record: ArchivedRecord) -> int:
    if isinstance(record, ArchivedCourseEnrollment):
        return record.course.course_id
    return record.learning_plan.learning_plan_id
