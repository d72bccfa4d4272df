"""The result of a job, read from its ledger on demand, and its certificates."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from attrs import field, frozen
from attrs.validators import optional

from lms_archive.archive.ledger import JobProgress, is_redacted, read_events, read_progress
from lms_archive.archive.options import check_client
from lms_archive.archive.rendering import (
    Line,
    Part,
    Strip,
    attention_grid,
    code_grid,
    html,
    outcome_grid,
    text,
)
from lms_archive.archive.values.events import CallsMade, ContractChecked, Warned
from lms_archive.archive.values.outcomes import OutcomeKind
from lms_archive.archive.views import (
    Outcomes,
    Pending,
    Records,
    ledger_path_from,
    note_in,
    texts_in,
)
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    LmsArchiveError,
    RunStoppedError,
    plural,
)
from lms_archive.files import path_from, private_folder
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedRecord
from lms_archive.records.status import EnrollmentStatus
from lms_archive.resources.archived import certificate_of
from lms_archive.tables.columns import Column
from lms_archive.tables.frames import Table

_NAMED = 10
_LONGEST = 80


@frozen
class SavedCertificates:
    """The result of saving the certificates of archived records.

    Attributes:
        saved: the files, one for each certificate.
        without: how many completed enrollments had no certificate.
        failed: why a certificate could not be saved, by the id of its record.
    """

    saved: tuple[Path, ...] = ()
    without: int = 0
    failed: Mapping[int, str] = field(factory=dict)

    def __str__(self) -> str:
        saved = plural(len(self.saved), "certificate")
        counts = f"{saved} saved, {len(self.failed):,} failed"
        return f"{counts}; completed without certificate: {self.without:,}"


@frozen(repr=False)
class ArchiveResult(Table):
    """The result of a job: an outcome for every row, read from the ledger.

    Attributes:
        ledger: the file that holds the plan, the events and the outcomes.
        client: the client of the platform, which `save_certificates` needs; or None.
    """

    ledger: Path = field(converter=ledger_path_from)
    client: Client | None = field(
        default=None,
        eq=False,
        repr=False,
        validator=optional(lambda _, __, client: check_client(client)),
    )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the client, so that a stored result contains no login."""
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
        """Rows that were not sent, or not sent again.

        With the code `archived_with_learning_plan`, another row of the job archived the enrollment.
        """
        return Outcomes(self.ledger, "skipped")

    @property
    def failed(self) -> Outcomes:
        """Rows that were sent and are still active; `to_csv` writes valid input for a new job."""
        return Outcomes(self.ledger, "failed")

    @property
    def unknown(self) -> Outcomes:
        """Rows that are not decided yet: `resume` reads them again."""
        return Outcomes(self.ledger, "unknown")

    @property
    def incomplete(self) -> Outcomes:
        """Archived rows that are not exactly as requested: see `differences` and `reason`."""
        return Outcomes(self.ledger, "incomplete")

    @property
    def needs_attention(self) -> Outcomes:
        """Rows that a person must look at first, in input order.

        Rows that failed, are unknown, are archived but not exactly as requested (`incomplete`),
        have conflicting evidence (the `reason` quotes it), or were skipped with a code that needs
        attention.
        """
        return Outcomes(self.ledger, "needs attention")

    @property
    def counts(self) -> dict[OutcomeKind, int]:
        """Rows by kind: archived, skipped, failed, unknown."""
        return cast("dict[OutcomeKind, int]", self._status.counts)

    @property
    def pending(self) -> Pending:
        """Rows that have no outcome yet: the job was interrupted, or is still running."""
        return Pending(self.ledger)

    @property
    def is_finished(self) -> bool:
        """Whether every row has its final outcome; if not, `resume` continues the job."""
        return self._status.is_finished

    @property
    def records(self) -> Records:
        """The archived record of each archived row, in input order."""
        return Records(self.ledger)

    @property
    def calls(self) -> dict[str, int]:
        """Calls made by `apply` and every `resume`, by operation.

        They are written at the end of a run, so those of a process that was killed are missing.
        """
        calls: Counter[str] = Counter()
        for event in read_events(self.ledger, CallsMade):
            calls.update(event.calls)
        return dict(calls)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the plan and of its runs."""
        return texts_in(self.ledger, Warned)

    @property
    def note(self) -> str | None:
        """The notes passed to `apply` and each `resume`, or None."""
        return note_in(self.ledger)

    def to_pandas(self) -> Any:
        """Return every outcome as a DataFrame, as `result.outcomes.to_pandas` does."""
        return self.outcomes.to_pandas()

    def to_dict(self) -> dict[str, Any]:
        """Return the summary of the result as JSON values; its rows are in `outcomes`."""
        status = self._status
        return {
            "ledger": str(self.ledger),
            "counts": status.counts,
            "codes": {code: count for _, code, count in status.codes},
            "pending": status.pending,
            "needs_attention": len(self.needs_attention),
            "is_finished": status.is_finished,
            "calls": self.calls,
            "warnings": list(self.warnings),
            "note": self.note,
        }

    def __repr__(self) -> str:
        try:
            status, attention = self._status, len(self.needs_attention)
        except LmsArchiveError:
            return f"<ArchiveResult of {str(self.ledger)!r}, which cannot be read>"
        counts = {k: n for k, n in status.counts.items() if n or k != "unknown"}
        if status.pending:
            counts["pending"] = status.pending
        if attention:
            counts["needs attention" if attention == 1 else "need attention"] = attention
        return f"<ArchiveResult {', '.join(f'{n:,} {kind}' for kind, n in counts.items())}>"

    @property
    def _status(self) -> JobProgress:
        return read_progress(self.ledger)

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        return self.outcomes._table()  # noqa: SLF001  its outcomes are its table

    def _repr_html_(self) -> str:
        status = self._status
        counts = {**status.counts, "pending": status.pending}
        parts = [*self._lines(), Strip(counts), code_grid(status.codes)]
        if self.needs_attention:
            parts.append(attention_grid(self.needs_attention))
        return html([*parts, outcome_grid(self.outcomes)])

    def save_certificates(self, folder: str | os.PathLike[str]) -> SavedCertificates:
        """Save the certificates that were present at the time of archiving, as PDFs.

        A missing folder is created, accessible to its owner alone. Only links to the platform are
        followed. A certificate that cannot be saved does not stop the others; the returned value
        lists it.

        Raises:
            InvalidInputError: this result has no client (`resume(ledger, client)` returns a result
                with a client), its ledger is redacted, or the folder cannot be created.
            ApiError: the platform cannot be reached, or the login failed.
        """
        if self.client is None:
            raise InvalidInputError(
                "this result has no client: resume(ledger, client) returns one with a client"
            )
        if is_redacted(self.ledger):
            raise InvalidInputError(
                "is redacted, so it has no links to certificates: read the records again with "
                "client.archived, and save each with client.archived.download_certificate",
                source=str(self.ledger),
            )
        return save_certificates(
            self.client, self.records, path_from(folder, "folder", "certificates", "folder")
        )

    def raise_for_failures(self) -> None:
        """Raise an error unless the job is finished and every row that was sent is archived.

        Raises:
            RunStoppedError: rows failed, are unknown, or have no outcome yet; the message lists
                the first rows that failed or are unknown.
        """
        counts, unfinished = self._status.counts, list(self._unfinished())
        if not (counts["failed"] or counts["unknown"] or unfinished):
            return
        wrong = list(islice(self._wrong(), _NAMED))
        others = counts["failed"] + counts["unknown"] - len(wrong)
        if others:
            wrong.append(f"and {others:,} more: see result.failed and result.unknown")
        if wrong:
            is_unknown = "is unknown" if counts["unknown"] == 1 else "are unknown"
            failed = f"{plural(counts['failed'], 'row')} failed"
            unfinished.append(f"{failed} and {counts['unknown']:,} {is_unknown}:")
        error = RunStoppedError("\n".join(unfinished), counts=counts, seen=wrong)
        error.ledger = self.ledger
        raise error

    def _wrong(self) -> Iterator[str]:
        """Yield the rows that failed or are unknown, and why."""
        for outcome in self.outcomes:
            if outcome.kind in ("failed", "unknown"):
                where = f"line {outcome.line}: " if outcome.line else ""
                yield f"{where}{outcome.user} in {outcome.target}: {outcome.reason}"

    def __str__(self) -> str:
        return text(self._lines())

    def _lines(self) -> list[Part]:
        notes = [
            *self._unfinished(),
            *self._archived_meanwhile(),
            *self._to_look_at(),
            *self._trusted(),
        ]
        return [Line(self._counts_line(), strong=True), *map(Line, notes)]

    def _terminal_text(self) -> str:
        """Return the summary for a terminal, without advice that needs a Python object."""
        pending = self._status.pending
        lines = [self._counts_line(), *([f"{plural(pending, 'row')} pending"] if pending else [])]
        return text(map(Line, [*lines, *self._archived_meanwhile(), *self._trusted()]))

    def _counts_line(self) -> str:
        by_kind = ", ".join(f"{count:,} {kind}" for kind, count in self._status.counts.items())
        return f"{by_kind} ({self.ledger})"

    def _archived_meanwhile(self) -> Iterator[str]:
        """Yield how many archived rows this job did not archive."""
        for _, code, count in self._status.codes:
            if code == "archived_meanwhile":
                was = "was" if count == 1 else "were"
                yield f"{count:,} of the archived rows {was} not archived by this job ({code})"

    def _to_look_at(self) -> Iterator[str]:
        """Yield how many rows to look at."""
        attention = len(self.needs_attention)
        if attention:
            needs = "needs" if attention == 1 else "need"
            yield f"{plural(attention, 'row')} {needs} attention: see result.needs_attention"

    def _unfinished(self) -> Iterator[str]:
        """Yield how many rows are pending, and how to continue."""
        pending = self._status.pending
        if pending:
            yield (
                f"unfinished: {plural(pending, 'row')} pending; "
                f"resume({str(self.ledger)!r}, client) continues"
            )

    def _trusted(self) -> Iterable[str]:
        """Return the calls that were sent although the platform's swagger does not confirm them."""
        events = read_events(self.ledger, ContractChecked)
        return dict.fromkeys(text for event in events for text in event.trusted)


