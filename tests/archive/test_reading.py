"""Rows as they are given: of CSV files, mappings, generators, DataFrames and records."""

import csv
import json
import re
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_tools import MakeCsv, asked, from_csv, from_rows, given, planned
from hypothesis import example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from lms_archive import Client, InvalidInputError
from lms_archive.records import EnrollmentStatus

HEADER = ("username", "note", "course_code", "=sum")
texts = st.text(
    st.sampled_from("ab'\"=+-@,;\t\r\n \x1b\u2028é") | st.characters(codec="utf-8"), max_size=8
).map(lambda text: text.replace("\0", ""))
tables = st.lists(st.tuples(texts, texts, texts, texts), max_size=8)


def written(cells: tuple[str, ...], delimiter: str, quotes: bool) -> str:  # noqa: FBT001
    """A row as CSV, its cells quoted where they must be, or all."""
    found = []
    for cell in cells:
        must = quotes or any(sign in cell for sign in f'"\r\n{delimiter}')
        found.append('"' + cell.replace('"', '""') + '"' if must else cell)
    return delimiter.join(found)


@settings(max_examples=80)
@given_any(
    tables,
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
@example([("a", "\r", "c", "\r\n"), ("d", "", "", "")], ";", "\r", "utf-16", True)  # noqa: FBT003
def test_cells_come_as_written_each_row_on_its_line(
    tmp_path: Path,
    rows: list[tuple[str, ...]],
    delimiter: str,
    end: str,
    encoding: str,
    quotes: bool,  # noqa: FBT001
) -> None:
    """Cells come as they were written, each row on the line where an editor shows it."""
    text, expected = written(HEADER, delimiter, quotes) + end, []
    for row in rows:
        if any(cell.strip() for cell in row):
            line = 1 + len(re.findall("\r\n|\r|\n", text))
            expected.append((line, dict(zip(HEADER, row, strict=True))))
        text += written(row, delimiter, quotes) + end
    path = tmp_path / "input.csv"
    path.write_bytes(text.encode(encoding))
    job = from_csv(path)
    assert [(row.line, row.cells) for row in job.selection] == expected
    names = [(cells["course_code"], cells["username"]) for _, cells in expected]
    assert asked(job) == [
        (None, code, name) if code.strip() and name.strip() else ("bad_row",)
        for code, name in names
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("username", "course_code"),
        ("User Name", "Course_Code"),
        ("user-name", "  course-code  "),
    ],
)
def test_case_and_spaces_in_column_names_do_not_matter(
    names: tuple[str, str], make_csv: MakeCsv
) -> None:
    """Case, spaces, `_` and `-` in the names of columns do not matter."""
    job = from_csv(make_csv(f"{names[1]},{names[0]}\nSAFE,alice\n"))
    assert asked(job) == [(None, "SAFE", "alice")]
    assert list(given(job)[0]) == [names[1], names[0]]


def test_id_and_name_are_both_kept(make_csv: MakeCsv) -> None:
    """Where a row gives id and name both are kept; where one is empty the other counts."""
    header = "user_id,username,course_id,course_code\n"
    job = from_csv(make_csv(f"{header}101,,71,\n,alice,,SAFE\n101,alice,71,SAFE\n"))
    assert asked(job) == [
        (71, None, 101),
        (None, "SAFE", "alice"),
        (71, "SAFE", (101, "alice")),
    ]


def test_other_columns_are_kept_as_given(make_csv: MakeCsv) -> None:
    """Other columns stand in the row as given, those without a name by their number."""
    job = from_csv(make_csv("username,,e-mail,course_code\n alice ,x,A@x.org ,SAFE\n"))
    assert given(job) == [
        {"username": " alice ", "column 2": "x", "e-mail": "A@x.org ", "course_code": "SAFE"}
    ]


def test_short_and_long_rows_show_what_they_have(make_csv: MakeCsv) -> None:
    """A row that is too short or too long is shown as far as it fits the header."""
    job = from_csv(make_csv("username,course_code\nalice\nalice,SAFE,x\n"))
    assert given(job) == [{"username": "alice"}, {"username": "alice", "course_code": "SAFE"}]


def test_the_separator_is_that_of_the_header(make_csv: MakeCsv) -> None:
    """The separator is the one that parts most names of the header, quoted ones aside."""
    job = from_csv(make_csv('username;"note, in, short";course_code\nalice;a,b,c;SAFE\n'))
    assert given(job) == [{"username": "alice", "note, in, short": "a,b,c", "course_code": "SAFE"}]


