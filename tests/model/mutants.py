"""Mutants: the library with one rule broken, each of which the model test must catch.

A mutant replaces functions, methods or properties of the library by name, in a process of its
own. One whose name is gone, or whose replacement is never called while the slice is played, is
an error: it would prove nothing.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from attrs import evolve, frozen
from patching import Function, Patch, broken

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.planning import matching, planner, rules
from lms_archive.archive.running import (
    batches,
    failures,
    finding,
    jobs,
    plan_courses,
    plan_guard,
    reconcile,
    run,
    state,
    submitter,
    surplus,
    verdict,
)
from lms_archive.archive.values.events import Event, JobEnded, NotSent, Refused, Sending, Submitted
from lms_archive.errors import ApiError
from lms_archive.records.status import ArchiveMode
from lms_archive.wire import session

__all__ = ["MUTANTS", "NEVER_CALLED", "Mutant", "applied", "hunt", "main"]

HERE = Path(__file__).parent
COMMAND = HERE / "command.py"
LONGEST = 1200
NEVER_CALLED = 3
"""The exit status of a mutant whose replacement was never called."""


@frozen
class Mutant:
    """One rule broken."""

    name: str
    apply: Callable[[Patch], None]


@contextmanager
def applied(name: str) -> Iterator[Patch]:
    """Break the rule of that mutant meanwhile."""
    patch = Patch()
    try:
        next(mutant for mutant in MUTANTS if mutant.name == name).apply(patch)
        yield patch
    finally:
        patch.undo()


def hunt(mutant: Mutant, seeds: str) -> str | None:
    """Play these seeds on the mutant until one catches it: which, after how many, and how.

    Raises:
        RuntimeError: the mutant breaks nothing any more.
    """
    where = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, sys.path)])
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, str(COMMAND), "--mutant", mutant.name, "--seeds", seeds],
        env={**os.environ, "PYTHONPATH": where},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mutant.name}: {done.stdout[-200:]}{done.stderr[-500:]}")
    caught = done.stdout.strip().splitlines()[-1] if done.returncode else None
    if caught and ": broken: TypeError" in caught:
        raise RuntimeError(f"its replacement cannot be called: {caught}")
    return caught


def main(seeds: str, names: Sequence[str] = ()) -> int:
    """Print the table of the mutants; how many survived, or broke nothing, is what it returns."""
    failed = 0
    for mutant in MUTANTS:
        if names and not any(name in mutant.name for name in names):
            continue
        try:
            caught = hunt(mutant, seeds) or "SURVIVED"
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            caught = f"NO MUTANT: {error}"
        failed += caught.startswith(("SURVIVED", "NO MUTANT"))
        print(f"{mutant.name:<66} {caught}", flush=True)
    return failed


def _gives(value: Any) -> Function:
    """Return a replacement that does nothing and gives this value."""

    def replacement(*_args: Any, **_options: Any) -> Any:
        return value

    return replacement


def _settling(settle: Function) -> Function:
    """Return a replacement that does this instead of settling a lost answer."""

    def not_accepted(original: Function, self: submitter.Submitter, *args: Any) -> Any:
        with broken(jobs.InFlight, "settle", settle):
            return original(self, *args)

    return not_accepted


def _end(self: Any, submissions: Sequence[Any]) -> None:
    self.record(*(JobEnded(one.chunk.chunk_id, one.job_id) for one in submissions))


def _no_wait(self: jobs.InFlight, submissions: Sequence[Any]) -> None:
    self.wait_for_jobs()
    _end(self, submissions)


def _no_sleep(self: jobs.InFlight, submissions: Sequence[Any]) -> None:
    self.wait_for_jobs()
    self.wait_for_quiet(submissions)


def _no_quiet(self: jobs.InFlight, submissions: Sequence[Any]) -> None:
    self.client.session.clock.sleep(self.client.session.settings.retry.settle)
    _no_wait(self, submissions)


def _any_record(original: Function, member: Any, records: Sequence[Any], *, gone: bool) -> Any:
    if member.enrolled_at is not None:
        return records
    return original(member, records, gone=gone)


def _dated_record(original: Function, member: Any, records: Sequence[Any], *, gone: bool) -> Any:
    if member.enrolled_at is None and gone and len(records) == 1:
        return records
    return original(member, records, gone=gone)


def _any_enrollment(_: Function, self: finding.Finding) -> bool:
    return self.active is not None


def _sends_first(patch: Patch) -> None:
    """Write `sending` when the call has come back."""
    late: WeakKeyDictionary[Ledger, Sequence[Event]] = WeakKeyDictionary()

    def append(original: Function, self: Ledger, *events: Event) -> None:
        if any(isinstance(event, Sending) for event in events):
            late[self] = events
            return
        is_answer = isinstance(events[0], Submitted | NotSent | Refused)
        original(self, *(late.pop(self, ()) if is_answer else ()), *events)

    patch.method(Ledger, "append", append)


def _never_sending(original: Function, self: Ledger, *events: Event) -> None:
    kept = [event for event in events if not isinstance(event, Sending)]
    if kept:
        original(self, *kept)


def _own_clock(original: Function, self: session.Session, *args: Any) -> Any:
    """Take the clock of the test, ahead or behind, for the platform's."""
    reply = original(self, *args)
    now = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    self._date = now + timedelta(seconds=self.clock.monotonic() - 1000)
    return evolve(reply, date=self._date)


