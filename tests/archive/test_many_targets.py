"""Many small targets are read in one walk, with the same plan as one walk for each would give."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from archive_tools import from_rows, planned
from plan_tools import UNENROLL, done
from virtual_time import Exchange, Harness, new_harness

from lms_archive import ArchiveJob, ArchivePlan, Limits
from lms_archive.sandbox import PlatformVariant
from lms_archive.wire import Response

SHARED = {
    "course": "/course/v1/courses/enrollments",
    "learning_plan": "/learningplan/v1/learningplans/enrollments",
}
SIZES = (3, 1, 0, 7, 2, 5, 4, 12, 1, 2)
USERS = range(1001, 1013)
SMALL = Limits(page_size=10, hand_picked=10)


def load(harness: Harness) -> None:
    """Ten courses and ten plans of up to 12 learners, a tutor and two who have not completed."""
    harness.sandbox.load(
        users=[{"username": f"u{user}", "user_id": user} for user in range(1001, 1021)],
        courses=[{"code": f"C{number}", "id_course": number} for number in range(1, 11)],
        learning_plans=[
            {"learning_plan_id": number, "code": f"P{number}", "courses": []}
            for number in range(1, 11)
        ],
    )
    for number, size in enumerate(SIZES, start=1):
        people = [done(user_id=user) for user in USERS[:size]]
        people += [done(user_id=1015, enrollment_status="in_progress")]
        tutor = done(user_id=1016, enrollment_level="tutor")
        harness.sandbox.load(
            enrollments=[{**person, "id_course": number} for person in [*people, tutor]],
            learning_plan_enrollments=[{**person, "learning_plan_id": number} for person in people],
        )


def odd_lists(
    harness: Harness,
    *,
    status: int | None = None,
    dropped: Sequence[str] = (),
    alter: Callable[[dict[str, Any]], object] = id,
) -> Callable[..., Response]:
    """Return a transport on which the shared lists are odd.

    Args:
        harness: whose line carries the calls.
        status: answered instead of the list.
        dropped: the parameters that the lists ignore.
        alter: changes the answer.
    """

    def carry(method: str, url: str, headers: Any, params: Any, *rest: Any) -> Response:
        if urlsplit(url).path not in SHARED.values():
            return harness.line(method, url, headers, params, *rest)
        kept = [(name, value) for name, value in params if name not in dropped]
        answer = harness.line(method, url, headers, kept, *rest)
        body = json.loads(answer.body)
        if status is not None:
            body = {"status": status, "name": "no", "message": "no"}
        else:
            alter(body["data"])
        return Response(status or answer.status, answer.headers, json.dumps(body).encode())

    return carry


def without_totals(data: dict[str, Any]) -> None:
    """Let a list not say how long it is."""
    del data["total_count"], data["total_page_count"]


def with_doubles(data: dict[str, Any]) -> None:
    """Let an item come twice, as it does in a list that changes."""
    data["items"] += data["items"][:1]


def without_a_user(data: dict[str, Any]) -> None:
    """Let the user of an item be unreadable."""
    for item in data["items"][:1]:
        item["user_id"] = "nobody"


def without_a_date(data: dict[str, Any]) -> None:
    """Let the date of an enrollment be unreadable."""
    for item in data["items"]:
        if (item["course_id"], item["user_id"]) == (4, 1003):
            item["enrollment_created_at"] = "-0001-11-30"


#: How the shared lists may be, and how many calls may be made to them in vain.
PLATFORMS: dict[str, tuple[dict[str, Any], int]] = {
    "all is well": ({}, 0),
    "no such list": ({"status": 404}, 1),
    "no such method": ({"status": 405}, 1),
    "refused": ({"status": 403}, 1),
    "not understood": ({"status": 400}, 1),
    "ignores users": ({"dropped": ("user_id[]",)}, 1),
    "ignores targets": ({"dropped": ("course_id[]", "learning_plan_id[]")}, 1),
    "ignores both": ({"dropped": ("user_id[]", "course_id[]", "learning_plan_id[]")}, 1),
    "has no totals": ({"alter": without_totals}, 0),
    "never holds still": ({"alter": with_doubles}, 200),
    "has an item without a user": ({"alter": without_a_user}, 200),
    "is not a list": ({"alter": dict.clear}, 1),
}


def rows(kind: str, user: str) -> list[dict[str, Any]]:
    """Every row that could be meant, and some that cannot: by id, by name, or both."""
    cells: dict[str, Callable[[int], dict[str, Any]]] = {
        "ids": lambda number: {"user_id": number},
        "names": lambda number: {"username": f"u{number}"},
        "both": lambda number: {"user_id": number, "username": f"u{number}"},
    }
    return [
        {f"{kind}_id": target, **cells[user](number)}
        for target in range(1, 12)  # there is no target 11
        for number in (1001, 1003, 1004, 1012, 1015, 1016, 1017)
    ]


def everything(kind: str, count: int = 10) -> ArchiveJob:
    """All enrollments of these targets."""
    make = ArchiveJob.for_course if kind == "course" else ArchiveJob.for_learning_plan
    jobs = (make(number, **UNENROLL).all_enrollments() for number in range(1, count + 1))
    return reduce(add, jobs)


JOBS: dict[str, Callable[[str], ArchiveJob]] = {
    "ids": lambda kind: from_rows(rows(kind, "ids")),
    "names": lambda kind: from_rows(rows(kind, "names")),
    "both": lambda kind: from_rows(rows(kind, "both")),
    "everything": everything,
    "everywhere": lambda kind: ArchiveJob.for_users(
        [1001, "u1003", 1012, 1015, 1016, 1017, "nobody"],
        targets="courses" if kind == "course" else "learning_plans",
        **UNENROLL,
    ),
}


def decided(plan: ArchivePlan) -> tuple[Any, ...]:
    """All that a plan decides."""
    chunks = [(chunk.target, chunk.members) for chunk in plan.chunks]
    return chunks, plan.skipped, [dict(row.cells) for row in plan.selection]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A platform for tests that only read."""
    with new_harness(tmp_path_factory.mktemp("many")) as harness:
        load(harness)
        yield harness


