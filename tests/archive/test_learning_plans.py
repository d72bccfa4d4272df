"""Whole jobs on learning plans: what is archived, in how many calls, and where plans are not."""

from datetime import timedelta
from typing import Any

import pytest
from archive_tools import MakeCsv, from_csv, interrupt
from plan_tools import (
    AGAIN,
    UNENROLL,
    check,
    date_of,
    done,
    job,
    load_plans,
    of_many,
    plan,
    records_of,
    rows,
    run_mortally,
    sent,
)
from virtual_time import Harness

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    InvalidInputError,
    Limits,
    resume,
)
from lms_archive.errors import PermissionDeniedError, TooManyAffectedError
from lms_archive.records import EnrollmentStatus

TRACKED = "SELECT course_id, user_id FROM tracking ORDER BY 1, 2"


@pytest.mark.parametrize("reset", [False, True])
def test_a_plan_is_archived_with_its_courses(harness: Harness, *, reset: bool) -> None:
    """Archive and unenroll takes plan and courses; the tracking is kept unless it is reset."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    result = harness.apply(plan(harness, 50, reset_tracking=reset))
    check(harness, result, archived=3)
    for outcome in result.outcomes:
        assert [(c.course_id, c.status) for c in outcome.courses] == [
            (1, "archived"),
            (2, "archived"),
        ]
        assert isinstance(outcome.record, ArchivedLearningPlanEnrollment)
        assert outcome.record.learning_plan.courses == (1, 2)
        assert outcome.record.learning_plan.credits == 2.5
        assert outcome.record.learning_plan.status is EnrollmentStatus.COMPLETED
    assert harness.active == {(3, user) for user in (1001, 1002, 1003)}
    assert len(harness.sql("SELECT 1 FROM learning_plan_enrollments")) == 3
    both = [(course, user) for course in (1, 2) for user in (1001, 1002, 1003)]
    assert harness.sql(TRACKED) == ([] if reset else both)
    assert len(result.incomplete) == 0


def _load_courses(harness: Harness, *courses: int) -> None:
    users = [user for (user,) in harness.sql("SELECT user_id FROM users")]
    harness.sandbox.load(
        courses=[{"code": f"C{course}", "id_course": course} for course in courses],
        enrollments=[done(user_id=u, id_course=course) for course in courses for u in users],
    )


def test_courses_and_plans_in_one_file(harness: Harness, make_csv: MakeCsv) -> None:
    """One target a row: a course row, a plan row, one that names both, one that names none."""
    load_plans(harness, {50: [1, 2]})
    _load_courses(harness, 7)
    path = make_csv(
        "learning_plan_code,course_code,username\nP50,,u1001\n,C7,u1002\nP50,C7,u1003\n,,u1003\n"
    )
    planned = from_csv(path).plan(harness.client)
    assert [(outcome.line, outcome.code) for outcome in planned.skipped] == [
        (4, "bad_row"),
        (5, "bad_row"),
    ]
    assert planned.skipped[0].reason == (
        "the row names course 'C7' and learning plan 'P50': give one target in a row"
    )
    result = harness.apply(planned)
    assert result.counts == {"archived": 2, "skipped": 2, "failed": 0, "unknown": 0}
    kinds = [type(outcome.record) for outcome in result.archived]
    assert kinds == [ArchivedLearningPlanEnrollment, ArchivedCourseEnrollment]
    assert records_of(harness, "learning_plan_id", 50, 1001)
    assert records_of(harness, "course_id", 7, 1002)
    assert date_of(harness, "course_id", 7, 1003)


def test_a_mixed_result_as_tables(harness: Harness, make_csv: MakeCsv) -> None:
    """Both kinds of record stand in one CSV and one frame, and come whole out of the ledger."""
    load_plans(harness, {50: [1, 2]}, users=2)
    _load_courses(harness, 7)
    result = harness.apply(plan(harness, 50, courses=[7]))
    check(harness, result, archived=4)
    assert list(ArchiveResult(harness.ledger).outcomes) == list(result.outcomes)
    frame = result.to_pandas()
    assert frame["outcome_target_id"].tolist() == [50, 50, 7, 7]
    assert frame["outcome_record_id"].tolist() == [
        outcome.record.archiving.record_id for outcome in result.outcomes if outcome.record
    ]
    path = make_csv("")
    result.to_csv(path)
    again = from_csv(path).plan(harness.client)
    assert again.counts["skipped"] == 4


def test_a_course_row_archived_with_a_plan_names_the_line(
    harness: Harness, make_csv: MakeCsv
) -> None:
    """A course row of a user whose plan is archived is archived with it; that of another is not."""
    load_plans(harness, {50: [1, 2]})
    path = make_csv("course_id,learning_plan_id,user_id\n1,,1001\n,50,1001\n2,,1002\n")
    planned = from_csv(path).plan(harness.client)
    with_plan, in_plan = planned.skipped
    assert (with_plan.line, with_plan.code) == (2, "archived_with_learning_plan")
    assert "line 3" in with_plan.reason
    assert "P50" in with_plan.reason
    assert (in_plan.line, in_plan.code) == (4, "in_learning_plan")
    assert "P50" in in_plan.reason
    assert "archive the plan" in in_plan.reason
    result = harness.apply(planned)
    assert result.counts == {"archived": 1, "skipped": 2, "failed": 0, "unknown": 0}
    assert records_of(harness, "course_id", 1, 1001)
    assert date_of(harness, "course_id", 2, 1002)


def test_a_course_row_whose_plan_row_is_skipped(harness: Harness) -> None:
    """Where the plan row does not go, its course row is one of a course in a plan."""
    load_plans(harness, {50: [1, 2]})
    harness.change("UPDATE learning_plan_enrollments SET enrollment_status = 'in_progress'")
    planned = plan(harness, 50, courses=[1])
    codes = [outcome.code for outcome in planned.skipped]
    assert codes == ["not_enrolled"] * 3 + ["in_learning_plan"] * 3
    assert not planned.chunks


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_course_of_a_plan_can_only_be_re_enrolled(harness: Harness, mode: str) -> None:
    """Docebo's pages: archive and re-enroll of such a course, never archive and unenroll."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, courses=[1], mode=mode)
    result = harness.apply(planned)
    if mode == "unenroll":
        check(harness, result, skipped=3)
        assert {outcome.code for outcome in result.skipped} == {"in_learning_plan"}
    else:
        check(harness, result, again=True, archived=3)


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ({"learning_plan_id": 99}, "unknown_learning_plan", "learning plan 99"),
        ({"learning_plan_code": "P99"}, "unknown_learning_plan", "'P99'"),
        ({"learning_plan_code": "p50"}, "unknown_learning_plan", "only in case"),
        ({"learning_plan_code": "TWIN"}, "ambiguous_learning_plan", "ids 70, 71"),
        ({"learning_plan_id": 60, "learning_plan_code": "P50"}, "disagree", "correct one"),
        (
            {"learning_plan_id": 71, "learning_plan_code": "TWIN"},
            "not_enrolled",
            "no completed enrollment found",
        ),
    ],
)
def test_a_plan_that_cannot_be_identified(
    harness: Harness, row: dict[str, object], code: str, words: str
) -> None:
    """Unknown, ambiguous, or at odds with itself: skipped with the reason, nothing is guessed."""
    load_plans(harness, {50: [1], 60: [2]})
    harness.sandbox.load(
        learning_plans=[{"learning_plan_id": i, "code": "TWIN", "courses": "C1"} for i in (70, 71)]
    )
    planned = ArchiveJob.from_rows([{**row, "user_id": 1001}], **UNENROLL).plan(harness.client)
    assert [outcome.code for outcome in planned.skipped] == [code]
    assert words in planned.skipped[0].reason


