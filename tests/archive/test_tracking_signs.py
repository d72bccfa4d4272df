"""Archive and re-enroll: what time spent and status say of the tracking, together."""

from typing import Any

import pytest
from plan_tools import AGAIN
from virtual_time import ENROLLED_AT, Exchange, Harness

from lms_archive import ArchiveJob, ArchiveResult
from lms_archive.__main__ import main
from lms_archive.errors import CanaryFailedError

KEPT, RESET = "kept", "reset"
UNCLEAR = "not checkable"


def _archive(
    harness: Harness, before: tuple[str, int], after: tuple[str, int], *, reset: bool
) -> ArchiveResult:
    """Archive and re-enroll two users whose new enrollments are made to look like `after`."""
    set_both = "UPDATE enrollments SET enrollment_status = ?, enrollment_time_spent = ?"
    harness.load(2)
    harness.change(set_both, *before)

    def look_like(exchange: Exchange) -> None:
        if exchange.is_write:
            harness.change(f"{set_both} WHERE enrollment_created_at <> ?", *after, ENROLLED_AT)

    harness.line.after.append(look_like)
    terms: dict[str, Any] = {**AGAIN, "reset_tracking": reset, "only": [before[0]]}
    job = ArchiveJob.for_course(1, **terms).all_enrollments()
    return harness.apply(job.plan(harness.client))


@pytest.mark.parametrize(
    ("before", "after", "tracking"),
    [
        # time spent and status agree
        (("completed", 3600), ("completed", 3600), KEPT),
        (("completed", 3600), ("completed", 4000), KEPT),
        (("in_progress", 3600), ("in_progress", 3600), KEPT),
        (("in_progress", 3600), ("completed", 3700), KEPT),
        (("completed", 3600), ("enrolled", 0), RESET),
        (("in_progress", 3600), ("enrolled", 0), RESET),
        # they disagree
        (("completed", 3600), ("enrolled", 3600), UNCLEAR),
        (("in_progress", 3600), ("enrolled", 3600), UNCLEAR),
        (("completed", 3600), ("completed", 0), UNCLEAR),
        (("in_progress", 3600), ("in_progress", 0), UNCLEAR),
        (("completed", 3600), ("in_progress", 3600), UNCLEAR),
        (("completed", 3600), ("in_progress", 0), UNCLEAR),
        (("completed", 3600), ("completed", 60), UNCLEAR),
        (("completed", 3600), ("enrolled", 60), UNCLEAR),
        # one of them says nothing
        (("completed", 0), ("completed", 0), KEPT),
        (("completed", 0), ("enrolled", 0), RESET),
        (("enrolled", 60), ("enrolled", 60), KEPT),
        (("enrolled", 60), ("enrolled", 0), RESET),
        (("completed", 3600), ("waiting", 3600), KEPT),
        # both say nothing
        (("enrolled", 0), ("enrolled", 0), UNCLEAR),
        (("completed", 0), ("in_progress", 0), UNCLEAR),
        (("enrolled", 60), ("enrolled", 30), UNCLEAR),
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_what_both_signs_say(
    harness: Harness,
    before: tuple[str, int],
    after: tuple[str, int],
    tracking: str,
    *,
    reset: bool,
) -> None:
    """Kept or reset only where no sign contradicts; then it is as asked, or the canary stops."""
    if tracking == (KEPT if reset else RESET):
        text = "the tracking was not reset" if reset else "the tracking was reset"
        with pytest.raises(CanaryFailedError, match=text) as caught:
            _archive(harness, before, after, reset=reset)
        assert "check how this platform names reset_tracking" in str(caught.value)
        assert len(harness.archived) == 1
        return
    result = _archive(harness, before, after, reset=reset)
    assert [outcome.code for outcome in result.outcomes] == ["archived"] * 2
    assert all(f"; tracking {tracking}" in outcome.reason for outcome in result.outcomes)


@pytest.mark.parametrize("reset", [False, True])
def test_signs_that_disagree_are_both_named(harness: Harness, *, reset: bool) -> None:
    """The reason says what each of the two shows, and that the tracking cannot be checked."""
    result = _archive(harness, ("completed", 3600), ("enrolled", 3600), reset=reset)
    assert result.counts["archived"] == 2
    for outcome in result.outcomes:
        assert outcome.reason.endswith(
            "; tracking not checkable: time spent says kept (3,600 s before, 3,600 s now) "
            "and status says reset (completed before, enrolled now)"
        )
    assert len(result.incomplete) == 0
    assert [outcome.position for outcome in result.needs_attention] == [0, 1]
    assert all(outcome.needs_attention for outcome in result.outcomes)
    assert main(["status", str(harness.ledger)]) == 1


def test_signs_that_say_nothing_need_no_attention(harness: Harness) -> None:
    """Where nothing was recorded before, there is nothing to compare."""
    result = _archive(harness, ("enrolled", 0), ("enrolled", 0), reset=False)
    assert len(result.needs_attention) == 0
    assert not any(outcome.needs_attention for outcome in result.outcomes)
    assert main(["status", str(harness.ledger)]) == 0
