"""Decide what a reading means for a row. Makes no calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from attrs import frozen

from lms_archive.archive.running.finding import Finding
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.target.lists import Active
from lms_archive.archive.values.chunks import PlannedEnrollment
from lms_archive.archive.values.events import Refused
from lms_archive.archive.values.outcomes import CourseOutcome
from lms_archive.errors import plural
from lms_archive.records.status import ArchiveMode, EnrollmentStatus

_BY_HAND = "enroll the user by hand"
_STARTED = (EnrollmentStatus.IN_PROGRESS, EnrollmentStatus.COMPLETED)

SENDS = 3
"""How often a row whose answer was lost is sent, while it is still as planned."""


def verdict(  # noqa: C901, PLR0911  one case after the other
    finding: Finding,
    submission: Submission,
    *,
    reset: bool,
    lost: int,
    now: datetime,
    more_rounds: bool = False,
    courses: Sequence[CourseOutcome] = (),
) -> tuple[str, str] | None:
    """Return the code and the reason of a row, or None where it may be sent again.

    It may be sent again only where the answer was lost, or a select-all call left it for its next
    round, and no job is open any more, exactly the planned enrollment is still active and as
    planned, and nothing of the user was archived since.

    Args:
        finding: what both lists say.
        submission: how the row was sent.
        reset: whether the tracking was to be reset.
        lost: how many calls for the row had no answer.
        now: the platform's time.
        more_rounds: whether a select-all call has left rows for its next round.
        courses: what happened to the courses of a learning plan.
    """
    if finding.enrolled_meanwhile and submission.problem is not None:
        return "job_not_ended", (
            f"archived, and enrolled again by another person while {submission.problem}: "
            "resume reads it again"
        )
    if finding.record is not None:
        return archived_verdict(finding, reset=reset, now=now)
    if finding.target_missing and submission.is_refused_as_missing:
        return "refused", nothing_done(submission.refusal)
    if finding.target_missing:
        return "unreadable", (
            "sent, but the target is not found any more (404) and no archived record is listed: "
            "check the platform's archived list; resume reads it again"
        )
    if not finding.still_active:
        refused = "" if submission.refusal is None else f"{submission.refusal}; but "
        return "not_seen", (
            f"{refused}no longer enrolled, and no archived record was seen: check the platform's "
            "archived list, then resume"
        )
    if submission.problem is not None:
        return "job_not_ended", f"still active, and {submission.problem}: resume reads it again"
    if submission.refusal is not None:
        changed = change(finding.member, finding.active)
        if changed is None and submission.is_refused_as_missing and submission.is_resumed:
            return None  # the run ended before it knew what was not found
        return "refused", _refused(changed, submission.refusal, courses)
    may_repeat = lost < SENDS and not finding.others if submission.in_doubt else more_rounds
    if may_repeat:
        changed = change(finding.member, finding.active)
        if changed is None:
            return None
        return "changed", f"changed since the plan: {changed.reason}; not sent again"
    if submission.in_doubt:
        return (
            "no_answer",
            f"still active after {plural(max(lost, 1), 'call')} without an answer: resume later",
        )
    if submission.job_id is None:
        return "not_archived", (
            "the call was accepted, but the enrollment is still active, and no archived record is "
            "listed: plan this row again"
        )
    return "not_archived", (
        f"background job {submission.job_id} ended, but the enrollment is still active: see the "
        "job's log, then plan this row again"
    )


def _refused(changed: Change | None, refusal: Refused, courses: Sequence[CourseOutcome]) -> str:
    """Return the reason of a refused row that is still active."""
    if changed is not None:
        return f"{refusal}; changed since the plan: {changed.reason}"
    archived = [str(course.course_id) for course in courses if course.record_id is not None]
    if archived:
        return f"{refusal}; but records of its courses were found: {', '.join(archived)}"
    return nothing_done(refusal)


def nothing_done(refusal: Refused | None) -> str:
    """Return the reason of a row whose call was refused, and has changed nothing."""
    return f"{refusal}; nothing was done"


Origin = Literal["this", "lost", "other"]
"""The call that archived a row: of this ledger, perhaps a lost one of it, or another one."""


def archived_verdict(
    finding: Finding, *, reset: bool, now: datetime, origin: Origin = "this"
) -> tuple[str, str]:
    """Return the code and the reason of a row whose archived record was read.

    Args:
        finding: the reading, with the record.
        reset: whether the tracking was to be reset.
        now: the platform's time.
        origin: the call that archived it.
    """
    assert finding.record is not None  # noqa: S101  the callers check
    details = finding.record.archiving
    text = f"archived as record {details.record_id}"
    if origin != "this":
        user = "an unknown user" if details.archived_by is None else f"user {details.archived_by}"
        text += f" by {user} on {details.archived_at}, after the plan was made; " + (
            "not by a call in this ledger" if origin == "other" else "by a lost call, or another"
        )
    if finding.still_active:
        return "still_enrolled", (
            f"{text}, but the enrollment is still active: "
            "look at it on the platform before anything is sent again"
        )
    code = "archived" if origin == "this" else "archived_meanwhile"
    if finding.mode is ArchiveMode.RE_ENROLL:
        return _re_enrolled(finding, code, text, reset=reset, now=now)
    if origin == "this" and not finding.is_older and finding.active is not None:
        return "enrolled_again", (
            f"{text}, but enrolled again on {finding.active.enrolled_at}: by another person, or by "
            "the same call"
        )
    return code, text


def _re_enrolled(
    finding: Finding, code: str, text: str, *, reset: bool, now: datetime
) -> tuple[str, str]:
    """Return the code and the reason after archive and re-enroll."""
    new = finding.active
    if new is None:
        cure = "the target is not found any more" if finding.target_missing else _BY_HAND
        return "not_re_enrolled", f"{text}, but not enrolled again: {cure}"
    text += f"; enrolled again on {new.enrolled_at} as {new.status}"
    signs = tracking_signs(finding.member, new)
    tracking = _agreed(signs)
    if tracking == "kept" and reset:
        return "tracking_not_reset", f"{text}, but the tracking was not reset: reset it by hand"
    if tracking == "reset" and not reset:
        return "tracking_lost", f"{text}, but the tracking was reset, and should have been kept"
    text += f"; tracking {tracking or 'not checkable'}"
    if tracking is None and signs:
        text += f": {' and '.join(sign.text for sign in signs)}"
    if new.valid_until is not None and new.valid_until < now:
        ended = f"its validity ended on {new.valid_until}: extend it on the platform"
        return "validity_ended", f"{text}, but {ended}"
    return code, text


@frozen
class Sign:
    """What one field of a new enrollment says about the tracking, and why.

    `says` is `"kept"`, `"reset"`, or None where the value fits neither.
    """

    says: str | None
    text: str


def tracking_signs(planned: PlannedEnrollment, new: Active) -> tuple[Sign, ...]:
    """Return what time spent and status say about the tracking, without fields that say nothing.

    | time spent: before, now | says | status: before, now                           | says |
    |-------------------------|-------|------------------------------------------------|-------|
    | 0 or unknown, any       | -     | enrolled or unknown, any                       | -     |
    | n, unknown              | -     | in progress or completed, unknown or other     | -     |
    | n, 0                    | reset | in progress or completed, enrolled             | reset |
    | n, n or more            | kept  | the same, or in progress and completed         | kept  |
    | n, 0 < now < n          | neither | completed, in progress                       | neither |
    """
    signs = []
    before, now = planned.time_spent, new.time_spent
    if before and now is not None:
        says = "reset" if now == 0 else "kept" if now >= before else None
        signs.append(_sign("time spent", says, f"{before:,} s", f"{now:,} s"))
    if planned.status in _STARTED and new.status in (*_STARTED, EnrollmentStatus.ENROLLED):
        says = "reset" if new.status == EnrollmentStatus.ENROLLED else "kept"
        if (
            planned.status == EnrollmentStatus.COMPLETED
            and new.status == EnrollmentStatus.IN_PROGRESS
        ):
            says = None
        signs.append(_sign("status", says, planned.status, new.status))
    return tuple(signs)


def _sign(name: str, says: str | None, before: object, now: object) -> Sign:
    meaning = f"says {says}" if says else "says neither kept nor reset"
    return Sign(says, f"{name} {meaning} ({before} before, {now} now)")


def _agreed(signs: Sequence[Sign]) -> str | None:
    """Return what all signs say, or None where they disagree or there is none."""
    statements = {sign.says for sign in signs}
    return statements.pop() if len(statements) == 1 else None


@frozen
class Change:
    """How an enrollment differs from the planned one, and whether that one is gone."""

    reason: str
    is_gone: bool


def change(planned: PlannedEnrollment, now: Active | None) -> Change | None:
    """Return how an enrollment differs from the one that was planned, or None."""
    if now is None:
        return Change("no longer enrolled, and no archived record is listed", is_gone=True)
    if now.enrolled_at != planned.enrolled_at:
        reason = "enrolled again: this is not the enrollment that was planned"
        return Change(reason, is_gone=True)
    if now.status != planned.status or now.level != planned.level:
        return Change(f"now {now.status} as {now.level}, not as planned", is_gone=False)
    return None
