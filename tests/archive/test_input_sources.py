"""One set of rules: a row is checked alike, whatever it is read from."""

import bz2
import csv
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from archive_tools import MakeCsv, asked, for_course, from_csv, from_rows, given
from hypothesis import assume, example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from lms_archive import ArchiveJob, InvalidInputError
from lms_archive.archive.selection import UserKey, WholeTarget
from lms_archive.records import User

COLUMNS = ("username", "user_id", "course_code", "course_id", "note")
NAMES = st.sampled_from(
    ["ada", "Ada", " ada\t", "ada\xa0", "ada\u200b", "\ufeffada", "a da", "007", "\xe4", "a\u0308",
     "+39 33", "x" * 500, "x" * 501, "a\x07b", "'=1", '"', "a,b", "a;b", "a\nb", "\u202egnp",
     "None", "nan"]
)  # fmt: skip
BLANKS = st.sampled_from(["", " ", "\t", "\xa0", "\u3000"])
IDS = st.sampled_from(
    ["7", " 7 ", "07", "7.0", "+7", "-7", "1e3", "0", "9" * 18, "9" * 19, "\u0667", "x"]
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
cells = st.tuples(
    *(NAMES | BLANKS, IDS | BLANKS, NAMES | BLANKS, IDS | BLANKS, texts | BLANKS)
) | st.tuples(*[BLANKS] * 5)
tables = st.lists(cells.map(list), max_size=6)


def by_csv(rows: list[list[str]], header: Iterable[str] = COLUMNS) -> io.StringIO:
    """Rows as an open CSV file."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([header, *rows])
    file.seek(0)
    return file


def as_dicts(rows: list[list[str]]) -> list[dict[str, Any]]:
    """Rows as mappings, a blank cell sometimes missing."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


SOURCES: dict[str, Callable[[list[list[str]]], ArchiveJob]] = {
    "open file": lambda rows: from_csv(by_csv(rows)),
    "bytes": lambda rows: from_csv(io.BytesIO(by_csv(rows).getvalue().encode("utf-16"))),
    "DictReader": lambda rows: from_rows(csv.DictReader(by_csv(rows))),
    "mappings": lambda rows: from_rows(as_dicts(rows)),
    "DataFrame": lambda rows: from_rows(pd.DataFrame(rows, columns=COLUMNS, dtype=str)),
    "DataFrame of objects": lambda rows: from_rows(
        pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    ),
    "Arrow": lambda rows: from_rows(pa.Table.from_pylist(as_dicts(rows))),
    "Arrow batch": lambda rows: from_rows(pa.RecordBatch.from_pylist(as_dicts(rows))),
}


@settings(max_examples=60)
@given_any(tables)
@example([["ada", "", "SAFE", "", ""], ["", "", "", "", ""], [" ", "7", "", "7", "x"]])
def test_a_row_is_the_same_from_every_source(rows: list[list[str]]) -> None:
    """Each names the same, has the same fault, or is as blank, wherever it comes from."""
    assume(rows)
    jobs = {name: source(rows) for name, source in SOURCES.items()}
    first = jobs["open file"]
    for name, job in jobs.items():
        assert asked(job) == asked(first), name
        assert [row.fault for row in job.selection] == [row.fault for row in first.selection], name
        assert [row.position for row in job.selection] == [
            row.position for row in first.selection
        ], name
        assert given(job) == given(first), name


@settings(max_examples=60)
@given_any(NAMES | BLANKS | texts)
def test_a_user_is_the_same_from_every_source(name: str) -> None:
    """A username is trimmed and checked in a list of users, and of exclusions, as in a CSV file."""
    (row,) = from_csv(by_csv([[name, "", "SAFE", "", ""]])).selection
    (listed,) = for_course("SAFE").users([name]).selection
    assert (listed.user, listed.fault is None) == (row.user, row.fault is None)
    assert listed.cells["username"] == name
    (target,) = from_csv(by_csv([["ada", "", name, "", ""]])).selection
    if row.fault is None:
        assert excluded([name]) == {str(row.user).strip()}
        job = for_course(name).users(["ada"])
        assert [row.target for row in job.selection] == [target.target]
    else:
        with pytest.raises(InvalidInputError):
            excluded([name])
        with pytest.raises(InvalidInputError):
            for_course(name)


def excluded(names: Any) -> frozenset[UserKey]:
    """Whom a job leaves alone."""
    (part,) = for_course("SAFE").all_enrollments(exclude=names).selection.parts
    assert isinstance(part, WholeTarget)
    return part.exclude


class Hostile:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Word(str, Enum):
    """A word that is a text."""

    ADA = "ada"


class Number(int, Enum):
    """A number that has a name."""

    SEVEN = 7


class Colour(Enum):
    """Neither."""

    RED = "ada"


#: A value, and the user that it is as a username, and as an id; None: it cannot be one, and
#: "blank": it is no value.
SCALARS: dict[str, tuple[Any, Any, Any]] = {
    "str": ("ada", "ada", None),
    "digits": ("7", "7", 7),
    "numpy str": (np.str_("ada"), "ada", None),
    "enum str": (Word.ADA, "ada", None),
    "Arrow str": (pa.scalar("ada"), "ada", None),
    "int": (7, None, 7),
    "numpy int": (np.int16(7), None, 7),
    "Arrow int": (pa.scalar(7), None, 7),
    "enum int": (Number.SEVEN, None, 7),
    "float": (7.0, None, 7),
    "numpy float": (np.float32(7), None, 7),
    "large float": (float(2**53), None, None),
    "part": (7.5, None, None),
    "bool": (True, None, None),
    "enum": (Colour.RED, None, None),
    "decimal": (Decimal(7), None, None),
    "datetime": (datetime(2025, 1, 31), None, None),  # noqa: DTZ001
    "pandas time": (pd.Timestamp("2025-01-31"), None, None),
    "numpy time": (np.datetime64("1980-01-31", "ns"), None, None),
    "bytes": (b"ada", None, None),
    "list": (["ada"], None, None),
    "dict": ({"ada": 7}, None, None),
    "None": (None, "blank", "blank"),
    "NaN": (float("nan"), "blank", "blank"),
    "NA": (pd.NA, "blank", "blank"),
    "NaT": (pd.NaT, "blank", "blank"),
    "numpy NaT": (np.datetime64("NaT", "ns"), "blank", "blank"),
    "Arrow null": (pa.scalar(None), "blank", "blank"),
    "empty": ("", "blank", "blank"),
    "white": (" \n", "blank", "blank"),
}


@pytest.mark.parametrize(("value", "name", "number"), SCALARS.values(), ids=SCALARS.keys())
def test_a_value_of_any_library_is_a_user_or_a_fault(value: Any, name: Any, number: Any) -> None:
    """A value of any library is one username, one id, nothing, or a fault: from every source."""
    for column, user in (("username", name), ("user_id", number)):
        (row,) = from_rows([{column: value, "course_id": 71}]).selection
        assert row.user == (None if user == "blank" else user)
        assert type(row.user) in (str, int, type(None))
        blank = from_rows([{column: value, "course_id": None}])
        assert blank.row_count == (0 if user == "blank" else 1)
    expected = name if isinstance(value, str) or name else number
    expected = None if expected == "blank" else expected
    (row,) = for_course(71).users([value]).selection
    assert (row.user, row.fault is None) == (expected, expected is not None)
    if expected is None:
        with pytest.raises(InvalidInputError, match="exclude takes ids"):
            excluded([value])
    else:
        assert excluded([value]) == {expected}


@pytest.mark.parametrize("value", [10**5000, Hostile()], ids=["number", "object"])
def test_a_value_without_a_repr_is_a_fault_of_its_row(value: Any) -> None:
    """It is a fault of its own row, or an error in words."""
    job = for_course(71).users(["ada", value])
    assert asked(job) == [(71, None, "ada"), ("bad_row",)]
    with pytest.raises(InvalidInputError, match="cannot be stored"):
        from_rows([{"user_id": value, "course_id": 71}])
    with pytest.raises(InvalidInputError):
        from_csv(value)
    with pytest.raises(InvalidInputError):
        for_course(value)


def test_a_short_row_and_a_long_one_from_every_source(make_csv: MakeCsv) -> None:
    """What csv's DictReader makes of such rows is not taken for whole ones."""
    text = "username,course_code,note\nada,SAFE\nben,SAFE,x,y\ncleo,SAFE,x\ndan,SAFE,x,,\n,,,\n"
    path = make_csv(text)
    reasons = [
        "expected 3 cells, found 2; is a delimiter or a quote missing?",
        "expected 3 cells, found 4; is a quote missing?",
        None,
        None,
    ]
    for rest in (None, "more"):
        reader = csv.DictReader(text.splitlines(), restkey=rest)
        for job in (from_csv(path), from_rows(reader)):
            assert [row.fault and row.fault.reason for row in job.selection] == reasons
            assert [row.user for row in job.selection] == [None, None, "cleo", "dan"]
    kept = from_rows(list(csv.DictReader(text.splitlines())))
    assert [row.fault and row.fault.reason for row in kept.selection][1:] == reasons[1:]


def test_a_surplus_value_that_is_not_a_list_is_not_lost() -> None:
    """It makes the row too long, as a list of them does."""
    row = {"username": "ada", "course_code": "SAFE", None: "GOLD"}
    (fault,) = [row.fault for row in from_rows([row]).selection]
    assert fault is not None
    assert fault.reason == "expected 2 cells, found 3; is a quote missing?"


def refuse_as_users(names: Any) -> None:
    """Check that `.users` refuses what is not a list: text would fall apart into letters."""
    is_table = isinstance(names, pd.DataFrame | pa.Table)
    advice = (
        "a table: give one of its columns" if is_table else "(None$|.*: (put it in a list|give ))"
    )
    with pytest.raises(InvalidInputError, match=f"users takes a list .* not {advice}"):
        for_course("SAFE").users(names)


@pytest.mark.parametrize(
    "names",
    [
        "ada,ben",
        "ada ben",
        b"ada",
        None,
        5.5,
        True,
        {"ada": 1},
        pd.DataFrame({"username": ["ada"]}),
        pa.table({"username": ["ada"]}),
        io.StringIO("ada\nben\n"),
        [None],
        [["ada", "ben"]],
        [10**5000],
        [Hostile()],
        Hostile(),
        ["ada", ""],
        "exclude.csv",
        [{"username": "ada"}],
        list(pd.DataFrame({"username": ["ada"]}).to_numpy()),
        ["ada", float("nan")],
        csv.reader(["ada"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_a_list_of_users_is_refused(names: Any) -> None:
    """Nobody is left unprotected, or archived, because a list was none."""
    with pytest.raises(InvalidInputError, match=r"exclude (holds|takes|is)"):
        for_course("SAFE").all_enrollments(exclude=names)
    if not isinstance(names, list) and not hasattr(names, "line_num"):
        refuse_as_users(names)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["ada ", "\tben"], {"ada", "ben"}),
        ("ada\nben\n".splitlines(keepends=True), {"ada", "ben"}),
        (("ada", 7), {"ada", 7}),
        (pd.Series(["ada", "ben"]), {"ada", "ben"}),
        (pa.array(["ada"]), {"ada"}),
        (np.array([7, 8]), {7, 8}),
        (iter([User(user_id=7, username="ada")]), {(7, "ada")}),
        ("ada", {"ada"}),
        (7, {7}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_lists_of_excluded_users_are_trimmed(names: Any, meant: set[UserKey]) -> None:
    """Names are trimmed as the cells of a CSV file are; one user may be given alone."""
    assert excluded(names) == meant
    if isinstance(names, (str, int)):
        refuse_as_users(names)


def test_columns_with_one_name_are_refused() -> None:
    """A column that would take the place of another is not lost without a word."""
    with pytest.raises(InvalidInputError, match="row 1 has two columns with the same name"):
        from_rows([{1: "a", "1": "b", "username": "ada", "course_id": 7}])


def test_a_table_without_rows_needs_its_columns_too() -> None:
    """Its columns are wrong even so."""
    for rows in (pd.DataFrame({"x": []}), pa.table({"x": []})):
        with pytest.raises(InvalidInputError, match="columns found: 'x'"):
            from_rows(rows)
    assert from_rows(pa.table({"username": [], "course_id": []})).row_count == 0


def piped(path: Path) -> Any:
    """Return the end of a pipe that holds the file."""
    end, start = os.pipe()
    with os.fdopen(start, "wb") as pipe:
        pipe.write(path.read_bytes())
    return os.fdopen(end, encoding="utf-8", newline="")


OPENED: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.open(encoding="utf-8", newline=""),
    "binary": lambda path: path.open("rb"),
    "pipe": piped,
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED.keys())
def test_an_open_file_is_as_good_as_its_path(
    opened: Callable[[Path], Any], make_csv: MakeCsv
) -> None:
    """Rows and lines are those of the file."""
    path = make_csv('username,course_code,note\nZoë,SAFE,"a\r\nb"\n\nbob,,\n')
    with opened(path) as file:
        rows = list(from_csv(file).selection)
    assert rows == list(from_csv(path).selection)
    assert [row.line for row in rows] == [2, 5]


def zipped(content: bytes) -> bytes:
    """Return a zip file with one file in it."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("a.csv", content)
    return file.getvalue()


ROWS = b"username,course_code\n" + b"ada,C1\n" * 9
DAMAGED: dict[str, tuple[Callable[[Any], Any], bytes]] = {
    "gzip, cut off": (gzip.open, gzip.compress(ROWS)[:-6]),
    "gzip, changed": (gzip.open, gzip.compress(ROWS)[:10] + b"\xff" * 20),
    "bzip2, cut off": (bz2.open, bz2.compress(ROWS)[:-6]),
    "xz, cut off": (lzma.open, lzma.compress(ROWS)[:-6]),
    "xz, not one": (lzma.open, ROWS),
    "zip, changed": (
        lambda file: zipfile.ZipFile(file).open("a.csv"),  # noqa: SIM115  the test closes it
        zipped(ROWS).replace(b"ada,C1", b"bob,C1", 1),
    ),
}


@pytest.mark.parametrize(("opened", "content"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_compressed_file_that_is_damaged_is_refused(
    opened: Callable[[Any], Any], content: bytes
) -> None:
    """The error says that the file cannot be read, whatever its format."""
    text = r"^(open file|a\.csv): cannot be read: "
    with opened(io.BytesIO(content)) as file, pytest.raises(InvalidInputError, match=text):
        from_csv(file)


def test_an_open_file_is_read_from_where_it_stands() -> None:
    """What was read of it is not there any more."""
    file = by_csv([["ada", "", "SAFE", "", ""]])
    assert from_csv(file).row_count == 1
    with pytest.raises(InvalidInputError, match="open file, line 1: the file is empty"):
        from_csv(file)


def test_white_space_around_names_is_kept(make_csv: MakeCsv) -> None:
    """A name on the platform may have it: names are compared as they are, then without it.

    The short way of reading and the long one agree, however the rows are mixed.
    """
    rows = "ada,SAFE\n ada, SAFE\nada ,SAFE\t\n\xa0ada,SAFE\n" * 3
    job = from_csv(make_csv(f"username,course_code\n{rows}"))
    assert asked(job) == 3 * [
        (None, "SAFE", "ada"),
        (None, " SAFE", " ada"),
        (None, "SAFE\t", "ada "),
        (None, "SAFE", "\xa0ada"),
    ]
    assert [row.line for row in job.selection] == list(range(2, 14))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("Benutzername", "columns must be a mapping such as"),
        ({"user": "Benutzername"}, "'user' is unknown; expected one of: username, user_id"),
        ({"username": 3}, "username must be the name of a column (str), not 3"),
        ({"username": " "}, "username must be the name of a column (str), not ' '"),
        ({"username": "Wer", "user_id": "wer"}, "'wer' has two meanings"),
        (
            {"username": "Konto"},
            "={'username': 'Konto'}: there is no column 'Konto'; columns found: 'Wer', 'Kurs'",
        ),
        (None, "for other names give columns={'username': 'Wer', ...}"),
    ],
    ids=str,
)
def test_a_slip_in_columns_is_an_error(columns: Any, words: str, make_csv: MakeCsv) -> None:
    """A slip in `columns=` is an error, and no column is guessed."""
    for build, source in (
        (from_csv, make_csv("Wer,Kurs\nada,SAFE\n")),
        (from_rows, [{"Wer": "ada", "Kurs": "SAFE"}]),
    ):
        with pytest.raises(InvalidInputError) as caught:
            build(source, columns=columns)
        assert words in str(caught.value)


def test_a_column_named_in_columns_counts(make_csv: MakeCsv) -> None:
    """A column that is named in `columns=` counts; one of our name beside it gets another."""
    names = {"username": "Benutzername", "course_code": "Kurs-Code"}
    text = "Benutzername,kurscode,username,user_id\nada,SAFE,other,\n,SAFE,,\n"
    for job in (
        from_csv(make_csv(text), columns=names),
        from_rows(list(csv.DictReader(text.splitlines())), columns=names),
    ):
        assert asked(job) == [(None, "SAFE", "ada"), ("bad_row",)]
        assert given(job)[0]["username_2"] == "other"
        faults = [row.fault for row in job.selection if row.fault]
        assert faults[0].reason == "no user: fill in Benutzername or user_id"
