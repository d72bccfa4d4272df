"""Every enrollment of a target, or those of inactive users, but for whom to leave alone."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from archive_tools import user_ids, without_usernames
from plan_tools import AGAIN, UNENROLL, check, done, load_plans, sent
from virtual_time import START, Harness

from lms_archive import ArchiveJob, InvalidInputError

BORDER = datetime(2025, 6, 1, tzinfo=timezone.utc)
BY_KIND: dict[str, Callable[..., ArchiveJob]] = {
    "course": ArchiveJob.for_course,
    "learning_plan": ArchiveJob.for_learning_plan,
}
NUMBER = {"course": 9, "learning_plan": 50}
kinds = pytest.mark.parametrize("kind", BY_KIND)


@pytest.fixture(autouse=True)
def six_users(harness: Harness) -> None:
    """u1001 never logged in; u1002 to u1006 did on the first of April to August 2025."""
    load_plans(harness, {50: [1, 2]}, users=6)
    harness.sandbox.load(
        courses=[{"code": "C9", "id_course": 9}],
        enrollments=[done(user_id=user, id_course=9) for user in range(1001, 1007)],
    )
    for month in range(4, 9):
        at = f"2025-{month:02}-01 00:00:00"
        harness.change("UPDATE users SET last_access_date = ? WHERE user_id = ?", at, 998 + month)


def _job(kind: str, terms: Mapping[str, Any] = UNENROLL, **how: Any) -> ArchiveJob:
    return BY_KIND[kind](NUMBER[kind], **terms).all_enrollments(**how)


def _rename(harness: Harness, names: Mapping[int, str]) -> None:
    for user, name in names.items():
        harness.change("UPDATE users SET username = ? WHERE user_id = ?", name, user)


@kinds
@pytest.mark.parametrize("terms", [UNENROLL, AGAIN])
def test_all_who_have_completed_areuser_ids(
    harness: Harness, kind: str, terms: Mapping[str, Any]
) -> None:
    """Without more said, everyone who has completed is taken, each with a row of their own."""
    harness.change(
        "UPDATE learning_plan_enrollments SET enrollment_status = 'in_progress' "
        "WHERE user_id = 1003"
    )
    harness.change("UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1004")
    planned = _job(kind, terms).plan(harness.client)
    left_out = 1003 if kind == "learning_plan" else 1004
    assert user_ids(planned) == [user for user in range(1001, 1007) if user != left_out]
    result = harness.apply(planned)
    skips = 0 if kind == "learning_plan" else 1
    check(harness, result, again=terms is AGAIN, archived=5, skipped=skips)
    first = next(iter(result.outcomes))
    assert dict(first.row) == {f"{kind}_id": NUMBER[kind], "user_id": 1001, "username": "u1001"}


@pytest.mark.parametrize(
    ("kind", "since"),
    [
        ("course", date(2025, 6, 1)),
        ("learning_plan", BORDER),
        ("course", datetime(2025, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))),
        ("learning_plan", START - BORDER),
    ],
)
def test_only_inactive_users_areuser_ids(harness: Harness, kind: str, since: Any) -> None:
    """A day is its midnight, UTC; the border itself is not before it; never logged in stays."""
    planned = _job(kind, inactive_since=since).plan(harness.client)
    assert user_ids(planned) == [1002, 1003]
    (text,) = [text for text in planned.warnings if " inactive since " in text]
    assert "2 users" in text
    for shown in (text, str(planned)):
        assert "since 2025-06-01 00:00:00" in shown


#: New usernames of some users, whom to leave alone, and who is archived.
EXCLUDED: dict[str, tuple[dict[int, str], dict[str, Any], list[int]]] = {
    "ids and names; a name is never an id": (
        {}, {"exclude": [1002, "u1004", "1003", " u1005\n"]}, [1001, 1003, 1006]),
    "one name": ({}, {"exclude": "u1001"}, [1002, 1003, 1004, 1005, 1006]),
    "of the inactive": ({}, {"exclude": {"u1002"}, "inactive_since": BORDER}, [1003]),
    "two names differ in case": (
        {1004: "U1003"}, {"exclude": ["U1003"]}, [1001, 1002, 1003, 1005, 1006]),
    **{
        f"white space around a name, on both sides: {name!r}": (
            {1003: "ada ", 1004: " ada"}, {"exclude": [name]}, [1001, 1002, 1005, 1006])
        for name in ("ada", "ada ", "\tada")
    },
}  # fmt: skip


@kinds
@pytest.mark.parametrize(("names", "how", "archived"), EXCLUDED.values(), ids=EXCLUDED.keys())
def test_excluded_users_are_left_alone(
    harness: Harness, kind: str, names: dict[int, str], how: dict[str, Any], archived: list[int]
) -> None:
    """Everyone else is archived."""
    _rename(harness, names)
    assert user_ids(_job(kind, **how).plan(harness.client)) == archived


@kinds
def test_excluded_names_are_looked_up_where_lists_have_none(harness: Harness, kind: str) -> None:
    """`username` in the list is assumed: without it the names left alone are looked up."""
    client = harness.connect(transport=without_usernames(harness.line))
    job = _job(kind, exclude=["u1002", "u1005", 1006])
    assert user_ids(job.plan(client)) == [1001, 1003, 1004]


@kinds
@pytest.mark.parametrize("how", [{"inactive_since": date(2020, 1, 1)}, {"exclude": range(1, 2000)}])
def test_an_empty_selection_is_an_empty_plan_with_a_warning(
    harness: Harness, kind: str, how: dict[str, Any]
) -> None:
    """An empty plan with a warning; applying it does nothing, and is whole."""
    planned = _job(kind, **how).plan(harness.client)
    assert planned.counts == {"rows": 0, "to_archive": 0, "skipped": 0, "chunks": 0}
    assert (
        planned.warnings[-1] == f"no enrollment of {kind.replace('_', ' ')} {NUMBER[kind]}"
        " matches: nothing to archive there"
    )
    result = harness.apply(planned)
    check(harness, result)
    assert sent(harness) == []


@pytest.mark.parametrize(
    "since",
    [
        datetime(2025, 6, 1),  # noqa: DTZ001  that is the point
        timedelta(days=-1),
        "2025-06-01",
        20250601,
    ],
)
def test_a_time_that_means_nothing_is_refused_at_once(since: Any) -> None:
    """Naive times, times ahead and what is no time are refused before anything is read."""
    words = r"needs a time zone|must be in the past, not .*=-1\).* as .*=1\)$|must be a date"
    with pytest.raises(InvalidInputError, match=words):
        _job("course", inactive_since=since)
    with pytest.raises(InvalidInputError, match=words):
        ArchiveJob.for_inactive_users(since=since, **UNENROLL)


@pytest.mark.parametrize("since", [date(2026, 3, 2), START + timedelta(seconds=1)])
def test_a_time_in_the_future_is_refused(harness: Harness, since: Any) -> None:
    """By the platform's clock: everybody would be inactive."""
    with pytest.raises(InvalidInputError, match="is in the future"):
        _job("course", inactive_since=since).plan(harness.client)
    today = _job("course", inactive_since=date(2026, 3, 1)).plan(harness.client)
    assert today.counts["to_archive"] == 5


