"""Every enrollment of some users, or of inactive ones, in every course or learning plan."""

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from attrs import evolve
from plan_tools import AGAIN, UNENROLL, check, done, load_plans
from test_target_lists import Otherwise
from virtual_time import ENROLLED_AT, START, Harness

from lms_archive import ArchiveJob, ArchivePlan, InvalidInputError, resume
from lms_archive.errors import TooManyAffectedError
from lms_archive.records import User

BORDER = datetime(2025, 6, 1, tzinfo=timezone.utc)

#: Who has completed which of the courses C1 to C4, or is there otherwise.
COMPLETED = {1001: (1, 2, 3), 1002: (1,), 1003: (2, 4), 1004: (), 1005: (3,), 1006: (1, 4)}
NONE = "no completed enrollment found in any course of this job"


def for_users(users: Any, **more: Any) -> ArchiveJob:
    """The job of these users: archive and unenroll, tracking kept."""
    return ArchiveJob.for_users(users, **UNENROLL, **more)


def for_inactive(since: Any, **more: Any) -> ArchiveJob:
    """The job of inactive users on the same terms."""
    return ArchiveJob.for_inactive_users(since=since, **UNENROLL, **more)


@pytest.fixture
def platform(harness: Harness) -> Harness:
    """u1001 to u1003 were active in spring, u1005 in autumn, u1006 never; u1004 has nothing."""
    months = {1001: 3, 1002: 4, 1003: 5, 1004: 5, 1005: 9}
    harness.sandbox.load(
        users=[
            {
                "username": f"u{user}",
                "user_id": user,
                "last_access_date": f"2025-{months[user]:02}-01" if user in months else None,
            }
            for user in COMPLETED
        ],
        courses=[{"code": f"C{number}", "id_course": number} for number in range(1, 5)],
        enrollments=[
            done(user_id=user, id_course=course)
            for user, courses in COMPLETED.items()
            for course in courses
        ],
    )
    harness.sandbox.load(
        enrollments=[
            done(user_id=1002, id_course=4, enrollment_status="in_progress"),
            done(user_id=1003, id_course=3, enrollment_level="tutor"),
        ]
    )
    return harness


def pairs(plan: ArchivePlan) -> list[tuple[int, int]]:
    """Course and user of each enrollment that is archived, in the order of the plan."""
    return [
        (chunk.target.target_id, member.user_id)
        for chunk in plan.chunks
        for member in chunk.members
    ]


def skips(plan: ArchivePlan) -> list[tuple[str, int | str | None]]:
    """Code and user of each row that is skipped."""
    return [(outcome.code, outcome.user) for outcome in plan.skipped]


def test_every_enrollment_of_some_users(platform: Harness) -> None:
    """One row for each enrollment found, and one for each user who has none."""
    plan = for_users([1001, "u1003", "u1004", 1004, "nobody", 77]).plan(platform.client)
    assert pairs(plan) == [(1, 1001), (2, 1001), (2, 1003), (3, 1001), (4, 1003)]
    assert skips(plan) == [
        ("staff", 1003),
        ("not_enrolled", 1004),
        ("not_enrolled", 77),
        ("unknown_user", "nobody"),
    ]
    reasons = [outcome.reason for outcome in plan.skipped]
    assert reasons[1:3] == [NONE, NONE]
    assert reasons[3] == "no user has the username 'nobody'; names match exactly"
    dates = {member.enrolled_at for chunk in plan.chunks for member in chunk.members}
    assert [f"{date:%Y-%m-%d %H:%M:%S}" for date in dates if date] == [ENROLLED_AT]
    result = platform.apply(plan)
    assert len(result.incomplete) == 0
    assert result.counts == {"archived": 5, "skipped": 4, "failed": 0, "unknown": 0}
    assert platform.archived == dict.fromkeys(pairs(plan), 1)
    assert platform.active == {(1, 1002), (3, 1005), (1, 1006), (4, 1006), (4, 1002), (3, 1003)}
    first = next(iter(result.outcomes))
    assert dict(first.row) == {
        "course_id": 1,
        "course_code": "C1",
        "user_id": 1001,
        "username": "u1001",
    }
    assert platform.operations.count("all_course_enrollments") == 1 + 1  # planned, and read back
    assert platform.operations.count("list_courses") == 0