def test_a_plan_without_courses(harness: Harness) -> None:
    """No course is archived, and the plan's own enrollments are archived."""
    load_plans(harness, {50: [1]})
    harness.sandbox.change_learning_plan(50, courses=[])
    planned = plan(harness, 50)
    result = harness.apply(planned, max_affected=3)
    check(harness, result, archived=3)
    assert {outcome.courses for outcome in result.outcomes} == {()}
    assert {course for course, _ in harness.active} == {1}


def test_max_affected_counts_the_courses(harness: Harness) -> None:
    """Three rows of a plan of two courses are nine enrollments."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    with pytest.raises(TooManyAffectedError) as caught:
        harness.apply(planned, max_affected=8)
    assert caught.value.affected == 9
    assert sent(harness) == []
    check(harness, harness.apply(planned, max_affected=9), archived=3)


def test_notifications_are_announced(harness: Harness) -> None:
    """The warning counts one event an enrollment, courses of plans too: as many as were set."""
    load_plans(harness, {50: [1, 2]}, users=4)
    planned = plan(harness, 50)
    assert any("up to 12 notifications" in text for text in planned.warnings)
    harness.apply(planned)
    assert harness.sandbox.notifications == 12


@pytest.mark.parametrize("role", ["power_user", "power_user_without"])
def test_power_users_are_refused_and_a_superadmin_finishes(harness: Harness, role: str) -> None:
    """403 on a plan is reported with the reason; nothing counts as sent, and resume goes on."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    words = "Power Users cannot archive learning plan"
    with pytest.raises(PermissionDeniedError, match=words) as caught:
        planned.apply(harness.connect(role), ledger=harness.ledger)
    assert caught.value.ledger == harness.ledger
    assert harness.archived == {}
    check(harness, resume(harness.ledger, harness.client), archived=3)


