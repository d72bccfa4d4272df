"""Lists, a page at a time: lazily, to their end, and not beyond."""

from collections.abc import Iterator
from typing import Any

import pytest
from wire_tools import Scripted, Sent, answer, items, scripted

from lms_archive import BackgroundJob, Client, Course, Limits, Response, UnexpectedResponseError
from lms_archive.sandbox import Sandbox
from lms_archive.wire import pages as module
from lms_archive.wire.pages import Page, pages


def course(number: int) -> dict[str, Any]:
    """A course as the platform lists it."""
    return {"id_course": number, "code": f"C{number}", "name": f"Course {number}"}


def courses(client: Client) -> Iterator[Page[Course]]:
    """The list of courses."""
    return pages(client.wire, "list_courses", Course)


def ids(found: Iterator[Page[Course]]) -> list[int]:
    """The ids on all its pages."""
    return [one.course_id for page in found for one in page.items]


def fault_of(*answers: Scripted) -> UnexpectedResponseError:
    """What is said of such pages."""
    client, _ = scripted(*answers)
    with pytest.raises(UnexpectedResponseError) as caught:
        ids(courses(client))
    return caught.value


@pytest.fixture(scope="module")
def full() -> Iterator[Sandbox]:
    """A platform of 25 courses, one of them with 25 completed enrollments, that lies at the end."""
    with Sandbox(more_data_lies=True) as sandbox:
        names = [f"u{i}" for i in range(25)]
        sandbox.load(
            users=[{"username": name} for name in names],
            courses=[{"code": f"C{i}", "id_course": i} for i in range(1, 26)],
            enrollments=[
                {"username": name, "course_code": "C7", "enrollment_status": "completed"}
                for name in names
            ],
        )
        yield sandbox


def test_every_item_once(full: Sandbox) -> None:
    """All pages of a real list come, although `has_more_data` is true on the last one too."""
    with full.client(limits=Limits(page_size=10)) as client:
        found = list(courses(client))
        assert [len(page.items) for page in found] == [10, 10, 5]
        assert ids(iter(found)) == list(range(1, 26))
        assert {(page.total, page.last) for page in found} == {(25, 3)}
        assert client.wire.calls["list_courses"] == 3


def test_pages_are_asked_for_when_wanted(full: Sandbox) -> None:
    """Nothing is asked before the first item is wanted, and page 2 not before its first item."""
    with full.client(limits=Limits(page_size=10)) as client:
        found = iter(client.courses.list())
        assert client.wire.calls["list_courses"] == 0
        for _ in range(10):
            next(found)
        assert client.wire.calls["list_courses"] == 1
        next(found)
        assert client.wire.calls["list_courses"] == 2


def test_the_cursor_is_passed_on(full: Sandbox) -> None:
    """The cursor of a page goes with the next, where the list has one."""
    with full.client(limits=Limits(page_size=10)) as client:
        before = len(full.calls)
        assert len(list(client.enrollments.in_course(7))) == 25
        asked = [dict(c.query) for c in full.calls[before:] if c.operation == "course_enrollments"]
    assert [one["page"] for one in asked] == ["1", "2", "3"]
    assert "cursor" not in asked[0]
    assert asked[1]["cursor"] == asked[2]["cursor"] != ""
    assert {one["get_cursor"] for one in asked} == {"1"}


def test_no_cursor_where_the_list_has_none() -> None:
    """A list whose row has no cursor is not sent one."""
    client, script = scripted(
        items(course(1), has_more_data=True, cursor="abc"), items(course(2), has_more_data=False)
    )
    assert ids(courses(client)) == [1, 2]
    assert [dict(sent.params) for sent in script.sent] == [
        {"page": "1", "page_size": "200"},
        {"page": "2", "page_size": "200"},
    ]


def test_an_empty_list() -> None:
    """A list without items is one empty page."""
    client, script = scripted(items(has_more_data=True))
    (page,) = courses(client)
    assert page.items == []
    assert len(script.sent) == 1


ENDS: dict[str, tuple[list[Response], int]] = {
    "no paging at all": ([items(course(1))], 1),
    "more is false": ([items(course(1), has_more_data=False)], 1),
    "more lies, pages are counted": ([items(course(1), has_more_data=True, total_page_count=1)], 1),
    "more lies, items are counted": ([items(course(1), has_more_data=True, total_count=1)], 1),
    "more lies, an empty page": ([items(course(1), has_more_data=True), items()], 2),
    "more is missing, pages are counted": (
        [items(course(1), total_page_count=2), items(course(2), total_page_count=2)],
        2,
    ),
    "counts as digits": (
        [
            items(course(1), has_more_data=True, total_page_count="2", total_count="2"),
            items(course(2), has_more_data=True, total_page_count="2", total_count="2"),
        ],
        2,
    ),
    "counts of garbage": (
        [
            items(course(1), has_more_data=True, total_page_count="\u00b2", total_count=-1),
            items(course(2), has_more_data=False, total_page_count=True, total_count=None),
        ],
        2,
    ),
    "counts of endless digits": (
        [
            items(course(1), has_more_data=True, total_page_count="9" * 5_000),
            items(course(2), has_more_data=False, total_count="9" * 5_000),
        ],
        2,
    ),
}


@pytest.mark.parametrize(("answers", "calls"), ENDS.values(), ids=ENDS.keys())
def test_where_a_list_ends(answers: list[Response], calls: int) -> None:
    """The count of pages ends a list; else the flag, the count of items, or an empty page."""
    client, script = scripted(*answers, items(course(99)))
    found = ids(courses(client))
    assert len(script.sent) == calls
    assert found == list(range(1, len(found) + 1))


