"""Lists of the platform: read when wanted, as often as wanted, and put into tables."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import read_csv
from virtual_time import VirtualTime

from lms_archive import ApiError, ArchiveJob, Client, InvalidInputError, Limits
from lms_archive.errors import NotFoundError
from lms_archive.records import Record
from lms_archive.resources import Listing
from lms_archive.sandbox import Sandbox
from lms_archive.tables.columns import columns_of

DONE = {"enrollment_status": "completed", "enrollment_created_at": "2025-01-02 03:04:05"}
USERS = range(1001, 1046)


@pytest.fixture(scope="module")
def platform() -> Iterator[tuple[Sandbox, VirtualTime]]:
    """45 users in course 1 and plan 5; ten of them were archived in both; the rest is active."""
    time = VirtualTime()
    with Sandbox(clock=time, job_seconds=0) as sandbox:
        sandbox.load(
            users=[
                {
                    "user_id": user,
                    "username": "<b>bold</b>" if user == 1001 else f"u{user}",
                    "last_access_date": None if user < 1004 else f"{user + 979}-01-01 00:00:00",
                }
                for user in USERS
            ],
            courses=[{"id_course": 1, "code": "C1"}, {"id_course": 2, "code": "C2"}],
            learning_plans=[{"learning_plan_id": 5, "code": "P5", "courses": "C2"}],
            enrollments=[{"user_id": user, "id_course": 1, **DONE} for user in USERS],
            learning_plan_enrollments=[
                {"user_id": user, "learning_plan_id": 5, **DONE} for user in USERS
            ],
        )
        with time.wire(sandbox.client(calls_per_hour=None)) as client:
            paths = {"/learn/v1/enrollments": "user_id"}
            paths["/learningplan/v1/learningplans/5/enrollments"] = "user_ids"
            for path, users in paths.items():
                body: dict[str, Any] = {users: [*USERS[:10]], "enrollment_mode": "delete"}
                client.request("PUT", path, json=body | {"course_id": [1]})
        time.sleep(60)
        yield sandbox, time


@pytest.fixture
def client(platform: tuple[Sandbox, VirtualTime]) -> Iterator[Client]:
    """A client that reads 20 a page."""
    sandbox, time = platform
    found = sandbox.client(calls_per_hour=None, limits=Limits(page_size=20))
    with time.wire(found) as client:
        yield client


LISTS: dict[str, tuple[Callable[[Client], Listing[Any]], int]] = {
    "courses": (lambda client: client.courses.list(), 2),
    "learning plans": (lambda client: client.learning_plans.list(), 1),
    "courses of a plan": (lambda client: client.learning_plans.courses(5), 1),
    "users": (lambda client: client.users.list(), 45),
    "inactive users": (lambda client: client.users.inactive(since=timedelta(days=3650)), 34),
    "in course": (lambda client: client.enrollments.in_course(1), 35),
    "in plan": (lambda client: client.enrollments.in_learning_plan(5), 35),
    "archived in course": (lambda client: client.archived.in_course(1), 10),
    "archived in plan": (lambda client: client.archived.in_learning_plan(5), 10),
    "jobs": (lambda client: client.background_jobs.list(), 2),
}


def calls_of(client: Client) -> int:
    """How many calls were calls_of, the login aside."""
    return sum(number for name, number in client.session.calls.items() if name != "token")


every_list = pytest.mark.parametrize("name", LISTS)


@every_list
def test_a_list_is_a_table(client: Client, tmp_path: Path, name: str) -> None:
    """Records, DataFrame and CSV have the same rows, and the columns of the page."""
    make, size = LISTS[name]
    found = make(client)
    records = list(found)
    assert len(records) == size
    assert all(isinstance(record, Record) for record in records)
    names = [record.name for record in columns_of(type(records[0]))]
    frame = found.to_pandas()
    assert (len(frame), list(frame.columns)) == (size, names)
    found.to_csv(tmp_path / "list.csv")
    rows = read_csv(tmp_path / "list.csv")
    assert (len(rows), list(rows[0])) == (size, names)


@every_list
def test_a_list_is_read_again_by_each_loop(client: Client, name: str) -> None:
    """Nothing is asked before the first loop, and each loop gives all."""
    found = LISTS[name][0](client)
    assert calls_of(client) == 0
    first = list(found)
    once = calls_of(client)
    assert first == list(found)
    assert calls_of(client) == 2 * once > 0


@every_list
def test_a_list_shows_a_page(client: Client, name: str) -> None:
    """One call, at most thirty rows, the platform's total where it has one."""
    make, size = LISTS[name]
    found = make(client)
    html = found._repr_html_()
    assert calls_of(client) == 1
    cls = type(next(iter(found))).__name__
    shown, count = min(size, 20), f"{min(size, 20)} of {size} records" if size > 20 else None
    if name == "inactive users":  # three never logged in, and stand at the front of the page
        shown, count = 17, "the first 17 records; the total is unknown"
    total = count or f"{size} record{'' if size == 1 else 's'}"
    assert f"<strong>{cls}: {total}</strong>" in html
    assert html.count("<tr>") == shown + 1
    assert "<b>" not in html
    assert repr(found) == f"<Listing of {cls}: read when it is iterated>"


