"""Users who have not been here for long: found in few pages, wherever the others are sorted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal

import pytest
from virtual_time import START, VirtualTime
from wire_tools import items, scripted

from lms_archive import Client, InvalidInputError, Limits
from lms_archive.errors import UnexpectedResponseError
from lms_archive.sandbox import Sandbox
from lms_archive.wire import Response

utc = timezone.utc
BORDER = datetime(2026, 1, 1, tzinfo=utc)
Where = Literal["first", "last"]
Open = Callable[..., tuple[Sandbox, Client]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Make a platform of 12 old, 30 recent and some users who never logged in, 5 a page."""
    with ExitStack() as stack:

        def make(where: Where, never: int) -> tuple[Sandbox, Client]:
            time = VirtualTime()
            sandbox = stack.enter_context(Sandbox(clock=time, never_logged_in=where))
            client = sandbox.client(limits=Limits(page_size=5), calls_per_hour=None)
            stack.enter_context(client)
            some: list[dict[str, Any]] = [
                {"username": f"old{i}", "last_access_date": BORDER - timedelta(days=i + 1)}
                for i in range(12)
            ]
            some += [
                {"username": f"new{i}", "last_access_date": BORDER + timedelta(hours=i)}
                for i in range(30)
            ]
            some += [{"username": f"never{i}"} for i in range(never)]
            sandbox.load(users=some)
            return sandbox, time.wire(client)

        yield make


def _pages(sandbox: Sandbox) -> list[tuple[str, int]]:
    """Direction and number of each page of users that was read."""
    queries = [dict(call.query) for call in sandbox.calls if call.operation == "list_users"]
    return [(query["sort_dir"], int(query.get("page", 1))) for query in queries]


@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("never", [0, 7])
def test_no_page_is_read_behind_the_inactive_users(opened: Open, where: Where, never: int) -> None:
    """Only as many pages as hold inactive users, and the one that shows the first other."""
    sandbox, client = opened(where, never)
    names = [user.username for user in client.users.inactive(since=BORDER)]
    assert names == [f"old{i}" for i in reversed(range(12))]
    before = never if where == "first" else 0
    assert _pages(sandbox) == [("asc", page) for page in range(1, (before + 12) // 5 + 2)]


@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("never", [0, 1, 7])
def test_users_who_never_logged_in_come_last_where_asked_for(
    opened: Open, where: Where, never: int
) -> None:
    """Asked for, they come after the others, from whichever end they stand at, each once."""
    sandbox, client = opened(where, never)
    users = list(client.users.inactive(since=BORDER, never_logged_in=True))
    assert [user.username for user in users[:12]] == [f"old{i}" for i in reversed(range(12))]
    assert {user.username for user in users[12:]} == {f"never{i}" for i in range(never)}
    assert len(users) == 12 + never
    assert len(_pages(sandbox)) <= 6
    assert ("desc", 1) in _pages(sandbox) or where == "first"


def test_users_without_any_login_are_read_once() -> None:
    """Without any date all are read once, and only given when asked for."""
    page = items(*(_user(number, None) for number in (1, 2, 3)), has_more_data=False)
    client, script = scripted(page)
    assert list(client.users.inactive(since=BORDER)) == []
    never = client.users.inactive(since=BORDER, never_logged_in=True)
    assert [user.user_id for user in never] == [1, 2, 3]
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    "since",
    [
        date(2026, 1, 1),
        BORDER,
        datetime(2026, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        START - BORDER,
    ],
)
def test_a_day_a_time_and_a_span_are_the_same_moment(opened: Open, since: Any) -> None:
    """A day is its midnight in UTC, a span counts from the platform's clock."""
    _, client = opened("first", 0)
    assert len(list(client.users.inactive(since=since))) == 12


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001  that is the point
        (date(2026, 3, 2), "future"),
        (START + timedelta(seconds=1), "future"),
        (timedelta(days=10**6), "before the year 1"),
        ("2026-01-01", "not '2026-01-01'"),
    ],
)
def test_a_time_that_means_nothing_is_refused(opened: Open, since: Any, words: str) -> None:
    """Naive, ahead of the platform's clock, before all time, or no time."""
    _, client = opened("first", 0)
    with pytest.raises(InvalidInputError, match=words):
        list(client.users.inactive(since=since))


def _user(number: int, at: str | None) -> dict[str, Any]:
    return {"user_id": str(number), "username": f"u{number}", "last_access_date": at}


OLDER, OLD, NEW = "2025-04-04 00:00:00", "2025-05-05 00:00:00", "2026-02-02 00:00:00"


