"""What goes in comes back: each file of ours can be given to `from_csv`, and asks the same."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archive_tools import MakeCsv, asked, from_csv, from_rows, given
from conftest import read_csv
from hypothesis import example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st
from virtual_time import ENROLLED_AT, Harness

from lms_archive import ArchiveJob, ArchivePlan, redact
from lms_archive.archive.added_columns import OUTCOME_COLUMNS, PLAN_COLUMNS
from lms_archive.archive.selection import column_word

RISKY = ("=", "+", "-", "@", "\t", "\r")
OURS = [column.name for column in (*OUTCOME_COLUMNS, *PLAN_COLUMNS)]
texts = st.text(
    st.sampled_from("=+-@\t\r'\"a1,; \n") | st.characters(codec="utf-8", exclude_characters="\0␀"),
    max_size=6,
)
names = texts.filter(str.strip)
columns = (
    texts | st.builds(str.__add__, st.sampled_from(OURS), st.sampled_from(["", "_2", " "]))
).filter(lambda name: column_word(name) is None)


def load(harness: Harness, code: str, usernames: list[str]) -> None:
    """The platform has one course and these users, who have completed it."""
    for table in ("archived_enrollments", "enrollments", "courses", "users WHERE user_id >= 1001"):
        harness.change(f"DELETE FROM {table}")
    harness.ledger.unlink(missing_ok=True)
    harness.sandbox.load(
        users=[{"username": name, "user_id": 1001 + i} for i, name in enumerate(usernames)],
        courses=[{"code": code, "id_course": 1}],
        enrollments=[
            {
                "user_id": 1001 + i,
                "id_course": 1,
                "enrollment_status": "completed",
                "enrollment_created_at": ENROLLED_AT,
            }
            for i in range(len(usernames))
        ],
    )


def members(plan: ArchivePlan) -> list[int]:
    """Who is archived."""
    return [member.user_id for chunk in plan.chunks for member in chunk.members]


def cells_of(path: Path) -> Iterator[str]:
    """Every cell of a file, names of columns included."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            yield from row


def read_again(thing: Any, harness: Harness) -> ArchiveJob:
    """Write a plan, a result or a view as CSV, and read the file as a job."""
    path = harness.folder / f"{type(thing).__name__}.csv"
    thing.to_csv(path)
    return from_csv(path)