def plan_on(harness: Harness, job: ArchiveJob, **odd: Any) -> tuple[ArchivePlan, int, int]:
    """A plan, the calls to the shared lists, and those to the lists of single targets."""
    before = len(harness.line.exchanges)
    plan = job.plan(harness.connect(transport=odd_lists(harness, **odd), limits=SMALL))
    paths = [exchange.path for exchange in harness.line.exchanges[before:]]
    shared = sum(path in SHARED.values() for path in paths)
    return plan, shared, sum(path.endswith("/enrollments") for path in paths) - shared


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
@pytest.mark.parametrize("odd", PLATFORMS.values(), ids=PLATFORMS)
def test_the_plan_is_the_same(
    platform: Harness,
    odd: tuple[dict[str, Any], int],
    job: Callable[[str], ArchiveJob],
    kind: str,
) -> None:
    """Whatever the shared list is like: the plan of reading target by target, in few calls."""
    expected, _, usual = plan_on(platform, job(kind), status=404)
    plan, shared, alone = plan_on(platform, job(kind), **odd[0])
    assert decided(plan) == decided(expected)
    assert len(plan.chunks) > 5
    assert shared + alone <= usual + odd[1]
    if not odd[0]:
        assert shared + alone < usual


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_list_that_ignores_statuses(
    platform: Harness, job: Callable[[str], ArchiveJob], kind: str
) -> None:
    """What is not asked for is skipped with a reason, and the same is archived."""
    expected, plan = (
        plan_on(platform, job(kind), dropped=dropped)[0]
        for dropped in ((), ["enrollment_status[]"])
    )
    assert planned(plan) == planned(expected)
    assert "is in_progress, not completed" in {outcome.reason for outcome in plan.skipped}


