"""Reading the lists of a target whole: moving pages, ignored filters, unreadable values."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from virtual_time import START, Exchange, Harness

from lms_archive import Client, Limits
from lms_archive.archive.target.complete import read_complete, read_once
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.values.chunks import PlannedTarget
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records import EnrollmentStatus
from lms_archive.records.active import CourseEnrollment
from lms_archive.wire import Response
from lms_archive.wire.pages import Page

COURSE = PlannedTarget(kind="course", target_id=1)
COMPLETED = (EnrollmentStatus.COMPLETED,)
Alter = Callable[[dict[str, Any]], object]


class Otherwise:
    """A transport on top of another that drops parameters, and changes the items of lists."""

    def __init__(
        self,
        harness: Harness,
        dropped: tuple[str, ...] = (),
        alter: Alter = id,
        *,
        key: str = "items",
    ) -> None:
        self._harness, self._dropped, self._alter, self._key = harness, dropped, alter, key

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
        kept = [(name, value) for name, value in params if name not in self._dropped]
        answer = self._harness.line(method, url, headers, kept, body, timeout)
        data = json.loads(answer.body)
        if isinstance(data.get("data"), dict) and self._key in data["data"]:
            self.change(data["data"])
        return Response(answer.status, answer.headers, json.dumps(data).encode())

    def change(self, data: dict[str, Any]) -> None:
        """Change the data of a list."""
        for item in data["items"]:
            self._alter(item)


def connect(harness: Harness, *dropped: str, alter: Alter = id, size: int = 4) -> Client:
    """A client of a platform that ignores these parameters, and answers other items."""
    return harness.connect(
        transport=Otherwise(harness, dropped, alter),
        limits=Limits(page_size=size, hand_picked=size),
    )


def lists(client: Client) -> TargetLists:
    """The lists of course 1."""
    return TargetLists(client, COURSE)


@pytest.fixture
def nine(harness: Harness) -> Callable[[], list[int]]:
    """Reads a course of nine enrollments, four a page, and returns the users."""
    harness.load(9)
    client = harness.connect(limits=Limits(page_size=4))
    return lambda: [item.user_id for item in lists(client).active().items]


def _at_page(number: str) -> Callable[[Exchange], bool]:
    return lambda exchange: ("page", number) in exchange.query


def _pages_asked(harness: Harness) -> list[str]:
    return [
        dict(exchange.query)["page"]
        for exchange in harness.line.exchanges
        if "page_size" in str(exchange.query)
    ]


def _users_asked(harness: Harness) -> list[int]:
    """How many users each list was filtered by."""
    queries = [exchange.query for exchange in harness.line.exchanges if exchange.method == "GET"]
    return [sum(name == "user_id[]" for name, _ in query) for query in queries]


def test_an_item_that_left_is_noticed(harness: Harness, nine: Callable[[], list[int]]) -> None:
    """An item left between two pages and another slipped past: read again, all is there."""
    harness.line.once(_at_page("2"), lambda: harness.unenroll(1, 1001))
    assert nine() == list(range(1002, 1010))
    assert _pages_asked(harness)[-2:] == ["1", "2"]


def test_an_item_that_came_is_noticed(harness: Harness, nine: Callable[[], list[int]]) -> None:
    """An item came before the page at hand, and another comes twice: read again."""
    harness.line.once(
        _at_page("2"),
        lambda: harness.sandbox.load(
            users=[{"username": "first", "user_id": 5}],
            enrollments=[{"user_id": 5, "id_course": 1, "enrollment_status": "completed"}],
        ),
    )
    assert nine() == [5, *range(1001, 1010)]


def test_the_third_reading_is_the_last(harness: Harness, nine: Callable[[], list[int]]) -> None:
    """A list that never stands still is an error, not a guess."""

    def move(exchange: Exchange) -> None:
        if _at_page("2")(exchange):
            query = "DELETE FROM enrollments WHERE user_id = "
            harness.change(f"{query} (SELECT min(user_id) FROM enrollments)")

    harness.line.before.append(move)
    with pytest.raises(UnexpectedResponseError, match="read 3 times and never whole") as caught:
        nine()
    assert "the list changed while it was being read; try again later" in str(caught.value)
    assert _pages_asked(harness).count("1") == 3


def test_the_time_is_the_platforms(harness: Harness) -> None:
    """A reading began when the platform says so, by the header of its first page."""
    harness.load(9)
    harness.time.sleep(100)
    begun = harness.time.now()
    client = harness.connect(limits=Limits(page_size=4))
    harness.line.after.append(lambda _: harness.time.sleep(5))
    read = lists(client).active()
    assert 0 <= (read.read_at - begun).total_seconds() <= 6


def test_without_a_date_nothing_can_be_proven() -> None:
    """A platform, or a proxy, that sends no Date header is refused."""
    page = Page[CourseEnrollment]([], 0, 1, None, "/path")
    with pytest.raises(UnexpectedResponseError, match="no Date header"):
        read_complete(lambda: iter([page]), lambda item: item.user_id)


def test_a_platform_that_does_not_count_is_believed() -> None:
    """Without a total, distinct items are all that can be checked."""
    item = CourseEnrollment(user_id=1, course_id=1)
    page = Page([item], None, None, START, "/path")
    assert read_complete(lambda: iter([page]), lambda item: item.user_id).items == [item]


@pytest.mark.parametrize(
    ("users", "totals", "flaw"),
    [
        ([1, 2, 3], [3, 3], ""),
        ([1, 2, 2], [3, 3], "3 items, 2 of them distinct, where the total is 3"),
        ([1, 2, 3], [3, 4], "3 items, 3 of them distinct, where the total is 3 or 4"),
        ([1, 2, 3], [None, 2], "3 items, 3 of them distinct, where the total is 2"),
        ([1, 1, 3], [None, None], "3 items, 2 of them distinct, where the total is none"),
    ],
)
def test_what_shows_that_a_list_is_not_whole(
    users: list[int], totals: list[int | None], flaw: str
) -> None:
    """An item that comes twice, or any page with another total."""
    items = [CourseEnrollment(user_id=user, course_id=1) for user in users]
    pages = [
        Page(items[:2], totals[0], None, START, "/path"),
        Page(items[2:], totals[1], None, START, "/path"),
    ]
    assert read_once(iter(pages), lambda item: item.user_id).flaw == flaw


def test_users_are_asked_for_a_page_a_call(harness: Harness) -> None:
    """Nine of twenty users at four a page are three calls; others do not come."""
    harness.load(20)
    client = harness.connect(limits=Limits(page_size=4))
    wanted = list(range(1001, 1010))
    read = lists(client).active(users=wanted, statuses=COMPLETED)
    assert [item.user_id for item in read.items] == wanted
    assert _users_asked(harness) == [4, 4, 1]
    assert lists(client).active_by_user([]) == {}
    assert lists(client).archived(users=[], since=START) == {}
    assert len(_users_asked(harness)) == 3


def test_an_ignored_filter_is_noticed_on_the_first_page(harness: Harness) -> None:
    """Where others come, the whole list is read once for all, and no filter is tried again."""
    harness.load(20)
    client = connect(harness, "user_id[]")
    wanted = list(range(1010, 1019))
    for calls in (1 + 5, 5):
        before = len(_pages_asked(harness))
        assert sorted(lists(client).active_by_user(wanted)) == wanted
        assert len(_pages_asked(harness)) - before == calls
    other_copy = client.with_options()
    assert lists(other_copy).ignores_users(1001)
    assert len(_pages_asked(harness)) == 11


def test_a_filter_that_works_is_asked_about_each_time(harness: Harness) -> None:
    """One call shows whether others come."""
    harness.load(20)
    assert not lists(harness.client).ignores_users(1001)
    assert lists(connect(harness, "user_id[]")).ignores_users(1001)
    assert _pages_asked(harness) == ["1", "1"]


def test_one_call_for_users_needs_no_second_reading(harness: Harness) -> None:
    """Users who fit into one call are found in whatever comes, without beginning again."""
    harness.load(20)
    client = connect(harness, "user_id[]")
    assert sorted(lists(client).active_by_user([1001, 1020])) == [1001, 1020]
    assert _pages_asked(harness) == ["1", "2", "3", "4", "5"]


def test_ignored_filters_of_archived_records(harness: Harness) -> None:
    """Records of others, or from before, are dropped; the list is read once for all users."""
    harness.load(12)
    harness.apply(harness.plan(1, users=range(1001, 1011)))
    client = connect(harness, "user_id[]", "archived_from")
    wanted = list(range(1003, 1009))
    assert sorted(lists(client).archived(users=wanted, since=START)) == wanted
    later = harness.time.now() + timedelta(hours=1)
    assert lists(client).archived(users=wanted, since=later) == {}
    assert lists(client).archived_total(1001) == 10
    working = connect(harness)
    assert len(lists(working).archived(users=wanted, since=START)) == 6
    assert lists(working).archived_total(1001) == 0


def test_archived_records_are_found_in_few_calls(harness: Harness) -> None:
    """One page of a short list instead of a call for each page of users."""
    harness.load(12)
    harness.apply(harness.plan(1, users=[1001, 1002, 1011]))
    client = connect(harness)
    wanted = [1002, *range(1004, 1013)]
    before = len(_pages_asked(harness))
    assert sorted(lists(client).find_archived(wanted, since=START)) == [1002, 1011]
    assert sorted(lists(client).find_archived([1002], since=START)) == [1002]
    assert len(_pages_asked(harness)) - before == 2
    plan = harness.plan(1, users=range(1003, 1008))
    plan.apply(harness.client, ledger=harness.folder / "second.sqlite")
    few = list(range(1004, 1010))
    assert sorted(lists(client).find_archived(few, since=START)) == [1004, 1005, 1006, 1007]


def test_the_whole_list_in_some_states_is_read_where_it_is_shorter(harness: Harness) -> None:
    """Where few are left, they are fewer calls than asking for all who may have gone."""
    harness.load(6)
    client = connect(harness)
    wanted = list(range(1003, 1023))
    read = lists(client).active_by_user(wanted, statuses=COMPLETED, expected=6)
    assert sorted(read) == [1003, 1004, 1005, 1006]
    assert _users_asked(harness) == [0, 0]


def test_users_are_asked_for_where_the_whole_list_changes(harness: Harness) -> None:
    """A list that changes while it is read is not read again: the users are asked for."""
    harness.load(12)
    client = connect(harness)
    harness.line.once(_at_page("2"), lambda: harness.unenroll(1, 1001))
    wanted = list(range(1003, 1023))
    read = lists(client).active_by_user(wanted, statuses=COMPLETED, expected=6)
    assert sorted(read) == list(range(1003, 1013))
    assert _users_asked(harness) == [0, 0, 0, 4, 4, 4, 4, 4]


def odd(user: int, **values: Any) -> Alter:
    """Gives one user's item other values."""
    return lambda item: item.update(values) if item.get("user_id") == user else None


