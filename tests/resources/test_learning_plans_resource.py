"""Learning plans, who is enrolled in them, and what was archived in them, on a real platform."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from virtual_time import START, VirtualTime

from lms_archive import Client, Contract, InvalidInputError, Limits
from lms_archive.errors import NotFoundError, UnexpectedResponseError
from lms_archive.records import EnrollmentStatus, LearningPlanEnrollment
from lms_archive.sandbox import Sandbox

utc = timezone.utc
ENROLLED = "2025-01-02 03:04:05"
PATH = "/learningplan/v1/learningplans/{}/enrollments"
ARCHIVER = 2_000_000_001
DAYS = [START + timedelta(days=i) for i in range(4)]


@pytest.fixture(scope="module")
def platform() -> Iterator[tuple[Sandbox, VirtualTime]]:
    """Plans 50, 60 and two called TWIN; in 50 a user was archived on each of four days."""
    time = VirtualTime()
    with Sandbox(clock=time, job_seconds=0) as sandbox:
        _fill(sandbox)
        with time.wire(sandbox.client(calls_per_hour=None)) as client:
            for user in range(1001, 1005):
                body = {"user_ids": [user], "enrollment_mode": "delete"}
                client.request("PUT", PATH.format(50), json=body)
                time.sleep(86_400)
        yield sandbox, time


def _fill(sandbox: Sandbox) -> None:
    done = {
        "enrollment_status": "completed",
        "enrollment_created_at": ENROLLED,
        "enrollment_completion_date": "2025-02-03 04:05:06",
        "enrollment_time_spent": 600,
    }
    users = range(1001, 1008)
    plans = [(50, "OWN", "C1,C4"), (60, "SHARED", "C2,C3"), (70, "TWIN", ""), (71, "TWIN", "C3")]
    sandbox.load(
        users=[
            {"username": f"u{u}", "user_id": u, "status": "0" if u == 1002 else "1"}
            for u in (*users, 1100)
        ],
        courses=[{"code": f"C{i}", "id_course": i, "name": f"Course {i}"} for i in range(1, 6)],
        learning_plans=[
            {"learning_plan_id": i, "code": code, "title": f"Plan {i}", "courses": held or []}
            for i, code, held in plans
        ],
        enrollments=[{"user_id": u, "id_course": c, **done} for u in users for c in (1, 2)],
        learning_plan_enrollments=[
            *({"user_id": u, "learning_plan_id": p, **done} for u in users for p in (50, 60)),
            {"user_id": 1100, "learning_plan_id": 60, "enrollment_status": "in_progress"},
        ],
    )


@pytest.fixture
def client(platform: tuple[Sandbox, VirtualTime]) -> Iterator[Client]:
    """A client that reads two items a page."""
    sandbox, time = platform
    with sandbox.client(calls_per_hour=None, limits=Limits(page_size=2)) as client:
        yield time.wire(client)


def test_every_plan_is_listed_and_read_by_its_id(client: Client) -> None:
    """Every plan once, page by page; one by id alike."""
    plans = {plan.learning_plan_id: plan for plan in client.learning_plans.list()}
    assert list(plans) == [50, 60, 70, 71]
    plan = plans[50]
    assert (plan.code, plan.title, plan.courses_count, plan.is_published) == (
        "OWN",
        "Plan 50",
        2,
        True,
    )
    assert client.learning_plans.get(50) == plan
    with pytest.raises(NotFoundError):
        client.learning_plans.get(99)


def test_courses_of_a_plan_and_plans_of_a_course(client: Client) -> None:
    """Both ways, as they stand; a plan without courses has none."""
    assert [course.code for course in client.learning_plans.courses(60)] == ["C2", "C3"]
    assert list(client.learning_plans.courses(70)) == []
    assert sorted(client.learning_plans.of_course(3)) == [60, 71]
    assert client.learning_plans.of_course(5) == ()
    for missing in (
        lambda: list(client.learning_plans.courses(99)),
        lambda: client.learning_plans.of_course(99),
    ):
        with pytest.raises(NotFoundError):
            missing()


def test_plans_of_a_course_that_cannot_be_read(
    platform: tuple[Sandbox, VirtualTime],
) -> None:
    """No list of plans is an error that names the place, not "no plans"."""
    wrong = Contract.default().with_operation(
        "get_course", answer={"learning_plans": "data.no_such_list"}
    )
    with platform[0].client(contract=wrong, calls_per_hour=None) as client:
        platform[1].wire(client)
        with pytest.raises(UnexpectedResponseError, match="no_such_list"):
            client.learning_plans.of_course(2)


def test_the_enrollments_of_a_plan(client: Client) -> None:
    """Status, date, time spent and percentage come, though only on demand (seen)."""
    found = list(client.enrollments.in_learning_plan(60))
    assert [enrollment.user_id for enrollment in found] == [*range(1001, 1008), 1100]
    assert found[0] == LearningPlanEnrollment(
        user_id=1001,
        learning_plan_id=60,
        username="u1001",
        learning_plan_code="SHARED",
        learning_plan_title="Plan 60",
        status=EnrollmentStatus.COMPLETED,
        level=found[0].level,
        percentage=100.0,
        time_spent=600,
        enrolled_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=utc),
        enrolled_by=found[0].enrolled_by,
        completed_at=datetime(2025, 2, 3, 4, 5, 6, tzinfo=utc),
        updated_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=utc),
        extra=found[0].extra,
    )


@pytest.mark.parametrize(
    ("filters", "users"),
    [
        ({"user_ids": [1003, 1100, 9]}, [1003, 1100]),
        ({"status": EnrollmentStatus.IN_PROGRESS}, [1100]),
        ({"status": "in_progress", "user_ids": [1001]}, []),
    ],
)
def test_the_enrollments_of_a_plan_are_filtered(
    client: Client, filters: dict[str, Any], users: list[int]
) -> None:
    """By user and by state."""
    found = client.enrollments.in_learning_plan(60, **filters)
    assert [enrollment.user_id for enrollment in found] == users
    with pytest.raises(NotFoundError):
        next(iter(client.enrollments.in_learning_plan(99)))


ARCHIVED: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1001, 1002, 1003, 1004]),
    ({"archived_from": DAYS[1]}, [1002, 1003, 1004]),
    ({"archived_to": DAYS[1]}, [1001, 1002]),
    ({"archived_from": DAYS[1], "archived_to": DAYS[2]}, [1002, 1003]),
    ({"archived_from": DAYS[1].astimezone(timezone(timedelta(hours=9)))}, [1002, 1003, 1004]),
    ({"user_ids": [1001, 1004, 1007]}, [1001, 1004]),
    ({"user_status": "1"}, [1001, 1003, 1004]),
    ({"user_status": "0"}, [1002]),
    ({"archived_by": [999]}, []),
    ({"archived_by": [ARCHIVER, 999]}, [1001, 1002, 1003, 1004]),
    ({"user_status": "1", "archived_from": DAYS[1], "user_ids": [1001, 1003]}, [1003]),
]


@pytest.mark.parametrize(("filters", "users"), ARCHIVED)
def test_archived_enrollments_have_the_filters_of_the_screen(
    client: Client, filters: dict[str, Any], users: list[int]
) -> None:
    """Every filter of the screen, of the plan and of a course that went with it alike."""
    plans = list(client.archived.in_learning_plan(50, **filters))
    assert [record.user.user_id for record in plans] == users
    assert {record.learning_plan.learning_plan_id for record in plans} <= {50}
    courses = list(client.archived.in_course(1, **filters))
    assert [record.user.user_id for record in courses] == users
    with pytest.raises(NotFoundError):
        next(iter(client.archived.in_learning_plan(99)))
    assert {record.learning_plan_id for record in courses} <= {50}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"archived_from": DAYS[2], "archived_to": DAYS[1]}, "is after archived_to"),
        ({"archived_from": datetime(2026, 1, 1)}, "archived_from needs a time zone"),  # noqa: DTZ001
        ({"archived_to": datetime(2026, 1, 1)}, "archived_to needs a time zone"),  # noqa: DTZ001
        *(
            ({"user_status": status}, r"user_status must be '1' \(active\) or '0' \(suspended\)")
            for status in ("", "active", True, 1, ["1"])
        ),
        *(
            ({name: [1001, value]}, rf"{name}\[1\] must be an id, a whole number")
            for name in ("user_ids", "archived_by")
            for value in (True, "ada", "1001", 1001.0, None, -1)
        ),
        ({"archived_from": "2025"}, "archived_from must be an aware datetime, not '2025'"),
    ],
)
def test_a_wrong_filter_is_refused_before_any_call(
    client: Client, platform: tuple[Sandbox, VirtualTime], filters: dict[str, Any], words: str
) -> None:
    """Refused before any call."""
    before = len(platform[0].calls)
    with pytest.raises(InvalidInputError, match=words):
        next(iter(client.archived.in_learning_plan(50, **filters)))
    with pytest.raises(InvalidInputError, match=words):
        next(iter(client.archived.in_course(1, **filters)))
    assert len(platform[0].calls) == before
