"""The ledger is durable, and few commits: what a disk is asked for in a run."""

from collections import Counter

import pytest
from virtual_time import Harness

from lms_archive.archive.ledger import Ledger


def test_at_most_five_commits_a_chunk(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending, submitted, ended and read back; what is noted once does not grow with the job."""
    statements: Counter[str] = Counter()
    synchronous: list[int] = []
    create = Ledger.create.__func__  # type: ignore[attr-defined]

    def watched(cls: type[Ledger], /, *args: object, **options: object) -> Ledger:
        ledger: Ledger = create(cls, *args, **options)
        synchronous.extend(ledger._database.execute("PRAGMA synchronous").fetchone())
        ledger._database.set_trace_callback(lambda text: statements.update([text]))
        return ledger

    monkeypatch.setattr(Ledger, "create", classmethod(watched))
    harness.load(600, 450)
    harness.check(harness.apply(), archived=1050)
    assert synchronous == [2]  # FULL
    assert len(harness.writes) == 7
    assert 3 * 7 <= statements["COMMIT"] <= 5 * 7
