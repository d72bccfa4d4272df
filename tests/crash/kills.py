"""Killing at every point, once or twice, and counting what came of it."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from crash.audit import Tally
from crash.scenarios import SCENARIOS, Scenario
from crash.world import ChildProcesses, world_of

_CHANGED = (": committed", ": after", ": sent, perhaps not there yet", ": done, answer not read")


@dataclass
class Report:
    """What came of one scenario.

    Attributes:
        points: how many points the job passes where nobody dies.
        kills: processes killed, or stopped by a full disk.
        resumes: processes that went on after a death.
        tally: the counts that must be zero.
    """

    name: str
    points: int = 0
    kills: int = 0
    resumes: int = 0
    tally: Tally = field(default_factory=Tally)

    def __str__(self) -> str:
        one = self.tally
        numbers = (self.points, self.kills, self.resumes, one.twice, one.lost, one.wrong)
        return f"{self.name:44}" + "".join(f"{number:9,}" for number in numbers)


HEADING = f"{'scenario':44}" + "".join(
    f"{word:>9}" for word in ("points", "kills", "resumes", "twice", "lost", "wrong")
)


def kill_everywhere(
    scenario: Scenario,
    children: ChildProcesses,
    *,
    at: Callable[[str], bool] = lambda _: True,
    mutant: str = "",
) -> Report:
    """Kill at each point of the job; where it dies twice, at each of each resume too.

    Where it dies twice, points between which nothing changes but the process itself are one.

    Args:
        scenario: the job.
        children: where processes are born.
        at: which points, by name, are killed at; all of them by default.
        mutant: one of `child_process.MUTANTS`, to be in every life.
    """
    report = Report(scenario.name)
    todo: list[tuple[int, ...]] = [()]
    while todo:
        kills = todo.pop()
        points = _lives(scenario, children, kills, report, mutant)
        if len(kills) < scenario.deaths:
            chosen = enumerate(points, 1) if scenario.deaths == 1 else _distinct(points)
            todo += [(*kills, number) for number, name in chosen if at(name)]
        if not kills:
            report.points = len(points)
    return report


def fill_the_disk(scenario: Scenario, children: ChildProcesses) -> Report:
    """Let the disk be full ever later, until the job gets through; make space each time, resume."""
    report = Report(scenario.name)
    while True:
        with world_of(scenario, children) as world:
            lived = world.live(disk=(report.kills + 1) * scenario.disk)
            if not lived.error:
                return report
            again = world.live()
            tally = world.end()
            report.kills, report.resumes = report.kills + 1, report.resumes + 1
            if again.error or not lived.error.startswith("! LedgerError: "):
                tally.found("wrong", f"{lived.error}; resumed: {again.error}")
            _add(report, tally, f"{scenario.name}, the {report.kills}th time")


def _add(report: Report, tally: Tally, where: str) -> None:
    tally.words = [f"{where}: {text}" for text in tally.words]
    report.tally.add(tally)


def _lives(
    scenario: Scenario,
    children: ChildProcesses,
    kills: tuple[int, ...],
    report: Report,
    mutant: str,
) -> list[str]:
    """One history: deaths at these points, then a life to the end. The points of that one."""
    with world_of(scenario, children) as world:
        for number in kills:
            lived = world.live(number, mutant)
            assert lived.signal == signal.SIGKILL, f"{scenario.name} {kills}: {lived}"
            assert len(lived.points) == number
            world.rest()
        lived = world.live(mutant=mutant)
        report.kills += len(kills)
        report.resumes += len(kills)
        tally = world.end()
        if lived.error or lived.signal:
            tally.found("lost", f"the last life ended with {lived.error or lived.signal}")
        _add(report, tally, f"{scenario.name}, killed at {kills}")
    return lived.points


def _distinct(points: list[str]) -> Iterator[tuple[int, str]]:
    """The points before which a file, the platform or the time has changed."""
    return ((number, name) for number, name in enumerate(points, 1) if name.endswith(_CHANGED))


def run(names: list[str]) -> Iterator[Report]:
    """Every scenario, or those whose names hold one of these words."""
    children = ChildProcesses()
    try:
        for scenario in SCENARIOS:
            if not names or any(name in scenario.name for name in names):
                yield (fill_the_disk if scenario.disk else kill_everywhere)(scenario, children)
    finally:
        children.close()
