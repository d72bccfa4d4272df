"""The world that outlives the processes: a platform, the time, and a folder for the ledger."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crash.audit import Tally, audit, audit_so_far, noted, sent
from crash.scenarios import DAY, Scenario
from crash.shared_time import SharedTime
from lms_archive.sandbox import Sandbox

_GRANT = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")


@dataclass(frozen=True)
class Lived:
    """A life that is over: the points passed, the signal that ended it, or the error."""

    points: list[str]
    signal: int
    error: str


class ChildProcesses:
    """The Python in which processes are born."""

    def __init__(self) -> None:
        self._python = subprocess.Popen(
            [sys.executable, "-m", "crash.child_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def __call__(self, **order: Any) -> Lived:
        """Let one process live as ordered."""
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps(order) + "\n")
        self._python.stdin.flush()
        return Lived(**json.loads(self._python.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._python.communicate()


class World:
    """One platform on which one job is done, by as many processes as it takes."""

    def __init__(
        self,
        scenario: Scenario,
        children: ChildProcesses,
        sandbox: Sandbox,
        time: SharedTime,
        folder: Path,
    ) -> None:
        self.scenario, self.sandbox, self.ledger = scenario, sandbox, folder / "ledger.sqlite"
        self._children, self._time, self._folder = children, time, folder
        self.tally = Tally()

    def live(self, kill: int = 0, mutant: str = "", disk: int = 0) -> Lived:
        """Let a process work; what it has told when it is over is true.

        Args:
            kill: the number of the point at which it dies; 0: it does not.
            mutant: how the library is broken in it.
            disk: how many bytes its files can have; 0: as many as they like.
        """
        lived = self.run(kill, mutant, disk)
        for thread in list(self.sandbox._running.server._connections):
            thread.join(10)  # what the dead have sent arrives before anything else
        ledger = self._copied()
        self.tally.add(audit_so_far(self.scenario, self.sandbox.path, ledger))
        for key in sent(self.sandbox) - noted(self.scenario, ledger):
            self.tally.found("wrong", f"{key} was sent, and is not in the ledger")
        return lived

    def run(self, kill: int = 0, mutant: str = "", disk: int = 0) -> Lived:
        """Let a process work, as `live` does, and look at nothing."""
        env = self.sandbox.env()
        return self._children(
            kill=kill,
            mutant=mutant,
            disk=disk,
            url=self.sandbox.url,
            grant=[env[f"LMS_ARCHIVE_{name}"] for name in _GRANT],
            time=str(self._folder / "time"),
            ledger=str(self.ledger),
            rows=self.scenario.rows,
            terms=self.scenario.terms,
            limits={"hand_picked": 3},
        )

    def rest(self) -> None:
        """Let the time pass between a death and the next life."""
        self._time.sleep(self.scenario.rest)

    def end(self) -> Tally:
        """Compare what was asked, told and done, when no job is at work any more."""
        self._time.sleep(DAY)
        if self.ledger.exists():
            self.tally.add(audit(self.scenario, self.sandbox.path, self.ledger))
        else:
            self.tally.found("lost", "no ledger")
        return self.tally

    def _copied(self) -> Path | None:
        """The ledger as the dead left it, in a copy: reading would tidy up after them."""
        if not self.ledger.exists():
            return None
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self._folder.glob(f"{self.ledger.name}*"):
            shutil.copy(path, copy)
        return copy / self.ledger.name


@contextmanager
def world_of(scenario: Scenario, children: ChildProcesses) -> Iterator[World]:
    """A new platform for this scenario."""
    with TemporaryDirectory(prefix="lms-archive-crash-") as name:
        folder = Path(name)
        time = SharedTime(folder / "time")
        with Sandbox(clock=time, job_seconds=scenario.job_seconds) as sandbox:
            scenario.load(sandbox)
            yield World(scenario, children, sandbox, time, folder)
