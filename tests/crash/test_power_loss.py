"""The files of a ledger as they were at a random moment, whole and damaged, are resumed."""

import random
from dataclasses import replace

from crash.power_loss import DAMAGES, SCENARIOS, lose_power
from crash.world import ChildProcesses


def test_files_copied_at_random_moments() -> None:
    """Nothing is archived twice or reported wrongly; only a damaged ledger is refused."""
    children = ChildProcesses()
    try:
        scenario = replace(SCENARIOS[1], courses={1: 7, 2: 4})
        report = lose_power(scenario, children, moments=2, dice=random.Random(1))  # noqa: S311
    finally:
        children.close()
    assert report.tally.words == []
    assert report.resumed["whole"] == report.resumed["without -wal"] == 2
    assert (report.resumed + report.refused).total() == 2 * len(DAMAGES)
