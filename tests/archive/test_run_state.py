"""What a run knows changes by events alone, and some events are forbidden after others."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from run_states import content, kept_states, replayed
from virtual_time import Exchange, Harness

from lms_archive import resume
from lms_archive.archive.running.queues import OpenQueues
from lms_archive.archive.running.state import RunState
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.events import (
    Decided,
    Event,
    JobEnded,
    NotSent,
    Proven,
    ReadBack,
    Resumed,
    RunStarted,
    Sending,
    Submitted,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def _chunk(name: str, target: PlannedTarget, *rows: int) -> Chunk:
    members = tuple(
        PlannedEnrollment(
            row=row,
            user_id=1000 + row,
            username=None,
            enrolled_at=NOW,
            status="completed",
            level="student",
        )
        for row in rows
    )
    return Chunk(chunk_id=name, target=target, members=members, read_at=NOW)


COURSE = PlannedTarget(kind="course", target_id=1)
PLAN = PlannedTarget(kind="learning_plan", target_id=50, courses=(1, 2))
OTHER = PlannedTarget(kind="course", target_id=9)
CHUNKS = (
    _chunk("c1", COURSE, 0, 1, 2),
    _chunk("c2", COURSE, 3),
    _chunk("p1", PLAN, 4, 5),
    _chunk("o1", OTHER, 6, 7),
)
PROVEN: Sequence[Event] = (RunStarted(), Proven("canary"), Proven("first_chunk"))


def _sending(chunk: str, *rows: int) -> Sending:
    return Sending(chunk, rows, NOW)


def _after(*events: Event) -> RunState:
    state = RunState(CHUNKS)
    for event in events:
        state.apply(event)
    return state


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        ([*PROVEN, _sending("c1", 0, 1, 2), _sending("c1", 0)], "two jobs on one target"),
        ([*PROVEN, _sending("c1", 0), _sending("p1", 4, 5)], "on a learning plan and a course"),
        ([*PROVEN, _sending("p1", 4), _sending("c2", 3)], "on a learning plan and a course"),
        ([*PROVEN, _sending("c1", 0), JobEnded("c1"), _sending("c1", 0)], "after it was read back"),
        ([*PROVEN, _sending("c1", 3)], "after it was read back"),
        ([RunStarted(canary=1), _sending("c1", 0, 1)], "the canary is sent alone"),
        (
            [RunStarted(), _sending("c1", 0), _sending("o1", 6)],
            "the first chunk is sent alone",
        ),
        ([RunStarted(), _sending("c1", 0), Proven("first_chunk")], "when it was read back"),
        ([RunStarted(), _sending("c1", 0), Proven("canary")], "when it was read back"),
    ],
)
def test_what_the_rules_forbid_is_an_assertion(events: Sequence[Event], rule: str) -> None:
    """The last of these events is refused."""
    state = _after(*events[:-1])
    with pytest.raises(AssertionError, match=rule):
        state.apply(events[-1])


def test_rows_are_sent_again_in_their_order() -> None:
    """What was not sent, or may be sent again, comes before everything else of its target."""
    state = _after(*PROVEN, _sending("c1", 0, 1), NotSent("c1", "503"))
    queue = state.queues[COURSE.key]
    assert [[m.row for m in members] for _, members in queue.pending] == [[0, 1], [2], [3]]
    for event in (
        _sending("c1", 0, 1),
        Submitted("c1", "a"),
        JobEnded("c1", "a"),
        ReadBack(chunk_id="c1", codes={0: "archived"}),
    ):
        state.apply(event)
    assert [[m.row for m in members] for _, members in queue.pending] == [[1], [2], [3]]
    assert (state.decided, state.unsent) == (1, 7)
    assert (state.sent[0], state.sent[1]) == (1, 1)  # what was not sent does not count


def test_a_later_run_takes_up_what_is_not_final() -> None:
    """What was sent is in flight again; an unknown row that was not sent is to be sent."""
    state = _after(
        *PROVEN,
        _sending("c1", 0, 1, 2),
        Submitted("c1", "a"),
        JobEnded("c1", "a"),
        ReadBack(chunk_id="c1", codes={0: "archived", 1: "not_seen", 2: "not_archived"}),
        Decided(chunk_id="c2", codes={3: "unreadable"}),
        _sending("o1", 6, 7),
    )
    assert (state.decided, state.undecided) == (2, {1, 3})
    state.apply(Resumed())
    queue, other = state.queues[COURSE.key], state.queues[OTHER.key]
    assert [[m.row for m in submission.members] for submission in queue.in_flight] == [[1]]
    assert [chunk.chunk_id for chunk, _ in queue.pending] == ["c2"]
    assert [submission.is_resumed for submission in other.in_flight] == [True]
    assert state.not_seen == {1}
    assert not state.is_done


def test_a_run_and_its_ledger_agree(harness: Harness) -> None:
    """Interrupted anywhere and resumed: the ledger's events give what the run knew."""
    harness.load(5, 3, 4)
    plan = harness.plan()
    exchanges = 0

    def interrupt(_: Exchange) -> None:
        nonlocal exchanges
        exchanges += 1
        if exchanges % 4 == 0:
            raise KeyboardInterrupt

    harness.line.before.append(interrupt)
    go: Any = lambda: plan.apply(harness.client, ledger=harness.ledger)  # noqa: E731
    for _ in range(40):
        with kept_states() as states, suppress(KeyboardInterrupt):
            go()
        if states:
            assert content(states[0]) == content(replayed(states[0], harness.ledger))
            if states[0].is_done:
                break
        if harness.ledger.exists():
            go = lambda: resume(harness.ledger, harness.client)  # noqa: E731
    harness.line.before.clear()
    harness.check(resume(harness.ledger, harness.client), archived=12)


def test_queues_are_reached_in_their_order_and_stay_until_they_are_done() -> None:
    """A queue that waits for a job elsewhere is looked at again; none is looked at too early."""
    state = _after(*PROVEN)
    queues = OpenQueues(iter(state.queues.values()))
    assert queues.reached() == []
    first, second, third = state.queues.values()
    assert next(iter(queues)) is first
    assert queues.reached() == [first]
    assert [queue for queue in queues if queue is not first] == [second, third]
    state.apply(Decided(chunk_id="p1", codes={4: "changed", 5: "changed"}))
    assert queues.reached() == [first, third]