def test_a_list_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that always has more is left after so many pages, with an error."""
    monkeypatch.setattr(module, "MAX_PAGES", 30)

    def page(sent: Sent) -> Response:
        return items(course(int(dict(sent.params)["page"])), has_more_data=True)

    client, script = scripted(page)
    with pytest.raises(UnexpectedResponseError, match="more than 30 pages: a list without an end"):
        ids(courses(client))
    assert len(script.sent) == 30


def test_a_page_that_comes_twice() -> None:
    """A platform that ignores the page number is found out at the second page."""
    error = fault_of(items(course(1), course(2), has_more_data=True))
    assert error.faults == ("$: page 2 is page 1 again",)


SHAPES: dict[str, tuple[Response, str]] = {
    "empty": (answer(b""), "$.data.items: no list"),
    "null": (answer(None), "$.data.items: no list"),
    "list": (answer([course(1)]), "$.data.items: no list"),
    "text": (answer("items"), "$.data.items: no list"),
    "no data": (answer({"items": [course(1)]}), "$.data.items: no list"),
    "no items": (answer({"data": {"count": 0}}), "$.data.items: no list"),
    "items null": (answer({"data": {"items": None}}), "$.data.items: no list"),
    "items an object": (answer({"data": {"items": {"0": course(1)}}}), "$.data.items: no list"),
    "items a text": (answer({"data": {"items": "abc"}}), "$.data.items: no list"),
    "an item null": (items(course(1), None), "$.data.items[1]: expected an object, not None"),
    "an item a list": (items([1]), "$.data.items[0]: expected an object, not [1]"),
    "an item a number": (items(7), "$.data.items[0]: expected an object, not 7"),
    "an item without id": (items({"code": "C"}), "$.data.items[0].id_course: missing"),
    "an id of another kind": (
        items(course(1), {"id_course": "C7"}),
        "$.data.items[1].id_course: expected a whole number, not 'C7'",
    ),
}


@pytest.mark.parametrize(("given_", "fault"), SHAPES.values(), ids=SHAPES.keys())
def test_shapes(given_: Response, fault: str) -> None:
    """What is no list of items is an error with its JSON path, never an empty list."""
    error = fault_of(given_)
    assert error.faults == (fault,)
    assert str(error) == f"GET /course/v1/courses: 200: {fault}"
    assert not error.in_doubt


def test_two_faults_in_one_item() -> None:
    """All faults of the first broken item are told."""
    error = fault_of(items({"id_course": "x", "code": [], "name": {}}))
    assert len(error.faults) == 3


def test_a_broken_item_on_page_two() -> None:
    """Items before the broken page have been handed out, and the page is no silent end."""
    client, _ = scripted(items(course(1), has_more_data=True), items({"code": "C"}))
    found = iter(client.courses.list())
    assert next(found).course_id == 1
    with pytest.raises(UnexpectedResponseError, match=r"\$\.data\.items\[0\]\.id_course: missing"):
        next(found)


def test_an_item_of_another_course() -> None:
    """A list that holds another course's item cannot be trusted at all."""
    mine, other = {"user_id": 1, "course_id": 7}, {"user_id": 2, "course_id": 8}
    client, _ = scripted(items(mine, other))
    with pytest.raises(
        UnexpectedResponseError, match=r"an item of (course )?8 in the list of (course )?7"
    ) as caught:
        next(iter(client.enrollments.in_course(7)))
    assert caught.value.path == "/course/v1/courses/7/enrollments"


def test_an_archived_item_of_another_course() -> None:
    """The same holds for archived enrollments."""
    client, _ = scripted(items({"id": 1, "user_id": 1, "course_id": 8}))
    with pytest.raises(
        UnexpectedResponseError, match=r"an item of (course )?8 in the list of (course )?7"
    ):
        next(iter(client.archived.in_course(7)))


@pytest.mark.parametrize(
    "one",
    [{"job_descriptor": {"hash": "h", "status": "queued"}}, {"hash": "h", "status": "queued"}],
)
def test_wrapped_items(one: dict[str, Any]) -> None:
    """Items that come wrapped are unwrapped, and those that do not are taken too."""
    client, _ = scripted(answer({"data": {"jobs": [one]}}))
    (page,) = pages(client.wire, "list_jobs", BackgroundJob)
    assert page.items[0].job_id == "h"


def test_the_path_of_a_wrapped_fault() -> None:
    """A fault in a wrapped item is told where it stands."""
    client, _ = scripted(answer({"data": {"jobs": [{"job_descriptor": {"hash": "h"}}]}}))
    with pytest.raises(
        UnexpectedResponseError, match=r"\$\.data\.jobs\[0\]\.job_descriptor\.status: missing"
    ):
        list(client.background_jobs.list())


def test_other_shapes_are_overrides() -> None:
    """Where a platform puts its items elsewhere, an override finds them."""
    client, _ = scripted(answer({"rows": [{"row": course(3)}]}))
    contract = client.wire.settings.contract.with_operation(
        "list_courses", answer={"items": "rows", "item": "row"}
    )
    assert ids(courses(client.with_options(contract=contract))) == [3]


def test_a_page_tells_the_time() -> None:
    """Each page has the platform's time, or None where it tells none."""
    client, _ = scripted(items(course(1)))
    (page,) = courses(client)
    assert page.date is not None
    assert page.date.isoformat() == "2026-03-01T12:00:00+00:00"
    client, _ = scripted(Response(200, {}, items(course(1)).body))
    (page,) = courses(client)
    assert page.date is None


def test_one_page_in_memory() -> None:
    """Pages are made one by one: the items of a page are gone when the next is read."""
    client, script = scripted(*[items(course(i), has_more_data=True) for i in range(1, 6)])
    found = courses(client)
    next(found)
    next(found)
    assert len(script.sent) == 2
