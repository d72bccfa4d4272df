"""Every enrollment of a target, or those of inactive users, but for whom to leave alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from plan_tools import AGAIN, UNENROLL, check, load_plans, sent
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchivePlan, InvalidInputError
from lms_archive.wire import Response

utc = timezone.utc
BORDER = datetime(2025, 6, 1, tzinfo=utc)
BY_KIND: dict[str, Callable[..., ArchiveJob]] = {
    "course": ArchiveJob.for_course,
    "learning_plan": ArchiveJob.for_learning_plan,
}
NUMBER = {"course": 9, "learning_plan": 50}
KINDS = list(BY_KIND)


def _load(harness: Harness) -> None:
    """u1001 never logged in; u1002 to u1006 did on the first of April to August 2025."""
    load_plans(harness, {50: [1, 2]}, users=6)
    harness.sandbox.load(courses=[{"code": "C9", "id_course": 9}])
    harness.change(
        "INSERT INTO enrollments SELECT 9, user_id, enrollment_status, enrollment_level, "
        "enrollment_score, enrollment_created_at, enrollment_created_by, "
        "enrollment_completion_date, enrollment_time_spent, NULL, NULL, NULL, NULL, NULL "
        "FROM enrollments WHERE course_id = 1"
    )
    for month in range(4, 9):
        at = f"2025-{month:02}-01 00:00:00"
        harness.change("UPDATE users SET last_access_date = ? WHERE user_id = ?", at, 998 + month)


def _plan(harness: Harness, kind: str, terms: Mapping[str, Any] | None = None, **how: Any) -> Any:
    job = BY_KIND[kind](NUMBER[kind], **(terms or UNENROLL))
    return job.all_enrollments(**how).plan(harness.client)


def _taken(planned: ArchivePlan) -> list[int]:
    return [one.user_id for chunk in planned.chunks for one in chunk.members]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("terms", [UNENROLL, AGAIN])
def test_all_who_have_completed_are_taken(
    harness: Harness, kind: str, terms: Mapping[str, Any]
) -> None:
    """Without more said, everyone who has completed is taken, each with a row of their own."""
    _load(harness)
    harness.change(
        "UPDATE learning_plan_enrollments SET enrollment_status = 'in_progress' "
        "WHERE user_id = 1003"
    )
    harness.change("UPDATE enrollments SET enrollment_level = 'tutor' WHERE user_id = 1004")
    planned = _plan(harness, kind, terms)
    left_out = 1003 if kind == "learning_plan" else 1004
    assert _taken(planned) == [user for user in range(1001, 1007) if user != left_out]
    result = planned.apply(harness.client, ledger=harness.ledger)
    skips = 0 if kind == "learning_plan" else 1
    check(harness, result, again=terms is AGAIN, archived=5, skipped=skips)
    first = next(iter(result.outcomes))
    assert dict(first.row) == {f"{kind}_id": NUMBER[kind], "user_id": 1001, "username": "u1001"}


@pytest.mark.parametrize(
    ("kind", "since", "words"),
    [
        ("course", date(2025, 6, 1), "since 2025-06-01 00:00:00 UTC"),
        ("learning_plan", BORDER, "since 2025-06-01 00:00:00 UTC"),
        (
            "course",
            datetime(2025, 6, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            "since 2025-06-01 00:00:00",
        ),
        (
            "learning_plan",
            datetime(2026, 3, 1, 12, tzinfo=utc) - BORDER,
            "since 2025-06-01 00:00:00 UTC",
        ),
    ],
)
def test_only_inactive_users_are_taken(harness: Harness, kind: str, since: Any, words: str) -> None:
    """A day is its midnight, UTC; the border itself is not before it; never logged in stays."""
    _load(harness)
    planned = _plan(harness, kind, inactive_since=since)
    assert _taken(planned) == [1002, 1003]
    (text,) = [text for text in planned.warnings if " inactive since " in text]
    assert words in text
    assert "2 users" in text
    assert words in str(planned)


@pytest.mark.parametrize("kind", KINDS)
def test_excluded_users_are_left_alone(harness: Harness, kind: str) -> None:
    """Ids and usernames, together with inactivity; a name is never an id."""
    _load(harness)
    planned = _plan(harness, kind, exclude=[1002, "u1004", "1003", " u1005\n"])
    assert _taken(planned) == [1001, 1003, 1006]
    both = _plan(harness, kind, exclude={"u1002"}, inactive_since=BORDER)
    assert _taken(both) == [1003]
    assert _taken(_plan(harness, kind, exclude="u1001")) == [1002, 1003, 1004, 1005, 1006]


class Nameless:
    """A transport under which the active lists have no usernames."""

    def __init__(self, harness: Harness) -> None:
        self._line = harness.line

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
        answer = self._line(method, url, headers, params, body, timeout)
        if not url.endswith("/enrollments") or method != "GET":
            return answer
        data = json.loads(answer.body)
        for item in data["data"]["items"]:
            del item["username"]
        return Response(answer.status, answer.headers, json.dumps(data).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_excluded_names_are_looked_up_where_lists_have_none(harness: Harness, kind: str) -> None:
    """`username` in the list is assumed: without it the names left alone are looked up."""
    _load(harness)
    client = harness.connect(transport=Nameless(harness))
    job = BY_KIND[kind](NUMBER[kind], **UNENROLL).all_enrollments(exclude=["u1002", "u1005", 1006])
    assert _taken(job.plan(client)) == [1001, 1003, 1004]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{"inactive_since": date(2020, 1, 1)}, {"exclude": range(1, 2000)}])
def test_an_empty_selection_is_an_empty_plan_with_a_warning(
    harness: Harness, kind: str, how: dict[str, Any]
) -> None:
    """An empty plan with a warning; applying it does nothing, and is whole."""
    _load(harness)
    planned = _plan(harness, kind, **how)
    assert planned.counts == {"rows": 0, "to_archive": 0, "skipped": 0, "chunks": 0}
    assert (
        planned.warnings[-1] == f"no enrollment of {kind.replace('_', ' ')} {NUMBER[kind]}"
        " matches: nothing to archive there"
    )
    result = planned.apply(harness.client, ledger=harness.ledger)
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
    job = ArchiveJob.for_course(9, **UNENROLL)
    with pytest.raises(InvalidInputError, match=r"needs a time zone|in the future|must be a date"):
        job.all_enrollments(inactive_since=since)


@pytest.mark.parametrize("since", [date(2026, 3, 2), datetime(2026, 3, 1, 12, 0, 1, tzinfo=utc)])
def test_a_time_in_the_future_is_refused(harness: Harness, since: Any) -> None:
    """By the platform's clock: everybody would be inactive."""
    _load(harness)
    with pytest.raises(InvalidInputError, match="is in the future"):
        _plan(harness, "course", inactive_since=since)
    assert _plan(harness, "course", inactive_since=date(2026, 3, 1)).counts["to_archive"] == 5


