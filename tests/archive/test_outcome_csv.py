"""The outcome as CSV: safe in a spreadsheet, and input again, word for word."""

import csv
from pathlib import Path

import pytest
from archive_tools import MakeCsv, asked, from_csv, given, pieces
from hypothesis import HealthCheck, assume, example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from lms_archive import ArchiveResult, Client, Outcome
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.tables import OUTCOME_COLUMNS
from lms_archive.sandbox import Sandbox

RISKY = ("=", "+", "-", "@", "\t", "\r")
texts = st.text(
    st.sampled_from("=+-@\t\r'\"a1,; \n") | st.characters(codec="utf-8"), max_size=6
).map(lambda text: text.replace("\0", ""))
headers = st.lists(
    texts.map(str.strip).filter(lambda name: name.casefold().strip("= _-\t") not in ("", "user")),
    max_size=2,
    unique=True,
)


def outcome_files(folder: Path, source: Path) -> tuple[Path, Path]:
    """What `result.failed.to_csv` and `result.to_csv` write, had every row of a file failed."""
    (folder / "book.sqlite").unlink(missing_ok=True)
    job = from_csv(source)
    outcomes = [(row.index, Outcome.of(row, "refused", "=no", user_id=7)) for row in job.selection]
    with Ledger.create(folder / "book.sqlite", {}, pieces(job), outcomes) as book:
        result = ArchiveResult(book.path)
    result.failed.to_csv(folder / "failed.csv")
    result.to_csv(folder / "all.csv")
    return folder / "failed.csv", folder / "all.csv"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given_any(headers, st.lists(st.tuples(texts, texts, texts, texts), min_size=1, max_size=5))
@example(["=a"], [(f"{sign}1", f"'{sign}", f'"{sign}"', f"{sign}\n") for sign in RISKY])
def test_read_back_is_the_identity(
    tmp_path: Path, extra: list[str], rows: list[tuple[str, ...]]
) -> None:
    """Cells, users and targets of the outcome file are those of the file it came from."""
    source = tmp_path / "input.csv"
    header = ["username", "course_code", *extra]
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row[: len(header)] for row in rows)])
    job = from_csv(source)
    assume(len(job) > 0)
    for path in outcome_files(tmp_path, source):
        assert given(from_csv(path)) == given(job)
        assert asked(from_csv(path)) == asked(job)
        assert path.read_text(encoding="utf-8").count("=no") == len(job)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given_any(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
@example([(f"{sign}1", f"'{sign}") for sign in RISKY])
def test_nothing_runs(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """No cell of an outcome file, names of columns included, begins with a sign that runs."""
    source = tmp_path / "input.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("username", "course_id", "=x"), *((a, "71", b) for a, b in rows)]
        )
    for path in outcome_files(tmp_path, source):
        with path.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(RISKY)]


def test_guard_is_only_undone_in_our_files(make_csv: MakeCsv) -> None:
    """Without all our columns a file is a stranger's, and its apostrophes are its own."""
    ours = from_csv(
        make_csv(
            f"username,course_id,{','.join(OUTCOME_COLUMNS)}\n'=a,71{',' * len(OUTCOME_COLUMNS)}\n"
        )
    )
    assert given(ours) == [{"username": "=a", "course_id": "71"}]
    for strange in (OUTCOME_COLUMNS[:1], OUTCOME_COLUMNS[:-1], OUTCOME_COLUMNS[1:]):
        header = f"username,course_id,{','.join(strange)}"
        theirs = from_csv(make_csv(f"{header}\n'=a,71{',' * len(strange)}\n"))
        assert given(theirs) == [
            {"username": "'=a", "course_id": "71", **dict.fromkeys(strange, "")}
        ]


def test_apostrophe_that_guards_nothing(make_csv: MakeCsv) -> None:
    """An apostrophe of the name itself stays, in our files too."""
    header = f"username,course_id,{','.join(OUTCOME_COLUMNS)}"
    more = "," * len(OUTCOME_COLUMNS)
    job = from_csv(make_csv(f"{header}\n't Hooft,71{more}\n''=x,71{more}\n"))
    assert asked(job) == [(71, None, "'t Hooft"), (71, None, "'=x")]


PEOPLE = """username,course_code,note
=cmd|' /C calc'!A0,SAFE,@home
alice,SAFE,"two
lines"
carol,SAFE,'quoted
Robert'); DROP TABLE users;--,SAFE,-1
nobody,SAFE,+1
"""


def test_failed_rows_are_input_again(
    tmp_path: Path, fresh_town: Sandbox, archivist: Client, make_csv: MakeCsv
) -> None:
    """Rows that the job left out are told, written, read back as they were, and then archived."""
    job = from_csv(make_csv(PEOPLE))
    fresh_town.faults.add("job_partial", errors=2)
    result = job.plan(archivist).apply(archivist, ledger=tmp_path / "one.sqlite")
    assert result.counts == {"archived": 2, "skipped": 1, "failed": 2, "unknown": 0}
    assert [one.line for one in result.failed] == [3, 5]
    assert {one.code for one in result.failed} == {"still_active"}

    result.to_csv(tmp_path / "outcome.csv")
    result.failed.to_csv(tmp_path / "failed.csv")
    again = from_csv(tmp_path / "failed.csv")
    assert given(from_csv(tmp_path / "outcome.csv")) == given(job)
    assert given(again) == [dict(one.row) for one in result.failed] == given(job)[1:3]

    second = again.plan(archivist).apply(archivist, ledger=tmp_path / "two.sqlite")
    assert second.counts == {"archived": 2, "skipped": 0, "failed": 0, "unknown": 0}
    assert [record.user.username for record in second.records] == [
        "alice",
        "carol",
    ]


def test_outcome_columns_are_ours(tmp_path: Path, archivist: Client, make_csv: MakeCsv) -> None:
    """The outcome stands beside what was given, and is not carried on when read again."""
    job = from_csv(make_csv("username,course_code\nalice,FIRE\nnobody,FIRE\n"))
    result = job.plan(archivist).apply(archivist, ledger=tmp_path / "one.sqlite")
    result.to_csv(tmp_path / "outcome.csv")
    with (tmp_path / "outcome.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["username", "course_code", *OUTCOME_COLUMNS]
    assert (first["outcome"], first["outcome_user_id"], first["outcome_line"]) == (
        *("archived", "101"),
        "2",
    )
    assert (second["outcome"], second["outcome_code"]) == ("skipped", "not_enrolled")
    assert given(from_csv(tmp_path / "outcome.csv")) == given(job)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_outcome_file_saved_by_a_spreadsheet(
    separator: str, tmp_path: Path, make_csv: MakeCsv
) -> None:
    """Opened in a spreadsheet and saved with its separator and a BOM, it is still ours."""
    source = make_csv("username,course_id\n=a,71\n")
    failed, _ = outcome_files(tmp_path, source)
    with failed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with source.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    assert given(from_csv(source)) == [{"username": "=a", "course_id": "71"}]