@pytest.mark.parametrize("since", [date(2025, 6, 1), BORDER, START - BORDER])
def test_every_enrollment_of_inactive_users(platform: Harness, since: Any) -> None:
    """The platform finds the users while the plan is made; SQL finds the same enrollments."""
    job = for_inactive(since=since)
    assert platform.sandbox.calls == []
    plan = job.plan(platform.client)
    expected = platform.sql(
        "SELECT course_id, user_id FROM enrollments JOIN users USING (user_id) WHERE "
        "last_access_date < '2025-06-01' AND last_access_date > '0001' AND "
        "enrollment_status = 'completed' AND enrollment_level = 'student' ORDER BY 1, 2"
    )
    assert pairs(plan) == expected
    assert skips(plan) == [("staff", 1003), ("not_enrolled", 1004)]
    (text,) = [text for text in plan.warnings if "inactive" in text]
    assert text == (
        "4 users inactive since 2025-06-01 00:00:00 UTC; those who never logged in are not included"
    )
    result = platform.apply(plan, max_affected=len(expected))
    assert result.counts["archived"] == len(expected)
    assert sorted(platform.archived) == expected


def test_who_is_left_alone(platform: Harness) -> None:
    """Ids and usernames are excluded; those who are not inactive anyway are named."""
    plan = for_inactive(since=BORDER, exclude=["u1001", 1002, "u1005"]).plan(platform.client)
    assert {user for _, user in pairs(plan)} == {1003}
    assert skips(plan) == [("staff", 1003), ("not_enrolled", 1004)]
    assert "inactive users: 2 users excluded; no match for 'u1005'" in plan.warnings
    with pytest.raises(
        InvalidInputError, match="inactive users: exclude= contains 'U1001', and 'u10"
    ):
        for_inactive(since=BORDER, exclude=["U1001"]).plan(platform.client)


@pytest.mark.parametrize(
    ("where", "courses"),
    [
        ({"courses": [1, "C3"]}, {1, 3}),
        ({"exclude_courses": ["C1", 4]}, {2, 3}),
        ({"courses": [1, 2, 3], "exclude_courses": (2,)}, {1, 3}),
        ({"courses": []}, set()),
    ],
    ids=str,
)
def test_some_courses(platform: Harness, where: dict[str, Any], courses: set[int]) -> None:
    """Only in these courses, and not in those, by id or code."""
    plan = for_users(list(COMPLETED), **where).plan(platform.client)
    assert set(pairs(plan)) == {
        (course, user) for user, there in COMPLETED.items() for course in there if course in courses
    }
    without = set(COMPLETED) - {user for _, user in pairs(plan)}
    assert {user for code, user in skips(plan) if code == "not_enrolled"} == without - (
        {1003} if 3 in courses else set()  # the tutor of C3 is skipped as such
    )


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"courses": ["NOPE"]}, "no course has the code 'NOPE'"),
        ({"exclude_courses": ["c1"]}, "'C1' differs only in case"),
        ({"courses": [99]}, "there is no course 99 on the platform"),
        ({"exclude_courses": [1, 99]}, "exclude_courses= names course 99, which is not on the"),
        ({"exclude_courses": [2024]}, "it is the code of course 4: give codes as text"),
    ],
    ids=str,
)
def test_courses_that_are_not_there(platform: Harness, where: dict[str, Any], words: str) -> None:
    """A course that is named and not found stops the planning."""
    platform.change("UPDATE courses SET code = '2024' WHERE id_course = 4")
    with pytest.raises(InvalidInputError, match=words):
        for_users([1001], **where).plan(platform.client)


def test_learning_plans(harness: Harness) -> None:
    """The same in learning plans, with the outcome of each course."""
    load_plans(harness, {50: [1, 2], 60: [3]}, users=3)
    harness.change("DELETE FROM learning_plan_enrollments WHERE user_id = 1003")
    plan = for_users([1001, "u1003"], targets="learning_plans").plan(harness.client)
    assert pairs(plan) == [(50, 1001), (60, 1001)]
    (none,) = plan.skipped
    assert none.reason == "no completed enrollment found in any learning plan of this job"
    result = harness.apply(plan)
    assert [len(outcome.courses) for outcome in result.archived] == [2, 1]
    assert harness.archived == {(1, 1001): 1, (2, 1001): 1, (3, 1001): 1}


def test_re_enroll(platform: Harness) -> None:
    """Each user is enrolled again, once."""
    plan = ArchiveJob.for_users([1001, 1002], **AGAIN).plan(platform.client)
    result = platform.apply(plan)
    check(platform, result, again=True, archived=4)