def test_users_are_read_once_for_several_targets(harness: Harness) -> None:
    """Two targets under the same border ask for the users once."""
    _load(harness)
    jobs = [
        BY_KIND[kind](NUMBER[kind], **UNENROLL).all_enrollments(inactive_since=BORDER)
        for kind in KINDS
    ]
    planned = (jobs[0] + jobs[1]).plan(harness.client)
    assert harness.operations.count("list_users") == 1
    check(harness, planned.apply(harness.client, ledger=harness.ledger), archived=4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_asked_for_twice_is_archived_once(harness: Harness, kind: str) -> None:
    """A user asked for twice is archived once; the target is read once."""
    _load(harness)
    make = BY_KIND[kind]
    some = make(NUMBER[kind], **UNENROLL).users([1002, 1003])
    everyone = make(NUMBER[kind], **UNENROLL).all_enrollments()
    planned = (some + everyone).plan(harness.client)
    assert planned.counts["to_archive"] == 6
    assert [outcome.code for outcome in planned.skipped] == ["duplicate"] * 2
    assert harness.operations.count(f"{kind}_enrollments") == 1


def test_the_plan_says_whom_exclude_left_alone(harness: Harness) -> None:
    """It also says which names leave nobody alone, and where an id was given as a text."""
    _load(harness)
    harness.change("UPDATE users SET username = '77' WHERE user_id = 1006")
    warnings = _plan(harness, "course", exclude=[1002, "u1004", "1003", "nobody", 77]).warnings
    (text,) = [text for text in warnings if "excluded" in text]
    assert text == (
        "course 9: 2 users excluded; no match for "
        "'1003' (it is the id of a user there: give ids as int), 'nobody', "
        "77 (it is the username of a user there: give usernames as str)"
    )
    (text,) = [t for t in _plan(harness, "course", exclude=[1002]).warnings if "excluded" in t]
    assert text == "course 9: 1 user excluded, all given as ids"


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("enrolled", "given"), SIMILAR)
def test_a_name_that_is_almost_an_enrolled_one_stops_the_plan(
    harness: Harness, kind: str, enrolled: str, given: str
) -> None:
    """It would leave nobody alone: nothing is planned, and the message shows both names."""
    _load(harness)
    harness.change("UPDATE users SET username = ? WHERE user_id = 1003", enrolled)
    with pytest.raises(InvalidInputError) as caught:
        _plan(harness, kind, exclude=["u1001", given, "nobody"])
    assert f"exclude= contains {given!a}, and {enrolled!a} is enrolled" in str(caught.value)
    assert str(caught.value).startswith(f"{kind.replace('_', ' ')} {NUMBER[kind]}")
    exact = _plan(harness, kind, exclude=["u1001", enrolled])
    assert _taken(exact) == [1002, 1004, 1005, 1006]