@settings(max_examples=8)
@given_any(
    code=names,
    usernames=st.lists(names, min_size=1, max_size=4, unique=True),
    extra=st.dictionaries(columns, texts, max_size=4),
    by_file=st.booleans(),
)
@example(
    code="SAFE ",
    usernames=["ada ", "ada", "+39333100200"],
    extra={"plan": "Gold", "plan_reason": ""},
    by_file=True,
)
@example(
    code="=cmd",
    usernames=["-1", "@x", "'quoted", "''=x"],
    extra={"outcome": "", "": "x", " ": "y"},
    by_file=False,
)
@example(code="C", usernames=["x"], extra=dict.fromkeys(OURS, "=1"), by_file=False)
@example(code="C", usernames=["x"], extra={f"{x}_2": "'" for x in OURS[:11]}, by_file=False)
def test_rows_come_back_and_ask_the_same(
    harness: Harness, code: str, usernames: list[str], extra: dict[str, str], *, by_file: bool
) -> None:
    """Any columns and any names, by way of the plan, of the outcome and of its views."""
    load(harness, code, usernames)
    rows = [{"username": name, "course_code": code, **extra} for name in usernames]
    if by_file:  # there the names of columns are trimmed, and each must have one
        rows = [{name.strip(): cell for name, cell in row.items() if name.strip()} for row in rows]
        with (harness.folder / "input.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    job = from_csv(harness.folder / "input.csv") if by_file else from_rows(rows)
    plan = job.plan(harness.client)
    assert members(plan) == list(range(1001, 1001 + len(usernames)))
    assert members(read_again(plan, harness).plan(harness.client)) == members(plan)
    if len(usernames) > 2:
        harness.sandbox.faults.add("job_partial", errors=1)
    result = harness.apply(plan)
    harness.sandbox.faults.clear()
    failed = [outcome.user_id for outcome in result.failed]
    assert members(read_again(result.failed, harness).plan(harness.client)) == failed
    for thing in (plan, result):
        again = read_again(thing, harness)
        assert given(again) == given(job) == rows
        assert asked(again) == asked(job)
    frame = result.to_pandas()
    assert list(frame.columns[: len(rows[0])]) == result.to_arrow().column_names[: len(rows[0])]
    assert frame.iloc[:, : len(rows[0])].to_dict("records") == rows
    for path in harness.folder.glob("*.csv"):
        if path.name != "input.csv":
            assert not [cell for cell in cells_of(path) if cell.startswith(RISKY)]


def test_an_id_of_another_platform_is_checked_by_the_username(harness: Harness) -> None:
    """The id of a record may be another person's here: the username tells."""
    load(harness, "SAFE", ["ada", "ben", "cy"])
    records = list(harness.client.enrollments.in_course(1))
    assert members(from_rows(records).plan(harness.client)) == [1001, 1002, 1003]
    load(harness, "SAFE", ["xi", "ben", "ada"])  # as another platform has them
    plan = from_rows(records).plan(harness.client)
    assert members(plan) == [1002]
    assert [outcome.reason for outcome in plan.skipped] == [
        "user 1001 is 'xi', not 'ada': correct one of the two",
        "user 1003 is 'ada', not 'cy': correct one of the two",
    ]


def test_parts_that_spell_a_column_differently_share_it(
    harness: Harness, make_csv: MakeCsv
) -> None:
    """They are one column, under its first name, so that the file can be read."""
    load(harness, "SAFE", ["ada", "ben"])
    job = from_csv(make_csv("Username,Course Code,team\nada,SAFE,red\n"))
    job += from_csv(make_csv("course_code,team,username\nSAFE,blue,ben\n"))
    plan = job.plan(harness.client)
    result = harness.apply(plan)
    for thing in (plan, result):
        assert given(read_again(thing, harness)) == [
            {"Username": "ada", "Course Code": "SAFE", "team": "red"},
            {"Username": "ben", "Course Code": "SAFE", "team": "blue"},
        ]
    assert list(result.to_pandas().columns[:4]) == ["Username", "Course Code", "team", "outcome"]


def test_ids_that_pandas_made_floats(harness: Harness) -> None:
    """They are written as whole numbers, which is what an id is."""
    load(harness, "SAFE", ["ada", "ben"])
    frame = pd.DataFrame({"user_id": [1001, None], "username": [None, "ben"], "course_id": 1})
    assert str(frame["user_id"].dtype) == "float64"
    plan = from_rows(frame).plan(harness.client)
    assert members(read_again(plan, harness).plan(harness.client)) == members(plan)
    assert members(plan) == [1001, 1002]


def test_bad_rows_stay_bad(harness: Harness) -> None:
    """A row that cannot be used is not lost in a file of ours; a blank one asks for nothing."""
    load(harness, "SAFE", ["ada"])
    rows = [{"username": None, "course_code": None}, {"username": " ", "course_code": "SAFE"}]
    job = from_rows(rows)
    assert asked(read_again(job.plan(harness.client), harness)) == asked(job) == [("bad_row",)]


@pytest.mark.parametrize("columns", [OUTCOME_COLUMNS, PLAN_COLUMNS], ids=["outcome", "plan"])
def test_a_file_is_ours_by_all_of_our_columns(make_csv: MakeCsv, columns: Any) -> None:
    """Without all of them a file is another's, and its apostrophes are its own."""
    ours = [column.name for column in columns]
    header = f"username,course_id,{','.join(ours)}"
    more = "," * len(ours)
    assert given(from_csv(make_csv(f"{header}\n'=a,71{more}\n't Hooft,71{more}\n"))) == [
        {"username": "=a", "course_id": "71"},
        {"username": "'t Hooft", "course_id": "71"},
    ]
    for some in (ours[:1], ours[:-1], ours[1:]):
        theirs = from_csv(
            make_csv(f"username,course_id,{','.join(some)}\n'=a,71{',' * len(some)}\n")
        )
        assert given(theirs) == [{"username": "'=a", "course_id": "71", **dict.fromkeys(some, "")}]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_file_that_a_spreadsheet_has_saved(
    harness: Harness, separator: str, make_csv: MakeCsv
) -> None:
    """With its separator, a BOM and an added column, it is still ours."""
    load(harness, "SAFE", ["=a"])
    plan = from_rows([{"username": "=a", "course_code": "SAFE"}]).plan(harness.client)
    plan.to_csv(harness.folder / "plan.csv")
    with (harness.folder / "plan.csv").open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file)
    path = make_csv("")
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([[*header, "approved"], [*row, "yes"]])
    assert given(from_csv(path)) == [{"username": "=a", "course_code": "SAFE", "approved": "yes"}]