def test_added_to_other_jobs(platform: Harness) -> None:
    """A row that is asked for twice is archived once, and those of others are found as well."""
    jobs = [
        ArchiveJob.from_rows([{"username": "u1006", "course_code": "C1"}], **UNENROLL),
        for_users([1001, "u1002"]),
        for_inactive(since=BORDER, courses=["C1", "C2"]),
        ArchiveJob.for_course(4, **UNENROLL).all_enrollments(),
        ArchiveJob.for_course("C3", **UNENROLL).users(["u1001", 1005]),
    ]
    plan = sum(jobs[1:], jobs[0]).plan(platform.client)
    expected = {(1, 1006), (1, 1001), (1, 1002), (2, 1001), (3, 1001), (2, 1003), (4, 1003)}
    assert set(pairs(plan)) == expected | {(4, 1006), (3, 1005)}
    assert len(pairs(plan)) == 9
    duplicates = [dict(outcome.row) for outcome in plan.skipped if outcome.code == "duplicate"]
    assert [(row.get("course_id"), row["user_id"]) for row in duplicates] == [
        (1, 1001),
        (1, 1002),
        (2, 1001),
        (None, None),  # u1001 in C3, by name
    ]
    assert len(plan.skipped) == plan.counts["rows"] - 9
    assert platform.operations.count("list_users") == 2  # a name, and the inactive users
    result = platform.apply(plan)
    assert result.counts["archived"] == 9
    assert set(platform.archived) == set(pairs(plan))


def test_saved_loaded_and_resumed(platform: Harness, tmp_path: Path) -> None:
    """The plan has rows like any other, which name nobody twice and lose nothing."""
    plan = for_users([1001, 1004, "nobody"]).plan(platform.client)
    plan.save(tmp_path / "plan.sqlite")
    loaded = ArchivePlan.load(tmp_path / "plan.sqlite")
    assert (loaded.digest, loaded.skipped) == (plan.digest, plan.skipped)
    with pytest.raises(TooManyAffectedError):
        platform.apply(loaded, max_affected=2)
    result = platform.apply(loaded)
    result.to_csv(tmp_path / "outcome.csv")
    assert result.counts == {"archived": 3, "skipped": 2, "failed": 0, "unknown": 0}
    assert resume(platform.ledger, platform.client).counts == result.counts
    again = ArchiveJob.from_csv(tmp_path / "outcome.csv", **UNENROLL).plan(platform.client)
    assert again.counts["to_archive"] == 0
    assert {code for code, _ in skips(again)} == {"not_enrolled", "bad_row"}


def test_nobody_is_asked_for(platform: Harness) -> None:
    """No users, or none who is inactive: an empty plan."""
    for job in (for_users([]), for_inactive(since=date(2020, 1, 1))):
        plan = job.plan(platform.client)
        assert plan.counts == {"rows": 0, "to_archive": 0, "skipped": 0, "chunks": 0}
        result = plan.apply(platform.client, ledger=platform.folder / f"{plan.digest}.sqlite")
        assert len(result.outcomes) == 0


def test_how_the_jobs_show_themselves() -> None:
    """Who and where, in the repr and in a notebook."""
    jobs = [
        for_users([1, 2]),
        for_users(["ada"], courses=["A", 2], exclude_courses=[2]),
        for_inactive(since=BORDER, exclude=[7], exclude_courses=[1, 2]),
        for_inactive(since=timedelta(days=365), targets="learning_plans"),
    ]
    assert [repr(job).removeprefix("<ArchiveJob unenroll, ") for job in jobs] == [
        "all enrollments of 2 users in all courses>",
        "all enrollments of 1 user in 1 course>",
        "all enrollments of inactive users in all courses but 2>",
        "all enrollments of inactive users in all learning plans>",
    ]
    lines = (
        "All matching enrollments of 2 users in all courses; planning finds them.",
        "All matching enrollments of 1 user in 1 course; planning finds them.",
        "since 2025-06-01 00:00:00Z in all courses but 2, with 1 user excluded; planning finds",
        "All matching enrollments of users inactive for 365 days in all learning plans; planning",
    )
    for job, line in zip(jobs, lines, strict=True):
        assert line in job._repr_html_()
        assert job.row_count is None


def test_users_of_the_platform(platform: Harness) -> None:
    """Records of `client.users` are of users with their id and username."""
    assert len(pairs(for_users(platform.client.users.list()).plan(platform.client))) == 9


def test_a_username_is_looked_up_as_it_is_first(platform: Harness) -> None:
    """Then without the white space around it: "u1001 " is another user than "u1001"."""
    platform.change("UPDATE users SET username = 'u1001 ' WHERE user_id = 1002")
    for name, user_id in {"u1001 ": 1002, "u1001": 1001, " u1006": 1006}.items():
        assert pairs(for_users([name], courses=[1]).plan(platform.client)) == [(1, user_id)]


