"""Lists, a page at a time: lazily, to their end, and not beyond."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_tools import Scripted, Sent, answer, items, scripted

from lms_archive import Client, Contract, Limits
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records import BackgroundJob, Course
from lms_archive.sandbox import Sandbox
from lms_archive.wire import Response
from lms_archive.wire import pages as module
from lms_archive.wire.pages import Page, pages, tolerant_pages


def course(number: int) -> dict[str, Any]:
    """A course as the platform lists it."""
    return {"id_course": number, "code": f"C{number}", "name": f"Course {number}"}


def courses(client: Client) -> Iterator[Page[Course]]:
    """The list of courses."""
    return pages(client.session, "list_courses", Course)


def ids(read_pages: Iterator[Page[Course]]) -> list[int]:
    """The ids on all its pages."""
    return [record.course_id for page in read_pages for record in page.items]


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


def test_a_list_is_read_whole_though_more_is_true_on_the_last_page(full: Sandbox) -> None:
    """All pages of a real list come, although `has_more_data` is true on the last one too."""
    with full.client(limits=Limits(page_size=10)) as client:
        read_pages = list(courses(client))
        assert [len(page.items) for page in read_pages] == [10, 10, 5]
        assert ids(iter(read_pages)) == list(range(1, 26))
        assert {(page.total, page.last) for page in read_pages} == {(25, 3)}
        assert client.session.calls["list_courses"] == 3


def test_a_page_is_read_when_it_is_wanted(full: Sandbox) -> None:
    """Nothing is asked before the first item is wanted, and page 2 not before its first item."""
    with full.client(limits=Limits(page_size=10)) as client:
        listed_courses = iter(client.courses.list())
        assert client.session.calls["list_courses"] == 0
        for _ in range(10):
            next(listed_courses)
        assert client.session.calls["list_courses"] == 1
        next(listed_courses)
        assert client.session.calls["list_courses"] == 2


def test_the_cursor_is_passed_on(full: Sandbox) -> None:
    """The cursor of a page goes with the next, where the list has one."""
    with full.client(limits=Limits(page_size=10)) as client:
        before = len(full.calls)
        assert len(list(client.enrollments.in_course(7))) == 25
        asked = [dict(c.query) for c in full.calls[before:] if c.operation == "course_enrollments"]
    assert [query["page"] for query in asked] == ["1", "2", "3"]
    assert "cursor" not in asked[0]
    assert asked[1]["cursor"] == asked[2]["cursor"] != ""
    assert {query["get_cursor"] for query in asked} == {"1"}


@pytest.mark.parametrize("paging", [{}, {"total_count": 0}, {"total_page_count": 1}])
def test_an_empty_list_is_one_empty_page(paging: dict[str, Any]) -> None:
    """Where its totals say so, whatever `has_more_data` says."""
    client, script = scripted(items(**paging, **({"has_more_data": True} if paging else {})))
    (page,) = courses(client)
    assert page.items == []
    assert len(script.sent) == 1


def test_every_list_asks_for_its_total() -> None:
    """Every operation that has pages asks for `total_count`."""
    rows = Contract.default().operations
    lists = {name for name, row in rows.items() if "page" in row.params}
    assert len(lists) == 11
    assert {name for name in lists if rows[name].fixed.get("get_total_count") == 1} == lists


C1, C2 = course(1), course(2)
MORE: Any = {"has_more_data": True}
ENDS: dict[str, tuple[list[Response], int]] = {
    "no paging at all": ([items(C1)], 1),
    "more is false": ([items(C1, has_more_data=False)], 1),
    "more lies, pages are counted": ([items(C1, **MORE, total_page_count=1)], 1),
    "more lies, items are counted": ([items(C1, **MORE, total_count=1)], 1),
    "more lies, an empty page": ([items(C1, **MORE), items()], 2),
    "more lies, an empty page too": ([items(**MORE), items(**MORE), items(**MORE), items()], 4),
    "pages are counted": ([items(C1, total_page_count=2), items(C2, total_page_count=2)], 2),
    "counts as digits": (
        [items(part, **MORE, total_page_count="2", total_count="2") for part in (C1, C2)], 2),
    "counts of garbage": (
        [items(C1, **MORE, total_page_count="\u00b2", total_count=-1),
         items(C2, has_more_data=False, total_page_count=True, total_count=None)], 2),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "calls"), ENDS.values(), ids=ENDS.keys())
def test_where_a_list_ends(answers: list[Response], calls: int) -> None:
    """The count of pages ends a list; else the flag, the count of items, or an empty page."""
    client, script = scripted(*answers, items(course(99)))
    course_ids = ids(courses(client))
    assert len(script.sent) == calls
    assert course_ids == list(range(1, len(course_ids) + 1))


COUNTS: list[dict[str, Any]] = [
    {"has_more_data": True},
    {"total_page_count": 4},
    {"total_count": 12},
    {"total_page_count": 4, "total_count": 12, "has_more_data": True},
    {"total_page_count": 4, "current_page_size": 3, "has_more_data": False},
]
WHOLE = (3, 3, 3, 3)


def listed(sizes: Sequence[int], paging: dict[str, Any]) -> Callable[[Sent], Response]:
    """Answer pages of these sizes; without a count, `has_more_data` is true up to the last."""
    records = map(course, range(1, sum(sizes) + 1))
    parts = [list(islice(records, size)) for size in sizes]

    def page(sent: Sent) -> Response:
        number = int(dict(sent.params)["page"])
        part = parts[number - 1] if number <= len(parts) else []
        more = {"has_more_data": number < len(parts)} if paging == COUNTS[0] else {}
        return items(*part, **{**paging, **more})

    return page


def read(page: Callable[[Sent], Response], size: int = 3) -> tuple[list[int], list[int]]:
    """The ids that a list gives, and the pages that were asked for."""
    client, script = scripted(page, limits=Limits(page_size=size))
    course_ids = ids(courses(client))
    return course_ids, [int(dict(sent.params)["page"]) for sent in script.sent]


READ: dict[str, tuple[tuple[int, ...], dict[str, Any], int, list[int]]] = {
    "a short page that a total vouches for": (
        (3, 2, 3), {"total_count": 8, "total_page_count": 3}, 3, [1, 2, 2, 2, 3]),
    "a full page without totals": (WHOLE, {}, 3, [1, 2, 3, 4, 5]),
    "a count beyond a page is the whole list's": (WHOLE, {"count": 12}, 3, [1, 2, 3, 4]),
    **{f"smaller pages than asked for, {paging}": (WHOLE, paging, 200, [1, 2, 3, 4])
        for paging in COUNTS},
}  # fmt: skip


@pytest.mark.parametrize(("sizes", "paging", "size", "asked"), READ.values(), ids=READ.keys())
def test_a_whole_list_is_read(
    sizes: tuple[int, ...], paging: dict[str, Any], size: int, asked: list[int]
) -> None:
    """Whatever the sizes of its pages: what counts is whether they are alike, or add up."""
    assert read(listed(sizes, paging), size) == (list(range(1, sum(sizes) + 1)), asked)


INCOMPLETE: dict[str, tuple[tuple[int, ...], dict[str, Any], str]] = {
    "fewer items than the page counts": (
        (2,), {"count": 3, "has_more_data": False}, "page 1 has only 2 of 3"),
    "fewer items than a count beyond a page": ((3, 3, 3), {"count": 12}, "9 of 12 items"),
    **{f"a short last page, {paging}": (
        (3, 3, 3, 2), paging, "11 of 12 items on [45] pages: page 4 has only 2")
        for paging in COUNTS[2:4]},
    **{f"{left} items on page {number}, {paging}": (
        (*WHOLE[: number - 1], left, *WHOLE[number:]), paging,
        rf"page {number} (is empty|has only {left})")
        for number, left, paging in product((1, 2, 3), (0, 1, 2), COUNTS)},
}  # fmt: skip


@pytest.mark.parametrize(("sizes", "paging", "text"), INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_an_incomplete_list_is_an_error_that_names_the_page(
    sizes: tuple[int, ...], paging: dict[str, Any], text: str
) -> None:
    """A page that is empty or short, though others follow or more items are counted."""
    with pytest.raises(UnexpectedResponseError, match=text):
        read(listed(sizes, paging))


@pytest.mark.parametrize("paging", COUNTS[1:])
@pytest.mark.parametrize("left", [0, 2])
def test_a_short_page_is_read_again(left: int, paging: dict[str, Any]) -> None:
    """A page that is whole when it is read again completes the list."""
    whole, short = listed(WHOLE, paging), listed((3, left, 3, 3), paging)
    asked: list[str] = []

    def page(sent: Sent) -> Response:
        asked.append(dict(sent.params)["page"])
        return (whole if asked.count("2") > 1 else short)(sent)

    assert read(page) == (list(range(1, 13)), [1, 2, 2, 3, 4])


@given(data=st.data())
def test_what_is_read_without_an_error_is_the_whole_list(data: st.DataObject) -> None:
    """Whatever pages come, what is read without an error is the whole list."""
    size = data.draw(st.integers(1, 5), label="size")
    length = data.draw(st.integers(0, 4 * size), label="length")
    pages_ = -(-length // size)
    counts = {
        "total_count": length,
        "total_page_count": pages_,
        "current_page_size": size,
        "has_more_data": True,
    }
    reported = data.draw(st.sets(st.sampled_from(sorted(counts))), label="reported")
    damage = data.draw(
        st.dictionaries(st.integers(1, max(pages_, 1)), st.integers(0, size), max_size=2),
        label="items left on a page",
    )
    mends = data.draw(st.booleans(), label="mends")
    lies = data.draw(st.booleans(), label="more is true on the last page")
    asked: Counter[int] = Counter()

    def page(sent: Sent) -> Response:
        number = int(dict(sent.params)["page"])
        asked[number] += 1
        whole = [course(n) for n in range(1 + (number - 1) * size, 1 + min(number * size, length))]
        part = whole if mends and asked[number] > 1 else whole[: damage.get(number, size)]
        paging = {name: counts[name] for name in reported}
        if "has_more_data" in reported:
            paging["has_more_data"] = number < pages_ or (lies and number == pages_)
        return items(*part, count=len(part), **paging)

    try:
        course_ids, _ = read(page, size)
    except UnexpectedResponseError:
        assert damage
        return
    # Without a count of items nothing can show that the last page is short, or that every page is,
    # as on a platform with smaller pages; and where nothing is said, that there are more pages.
    full = "current_page_size" in reported or any(
        damage.get(number, size) == size for number in range(1, pages_)
    )
    is_shown = damage.get(pages_, size) == size and (full or pages_ == 1)
    if "total_count" in reported or (is_shown and reported & {"total_page_count", "has_more_data"}):
        assert course_ids == list(range(1, length + 1))


@pytest.mark.parametrize(
    ("count", "total"),
    [
        (10**18 - 1, 10**18 - 1),
        ("9" * 18, 10**18 - 1),
        *((count, None) for count in (10**18, "9" * 5_000, -1, True, 1.0, "", "\u00b2", None)),
    ],
)
def test_a_total_is_a_whole_number_of_18_digits_at_most(count: Any, total: int | None) -> None:
    """Anything else says nothing."""
    client, _ = scripted(items(course(1), total_count=count))
    assert next(courses(client)).total == total


def test_a_list_that_goes_on_after_all_that_it_counts_is_an_error() -> None:
    """It is noticed a page later."""

    def page(sent: Sent) -> Response:
        first = int(dict(sent.params)["page"]) * 200
        records = map(course, range(first, first + 200))
        return items(*records, has_more_data=True, total_count=400, total_page_count=9999)

    error = fault_of(page)
    assert error.faults == ("$: 800 items so far, but total_count is 400",)


def test_a_list_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that always has more is an error after a number of pages."""
    monkeypatch.setattr(module, "MAX_PAGES", 30)

    def page(sent: Sent) -> Response:
        return items(course(int(dict(sent.params)["page"])), has_more_data=True)

    client, script = scripted(page)
    with pytest.raises(UnexpectedResponseError, match="more than 30 pages: the list does not end"):
        ids(courses(client))
    assert len(script.sent) == 30


