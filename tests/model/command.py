"""The command of the model test: many seeds and a table, or one seed and its story."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable

import mutants
from runner import ModelPlatform, play
from schedules import make_schedule

__all__ = ["main", "table"]

COLUMNS = ("twice", "lost", "wrong")
REPLAY = "python -m tests.model --seed"


def main(argv: list[str] | None = None) -> int:
    """Run the command; the number of failures ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--seeds", default="0-1399", help="such as 0-139,182 (0-1399)")
    parser.add_argument("--seed", type=int, help="play this one alone and print what happens")
    parser.add_argument("--http", action="store_true", help="over real HTTP, which takes longer")
    parser.add_argument("--first", action="store_true", help="stop at the first that is wrong")
    parser.add_argument("--mutants", nargs="*", help="hunt these mutants, or all, on the seeds")
    parser.add_argument("--mutant", help="play on this mutant until one is wrong")
    given = parser.parse_args(argv)
    if given.seed is not None:
        return alone(given.seed, over_http=given.http)
    if given.mutants is not None:
        return mutants.main(given.seeds, given.mutants)
    if given.mutant is not None:
        return on_mutant(given.mutant, seeds_of(given.seeds))
    if given.first:
        return until_wrong(seeds_of(given.seeds))
    return many(seeds_of(given.seeds), over_http=given.http)


def seeds_of(text: str) -> list[int]:
    """The seeds of a text like `0-139,182`."""
    parts = [[int(one) for one in part.split("-")] for part in text.split(",")]
    return [seed for part in parts for seed in range(part[0], part[-1] + 1)]


def alone(seed: int, *, over_http: bool = False) -> int:
    """Play one schedule and print its story."""
    print(make_schedule(seed))
    with ModelPlatform.open(over_http=over_http) as platform:
        played = play(platform, seed)
    print(*played.story, sep="\n")
    for name in COLUMNS:
        print(f"{name}:", *(getattr(played.verdict, name) or ["none"]), sep="\n    ")
    return bool(played.verdict)


def until_wrong(seeds: Iterable[int]) -> int:
    """Play these until one is wrong; say which, after how many, and what was wrong."""
    with ModelPlatform.open() as platform:
        for count, seed in enumerate(seeds, 1):
            try:
                verdict = play(platform, seed).verdict
            except Exception as error:  # noqa: BLE001  whatever a mutant does
                print(f"seed {seed} after {count}: broken: {type(error).__name__}: {error}"[:160])
                return 1
            for name in COLUMNS:
                if texts := getattr(verdict, name):
                    print(f"seed {seed} after {count}: {name}: {texts[0]}"[:160])
                    return 1
    return 0


def on_mutant(name: str, seeds: Iterable[int]) -> int:
    """Play these on a mutant until one is wrong; say so where the mutant changes nothing."""
    with mutants.applied(name) as patch:
        status = until_wrong(seeds)
    if patch.calls:
        return status
    print("what it replaces is never called")
    return mutants.NEVER_CALLED


def many(seeds: Iterable[int], *, over_http: bool = False) -> int:
    """Play these and print what came of them; each failure with the command that repeats it."""
    counts: Counter[str] = Counter()
    begun, failed = time.monotonic(), 0
    with ModelPlatform.open(over_http=over_http) as platform:
        for seed in seeds:
            try:
                played = play(platform, seed)
            except Exception as error:  # noqa: BLE001  the other seeds are played all the same
                counts["broken"] += 1
                print(f"seed {seed}: {type(error).__name__}: {error}\n    {REPLAY} {seed}")
                continue
            counts += played.counts
            for name in COLUMNS:
                counts[f"= {name}"] += len(getattr(played.verdict, name))
            if played.verdict:
                failed += 1
                texts = [text for name in COLUMNS for text in getattr(played.verdict, name)]
                print(f"seed {seed}: {texts[0]}\n    {REPLAY} {seed}")
    print(*table(counts), sep="\n")
    seconds = time.monotonic() - begun
    print(f"{seconds:.0f} s, {counts['schedules'] / seconds:.1f} schedules a second")
    return min(failed + counts["broken"], 100)


def table(counts: Counter[str]) -> list[str]:
    """The counts, one a line: what was played first, what was wrong last."""
    names = ["schedules", "rows", "calls", "writes", "resumes", "reported races"]
    names += sorted(name for name in counts if ": " in name)
    last = [f"= {name}" for name in COLUMNS]
    return [f"{name:<32}{counts[name]:>9,}" for name in (*names, *last)]


if __name__ == "__main__":
    sys.exit(main())
