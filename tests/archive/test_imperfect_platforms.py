"""Whole jobs on platforms that ignore filters, lose pages, answer odd values, or are busy."""

from datetime import date
from typing import Any

import pytest
from archive_tools import calls_but_polls, changed_answers, for_course, from_rows, user_ids
from plan_tools import rows
from test_target_lists import Otherwise, odd
from virtual_time import Exchange, Harness

from lms_archive import Client, Contract, Limits
from lms_archive.archive.planning.resolve import resolve_usernames
from lms_archive.errors import UnexpectedResponseError

FILTERS = ("user_id[]", "enrollment_status[]", "archived_from")
ODD = {
    "a time before all time": ("enrollment_completion_date", "-0001-11-30", "a time like"),
    "another form of date": ("enrollment_created_at", "31.01.2026", "a time like"),
    "a decimal comma": ("enrollment_score", "88,5", "a number"),
    "a score that is a flag": ("enrollment_score", True, "a number"),
    "seconds as a float": ("enrollment_time_spent", 3600.5, "a whole number"),
    "a name that is an object": ("username", {"first": "Ada"}, "text"),
    "a status that is a list": ("enrollment_status", ["completed"], "text"),
    "a level that is a flag": ("enrollment_level", False, "text"),
    "a course without a number": ("course_id", "one", "a whole number"),
}


def connect(harness: Harness, *dropped: str, alter: Any = id, size: int = 10) -> Client:
    """A client of a platform that ignores these parameters, and answers other items."""
    limits = Limits(page_size=size, hand_picked=size)
    return harness.connect(transport=Otherwise(harness, dropped, alter), limits=limits)


@pytest.mark.parametrize(("key", "value", "expected"), ODD.values(), ids=ODD.keys())
def test_an_odd_value_costs_only_its_enrollment(
    harness: Harness, key: str, value: Any, expected: str
) -> None:
    """One enrollment cannot be archived, and says why, however it was asked for."""
    harness.load(6)
    client = connect(harness, alter=odd(1006, **{key: value}), size=4)
    names = [f"u{n}" for n in range(1001, 1007)]
    course = for_course(1)
    for job in (course.users(range(1001, 1007)), course.users(names), course.all_enrollments()):
        plan = job.plan(client)
        (outcome,) = plan.skipped
        assert (outcome.code, outcome.user_id) == ("bad_enrollment", 1006)
        assert f"$.data.items[1].{key}: expected {expected}" in outcome.reason
        assert "page 2, user 1006" in outcome.reason
        assert user_ids(plan) == [*range(1001, 1006)]


def test_the_job_goes_on_without_an_unreadable_enrollment(harness: Harness) -> None:
    """The job goes on without the enrollment that cannot be read."""
    harness.load(25)
    client = connect(harness, alter=odd(1013, enrollment_score="88,5"))
    result = for_course(1).all_enrollments().plan(client).apply(client, ledger=harness.ledger)
    assert result.counts == {"archived": 24, "skipped": 1, "failed": 0, "unknown": 0}
    assert harness.active == {(1, 1013)}


def test_a_plain_list_names_page_item_and_user_of_an_odd_value(harness: Harness) -> None:
    """A list that is read as such says which page, item, field and user."""
    harness.load(25)
    client = connect(harness, alter=odd(1013, enrollment_score="88,5"))
    with pytest.raises(UnexpectedResponseError) as caught:
        list(client.enrollments.in_course(1))
    (fault,) = caught.value.faults
    assert fault == (
        "$.data.items[2].enrollment_score: expected a number, not '88,5' "
        "(page 2, user 1013, 'u1013')"
    )


def test_a_field_that_is_always_odd_can_be_left_out(harness: Harness) -> None:
    """Under a key that is not there a field is None, and its value stays in `extra`."""
    harness.load(3)
    client = connect(harness, alter=lambda item: item.update(enrollment_score="88,5"))
    contract = Contract.default().with_record("CourseEnrollment", score="none")
    plan = for_course(1).all_enrollments().plan(client.with_options(contract=contract))
    assert plan.counts["to_archive"] == 3
    (first, *_) = client.with_options(contract=contract).enrollments.in_course(1)
    assert (first.score, first.extra) == (None, {"enrollment_score": "88,5"})


def test_an_item_without_a_user_is_a_warning(harness: Harness) -> None:
    """An enrollment whose user cannot be read is a warning; everybody else is planned."""
    harness.load(5)
    client = connect(harness, alter=odd(1003, user_id="x3", username=None))
    for job in (for_course(1).users(range(1001, 1006)), for_course(1).all_enrollments()):
        plan = job.plan(client)
        assert user_ids(plan) == [1001, 1002, 1004, 1005]
        text = "an enrollment cannot be read, so it is not archived: $.data.items[2].user_id"
        assert any(text in warning for warning in plan.warnings)


