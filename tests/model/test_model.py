"""No enrollment is archived twice, none is lost, none is told wrongly: a slice of the schedules.

`python -m tests.model` plays as many as you like, `python -m tests.model --mutants` breaks the
rules one by one and shows that this slice catches each.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant
from playing import Played, Theatre, play
from schedules import schedule

import lms_archive

SLICE = (*range(146), 159, 182, 221, 424)
BLOCK = 10
MET = {"429", "500", "503", "html", "cut_before", "cut_after", "error_after", "slow", "redirect"}
MET |= {"expired_token", "job_late", "job_aborted", "job_partial", "archived_lag"}


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """One sandbox for all of the slice."""
    with Theatre.open() as one:
        yield one


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    """What the slice has met, added up over its blocks."""
    return Counter()


@pytest.mark.parametrize("first", range(0, len(SLICE), BLOCK))
def test_nothing_twice_nothing_lost_nothing_told_wrongly(
    theatre: Theatre, counts: Counter[str], first: int
) -> None:
    """Each schedule comes to its end, and what was told is what the platform's file says."""
    played = [play(theatre, seed) for seed in SLICE[first : first + BLOCK]]
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
    assert counts["told races"] > 0


def test_a_seed_is_one_schedule() -> None:
    """The same seed gives the same schedule, and the same story on the platform."""
    assert schedule(7) == schedule(7) != schedule(8)
    with Theatre.open() as one, Theatre.open(over_http=True) as other:
        stories = [play(where, 7).story for where in (one, other)]
    hashes = [[line.split("background job")[0] for line in story] for story in stories]
    assert hashes[0] == hashes[1] != []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_each_mutant_breaks_a_rule_that_stands(mutant: Mutant, tmp_path: Path) -> None:
    """The rule is in the library word for word, so that the mutant is one."""
    package = shutil.copytree(Path(lms_archive.__file__).parent, tmp_path / "lms_archive")
    mutant.put_into(package)
    path = package.joinpath(*mutant.module.split(".")).with_suffix(".py")
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
