"""Chunks, by property: every row in one of them, in order, and ids that only content changes."""

from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any

from archive_tools import from_rows, planned, without_usernames
from attrs import evolve
from conftest import COMPLETED
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lms_archive import ArchivePlan, Client, Limits
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import (
    Chunk,
    PlannedEnrollment,
    PlannedTarget,
    split_into_chunks,
)
from lms_archive.wire import RequestsTransport

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)
TERMS = Terms(mode="unenroll", reset_tracking=False, only="completed")
TARGET = PlannedTarget(kind="course", target_id=71, code="SAFE", title="Safety", listed=9)


def image(row: int, user_id: int, day: int | None = 0) -> PlannedEnrollment:
    """An enrollment of that user, made on that day."""
    return PlannedEnrollment(
        row=row,
        user_id=user_id,
        username=f"u{user_id}",
        enrolled_at=None if day is None else AT + timedelta(days=day),
        status="completed",
        level="learner",
    )


members = st.lists(
    st.tuples(st.integers(1, 10**6), st.none() | st.integers(-5000, 0)),
    max_size=60,
    unique_by=lambda pair: pair[0],
).map(lambda members: [image(row, *pair) for row, pair in enumerate(members)])
sizes = st.integers(1, 25)


def chunks(
    members: list[PlannedEnrollment],
    size: int,
    target: PlannedTarget = TARGET,
    terms: Terms = TERMS,
) -> list[Chunk]:
    """The chunks of these members."""
    return list(split_into_chunks(target, members, size=size, terms=terms, read_at=AT))


@given(members, sizes, st.integers(1, 1000))
def test_ids_depend_on_content_only(members: list[PlannedEnrollment], size: int, by: int) -> None:
    """Line, name, score, title and time of reading may change: the ids stay."""
    changed = [evolve(member, row=member.row + by, username=None, score=3.5) for member in members]
    target = evolve(TARGET, code=None, title="Another", listed=by)
    later = split_into_chunks(
        target, changed, size=size, terms=TERMS, read_at=AT + timedelta(days=by)
    )
    assert [chunk.chunk_id for chunk in later] == [
        chunk.chunk_id for chunk in chunks(members, size)
    ]


@given(members.filter(bool), st.data())
def test_ids_change_with_content(members: list[PlannedEnrollment], data: st.DataObject) -> None:
    """Another user, date, order, course or decision makes another id."""
    (whole,) = chunks(members, 60)
    place = data.draw(st.integers(0, len(members) - 1))
    other_user = [*members]
    other_user[place] = evolve(members[place], user_id=10**7)
    other_date = [*members]
    other_date[place] = evolve(members[place], enrolled_at=AT + timedelta(days=1))
    ids = {
        whole.chunk_id,
        chunks(other_user, 60)[0].chunk_id,
        chunks(other_date, 60)[0].chunk_id,
        chunks(members, 60, target=evolve(TARGET, target_id=72))[0].chunk_id,
        chunks(members, 60, terms=evolve(TERMS, reset_tracking=True))[0].chunk_id,
    }
    assert len(ids) == 5
    if len(members) > 1:
        assert chunks(members[::-1], 60)[0].chunk_id not in ids


def test_an_id_of_today() -> None:
    """The id is written into ledgers: another release must find the same one."""
    (chunk,) = chunks([image(0, 101), image(1, 102, None)], 200)
    assert chunk.chunk_id == "a8bcd0f790e95cf0"


names = st.sampled_from(
    ["alice", "bob", "carol", "Anna", "anna", "007", "12", "nobody", "tina", "paul", "", "ALICE"]
)
asked_for = st.fixed_dictionaries(
    {
        "username": names,
        "user_id": st.sampled_from([None, None, None, 101, 102, 999, "007"]),
        "course_code": st.sampled_from(["SAFE", "FIRE", "TWIN", "NOPE", "", "71"]),
        "course_id": st.sampled_from([None, None, None, 71, 72, 73, 9999]),
    }
)


def decisions(plan: ArchivePlan) -> tuple[Any, ...]:
    """What is archived, and why the rest is not."""
    members = [member for chunk in plan.chunks for member in chunk.members]
    archived = sorted((member.row, member.user_id) for member in members)
    return archived, sorted((skip.row, skip.code) for skip in plan.skips)


@settings(max_examples=40)
@given(
    st.lists(asked_for, max_size=25),
    st.integers(0, 25),
    st.integers(1, 4),
    st.sets(st.sampled_from(sorted(COMPLETED.values()))),
)
@example(
    [
        {"username": "alice", "course_code": "SAFE"},
        {"username": "bob", "course_id": 71},
        {"username": "carol", "course_code": "SAFE"},
    ],
    *(2, 2, {"bob"}),
)
def test_each_row_in_one_chunk_or_skip(
    reader: Client, rows: list[dict[str, object]], place: int, size: int, hidden: set[str]
) -> None:
    """Whatever is asked for, each row is in exactly one chunk or skip, and none twice.

    It is the same where two jobs are added, and where lists have some of the usernames only.
    """
    client = reader.with_options(limits=Limits(hand_picked=size))
    plan = from_rows(rows).plan(client)
    sent = [member.row for chunk in plan.chunks for member in chunk.members]
    count = sum(any(cell not in (None, "") for cell in row.values()) for row in rows)
    assert sorted([*sent, *(skip.row for skip in plan.skips)]) == list(range(count))
    assert len({chunk.chunk_id for chunk in plan.chunks}) == len(plan.chunks)
    for _, group in groupby(plan.chunks, lambda chunk: chunk.target):
        chunks = list(group)
        assert all(len(chunk) == size for chunk in chunks[:-1])
        assert 1 <= len(chunks[-1]) <= size
        inside = [member.row for chunk in chunks for member in chunk.members]
        assert inside == sorted(inside)
    identities = [(course, user) for _, course, user in planned(plan)]
    assert len(set(identities)) == len(identities)
    assert plan.counts["rows"] == plan.counts["to_archive"] + plan.counts["skipped"] == count
    assert from_rows(rows).plan(client).digest == plan.digest
    added = from_rows(rows[:place]) + from_rows(rows[place:])
    assert decisions(added.plan(client)) == decisions(plan)
    lacking = client.with_options(transport=without_usernames(RequestsTransport(), hidden))
    assert decisions(from_rows(rows).plan(lacking)) == decisions(plan)