def test_a_page_that_comes_twice_is_an_error() -> None:
    """A platform that ignores the page number is found out at the second page."""
    error = fault_of(items(course(1), course(2), has_more_data=True))
    assert error.faults == ("$: page 2 repeats page 1",)


@pytest.mark.parametrize("period", [1, 2, 3])
@pytest.mark.parametrize("differ", [False, True])
def test_pages_that_come_again_are_an_error(period: int, differ: bool) -> None:  # noqa: FBT001
    """Such a list does not end, also where a field of its items differs each time."""
    numbers: list[int] = []

    def page(_: Sent) -> Response:
        numbers.append(len(numbers))
        first = 1 + 2 * (numbers[-1] % period)
        extra = {"served_at": len(numbers)} if differ else {}
        return items({**course(first), **extra}, {**course(first + 1), **extra}, **MORE)

    error = fault_of(page)
    assert error.faults == (f"$: page {period + 1} repeats page 1",)
    assert len(numbers) == period + 1


def test_pages_of_items_without_an_id_are_not_alike() -> None:
    """Items that lack one are compared whole: each is reported as what it is."""
    client, _ = scripted(
        items({"code": "A"}, **MORE), items({"code": "B"}, has_more_data=False), items()
    )
    listed = tolerant_pages(client.session, "list_courses", Course, {})
    assert [len(page.unreadable) for page in listed] == [1, 1]


