"""From a plan to a job: what it announces, and how old its readings may be."""

import pickle

import pytest
from virtual_time import Exchange, Stage

from lms_archive import ArchiveJob, ArchivePlan, InvalidInputError, Limits, resume

SET, WHERE = "UPDATE enrollments SET", "WHERE user_id = 1002"


@pytest.mark.parametrize(
    "sizes",
    [(1,), (2,), (200,), (201,), (450,), (1, 1, 1), (3, 4, 5), (250, 1, 410), (9,) * 12],
    ids=str,
)
def test_the_plan_announces_its_calls(stage: Stage, sizes: tuple[int, ...]) -> None:
    """`plan.calls` are the calls of an undisturbed `apply`, polls aside."""
    stage.load(*sizes)
    plan = stage.plan()
    made = stage.apply(plan).calls
    assert {name: made[name] for name in made if name != "list_jobs"} == {
        name: count for name, count in plan.calls.items() if name != "list_jobs"
    }


@pytest.mark.parametrize(("size", "asked"), [(450, 5), (450, 220), (450, 449), (900, 390)])
def test_a_part_of_a_target_costs_what_is_announced(stage: Stage, size: int, asked: int) -> None:
    """Where only some of a target's enrollments are archived, the announced calls hold too."""
    stage.load(size)
    plan = stage.plan(1, users=range(1001, 1001 + asked))
    made = stage.apply(plan).calls
    announced, polls = sum(plan.calls.values()), made.pop("list_jobs")
    assert sum(made.values()) == pytest.approx(announced - plan.calls["list_jobs"], rel=0.1)
    assert polls >= plan.calls["list_jobs"]


def test_a_plan_of_nothing_makes_no_call(stage: Stage) -> None:
    """Where every row is skipped, `apply` writes the ledger and asks the platform nothing."""
    stage.load(2)
    plan = stage.plan(1, users=[5, 6])
    calls = len(stage.line.exchanges)
    assert plan.calls == {}
    result = stage.apply(plan)
    stage.check(result, skipped=2)
    assert result.calls == {}
    assert len(stage.line.exchanges) == calls


def test_a_fresh_plan_is_not_read_again(stage: Stage) -> None:
    """Within `freshness` the plan's own reading is good enough for an unenroll."""
    stage.load(3)
    plan = stage.plan()
    stage.time.sleep(899)
    result = stage.apply(plan)
    stage.check(result, archived=3)
    assert result.calls["course_enrollments"] == plan.calls["course_enrollments"]


def _read_before_first_write(stage: Stage, begun: int) -> int:
    calls = stage.operations[begun:]
    before = calls[: calls.index("archive_course_enrollments")]
    return sum(name.endswith("course_enrollments") and name[:4] != "arch" for name in before)


def test_a_stale_plan_is_read_again(stage: Stage) -> None:
    """Beyond `freshness` each chunk is read again, one page of its users, right before it goes."""
    stage.load(3, 3)
    plan = stage.plan()
    stage.time.sleep(901)
    begun = len(stage.operations)
    stage.check(stage.apply(plan), archived=6)
    assert _read_before_first_write(stage, begun) == 1
    users = [value for name, value in stage.sandbox.calls[begun + 2].query if name == "user_id[]"]
    assert users == ["1001", "1002", "1003"]


def test_freshness_is_the_clients_limit(stage: Stage) -> None:
    """`Limits(freshness=0)` reads every chunk again."""
    stage.load(3)
    client = stage.connect(limits=Limits(freshness=0))
    plan = stage.job().plan(client)
    stage.time.sleep(1)
    begun = len(stage.operations)
    plan.apply(client, ledger=stage.ledger)
    assert _read_before_first_write(stage, begun) == 1


def test_a_loaded_plan_is_read_again(stage: Stage) -> None:
    """However young it is: who saved it may have been anywhere."""
    stage.load(3)
    stage.plan().save(stage.folder / "plan.sqlite")
    plan = ArchivePlan.load(stage.folder / "plan.sqlite")
    begun = len(stage.operations)
    stage.check(stage.apply(plan), archived=3)
    assert _read_before_first_write(stage, begun) == 1


def test_a_plan_is_fresh_for_one_apply_only(stage: Stage) -> None:
    """Applied again at once with another ledger, it is read again: nothing goes twice."""
    stage.load(3)
    plan = stage.plan()
    stage.apply(plan)
    again = plan.apply(stage.client, ledger=stage.folder / "second.sqlite")
    assert [one.code for one in again.outcomes] == ["archived_meanwhile"] * 3
    assert len(stage.writes) == 2


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"DELETE FROM enrollments {WHERE}", "no longer enrolled"),
        (f"{SET} enrollment_created_at = '2026-03-01 12:00:00' {WHERE}", "enrolled again"),
        (f"{SET} enrollment_status = 'in_progress' {WHERE}", "now in_progress as learner"),
        (f"{SET} enrollment_level = 'tutor' {WHERE}", "now completed as tutor"),
    ],
)
def test_what_changed_since_the_plan_is_not_sent(stage: Stage, statement: str, said: str) -> None:
    """Unenrolled, enrolled again, or in another state: skipped as changed, and left alone."""
    stage.load(4)
    plan = stage.plan()
    stage.time.sleep(3600)
    stage.change(statement)
    before = stage.sql("SELECT * FROM enrollments WHERE user_id = 1002")
    result = stage.apply(plan)
    stage.check(result, archived=3, skipped=1)
    (one,) = result.skipped
    assert (one.user, one.code) == (1002, "changed")
    assert said in one.reason
    assert stage.sql("SELECT * FROM enrollments WHERE user_id = 1002") == before


