"""Decide what a failure means: for one target, for the whole job, for the proof of the contract."""

from __future__ import annotations

from collections.abc import Sequence

from lms_archive.archive.planning.forms import FORMS
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.client import Client
from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    CanaryFailedError,
    ConnectionSettingsError,
    LmsArchiveError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
    RunStoppedError,
    plural,
)

_NO_SUCH_METHOD = 405
_OF_THE_JOB = (
    AuthenticationError,
    ConnectionSettingsError,
    PermissionDeniedError,
    RateLimitError,
    PlatformUnavailableError,
)
_PROVES_CONTRACT = ("archived", "validity_ended")

_TRACKING = "check how this platform names reset_tracking, and correct it: Contract.with_operation"
_ADVICE = {
    "not_archived": "check how this platform names enrollment_mode and its values, and what the "
    "call changed: print(client.verify_contract())",
    "not_seen": "check whether that call only unenrolls on this platform, and how its list of "
    "archived enrollments is requested: print(client.verify_contract()). If another person "
    "unenrolled just this user, resume(ledger, client, canary=0) continues",
    "still_enrolled": "check the enrollment date on the platform: if it is kept, the archived "
    "enrollment cannot be distinguished from the new one, and this library cannot be used",
    "enrolled_again": "check how this platform names the enrollment_mode for archive and "
    "unenroll, and correct it: Contract.with_enrollment_mode. If another person enrolled just this "
    "user again, resume continues",
    "not_re_enrolled": "check how this platform names the enrollment_mode for archive and "
    "re-enroll, and correct it: Contract.with_enrollment_mode",
    "tracking_not_reset": _TRACKING,
    "tracking_lost": _TRACKING,
}

_OTHER_DATE = (
    "check the enrollment date of the archived record, and the key under which the platform "
    "sends it: Contract.with_record"
)


def concerns_target(client: Client, error: ApiError) -> bool:
    """Return whether a failed read concerns its target only, so that others can go on.

    A login, a permission, the rate limit, an outage, or a call that the platform does not have
    concern the whole job.
    """
    return not concerns_job(error) and error.path != client.session.operation("token").path


def is_redirect(error: ApiError) -> bool:
    """Return whether a write was redirected, as every other would be: to a login page, perhaps."""
    return error.status is not None and 300 <= error.status < 400  # noqa: PLR2004  HTTP


def concerns_job(error: ApiError) -> bool:
    """Return whether a failed call, other than one that is not found, means that all would fail."""
    return isinstance(error, _OF_THE_JOB) or error.status == _NO_SUCH_METHOD


def canary_failed(
    client: Client, outcomes: Sequence[Outcome], alarm: Exception | None
) -> LmsArchiveError | None:
    """Return the error for a canary that was sent and not archived as requested, or None."""
    if not outcomes or (
        alarm is None and all(outcome.code in _PROVES_CONTRACT for outcome in outcomes)
    ):
        return None
    if alarm is None and all(outcome.code == "no_answer" for outcome in outcomes):
        return _unavailable(client, outcomes[0])
    observations = [f"{outcome.user} in {outcome.target}: {outcome.reason}" for outcome in outcomes]
    observations += [str(alarm)] if alarm else []
    observations += sorted(
        {_ADVICE[outcome.code] for outcome in outcomes if outcome.code in _ADVICE}
    )
    if any(outcome.differences for outcome in outcomes) and not any(
        outcome.record for outcome in outcomes
    ):
        observations.append(_OTHER_DATE)
    return CanaryFailedError(
        "the first enrollment, sent alone, was not archived as requested; nothing more was sent.",
        seen=observations,
    )


def chunk_failed(client: Client, outcomes: Sequence[Outcome]) -> LmsArchiveError | None:
    """Return the error for a first chunk of which nothing was archived as requested, or None."""
    if not outcomes or any(outcome.code in _PROVES_CONTRACT for outcome in outcomes):
        return None
    if all(outcome.code == "no_answer" for outcome in outcomes):
        return _unavailable(client, outcomes[0])
    rows = plural(len(outcomes), "row")
    text = f"no row of the first chunk ({rows}) was archived as requested:"
    return RunStoppedError(text, seen=sorted({outcome.reason for outcome in outcomes})[:5])


def _unavailable(client: Client, outcome: Outcome) -> PlatformUnavailableError:
    """Return the error for calls that were never answered: they say nothing of the contract."""
    kind = "course" if outcome.target is None else outcome.target.kind
    write = client.session.operation(FORMS["hand_picked"].operation(kind))
    text = f"{outcome.user} in {outcome.target}: {outcome.reason}"
    return PlatformUnavailableError(write.method, write.path, message=text)
