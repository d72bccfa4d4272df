"""What a plan says of each row, and how few calls it takes to know: reads only."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from archive_tools import MakeCsv, for_course, from_csv, from_rows, planned
from conftest import fill
from test_target_lists import Otherwise
from virtual_time import Harness

from lms_archive import Client, Limits
from lms_archive.archive.planning.estimate import duration_of
from lms_archive.errors import UnexpectedResponseError
from lms_archive.sandbox import Sandbox

Connect = Callable[..., Client]


@pytest.fixture
def otherwise(harness: Harness) -> Connect:
    """Make clients for which the small platform's items differ, or parameters are ignored."""
    fill(harness.sandbox)
    return lambda alter=id, dropped=(): harness.connect(
        transport=Otherwise(harness, dropped, alter)
    )


def without(key: str) -> Callable[[dict[str, Any]], object]:
    """Leave a key out of each enrollment."""
    return lambda item: item.pop(key, None) if "enrollment_level" in item else None


def calls_since(platform: Sandbox, before: int) -> Counter[str | None]:
    """The calls since then, by operation; login, role, swagger and the look for plans aside."""
    aside = ("token", "session", "microservices", "swagger")
    made = [call for call in platform.calls[before:] if call.operation not in aside]
    assert {call.method for call in made} <= {"GET"}
    plans = [call for call in made if call.operation == "list_learning_plans"]
    assert len(plans) <= 1  # the platform has none, which one call shows
    made = [call for call in made if call not in plans]
    return Counter(call.operation for call in made)


REASONS = {
    "bad_row": (",,SAFE,", "no user: fill in username or user_id"),
    "duplicate": ("alice,,FIRE,", "same enrollment as line 2: archived only once"),
    "unknown_course": ("alice,,NOPE,", "no course has the code 'NOPE'"),
    "ambiguous_course": (
        "alice,,TWIN,",
        "2 courses have the code 'TWIN' (ids 73, 74): use the column course_id",
    ),
    "disagree": ("bob,101,SAFE,", "user 101 is 'alice', not 'bob': correct one of the two"),
    "not_enrolled": (
        "dave,,SAFE,",
        "no completed enrollment found (not checked: spelling, other status, archived earlier)",
    ),
    "staff": ("tina,,SAFE,", "is a tutor, not a learner; include_staff=True includes staff"),
}


def test_reason_of_each_skip(make_csv: MakeCsv, small_platform: Sandbox, reader: Client) -> None:
    """Each skip has its code, line and whole sentence; counts add up; nothing was written."""
    rows = "\n".join(row for row, _ in REASONS.values())
    before = len(small_platform.calls)
    job = from_csv(make_csv(f"username,user_id,course_code,course_id\nalice,,FIRE,\n{rows}\n"))
    plan = job.plan(reader)
    assert [(outcome.line, outcome.code, outcome.reason) for outcome in plan.skipped] == [
        (line, code, reason) for line, (code, (_, reason)) in enumerate(REASONS.items(), start=3)
    ]
    assert {outcome.kind for outcome in plan.skipped} == {"skipped"}
    assert plan.counts == {"rows": 8, "to_archive": 1, "skipped": 7, "chunks": 1}
    assert [outcome.user_id for outcome in plan.skipped] == [None, 101, None, None, None, None, 201]
    assert calls_since(small_platform, before) == {"list_courses": 1, "all_course_enrollments": 1}


def test_ignored_filter(otherwise: Connect) -> None:
    """Where the platform ignores the filter of statuses, the plan looks at each itself."""
    client = otherwise(dropped=("enrollment_status[]",))
    people = ["alice", "paul", "nora", "wanda", "sam", "zelda"]
    plan = for_course("SAFE").users(people).plan(client)
    assert planned(plan) == [(None, 71, 101)]
    archivable = "completed, enrolled, in_progress"
    assert [(outcome.code, outcome.reason) for outcome in plan.skipped] == [
        ("status", "is in_progress, not completed"),
        ("status", "is enrolled, not completed"),
        ("status", f"is on the waiting list: only {archivable} can be archived"),
        ("status", f"is suspended: only {archivable} can be archived"),
        ("status", f"has the unknown status 'expelled': only {archivable} can be archived"),
    ]


def test_only_what_is_archived_has_a_duplicate(reader: Client) -> None:
    """A second row of a user who is skipped has the code and the reason of the first."""
    people: list[Any] = ["dave", "dave", "nobody", "nobody", "paul", 102, "bob", "dave "]
    outcomes = for_course("SAFE").users(people).plan(reader).skipped
    codes = [outcome.code for outcome in outcomes]
    assert codes == [*["not_enrolled"] * 5, "duplicate", "not_enrolled"]
    assert outcomes[0].reason == outcomes[1].reason


STATUSES: dict[Any, str | None] = {
    "completed": None,
    "in_progress": None,
    "enrolled": None,
    "subscribed": None,
    0: None,
    "1": None,
    2: None,
    "to_confirm": "waits for confirmation",
    "overbooking": "is overbooked",
    "suspended": "is suspended",
    "waiting": "is on the waiting list",
    "not_started": "is reported as not started",
    "expired": "has the unknown status 'expired'",
    3: "has the unknown status '3'",
}


