"""Reading back: the archived list is the truth, and it may be late, or somebody else's."""

import pytest
from virtual_time import Exchange, Harness

from lms_archive import ArchiveResult, Contract, Limits, RunStoppedError, resume
from lms_archive.errors import JobTimeoutError, UnexpectedArchiveError

RECORD = (
    "INSERT INTO archived_enrollments (archived_at, archived_by, user_id, username, course_id, "
    "course_name, course_code, course_uid, course_type, enrollment_status, enrollment_level, "
    "enrollment_time_spent, user_is_active, user_is_suspended, user_level, enrollment_created_at) "
    "VALUES (?, 1, ?, 'x', 1, 'C1', 'C1', 'E', 'elearning', 'completed', 'student', 0, 1, 0, "
    "'user', ?)"
)


def _of_many(exchange: Exchange) -> bool:
    return exchange.is_write and len(exchange.body["user_id"]) > 1


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_list_that_lags_for_less_than_a_minute_is_waited_for(
    harness: Harness, after: int
) -> None:
    """Records that show up 50 s late are found, for the canary and for chunks."""
    harness.load(3, 3)
    harness.sandbox.faults.add("archived_lag", seconds=50, method="PUT", after=after)
    harness.check(harness.apply(), archived=6)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_list_that_lags_for_longer_is_unknown_until_resumed(harness: Harness, after: int) -> None:
    """Unenrolled and no record for a minute: the job stops; resume finds the records."""
    harness.load(3, 3)
    harness.sandbox.faults.add("archived_lag", seconds=600, method="PUT", after=after)
    with pytest.raises(RunStoppedError, match="no archived record") as caught:
        harness.apply()
    assert caught.value.counts["failed"] == 0
    assert caught.value.counts["unknown"] > 0
    harness.time.sleep(600)
    harness.check(resume(harness.ledger, harness.client), archived=6)
    assert max(harness.archived.values()) == 1


@pytest.mark.parametrize("kind", ["job_partial", "job_aborted"])
def test_exactly_the_rows_that_a_job_left_are_failed(harness: Harness, kind: str) -> None:
    """A half-failed or aborted job names no rows: reading back finds them."""
    harness.load(9)
    details = {"every": 3} if kind == "job_partial" else {"fraction": 0.5}
    harness.sandbox.faults.add(kind, **details)
    result = harness.apply()
    left = {user for _, user in harness.active}
    assert left == ({1004, 1007} if kind == "job_partial" else {1006, 1007, 1008, 1009})
    harness.check(result, archived=9 - len(left), failed=len(left))
    assert {one.user for one in result.failed} == left
    assert {one.code for one in result.failed} == {"not_archived"}


def test_failed_rows_are_valid_input_again(harness: Harness) -> None:
    """What failed is written as CSV, planned again, and archived."""
    harness.load(9)
    harness.sandbox.faults.add("job_partial", every=2)
    harness.apply().failed.to_csv(harness.folder / "again.csv")
    job = type(harness.job(users=[1])).from_csv(
        harness.folder / "again.csv", mode="unenroll", reset_tracking=False
    )
    result = job.plan(harness.client).apply(harness.client, ledger=harness.folder / "again.sqlite")
    assert result.counts == {"archived": 4, "skipped": 0, "failed": 0, "unknown": 0}
    assert not harness.active


def test_undated_enrollments_are_archived(harness: Harness) -> None:
    """Without an enrollment date: gone, and exactly one new record of the user."""
    harness.load(4, dated=False)
    result = harness.apply()
    harness.check(result, archived=4)
    assert [one.enrollment.enrolled_at for one in result.records] == [None] * 4


def test_an_undated_enrollment_with_two_new_records_is_unknown(harness: Harness) -> None:
    """Which of two new records is that of an undated enrollment cannot be told."""
    harness.load(4, dated=False)
    plan = harness.plan()
    harness.line.once(
        _of_many, lambda: harness.change(RECORD, "2026-03-01 12:00:30", 1003, None), after=True
    )
    with pytest.raises(UnexpectedArchiveError, match="user 1003"):
        harness.apply(plan)
    result = resume(harness.ledger, harness.client)
    assert [(one.user, one.code) for one in result.unknown] == [(1003, "not_seen")]
    assert result.counts["archived"] == 3


def test_an_undated_enrollment_that_came_back_is_not_sent_again(harness: Harness) -> None:
    """Archived by a call whose answer was lost and enrolled again, undated: it looks as before.

    Only the new record tells; sending it again would archive twice.
    """
    harness.load(4, dated=False)
    plan = harness.plan()
    harness.sandbox.faults.add("cut_after", method="PUT")

    def back(exchange: Exchange) -> None:
        if exchange.path.endswith("/archived") and not harness.archived[1, 1002]:
            harness.change(
                "INSERT OR IGNORE INTO enrollments (course_id, user_id, enrollment_status, "
                "enrollment_level, enrollment_time_spent) "
                "VALUES (1, 1001, 'completed', 'student', 0)"
            )

    harness.line.before.append(back)
    with pytest.raises(RunStoppedError):
        harness.apply(plan)
    harness.line.before.clear()
    assert harness.archived[1, 1001] == 1
    result = resume(harness.ledger, harness.client)
    assert harness.archived[1, 1001] == 1
    assert result.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 1}


