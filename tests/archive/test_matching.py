"""Rows beside the enrollments that were read: each row is one enrollment's, or told why not."""

import pickle
from collections.abc import Sequence
from datetime import datetime, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lms_archive.archive import PlannedEnrollment, Terms
from lms_archive.archive.planning.matching import Match, RequestedRows, merge_requested
from lms_archive.archive.selection import Rows, Target, UserKey
from lms_archive.records import CourseEnrollment, EnrollmentLevel, EnrollmentStatus

AT = datetime(2025, 1, 2, tzinfo=timezone.utc)
TERMS = Terms(mode="unenroll", reset_tracking=False, only="completed")
NAMES = ("ada", "bob", "carol", "dan", "eve")
IDS = {name: number for number, name in enumerate(NAMES, start=101)}
keys = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from([name, IDS[name], (IDS[name], name), name.upper(), (999, name)])
)


def enrollment(name: str, *, told: bool = True) -> CourseEnrollment:
    """A completed enrollment of a learner; the name is told or not."""
    return CourseEnrollment(
        user_id=IDS[name],
        username=name if told else None,
        course_id=71,
        status=EnrollmentStatus.COMPLETED,
        level=EnrollmentLevel.LEARNER,
        enrolled_at=AT,
        completed_at=AT,
        score=88.0,
        time_spent=600,
    )


def match_of(items: Sequence[CourseEnrollment]) -> Match:
    """Rows beside these enrollments."""
    return Match(TERMS, items, lambda names: {n: IDS[n] for n in names & IDS.keys()}, str)


@given(
    st.lists(keys, max_size=12), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))
)
def test_every_row_once(users: list[UserKey], here: set[str], told: set[str]) -> None:
    """Each row is a member or a skip; a member is its row's user, and nobody is one twice."""
    match = match_of([enrollment(name, told=name in told) for name in sorted(here)])
    members = list(match.members(RequestedRows(range(len(users)), users)))
    rows = [one.row for one in members] + [one.row for one in match.skips]
    assert sorted(rows) == list(range(len(users)))
    for one in members:
        assert users[one.row] in (one.username, one.user_id, (one.user_id, one.username))
        assert one.username is None or IDS[one.username] == one.user_id
    ids = [one.user_id for one in members]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {IDS[name] for name in here}


def test_pre_images_are_as_if_made_by_hand() -> None:
    """A pre-image is frozen, equal to one made by hand, and survives pickling."""
    (found,) = match_of([enrollment("ada")]).members(RequestedRows([4], ["ada"]))
    made = PlannedEnrollment(
        row=4,
        user_id=101,
        username="ada",
        enrolled_at=AT,
        status=EnrollmentStatus.COMPLETED,
        level=EnrollmentLevel.LEARNER,
        completed_at=AT,
        score=88.0,
        time_spent=600,
    )
    assert type(found) is PlannedEnrollment
    assert found == made
    assert hash(found) == hash(made)
    assert pickle.loads(pickle.dumps(found)) == made  # noqa: S301  our own
    assert attrs.evolve(found, row=5).row == 5
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.row = 5  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del found.row


def rows_of(users: Sequence[UserKey]) -> Rows:
    """Rows of one target and these users."""
    rows = Rows(("user",))
    for user in users:
        rows.add((str(user),), None, Target.of("course", 71), user)
    return rows


@given(st.lists(keys, max_size=6), st.lists(keys, min_size=1, max_size=6))
def test_rows_of_several_parts_in_input_order(one: list[UserKey], two: list[UserKey]) -> None:
    """However the rows of a target are parted, they are asked for as they stand in the job."""
    first, second = rows_of(one), rows_of(two)
    split = [range(0, len(two), 2), range(1, len(two), 2)]
    parts = [(0, first, range(len(one))), *((len(one), second, places) for places in split)]
    assert list(merge_requested(parts)) == list(enumerate(one + two))
    assert list(merge_requested(parts[:1])) == list(enumerate(one))