@pytest.mark.parametrize(("status", "reason"), STATUSES.items())
@pytest.mark.parametrize("level", ["student", "tutor"])
def test_statuses(otherwise: Connect, level: str, status: Any, reason: str | None) -> None:
    """Enrolled, in progress and completed can be archived; each other status has its reason."""
    client = otherwise(lambda item: item.update(enrollment_status=status, enrollment_level=level))
    plan = for_course("SAFE", only="any", include_staff=True).users(["alice"]).plan(client)
    assert [(outcome.code, outcome.reason.partition(":")[0]) for outcome in plan.skipped] == (
        [] if reason is None else [("status", reason)]
    )
    assert plan.counts["to_archive"] == (reason is None)


def test_ignored_filter_of_users(otherwise: Connect) -> None:
    """Where the platform ignores the filter of users, nobody else gets into the plan."""
    client = otherwise(dropped=("user_id[]",)).with_options(limits=Limits(page_size=4))
    plan = for_course(71).users([101, 102, 999]).plan(client)
    assert planned(plan) == [(None, 71, 101), (None, 71, 102)]
    assert [outcome.code for outcome in plan.skipped] == ["not_enrolled"]


def test_no_status(otherwise: Connect) -> None:
    """An enrollment without a status is never archived on a guess."""
    client = otherwise(without("enrollment_status"))
    plan = for_course("SAFE").users(["alice"]).plan(client)
    (outcome,) = plan.skipped
    assert (outcome.code, outcome.user_id) == ("no_status", 101)
    assert outcome.reason == "the platform reports no status for it, so it is not archived"


def test_no_level(otherwise: Connect) -> None:
    """An enrollment without a level may be a tutor's: it is left alone."""
    client = otherwise(without("enrollment_level"))
    plan = for_course("SAFE").users(["alice"]).plan(client)
    (outcome,) = plan.skipped
    assert outcome.code == "staff"
    assert outcome.reason.startswith("has no level on the platform, so it may be a tutor's; ")


def test_items_of_another_course(otherwise: Connect) -> None:
    """A list that holds another course's enrollments is believed in nothing."""
    client = otherwise(lambda item: item.update(course_id=72))
    with pytest.raises(UnexpectedResponseError, match="the list of 71 has an item of 72"):
        for_course(71).users(["alice"]).plan(client)


def test_lists_without_usernames(harness: Harness, otherwise: Connect) -> None:
    """Where the list tells no usernames they are looked up, exactly, and still have to agree."""
    rows: list[dict[str, Any]] = [
        {"username": "anna"},
        {"username": "ANNA"},
        {"username": "nobody"},
        {"username": "alice", "user_id": 101},
        {"username": "bob", "user_id": 103},
        {"username": "nobody", "user_id": 102},
        {"user_id": 106},
    ]
    client = otherwise(without("username"))
    before = len(harness.sandbox.calls)
    plan = from_rows([{**row, "course_id": 71} for row in rows]).plan(client)
    assert planned(plan) == [(None, 71, 105), (None, 71, 101), (None, 71, 106)]
    names = [member.username for chunk in plan.chunks for member in chunk.members]
    assert names == ["anna", "alice", None]
    assert [(outcome.code, outcome.reason.partition(":")[0]) for outcome in plan.skipped] == [
        ("not_enrolled", "no completed enrollment found (not checked"),
        ("not_enrolled", "no completed enrollment found (not checked"),
        ("disagree", "user 103 is not 'bob'"),
        ("disagree", "user 102 is not 'nobody'"),
    ]
    assert calls_since(harness.sandbox, before) == {"course_enrollments": 1, "list_users": 1}