def test_users_are_read_once_for_several_targets(harness: Harness) -> None:
    """Two targets under the same border ask for the users once."""
    course, plan = (_job(kind, inactive_since=BORDER) for kind in BY_KIND)
    planned = (course + plan).plan(harness.client)
    assert harness.operations.count("list_users") == 1
    check(harness, harness.apply(planned), archived=4)


@kinds
def test_a_user_asked_for_twice_is_archived_once(harness: Harness, kind: str) -> None:
    """A user asked for twice is archived once; the target is read once."""
    two_users = BY_KIND[kind](NUMBER[kind], **UNENROLL).users([1002, 1003])
    planned = (two_users + _job(kind)).plan(harness.client)
    assert planned.counts["to_archive"] == 6
    assert [outcome.code for outcome in planned.skipped] == ["duplicate"] * 2
    assert harness.operations.count(f"{kind}_enrollments") == 1


@pytest.mark.parametrize(
    ("exclude", "warning"),
    [
        (
            [1002, "u1004", "1003", "nobody", 77],
            (
                "2 users excluded; no match for "
                "'1003' (it is the id of a user there: give ids as int), 'nobody', "
                "77 (there is a user named '77': give usernames as str)"
            ),
        ),
        ([1002], "1 user excluded, all given as ids"),
    ],
    ids=["names and ids", "an id"],
)
def test_the_plan_says_whom_exclude_left_alone(
    harness: Harness, exclude: list[int | str], warning: str
) -> None:
    """It also says which names leave nobody alone, and where an id was given as a text."""
    _rename(harness, {1006: "77"})
    warnings = _job("course", exclude=exclude).plan(harness.client).warnings
    assert [text for text in warnings if "excluded" in text] == [f"course 9: {warning}"]


