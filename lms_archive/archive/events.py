"""What a running job reports: frozen events; and the progress of planning and of running."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal

from attrs import asdict, define, field, frozen

from lms_archive.archive.planning.reading import OnStep
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
from lms_archive.errors import plural, printable
from lms_archive.tables.html import counted
from lms_archive.wire.waits import LONG_WAIT, Wait

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
_SHORT_WAIT: Final = 1.0
"""The shortest wait, in seconds, that a bar shows."""
_LINES: Final = 10
"""The most lines of a step of planning, where there is no bar."""


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


def write_event(event: RunEvent) -> None:
    """Write a line to stderr where rows have their outcomes, a wait is long, or the run ends."""
    end = ""
    if event.kind == "waiting":
        if (event.seconds or 0) < LONG_WAIT:
            return
        end = _wait_text(event)
    elif event.kind in _ENDS:
        end = event.kind if event.reason is None else f"{event.kind}: {event.reason}"
    elif event.kind != "decided":
        return
    rows = f"{event.done:,} of {event.total:,} rows done"
    chunks = f"{event.chunks_sent:,} of {event.chunks:,} chunks sent"
    _write("archiving", [rows, chunks], event.calls_left, end)


def _write(action: str, counts: Iterable[str], calls_left: int | None, end: str) -> None:
    """Write a line to stderr, where there is one: a program without a console has none."""
    if sys.stderr is not None:
        left = "" if calls_left is None else f"{calls_left:,} calls left in this hour"
        text = f"{action}: {', '.join(filter(None, [*counts, left, end]))}"
        sys.stderr.write(f"{printable(' '.join(text.split()))}\n")
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


@define
class _Bar:
    """A progress bar; without tqdm there is none, and lines are written.

    In a notebook it is the one for notebooks. The line after it stays when a notebook is saved.
    """

    client: Client
    tqdm: Any

    @classmethod
    def of(cls, client: Client, unit: str, action: str) -> _Bar:
        """Return the bar of an action; the *unit* is a plural."""
        try:
            from tqdm.auto import tqdm  # noqa: PLC0415  an extra
        except ImportError:
            return cls(client, None)
        return cls(client, tqdm(unit=f" {unit}", desc=action))

    def draw(
        self,
        postfix: dict[str, str],
        done: int | None = None,
        total: int = 0,
        *,
        now: str | None = None,
    ) -> None:
        """Show how much is done, where that is given, and the words beside the bar."""
        left = self.client.session.calls_left
        if left is not None:
            postfix["calls left"] = f"{left:,}"
        if now is not None:
            postfix["now"] = now
        self.tqdm.set_postfix(postfix, refresh=False)
        if done is not None:
            self.tqdm.total = total
            self.tqdm.update(done - self.tqdm.n)
        self.tqdm.refresh()

    def close(self) -> None:
        """Close the bar, if there is one."""
        if self.tqdm is not None:
            self.tqdm.close()


@contextmanager
def _progress(client: Client) -> Iterator[OnEvent]:
    """Show the events of a run as a bar and a last line, or as lines without tqdm."""
    bar, last = _Bar.of(client, "rows", "archiving"), None

    def show(event: RunEvent) -> None:
        nonlocal last
        last = event
        if bar.tqdm is None:
            write_event(event)
            return
        chunks = {"chunks": f"{event.chunks_sent}/{event.chunks}"}
        is_shown = event.kind == "waiting" and (event.seconds or 0) >= _SHORT_WAIT
        now = _wait_text(event) if is_shown else None
        bar.draw(chunks, event.done, event.total, now=now)

    try:
        yield show
    finally:
        bar.close()
        if bar.tqdm is not None and last is not None and last.kind in _ENDS:
            write_event(last)


@contextmanager
def plan_progress(client: Client, *, shown: bool) -> Iterator[OnStep | None]:
    """Show the steps of planning as a bar, or as lines without tqdm.

    The last line says how planning ended.
    """
    if not shown:
        yield None
        return
    with client.session.counting() as calls:
        progress = _PlanProgress(calls, _Bar.of(client, "targets", "planning"))
        try:
            with client.session.waits.hooked(on_wait=progress.wait):
                yield progress.step
        except Exception as error:
            progress.bar.close()
            progress.write(f"stopped: {type(error).__name__}: {error}")
            raise
        finally:
            progress.bar.close()
        progress.write("finished")


@define
class _PlanProgress:
    """Draws the steps of planning, or writes them.

    Targets that were read together need no line each: there is one where calls were made since
    the last line, or the step is over.
    """

    calls: Counter[str]
    bar: _Bar
    done: dict[str, str] = field(factory=dict)
    calls_written: int = 0

    def step(self, action: str, number: int, total: int) -> None:
        """Show that this was done with one more target."""
        self.done[action] = f"{counted(number, total, 'target')} {action}"
        if self.bar.tqdm is not None:
            self.bar.draw({"step": action}, number, total)
            return
        is_tenth = number * _LINES // total > (number - 1) * _LINES // total
        if number == total or (is_tenth and sum(self.calls.values()) > self.calls_written):
            self.write()

    def wait(self, wait: Wait) -> None:
        """Show a wait; without a bar, only a long one."""
        if self.bar.tqdm is not None:
            if wait.seconds >= _SHORT_WAIT:
                self.bar.draw({}, now=str(wait))
        elif wait.seconds >= LONG_WAIT:
            self.write(str(wait))

    def write(self, end: str = "") -> None:
        """Write how far planning is, and how it ended or what is waited for."""
        self.calls_written = sum(self.calls.values())
        counts = [*self.done.values(), f"{plural(self.calls_written, 'call')} made"]
        _write("planning", counts, self.bar.client.session.calls_left, end)


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
            receivers.append(stack.enter_context(_progress(client)))
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
