"""`plan(..., explain=True)`: why there is no enrollment to archive, for each row."""

import pytest
from archive_tools import from_rows
from virtual_time import Harness

from lms_archive import ArchiveResult
from lms_archive.archive import ArchivePlan
from lms_archive.tables.csv import GUARD_HINT


@pytest.fixture
def courses(harness: Harness) -> ArchiveResult:
    """Two courses of four users; 1001 was archived in course 1, 1002 is in progress there."""
    harness.load(4, 2)
    harness.change(
        "UPDATE enrollments SET enrollment_status = 'in_progress' "
        "WHERE course_id = 1 AND user_id = 1002"
    )
    return harness.apply(harness.plan(1, users=[1001]))


def explained(harness: Harness, *users: int | str, course: int = 1) -> ArchivePlan:
    """A plan of these users that says why."""
    rows = [
        {"user_id": "" if isinstance(user, str) else user, "course_id": course}
        | {"username": user if isinstance(user, str) else ""}
        for user in users
    ]
    return from_rows(rows).plan(harness.client, explain=True)


def skips(plan: ArchivePlan) -> list[tuple[str, str, int | None]]:
    """Code, reason and user of each row that is not sent."""
    return [(outcome.code, outcome.reason, outcome.user_id) for outcome in plan.skipped]


@pytest.mark.usefixtures("courses")
@pytest.mark.parametrize("form", ["id", "name"])
def test_each_reason_has_its_code(harness: Harness, form: str) -> None:
    """Archived earlier, another status, not enrolled: by id and by username."""
    users = [user if form == "id" else f"u{user}" for user in (1001, 1002, 1003, 1004)]
    plan = explained(harness, *users)
    assert skips(plan) == [
        (
            "archived_earlier",
            "already archived in C1 on 2026-03-01 12:00:00 UTC, and not enrolled now",
            1001,
        ),
        ("other_status", "the enrollment in C1 is in progress, not completed", 1002),
    ]
    course = "course 2" if form == "id" else "C2"  # by id, nothing was read that has its code
    reason = f"not enrolled in {course}, and has no archived enrollment there"
    assert skips(explained(harness, users[2], course=2)) == [("not_enrolled", reason, 1003)]


@pytest.mark.usefixtures("courses")
def test_an_unknown_user_is_distinguished_from_one_who_is_not_enrolled(harness: Harness) -> None:
    """The platform has no such id, or no such name."""
    assert skips(explained(harness, 5, "nobody")) == [
        ("unknown_user", "there is no user 5 on the platform", None),
        ("unknown_user", "no user has the username 'nobody'", None),
    ]


@pytest.mark.usefixtures("courses")
def test_a_guard_of_spreadsheets_is_a_hint(harness: Harness) -> None:
    """Also for a user whom the platform does not have."""
    ((code, reason, _),) = skips(explained(harness, "'+39333"))
    assert code == "unknown_user"
    assert reason.endswith(GUARD_HINT)


@pytest.mark.usefixtures("courses")
@pytest.mark.parametrize("name", ["U1003", "u 1003", "\uff551003", "00u1003", "u1003\u200b"])
def test_a_similar_name_is_a_hint(harness: Harness, name: str) -> None:
    """Case, spaces, Unicode form, leading zeros: named, and never matched on a guess."""
    ((code, reason, user_id),) = skips(explained(harness, name))
    assert (code, user_id) == ("unknown_user", None)
    assert reason.startswith(f"no user has the username {name!r}")
    if " " not in name and "\u200b" not in name:  # the platform's search does not find these
        ignored = "case, spaces, invisible characters, Unicode form or leading zeros"
        assert reason.endswith(f"'u1003' differs only in {ignored}")


@pytest.mark.parametrize("explain", [False, True])
def test_the_plan_shows_a_few_similar_names(harness: Harness, *, explain: bool) -> None:
    """The first example of a code does not hide the others; three are enough."""
    harness.load(5)
    rows = [{"username": name, "course_code": "C1"} for name in ("nobody", "U1001", "u1005")]
    plan = from_rows(rows).plan(harness.client, explain=explain)
    assert "\n1 similar name\n  rows  reason\n     1  no " in str(plan)
    assert "; 'u1001' differs " in str(plan)
    assert ">1 similar name<" in plan._repr_html_()
    rows = [{"username": f"U{1001 + n}", "course_code": "C1"} for n in range(5)]
    plan = from_rows([*rows, rows[0], rows[4]]).plan(harness.client, explain=explain)
    assert "\n3 of 5 similar names\n" in str(plan)
    assert str(plan).count(" differs ") == 4
    plan = from_rows(rows[:1]).plan(harness.client, explain=explain)
    assert "similar name" not in str(plan)


@pytest.mark.usefixtures("courses")
def test_what_is_sent_stays_the_same(harness: Harness) -> None:
    """The same chunks, digest and calls; explaining only reads, and its outcomes are kept."""
    users = [1001, 1002, 1003, 5]
    rows = [{"user_id": user, "course_id": 1} for user in users]
    plain = from_rows(rows).plan(harness.client)
    writes, before = harness.writes, len(harness.sandbox.calls)
    plan = explained(harness, *users)
    assert harness.writes == writes
    assert len(harness.sandbox.calls) - before <= 3 * 3 + 8
    assert (plan.chunks, plan.calls) == (plain.chunks, plain.calls)
    line = "3 rows can be explained: plan(client, explain=True) takes about three calls a row"
    assert line in str(plain)
    assert "can be explained" not in str(plan)
    harness.time.sleep(1)  # another user was archived in this second
    plan.save(harness.folder / "plan.sqlite")
    assert list(ArchivePlan.load(harness.folder / "plan.sqlite").skipped) == list(plan.skipped)
    result = plan.apply(harness.client, ledger=harness.folder / "second.sqlite")
    assert result.counts == {"archived": 1, "skipped": 3, "failed": 0, "unknown": 0}
    codes = [outcome.code for outcome in result.skipped]
    assert codes == ["archived_earlier", "other_status", "unknown_user"]


def test_nothing_to_explain_costs_nothing(harness: Harness) -> None:
    """Where every row has its enrollment, no further call is made."""
    harness.load(2)
    harness.plan(1)
    begin = len(harness.sandbox.calls)
    harness.plan(1)
    middle = len(harness.sandbox.calls)
    harness.job(1).plan(harness.client, explain=True)
    assert len(harness.sandbox.calls) - middle == middle - begin


def test_rows_of_learning_plans_are_explained(harness: Harness) -> None:
    """Another status in a learning plan, and a user who is not in it."""
    harness.load(2)
    harness.sandbox.load(
        learning_plans=[{"learning_plan_id": 5, "code": "P5", "courses": "C1"}],
        learning_plan_enrollments=[
            {"user_id": 1001, "learning_plan_id": 5, "enrollment_status": "in_progress"}
        ],
    )
    rows = [{"username": name, "learning_plan_code": "P5"} for name in ("u1001", "u1002")]
    plan = from_rows(rows).plan(harness.client, explain=True)
    assert skips(plan) == [
        ("other_status", "the enrollment in P5 is in progress, not completed", 1001),
        ("not_enrolled", "not enrolled in P5, and has no archived enrollment there", 1002),
    ]