#: A username as it is enrolled, and one that is easily taken for it.
SIMILAR = [
    ("u1003", "U1003"),
    ("u1003", "u 1003"),
    ("u1003", "u1003\u200b"),
    ("u1003", "\uff551003"),
    ("zo\xeb", "zoe\u0308"),
    ("stra\xdfe", "STRASSE"),
    ("ad a", "ada"),
]


@kinds
@pytest.mark.parametrize(("enrolled", "given"), SIMILAR)
def test_a_name_that_is_almost_an_enrolled_one_stops_the_plan(
    harness: Harness, kind: str, enrolled: str, given: str
) -> None:
    """It would leave nobody alone: nothing is planned, and the message shows both names."""
    _rename(harness, {1003: enrolled})
    with pytest.raises(InvalidInputError) as caught:
        _job(kind, exclude=["u1001", given, "nobody"]).plan(harness.client)
    assert f"exclude= contains {given!a}, and {enrolled!a} is enrolled" in str(caught.value)
    assert str(caught.value).startswith(f"{kind.replace('_', ' ')} {NUMBER[kind]}")
    exact = _job(kind, exclude=["u1001", enrolled]).plan(harness.client)
    assert user_ids(exact) == [1002, 1004, 1005, 1006]


NAMES = [
    "u1002,u1003",
    "u1002 u1003",
    "u1002\xa0x",
    "u1002; u1003",
    "u1003\nu1002",
    "u1003|x",
    '"u1003"',
    "'U1003'",
]


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        *((["u1001", name], "is enrolled: give each name as a text of its") for name in NAMES),
        (["1003", "1004"], r"'1003' \(it is the id of a user there: give ids as int\)"),
        ([77], r"77 \(there is a user named '77': give usernames as str\)"),
        ([78], r"78 \(there is a user named '0078': give usernames as str\)"),
        (["78"], "'0078' is enrolled: they differ only in .* or leading zeros"),
    ],
    ids=str,
)
def test_names_that_leave_nobody_alone_stop_the_plan(
    harness: Harness, exclude: list[int | str], words: str
) -> None:
    """Several names in one text, and ids and usernames that are mistaken for one another."""
    _rename(harness, {1005: "77", 1006: "0078"})
    with pytest.raises(InvalidInputError, match=words):
        _job("course", exclude=exclude).plan(harness.client)


def test_a_name_with_a_space_is_not_two_names(harness: Harness) -> None:
    """A user of exactly that name exists, and is not enrolled."""
    harness.sandbox.load(users=[{"username": "u1002 u1003", "user_id": 2000}])
    warnings = _job("course", exclude=["u1002 u1003"]).plan(harness.client).warnings
    assert any("no match for 'u1002 u1003'" in text for text in warnings)
