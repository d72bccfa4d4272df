"""Reading back: the archived list is the truth, and it may be late, or somebody else's."""

import pytest
from plan_tools import of_many
from virtual_time import ENROLLED_AT, Exchange, Harness

from lms_archive import ArchiveResult, Contract, Limits, RunStoppedError, resume
from lms_archive.errors import JobTimeoutError, UnexpectedArchiveError

RECORD = (
    "INSERT INTO archived_enrollments (archived_at, archived_by, user_id, username, course_id, "
    "course_name, course_code, course_uid, course_type, enrollment_status, enrollment_level, "
    "enrollment_time_spent, user_is_active, user_is_suspended, user_level, enrollment_created_at) "
    "VALUES (?, 1, ?, 'x', 1, 'C1', 'C1', 'E', 'elearning', 'completed', 'student', 0, 1, 0, "
    "'user', ?)"
)


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
    assert {outcome.user for outcome in result.failed} == left
    assert {outcome.code for outcome in result.failed} == {"not_archived"}


def test_undated_enrollments_are_archived(harness: Harness) -> None:
    """Without an enrollment date: gone, and exactly one new record of the user."""
    harness.load(4, dated=False)
    result = harness.apply()
    harness.check(result, archived=4)
    assert [record.enrollment.enrolled_at for record in result.records] == [None] * 4


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
    assert {outcome.user for outcome in result.failed} == {1003, 1005}


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
    assert {outcome.user: outcome.code for outcome in result.outcomes} == {
        1001: "archived",
        1002: "archived",
        1003: "not_archived",
        1004: "archived",
        1005: "not_archived",
    }


@pytest.mark.parametrize(
    ("enrolled_at", "is_left", "code", "is_reported"),
    [
        pytest.param(ENROLLED_AT, True, "still_enrolled", False, id="of the one that stays"),
        pytest.param(
            "2020-01-01 00:00:00",
            True,
            "not_archived",
            True,
            id="of another than the one that stays",
        ),
        pytest.param("2026-03-01 12:00:05", False, "archived", True, id="of a later one"),
        pytest.param(None, False, "not_seen", True, id="of which one cannot be told"),
    ],
)
def test_a_record_that_appears_while_the_job_runs(
    harness: Harness, enrolled_at: str | None, code: str, *, is_left: bool, is_reported: bool
) -> None:
    """The identity is the date, not the user alone; what was not asked for stops the job once."""
    harness.load(5, dated=enrolled_at is not None)
    plan = harness.plan()
    harness.line.once(
        of_many,
        lambda: harness.change(RECORD, "2026-03-01 12:00:30", 1003, enrolled_at),
        after=True,
    )
    if is_left:
        harness.sandbox.faults.add("job_partial", every=2)
    if is_reported:
        with pytest.raises(UnexpectedArchiveError, match="user 1003"):
            harness.apply(plan)
    result = harness.apply(plan)
    assert {outcome.user: outcome.code for outcome in result.outcomes} == {
        1001: "archived",
        1002: "archived",
        1003: code,
        1004: "archived",
        1005: "not_archived" if is_left else "archived",
    }
    incomplete = [outcome.user for outcome in result.incomplete]
    assert incomplete == ([1003] if code in ("still_enrolled", "archived") else [])
    if code == "archived":
        assert "also archived" in result.incomplete[0].differences[0]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("score", 12, "score: read as 88.0, archived as 12.0"),
        ("status", "in_progress", "status: read as completed, archived as in_progress"),
        (
            "completion_date",
            "2025-03-04 05:06:07",
            (
                "completed_at: read as 2025-02-03 04:05:06+00:00, "
                "archived as 2025-03-04 05:06:07+00:00"
            ),
        ),
    ],
)
def test_differences_between_record_and_pre_image_are_told(
    harness: Harness, column: str, value: object, text: str
) -> None:
    """What was archived differs from what was read: archived, and incomplete."""
    harness.load(4)
    plan = harness.plan()
    harness.change(f"UPDATE enrollments SET enrollment_{column} = ? WHERE user_id = 1002", value)
    result = harness.apply(plan)
    harness.check(result, archived=4)
    (outcome,) = result.incomplete
    assert (outcome.user, outcome.differences) == (1002, (text,))


def test_many_targets_are_read_back_once_each(harness: Harness) -> None:
    """After the first chunk, each costs a page of its archived list; the active ones share one."""
    harness.load(*[5] * 6)
    result = harness.apply()
    preflight, canary, first_chunk = 1, 1, 1
    assert result.calls["archived_course_enrollments"] == preflight + canary + first_chunk + 5
    assert result.calls["course_enrollments"] == canary + first_chunk
    assert result.calls["all_course_enrollments"] == 1


def test_an_answer_that_says_nothing_is_read_back_all_the_same(harness: Harness) -> None:
    """A 2xx is a hint, no more: after one without content, what is still active has failed."""
    harness.load(6, 2)
    harness.sandbox.faults.add("status", status=204, method="PUT", after=2)
    result = harness.apply()
    harness.check(result, archived=6, failed=2)
    assert {outcome.code for outcome in result.failed} == {"not_archived"}


def test_chunks_beside_a_job_that_was_given_up_have_their_outcomes(harness: Harness) -> None:
    """Of several chunks of a target only the rows of the job that hangs are unknown."""
    harness.load(9)
    client = harness.connect(limits=Limits(hand_picked=3))
    plan = harness.job().plan(client)
    harness.line.once(
        lambda exchange: exchange.is_write and 1007 in exchange.body["user_id"],
        harness.hang_jobs,
        after=True,
    )
    with pytest.raises(JobTimeoutError):
        plan.apply(client, ledger=harness.ledger)
    result = ArchiveResult(harness.ledger)
    harness.check(result, archived=6, unknown=3)
    assert [outcome.user for outcome in result.unknown] == [1007, 1008, 1009]
    harness.end_jobs()
    harness.check(resume(harness.ledger, client), archived=9)