SHAPES: dict[str, tuple[Response, str]] = {
    "empty": (answer(b""), "$.data.items: not a list"),
    "no data": (answer({"items": [course(1)]}), "$.data.items: not a list"),
    "no items": (answer({"data": {"count": 0}}), "$.data.items: not a list"),
    "items an object": (answer({"data": {"items": {"0": course(1)}}}), "$.data.items: not a list"),
    "an item null": (items(course(1), None), "$.data.items[1]: expected an object, not None"),
    "an item without id": (items({"code": "C"}), "$.data.items[0].id: missing"),
    "an id of another kind": (
        items(course(1), {"id_course": "C7"}),
        "$.data.items[1].id_course: expected a whole number, not 'C7'",
    ),
}


@pytest.mark.parametrize(("given_", "fault"), SHAPES.values(), ids=SHAPES.keys())
def test_what_is_not_a_list_of_items_is_an_error_with_its_path(
    given_: Response, fault: str
) -> None:
    """What is not a list of items is an error with its JSON path, never an empty list."""
    error = fault_of(given_)
    assert error.faults == (fault,)
    assert str(error) == f"GET /course/v1/courses: 200: {fault}"
    assert not error.in_doubt


def test_items_before_a_broken_page_are_handed_out() -> None:
    """Items before the broken page have been handed out, and the page does not end the list."""
    client, _ = scripted(items(course(1), has_more_data=True), items({"code": "C"}))
    listed_courses = iter(client.courses.list())
    assert next(listed_courses).course_id == 1
    with pytest.raises(UnexpectedResponseError, match=r"\$\.data\.items\[0\]\.id: missing"):
        next(listed_courses)


