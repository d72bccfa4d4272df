"""No enrollment is archived twice, none is lost, none is told wrongly: a slice of the schedules.

`python -m tests.model` plays as many as you like, `python -m tests.model --mutants` breaks the
rules one by one and shows that this slice catches each.
"""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from mutants import MUTANTS, Mutant, hunt
from patching import Patch
from runner import ModelPlatform, Played, play
from schedules import make_schedule

SLICE = (*range(146), 159, 182, 221, 424, *range(1200, 1215), *range(1300, 1306), 1319)
BLOCK = 10
MET = {"429", "500", "503", "html", "cut_before", "cut_after", "error_after", "slow", "redirect"}
MET |= {"expired_token", "job_late", "job_aborted", "job_partial", "archived_lag"}


@pytest.fixture(scope="module")
def platform() -> Iterator[ModelPlatform]:
    """One sandbox for all of the slice."""
    with ModelPlatform.open() as one:
        yield one


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    """What the slice has met, added up over its blocks."""
    return Counter()


@pytest.mark.parametrize("first", range(0, len(SLICE), BLOCK))
def test_nothing_twice_nothing_lost_nothing_told_wrongly(
    platform: ModelPlatform, counts: Counter[str], first: int
) -> None:
    """Each schedule comes to its end, and what was told is what the platform's file says."""
    played = [play(platform, seed) for seed in SLICE[first : first + BLOCK]]
    for one in played:
        counts += one.counts
    assert [_told(one) for one in played if one.verdict] == []


def _told(one: Played) -> str:
    verdict = one.verdict
    return f"python -m tests.model --seed {one.seed}: {verdict}"


def test_the_slice_meets_everything(counts: Counter[str]) -> None:
    """Every kind of fault and of interference has happened, or the slice would prove little."""
    if counts["schedules"] < len(SLICE):
        pytest.skip("only a part of the slice was played")
    kinds = {name.split(" ")[1] for name in counts if name.startswith("fault: ")}
    acts = {name.removeprefix("act: ") for name in counts if name.startswith("act: ")}
    assert kinds >= MET
    assert acts >= {"die", "timeout", "down", "unenroll", "enroll", "archive", "rename a plan"}
    assert "delete a course" in acts
    assert counts["form: select all"] > 0
    assert counts["form: on_shared allow"] > 0
    assert counts["form: shared reading"] > 0
    assert counts["reported races"] > 0


def test_a_seed_is_one_schedule() -> None:
    """The same seed gives the same schedule, and the same story on the platform."""
    assert make_schedule(7) == make_schedule(7) != make_schedule(8)
    with ModelPlatform.open() as one, ModelPlatform.open(over_http=True) as other:
        stories = [play(where, 7).story for where in (one, other)]
    hashes = [[re.split("background job|; resume", line)[0] for line in story] for story in stories]
    assert hashes[0] == hashes[1] != []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_each_mutant_replaces_what_is_there(mutant: Mutant) -> None:
    """What a mutant replaces is in the library under that name; hunting shows that it is called."""
    patch = Patch()
    try:
        mutant.apply(patch)
        assert patch.replaced
    finally:
        patch.undo()


def test_a_mutant_that_changes_nothing_is_an_error() -> None:
    """A replacement that is never called proves nothing, and says so."""
    with pytest.raises(RuntimeError, match="never called"):
        hunt(next(one for one in MUTANTS if one.name.startswith("takes a lost answer")), "1")
