"""Compare what a run knew at its end with what its ledger says: a crash may lose nothing of it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lms_archive.archive import execution
from lms_archive.archive.ledger import read_events
from lms_archive.archive.running.state import RunState
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.events import EVENT_TYPES


class KeptState(RunState):
    """A state that keeps the chunks it was made of."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.chunks = tuple(chunks)
        super().__init__(self.chunks)


@contextmanager
def kept_states() -> Iterator[list[KeptState]]:
    """Keep the state of every run that begins in the block."""
    states: list[KeptState] = []

    def keep(chunks: Iterable[Chunk]) -> KeptState:
        states.append(KeptState(chunks))
        return states[-1]

    with patch.object(execution, "RunState", keep):
        yield states


def replayed(state: KeptState, ledger: Path) -> RunState:
    """Return the state that the ledger's events give, of the same plan."""
    again = KeptState(state.chunks)
    for event in read_events(ledger, *EVENT_TYPES.values()):
        again.apply(event)
    return again


def content(state: RunState) -> dict[str, Any]:
    """Return all that a state holds, to be compared."""
    queues = {
        key: {
            "pending": [(c.chunk_id, c.form, [m.row for m in members]) for c, members in q.pending],
            "in flight": list(map(_submission, q.in_flight)),
            "unverified": list(map(_submission, q.unverified)),
            "unknown": [(m.row, c.chunk_id, s and _submission(s)) for m, c, s in q.unknown],
            "archived": q.archived,
        }
        for key, q in state.queues.items()
    }
    plain = {
        name: value
        for name, value in vars(state).items()
        if name not in ("queues", "open", "_chunks", "chunks")
    }
    return {**plain, "queues": queues, "open": set(state.open)}


def _submission(submission: Submission) -> tuple[Any, ...]:
    chunk, rows = submission.chunk, [member.row for member in submission.members]
    sent = (chunk.chunk_id, chunk.form, rows, submission.sent_at, submission.job_id)
    return (*sent, submission.in_doubt, submission.problem, submission.is_resumed)
