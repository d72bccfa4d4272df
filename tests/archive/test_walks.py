"""Reading a list whole: moving pages are noticed, and read again."""

from collections.abc import Callable

import pytest
from virtual_time import START, Exchange, Stage

from lms_archive import Limits, UnexpectedResponseError
from lms_archive.archive.walks import walk
from lms_archive.records.active import CourseEnrollment
from lms_archive.wire.pages import Page


@pytest.fixture
def read(stage: Stage) -> Callable[[], list[int]]:
    """Reads a course of nine enrollments, four a page, and tells the users."""
    stage.load(9)
    client = stage.connect(limits=Limits(page_size=4))

    def reading() -> list[int]:
        found = walk(lambda: client.enrollments.pages_in_course(1), lambda one: one.user_id)
        return [one.user_id for one in found.items]

    return reading


def _at_page(number: str) -> Callable[[Exchange], bool]:
    return lambda one: ("page", number) in one.query


def _pages_asked(stage: Stage) -> list[str]:
    return [dict(one.query)["page"] for one in stage.line.exchanges if one.method == "GET"]


def test_a_quiet_list_is_read_once(stage: Stage, read: Callable[[], list[int]]) -> None:
    """Each page costs one call, and every item comes once."""
    assert read() == list(range(1001, 1010))
    assert _pages_asked(stage) == ["1", "2", "3"]


def test_an_item_that_left_makes_the_walk_begin_again(
    stage: Stage, read: Callable[[], list[int]]
) -> None:
    """Somebody leaves between two pages and another item slips past: read again, all is there."""
    stage.line.once(_at_page("2"), lambda: stage.unenroll(1, 1001))
    assert read() == list(range(1002, 1010))
    assert _pages_asked(stage)[-2:] == ["1", "2"]


def test_an_item_that_came_makes_the_walk_begin_again(
    stage: Stage, read: Callable[[], list[int]]
) -> None:
    """Somebody joins before the page at hand, and another item comes twice: read again."""
    stage.line.once(
        _at_page("2"),
        lambda: stage.sandbox.load(
            users=[{"username": "first", "user_id": 5}],
            enrollments=[{"user_id": 5, "id_course": 1, "enrollment_status": "completed"}],
        ),
    )
    assert read() == [5, *range(1001, 1010)]


def test_the_third_walk_is_the_last(stage: Stage, read: Callable[[], list[int]]) -> None:
    """A list that never stands still is an error, not a guess."""

    def move(exchange: Exchange) -> None:
        if _at_page("2")(exchange):
            query = "DELETE FROM enrollments WHERE user_id = "
            stage.change(f"{query} (SELECT min(user_id) FROM enrollments)")

    stage.line.before.append(move)
    with pytest.raises(UnexpectedResponseError, match="read 3 times and never whole"):
        read()
    assert _pages_asked(stage).count("1") == 3


def test_the_time_is_the_platforms(stage: Stage) -> None:
    """A walk began when the platform says so, by the header of its first page."""
    stage.load(9)
    stage.time.sleep(100)
    begun = stage.time.now()
    client = stage.connect(limits=Limits(page_size=4))
    stage.line.after.append(lambda _: stage.time.sleep(5))
    found = walk(lambda: client.enrollments.pages_in_course(1), lambda one: one.user_id)
    assert 0 <= (found.began_at - begun).total_seconds() <= 6


def test_without_a_date_nothing_can_be_proven() -> None:
    """A platform, or a proxy, that sends no Date header is refused."""
    page = Page[CourseEnrollment]([], 0, 1, None, "/path")
    with pytest.raises(UnexpectedResponseError, match="no Date header"):
        walk(lambda: iter([page]), lambda one: one.user_id)


def test_a_platform_that_does_not_count_is_believed() -> None:
    """Without a total, distinct items are all that can be checked."""
    item = CourseEnrollment(user_id=1, course_id=1)
    page = Page([item], None, None, START, "/path")
    assert walk(lambda: iter([page]), lambda one: one.user_id).items == [item]
