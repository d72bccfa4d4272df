"""What a running job reports: frozen events, and the progress bar that is made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from attrs import frozen

from lms_archive.archive.running.state import RunState
from lms_archive.archive.values.events import (
    Event,
    NotSent,
    Refused,
    RunStarted,
    Sending,
    Submitted,
    WithOutcomes,
)
from lms_archive.client import Client
from lms_archive.errors import LmsArchiveError

__all__ = ["OnEvent", "RunEvent", "bar_class", "reporting"]

_REPORTED: Final[Mapping[type[Event], str]] = {
    RunStarted: "started",
    Sending: "sending",
    Submitted: "submitted",
    Refused: "refused",
    NotSent: "not_sent",
}


@frozen(kw_only=True)
class RunEvent:
    """A step of a job, reported when it is in the ledger.

    Attributes:
        kind: `"started"`; `"sending"`: a call is about to be made; `"submitted"`: the platform
            accepted it; `"refused"`, `"not_sent"`: it did not; `"settled"`: rows have their
            outcomes; `"finished"`; `"stopped"`: with the `reason`.
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
    """Return the class of progress bars, the one for notebooks in a notebook.

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
def reporting(
    client: Client, state: RunState, on_event: OnEvent | None, *, progress: bool
) -> Iterator[Sequence[Callable[[Event], None]]]:
    """Give what listens to the events of a run, to report them as `RunEvent`.

    What a listener raises passes through, like Ctrl-C: the ledger stays usable.
    """
    receivers = [] if on_event is None else [on_event]
    with ExitStack() as stack:
        if progress:
            bar = stack.enter_context(bar_class()(unit="row", desc="archiving"))
            receivers.append(_Bar(bar))
        if not receivers:
            yield []
            return
        report = _Report(client, state, receivers)
        try:
            yield [report]
        except Exception as error:
            report.send(kind="stopped", reason=f"{type(error).__name__}: {error}")
            raise
        report.send(kind="finished")


@frozen
class _Report:
    """Reports the events of a run."""

    client: Client
    state: RunState
    receivers: Sequence[OnEvent]

    def __call__(self, event: Event) -> None:
        """Report an event that is in the ledger, where it is of interest."""
        kind = _REPORTED.get(type(event))
        if kind is not None:
            self.send(
                kind=kind,
                target=self._target_of(event),
                job_id=getattr(event, "job_id", None),
                rows=len(getattr(event, "rows", ())),
                reason=getattr(event, "reason", None),
            )
        if isinstance(event, WithOutcomes) and event.outcomes:
            self.send(
                kind="settled",
                target=self._target_of(event),
                rows=len(event.outcomes),
                outcomes=Counter(outcome.kind for _, outcome in event.outcomes),
            )

    def send(self, **values: Any) -> None:
        """Send an event to all who receive them."""
        state = self.state
        event = RunEvent(
            settled=state.settled,
            pending=state.total - state.settled - len(state.unsettled),
            total=state.total,
            chunks_sent=len(state.chunks_sent),
            chunks=state.chunk_count,
            calls_left=self.client.session.calls_left,
            **values,
        )
        for receive in self.receivers:
            receive(event)

    def _target_of(self, event: Event) -> str | None:
        chunk_id = getattr(event, "chunk_id", None)
        return None if chunk_id is None else str(self.state.queue_of(chunk_id).target)