def test_a_guard_that_is_left_in_a_part_of_our_file_is_named(harness: Harness) -> None:
    """Without our columns a file is not known as ours, and a `'` in it may be meant."""
    load(harness, "=SAFE", ["+39333"])
    path = harness.folder / "plan.csv"
    from_rows([{"username": "+39333", "course_code": "=SAFE"}]).plan(harness.client).to_csv(path)
    frame = pd.read_csv(path, dtype=str)
    (skip,) = from_rows(frame[["username"]].assign(course_id=1)).plan(harness.client).skipped
    assert "the ' at the start is for spreadsheets" in skip.reason
    (skip,) = from_rows(frame[["username", "course_code"]]).plan(harness.client).skipped
    assert skip.code == "unknown_course"
    assert "the ' at the start is for spreadsheets" in skip.reason


# DataFrames


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 3, 9, 1]),
        pd.Index(list("dcba")),
        pd.Index([5, 5, 6, 7]),
        pd.Index([0.5, None, 2.0, -1.5]),
        pd.Index([1, "a", 2.5, date(2026, 1, 1)]),
        pd.date_range("2026-03-28", periods=4, tz="Europe/Rome"),
        pd.DatetimeIndex(["2026-01-01", "2026-01-02", None, "2026-01-03"]),
        pd.MultiIndex.from_tuples(
            [(1, "a"), (1, "b"), (2, "a"), (2, None)], names=["site", "desk"]
        ),
        pd.MultiIndex.from_product([pd.date_range("2026-01-01", periods=2), [0.5, 1.5]]),
    ],
    ids=repr,
)
def test_outcomes_join_the_frame_that_was_given(harness: Harness, index: pd.Index) -> None:
    """The index is that of the frame, of all rows and of a view, also read from a saved plan."""
    load(harness, "SAFE", ["ada", "ben", "cy"])
    frame = pd.DataFrame(
        {"username": ["ada", "nobody", "ben", "cy"], "course_code": "SAFE"}, index=index
    )
    job = from_rows(frame)
    plan = job.plan(harness.client)
    plan.save(harness.folder / "plan.json")
    result = harness.apply(ArchivePlan.load(harness.folder / "plan.json"))
    outcomes = result.to_pandas()
    restored: Any = index
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        restored = restored.tz_convert("UTC")
    assert outcomes.index.equals(restored)
    assert outcomes.index.nlevels == 1 or outcomes.index.names == index.names
    assert list(outcomes["outcome_row"]) == [0, 1, 2, 3]
    assert result.skipped.to_pandas().index.equals(restored[1:2])
    kinds = ["archived", "skipped", "archived", "archived"]
    assert list(frame.assign(outcome=outcomes["outcome"].array)["outcome"]) == kinds
    if index.is_unique:
        assert list(frame.join(outcomes[["outcome"]])["outcome"]) == kinds


@pytest.mark.parametrize(
    "index",
    [
        None,
        pd.period_range("2026-01", periods=2, freq="M"),
        pd.DatetimeIndex([1, 2]),
        [2**64 - 1, 1],
        [(1, 2), (3, 4)],
        [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), 1],
    ],
    ids=["none", "periods", "nanoseconds", "too large", "tuples", "before UTC"],
)
def test_rows_without_a_label_have_their_position(harness: Harness, index: Any) -> None:
    """Where a frame has no index of its own, or one that no file holds; and rows of no frame."""
    load(harness, "SAFE", ["ada", "ben"])
    frame = pd.DataFrame({"username": ["nobody", "ada"], "course_code": "SAFE"})
    if index is not None:
        frame.index = pd.Index(index, tupleize_cols=False)
    job = from_rows(frame) + from_rows([{"username": "ben", "course_code": "SAFE"}])
    plan = job.plan(harness.client)
    warned = [text for text in plan.warnings if text.startswith("the index of the DataFrame (")]
    assert len(warned) == (index is not None)
    result = harness.apply(plan)
    assert list(result.to_pandas().index) == [0, 1, 2]
    assert list(result.archived.to_pandas().index) == [1, 2]


