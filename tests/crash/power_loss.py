"""Power loss: a ledger's files, as they were at a random moment, whole and damaged, are resumed.

`python tests/crash/power_loss.py [moments] [seed]`: a process that archives is stopped without
noticing it, and the ledger's files, the platform and the time are copied. Each copy is damaged in
several ways, and resumed by another process on the platform of that moment. Nothing may be
archived twice or reported wrongly; a damaged ledger may be refused. Exits with 1 otherwise.
"""

import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from crash.audit import Tally, audit, audit_so_far
from crash.scenarios import Scenario
from crash.shared_time import SharedTime
from crash.world import ChildProcesses, World, world_of
from lms_archive.sandbox import Sandbox

_PAGE = 4096
_COURSES = {1: 20, 2: 13}
SCENARIOS = (
    Scenario("unenroll", "unenroll", courses=_COURSES),
    Scenario("re-enroll", "re-enroll", courses=_COURSES),
    Scenario("re-enroll, jobs of 10 min", "re-enroll", courses=_COURSES, job_seconds=600),
    Scenario("plan, re-enroll", "re-enroll", plans={50: 10}, held={50: (1, 2)}, job_seconds=90),
    Scenario("plan, unenroll", "unenroll", plans={50: 10}, held={50: (1, 2)}, job_seconds=90),
)


def _cut(path: Path) -> None:
    if path.exists():
        os.truncate(path, max(path.stat().st_size - _PAGE, 0))


def _lose(path: Path) -> None:
    path.unlink(missing_ok=True)


Damage = tuple[Callable[[Path], None] | None, Callable[[Path], None] | None]
DAMAGES: dict[str, Damage] = {
    "whole": (None, None),
    "without -wal": (None, _lose),
    "-wal cut": (None, _cut),
    "cut": (_cut, None),
    "both cut": (_cut, _cut),
    "cut, without -wal": (_cut, _lose),
}
"""What is done to the main file and to its `-wal`; the `-shm` is lost each time."""


@dataclass
class Report:
    """What came of one scenario: resumed and refused copies by damage, and what must be zero."""

    name: str
    resumed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)

    def __str__(self) -> str:
        parts = [f"{d}: {self.resumed[d]} + {self.refused[d]} refused" for d in DAMAGES]
        zero = f"twice {self.tally.twice}, lost {self.tally.lost}, wrong {self.tally.wrong}"
        return f"{self.name}: {'; '.join(parts)}; {zero}"


def lose_power(
    scenario: Scenario, children: ChildProcesses, moments: int, dice: random.Random
) -> Report:
    """Copy the ledger at random moments of the job, and resume each copy, damaged in every way."""
    report = Report(scenario.name)
    with TemporaryDirectory(prefix="lms-archive-power-") as name:
        copies: list[Path] = []
        while len(copies) < moments:
            with world_of(scenario, children) as world:
                copies += _copies(world, Path(name), len(copies), dice)
        for copy in dice.sample(copies, moments):
            for damage in DAMAGES:
                _resume(scenario, children, copy, damage, report)
    return report


def _copies(world: World, folder: Path, number: int, dice: random.Random) -> Iterator[Path]:
    """Let a process do the whole job, and copy all at random moments."""
    thread = threading.Thread(target=world.run)
    thread.start()
    while thread.is_alive():
        time.sleep(dice.random() / 20)
        with suppress(FileNotFoundError, ProcessLookupError):
            lock = Path(f"{world.ledger}.lock").read_text(encoding="utf-8")
            found = re.match(r"pid (\d+) ", lock)
            if found is None or not world.ledger.exists():
                continue
            os.kill(int(found[1]), signal.SIGSTOP)
            try:
                number += 1
                yield _copy(world, folder / str(number))
            finally:
                os.kill(int(found[1]), signal.SIGCONT)
    thread.join()


def _copy(world: World, folder: Path) -> Path:
    """Copy the ledger's files, the time, and the platform, which has answered what it was sent."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copy(f"{world.ledger}{suffix}", folder)
    shutil.copy(world.ledger.with_name("time"), folder)
    (folder / "port").write_text(world.sandbox.url.rpartition(":")[2], encoding="utf-8")
    running = world.sandbox._running
    with running.application.lock, closing(sqlite3.connect(folder / "platform.sqlite")) as copy:
        running.db.backup(copy)
    return folder


def _resume(
    scenario: Scenario, children: ChildProcesses, copy: Path, damage: str, report: Report
) -> None:
    """Resume one copy after one damage, and compare."""
    with TemporaryDirectory(prefix="lms-archive-power-") as name:
        folder = Path(shutil.copytree(copy, name, dirs_exist_ok=True))
        clock = SharedTime(folder / "time")
        with Sandbox(
            path=folder / "platform.sqlite",
            port=int((folder / "port").read_text(encoding="utf-8")),  # the ledger names the address
            clock=clock,
            job_seconds=scenario.job_seconds,
        ) as sandbox:
            world = World(scenario, children, sandbox, clock, folder)
            for harm, suffix in zip(DAMAGES[damage], ("", "-wal"), strict=True):
                if harm is not None:
                    harm(Path(f"{world.ledger}{suffix}"))
            lived = world.run()
            clock.sleep(86_400)  # no job is at work any more
            if lived.error.startswith("! LedgerError: "):
                report.refused[damage] += 1
                tally = audit_so_far(scenario, sandbox.path, None)
            else:
                report.resumed[damage] += 1
                tally = audit(scenario, sandbox.path, world.ledger)
                if lived.error:
                    tally.found("wrong", lived.error)
            if damage == "whole" and lived.error:
                tally.found("lost", f"an undamaged ledger was refused: {lived.error}")
        tally.words = [f"{scenario.name}, {damage}, {copy.name}: {text}" for text in tally.words]
        report.tally.add(tally)


def main(moments: int, seed: int) -> int:
    """Print what came of each scenario; 1 where something is not as it must be."""
    dice, children, words = random.Random(seed), ChildProcesses(), list[str]()  # noqa: S311
    try:
        for scenario in SCENARIOS:
            report = lose_power(scenario, children, moments, dice)
            print(report, *report.tally.words, sep="\n  ", flush=True)  # noqa: T201
            words += report.tally.words
    finally:
        children.close()
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, (*sys.argv[1:], "20", "22")[:2])))