LOST = [
    ("cut_before", {}, False),
    ("cut_after", {}, True),
    ("error_after", {"status": 500}, True),
    ("503", {}, False),
    ("slow", {"seconds": 61}, True),
]


@pytest.mark.parametrize(("after", "mode"), [(0, "re-enroll"), (1, "unenroll"), (2, "re-enroll")])
@pytest.mark.parametrize(("kind", "details", "worked"), LOST)
def test_a_lost_answer_of_a_plan(
    harness: Harness, kind: str, details: dict[str, Any], after: int, mode: str, *, worked: bool
) -> None:
    """Canary, first chunk, another plan: nothing is archived twice, and nothing is lost."""
    load_plans(harness, {50: [1, 2], 60: [3]})
    planned = plan(harness, 50, 60, mode=mode)
    harness.sandbox.faults.add(kind, method="PUT", after=after, **details)
    result = harness.apply(planned)
    check(harness, result, again=mode == "re-enroll", archived=6)
    assert len(sent(harness)) == (3 if worked else 4)
    assert len(result.incomplete) == 0


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
def test_a_half_failed_plan_job(harness: Harness, mode: str) -> None:
    """Rows that the job left are failed, with their courses; the others are archived."""
    load_plans(harness, {50: [1, 2]}, users=6)
    planned = plan(harness, 50, mode=mode)
    harness.sandbox.faults.add("job_partial", every=2)
    result = harness.apply(planned)
    check(harness, result, again=mode == "re-enroll", archived=4, failed=2)
    for outcome in result.failed:
        assert {course.status for course in outcome.courses} == {"not_archived"}


@pytest.mark.parametrize(
    ("at", "mode", "before"),
    [(at, "re-enroll", True) for at in range(1, 17)]
    + [(at, "unenroll", False) for at in range(1, 17, 4)],
)
def test_death_at_any_commit_of_a_plan_job(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, at: int, mode: str, *, before: bool
) -> None:
    """Killed around each commit of a job of plans and courses, and resumed: all is once."""
    load_plans(harness, {50: [1], 60: [3]}, users=4)
    client = harness.connect(limits=Limits(hand_picked=2))
    planned = job(harness, 50, 60, mode=mode).plan(client)
    run_mortally(
        monkeypatch, at, lambda: planned.apply(client, ledger=harness.ledger), before=before
    )
    result = resume(harness.ledger, client) if harness.ledger.exists() else harness.apply(planned)
    check(harness, result, again=mode == "re-enroll", archived=8)
    assert len(result.incomplete) == 0


@pytest.mark.parametrize("mode", ["unenroll", "re-enroll"])
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_plan_write(harness: Harness, mode: str, *, after: bool) -> None:
    """Ctrl-C around the call for many: the ledger resumes, nothing goes twice."""
    load_plans(harness, {50: [1, 2]}, users=4)
    planned = plan(harness, 50, mode=mode)
    harness.line.once(of_many, interrupt, after=after)
    with pytest.raises(KeyboardInterrupt):
        harness.apply(planned)
    check(harness, resume(harness.ledger, harness.client), again=mode == "re-enroll", archived=4)