def test_a_record_from_before_the_reading_proves_nothing(harness: Harness) -> None:
    """A record of the same identity, archived long before, is not ours: the row is failed."""
    harness.load(5)
    harness.change(RECORD, "2025-06-01 00:00:00", 1003, "2025-01-02 03:04:05")
    harness.sandbox.faults.add("job_partial", every=2)
    result = harness.apply()
    assert {one.user for one in result.failed} == {1003, 1005}


def test_filters_that_the_platform_ignores_change_nothing(harness: Harness) -> None:
    """Every record and enrollment that comes is looked at: by user, and by when it was archived."""
    harness.load(9)
    harness.change(RECORD, "2025-06-01 00:00:00", 1003, "2025-01-02 03:04:05")
    contract = Contract.default()
    for name in ("archived_course_enrollments", "course_enrollments"):
        contract = contract.with_operation(name, params={"user_ids": "ignored[]"})
    contract = contract.with_operation(
        "archived_course_enrollments", params={"archived_from": "ignored"}
    )
    client = harness.connect(contract=contract)
    plan = harness.job(1, users=range(1001, 1006)).plan(client)
    harness.time.sleep(3600)
    harness.sandbox.faults.add("job_partial", every=2)
    result = plan.apply(client, ledger=harness.ledger)
    assert {one.user: one.code for one in result.outcomes} == {
        1001: "archived",
        1002: "archived",
        1003: "not_archived",
        1004: "archived",
        1005: "not_archived",
    }


def test_a_record_beside_an_enrollment_that_stays_is_still_enrolled(harness: Harness) -> None:
    """Archived, but not unenrolled: told as archived, and incomplete."""
    harness.load(5)
    plan = harness.plan()
    harness.line.once(
        _of_many,
        lambda: harness.change(RECORD, "2026-03-01 12:00:30", 1003, "2025-01-02 03:04:05"),
        after=True,
    )
    harness.sandbox.faults.add("job_partial", every=2)
    result = harness.apply(plan)
    assert {one.user: one.code for one in result.outcomes} == {
        1001: "archived",
        1002: "archived",
        1003: "still_enrolled",
        1004: "archived",
        1005: "not_archived",
    }
    assert [one.user for one in result.incomplete] == [1003]


def test_the_identity_is_the_date_not_the_user_alone(harness: Harness) -> None:
    """Someone else's archive of the user's other enrollment is not taken for ours."""
    harness.load(5)
    plan = harness.plan()
    harness.line.once(
        _of_many,
        lambda: harness.change(RECORD, "2026-03-01 12:00:30", 1003, "2020-01-01 00:00:00"),
        after=True,
    )
    harness.sandbox.faults.add("job_partial", every=2)
    with pytest.raises(UnexpectedArchiveError, match="user 1003"):
        harness.apply(plan)
    result = resume(harness.ledger, harness.client)
    assert {one.user: one.code for one in result.failed} == {
        1003: "not_archived",
        1005: "not_archived",
    }


def test_differences_between_record_and_pre_image_are_told(harness: Harness) -> None:
    """What was archived differs from what was read: archived, and incomplete."""
    harness.load(4)
    plan = harness.plan()
    harness.change("UPDATE enrollments SET enrollment_score = 12 WHERE user_id = 1002")
    result = harness.apply(plan)
    harness.check(result, archived=4)
    (one,) = result.incomplete
    assert one.user == 1002
    assert one.differences == ("score: read as 88.0, archived as 12.0",)


def test_many_targets_are_read_back_once_each(harness: Harness) -> None:
    """After the first chunk, each costs a page of its archived list; the active ones share one."""
    harness.load(*[5] * 6)
    result = harness.apply()
    preflight, canary, first_chunk = 1, 1, 1
    assert result.calls["archived_course_enrollments"] == preflight + canary + first_chunk + 5
    assert result.calls["course_enrollments"] == canary + first_chunk
    assert result.calls["all_course_enrollments"] == 1


def test_an_answer_without_a_job_id_is_waited_for(harness: Harness) -> None:
    """Where the platform calls the job's id otherwise, its jobs are found in the listing."""
    harness.load(6, 4)
    other = Contract.default().with_operation(
        "archive_course_enrollments", answer={"job_id": "data.other_name"}
    )
    client = harness.connect(contract=other)
    harness.sandbox.faults.add("job_late", seconds=40)
    result = harness.job().plan(client).apply(client, ledger=harness.ledger)
    harness.check(result, archived=10)
    assert len(harness.writes) == 3


def test_an_answer_that_says_nothing_is_read_back_all_the_same(harness: Harness) -> None:
    """A 2xx is a hint, no more: after one without content, what is still active has failed."""
    harness.load(6, 2)
    harness.sandbox.faults.add("status", status=204, method="PUT", after=2)
    result = harness.apply()
    harness.check(result, archived=6, failed=2)
    assert {one.code for one in result.failed} == {"not_archived"}


def test_chunks_beside_a_job_that_was_given_up_have_their_outcomes(harness: Harness) -> None:
    """Of several chunks of a target only the rows of the job that hangs are unknown."""
    harness.load(9)
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    harness.line.once(
        lambda one: one.is_write and 1007 in one.body["user_id"], harness.hang_jobs, after=True
    )
    with pytest.raises(JobTimeoutError):
        plan.apply(client, ledger=harness.ledger)
    result = ArchiveResult(harness.ledger)
    harness.check(result, archived=6, unknown=3)
    assert [one.user for one in result.unknown] == [1007, 1008, 1009]
    harness.end_jobs()
    harness.check(resume(harness.ledger, client), archived=9)
