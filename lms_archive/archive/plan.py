"""The plan: what will be sent, to be reviewed before anything is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import asdict, field, frozen

from lms_archive.archive.execution import apply_plan
from lms_archive.archive.ledger import digest_of, load_plan, save_plan
from lms_archive.archive.options import RUN_DEFAULTS, RunOptions
from lms_archive.archive.rendering import html, plan_summary, text
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.selection import Selection, indexed
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.archive.views import SkippedRows, plan_table
from lms_archive.client import Client
from lms_archive.errors import plural
from lms_archive.resources.signatures import shows_options
from lms_archive.tables.columns import Column
from lms_archive.tables.frames import Table
from lms_archive.wire.tracebacks import short_traceback

if TYPE_CHECKING:
    from typing_extensions import Unpack

PlanCount = Literal["rows", "to_archive", "skipped", "chunks"]


@frozen(kw_only=True, repr=False)
class ArchivePlan(PlanData, Table):
    """What `apply` will send and what it will skip; made by `ArchiveJob.plan`.

    A plan is a ceiling: reading again can only drop rows, never add any. `print(plan)` is the
    dry run.

    Attributes:
        platform: the base URL it was read from.
        terms: what is done with each row.
        chunks: what is sent, in this order, each at most `Limits.hand_picked` rows.
        skips: rows that are not sent; `skipped` shows them as outcomes.
        warnings: what to consider first.
        calls: the calls that `apply` will make, by operation; polls of background jobs not counted.
        duration: about how long that takes: half a second a call, the first wait for background
            jobs, and the hourly limit of calls.
        read_at: the platform's time (UTC) when the reading began.
        selection: the rows requested.
        digest: the hash of rows, terms, targets, enrollments and the reasons of skipped rows (so
            `explain=True` changes it).
    """

    selection: Selection = field(repr=False)
    digest: str = field(init=False, eq=False, repr=False)

    @digest.default
    def _digest(self) -> str:
        return digest_of(self, self.selection)

    @classmethod
    def of(cls, plan: PlanData, selection: Selection) -> ArchivePlan:
        """Return the plan for the rows requested."""
        return cls(**asdict(plan, recurse=False), selection=selection)

    @property
    def skipped(self) -> SkippedRows:
        """The rows that are not sent, as the outcomes that they will have."""
        return SkippedRows(self.selection, self.skips)

    @property
    def counts(self) -> dict[PlanCount, int]:
        """Rows requested, to archive, skipped; and chunks."""
        return {
            "rows": len(self.selection),
            "to_archive": sum(len(chunk) for chunk in self.chunks),
            "skipped": len(self.skips),
            "chunks": len(self.chunks),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the plan as a SQLite file that only its owner can read: a ledger without events.

        It contains no secrets, but names of users.

        Raises:
            InvalidInputError: the file cannot be written, for example because its folder does not
                exist, or it exists and is not a saved plan.
        """
        save_plan(path, self, self.selection, self.digest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ArchivePlan:
        """Load a saved plan, or the plan of a ledger; `apply` reads its enrollments again.

        Raises:
            InvalidInputError: the file is not a plan, or was changed.
            InputFileError: it is missing or cannot be read.
        """
        return cls.of(*load_plan(path))

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame, as `to_csv` writes them; needs the extra `pandas`.

        The index is that of `result.to_pandas()`.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        return indexed(super().to_pandas(), self.selection)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary of the plan as JSON values; its rows are in `to_csv`."""
        return {
            "platform": self.platform,
            "digest": self.digest,
            "mode": str(self.terms.mode),
            "reset_tracking": self.terms.reset_tracking,
            "only": list(map(str, self.terms.only)),
            "include_staff": self.terms.include_staff,
            "counts": self.counts,
            "skipped": dict(Counter(skip.code for skip in self.skips)),
            "warnings": list(self.warnings),
            "calls": dict(self.calls),
            "duration_seconds": self.duration.total_seconds(),
            "read_at": self.read_at and self.read_at.isoformat(),
        }

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        return plan_table(self, self.selection)

    def __repr__(self) -> str:
        counts = self.counts
        chunks = plural(counts["chunks"], "chunk")
        sent, skipped = counts["to_archive"], counts["skipped"]
        return f"<ArchivePlan {sent:,} to archive, {skipped:,} skipped, {chunks}>"

    def __str__(self) -> str:
        return text(plan_summary(self))

    def _repr_html_(self) -> str:
        return html(plan_summary(self))

    @short_traceback
    @shows_options(RunOptions, {**RUN_DEFAULTS, "canary": 1})
    def apply(
        self,
        client: Client,
        *,
        ledger: str | os.PathLike[str],
        **options: Unpack[RunOptions],
    ) -> ArchiveResult:
        """Archive the planned enrollments, and verify every row. This cannot be undone.

        First one enrollment is sent alone and read back, then the first chunk, then the rest.
        An existing ledger of the same plan is resumed.

        Args:
            client: the platform that the plan was read from.
            ledger: the file that records what is sent and what happened to it; it makes resuming
                safe, and is the evidence afterwards.
            max_affected: how many enrollments may be archived at most; for learning plans each
                row counts with each course of its plan. By default there is no limit.
            canary: how many enrollments are sent alone first; 0 for none.
            progress: show a progress bar, where tqdm is installed (the extra `progress`), else
                write a line to stderr for each chunk.
            on_event: called with a `RunEvent` after each step is in the ledger; an exception that
                it raises stops the job.
            stop: an object with `is_set()`, such as a `threading.Event`. It is checked before each
                call and in every wait. Once it is set, nothing more is sent or waited for;
                `resume` continues the job.
            trust_contract: make calls that the platform's own swagger does not list, or whose
                document cannot be read; this is logged, and kept in the ledger and the warnings.
                A write that is described differently is refused in any case.
            allow_changes: continue if a learning plan is changed while the job runs, except if
                courses were added: more would be archived than planned. By default the
                job stops, because the archived records would keep the change.
            note: a text, such as a ticket number, that is kept in the ledger and in each row of
                the outcomes.

        Raises:
            TooManyAffectedError: the plan may archive more than `max_affected`; nothing was sent.
            UnconfirmedContractError: the platform's swagger does not confirm a write, or there is
                no archived list or no list of background jobs; nothing was sent.
            LedgerError: the ledger belongs to another plan (the text says whether that one is
                finished), or is in use.
            InvalidInputError: the client is for another platform, or an argument cannot be used.
            RunStoppedError: something was not as it should be, or `stop` is set (that is a
                `StopRequestedError`); the ledger can be resumed.
            JobTimeoutError: a background job has not ended; the ledger can be resumed.
            ApiError: a call failed; the ledger can be resumed.
        """
        return apply_plan(
            self,
            self.selection,
            self.digest,
            client,
            ledger=ledger,
            options=options,
        )
