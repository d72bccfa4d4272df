"""What a running job reports: frozen events, and the progress that is made of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal

from attrs import asdict, frozen

from lms_archive.archive.running.state import RunState
from lms_archive.archive.values.events import (
    Event,
    NotSent,
    OutcomeEvent,
    Refused,
    RunStarted,
    Sending,
    Submitted,
)
from lms_archive.archive.values.outcomes import OutcomeKind
from lms_archive.client import Client
from lms_archive.errors import printable
from lms_archive.wire.waits import LONG_WAIT, Wait

__all__ = [
    "EventKind",
    "OnEvent",
    "RunEvent",
    "bar_class",
    "reporting",
    "write_event",
    "write_progress",
]

EventKind = Literal[
    "started",
    "sending",
    "submitted",
    "refused",
    "not_sent",
    "decided",
    "waiting",
    "finished",
    "stopped",
]

_REPORTED: Final[Mapping[type[Event], EventKind]] = {
    RunStarted: "started",
    Sending: "sending",
    Submitted: "submitted",
    Refused: "refused",
    NotSent: "not_sent",
}
_ENDS: Final = ("finished", "stopped")


@frozen(kw_only=True)
class RunEvent:
    """A step of a job, reported when it is in the ledger; or a wait, which is not kept there.

    Attributes:
        kind: `"started"`; `"sending"`: a call is about to be made; `"submitted"`: the platform
            accepted it; `"refused"`: it refused it; `"not_sent"`: the call was not made, or had
            no effect; `"decided"`: rows have their outcomes; `"waiting"`: for `seconds`, with the
            `reason`; `"finished"`; `"stopped"`: with the `reason`.
        target: the code (or kind and id) of the course or learning plan, or None.
        job_id: the background job, where one was named; of several that are waited for, the
            oldest.
        rows: of a `sending` or `decided` event, how many rows it is about; else 0.
        outcomes: of a `"decided"` event: the rows by kind.
        done: rows of the plan that have an outcome now, unknown ones aside.
        pending: rows of the plan that have no outcome yet.
        total: rows that the plan sends.
        chunks_sent: chunks of which something has been sent.
        chunks: chunks of the plan.
        calls_left: calls left in the hour's budget, or None where there is no throttle.
        reason: why the job stopped, or what the platform said. Of a wait: `job`; `rate limit`, of
            the client or of the platform; `settle`: until the platform has caught up with what
            was sent; `retry`: before a failed call is repeated.
        seconds: of a `"waiting"` event: how long until the next look, else None.
        percent: how far that job was when it was last looked at, if known.
    """

    kind: EventKind
    target: str | None = None
    job_id: str | None = None
    rows: int = 0
    outcomes: Mapping[OutcomeKind, int] = {}
    done: int = 0
    pending: int = 0
    total: int = 0
    chunks_sent: int = 0
    chunks: int = 0
    calls_left: int | None = None
    reason: str | None = None
    seconds: float | None = None
    percent: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a dict that JSON can represent."""
        return {**asdict(self), "outcomes": dict(self.outcomes)}


OnEvent = Callable[[RunEvent], Any]


def bar_class() -> Any:
    """Return the class of progress bars, the one for notebooks in a notebook; None without tqdm."""
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  an extra
    except ImportError:
        return None
    return tqdm


@contextmanager
def _progress() -> Iterator[OnEvent]:
    """Show events as a bar, or as lines without tqdm; the last line stays in a saved notebook."""
    bars = bar_class()
    if bars is None:
        yield write_event
        return
    drawn = _Bar(bars(unit="row", desc="archiving"))
    try:
        yield drawn
    finally:
        drawn.close()


def write_event(event: RunEvent) -> None:
    """Write a line to stderr where rows have their outcomes, a wait is long, or the run ends."""
    if event.kind == "waiting":
        if (event.seconds or 0) < LONG_WAIT:
            return
    elif event.kind not in ("decided", *_ENDS):
        return
    rows = f"{event.done:,} of {event.total:,} rows"
    parts = [f"archiving: {rows} done, {event.chunks_sent:,} of {event.chunks:,} chunks sent"]
    if event.calls_left is not None:
        parts.append(f"{event.calls_left:,} calls left in this hour")
    if event.kind == "waiting":
        parts.append(_wait_text(event))
    elif event.kind in _ENDS:
        parts.append(event.kind if event.reason is None else f"{event.kind}: {event.reason}")
    write_progress(", ".join(parts))


def write_progress(text: str) -> None:
    """Write a line to stderr, where there is one: a program without a console has none."""
    if sys.stderr is not None:
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()


_WAIT_REASONS = {
    "job": "background job",
    "settle": "for the platform to catch up",
    "retry": "before trying again",
}


def _wait_text(event: RunEvent) -> str:
    percent = "" if event.percent is None else f" at {event.percent:g} %"
    reason = _WAIT_REASONS.get(event.reason or "", event.reason)
    return f"waiting {event.seconds or 0:,.0f} s ({reason}{percent})"


class _Bar:
    """Draws the events: rows, chunks, the calls left in the hour, and what is waited for."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._last: RunEvent | None = None

    def __call__(self, event: RunEvent) -> None:
        postfix = {"chunks": f"{event.chunks_sent}/{event.chunks}"}
        if event.calls_left is not None:
            postfix["calls left"] = f"{event.calls_left:,}"
        if event.kind == "waiting":
            postfix["now"] = _wait_text(event)
        self._last = event
        self._bar.total = event.total
        self._bar.set_postfix(postfix, refresh=False)
        self._bar.update(event.done - self._bar.n)
        self._bar.refresh()

    def close(self) -> None:
        """Close the bar, and say in a line how the run ended."""
        self._bar.close()
        if self._last is not None and self._last.kind in _ENDS:
            write_event(self._last)


@contextmanager
def reporting(
    client: Client, state: RunState, on_event: OnEvent | None, *, progress: bool
) -> Iterator[Sequence[Callable[[Event], None]]]:
    """Yield the listeners that report the events of a run as `RunEvent`.

    What a listener raises passes through, like Ctrl-C: the ledger stays usable.
    """
    receivers = [] if on_event is None else [on_event]
    with ExitStack() as stack:
        if progress:
            receivers.append(stack.enter_context(_progress()))
        if not receivers:
            yield []
            return
        report = _Report(client, state, receivers)
        try:
            with client.session.waits.hooked(on_wait=report.wait):
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
        if isinstance(event, OutcomeEvent) and event.outcomes:
            self.send(
                kind="decided",
                target=self._target_of(event),
                rows=len(event.outcomes),
                outcomes=Counter(outcome.kind for _, outcome in event.outcomes),
            )

    def wait(self, wait: Wait) -> None:
        """Report a wait."""
        self.send(kind="waiting", **asdict(wait))

    def send(self, **values: Any) -> None:
        """Send an event to all who receive them."""
        state = self.state
        event = RunEvent(
            done=state.decided,
            pending=state.total - state.decided - len(state.undecided),
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
