"""Many small targets are read in one walk, with the same plan as one walk for each would give."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from plan_tools import UNENROLL, done
from virtual_time import Exchange, Harness, VirtualTime

from lms_archive import ArchiveJob, ArchivePlan, Client, Limits
from lms_archive.archive.target.many import read_active_together
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.sandbox import PlatformVariant, Sandbox
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
            enrollments=[{**one, "id_course": number} for one in [*people, tutor]],
            learning_plan_enrollments=[{**user, "learning_plan_id": number} for user in people],
        )


class Odd:
    """A transport on which the shared lists answer otherwise.

    Args:
        harness: whose line carries the calls.
        status: answered instead of the list.
        dropped: the parameters that the lists ignore.
        alter: changes the answer.
    """

    def __init__(
        self,
        harness: Harness,
        *,
        status: int | None = None,
        dropped: Sequence[str] = (),
        alter: Callable[[dict[str, Any]], object] = id,
    ) -> None:
        self._harness, self._status, self._dropped, self._alter = harness, status, dropped, alter

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        """Carry one exchange."""
        if urlsplit(url).path not in SHARED.values():
            return self._harness.line(method, url, headers, params, body, timeout)
        kept = [(name, value) for name, value in params if name not in self._dropped]
        answer = self._harness.line(method, url, headers, kept, body, timeout)
        if self._status is not None:
            text = json.dumps({"status": self._status, "name": "no", "message": "no"})
            return Response(self._status, answer.headers, text.encode())
        data = json.loads(answer.body)
        self._alter(data["data"])
        return Response(answer.status, answer.headers, json.dumps(data).encode())


def without_totals(data: dict[str, Any]) -> None:
    """Let a list not say how long it is."""
    del data["total_count"], data["total_page_count"]


def with_doubles(data: dict[str, Any]) -> None:
    """Let an item come twice, as it does in a list that changes."""
    data["items"] += data["items"][:1]


def nobodys(data: dict[str, Any]) -> None:
    """Let the user of an item be unreadable."""
    for item in data["items"][:1]:
        item["user_id"] = "somebody"


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
    "has an item of nobody": ({"alter": nobodys}, 200),
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


def everything(kind: str) -> ArchiveJob:
    """All enrollments of ten targets."""
    make = ArchiveJob.for_course if kind == "course" else ArchiveJob.for_learning_plan
    return added(make(number, **UNENROLL).all_enrollments() for number in range(1, 11))


def added(jobs: Iterable[ArchiveJob]) -> ArchiveJob:
    """One job of several."""
    return reduce(add, jobs)


JOBS: dict[str, Callable[[str], ArchiveJob]] = {
    "ids": lambda kind: ArchiveJob.from_rows(rows(kind, "ids"), **UNENROLL),
    "names": lambda kind: ArchiveJob.from_rows(rows(kind, "names"), **UNENROLL),
    "both": lambda kind: ArchiveJob.from_rows(rows(kind, "both"), **UNENROLL),
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
    time = VirtualTime()
    with Sandbox(clock=time, job_seconds=3) as sandbox:
        harness = Harness(sandbox, time, tmp_path_factory.mktemp("many"))
        load(harness)
        yield harness
        harness.line.close()


def plan_on(harness: Harness, job: ArchiveJob, **odd: Any) -> tuple[ArchivePlan, int, int]:
    """A plan, the calls to the shared lists, and those to the lists of single targets."""
    before = len(harness.line.exchanges)
    plan = job.plan(harness.connect(transport=Odd(harness, **odd), limits=SMALL))
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
    archived, expected_there = (
        [
            (chunk.target.key, [outcome.user_id for outcome in chunk.members])
            for chunk in outcome.chunks
        ]
        for outcome in (plan, expected)
    )
    assert archived == expected_there
    assert "is in_progress, not completed" in {outcome.reason for outcome in plan.skipped}


def test_a_list_that_is_not_listed_is_not_asked_for(tmp_path: Path) -> None:
    """Where the platform's swagger does not have it."""
    time = VirtualTime()
    foreign = PlatformVariant(calls={"all_course_enrollments": None})
    with Sandbox(clock=time, variant=foreign) as sandbox:
        harness = Harness(sandbox, time, tmp_path)
        harness.load(2, 2)
        plan = harness.plan(1, 2)
        assert plan.counts["to_archive"] == 4
        assert SHARED["course"] not in {exchange.path for exchange in harness.line.exchanges}
        harness.line.close()


