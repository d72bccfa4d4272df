"""What a reading means for a row: pure."""

from __future__ import annotations

from lms_archive.archive.readback import Finding
from lms_archive.archive.sending import Sending

__all__ = ["SENDS", "verdict"]

SENDS = 3
"""How often a row whose answer was lost is sent, while it still has its pre-image."""


def verdict(  # noqa: PLR0911  one case after the other
    found: Finding, sending: Sending, *, tries: int
) -> tuple[str, str] | None:
    """The code and the reason of a row, or None where it may be sent again.

    It may be sent again only where the answer was lost, no job is open any more, and the very
    enrollment that was to be archived is still active.
    """
    if found.record is not None:
        number = found.record.archiving.record_id
        if found.still:
            return "still_enrolled", (
                f"archived as record {number}, but the enrollment is still active: "
                "look at it on the platform before anything is sent again"
            )
        return "archived", f"archived as record {number}"
    if not found.still:
        return "not_seen", (
            "no longer enrolled, and no archived record was seen: look into the platform's "
            "archived list, then resume"
        )
    if sending.lost is not None:
        return "job_not_ended", f"still active, and {sending.lost}: resume looks again"
    if sending.in_doubt:
        if tries < SENDS:
            return None
        return "no_answer", f"still active after {tries} calls without an answer: resume later"
    return "still_active", (
        "the platform ended its work and the enrollment is still active: see the job's log, "
        "then plan these rows again"
    )