def test_an_excluded_enrollment_is_left_alone_however_unreadable(harness: Harness) -> None:
    """Who is excluded is found by name or id, whatever is odd about the enrollment."""
    harness.load(5)
    client = connect(harness, alter=odd(1003, enrollment_score="88,5"))
    for exclude in (["u1003"], [1003]):
        plan = for_course(1).all_enrollments(exclude=exclude).plan(client)
        assert user_ids(plan) == [1001, 1002, 1004, 1005]
        assert not plan.skipped
        assert any("1 user excluded" in warning for warning in plan.warnings)


def test_an_unreadable_enrollment_that_is_asked_for_twice(harness: Harness) -> None:
    """It is reported once, the second row is a duplicate; a name that differs disagrees."""
    harness.load(3)
    client = connect(harness, alter=odd(1002, enrollment_score="88,5"))
    asked: list[dict[str, Any]] = [
        {"course_id": 1, "username": "u1002"},
        {"course_id": 1, "user_id": 1002},
        {"course_id": 1, "user_id": 1002, "username": "another"},
    ]
    plan = from_rows(asked).plan(client)
    assert [outcome.code for outcome in plan.skipped] == [
        "bad_enrollment",
        "bad_enrollment",
        "disagree",
    ]


def test_an_odd_value_read_back_stops_nothing(harness: Harness) -> None:
    """What is not needed to prove the archive stops nothing: it stays as it came."""
    harness.load(12)
    plan = harness.plan(1)
    client = connect(harness, alter=odd(1005, certificate_date="-0001-11-30", course_credits="1,5"))
    result = plan.apply(client, ledger=harness.ledger)
    harness.check(result, archived=12)
    record = next(item for item in result.records if item.user.user_id == 1005)
    assert record.extra == {"certificate_date": "-0001-11-30", "course_credits": "1,5"}


SHAPES = [
    ((65, 30, 3), None, "unenroll", 0),
    ((65, 30, 3), None, "re-enroll", 0),
    ((65, 30), 25, "unenroll", 25),
]


