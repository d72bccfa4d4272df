"""Lanes: what goes to each target, and how few of them each step looks at."""

from collections import deque
from typing import Any

import pytest
from virtual_time import Stage

from lms_archive.archive.running import queues as lanes
from lms_archive.archive.values.chunks import PlannedTarget


def test_the_looks_grow_as_the_targets(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the targets cost four times the looks at lanes, not sixteen times."""
    looks: list[str] = []

    class Watched(lanes.Lane):
        def __getattribute__(self, name: str) -> Any:
            looks.append(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(lanes, "Lane", Watched)
    stage.load(*[2] * 100)
    counts = []
    for courses in (range(1, 21), range(21, 101)):
        looks.clear()
        ledger = stage.folder / f"{len(courses)}.sqlite"
        stage.plan(*courses).apply(stage.client, ledger=ledger)
        counts.append(len(looks))
    assert counts[1] < 5 * counts[0]


def test_a_lane_that_is_held_up_is_looked_at_again() -> None:
    """Lanes are reached in their order, and stay so until nothing is left of them."""
    first, second, third = (_lane(number) for number in (1, 2, 3))
    front = lanes.Front(iter([first, second, third]))
    assert front.reached() == []
    assert next(iter(front)) is first
    assert [one for one in front if one is not first] == [second, third]
    second.waiting.clear()
    assert front.reached() == [first, third]


def _lane(number: int) -> lanes.Lane:
    target = PlannedTarget(kind="course", target_id=number)
    chunk: Any = None
    return lanes.Lane(target, waiting=deque([(chunk, ())]))