def _as_in_unenroll(original: Function, self: batches.Batches, *rest: Any) -> Any:
    terms = evolve(self.terms, mode=ArchiveMode.UNENROLL)
    return original(evolve(self, terms=terms), *rest)


def _fresh_if_unread(_: Function, age: float | None, freshness: float) -> bool:
    return age is None or age <= freshness


def _shared_as_in_unenroll(
    original: Function, self: batches.Batches, queue: Any, members: Any
) -> Any:
    shared = evolve(self, terms=evolve(self.terms, mode=ArchiveMode.UNENROLL))
    object.__setattr__(shared, "_prefetched", self._prefetched)
    return original(shared, queue, members)


def _any_date(original: Function, planned: Any, now: Any) -> Any:
    return original(planned, now and evolve(now, enrolled_at=planned.enrolled_at))


def _by_the_jobs_word(original: Function, found: Any, sending: Any, **options: Any) -> Any:
    if found.record is None and not sending.in_doubt and not sending.problem:
        return "archived", "the job has ended"
    return original(found, sending, **options)


def _without_doubt(
    original: Function, self: submitter.Submitter, lane: Any, sending: Any, error: ApiError
) -> Any:
    error.in_doubt = False
    return original(self, lane, sending, error)


def _nothing_in_flight(original: Function, self: run.Run) -> Any:
    for queue in self.state.queues.values():
        queue.in_flight.clear()
    self.state.open.clear()
    return original(self)


def _jobs_taken_for_ended(original: Function, self: run.Run) -> Any:
    _end(self, [one for one in self.state.in_flight if one.job_id is not None])
    return original(self)


def _unnamed_not_settled(original: Function, self: run.Run) -> Any:
    with broken(jobs.InFlight, "settle", _end):
        return original(self)


def _older_jobs_forgotten(original: Function, self: jobs.Jobs, *, older: bool = False) -> Any:
    return None if older else original(self)


def _read_beside_the_job(
    original: Function, self: submitter.Submitter, queue: Any, count: Any
) -> Any:
    outcomes = original(self, queue, count)
    _end(self, queue.in_flight)
    return outcomes


def _slow_is_ended(original: Function, self: jobs.Jobs, submissions: Any) -> Any:
    ended = original(self, submissions)
    return [evolve(one, problem=None) if isinstance(one, JobEnded) else one for one in ended]


def _no_second_look(original: Function, *args: Any) -> Any:
    return ((member, became, False) for member, became, _ in original(*args))


def _others_unseen(original: Function, *args: Any) -> Any:
    return evolve(original(*args), others=())


def _everyone_again(_: Function, _draft: Any, _target: Any, rows: Any, *_rest: Any) -> Any:
    return rows


def _each_row_by_itself(original: Function, self: matching.Match, rows: Any) -> Iterator[Any]:
    for row, user in rows:
        yield from original(self, matching.RequestedRows([row], [user]))


def _as_a_read(original: Function, *args: Any, **options: Any) -> Any:
    return original(*args, **{**options, "is_write": False})


def _nothing_with_plan(
    original: Function, self: rules.Rules, target: Any, rows: Any, _: Any
) -> Any:
    return original(self, target, rows, {})


def _no_record_looked_for(
    original: Function, self: reconcile.Reconciler, chunk: Any, changes: Any, active: Any
) -> None:
    there = [(one, evolve(changed, is_gone=False)) for one, changed in changes]
    original(self, chunk, there, active)


def _method(owner: type, name: str, replacement: Function) -> Callable[[Patch], None]:
    return lambda patch: patch.method(owner, name, replacement)