def test_a_record_of_another_platform_is_not_another_user_here(platform: Harness) -> None:
    """Its id and its username must be of one user, wherever users are named."""
    foreign = [User(user_id=1001, username=name) for name in ("u1002", "nobody")]
    everywhere = for_users(foreign).plan(platform.client)
    course = ArchiveJob.for_course(1, **UNENROLL)
    named = course.users(foreign).plan(platform.client)
    for plan in (everywhere, named):
        assert (pairs(plan), [code for code, _ in skips(plan)]) == ([], ["disagree", "disagree"])
    for record in foreign:
        with pytest.raises(InvalidInputError, match="is the record of another platform"):
            course.all_enrollments(exclude=[record]).plan(platform.client)
    own = platform.client.users.find("u1001")
    assert pairs(course.all_enrollments(exclude=[own]).plan(platform.client)) == [
        (1, 1002),
        (1, 1006),
    ]
    assert pairs(course.users([own]).plan(platform.client)) == [(1, 1001)]


def test_enrollment_records_carry_the_code_of_their_course(platform: Harness) -> None:
    """The same id may be another course on another platform."""
    records = list(platform.client.enrollments.in_course("C1"))
    assert len(pairs(ArchiveJob.from_rows(records, **UNENROLL).plan(platform.client))) == 3
    foreign = [evolve(record, course_code="C2") for record in records]
    plan = ArchiveJob.from_rows(foreign, **UNENROLL).plan(platform.client)
    assert [code for code, _ in skips(plan)] == ["disagree"] * 3


def test_two_users_with_one_username(platform: Harness) -> None:
    """Two matches are an error in each job; an id with the name is one user."""

    def rename(item: dict[str, Any]) -> None:
        item.update({"username": "u1001"} if item.get("username") == "u1002" else {})

    client = platform.connect(transport=Otherwise(platform, ("search_text",), rename))
    course = ArchiveJob.for_course(1, **UNENROLL)
    for job in (for_users(["u1001"]), course.users(["u1001"])):
        (outcome,) = job.plan(client).skipped
        assert outcome.code == "ambiguous_user"
        reason = "2 users have the username 'u1001' (ids 1001, 1002): give the user id"
        assert outcome.reason == reason
    record = User(user_id=1002, username="u1001")
    for job in (for_users([record], courses=[1]), course.users([record])):
        assert pairs(job.plan(client)) == [(1, 1002)]
    assert pairs(course.all_enrollments(exclude=["u1001"]).plan(client)) == [(1, 1006)]

    def hide(item: dict[str, Any]) -> None:  # then the name can only be looked up
        rename(item)
        item.update({"username": None} if "enrollment_level" in item else {})

    client = platform.connect(transport=Otherwise(platform, ("search_text",), hide))
    plan = course.users(["u1001", "u1006"]).plan(client, explain=True)
    assert pairs(plan) == [(1, 1006)]
    assert [outcome.code for outcome in plan.skipped] == ["ambiguous_user"]
    assert pairs(course.all_enrollments(exclude=["u1001"]).plan(client)) == [(1, 1006)]


def test_a_blank_username_in_a_list_is_missing(platform: Harness) -> None:
    """It is looked up, so that `exclude` protects the user."""

    def blank(item: dict[str, Any]) -> None:
        item.update({"username": " "} if "enrollment_level" in item else {})

    client = platform.connect(transport=Otherwise(platform, alter=blank))
    course = ArchiveJob.for_course(1, **UNENROLL)
    plan = course.all_enrollments(exclude=["u1001"]).plan(client)
    assert pairs(plan) == [(1, 1002), (1, 1006)]
    assert pairs(course.users(["u1001"]).plan(client)) == [(1, 1001)]


def test_users_given_as_numbers_are_ids_and_the_plan_says_so(platform: Harness) -> None:
    """As where they are named in one course."""
    words = "all 2 users are numbers, so they are read as user ids; if they are usernames, "
    words += "give them as text (str)"
    assert words in for_users([1001, 1002]).plan(platform.client).warnings
    users: list[Any] = [[1001, "u1002"], platform.client.users.list(), []]
    for mixed in users:
        assert "numbers" not in "".join(for_users(mixed).plan(platform.client).warnings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"users": "ada"}, "users takes a list of ids"),
        ({"users": [1.5]}, "an item cannot be used"),
        ({"users": [None]}, "an item cannot be used"),
        ({"users": [1], "targets": "plans"}, "targets is 'courses' or 'learning_plans', not 'plan"),
        ({"users": [1], "targets": pd.Series(["courses", "x"])}, "targets is 'courses' or"),
        ({"users": [1], "courses": "SAFE"}, "courses takes a list of ids"),
        ({"users": [1], "courses": [1.5]}, "a course is an id"),
        ({"users": [1], "exclude_courses": 3}, "exclude_courses takes a list"),
        ({"users": [1], "targets": "learning_plans", "courses": [1]}, "need targets='courses'"),
        ({"users": [1], "only": "waiting"}, "is not possible: give 'completed'"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], words: str) -> None:
    """Refused before anything is read."""
    with pytest.raises(InvalidInputError, match=words):
        for_users(**arguments)
