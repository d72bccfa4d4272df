"""What a running job tells: frozen events, and the progress bar that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from attrs import evolve, frozen

from lms_archive.archive.ledger import Event, Ledger
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.outcomes import CODES, Outcome
from lms_archive.client import Client
from lms_archive.errors import LmsArchiveError

__all__ = ["OnEvent", "RunEvent", "bar_class", "telling"]

_TOLD: Final = ("started", "sending", "submitted", "refused", "not_sent")


@frozen(kw_only=True)
class RunEvent:
    """A step of a job, told when it stands in the ledger.

    Attributes:
        kind: `"started"`; `"sending"`: a call is about to be made; `"submitted"`: the platform
            took it; `"refused"`, `"not_sent"`: it did not; `"settled"`: rows have their outcomes;
            `"finished"`; `"stopped"`: with the `reason`.
        target: the code (or kind and id) of the course or learning plan, or None.
        job_id: the background job, where one was named.
        rows: how many rows this event is about.
        outcomes: of a `"settled"` event: the rows by kind.
        settled: rows of the plan that have an outcome now, unknown ones aside.
        pending: rows of the plan that have no outcome yet.
        total: rows that the plan sends.
        chunks_sent: chunks of which something has been sent by this run.
        chunks: chunks of the plan.
        calls_left: calls left in the hour's budget, or None where there is no throttle.
        reason: why the job stopped, or what the platform said.
    """

    kind: str
    target: str | None = None
    job_id: str | None = None
    rows: int = 0
    outcomes: Mapping[str, int] = {}
    settled: int = 0
    pending: int = 0
    total: int = 0
    chunks_sent: int = 0
    chunks: int = 0
    calls_left: int | None = None
    reason: str | None = None


OnEvent = Callable[[RunEvent], Any]


def bar_class() -> Any:
    """The class of progress bars, that of notebooks in a notebook.

    Raises:
        LmsArchiveError: tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  an extra
    except ImportError:
        text = "tqdm is missing: pip install 'lms-archive[progress]'"
        raise LmsArchiveError(text) from None
    return tqdm


class _Bar:
    """Draws the events: rows, chunks, and the calls left in the hour."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __call__(self, event: RunEvent) -> None:
        postfix = {"chunks": f"{event.chunks_sent}/{event.chunks}"}
        if event.calls_left is not None:
            postfix["calls left"] = f"{event.calls_left:,}"
        self._bar.total = event.total
        self._bar.set_postfix(postfix, refresh=False)
        self._bar.update(event.settled - self._bar.n)
        self._bar.refresh()


@contextmanager
def telling(
    book: Ledger,
    chunks: Sequence[Chunk],
    client: Client,
    *,
    on_event: OnEvent | None,
    progress: bool,
) -> Iterator[None]:
    """Tell each step of a job as it is committed to its ledger.

    What a listener raises passes through, like Ctrl-C: the ledger stays usable.
    """
    told = [] if on_event is None else [on_event]
    with ExitStack() as stack:
        if progress:
            bar = stack.enter_context(bar_class()(unit="row", desc="archiving"))
            told.append(_Bar(bar))
        if not told:
            yield
            return
        book.listener = teller = _Teller(told, book, chunks, client)
        try:
            yield
        except Exception as error:
            teller.tell(kind="stopped", reason=f"{type(error).__name__}: {error}")
            raise
        finally:
            book.listener = None
        teller.tell(kind="finished")


class _Teller:
    def __init__(
        self, told: Sequence[OnEvent], book: Ledger, chunks: Sequence[Chunk], client: Client
    ) -> None:
        self._told, self._wire = told, client.session
        self._targets = {one.chunk_id: str(one.target) for one in chunks}
        self._places = {one.row: str(chunk.target) for chunk in chunks for one in chunk.members}
        self._sent: set[str] = set()
        codes = book.codes()
        members = [codes.get(one.row) for chunk in chunks for one in chunk.members]
        self._pending = {row for row in self._places if row not in codes}
        self._now = RunEvent(
            kind="",
            settled=sum(code is not None and CODES[code] != "unknown" for code in members),
            pending=len(self._pending),
            total=len(members),
            chunks=len(chunks),
        )

    def __call__(self, outcomes: Sequence[tuple[int, Outcome]], states: Sequence[Event]) -> None:
        """The ledger has committed these."""
        for state in states:
            if state.state not in _TOLD:
                continue
            if state.state == "submitted" and state.chunk is not None:
                self._sent.add(state.chunk)
            self.tell(
                kind=state.state,
                target=self._targets.get(state.chunk or ""),
                job_id=state.data.get("job_id"),
                rows=len(state.data.get("rows", ())),
                reason=state.data.get("why"),
            )
        if outcomes:
            kinds: dict[str, int] = {}
            for _, one in outcomes:
                kinds[one.kind] = kinds.get(one.kind, 0) + 1
            settled = self._now.settled + len(outcomes) - kinds.get("unknown", 0)
            self._pending.difference_update(row for row, _ in outcomes)
            self._now = evolve(self._now, settled=settled, pending=len(self._pending))
            where = {self._places.get(row) for row, _ in outcomes}
            target = where.pop() if len(where) == 1 else None
            self.tell(kind="settled", target=target, rows=len(outcomes), outcomes=kinds)

    def tell(self, **what: Any) -> None:
        left = self._wire.calls_left
        event = evolve(self._now, chunks_sent=len(self._sent), calls_left=left, **what)
        for listener in self._told:
            listener(event)