def test_what_was_learned_is_remembered(platform: Harness) -> None:
    """Copies of a client do not ask again for a list that was refused, or ignored a filter."""
    for odd in ({"status": 404}, {"dropped": ("user_id[]",)}):
        client = platform.connect(transport=Odd(platform, **odd), limits=SMALL)
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
    asked = [{"course_id": one, "user_id": 1012} for one in (1, 2, 8, 99)]
    plan, _, _ = plan_on(platform, ArchiveJob.from_rows(asked, **UNENROLL))
    assert [outcome.code for outcome in plan.skipped] == [
        "not_enrolled",
        "not_enrolled",
        "unknown_course",
    ]


def test_large_targets_are_read_on_their_own(harness: Harness) -> None:
    """A long list is divided until what is small is read together, without what is large."""
    harness.load(*(1,) * 16, 200, *(1,) * 15)
    client = harness.connect(limits=Limits(page_size=2, hand_picked=10))
    courses = (ArchiveJob.for_course(number, **UNENROLL) for number in range(1, 33))
    plan = added(course.all_enrollments() for course in courses).plan(client)
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
        transport=Odd(harness, **odd), limits=Limits(page_size=10, hand_picked=10)
    )
    plan = ArchiveJob.from_rows(asked, **UNENROLL).plan(client)
    archived = [
        (chunk.target.target_id, [m.user_id for m in chunk.members]) for chunk in plan.chunks
    ]
    assert archived == [(course, [1001, 1100]) for course in range(1, 13)]
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

    def alter(data: dict[str, Any]) -> None:
        for item in data["items"]:
            if (item["course_id"], item["user_id"]) == (4, 1003):
                item["enrollment_created_at"] = "-0001-11-30"

    plan, _, alone = plan_on(platform, JOBS["ids"]("course"), alter=alter)
    bad = [outcome for outcome in plan.skipped if outcome.code == "bad_enrollment"]
    assert [one.row for one in bad] == [{"course_id": 4, "user_id": 1003}]
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
    plan = ArchiveJob.from_rows(asked, **UNENROLL).plan(harness.client)
    assert plan.counts["to_archive"] == 2_400
    shared = [exchange for exchange in harness.line.exchanges if exchange.path == SHARED["course"]]
    assert len(shared) == 15
    assert max(len(urlencode(one.query)) for one in shared) < 6_000


# Reading them after they were sent


def read(client: Client, wanted: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """The users that are found, by course."""
    targets = {PlannedTarget(kind="course", target_id=one): two for one, two in wanted.items()}
    found = read_active_together(client, targets)
    return {course: sorted(users) for (_, course), users in found.items()}


def test_active_enrollments_of_many_courses(platform: Harness) -> None:
    """Of those who are asked for, whatever their state, and whether or not there are any."""
    before = len(platform.line.exchanges)
    wanted = {1: [1001, 1015], 3: [1001], 4: [1007, 1008], 99: [1001]}
    assert read(platform.client, wanted) == {1: [1001, 1015], 3: [], 4: [1007], 99: []}
    shared = [
        exchange
        for exchange in platform.line.exchanges[before:]
        if exchange.path == SHARED["course"]
    ]
    assert len(shared) == 1


def test_what_is_not_read_together_is_left_out(platform: Harness) -> None:
    """A single target, one with too many users, and all where the list cannot be used."""
    assert read(platform.client, {1: [1001]}) == {}
    assert read(platform.client, {}) == {}
    assert read(platform.client, {1: range(1001, 1300), 2: [1001], 3: [1001]}).keys() == {2, 3}
    lacking = platform.connect(transport=Odd(platform, status=404))
    assert read(lacking, {1: [1001], 2: [1001]}) == {}


def test_a_date_that_cannot_be_read(platform: Harness) -> None:
    """Its course is left out, so that reading it on its own reports that."""

    def alter(data: dict[str, Any]) -> None:
        for item in data["items"]:
            if item["course_id"] == 2:
                item["enrollment_created_at"] = "-0001-11-30"

    client = platform.connect(transport=Odd(platform, alter=alter))
    assert read(client, {1: [1001], 2: [1001], 4: [1001]}) == {1: [1001], 4: [1001]}


def test_a_shared_courses_rule_speaks_only_of_the_users_that_it_asked_for(harness: Harness) -> None:
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
