"""Show the progress of planning: how many targets are done, and what is waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from lms_archive.archive.events import bar_class, write_progress
from lms_archive.archive.planning.reading import OnStep
from lms_archive.client import Client
from lms_archive.errors import plural
from lms_archive.tables.html import counted
from lms_archive.wire.waits import LONG_WAIT, Wait

__all__ = ["plan_progress"]

_LINES = 10
"""The most lines of a step, where there is no bar."""


@contextmanager
def plan_progress(client: Client, *, shown: bool) -> Iterator[OnStep | None]:
    """Show the steps of planning as a bar, or as lines without tqdm.

    The last line says how planning ended, and stays in a saved notebook.
    """
    if not shown:
        yield None
        return
    bars = bar_class()
    bar = None if bars is None else bars(unit="target", desc="planning")
    with client.session.counting() as calls:
        progress = _PlanProgress(client, calls, bar)
        try:
            with client.session.waits.hooked(on_wait=progress.wait):
                yield progress.step
        except Exception as error:
            progress.close()
            progress.write(f"stopped: {type(error).__name__}: {error}")
            raise
        finally:
            progress.close()
        progress.write("finished")


@define
class _PlanProgress:
    """Draws the steps of planning, or writes them.

    Targets that were read together need no line each: there is one where calls were made since
    the last line, or the step is over.
    """

    client: Client
    calls: Counter[str]
    bar: Any = None
    done: dict[str, str] = field(factory=dict)
    calls_written: int = 0

    def step(self, action: str, number: int, total: int) -> None:
        """Show that this was done with one more target."""
        self.done[action] = f"{counted(number, total, 'target')} {action}"
        if self.bar is not None:
            self.bar.total = total
            self.bar.update(number - self.bar.n)
            self._draw({"step": action})
            return
        is_tenth = number * _LINES // total > (number - 1) * _LINES // total
        if number == total or (is_tenth and sum(self.calls.values()) > self.calls_written):
            self.write()

    def wait(self, wait: Wait) -> None:
        """Show a wait; without a bar, only a long one."""
        if self.bar is not None:
            self._draw({"now": str(wait)})
        elif wait.seconds >= LONG_WAIT:
            self.write(str(wait))

    def write(self, end: str = "") -> None:
        """Write how far planning is, and how it ended or what is waited for."""
        number, left = sum(self.calls.values()), self.client.session.calls_left
        self.calls_written = number
        parts = [*self.done.values(), f"{plural(number, 'call')} made"]
        if left is not None:
            parts.append(f"{left:,} calls left in this hour")
        write_progress(f"planning: {', '.join([*parts, *filter(None, [end])])}")

    def close(self) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _draw(self, postfix: dict[str, str]) -> None:
        left = self.client.session.calls_left
        if left is not None:
            postfix["calls left"] = f"{left:,}"
        self.bar.set_postfix(postfix, refresh=False)
        self.bar.refresh()
