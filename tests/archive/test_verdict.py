"""What a reading means: every case by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from lms_archive import Client, Outcome, RunStoppedError, StaticToken
from lms_archive.archive.running.failures import canary_failed, chunk_failed
from lms_archive.archive.running.finding import Finding
from lms_archive.archive.running.submission import Submission
from lms_archive.archive.running.verdict import SENDS, change, verdict
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import CODES, OutcomeCode
from lms_archive.errors import CanaryFailedError, PlatformUnavailableError
from lms_archive.records import ArchiveMode, EnrollmentLevel, EnrollmentStatus
from lms_archive.records.active import CourseEnrollment
from lms_archive.records.archived import (
    ArchivedCourse,
    ArchivedCourseEnrollment,
    ArchiveDetails,
    ArchivedUser,
    CourseEnrollmentDetails,
)

CLIENT = Client("https://acme.example.com", StaticToken("token"))
THEN = datetime(2025, 1, 2, tzinfo=timezone.utc)
MEMBER = PlannedEnrollment(
    row=0,
    user_id=7,
    username="ada",
    enrolled_at=THEN,
    status=EnrollmentStatus.COMPLETED,
    level=EnrollmentLevel.LEARNER,
    completed_at=THEN,
)
ACTIVE = CourseEnrollment(
    user_id=7,
    course_id=1,
    enrolled_at=THEN,
    status=EnrollmentStatus.COMPLETED,
    level=EnrollmentLevel.LEARNER,
)
ANEW = evolve(ACTIVE, enrolled_at=THEN + timedelta(days=1))
RECORD = ArchivedCourseEnrollment(
    archiving=ArchiveDetails(record_id=5, archived_at=THEN),
    user=ArchivedUser(user_id=7),
    course=ArchivedCourse(course_id=1),
    enrollment=CourseEnrollmentDetails(
        enrolled_at=THEN, status=EnrollmentStatus.COMPLETED, completed_at=THEN
    ),
)
CHUNK = Chunk(
    chunk_id="c", target=PlannedTarget(kind="course", target_id=1), members=(MEMBER,), read_at=THEN
)


def _found(**read: Any) -> Finding:
    return Finding(member=MEMBER, mode=ArchiveMode.UNENROLL, **read)


def _submission(**state: Any) -> Submission:
    state = {"in_doubt": False, **state}
    return Submission(chunk=CHUNK, members=(MEMBER,), sent_at=THEN, **state)


@pytest.mark.parametrize("problem", [None, "job 1 has not ended"])
@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize(
    ("record", "active", "code"),
    [
        (RECORD, None, "archived"),
        (RECORD, ANEW, "archived"),
        (RECORD, ACTIVE, "still_enrolled"),
        (None, None, "not_seen"),
        (None, ANEW, "not_seen"),
    ],
)
def test_what_is_read_decides_whatever_was_answered(
    record: ArchivedCourseEnrollment | None,
    active: CourseEnrollment | None,
    code: str,
    *,
    in_doubt: bool,
    problem: str | None,
) -> None:
    """A record proves it archived; gone without a record is not seen; never is either sent."""
    found = _found(record=record, active=active)
    if found.enrolled_meanwhile and problem:
        code = "job_not_ended"  # what was enrolled again may be taken by the job as well
    decided = verdict(
        found, _submission(in_doubt=in_doubt, problem=problem), reset=False, tries=1, now=THEN
    )
    assert decided is not None
    assert decided[0] == code


@pytest.mark.parametrize(
    ("state", "tries", "code"),
    [
        ({}, 1, "not_archived"),
        ({"job_id": "h"}, 1, "not_archived"),
        ({"problem": "job h has not ended"}, 1, "job_not_ended"),
        ({"problem": "job h has not ended", "in_doubt": True}, 1, "job_not_ended"),
        ({"in_doubt": True}, 1, None),
        ({"in_doubt": True}, SENDS - 1, None),
        ({"in_doubt": True}, SENDS, "no_answer"),
    ],
)
def test_what_is_still_active_depends_on_the_answer(
    state: dict[str, Any], tries: int, code: str | None
) -> None:
    """Only a lost answer, with nothing left running, may be sent again, three times in all."""
    decided = verdict(
        _found(record=None, active=ACTIVE), _submission(**state), reset=False, tries=tries, now=THEN
    )
    assert (decided and decided[0]) == code


def test_where_anything_new_was_archived_nothing_is_sent_again() -> None:
    """A new record of the user, whatever its identity, is a reason to look first."""
    found = _found(record=None, active=ACTIVE, others=(RECORD,))
    decided = verdict(found, _submission(in_doubt=True), reset=False, tries=1, now=THEN)
    assert decided is not None
    assert CODES[decided[0]] == "unknown"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (ACTIVE, None),
        (None, "no longer enrolled"),
        (ANEW, "enrolled again"),
        (evolve(ACTIVE, enrolled_at=None), "enrolled again"),
        (evolve(ACTIVE, status=EnrollmentStatus.ENROLLED), "now enrolled"),
        (evolve(ACTIVE, status=None), "now None"),
        (evolve(ACTIVE, level=EnrollmentLevel.TUTOR), "as tutor"),
        (evolve(ACTIVE, score=3.0), None),
    ],
)
def test_what_counts_as_changed(now: CourseEnrollment | None, said: str | None) -> None:
    """Identity, state and level; a score does not matter."""
    why = change(MEMBER, now)
    assert why is None if said is None else said in str(why)


def _outcome(code: OutcomeCode) -> Outcome:
    return Outcome(kind=CODES[code], code=code, reason="because", user="ada")


def test_when_a_canary_has_failed() -> None:
    """Everything but archived, and an alarm whatever its outcome; nothing sent is no failure."""
    alarm = RunStoppedError("more than asked")
    assert canary_failed(CLIENT, [], None) is None
    assert canary_failed(CLIENT, [], alarm) is None
    assert canary_failed(CLIENT, [_outcome("archived")], None) is None
    for outcomes, stop in (
        ([_outcome("archived")], alarm),
        ([_outcome("still_enrolled")], None),
        ([_outcome("archived"), _outcome("not_seen")], None),
    ):
        error = canary_failed(CLIENT, outcomes, stop)
        assert isinstance(error, CanaryFailedError)
        assert "ada" in str(error)
        assert ("more than asked" in str(error)) == (stop is alarm)


def test_when_a_first_chunk_has_failed() -> None:
    """Only where nothing at all of it was archived."""
    assert chunk_failed(CLIENT, []) is None
    assert chunk_failed(CLIENT, [_outcome("not_archived"), _outcome("archived")]) is None
    error = chunk_failed(CLIENT, [_outcome("not_archived")] * 3)
    assert isinstance(error, RunStoppedError)
    assert error.seen == ("because",)


@pytest.mark.parametrize("failed", [partial(canary_failed, alarm=None), chunk_failed])
def test_an_outage_says_nothing_of_the_contract(failed: Callable[..., Any]) -> None:
    """Rows of which no call was answered stop the job as an outage does: try again later."""
    error = failed(CLIENT, [_outcome("no_answer")])
    assert isinstance(error, PlatformUnavailableError)
    assert str(error).startswith("PUT /learn/v1/enrollments: ada in")


def test_differences_name_what_disagrees() -> None:
    """Status and dates are compared; a level or score that the record lacks tells nothing."""
    assert _found(record=RECORD, active=None).differences == ()
    frozen = evolve(RECORD.enrollment, status="odd", completed_at=None, score=3.0)
    other = evolve(RECORD, enrollment=frozen)
    found = _found(record=other, active=None, others=(RECORD,))
    assert [text.split(":")[0] for text in found.differences] == [
        "also archived",
        "status",
        "completed_at",
        "score",
    ]
    assert _found(record=None, active=None).differences == ()
