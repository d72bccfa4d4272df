"""The queues that a run looks at: those that were reached and are not done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field

from lms_archive.archive.running.state import TargetQueue

__all__ = ["OpenQueues"]


@define
class OpenQueues:
    """The queues of a run in their order, as far as they were reached and are not done.

    There may be thousands of queues, and each step looks at these few only.
    """

    _rest: Iterator[TargetQueue]
    _reached: list[TargetQueue] = field(factory=list, init=False)

    def reached(self) -> Sequence[TargetQueue]:
        """Return the queues where something is going on, or waits for a job elsewhere."""
        self._reached = [queue for queue in self._reached if not queue.is_done]
        return self._reached

    def __iter__(self) -> Iterator[TargetQueue]:
        """Yield these, and then, for as long as asked, the next ones, which are then reached."""
        yield from tuple(self._reached)
        for queue in self._rest:
            self._reached.append(queue)
            yield queue
