"""What a reading means, for a row and for the job: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lms_archive.archive.cutting import PlannedEnrollment
from lms_archive.archive.outcomes import Outcome
from lms_archive.archive.places import Active
from lms_archive.archive.readback import Finding
from lms_archive.archive.sending import Sending
from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    CanaryFailedError,
    LmsArchiveError,
    NotFoundError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
    RunStoppedError,
)
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

__all__ = ["SENDS", "canary_failed", "change", "chunk_failed", "stops_job", "verdict"]

_FINE = ("archived", "validity_ended")
_NO_SUCH_METHOD = 405
_STOPS = (
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    RateLimitError,
    PlatformUnavailableError,
)

_LOOK_AT = {
    "still_active": "look at what this platform calls enrollment_mode and its values, and at what "
    "the call changed: print(client.verify_contract())",
    "not_seen": "look whether this platform only unenrolls with that call, and how its list of "
    "archived enrollments is asked for: print(client.verify_contract()). Where somebody else took "
    "just this one, resume(ledger, client, canary=0) goes on",
    "still_enrolled": "look at the enrollment date on the platform: where it is kept, what was "
    "archived cannot be told from what is enrolled, and this library cannot be used for it",
    "not_re_enrolled": "look at what this platform calls the value of enrollment_mode for archive "
    "and re-enroll: with_enrollment_mode",
    "tracking_not_reset": "look at what this platform calls reset_tracking: with_operation",
    "tracking_lost": "look at what this platform calls reset_tracking: with_operation",
}

_OTHER_DATE = (
    "look at the enrollment date of the archived record, and at the key under which the platform "
    "tells it: with_record"
)

SENDS = 3
"""How often a row whose answer was lost is sent, while it still has its pre-image."""


def verdict(  # noqa: PLR0911  one case after the other
    found: Finding,
    sending: Sending,
    *,
    reset: bool,
    tries: int,
    now: datetime,
    more_rounds: bool = False,
) -> tuple[str, str] | None:
    """The code and the reason of a row, or None where it may be sent again.

    It may be sent again only where the answer was lost, no job is open any more, the very
    enrollment that was to be archived is still active, and nothing of the user was archived
    since. `reset` is what was asked of the tracking, `now` the platform's time; with
    `more_rounds`, a call that takes only so many at once is not done yet.
    """
    if found.enrolled_meanwhile and sending.lost is not None:
        return "job_not_ended", (
            f"archived, and enrolled anew by someone else while {sending.lost}: resume looks again"
        )
    if found.record is not None:
        number = found.record.archiving.record_id
        if found.still:
            return "still_enrolled", (
                f"archived as record {number}, but the enrollment is still active: "
                "look at it on the platform before anything is sent again"
            )
        if found.mode is ArchiveMode.RE_ENROLL:
            return _enrolled_anew(found, f"archived as record {number}", reset=reset, now=now)
        return "archived", f"archived as record {number}"
    if not found.still:
        return "not_seen", (
            "no longer enrolled, and no archived record was seen: look into the platform's "
            "archived list, then resume"
        )
    if sending.lost is not None:
        return "job_not_ended", f"still active, and {sending.lost}: resume looks again"
    if sending.in_doubt:
        if tries < SENDS and not found.others:
            return None
        return "no_answer", f"still active after {tries} calls without an answer: resume later"
    if more_rounds:
        return None
    return "still_active", (
        "the platform ended its work and the enrollment is still active: see the job's log, "
        "then plan these rows again"
    )


def _enrolled_anew(found: Finding, archived: str, *, reset: bool, now: datetime) -> tuple[str, str]:
    """What became of the learner after archive and re-enroll."""
    anew = found.active
    if anew is None:
        return "not_re_enrolled", f"{archived}, but not enrolled anew: enroll the user by hand"
    text = f"{archived}; enrolled anew on {anew.enrolled_at} as {anew.status}"
    tracking = _tracking(found.member, anew)
    if tracking == "kept" and reset:
        return "tracking_not_reset", f"{text}, but the tracking was not reset: reset it by hand"
    if tracking == "reset" and not reset:
        return "tracking_lost", f"{text}, but the tracking is gone, which was to be kept"
    text += f"; tracking {tracking or 'not checkable'}"
    if anew.valid_until is not None and anew.valid_until < now:
        ended = f"its validity has ended on {anew.valid_until}: extend it on the platform"
        return "validity_ended", f"{text}, but {ended}"
    return "archived", text


def _tracking(was: PlannedEnrollment, anew: Active) -> str | None:
    """Whether the tracking was kept or reset, where time spent, or else the status, can show it."""
    if was.time_spent and anew.time_spent is not None:
        return {0: "reset"}.get(
            anew.time_spent, "kept" if anew.time_spent >= was.time_spent else None
        )
    begun = (EnrollmentStatus.IN_PROGRESS, EnrollmentStatus.COMPLETED)
    if was.status in begun and anew.status in (*begun, EnrollmentStatus.ENROLLED):
        return "kept" if anew.status in begun else "reset"
    return None


def change(planned: PlannedEnrollment, now: Active | None) -> str | None:
    """Why an enrollment is not the one that was planned any more, or None where it is."""
    if now is None:
        return "no longer enrolled: archived or unenrolled by someone else"
    if now.enrolled_at != planned.enrolled_at:
        return "enrolled anew: this is not the enrollment that was planned"
    if now.status != planned.status or now.level != planned.level:
        return f"now {now.status} as {now.level}, not as planned"
    return None


def canary_failed(
    outcomes: Sequence[Outcome], alarm: LmsArchiveError | None
) -> CanaryFailedError | None:
    """The error of a canary that was sent and did not come out as asked."""
    if not outcomes or (alarm is None and all(one.code in _FINE for one in outcomes)):
        return None
    seen = [f"{one.user} in {one.target}: {one.reason}" for one in outcomes]
    seen += [str(alarm)] if alarm else []
    seen += sorted({_LOOK_AT[one.code] for one in outcomes if one.code in _LOOK_AT})
    if any(one.differences for one in outcomes) and not any(one.record for one in outcomes):
        seen.append(_OTHER_DATE)
    return CanaryFailedError(
        "the first enrollment, sent alone, did not come out as asked; nothing else was sent.",
        seen=seen,
    )


def chunk_failed(outcomes: Sequence[Outcome]) -> RunStoppedError | None:
    """The error of a first chunk of which nothing came out as asked."""
    if not outcomes or any(one.code in _FINE for one in outcomes):
        return None
    text = f"nothing of the first chunk ({len(outcomes)} rows) came out as asked:"
    return RunStoppedError(text, seen=sorted({one.reason for one in outcomes})[:5])


def stops_job(error: ApiError) -> bool:
    """Whether a write that surely did nothing means that no other would: nothing more is sent."""
    return isinstance(error, _STOPS) or error.status == _NO_SUCH_METHOD