@pytest.mark.parametrize(
    "given", ["u1002,u1003", "u1002; u1003", "u1003\nu1002", "u1003|x", '"u1003"', "'U1003'"]
)
def test_several_names_in_one_text_stop_the_plan(harness: Harness, given: str) -> None:
    """Nobody has such a name, and everybody in it would be archived."""
    _load(harness)
    with pytest.raises(InvalidInputError, match=r"is enrolled: give each name as a text of its"):
        _plan(harness, "course", exclude=["u1001", given])


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        (["1003", "1004"], r"'1003' \(it is the id of a user there: give ids as int\)"),
        ([77], r"77 \(it is the username of a user there: give usernames as str\)"),
    ],
    ids=str,
)
def test_ids_and_usernames_that_are_mistaken_for_one_another_stop_the_plan(
    harness: Harness, exclude: list[int | str], words: str
) -> None:
    """Most of them leave nobody alone as they were given, and would the other way."""
    _load(harness)
    harness.change("UPDATE users SET username = user_id - 928 WHERE user_id IN (1005, 1006)")
    with pytest.raises(InvalidInputError, match=words):
        _plan(harness, "course", exclude=exclude)


def test_a_name_with_spaces_around_it_on_the_platform_is_left_alone(harness: Harness) -> None:
    """Names are compared without the white space around them, on both sides."""
    _load(harness)
    harness.change("UPDATE users SET username = 'ada ' WHERE user_id = 1003")
    harness.change("UPDATE users SET username = ' ada' WHERE user_id = 1004")
    for given in ("ada", "ada ", "\tada"):
        assert _taken(_plan(harness, "course", exclude=[given])) == [1001, 1002, 1005, 1006]


def test_a_similar_name_beside_the_exact_one_is_no_slip(harness: Harness) -> None:
    """Two users whose names differ in case only are two users."""
    _load(harness)
    harness.change("UPDATE users SET username = 'U1003' WHERE user_id = 1004")
    assert _taken(_plan(harness, "course", exclude=["U1003"])) == [1001, 1002, 1003, 1005, 1006]