def test_a_list_with_an_item_of_another_course_is_refused() -> None:
    """Active or archived: nothing in it can be trusted."""
    mine, other = {"id": 1, "user_id": 1, "course_id": 7}, {"id": 2, "user_id": 2, "course_id": 8}
    client, _ = scripted(items(mine, other))
    for enrollments in (client.enrollments.in_course(7), client.archived.in_course(7)):
        with pytest.raises(
            UnexpectedResponseError, match=r"the list of (course )?7 has an item of (course )?8"
        ) as caught:
            next(iter(enrollments))
        assert caught.value.path.startswith("/course/v1/courses/7/enrollments")


@pytest.mark.parametrize(
    "job",
    [{"job_descriptor": {"hash": "h", "status": "queued"}}, {"hash": "h", "status": "queued"}],
)
def test_wrapped_items_are_unwrapped(job: dict[str, Any]) -> None:
    """Items that come wrapped are unwrapped, and those that do not are taken too."""
    client, _ = scripted(answer({"data": {"jobs": [job]}}))
    (page,) = pages(client.session, "list_jobs", BackgroundJob)
    assert page.items[0].job_id == "h"
    client, _ = scripted(answer({"data": {"jobs": [{"job_descriptor": {"hash": "h"}}]}}))
    with pytest.raises(
        UnexpectedResponseError, match=r"\$\.data\.jobs\[0\]\.job_descriptor\.status: missing"
    ):
        list(client.background_jobs.list())


def test_an_override_finds_items_elsewhere() -> None:
    """Where a platform puts its items elsewhere, an override finds them."""
    client, _ = scripted(answer({"rows": [{"row": course(3)}]}))
    contract = client.session.settings.contract.with_operation(
        "list_courses", answer={"items": "rows", "item": "row"}
    )
    assert ids(courses(client.with_options(contract=contract))) == [3]