def test_a_reading_never_adds_rows(stage: Stage) -> None:
    """Who joined the course after the plan is no part of it, whatever is read again."""
    stage.load(3)
    plan = stage.plan()
    stage.time.sleep(3600)
    stage.sandbox.load(
        users=[{"username": "late", "user_id": 5}],
        enrollments=[{"user_id": 5, "id_course": 1, "enrollment_status": "completed"}],
    )
    stage.check(stage.apply(plan), archived=3)
    assert stage.active == {(1, 5)}


def test_a_stale_chunk_that_changed_altogether_costs_one_call(stage: Stage) -> None:
    """The canary is looked for chunk by chunk, not user by user."""
    stage.load(150, 2)
    plan = stage.plan()
    stage.time.sleep(3600)
    stage.change("DELETE FROM enrollments WHERE course_id = 1")
    begun = len(stage.operations)
    stage.check(stage.apply(plan), archived=2, skipped=150)
    assert _read_before_first_write(stage, begun) == 2


def test_the_clients_clock_tells_no_date(stage: Stage) -> None:
    """A client whose clock begins anywhere at all archives and proves the same."""
    stage.load(3, 3)
    client = stage.connect(ahead=-1e9)
    plan = stage.job().plan(client)
    stage.check(plan.apply(client, ledger=stage.ledger), archived=6)


def test_copies_of_a_client_share_what_was_read(stage: Stage) -> None:
    """A plan that was made with one of them is fresh for the other."""
    stage.load(3)
    plan = stage.plan()
    begun = len(stage.operations)
    result = plan.apply(stage.client.with_options(), ledger=stage.ledger)
    stage.check(result, archived=3)
    assert _read_before_first_write(stage, begun) == 0


def test_a_plan_sent_to_another_process_is_read_again(stage: Stage) -> None:
    """A pickled plan cannot know whether the one that it was made of has been applied."""
    stage.load(3)
    plan = pickle.loads(pickle.dumps(stage.plan()))  # noqa: S301  our own
    begun = len(stage.operations)
    stage.check(stage.apply(plan), archived=3)
    assert _read_before_first_write(stage, begun) == 1


def test_a_plan_of_another_client_is_read_again(stage: Stage) -> None:
    """Only the client that read the enrollments knows that they were not used before."""
    stage.load(3)
    plan = stage.plan()
    begun = len(stage.operations)
    result = plan.apply(stage.connect(ahead=-500.0), ledger=stage.ledger)
    stage.check(result, archived=3)
    assert _read_before_first_write(stage, begun) == 1


def test_a_negative_canary_is_refused(stage: Stage) -> None:
    """How many go alone cannot be fewer than none."""
    stage.load(2)
    plan = stage.plan()
    with pytest.raises(InvalidInputError, match="canary"):
        stage.apply(plan, canary=-1)
    assert not stage.ledger.exists()


def test_waiting_for_the_sign_off_for_days(stage: Stage) -> None:
    """Saved, looked at for a week, loaded in another process, applied and resumed: all once."""
    stage.load(5, 4)
    stage.plan().save(stage.folder / "plan.sqlite")
    stage.time.sleep(7 * 86_400)
    plan = ArchivePlan.load(stage.folder / "plan.sqlite")
    stage.check(stage.apply(plan), archived=9)
    stage.time.sleep(20 * 86_400)
    stage.check(resume(stage.ledger, stage.client), archived=9)


def test_undated_rows_are_fresh_when_they_are_still_undated(stage: Stage) -> None:
    """No date before and no date now is no change; a date now is one."""
    stage.load(3, dated=False)
    plan = stage.plan()
    stage.time.sleep(3600)
    stage.enroll_anew(1, 1002)
    result = stage.apply(plan)
    stage.check(result, archived=2, skipped=1)


def test_skipped_rows_are_in_the_result_at_once(stage: Stage) -> None:
    """What the plan skipped has its outcome before the first call."""
    stage.load(2)
    job = ArchiveJob.from_rows(
        [{"course_id": 1, "user_id": user} for user in (1001, 1001, 77)],
        mode="unenroll",
        reset_tracking=False,
    )
    result = stage.apply(job.plan(stage.client))
    assert [one.code for one in result.outcomes] == ["archived", "duplicate", "not_enrolled"]


def test_small_courses_that_grew_old_are_read_ahead_together(stage: Stage) -> None:
    """One walk for all of them; again where that walk has grown too old as well."""
    stage.load(*[3] * 8)
    plan = stage.plan()
    stage.time.sleep(3600)
    begun = len(stage.operations)

    def slow(exchange: Exchange) -> None:
        if exchange.is_write and exchange.body["course_id"] == [5]:
            stage.time.sleep(1800)

    stage.line.before.append(slow)
    stage.change("DELETE FROM enrollments WHERE course_id = 7 AND user_id = 1002")
    stage.check(stage.apply(plan), archived=23, skipped=1)
    made = stage.operations[begun:]
    # Before the canary, for all; again after half an hour; and the last look.
    assert made.count("all_course_enrollments") == 3
    assert [len(users) for _, users in stage.writes] == [1, 2, 3, 3, 3, 3, 3, 2, 3]
