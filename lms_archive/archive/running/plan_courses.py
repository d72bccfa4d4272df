"""Read back what archiving in a learning plan did to each of its courses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from lms_archive.archive.ledger import Ledger
from lms_archive.archive.running.failures import concerns_target
from lms_archive.archive.running.readback import active_or_missing, read_archived
from lms_archive.archive.selection.rows import place_of
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import LAG
from lms_archive.archive.values.chunks import PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.events import Decided
from lms_archive.archive.values.outcomes import (
    CourseOutcome,
    CourseStatus,
    Outcome,
    Skip,
)
from lms_archive.client import Client
from lms_archive.errors import NotFoundError
from lms_archive.records.status import ArchiveMode


def course_outcomes(
    client: Client,
    plan: PlannedTarget,
    members: Sequence[PlannedEnrollment],
    *,
    archived: Collection[int],
    since: datetime,
    terms: Terms,
) -> dict[int, tuple[CourseOutcome, ...]]:
    """Return what happened to each course of the plan, by user id: two readings a course.

    The courses of a user are not read before the call, so a course that is now neither active nor
    archived is reported as `not_enrolled`. For users whose record in the plan was read
    (`archived`), that takes a second look, because the course's record may lag.
    """
    if not plan.courses:
        return {}
    outcomes: dict[int, dict[int, CourseOutcome]] = {member.user_id: {} for member in members}
    lagging: dict[int, list[PlannedEnrollment]] = {}
    for course_id in plan.courses:
        for member, outcome, may_lag in _read_course(client, course_id, members, since, terms):
            outcomes[member.user_id][course_id] = outcome
            if may_lag and member.user_id in archived:
                lagging.setdefault(course_id, []).append(member)
    if lagging:
        client.session.waits.wait(LAG, "settle")
    for course_id, late in lagging.items():
        for member, outcome, _ in _read_course(client, course_id, late, since, terms):
            outcomes[member.user_id][course_id] = outcome
    return {user_id: tuple(courses.values()) for user_id, courses in outcomes.items()}


def _read_course(
    client: Client,
    course_id: int,
    members: Sequence[PlannedEnrollment],
    since: datetime,
    terms: Terms,
) -> Iterator[tuple[PlannedEnrollment, CourseOutcome, bool]]:
    """Read both lists of a course; the last value says whether a record may not be listed yet."""
    course = PlannedTarget(kind="course", target_id=course_id)
    try:
        records = read_archived(client, course, members, since)
        active = active_or_missing(client, course, members) or {}
    except NotFoundError as error:
        if not concerns_target(client, error):
            raise
        yield from ((member, CourseOutcome(course_id, "missing"), False) for member in members)
        return
    status: CourseStatus
    for member in members:
        own = records.get(member.user_id, ())
        record = max(
            own, key=lambda archived_record: archived_record.archiving.record_id, default=None
        )
        now = active.get(member.user_id)
        if record is None:
            status = "not_enrolled" if now is None else "not_archived"
            may_lag = now is None or (now.enrolled_at is not None and now.enrolled_at >= since)
            yield member, CourseOutcome(course_id, status), may_lag
            continue
        is_new = now is not None and now.enrolled_at != record.enrollment.enrolled_at
        if terms.mode is ArchiveMode.RE_ENROLL:
            status = (
                "archived" if is_new else "not_re_enrolled" if now is None else "still_enrolled"
            )
        else:
            status = "archived" if now is None or is_new else "still_enrolled"
        yield member, CourseOutcome(course_id, status, record.archiving.record_id), False


def decide_course_rows(ledger: Ledger) -> None:
    """Decide each course row that is archived together with the row of a learning plan.

    A later run may change the outcome of the plan's row, and then that of the course row too.
    """
    changed: list[tuple[Skip, tuple[str, str]]] = []
    for skip in ledger.skips_with_learning_plan():
        plan, own = ledger.outcome(skip.learning_plan_row or 0), ledger.outcome(skip.row)
        if plan is not None:
            decided = _course_row(skip, plan)
            if own is None or (own.code, own.reason) != decided:
                changed.append((skip, decided))
    if changed:
        rows = ledger.rows().by_index(skip.row for skip, _ in changed)
        outcomes = (
            (skip.row, Outcome.of(rows[skip.row], *decided, user_id=skip.user_id))
            for skip, decided in changed
        )
        ledger.append(Decided(outcomes=tuple(outcomes)))


def _course_row(skip: Skip, plan: Outcome) -> tuple[str, str]:
    """Return the code and the reason of a course row, from the outcome of the plan's row."""
    course = next(
        (candidate for candidate in plan.courses if candidate.course_id == skip.course_id), None
    )
    if course is not None and course.record_id is not None:
        return skip.code, skip.reason  # archived, whatever happened to the plan's row
    if plan.kind == "archived" and course is None:
        return skip.code, skip.reason
    where = place_of(plan)
    if course is not None and course.status == "missing":
        return "target_missing", (
            "the course is not found any more (404): deleted since the plan was made; it is "
            f"not known whether {where} archived this enrollment"
        )
    state = f"{where} is {plan.kind} ({plan.reason})"
    if course is not None and plan.kind == "archived":
        state = f"{where} is archived, and this course {course.status.replace('_', ' ')}"
    return "not_archived_with_learning_plan", (
        f"not archived with the learning plan: {state}; plan this row again"
    )