def test_an_unreadable_item_is_set_apart(harness: Harness) -> None:
    """The others are read; it says where it stood and whose it is, and keeps what it can."""
    harness.load(9)
    alter = odd(1007, enrollment_score="88,5", enrollment_completion_date="-0001-11-30")
    read = lists(connect(harness, alter=alter)).active()
    assert [item.user_id for item in read.items] == [*range(1001, 1007), 1008, 1009]
    assert read.listed == 9
    (item,) = read.unreadable
    assert item.user_id == 1007
    assert item.fields == {"score", "completed_at"}
    assert str(item) == (
        "$.data.items[2].enrollment_score: expected a number, not '88,5' (page 2, user 1007, "
        "'u1007'); $.data.items[2].enrollment_completion_date: expected a time like "
        "'2026-01-31 23:59:59', not '-0001-11-30' (page 2, user 1007, 'u1007')"
    )
    assert isinstance(item.partial, CourseEnrollment)
    assert item.partial.score is None
    assert item.partial.extra["enrollment_score"] == "88,5"


def test_an_unreadable_value_that_is_not_needed(harness: Harness) -> None:
    """Whether somebody is enrolled is known all the same, with the value kept as it came."""
    harness.load(9)
    client = connect(harness, alter=odd(1007, enrollment_score="88,5"))
    read = lists(client).active_by_user([1007, 1008])
    assert read[1007].extra == {"enrollment_score": "88,5"}
    assert read[1007].enrolled_at == read[1008].enrolled_at