# Rows, page size, and the calls that the plan takes. SAFE has 15 completed, the list 6 courses.
ECONOMY: dict[str, tuple[list[dict[str, Any]], int, dict[str, int]]] = {
    "ids of courses need no search": (
        *([{"username": "alice", "course_id": 71}, {"username": "bob", "course_id": 72}], 200),
        {"all_course_enrollments": 1},
    ),
    "one code is searched": (
        *([{"username": "alice", "course_code": "SAFE"}], 200),
        {"list_courses": 1, "course_enrollments": 1},
    ),
    "several codes are listed": (
        [{"username": "alice", "course_code": code} for code in ("SAFE", "FIRE", "NOPE")],
        *(200, {"list_courses": 1, "all_course_enrollments": 1}),
    ),
    "several codes on a few pages are listed": (
        [{"username": "alice", "course_code": code} for code in ("FIRE", "EMPTY")],
        *(2, {"list_courses": 3, "all_course_enrollments": 1, "course_enrollments": 1}),
    ),
    "few codes of a long list are searched": (
        [{"username": "alice", "course_code": code} for code in ("FIRE", "EMPTY")],
        *(1, {"list_courses": 3, "all_course_enrollments": 2, "course_enrollments": 1}),
    ),
    "names need the whole walk": (
        *([{"username": "alice", "course_id": 71}], 4),
        {"course_enrollments": 4},
    ),
    "few ids are asked for": (
        *([{"user_id": 101, "course_id": 71}, {"user_id": 999, "course_id": 71}], 4),
        {"course_enrollments": 1},
    ),
    "ids with their names as well": (
        *([{"user_id": 101, "username": "alice", "course_id": 71}], 4),
        {"course_enrollments": 2},
    ),
    "more ids than a page are asked for where the list is longer still": (
        *([{"user_id": user, "course_id": 71} for user in range(101, 105)], 2),
        {"course_enrollments": 3},
    ),
    "ids beside a name need the whole walk": (
        [{"user_id": 101, "course_id": 71}, {"username": "bob", "course_id": 71}],
        *(4, {"course_enrollments": 4}),
    ),
    "many ids are walked": (
        [{"user_id": user, "course_id": 71} for user in range(101, 115)],
        *(4, {"course_enrollments": 4}),
    ),
    "one page is one call": (
        *([{"user_id": 101, "course_id": 71}], 200),
        {"course_enrollments": 1},
    ),
    "a course named twice is walked once": (
        [
            {"username": "alice", "course_id": 71},
            {"username": "bob", "course_code": "SAFE"},
            {"username": "carol", "course_id": 71, "course_code": "SAFE"},
        ],
        *(200, {"list_courses": 1, "course_enrollments": 1}),
    ),
    "bad rows cost nothing": ([{"username": "", "course_code": "SAFE"}], 200, {}),
}


@pytest.mark.parametrize("case", ECONOMY.values(), ids=ECONOMY.keys())
def test_economy(
    case: tuple[list[dict[str, Any]], int, dict[str, int]], small_platform: Sandbox, reader: Client
) -> None:
    """A plan asks in the way that takes fewer calls, and never per user."""
    rows, size, calls = case
    before = len(small_platform.calls)
    plan = from_rows(rows).plan(reader.with_options(limits=Limits(page_size=size)))
    assert calls_since(small_platform, before) == calls
    assert plan.counts["rows"] == len(rows)


def test_names_without_usernames_are_searched(harness: Harness, otherwise: Connect) -> None:
    """One name is searched, a few on a long list too; many are found in the list of users."""
    client = otherwise(without("username"))
    found = {}
    for names, size in ((["anna"], 200), (["anna", "bob"], 5), (["anna", "bob"], 200)):
        before = len(harness.sandbox.calls)
        job = for_course(71).users(names)
        plan = job.plan(client.with_options(limits=Limits(page_size=size)))
        assert plan.counts["to_archive"] == len(names)
        found[len(names), size] = calls_since(harness.sandbox, before)["list_users"]
    assert found == {(1, 200): 1, (2, 5): 3, (2, 200): 1}


def test_no_address_is_too_long(harness: Harness) -> None:
    """At most 200 users go into one address, which stays far below 8,000 characters (assumed)."""
    harness.load(450)
    harness.change("UPDATE enrollments SET user_id = user_id + 9000000000")
    harness.change("UPDATE users SET user_id = user_id + 9000000000")
    users = [user for (user,) in harness.sql("SELECT user_id FROM enrollments")]
    client = harness.connect(limits=Limits(freshness=0))
    result = for_course(1).users(users).plan(client).apply(client, ledger=harness.ledger)
    assert result.counts["archived"] == 450
    asked = [
        [name for name, _ in exchange.query if name == "user_id[]"]
        for exchange in harness.line.exchanges
    ]
    assert max(map(len, asked)) == 200
    assert max(len(urlencode(exchange.query)) for exchange in harness.line.exchanges) < 5_500


def test_duration_within_the_hourly_limit(reader: Client) -> None:
    """More calls than are left of the hour are spread evenly, and take hours."""
    client = reader.with_options(calls_per_hour=4_000, limits=Limits(first_poll=60))
    left = client.session.calls_left
    assert left is not None
    assert duration_of({"list_jobs": left - 1}, 11, client) == timedelta(
        seconds=round((left - 1) / 2 + 3 * 60)
    )
    assert duration_of({"list_jobs": 20_000}, 11, client) == timedelta(hours=5)


def test_pre_images(reader: Client) -> None:
    """A chunk holds what was read of each enrollment, and the platform's time of reading."""
    plan = for_course("FIRE").users(["bob"]).plan(reader)
    (chunk,) = plan.chunks
    (member,) = chunk.members
    assert str(member.enrolled_at) == "2025-01-02 03:04:05+00:00"
    assert str(member.completed_at) == "2025-02-03 04:05:06+00:00"
    assert (member.row, member.user_id, member.username, member.score) == (0, 102, "bob", 88.0)
    assert (member.status, member.level) == ("completed", "learner")
    assert (chunk.target.code, chunk.target.title, chunk.target.listed) == ("FIRE", "Course 72", 2)
    assert chunk.read_at == plan.read_at