@pytest.mark.parametrize(("sizes", "most", "mode", "history"), SHAPES)
def test_ignored_filters_cost_as_many_calls_as_planned(
    harness: Harness, sizes: tuple[int, ...], most: int | None, mode: Any, history: int
) -> None:
    """Each target is read whole instead of once for each page of users; `plan.calls` says so."""
    harness.load(*(size + history for size in sizes))
    asked, earlier = [], []
    for course, size in enumerate(sizes, start=1):
        asked += rows(range(1001, 1001 + min(size, most or size)), courses=[course])
        earlier += rows(range(1001 + size, 1001 + size + history), courses=[course])
    old = from_rows(earlier).plan(harness.client)
    old.apply(harness.client, ledger=harness.folder / "earlier.sqlite")
    client = connect(harness, *FILTERS)
    plan = from_rows(asked, mode=mode).plan(client)
    result = plan.apply(client, ledger=harness.ledger)
    assert result.counts["archived"] == len(asked)
    made, announced = calls_but_polls(result.calls), calls_but_polls(plan.calls)
    assert announced == pytest.approx(made, rel=0.1)
    archived_pages = sum(-(-(size + history) // 10) for size in sizes)
    assert result.calls["archived_course_enrollments"] <= 2 * archived_pages


def test_filters_are_not_tried_where_lists_are_short(harness: Harness) -> None:
    """A job whose lists are a page long needs no call to know whether filters work."""
    harness.load(150, 150)
    for_course(1).users(range(1001, 1151)).plan(harness.client)
    assert harness.operations.count("course_enrollments") == 1


def test_an_empty_page_is_read_again_or_stops_the_plan(harness: Harness) -> None:
    """A platform whose second page is empty: the page is read again, or the plan stops."""
    harness.load(45)

    def connect_losing(times: int) -> Client:
        left = [times]

        def lose(_: str, data: dict[str, Any]) -> None:
            if data.get("current_page") == 2 and left[0]:
                left[0] -= 1
                data["items"], data["count"], data["total_count"] = [], 0, None

        transport = changed_answers(harness.line, lose)
        return harness.connect(transport=transport, limits=Limits(page_size=10))

    names = [f"u{n}" for n in range(1001, 1046)]
    plan = for_course(1).users(names).plan(connect_losing(1))
    assert plan.counts["to_archive"] == 45
    with pytest.raises(UnexpectedResponseError, match="page 2 is empty, but more should follow"):
        for_course(1).all_enrollments().plan(connect_losing(10_000))


def _busy(harness: Harness) -> Client:
    """A course of 60, before whom 200 are still in it; one completes it at every page read."""
    harness.load(60)
    people = range(1, 201)
    harness.sandbox.load(
        users=[{"user_id": user, "username": f"b{user}"} for user in people],
        enrollments=[
            {"user_id": user, "id_course": 1, "enrollment_status": "in_progress"} for user in people
        ],
    )
    left = iter(range(1, 1000))

    def complete(exchange: Exchange) -> None:
        if exchange.path == "/course/v1/courses/1/enrollments" and exchange.method == "GET":
            update = "UPDATE enrollments SET enrollment_status = 'completed' WHERE user_id = ?"
            harness.change(update, next(left))

    harness.line.before.append(complete)
    return harness.connect(limits=Limits(page_size=10, hand_picked=10))


@pytest.mark.parametrize("by", ["username", "user_id", "both"])
def test_a_busy_course_can_be_planned_and_archived(harness: Harness, by: str) -> None:
    """The users that were asked for are read, while the list never stands still."""
    client = _busy(harness)
    users = range(1001, 1061)
    asked = [
        {"course_id": 1, "user_id": user if by != "username" else None,
         "username": f"u{user}" if by != "user_id" else None}
        for user in users
    ]  # fmt: skip
    asked += [{"course_id": 1, "user_id": None, "username": "nobody"}]
    plan = from_rows(asked).plan(client)
    assert user_ids(plan) == list(users)
    assert [outcome.code for outcome in plan.skipped] == ["not_enrolled"]
    assert harness.operations.count("list_users") <= 10
    result = plan.apply(client, ledger=harness.ledger)
    assert result.counts == {"archived": 60, "skipped": 1, "failed": 0, "unknown": 0}


def test_all_enrollments_of_a_list_that_changes_are_an_error(harness: Harness) -> None:
    """Who is in it cannot be known while it changes: an error that says so."""
    client = _busy(harness)
    with pytest.raises(UnexpectedResponseError, match="try again later"):
        for_course(1).all_enrollments().plan(client)


def test_usernames_are_searched_where_the_list_of_users_changes(harness: Harness) -> None:
    """Names that a moving list of users did not show are searched, the others are known."""
    harness.load(30)
    harness.sandbox.load(users=[{"username": "late", "user_id": 2000}])
    left = iter(range(1, 1000))

    def sign_up(exchange: Exchange) -> None:
        if exchange.path == "/manage/v1/user":
            number = next(left)
            harness.sandbox.load(users=[{"username": f"new{number}", "user_id": number}])

    harness.line.before.append(sign_up)
    client = connect(harness)
    names = {*(f"u{n}" for n in range(1001, 1031)), "late", "nobody"}
    ids = resolve_usernames(client, names)
    assert ids == {**{f"u{n}": n for n in range(1001, 1031)}, "late": 2000}
    assert harness.operations.count("list_users") <= 4 + 4


@pytest.mark.parametrize(
    ("key", "value"), [("last_update", "-0001-11-30"), ("name", 1.5), ("course_type", ["x"])]
)
def test_an_odd_value_of_another_course_stops_no_job(
    harness: Harness, key: str, value: Any
) -> None:
    """What is odd about one course stops no job, as long as its id and code can be read."""
    harness.load(3, 3, 3)

    def alter(item: dict[str, Any]) -> None:
        if item.get("code") == "C2":
            item[key] = value

    client = connect(harness, alter=alter)
    asked = [{"course_code": code, "user_id": 1001} for code in ("C1", "C2", "C3")]
    assert from_rows(asked).plan(client).counts["to_archive"] == 3


def test_odd_values_of_plans_and_users_stop_no_job(harness: Harness) -> None:
    """Neither the credits of another plan nor a user's date of creation stop a job."""
    harness.load(3)
    harness.change("UPDATE users SET last_access_date = '2020-01-01 00:00:00'")
    harness.sandbox.load(
        courses=[{"code": "P1", "id_course": 9}],
        learning_plans=[{"learning_plan_id": 50, "code": "LP", "courses": [9]}],
    )

    def alter(item: dict[str, Any]) -> None:
        if item.get("learning_plan_id") == 50:
            item["credits"] = "1,5"
        if item.get("user_id") == "1002":
            item["creation_date"] = "-0001-11-30"
        if item.get("user_id") == "1003":
            item["last_access_date"] = "-0001-11-30"

    client = connect(harness, alter=alter)
    plan = for_course(1).all_enrollments(inactive_since=date(2025, 1, 1)).plan(client)
    assert user_ids(plan) == [1001, 1002]


def test_an_odd_value_of_a_background_job_stops_no_job(harness: Harness) -> None:
    """A job is waited for by its status, whatever else of it cannot be read."""
    harness.load(12)

    def change(_: str, data: dict[str, Any]) -> None:
        for job in data.get("jobs", ()):
            job["job_descriptor"]["percent"] = "12,5"

    limits = Limits(page_size=10, hand_picked=10)
    client = harness.connect(transport=changed_answers(harness.line, change), limits=limits)
    harness.check(harness.plan(1).apply(client, ledger=harness.ledger), archived=12)