def test_an_unreadable_identity(harness: Harness) -> None:
    """Which enrollment it is cannot be known without its date; that of others does not matter."""
    harness.load(9)
    client = connect(harness, alter=odd(1007, enrollment_created_at="-0001-11-30"))
    with pytest.raises(UnexpectedResponseError, match=r"enrollment_created_at.*user 1007"):
        lists(client).active_by_user([1007, 1008])
    ignoring = connect(harness, "user_id[]", alter=odd(1007, enrollment_created_at="-0001-11-30"))
    assert sorted(lists(ignoring).active_by_user([1008])) == [1008]


def test_an_unreadable_user(harness: Harness) -> None:
    """An item that could be anybody's could be one of those that were asked for."""
    harness.load(9)
    client = connect(harness, alter=odd(1007, user_id="seven"))
    with pytest.raises(UnexpectedResponseError, match=r"items\[0\].user_id: expected a whole"):
        lists(client).active_by_user([1007])


def test_unreadable_archived_records(harness: Harness) -> None:
    """A record is evidence where its dates can be read; an old one is not looked at."""
    harness.load(9)
    harness.apply(harness.plan(1, users=[1001, 1002, 1003]))
    ids = dict(harness.sql("SELECT user_id, id FROM archived_enrollments"))
    certificate = odd(1001, certificate_date="-0001-11-30")
    records = lists(connect(harness, alter=certificate)).archived(users=[1001, 1002], since=START)
    assert records[1001][0].archiving.record_id == ids[1001]
    assert records[1001][0].extra == {"certificate_date": "-0001-11-30"}
    for field in ("archived_at", "enrollment_created_at"):
        client = connect(harness, alter=odd(1001, **{field: "-0001-11-30"}))
        with pytest.raises(UnexpectedResponseError, match=rf"{field}: .*user 1001"):
            lists(client).archived(users=[1001, 1002], since=START)
    older = connect(harness, "archived_from", alter=odd(1001, enrollment_created_at="-0001-11-30"))
    later = harness.time.now() + timedelta(hours=1)
    assert lists(older).archived(users=[1001, 1002], since=later) == {}