def test_incomplete_rows_say_what_differs(harness: Harness) -> None:
    """Differences of the record stand in a column of their own."""
    load(harness, "SAFE", ["ada"])
    plan = from_rows([{"username": "ada", "course_code": "SAFE"}]).plan(harness.client)
    harness.line.once(
        lambda exchange: exchange.is_write,
        lambda: harness.change("UPDATE enrollments SET enrollment_score = 12"),
    )
    result = harness.apply(plan)
    result.incomplete.to_csv(harness.folder / "incomplete.csv")
    (row,) = read_csv(harness.folder / "incomplete.csv")
    (outcome,) = result.incomplete
    assert row["outcome_differences"] == "; ".join(outcome.differences)
    assert "score" in row["outcome_differences"]


BROKEN = {"Previous\ncourse": "C2", "course_code": "C1", "manager": "ben", "username": "ada"}


@pytest.mark.parametrize(
    "row", [BROKEN, {**BROKEN, "username\r\n2": "ben"}, {"a\nb": "", **BROKEN}]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_column_with_a_line_break_in_its_name(
    make_csv: MakeCsv, harness: Harness, row: dict[str, str], delimiter: str
) -> None:
    """Spreadsheets write it in quotes; the header does not begin in the middle of it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([["Sign-off", "", ""], row, row.values()])
    job = from_csv(make_csv(text.getvalue()))
    assert asked(job) == [(None, "C1", "ada")]
    assert given(job) == [row]
    load(harness, "C1", ["ada", "ben"])
    plan = job.plan(harness.client)
    assert members(plan) == [1001]
    for thing in (plan, harness.apply(plan)):
        assert asked(read_again(thing, harness)) == [(None, "C1", "ada")]


@pytest.mark.parametrize(
    ("text", "columns", "header"),
    [
        ("user_id,course_code\n1002,C1\n", {"username": "user_id"}, ["username", "course_code"]),
        (
            "username,user_id,course_code\n1003,1002,C1\n",
            {"username": "user_id"},
            ["username_2", "username", "course_code"],
        ),
        (
            "course_code,course_id\n1002,C1\n",
            {"username": "course_code", "course_code": "course_id"},
            ["username", "course_code"],
        ),
    ],
)
def test_what_columns_meant_is_what_our_files_say(
    make_csv: MakeCsv, harness: Harness, text: str, columns: dict[str, str], header: list[str]
) -> None:
    """Without `columns=`, the file would name another user; a redacted ledger would keep names."""
    load(harness, "C1", ["1002", "1001", "1003"])
    job = from_csv(make_csv(text), columns=columns)
    plan = job.plan(harness.client)
    assert members(plan) == [1001]
    assert "is 'username' in this job and its files, because of columns=" in str(plan.warnings)
    result = harness.apply(plan)
    assert list(result.outcomes[0].row) == header
    for thing in (plan, result):
        assert members(read_again(thing, harness).plan(harness.client)) == []
        assert asked(read_again(thing, harness)) == [(None, "C1", "1002")]
    redact(harness.ledger)
    assert result.outcomes[0].row["username"] == "redacted"


def test_columns_that_share_a_meaning_are_kept_where_columns_gives_it_to_another(
    make_csv: MakeCsv, harness: Harness
) -> None:
    """Two of the user's own columns are not written as one."""
    load(harness, "C1", ["ada"])
    text = "Login,Username,user_name,course_code\nada,Ada Lovelace,AL,C1\n"
    plan = from_csv(make_csv(text), columns={"username": "Login"}).plan(harness.client)
    plan.to_csv(harness.folder / "plan.csv")
    (row,) = read_csv(harness.folder / "plan.csv")
    assert (row["Login"], row["Username_2"], row["user_name_2"]) == ("ada", "Ada Lovelace", "AL")


def test_parts_in_which_a_column_means_different_things(harness: Harness) -> None:
    """One names users by `user_id`, the other holds usernames there."""
    load(harness, "C1", ["1002", "ben"])
    first = from_rows([{"user_id": "1002", "course_code": "C1"}], columns={"username": "user_id"})
    job = first + from_rows([{"user_id": 1002, "course_code": "C1"}])
    plan = job.plan(harness.client)
    assert members(plan) == [1001, 1002]
    assert members(read_again(plan, harness).plan(harness.client)) == [1001, 1002]


def test_an_added_column_is_not_one_of_the_user_in_other_case(harness: Harness) -> None:
    """Spreadsheets and databases take `Plan` and `plan` for one column."""
    load(harness, "C1", ["ada"])
    plan = from_rows([{"username": "ada", "course_code": "C1", "Plan": "Gold"}]).plan(
        harness.client
    )
    columns = list(plan.to_pandas().columns)
    assert columns[2:5] == ["Plan", "plan_2", "plan_code_2"]