def test_a_list_that_is_not_listed_is_not_asked_for(tmp_path: Path) -> None:
    """Where the platform's swagger does not have it."""
    lacking = PlatformVariant(calls={"all_course_enrollments": None})
    with new_harness(tmp_path, variant=lacking) as harness:
        harness.load(2, 2)
        plan = harness.plan(1, 2)
        assert plan.counts["to_archive"] == 4
        assert SHARED["course"] not in {exchange.path for exchange in harness.line.exchanges}


def test_what_was_learned_is_remembered(platform: Harness) -> None:
    """Copies of a client do not ask again for a list that was refused, or ignored a filter."""
    for odd in ({"status": 404}, {"dropped": ("user_id[]",)}):
        client = platform.connect(transport=odd_lists(platform, **odd), limits=SMALL)
        before = len(platform.line.exchanges)
        for _ in range(2):
            ArchiveJob.for_users([1001, 1003], **UNENROLL).plan(client.with_options())
        paths = [exchange.path for exchange in platform.line.exchanges[before:]]
        assert paths.count(SHARED["course"]) == 1
        # With another contract it may be another list.
        fixed = client.session.settings.contract.with_operation("list_jobs", evidence="seen")
        ArchiveJob.for_users([1001], **UNENROLL).plan(client.with_options(contract=fixed))
        paths = [exchange.path for exchange in platform.line.exchanges[before:]]
        assert paths.count(SHARED["course"]) == 2


def test_a_list_that_changes_is_read_again(platform: Harness) -> None:
    """An enrollment that comes between two pages costs another reading, and is in the plan."""
    job = everything("course")
    first = plan_on(platform, job)[0]

    def at_second_page(exchange: Exchange) -> bool:
        return exchange.path == SHARED["course"] and ("page", "2") in exchange.query

    new = [done(user_id=1020, id_course=1)]
    platform.line.once(at_second_page, lambda: platform.sandbox.load(enrollments=new))
    plan, _, alone = plan_on(platform, job)
    platform.unenroll(1, 1020)
    assert plan.counts["to_archive"] == first.counts["to_archive"] + 1
    assert alone == 0


def test_missing_and_empty_targets_differ(platform: Harness) -> None:
    """Nothing found of a course in the shared list is no proof that there is no such course."""
    asked = [{"course_id": course, "user_id": 1012} for course in (1, 2, 8, 99)]
    plan, _, _ = plan_on(platform, from_rows(asked))
    assert [outcome.code for outcome in plan.skipped] == [
        "not_enrolled",
        "not_enrolled",
        "unknown_course",
    ]


def test_large_targets_are_read_on_their_own(harness: Harness) -> None:
    """A long list is divided until what is small is read together, without what is large."""
    harness.load(*(1,) * 16, 200, *(1,) * 15)
    client = harness.connect(limits=Limits(page_size=2, hand_picked=10))
    plan = everything("course", 32).plan(client)
    assert plan.counts["to_archive"] == 231
    # 8 courses for each half without the large one, which costs two first pages of its own.
    assert harness.operations.count("all_course_enrollments") == 1 + 8 + 1 + 4 + 1
    # One more call sees whether the filter of users works.
    assert harness.operations.count("course_enrollments") == 100 + 7 + 1


@pytest.mark.parametrize(
    ("odd", "most"),
    [({}, 14), ({"dropped": ("user_id[]",)}, 130), ({"status": 404}, 130)],
    ids=["all is well", "ignores users", "no such list"],
)
def test_a_few_names_in_many_large_courses(
    harness: Harness, odd: dict[str, Any], most: int
) -> None:
    """Names are looked up once, and read by id, rather than looked for in the whole lists."""
    harness.load(*(100,) * 12)
    asked = [
        {"course_id": course, "username": name}
        for course in (*range(1, 13), 99)
        for name in ("u1001", "u1100", "nobody")
    ]
    client = harness.connect(
        transport=odd_lists(harness, **odd), limits=Limits(page_size=10, hand_picked=10)
    )
    plan = from_rows(asked).plan(client)
    archived = [(course, user) for _, course, user in planned(plan)]
    assert archived == [(course, user) for course in range(1, 13) for user in (1001, 1100)]
    codes = [(outcome.code, outcome.row["course_id"]) for outcome in plan.skipped]
    assert codes == [
        *(("not_enrolled", course) for course in range(1, 13)),
        *[("unknown_course", 99)] * 3,
    ]
    lists = [name for name in harness.operations if name.endswith("course_enrollments")]
    assert len(lists) <= most
    assert harness.operations.count("list_users") <= (5 if not odd else 1)