def save_certificates(
    client: Client, records: Iterable[ArchivedRecord], folder: Path
) -> SavedCertificates:
    """Save each certificate as a PDF; a failure does not stop the others."""
    private_folder(folder)
    taken: set[str] = set()
    saved: list[Path] = []
    failed: dict[int, str] = {}
    without = 0
    for record in records:
        if certificate_of(record) is None:
            without += record.enrollment.status == EnrollmentStatus.COMPLETED
            continue
        name, record_id = _name(record), record.archiving.record_id
        if name.casefold() in taken:
            failed[record_id] = f"{name} is already the file of another certificate"
            continue
        taken.add(name.casefold())
        try:
            saved.append(client.archived.download_certificate(record, folder / name))
        except (ApiError, InvalidInputError, OSError) as error:
            failed[record_id] = str(error)
    return SavedCertificates(tuple(saved), without, failed)


def _name(record: ArchivedRecord) -> str:
    """Return a safe file name: it has no folder, and the id at its start avoids reserved names."""
    course = isinstance(record, ArchivedCourseEnrollment)
    code = record.course.code if course else record.learning_plan.code  # type: ignore[union-attr]
    words = f"{record.archiving.record_id}_{'course' if course else 'plan'}"
    name = f"{words}_{record.user.username or record.user.user_id}_{code or ''}"
    return re.sub(r"[^\w.@-]+", "_", name, flags=re.ASCII)[:_LONGEST].rstrip("._") + ".pdf"