def _getter(owner: type, name: str, replacement: Function) -> Callable[[Patch], None]:
    return lambda patch: patch.getter(owner, name, replacement)


def _function(module: Any, name: str, replacement: Function) -> Callable[[Patch], None]:
    return lambda patch: patch.function(module, name, replacement)


_ALWAYS = _gives(True)  # noqa: FBT003  the value

MUTANTS = tuple(
    Mutant(name, apply)
    for name, apply in {
        "sends again without waiting": _method(
            submitter.Submitter, "_not_accepted", _settling(_no_wait)
        ),
        "polls without settling": _method(
            submitter.Submitter, "_not_accepted", _settling(_no_sleep)
        ),
        "settles, but does not wait for quiet": _method(
            submitter.Submitter, "_not_accepted", _settling(_no_quiet)
        ),
        "matches a record by its user only": _function(finding, "own_records", _any_record),
        "takes the active enrollment by its user only": _getter(
            finding.Finding, "still_active", _any_enrollment
        ),
        "commits `sending` after the call": _sends_first,
        "does not commit `sending` at all": _method(Ledger, "append", _never_sending),
        "takes this machine's clock for the platform's": _method(
            session.Session, "_exchange", _own_clock
        ),
        "does not read again before re-enroll": _method(
            batches.Batches, "_must_read", _as_in_unenroll
        ),
        "never reads again, however old the reading is": _function(batches, "is_fresh", _ALWAYS),
        "does not read again what a plan loaded or applied before has read": _function(
            batches, "is_fresh", _fresh_if_unread
        ),
        "shares readings before re-enroll": _method(
            batches.Batches, "_active", _shared_as_in_unenroll
        ),
        "does not drop who was enrolled again": _function(verdict, "change", _any_date),
        "does not look for the record of who is gone": _method(
            reconcile.Reconciler, "decide_changed", _no_record_looked_for
        ),
        "takes the job's word": _function(verdict, "verdict", _by_the_jobs_word),
        "takes a lost answer for a refusal": _method(
            submitter.Submitter, "_not_accepted", _without_doubt
        ),
        "does not take up what an earlier run left under way": _method(
            run.Run, "_finish_earlier_run", _nothing_in_flight
        ),
        "does not wait for the jobs of an earlier run": _method(
            run.Run, "_finish_earlier_run", _jobs_taken_for_ended
        ),
        "does not wait for unnamed work of an earlier run": _method(
            run.Run, "_finish_earlier_run", _unnamed_not_settled
        ),
        "forgets older open jobs in re-enroll": _method(
            jobs.Jobs, "wait_for_quiet", _older_jobs_forgotten
        ),
        "reads beside a job that is at work": _method(
            submitter.Submitter, "submit", _read_beside_the_job
        ),
        "forgets a job that has left the listing": _method(jobs.Jobs, "_read_job", _gives(None)),
        "takes a job that is too slow for one that has ended": _method(
            jobs.Jobs, "poll", _slow_is_ended
        ),
        "does not look for a record that lags": _getter(finding.Finding, "is_conclusive", _ALWAYS),
        "does not read a course of a plan again": _function(
            plan_courses, "_read_course", _no_second_look
        ),
        "says nothing of what nobody asked for": _function(finding, "make_finding", _others_unseen),
        "archives again in re-enroll who was archived recently": _function(
            planner, "_without_archived_recently", _everyone_again
        ),
        "plans a row twice": _method(matching.Match, "members", _each_row_by_itself),
        "repeats a write as it repeats a read": _function(session, "with_retry", _as_a_read),
        "sends course rows that a plan archives too": _method(
            rules.Rules, "_course_rows", _nothing_with_plan
        ),
        "counts an unknown row as decided permanently": _method(
            state.RunState, "_reopen_unknown", _gives(None)
        ),
        "takes a dated record for an undated enrollment": _function(
            finding, "own_records", _dated_record
        ),
        "sends a call for all though others are there": _function(
            batches, "is_everything", _ALWAYS
        ),
        "does not look whom a call for all took too": _function(
            surplus, "unnamed_records", _gives(())
        ),
        "lets one target stop the others": _function(
            failures,
            "concerns_target",
            _gives(False),  # noqa: FBT003  the value
        ),
        "does not watch a learning plan": _function(plan_guard, "changes_of", _gives(([], False))),
        "leaves course rows of a plan as they were planned": _function(
            plan_courses, "decide_course_rows", _gives(None)
        ),
    }.items()
)
