"""What came of a job: read from its ledger when it is asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

from lms_archive.archive.added_columns import OUTCOME_COLUMNS, with_outcomes
from lms_archive.archive.applying import check_client
from lms_archive.archive.certificates import SavedCertificates, save_certificates
from lms_archive.archive.ledger import (
    cells_in,
    counts_in,
    outcomes_in,
    pending_count_in,
    pending_in,
    read_events,
    standing_in,
    target_kinds_in,
)
from lms_archive.archive.outcomes import AS_ASKED, Outcome, PendingRow
from lms_archive.archive.rendering import (
    Line,
    Part,
    html,
    outcome_grid,
    record_grid,
    result_lines,
    text,
)
from lms_archive.archive.selection import indexed
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, RunStoppedError
from lms_archive.files import path_from
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.tables.columns import Column, columns_of, given_columns, rows_of
from lms_archive.tables.frames import Table
from lms_archive.tables.html import counted

__all__ = ["ArchiveResult", "Outcomes", "Pending", "PendingRow", "Records"]

_NAMED = 10
_RECORDS = {
    "course": ArchivedCourseEnrollment,
    "learning_plan": ArchivedLearningPlanEnrollment,
}


def _ledger(value: str | os.PathLike[str]) -> Path:
    return path_from(value, "ledger", "ledger.sqlite")


def _is_client(_: object, __: Attribute[Client | None], value: object) -> None:
    if value is not None:
        check_client(value)


@frozen
class Outcomes(Table):
    """Outcomes in input order, read from the ledger as they are iterated."""

    ledger: Path = field(converter=_ledger)
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

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame; needs the extra `pandas`.

        A row that came from a DataFrame has its label there in the index, another its position
        among the rows asked for, from 0: so a view can be joined to what was given.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        return indexed(super().to_pandas(), self)

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """The user's columns of all rows, so that an empty view is valid input too, and ours."""
        note = _note_in(self.ledger)
        return with_outcomes(
            given_columns(_samples(self.ledger)), ((one.row, _added(one, note)) for one in self)
        )

    def _repr_html_(self) -> str:
        which = "incomplete" if self.incomplete_only else self.kind or "all rows"
        return html([Line(f"Outcomes: {which}", strong=True), outcome_grid(self)])


@frozen
class Pending(Table):
    """Rows without an outcome yet, in input order, read from the ledger as they are iterated.

    Some of them may be on their way: `resume` settles them. Do not plan them again before.
    """

    ledger: Path = field(converter=_ledger)

    def __iter__(self) -> Iterator[PendingRow]:
        for row in pending_in(self.ledger):
            user = row.user[1] if isinstance(row.user, tuple) else row.user
            yield PendingRow(row.line, row.cells, row.target, user, row.position, row.label)

    def __len__(self) -> int:
        return pending_count_in(self.ledger)

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame, with the index that the outcomes have.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        return indexed(super().to_pandas(), self)

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """The columns of the outcomes, so that it is known as a file of ours."""
        rows = ((one.row, _added_while_pending(one)) for one in self)
        return with_outcomes(given_columns(_samples(self.ledger)), rows)


@frozen
class Records(Table):
    """The archived records of a result in input order, read from the ledger as it is iterated.

    As a table they have the columns of `ArchivedCourseEnrollment`, or those of
    `ArchivedLearningPlanEnrollment`, or, where the job has targets of both kinds, both. The index
    of `to_pandas` is that of the outcomes.
    """

    ledger: Path = field(converter=_ledger)

    def __iter__(self) -> Iterator[ArchivedRecord]:
        return (one.record for one in Outcomes(self.ledger, "archived") if one.record is not None)

    def __len__(self) -> int:
        return counts_in(self.ledger)["archived"]

    def to_pandas(self) -> Any:
        """Return the records as a DataFrame, with the index that the outcomes have.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        archived = Outcomes(self.ledger, "archived")
        return indexed(super().to_pandas(), (one for one in archived if one.record is not None))

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        kinds = target_kinds_in(self.ledger)
        classes = [cls for kind, cls in _RECORDS.items() if kind in kinds]
        return columns_of(*(classes or [ArchivedCourseEnrollment])), rows_of(self)

    def _repr_html_(self) -> str:
        return html([record_grid(self)])


def _texts_in(ledger: Path, state: str) -> tuple[str, ...]:
    """The texts of events, each once: every run of a job tells its own."""
    return tuple(dict.fromkeys(data.get("text", "") for data in read_events(ledger, state)))


def _note_in(ledger: Path) -> str | None:
    return "; ".join(map(str, _texts_in(ledger, "note"))) or None


def _samples(ledger: Path) -> Iterator[dict[str, Any]]:
    """Rows with all the columns that were given, and in each a value of every type that is there.

    Of whole numbers the least and the largest: not all of them fit into a column.
    """
    for header, rows in cells_in(ledger):
        columns = list(zip_longest(*rows))
        yield dict.fromkeys(header[: len(columns)])
        for name, cells in zip(header, columns, strict=False):
            for kind in set(map(type, cells)):
                of_kind: list[Any] = [one for one in cells if type(one) is kind]
                ends = (min(of_kind), max(of_kind)) if kind is int else of_kind[:1]
                yield from ({name: one} for one in ends)


def _added(outcome: Outcome, note: str | None) -> tuple[Any, ...]:
    """What `OUTCOME_COLUMNS` hold of an outcome."""
    record = outcome.record
    return (
        outcome.kind,
        outcome.code,
        outcome.reason,
        _differences(outcome),
        outcome.line,
        outcome.position,
        outcome.user_id,
        _target_id(record) if record else None,
        record.archiving.record_id if record else None,
        record.archiving.archived_at if record else None,
        note,
    )


def _added_while_pending(row: PendingRow) -> list[Any]:
    """What `OUTCOME_COLUMNS` hold of a row that has no outcome yet."""
    known = {"outcome": "pending", "outcome_line": row.line, "outcome_row": row.position}
    return [known.get(column.name) for column in OUTCOME_COLUMNS]


def _differences(outcome: Outcome) -> str | None:
    courses = (
        f"course {course.course_id}: {course.status.replace('_', ' ')}"
        for course in outcome.courses
        if course.status not in AS_ASKED
    )
    return "; ".join([*outcome.differences, *courses]) or None


@frozen
class ArchiveResult(Table):
    """One outcome for every row asked for; the ledger is the evidence.

    Attributes:
        ledger: the file that holds it all.
        client: the platform it came from, where certificates are asked for.
    """

    ledger: Path = field(converter=_ledger)
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
        events = read_events(self.ledger, "contract_checked")
        return dict.fromkeys(text for data in events for text in data["trusted"])


def _rows(count: int) -> str:
    return counted(count, count, "row")


def _target_id(record: ArchivedRecord) -> int:
    if isinstance(record, ArchivedCourseEnrollment):
        return record.course.course_id
    return record.learning_plan.learning_plan_id