def test_an_unreadable_enrollment_in_a_shared_list(platform: Harness) -> None:
    """It is skipped where it is, and the others are planned."""
    plan, _, alone = plan_on(platform, JOBS["ids"]("course"), alter=without_a_date)
    bad = [outcome for outcome in plan.skipped if outcome.code == "bad_enrollment"]
    assert [outcome.row for outcome in bad] == [{"course_id": 4, "user_id": 1003}]
    assert plan.counts["to_archive"] == 18
    assert alone == 1  # the course that does not exist


def test_no_address_is_too_long(harness: Harness) -> None:
    """Targets and users share the 200 ids of an address: below 8,000 characters (assumed)."""
    harness.load(*(40,) * 60)
    harness.change("UPDATE enrollments SET user_id = user_id + 9000000000 + 100 * course_id")
    asked = [
        {"course_id": course, "user_id": user}
        for course, user in harness.sql("SELECT course_id, user_id FROM enrollments")
    ]
    plan = from_rows(asked).plan(harness.client)
    assert plan.counts["to_archive"] == 2_400
    shared = [exchange for exchange in harness.line.exchanges if exchange.path == SHARED["course"]]
    assert len(shared) == 15
    assert max(len(urlencode(exchange.query)) for exchange in shared) < 6_000


def test_a_single_target_is_read_on_its_own(harness: Harness) -> None:
    """The shared list would save nothing."""
    harness.load(3)
    harness.check(harness.apply(), archived=3)
    assert "all_course_enrollments" not in harness.operations


# Reading them while a job runs


_CHANGED = "changed since the plan: now in_progress as learner, not as planned; not sent"
WHILE_RUNNING = {
    **{name: odd for name, (odd, _) in PLATFORMS.items()},
    "has an unreadable date": {"alter": without_a_date},
}


@pytest.mark.parametrize("odd", WHILE_RUNNING.values(), ids=WHILE_RUNNING)
def test_the_outcome_is_the_same(harness: Harness, odd: dict[str, Any]) -> None:
    """Whatever the shared list is like while the job runs: what is still as planned is archived."""
    harness.load(3, 2, 1, 4)
    plan = harness.plan()
    harness.time.sleep(Limits().freshness + 1)
    harness.change(
        "UPDATE enrollments SET enrollment_status = 'in_progress' "
        "WHERE course_id = 2 AND user_id = 1002"
    )
    before = len(harness.line.exchanges)
    result = plan.apply(harness.connect(transport=odd_lists(harness, **odd)), ledger=harness.ledger)
    harness.check(result, archived=9, skipped=1)
    (outcome,) = result.skipped
    assert (outcome.code, outcome.reason) == ("changed", _CHANGED)
    if not odd:
        paths = [exchange.path for exchange in harness.line.exchanges[before:]]
        assert paths.count(SHARED["course"]) == 2  # before the writes, and to read back


def test_a_shared_reading_says_nothing_of_users_that_it_did_not_ask_for(harness: Harness) -> None:
    """A call is lost, and the last chunk of its course is read beside another course meanwhile.

    That reading says nothing about the chunk that is sent again: its users are still enrolled.
    """
    harness.load(8, 8, 2)
    limits = Limits(hand_picked=3)
    client = harness.connect(limits=limits)
    plan = harness.job().plan(client)
    harness.time.sleep(limits.freshness + 1)
    harness.sandbox.faults.add("cut_before", method="PUT", after=2)
    harness.check(plan.apply(client, ledger=harness.ledger), archived=18)