def test_the_limit_of_the_csv_module_is_unchanged(make_csv: MakeCsv) -> None:
    """Python's limit on the length of a cell is as before, after a good file and a bad one."""
    before = csv.field_size_limit()
    long = from_csv(make_csv(f"username,course_code,note\nalice,SAFE,{'x' * 200_000}\n"))
    with pytest.raises(InvalidInputError):
        from_csv(make_csv('"'))
    assert csv.field_size_limit() == before < len(given(long)[0]["note"])


def test_a_path_may_be_text(make_csv: MakeCsv) -> None:
    """A path may be text as well."""
    assert from_csv(str(make_csv("username,course_code\nalice,SAFE\n"))).row_count == 1


ROWS = [{"username": "alice", "course_id": 71}, {"username": "007", "course_id": 71}]
FORMS: dict[str, Callable[[], Any]] = {
    "list": lambda: ROWS,
    "tuple": lambda: tuple(ROWS),
    "generator": lambda: (row for row in ROWS),
    "other mappings": lambda: [ChainMap(row) for row in ROWS],
    "DictReader": lambda: csv.DictReader(["username,course_id", "alice,71", "007,71"]),
    "DataFrame": lambda: pd.DataFrame(ROWS),
    "DataFrame with pandas' own types": lambda: pd.DataFrame(ROWS).convert_dtypes(),
    "DataFrame of floats": lambda: pd.DataFrame(ROWS).astype({"course_id": float}),
    "numpy numbers": lambda: [{**row, "course_id": np.int32(71)} for row in ROWS],
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_rows_of_every_form_name_the_same_enrollments(
    make: Callable[[], Any], reader: Client
) -> None:
    """Mappings, a generator and a DataFrame name the same enrollments."""
    plan = from_rows(make()).plan(reader)
    assert planned(plan) == [(None, 71, 101), (None, 71, 106)]
    assert not plan.skipped


def test_gaps_of_a_data_frame_are_empty() -> None:
    """In a DataFrame NaN, None and NA are empty, and an id that became 7.0 is still 7."""
    frame = pd.DataFrame(
        {
            "username": ["alice", None, np.nan, "bob"],
            "user_id": [None, 7, np.nan, 8],
            "course_id": [71.0, 72.0, 73.0, np.nan],
            "seen": [pd.Timestamp("2025-01-01"), pd.NaT, pd.NaT, pd.NaT],
        }
    )
    expected = [(71, None, "alice"), (72, None, 7), ("bad_row",), ("bad_row",)]
    assert asked(from_rows(frame)) == expected
    assert asked(from_rows(frame.convert_dtypes())) == expected
    second = given(from_rows(frame.convert_dtypes()))[1]
    assert second == {"username": None, "user_id": 7, "course_id": 72, "seen": None}
    assert type(second["user_id"]) is int


KEPT: dict[str, tuple[Any, Any]] = {
    "date": (date(2025, 1, 31), "2025-01-31"),
    "decimal": (Decimal("1.50"), "1.50"),
    "endless": (float("inf"), "inf"),
    "word": (EnrollmentStatus.COMPLETED, "completed"),
    "number of a kind": (IntEnum("Grade", "LOW HIGH").HIGH, 2),  # type: ignore[attr-defined]
    "tuple": ((1, None, "x"), [1, None, "x"]),
    "ordered": (OrderedDict(b=1, a=float("nan")), {"b": 1, "a": "NaN"}),
    "keys": ({10: 1, 9: date(2025, 1, 31)}, {"10": 1, "9": "2025-01-31"}),
}


@pytest.mark.parametrize(("given_", "kept"), KEPT.values(), ids=KEPT.keys())
def test_cells_are_kept_as_json_has_them(given_: Any, kept: Any) -> None:
    """What a cell is in the plan, it is in its file, in the ledger and in the outcome."""
    (row,) = from_rows([{"username": "ada", "course_id": 7, "note": given_}]).selection
    assert (row.cells["note"], type(row.cells["note"])) == (kept, type(kept))
    assert json.loads(json.dumps(row.cells["note"])) == kept


@pytest.mark.parametrize("cell", [{(1, 2): 3}, 10**5000], ids=["key", "number"])
def test_a_cell_that_no_file_holds_is_an_error_at_once(cell: Any) -> None:
    """The error comes at once, with row and column, and not when the ledger is made."""
    rows = [{"username": "ada", "course_id": 7, "note": note} for note in (1, cell)]
    with pytest.raises(
        InvalidInputError,
        match=r"rows, column 'note': row 2: the value cannot be stored: .*as text",
    ):
        from_rows(rows)


def test_blank_rows_count_for_the_positions_of_the_others() -> None:
    """A row is found again in the table that it came from."""
    blank: dict[str, Any] = {"username": None, "course_id": None}
    rows = [blank, {"username": "ada", "course_id": 7}, blank, {"username": "ben", "course_id": 7}]
    assert [row.position for row in from_rows(rows).selection] == [1, 3]


def test_no_rows_ask_for_nothing(reader: Client) -> None:
    """No rows, or a DataFrame of none, ask for nothing."""
    frame = pd.DataFrame({"username": [], "course_code": []})
    nothing: list[Any] = [[], iter(()), frame]
    for rows in nothing:
        plan = from_rows(rows).plan(reader)
        assert plan.counts["rows"] == 0
        assert "Nothing to archive." in str(plan)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"username": 12, "course_id": 71}, "username 12 is of type int: give it as text (pandas"),
        ({"username": "a", "course_code": 71}, "course_code 71 is of type int: give it as text"),
        ({"username": b"a", "course_id": 71}, "username b'a' is of type bytes: give it as text"),
        ({"username": " ", "course_id": 71}, "no user"),
        ({"username": "a\ud83d", "course_id": 71}, "username contains an incomplete character"),
        ({"username": "a" * 501, "course_id": 71}, "username has 501 characters"),
        ({"course_id": 71}, "no user"),
        ({"username": "a"}, "no course or learning plan"),
        ({"username": "a", "course_id": 71.5}, "course_id 71.5 is not an id"),
        ({"username": "a", "course_id": float("inf")}, "course_id inf is not an id"),
        ({"username": "a", "course_id": True}, "course_id True is not an id"),
        ({"username": "a", "course_id": 0}, "course_id 0 is not an id"),
        ({"username": "a", "course_id": 10**40}, "is not an id: give a whole number"),
        ({"username": "a", "course_id": Decimal(71)}, "course_id Decimal('71') is not an id"),
        ({"username": "a", "course_id": [71]}, "course_id [71] is not an id"),
        ({"username": "a", "course_id": np.array([71, 72])}, "is not an id"),
    ],
    ids=repr,
)
def test_a_bad_mapping_is_skipped_with_the_reason(
    row: dict[str, Any], reason: str, reader: Client
) -> None:
    """A mapping that cannot be used is skipped with the reason; the rows beside it are planned."""
    good = {"username": "alice", "course_id": 71, "course_code": "SAFE"}
    plan = from_rows([good, row, {**good, "username": "bob"}]).plan(reader)
    assert [user for _, _, user in planned(plan)] == [101, 102]
    (outcome,) = plan.skipped
    assert (outcome.code, outcome.line) == ("bad_row", None)
    assert reason in outcome.reason