def test_an_empty_list_has_columns_and_types(client: Client) -> None:
    """It has columns and types, and says that it is empty; no filter that lets nothing in asks."""
    for empty in (
        client.archived.in_course(2),
        client.archived.in_course(1, user_ids=[]),
        client.archived.in_course(1, user_ids=iter([999])),
    ):
        assert "ArchivedCourseEnrollment: 0 records" in empty._repr_html_()
        frame = empty.to_pandas()
        assert len(frame) == 0
        assert str(frame["archived_at"].dtype) == "datetime64[us, UTC]"


def test_a_list_that_fails_is_no_short_table(
    client: Client, platform: tuple[Sandbox, VirtualTime], tmp_path: Path
) -> None:
    """A page that does not come is an error, and leaves no file."""
    found = client.users.list()
    platform[0].faults.add("status", status=400, body={}, operation="list_users", after=1)
    with pytest.raises(ApiError):
        found.to_csv(tmp_path / "users.csv")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFoundError):
        client.archived.in_course(99).to_pandas()


def test_an_iterator_of_ids_serves_every_reading(client: Client) -> None:
    """Ids that can be iterated once only are kept."""
    found = client.enrollments.in_course(1, user_ids=iter(USERS[8:12]))
    assert (
        [record.user_id for record in found] == [record.user_id for record in found] == [1011, 1012]
    )


def test_a_list_is_input_of_a_job(client: Client) -> None:
    """A list, or the table of it, is what a job is made of."""
    found = client.enrollments.in_course(1, user_ids=[1011, 1012])
    terms: dict[str, Any] = {"mode": "unenroll", "reset_tracking": False}
    table = found.to_pandas()[["user_id", "course_id", "status"]]
    for rows in (found, table):
        plan = ArchiveJob.from_rows(rows, **terms).plan(client)
        assert plan.counts["to_archive"] == 2
    users = client.users.inactive(since=timedelta(days=3650))
    job = ArchiveJob.for_course(1, **terms).users(users)
    assert job.row_count == 34


def test_arguments_are_checked_at_once(client: Client) -> None:
    """What cannot be asked is refused where it is written, not where it is read."""
    with pytest.raises(InvalidInputError):
        client.users.inactive(since=timedelta(days=-1))
    with pytest.raises(InvalidInputError):
        client.archived.in_course(1, archived_from="yesterday")  # type: ignore[arg-type]


def test_the_first_records_of_a_list(platform: tuple[Sandbox, VirtualTime], client: Client) -> None:
    """`head` reads the pages that hold them, and no more."""
    users = client.users.list()
    client.users.me()  # logs in
    before = len(platform[0].calls)
    assert [user.user_id for user in users.head(3)] == list(USERS[:3])
    assert len(platform[0].calls) - before == 1
    assert users.head(0) == []
    assert len(platform[0].calls) - before == 1
    assert len(users.head(30)) == 30
    assert len(users.head(1000)) == len(list(users))
    for count in (-1, 2.0, True, "5"):
        with pytest.raises(InvalidInputError, match="count must be a whole number"):
            users.head(count)  # type: ignore[arg-type]
