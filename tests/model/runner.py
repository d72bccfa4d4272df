"""Playing a schedule on a real sandbox, the way a user would bring it to its end."""

import csv
import random
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import evolve
from in_process import InProcessLine
from interference import Interference, Killed
from oracle import Asking, Truth, Verdict, judge
from outcome_checks import wrong_reports
from run_states import KeptState, content, kept_states, replayed
from schedules import FIRST_USER, Schedule, make_schedule
from virtual_time import Harness, VirtualTime
from windows import Windows

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Client,
    Limits,
    LmsArchiveError,
    resume,
)
from lms_archive.errors import PlanChangedError, UnexpectedArchiveError
from lms_archive.sandbox import Sandbox

__all__ = ["ModelPlatform", "Played", "play"]

AGAIN = 120
"""How often a user resumes before the schedule counts as one that comes to no end."""
MINUTE = 60.0
LONGEST_PAUSE = 900.0
LONG = 20_000.0
"""Seconds after the end in which nothing may happen any more."""


@dataclass
class Played:
    """What came of one schedule."""

    seed: int
    verdict: Verdict
    counts: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


@dataclass
class ModelPlatform:
    """One sandbox, emptied for every schedule; its time begins anew each time."""

    sandbox: Sandbox
    time: VirtualTime
    folder: Path
    over_http: bool

    @classmethod
    @contextmanager
    def open(cls, *, over_http: bool = False) -> Iterator["ModelPlatform"]:
        """Start the sandbox; all its files lie in memory where that can be had."""
        memory = Path("/dev/shm")  # noqa: S108  a folder of its own is made there
        where = tempfile.mkdtemp(dir=memory if memory.is_dir() else None)
        time = VirtualTime()
        try:
            with Sandbox(path=Path(where) / "platform.sqlite", clock=time) as sandbox:
                yield cls(sandbox, time, Path(where), over_http)
        finally:
            shutil.rmtree(where)

    def harness(self, schedule: Schedule) -> Harness:
        """A harness with the schedule's platform on it."""
        self.time.passed = 0.0
        self.sandbox.faults.clear()
        self.sandbox.faults._log.clear()
        self.sandbox._calls.clear()
        running = self.sandbox._running.application
        running._settings = evolve(
            running._settings,
            job_seconds=schedule.job_seconds,
            shared_courses_rule=schedule.shared_courses_rule,
        )
        running._oauth._lifetime = timedelta(seconds=schedule.token_seconds)
        with closing(sqlite3.connect(self.sandbox._running.path)) as file, file:
            masters = file.execute("SELECT type, name FROM sqlite_master").fetchall()
            for kind, name in masters:
                if kind == "trigger":
                    file.execute(f"DROP TRIGGER {name}")
                if kind == "table":
                    file.execute(f"DELETE FROM {name}")
        folder = self.folder / str(schedule.seed)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        harness = Harness(self.sandbox, self.time, folder)
        if not self.over_http:
            harness.line._carrier = InProcessLine(running)  # type: ignore[assignment]
        _load(harness, schedule)
        return harness


def _load(harness: Harness, schedule: Schedule) -> None:
    def rows(kind: str, column: str) -> list[dict[str, Any]]:
        return [
            {
                "user_id": user,
                column: target,
                "enrollment_status": word,
                "enrollment_level": level,
                "enrollment_created_at": date,
                "enrollment_completion_date": "2025-09-09 09:09:09"
                if word == "completed"
                else None,
            }
            for (of, target, user), (date, word, level) in schedule.enrolled.items()
            if of == kind
        ]

    users = range(FIRST_USER, FIRST_USER + schedule.users)
    harness.sandbox.load(
        users=[{"username": f"u{one}", "user_id": one} for one in users],
        courses=[{"code": f"C{i}", "id_course": i} for i in range(1, schedule.courses + 1)],
        learning_plans=[
            {"learning_plan_id": plan, "code": f"P{plan}", "courses": list(held), "credits": 1.5}
            for plan, held in schedule.plans.items()
        ],
        enrollments=rows("course", "id_course"),
        learning_plan_enrollments=rows("learning_plan", "learning_plan_id"),
    )
    if schedule.keeps_date:
        harness.change(_KEEPS_DATE)
    if schedule.carried_lag:
        harness.change(_CARRIED_LAG.format(lag=schedule.carried_lag * 1_000_000))


_KEEPS_DATE = """
CREATE TRIGGER keeps_date AFTER UPDATE OF enrollment_created_at ON enrollments BEGIN
    UPDATE enrollments SET enrollment_created_at = OLD.enrollment_created_at
    WHERE course_id = NEW.course_id AND user_id = NEW.user_id;
END
"""
_CARRIED_LAG = """
CREATE TRIGGER carried_lag AFTER INSERT ON archived_enrollments
WHEN NEW.learning_plan_id IS NOT NULL BEGIN
    UPDATE archived_enrollments
    SET hidden_until = CAST(strftime('%s', NEW.archived_at) AS INTEGER) * 1000000 + {lag}
    WHERE id = NEW.id;
END
"""