def test_a_saved_plan_of_plans_is_the_same(harness: Harness) -> None:
    """Saved and loaded, it has the same digest and does the same; its courses count in it."""
    load_plans(harness, {50: [1, 2]})
    planned = plan(harness, 50)
    path = harness.folder / "plan.json"
    planned.save(path)
    loaded = ArchivePlan.load(path)
    assert loaded.digest == planned.digest == plan(harness, 50).digest
    assert loaded.chunks == planned.chunks
    harness.time.sleep(timedelta(hours=2).total_seconds())
    check(harness, harness.apply(loaded), archived=3)


def test_the_printed_plan_tells_of_plans(harness: Harness) -> None:
    """The dry run counts courses of plans, and says what a plan's record will not hold."""
    load_plans(harness, {50: [1, 2]})
    text = str(plan(harness, 50, reset_tracking=True))
    assert "3 enrollments in 1 learning plan of" in text
    assert "Up to 6 enrollments in courses of the learning plan will be archived as well." in text
    assert "RESET" in text
    assert "does not contain scores, time spent or progress" in text
    assert "Plan 50" in text


@pytest.mark.parametrize(("plans", "cheaper"), [(2, "learning_plan_courses"), (9, "get_course")])
def test_who_holds_a_course_is_asked_the_cheaper_way(
    harness: Harness, plans: int, cheaper: str
) -> None:
    """One call a course where there are many plans, one a plan where there are few."""
    load_plans(harness, {50 + i: [1 + i, 20 + i, 40 + i] for i in range(plans)}, users=1)
    before = len(harness.operations)
    assert plan(harness, 50).counts["to_archive"] == 1
    made = harness.operations[before:]
    assert made.count(cheaper) == {2: 2, 9: 3}[plans]
    assert ("get_course" in made) == (cheaper == "get_course")


def test_no_plan_no_question(harness: Harness) -> None:
    """Where the platform has no plans, one listing says so and no course is asked for."""
    harness.load(3, 3)
    harness.plan()
    assert harness.operations.count("list_learning_plans") == 1
    assert not {"get_course", "learning_plan_courses"} & set(harness.operations)


def test_overlapping_targets_never_have_two_jobs(harness: Harness) -> None:
    """No two jobs are open on a plan and a course of it, nor on two plans sharing a course."""
    load_plans(harness, {50: [1, 2], 60: [2, 3], 70: [4]}, users=6)
    harness.change("DELETE FROM learning_plan_enrollments WHERE user_id >= 1004")
    asked = rows([1001, 1002, 1003], plans=[50, 60, 70])
    asked += rows([1004, 1005, 1006], courses=[1, 2, 4])
    client = harness.connect(limits=Limits(hand_picked=2))
    planned = ArchiveJob.from_rows(asked, **AGAIN).plan(client, on_shared="allow")
    open_: list[set[int]] = []
    held = {50: {1, 2}, 60: {2, 3}, 70: {4}}

    def look() -> None:
        found = harness.sql(
            "SELECT DISTINCT job_number, learning_plan_id, r.course_id FROM job_rows r "
            "JOIN jobs ON number = job_number WHERE status IN ('queued', 'running')"
        )
        areas = [{course} if plan_id is None else held[plan_id] for _, plan_id, course in found]
        assert sum(map(len, areas)) == len(set().union(*areas))
        open_.append({number for number, _, _ in found})

    harness.line.after.append(lambda exchange: look() if exchange.is_write else None)
    result = planned.apply(client, ledger=harness.ledger)
    assert result.counts["archived"] == planned.counts["to_archive"] == 18
    assert max(map(len, open_)) >= 2
    assert all(len(users) <= 2 for _, _, users in sent(harness))


def test_a_plan_of_nobody(harness: Harness) -> None:
    """A plan without enrollments: the row is skipped, and all of it is an empty plan."""
    load_plans(harness, {50: [1]})
    harness.change("DELETE FROM learning_plan_enrollments")
    assert {outcome.code for outcome in plan(harness, 50).skipped} == {"not_enrolled"}
    empty = ArchiveJob.for_learning_plan(50, **UNENROLL).all_enrollments().plan(harness.client)
    assert empty.counts == {"rows": 0, "to_archive": 0, "skipped": 0, "chunks": 0}
    assert any("nothing to archive" in text for text in empty.warnings)
    with pytest.raises(InvalidInputError, match="P99"):
        ArchiveJob.for_learning_plan("P99", **UNENROLL).all_enrollments().plan(harness.client)
