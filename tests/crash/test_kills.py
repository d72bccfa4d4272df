"""Processes that are killed around their writes: nothing twice, nothing lost, nothing untrue."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from crash.audit import audit
from crash.kills import fill_the_disk, kill_everywhere
from crash.scenarios import Scenario
from crash.world import ChildProcesses, world_of

_COURSE = {1: 3}
_SLICE = (
    Scenario("unenroll", "unenroll", courses=_COURSE, job_seconds=90),
    Scenario("re-enroll", "re-enroll", courses=_COURSE, job_seconds=90),
    Scenario("plan", "unenroll", plans={50: 2}, held={50: (1,)}),
)


@pytest.fixture(scope="module")
def children() -> Iterator[ChildProcesses]:
    """A Python in which processes are born."""
    children = ChildProcesses()
    yield children
    children.close()


def _around_writes(name: str) -> bool:
    return name.startswith(("write", "ledger sending", "ledger submitted"))


def _in_writes(name: str) -> bool:
    return name.startswith("write")


@pytest.mark.parametrize("scenario", _SLICE, ids=lambda one: one.name)
def test_killed_around_every_write(children: ChildProcesses, scenario: Scenario) -> None:
    """Killed at each of ten points around each of two writes, and resumed: all is once, and so."""
    report = kill_everywhere(scenario, children, at=_around_writes)
    assert report.tally.words == []
    assert (report.kills, report.resumes) == (20, 20)


def test_killed_where_the_ledger_is_made(children: ChildProcesses) -> None:
    """Before the ledger is there nothing has been sent, and the job begins anew."""
    made = ("ledger locked", "ledger opened", "ledger created", "ledger renamed")
    report = kill_everywhere(_SLICE[0], children, at=lambda name: name.startswith(made))
    assert report.tally.words == []
    assert report.kills == 11


def test_a_full_disk(children: ChildProcesses) -> None:
    """The disk full at ever later bytes: told, nothing sent that is not noted, and resumed."""
    report = fill_the_disk(replace(_SLICE[1], disk=12_288), children)
    assert report.tally.words == []
    assert report.kills >= 5


@pytest.mark.parametrize(("mutant", "column"), [("send_first", "wrong"), ("never_wait", "twice")])
def test_a_library_that_breaks_the_rules_is_caught(
    children: ChildProcesses, mutant: str, column: str
) -> None:
    """`sending` committed after the call, or reading back without waiting: the counts tell."""
    report = kill_everywhere(_SLICE[1], children, at=_in_writes, mutant=mutant)
    assert getattr(report.tally, column) > 0


def test_the_comparison_sees_what_is_wrong(children: ChildProcesses) -> None:
    """A record twice, a record less, an enrollment gone: each is counted."""
    with world_of(_SLICE[0], children) as world:
        assert world.live().error == ""
        assert world.end().words == []
        database = world.sandbox._running.db
        for statement, column in (
            ("UPDATE archived_enrollments SET user_id = 1999 WHERE user_id = 1001", "twice"),
            ("DELETE FROM archived_enrollments WHERE user_id = 1999", "lost"),
            ("UPDATE archived_enrollments SET id = id + 10", "wrong"),
        ):
            with database:
                database.execute(statement)
            assert getattr(audit(_SLICE[0], world.sandbox.path, world.ledger), column) > 0