def play(platform: ModelPlatform, seed: int) -> Played:
    """Play the schedule of a seed to its end, and judge it."""
    schedule = make_schedule(seed)
    random.seed(seed)  # waits before another try are drawn from here
    player = _Player(platform.harness(schedule), schedule)
    try:
        return player.play()
    finally:
        player.harness.line.close()
        shutil.rmtree(player.harness.folder)


class _Player:
    def __init__(self, harness: Harness, schedule: Schedule) -> None:
        self.harness, self.schedule = harness, schedule
        self.counts: Counter[str] = Counter(schedules=1, rows=len(schedule.rows))
        self.story: list[str] = []
        self.interference = Interference(harness, schedule, self.say)
        self.client = self.connect()
        self.allow = False
        self.canary: int | None = None
        self.hasty: list[str] = []

    def say(self, text: str) -> None:
        self.story.append(f"{self.harness.time.passed:9.0f} s  {text}")

    def now(self) -> str:
        return f"{self.harness.time.now():%Y-%m-%d %H:%M:%S}"

    def connect(self) -> Client:
        limits = Limits(
            hand_picked=self.schedule.hand_picked,
            select_all=self.schedule.select_all or 10_000,
            max_open_jobs=self.schedule.open_jobs,
            job_timeout=300,
        )
        return self.harness.connect(limits=limits, ahead=self.schedule.ahead)

    def play(self) -> Played:
        schedule, harness = self.schedule, self.harness
        start = Truth(harness.sandbox.path)
        job = self.job()
        plan, first = self.plan(job, 1)
        for one in schedule.faults:
            harness.sandbox.faults.add(
                one.kind, method=one.method, times=one.times, after=one.after, **one.details
            )
        self.interference.begin()
        harness.time.sleep(schedule.wait)
        askings = [first]
        verdict = Verdict()
        ended = self.run(plan, first, 1, until_death=schedule.second == "overlap")
        if ended:
            self.judge_report(first, verdict)
        if schedule.second is not None:
            harness.time.sleep(MINUTE)
            fresh = schedule.second == "new" or (schedule.second == "overlap" and schedule.seed % 2)
            again, second = (
                self.plan(job, 2) if fresh else (plan, Asking(first.before, first.after))
            )
            askings.append(second)
            self.run(again, second, 2)
            self.judge_report(second, verdict)
            if not ended:
                harness.time.sleep(MINUTE)
                self.run(plan, first, 1)
                self.judge_report(first, verdict)
        harness.time.sleep(LONG)
        end = Truth(harness.sandbox.path)
        last = first if schedule.second is None or not ended else askings[-1]
        verdict.wrong += wrong_reports(schedule, last, end, self.interference.changes)
        windows = Windows(
            harness.line.exchanges, self.interference.times, again=schedule.mode == "re-enroll"
        )
        changes = self.interference.changes
        history = judge(
            schedule, start, end, changes, askings, lambda record: windows.holds(record, changes)
        )
        verdict.twice, verdict.raced = history.twice, history.raced
        verdict.lost += history.lost
        verdict.wrong += self.hasty
        verdict.wrong = list(dict.fromkeys(verdict.wrong))
        self.count()
        self.counts["reported races"] += verdict.raced
        return Played(schedule.seed, verdict, self.counts, self.story)

    def judge_report(self, asking: Asking, verdict: Verdict) -> None:
        truth = Truth(self.harness.sandbox.path)
        if asking.outcomes is None:
            verdict.lost.append("no end: rows have no outcome")
            return
        verdict.wrong += wrong_reports(self.schedule, asking, truth, self.interference.changes)

    def job(self) -> ArchiveJob:
        schedule = self.schedule
        terms: dict[str, Any] = {"mode": schedule.mode, "reset_tracking": schedule.reset}
        if schedule.select_all:
            return ArchiveJob.for_course(1, **terms).all_enrollments(form="select_all")
        cells = [row.cells for row in schedule.rows]
        if schedule.form != "csv":
            return ArchiveJob.from_rows(cells, **terms)
        path = self.harness.folder / "rows.csv"
        names = list(dict.fromkeys(name for one in cells for name in one))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(cells)
        return ArchiveJob.from_csv(path, **terms)

    def plan(self, job: ArchiveJob, number: int) -> tuple[ArchivePlan, Asking]:
        before = Truth(self.harness.sandbox.path)
        self.interference.waits = True  # a plan is of one moment
        on_shared: Any = self.schedule.on_shared
        plan = self.insist(lambda: job.plan(self.client, on_shared=on_shared))
        self.interference.waits = False
        after = Truth(self.harness.sandbox.path)
        self.say(f"plan {number}: {plan.counts}")
        if self.schedule.saved:
            path = self.harness.folder / f"plan{number}.json"
            plan.save(path)
            plan = ArchivePlan.load(path)
        return plan, Asking(before, after)

    def insist(self, read: Callable[[], ArchivePlan]) -> ArchivePlan:
        """Plan again where the platform is not there."""
        for time in range(AGAIN):
            try:
                return read()
            except (LmsArchiveError, Killed) as error:  # noqa: PERF203  it is what is played
                self.told(error)
                self.pause(time)
        return read()

    def run(
        self, plan: ArchivePlan, asking: Asking, number: int, *, until_death: bool = False
    ) -> bool:
        """Apply, and resume until it has come to its end; or until the process dies first."""
        ledger = self.harness.folder / f"ledger{number}.sqlite"
        idle = 0
        for time in range(AGAIN + len(self.schedule.rows)):
            begun = self.now()
            try:
                with kept_states() as states:
                    result = self.go(plan, ledger)
            except (LmsArchiveError, Killed) as error:
                self.compare(states, ledger)
                asking.periods.append((begun, self.now()))
                self.told(error)
                if isinstance(error, UnexpectedArchiveError):
                    asking.named |= _named(error)
                if isinstance(error, PlanChangedError):
                    self.allow = asking.warned = True
                    self.interference.undo_growth()
                if until_death and isinstance(error, Killed):
                    return False
            else:
                self.compare(states, ledger)
                asking.periods.append((begun, self.now()))
                self.say(f"ledger {number}: {result.counts}")
                idle += 1
                unreadable = any(one.code == "unreadable" for one in list(result.unknown))
                if not result.counts["unknown"] or idle > (10 if unreadable else 3):
                    asking.outcomes = list(result.outcomes)
                    asking.warned |= any("while the job ran" in one for one in result.warnings)
                    return True
            self.pause(time)
        return True

    def compare(self, states: Sequence[KeptState], ledger: Path) -> None:
        """Note where the run knew anything else than its ledger does."""
        if states and content(states[-1]) != content(replayed(states[-1], ledger)):
            self.hasty.append("the run and its ledger disagree")

    def pause(self, time: int) -> None:
        """Wait longer each time, up to a quarter of an hour."""
        self.harness.time.sleep(min(self.schedule.pause * 2**time, LONGEST_PAUSE))

    def go(self, plan: ArchivePlan, ledger: Path) -> ArchiveResult:
        client = self.client
        if not ledger.exists():
            self.say(f"apply: {ledger.name}")
            return plan.apply(
                client, ledger=ledger, canary=self.schedule.canary, allow_changes=self.allow
            )
        self.counts["resumes"] += 1
        self.client = self.connect()  # as a new process would
        self.say(f"resume: {ledger.name}")
        return resume(ledger, self.client, allow_changes=self.allow, canary=self.canary)

    def told(self, error: BaseException) -> None:
        self.counts[f"stop: {type(error).__name__}"] += 1
        self.say(f"{type(error).__name__}: {error}")
        if "canary=0) continues" in str(error) and self.interference.changes:
            self.canary = 0  # the user has looked: another client took it
        found = _NOT_SEEN.search(str(error))
        user = int(found[1]) if found else 0
        if found and user not in {change.key[2] for change in self.interference.changes}:
            self.hasty += self.in_time(user)

    def in_time(self, user: int) -> list[str]:
        """Whether all the user's records that are hidden still come within the minute."""
        now = int(self.harness.time.now().timestamp() * 1_000_000)
        lags = [lag for (lag,) in self.harness.sql(_HIDDEN.format(user=user, now=now))]
        in_time = lags and max(lags) <= MINUTE
        return [f"user {user} is told as not seen, and the record was in time"] if in_time else []

    def count(self) -> None:
        log = self.harness.sandbox.faults.log
        self.counts.update(f"fault: {one.kind} ({one.method})" for one in log)
        self.counts.update(f"act: {what}" for what in self.interference.done)
        writes = [one for one in self.harness.line.exchanges if one.is_write]
        self.counts["writes"] += len(writes)
        self.counts["form: select all"] += sum("select_all" in one.body for one in writes)
        self.counts["form: on_shared allow"] += bool(writes) and self.schedule.on_shared == "allow"
        self.counts["form: shared reading"] += sum(
            one.path.endswith(("/courses/enrollments", "/learningplans/enrollments"))
            for one in self.harness.line.exchanges
        )
        self.counts["calls"] += len(self.harness.line.exchanges)


_NOT_SEEN = re.compile(r"user (\d+) in .+ is unenrolled, but no archived record")
_HIDDEN = " UNION ".join(
    "SELECT hidden_until / 1000000 - CAST(strftime('%s', archived_at) AS INTEGER) "
    f"FROM {table} WHERE user_id = {{user}} AND hidden_until > {{now}}"
    for table in ("archived_enrollments", "archived_learning_plan_enrollments")
)
"""The lags, in seconds, of a user's records that the archived list does not show yet."""


def _named(error: UnexpectedArchiveError) -> set[int]:
    lists = [re.split(r" records? ", text)[-1] for text in error.seen]
    return {int(one) for text in lists for one in text.split(", ")}
