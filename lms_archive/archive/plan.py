"""The plan: what will be sent, to be reviewed before anything is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

from lms_archive.archive.added_columns import PLAN_COLUMNS, beside, spellings
from lms_archive.archive.execution import apply_plan
from lms_archive.archive.ledger import digest_of, load_plan, save_plan
from lms_archive.archive.options import RUN_DEFAULTS, RunOptions
from lms_archive.archive.rendering import html, plan_summary, text
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.selection import Selection
from lms_archive.archive.signatures import shows_options
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.client import Client
from lms_archive.tables.csv import Destination, write_csv
from lms_archive.wire.tracebacks import short_traceback

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ArchivePlan"]


@frozen(kw_only=True)
class ArchivePlan(PlanData):
    """What `apply` will send and what it will skip; made by `ArchiveJob.plan`.

    A plan is a ceiling: reading again can only drop rows, never add any. `print(plan)` is the
    dry run.

    Attributes:
        platform: the base URL it was read from.
        terms: what is done with each row.
        chunks: what is sent, in this order, each at most `Limits.hand_picked` rows.
        skips: rows that are not sent; `skipped` shows them as outcomes.
        warnings: what to consider first.
        calls: the calls that `apply` will make, by operation; polls of jobs not counted.
        duration: how long that takes at least.
        read_at: the platform's time (UTC) when the reading began.
        selection: the rows asked for.
        digest: the hash of rows, terms, targets and enrollments: equal plans do the same.
    """

    selection: Selection = field(repr=False)
    digest: str = field(init=False, eq=False, repr=False)

    @digest.default
    def _digest(self) -> str:
        return digest_of(self, self.selection)

    @classmethod
    def of(cls, plan: PlanData, selection: Selection) -> ArchivePlan:
        """Return the plan for the rows asked for."""
        return cls(**asdict(plan, recurse=False), selection=selection)

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """The rows that are not sent, as the outcomes they will have."""
        return tuple(self._skipped())

    def _skipped(self) -> Iterator[Outcome]:
        for skip in self.skips:
            row = self.selection[skip.row]
            yield Outcome.of(row, skip.code, skip.reason, user_id=skip.user_id)

    @property
    def counts(self) -> dict[str, int]:
        """Rows asked for, to archive, skipped; and chunks."""
        return {
            "rows": len(self.selection),
            "to_archive": sum(len(chunk) for chunk in self.chunks),
            "skipped": len(self.skips),
            "chunks": len(self.chunks),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan into a SQLite file, for its owner alone: a ledger without events.

        It holds no secret, but people's names.

        Raises:
            InvalidInputError: no plan can be written there, or a job's ledger has that name.
            OSError: it cannot be written.
        """
        save_plan(path, self, self.selection, self.digest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ArchivePlan:
        """Read a plan that was saved, or that of a ledger. What it sends is read again before.

        Raises:
            InvalidInputError: the file is not a plan, or was changed.
        """
        return cls.of(*load_plan(path))

    def to_csv(self, path: Destination) -> None:
        """Write the plan for sign-off: each row as given, what will be done, and to whom.

        A cell that a spreadsheet would run has a `'` before it, which `from_csv` takes off again.

        Args:
            path: where to; a file that is open for text is taken too.

        Raises:
            InvalidInputError: it cannot be written there; a file that was there is as it was.
        """
        planned = {one.row: (chunk.chunk_id, one) for chunk in self.chunks for one in chunk.members}
        skips = {skip.row: skip for skip in self.skips}
        written = spellings(name for part in self.selection.rows for name in part.header)
        names = [column.name for column in beside(PLAN_COLUMNS, written)]

        def rows() -> Iterator[dict[str, Any]]:
            for row in self.selection:
                values: tuple[Any, ...]
                if row.index in planned:
                    chunk_id, one = planned[row.index]
                    values = ("archive", None, None, chunk_id, one.user_id, one.username)
                    values += (one.enrolled_at, one.status, one.completed_at)
                else:
                    skip = skips[row.index]
                    values = ("skip", skip.code, skip.reason, None, skip.user_id, skip.username)
                    values += (None, None, None)
                cells = {written[name]: cell for name, cell in row.cells.items()}
                yield {**cells, **dict(zip(names, values, strict=True))}

        write_csv(path, [*dict.fromkeys(written.values()), *names], rows())

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
        """Archive what was planned, and account for every row. It cannot be undone.

        First one enrollment is sent alone and read back, then the first chunk, then the rest.
        An existing ledger of the same plan is resumed.

        Args:
            client: the platform that the plan was read from.
            ledger: the file that records what is sent and what happened to it; it makes resuming
                safe, and is the evidence afterwards.
            max_affected: how many enrollments may be archived at most; for learning plans each
                row counts with each course of its plan.
            canary: how many enrollments are sent alone first; 0 for none.
            progress: show a progress bar, where tqdm is installed (the extra `progress`), else
                write a line to stderr for each chunk.
            on_event: called with a `RunEvent` after each step is in the ledger; an exception that
                it raises stops the job.
            stop: an object with `is_set()`, such as a `threading.Event`. It is looked at before
                each write and in every wait. Once it is set, nothing more is sent or waited for;
                `resume` does the rest.
            trust_contract: send also what the platform's own swagger does not list, or what
                cannot be read; it is logged, and kept in the ledger and in the result's warnings.
                A write that is described differently is refused all the same.
            allow_changes: go on if a learning plan is changed while the job runs. Its records
                would hold the change, so the job stops otherwise.
            note: a text, such as a ticket number, that is kept in the ledger and in each row of
                the outcomes.

        Raises:
            TooManyAffectedError: the plan may archive more than `max_affected`; nothing was sent.
            UnconfirmedContractError: the platform's swagger does not confirm a write, or there is
                no archived list or no list of jobs; nothing was sent.
            LedgerError: the ledger is another plan's (the text says whether that one is
                finished), or in use.
            InvalidInputError: the client is another platform's, or an argument cannot be used.
            RunStoppedError: something was not as it should be, or `stop` is set (that is a
                `StopRequestedError`); the ledger can be resumed.
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