@dataclass
class Enrollment:
    """A record of another library."""

    user_id: int
    course_id: int


def letters() -> Iterator[str]:
    """Rows that are texts."""
    yield "alice"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, "expected an iterable of rows, not a NoneType"),
        ("alice", "expected an iterable of rows, not a str: put it in a list"),
        (
            {"username": "alice", "course_id": 71},
            "expected an iterable of rows, not a dict: put it in a list",
        ),
        (letters(), "row 1 is a str; expected a mapping"),
        ([("alice", 71)], "row 1 is a tuple; expected a mapping"),
        ([Enrollment(1, 2)], "row 1 is an Enrollment; expected a mapping"),
        ([{"username": "a", "course_id": 1}, None], "row 2 is a NoneType; expected a mapping"),
        (
            [{"user": "alice", "course": 71}],
            "columns found: 'user', 'course'; columns needed: username",
        ),
        ([{}], "columns found: none; columns needed"),
        ([{"username": "a", "User": 1}], "and one of course_code, course_id, learning_plan_code"),
        (
            [{"username": "a", "course_id": 1}, {"User Name": "a", "course_id": 1}],
            "'username' and 'User Name' have the same meaning",
        ),
        (
            pd.DataFrame([["a", "b", 71]], columns=["username", "username", "course_id"]),
            "'username' and 'username' have the same meaning",
        ),
        (pd.DataFrame({0: ["alice"], 1: [71]}), "columns found: '0', '1'; columns needed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_rows_is_refused(rows: Any, words: str) -> None:
    """What are no rows, or rows that name no user and course, are refused: never half read."""
    with pytest.raises(InvalidInputError) as caught:
        from_rows(rows)
    assert words in str(caught.value)
    assert str(caught.value).startswith("rows")
    assert caught.value.line is None