@pytest.mark.parametrize(
    "pages",
    [
        [[NEW, OLD, NEW], [OLD, None, OLD]],
        [[OLD, None], [NEW, OLD], [OLD]],
        [[OLD, OLD], [OLDER, NEW], [OLD]],
        [[NEW, OLDER], [OLD, OLD], [NEW, NEW], [OLD]],
    ],
)
def test_a_platform_that_does_not_sort_is_read_whole(pages: list[list[str | None]]) -> None:
    """Nobody is missed where the order that was asked for is not kept."""
    numbers = iter(range(1, 100))
    last = len(pages) - 1
    client, script = scripted(
        *(
            items(*(_user(next(numbers), at) for at in page), has_more_data=i < last)
            for i, page in enumerate(pages)
        )
    )
    users = list(client.users.inactive(since=BORDER, never_logged_in=True))
    at = [time for page in pages for time in page]
    dated = [i for i, time in enumerate(at, 1) if time in (OLD, OLDER)]
    never = [i for i, time in enumerate(at, 1) if time is None]
    assert [user.user_id for user in users] == dated + never
    assert len(script.sent) >= len(pages)


def test_without_a_date_header_nobody_is_inactive() -> None:
    """The platform's clock is the measure: without it nothing is known."""
    client, _ = scripted(Response(200, {}, b'{"data": {"items": []}}'))
    with pytest.raises(UnexpectedResponseError, match="no Date header"):
        list(client.users.inactive(since=BORDER))


@pytest.mark.parametrize(
    "first", [[NEW, None, None], [None, NEW], [NEW], [OLD, NEW, None], [NEW, NEW, NEW]]
)
def test_few_logins_do_not_show_the_order(first: list[str | None]) -> None:
    """Where users who never logged in fill the first page, the order is not known yet."""
    parts = [[_user(number, at) for number, at in enumerate(first, 1)], [_user(9, OLD)]]
    client, _ = scripted(*(items(*part, has_more_data=part == parts[0]) for part in parts))
    users = list(client.users.inactive(since=BORDER))
    assert [user.user_id for user in users] == [*([1] if first[0] == OLD else []), 9]


def test_the_rest_of_those_who_never_logged_in_is_read_from_the_other_end() -> None:
    """A page with the first recent user and some who never logged in does not hold them all."""
    logins = [_user(number, f"2026-02-{number:02} 00:00:00") for number in range(1, 12)]
    never = [_user(number, None) for number in (20, 21, 22)]

    def page(sent: Any) -> Response:
        query = dict(sent.params)
        is_first = query["page"] == "1"
        if query["sort_dir"] == "asc":
            return items(*([*logins, never[0]] if is_first else never[1:]), has_more_data=is_first)
        return items(*([*reversed(never), logins[-1]] if is_first else logins), has_more_data=True)

    client, script = scripted(page)
    users = list(client.users.inactive(since=BORDER, never_logged_in=True))
    assert {user.user_id for user in users} == {20, 21, 22}
    assert len(script.sent) == 2


CHANGED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "a user twice on a page": ([1, 1, 3], {"total_count": 3}, "1 user came twice"),
    "a user twice without a total": ([1, 1], {"has_more_data": False}, "1 user came twice"),
    "a user too many": ([1, 2, 3], {"total_count": 2}, "3 users, where the total is 2"),
}


@pytest.mark.parametrize(("ids", "paging", "text"), CHANGED.values(), ids=CHANGED.keys())
def test_a_list_that_changed_is_read_again(
    ids: list[int], paging: dict[str, Any], text: str
) -> None:
    """Each user is given once; a list that is never whole is an error."""
    flawed = items(*(_user(number, OLD) for number in ids), **paging)
    whole = items(*(_user(number, OLD) for number in (1, 2, 3)), total_count=3)
    client, script = scripted(flawed, flawed, whole)
    users = list(client.users.inactive(since=BORDER))
    assert sorted(user.user_id for user in users) == [1, 2, 3]
    assert len(script.sent) == 3
    client, script = scripted(flawed)
    with pytest.raises(UnexpectedResponseError, match=f"read 3 times and never whole: {text}"):
        list(client.users.inactive(since=BORDER))
    assert len(script.sent) == 3


def test_a_login_that_cannot_be_read_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Such users are left out, which a warning counts."""
    odd = [_user(number, "01/01/2024") for number in (1, 2)]
    client, _ = scripted(items(*odd, _user(3, OLD), total_count=3))
    with caplog.at_level("WARNING"):
        assert [user.user_id for user in client.users.inactive(since=BORDER)] == [3]
    assert "2 users left out of the inactive users: the last login is unreadable" in caplog.text
