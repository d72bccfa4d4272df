"""The plan: what will be sent, looked at before anything is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from lms_archive.archive.applying import Options, check_ceiling, check_platform, tell_carried
from lms_archive.archive.cutting import Chunk
from lms_archive.archive.events import OnEvent, telling
from lms_archive.archive.html import plan_html
from lms_archive.archive.ledger import Event, Ledger, readable
from lms_archive.archive.outcomes import Outcome, Skip
from lms_archive.archive.pieces import Altered, digest_of, fields_of, pieces_of
from lms_archive.archive.preflight import confirm_for_apply, confirm_for_resume
from lms_archive.archive.printed import printed
from lms_archive.archive.result import ArchiveResult
from lms_archive.archive.run import Run
from lms_archive.archive.selection import Selection
from lms_archive.archive.tables import write_csv
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, LedgerError
from lms_archive.files import whole_file

__all__ = ["ArchivePlan", "go_on", "plan_in"]

_FORMAT: Final = "lms_archive plan 2"


@frozen(kw_only=True)
class ArchivePlan:
    """What `apply` will send, and what it will not; made by `ArchiveJob.plan`.

    A plan is a ceiling: reading again can only drop rows, never add any. `print(plan)` is the
    dry run.

    Attributes:
        platform: the base URL it was read from.
        terms: what is done with each row.
        chunks: what is sent, in this order, each at most `Limits.hand_picked` rows.
        skips: rows that are not sent; `skipped` shows them as outcomes.
        warnings: what to think of first.
        calls: the calls that `apply` will make, by operation; polls of jobs not counted.
        duration: how long that takes at least.
        read_at: the platform's time (UTC) when the reading began.
    """

    platform: str
    terms: Terms
    selection: Selection = field(repr=False)
    chunks: tuple[Chunk, ...] = field(repr=False)
    skips: tuple[Skip, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()
    calls: Mapping[str, int] = field(factory=dict)
    duration: timedelta = timedelta()
    read_at: datetime | None = None
    fresh: dict[tuple[str, int], float] = field(factory=dict, eq=False, repr=False)

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """The rows that are not sent, as the outcomes they will have."""
        return tuple(outcome for _, outcome in self._skipped())

    def _skipped(self) -> Iterator[tuple[int, Outcome]]:
        for skip in self.skips:
            row = self.selection[skip.row]
            yield skip.row, Outcome.of(row, skip.code, skip.reason, user_id=skip.user_id)

    @property
    def counts(self) -> dict[str, int]:
        """Rows asked for, to archive, skipped; and chunks."""
        return {
            "rows": len(self.selection),
            "to_archive": sum(len(chunk) for chunk in self.chunks),
            "skipped": len(self.skips),
            "chunks": len(self.chunks),
        }

    @property
    def digest(self) -> str:
        """The hash of rows, terms, targets and pre-images: equal plans do the same."""
        return digest_of(pieces_of(**self._fields()))

    def _fields(self) -> dict[str, Any]:
        names = ("terms", "selection", "chunks", "skips", "warnings", "calls", "duration")
        return {name: getattr(self, name) for name in ("platform", *names, "read_at")}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as lines of JSON; it holds no secret, but people's names."""
        with whole_file(path) as file:
            file.write(f"{json.dumps({'format': _FORMAT})}\n")
            file.writelines(f"{piece.line}\n" for piece in pieces_of(**self._fields()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ArchivePlan:
        """The plan that was saved. Its pre-images are read again before they are sent.

        Raises:
            InvalidInputError: the file is no plan, or was changed.
        """
        source = os.fspath(path)
        try:
            with Path(path).open(encoding="utf-8") as file:
                first = json.loads(file.readline())
                if isinstance(first, dict) and first.get("format") == _FORMAT:
                    return cls(**fields_of(file))
        except OSError as error:
            raise InvalidInputError(f"cannot be read: {error.strerror}", source=source) from None
        except Altered:
            raise InvalidInputError(
                "was changed since it was saved: plan again", source=source
            ) from None
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"not a plan: {error}", source=source) from None
        raise InvalidInputError(f"not a plan of this version ({_FORMAT!r})", source=source)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the plan for sign-off: each row given, what will be done, and its pre-image."""
        images = {one.row: (chunk, one) for chunk in self.chunks for one in chunk.members}
        skips = {skip.row: skip for skip in self.skips}
        added = ("plan", "reason", "chunk", "user_id", "enrolled_at", "status", "completed_at")
        names = [f"plan_{name}" if name != "plan" else name for name in added]
        header = dict.fromkeys(name for part in self.selection.rows for name in part.header)

        def rows() -> Iterable[dict[str, Any]]:
            for row in self.selection:
                values: tuple[Any, ...]
                if row.index in images:
                    chunk, one = images[row.index]
                    values = ("archive", "", chunk.chunk_id, one.user_id)
                    values += (one.enrolled_at, one.status, one.completed_at)
                else:
                    skip = skips[row.index]
                    values = ("skip", skip.reason, "", skip.user_id, None, None, None)
                yield {**row.cells, **dict(zip(names, values, strict=True))}

        write_csv(path, [*header, *names], rows())

    def __str__(self) -> str:
        return printed(**self._told())

    def _repr_html_(self) -> str:
        return plan_html(**self._told())

    def _told(self) -> dict[str, Any]:
        names = ("platform", "terms", "chunks", "skips", "warnings", "calls", "duration")
        return {name: getattr(self, name) for name in names}

    def apply(
        self,
        client: Client,
        *,
        ledger: str | os.PathLike[str],
        max_affected: int | None = None,
        canary: int = 1,
        progress: bool = False,
        on_event: OnEvent | None = None,
        trust_contract: bool = False,
        allow_changes: bool = False,
        note: str | None = None,
    ) -> ArchiveResult:
        """Archive what was planned, and account for every row. It cannot be undone.

        First one enrollment is sent alone and read back, then the first chunk, then the rest.
        An existing ledger of the same plan is resumed.

        Args:
            client: the platform that the plan was read from.
            ledger: the file that keeps what was sent and what came of it; it makes resuming
                safe, and is the evidence afterwards.
            max_affected: how many enrollments may be archived at most; for learning plans each
                row counts with each course of its plan.
            canary: how many enrollments are sent alone first; 0 for none.
            progress: show a progress bar; needs the extra `progress`.
            on_event: is called with a `RunEvent` after each step that is in the ledger; what it
                raises stops the job.
            trust_contract: send also what the platform's own swagger does not confirm; it is
                logged, and stands in the ledger and in the result's warnings.
            allow_changes: go on where a learning plan is changed while the job runs. Its
                records would hold the change (article), so the job stops otherwise.
            note: a text that is kept in the ledger and in each outcome's row, as a ticket.

        Raises:
            TooManyAffectedError: the plan may archive more than `max_affected`; nothing was sent.
            UnconfirmedContractError: the platform's swagger does not confirm a write, or there is
                no archived list or no list of jobs; nothing was sent.
            LedgerError: the ledger is another plan's, or in use.
            InvalidInputError: the client is another platform's, or an argument cannot be used.
            RunStoppedError: something was not as it should be; the ledger can be resumed.
            ApiError: a call failed; likewise.
        """
        options = Options(
            canary=canary,
            progress=progress,
            on_event=on_event,
            trust_contract=trust_contract,
            allow_changes=allow_changes,
            note=note,
        )
        check_platform(self.platform, client)
        check_ceiling(self.chunks, max_affected)
        client = client.with_options()  # its calls are this job's
        if Path(ledger).exists():
            with Ledger.open(ledger) as book:
                if book.head("digest") != self.digest:
                    raise LedgerError(
                        f"{ledger}: holds another plan. To finish that one: "
                        f"resume({str(ledger)!r}, client). For a job of its own, another ledger"
                    )
                return go_on(plan_in(book), client, book, options)
        ground = confirm_for_apply(client, self.chunks, self.terms, trust=trust_contract)
        fresh = dict(self.fresh)
        self.fresh.clear()  # a reading is good for one apply
        head = {"digest": self.digest, "canary": canary}
        states = [*(Event(None, "warning", {"text": text}) for text in self.warnings), *ground]
        pieces = pieces_of(**self._fields())
        with Ledger.create(ledger, head, pieces, self._skipped(), states) as book:
            return go_on(self, client, book, options, fresh=fresh)


def plan_in(book: Ledger) -> ArchivePlan:
    """The plan that a ledger was begun with."""
    with readable(book.path):
        return ArchivePlan(**fields_of(piece.line for piece in book.plan()))


def go_on(
    plan: ArchivePlan,
    client: Client,
    book: Ledger,
    options: Options,
    *,
    fresh: Mapping[tuple[str, int], float] = MappingProxyType({}),
) -> ArchiveResult:
    """Go on with a plan from where its open ledger stands: `apply` and `resume` do this."""
    confirm_for_resume(client, book, plan.chunks, plan.terms, trust=options.trust_contract)
    if options.note is not None:
        book.note("note", text=options.note)
    run = Run(
        client,
        book,
        plan.chunks,
        plan.selection,
        plan.terms,
        canary=options.canary,
        fresh=fresh,
        allow_changes=options.allow_changes,
    )
    on_event, progress = options.on_event, options.progress
    with telling(book, plan.chunks, client, on_event=on_event, progress=progress):
        run(expect=sum(plan.calls.values()))
    tell_carried(book, plan.skips, plan.selection)
    return ArchiveResult(book.path, client)
