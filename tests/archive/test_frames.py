"""Results as tables: types that hold, nothing lost, nothing made up, in three formats."""

import csv
import re
import sys
from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from archive_tools import begin, from_rows
from plan_tools import done, load_plans, plan
from virtual_time import Harness

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchiveResult,
    LmsArchiveError,
)
from lms_archive.archive.values.outcomes import Outcome
from lms_archive.tables import frames
from lms_archive.tables.columns import columns_of

DONE = datetime(2025, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
TYPES = {
    "outcome": "category",
    "outcome_code": "category",
    "outcome_reason": "string",
    "outcome_differences": "string",
    "outcome_line": "Int64",
    "outcome_row": "Int64",
    "outcome_user_id": "Int64",
    "outcome_target_id": "Int64",
    "outcome_record_id": "Int64",
    "outcome_archived_at": "datetime64[us, UTC]",
    "outcome_note": "string",
}


def types(frame: pd.DataFrame) -> dict[str, str]:
    """The types of the columns, as words."""
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.fixture
def result(harness: Harness) -> ArchiveResult:
    """Two archived, one unknown to the course; the rows were given as they are in memory."""
    harness.load(2)
    rows = [
        {"user_id": 1001, "course_id": 1, "budget": 1.5, "vip": True, "mixed": 1, "big": 2**70},
        {"user_id": 1002, "course_id": 1, "budget": 2, "vip": None, "mixed": "x", "big": 1},
        {"user_id": 5, "course_id": 1, "mixed": None},
    ]
    return harness.apply(from_rows(rows).plan(harness.client), note="TICKET-7")


def test_columns_of_outcomes_have_their_types(result: ArchiveResult) -> None:
    """Ours are those of the page; what was given keeps whole numbers, numbers and flags."""
    frame = result.to_pandas()
    assert types(frame) == {
        "user_id": "Int64",
        "course_id": "Int64",
        "budget": "Float64",
        "vip": "boolean",
        "mixed": "string",
        "big": "string",
        **TYPES,
    }
    assert list(frame["outcome"].cat.categories) == ["archived", "skipped", "failed", "unknown"]
    assert list(frame["mixed"].fillna("-")) == ["1", "x", "-"]
    assert list(frame["big"].dropna()) == [str(2**70), "1"]
    assert list(frame["outcome_note"]) == ["TICKET-7"] * 3


def test_whole_numbers_stay_whole_beside_missing_ones(result: ArchiveResult) -> None:
    """A whole number that is missing is missing, and the others stay whole."""
    ids = result.to_pandas()["outcome_record_id"]
    assert ids[2] is pd.NA
    assert [type(number) for number in ids.dropna().tolist()] == [int, int]
    assert list(ids.dropna()) == [record.archiving.record_id for record in result.records]


@pytest.mark.parametrize("view", ["archived", "skipped", "failed", "unknown", "incomplete"])
def test_views_have_the_types_of_the_whole(result: ArchiveResult, view: str) -> None:
    """An empty view too, so that views can be put together again."""
    frame = getattr(result, view).to_pandas()
    assert types(frame) == types(result.to_pandas())
    assert len(frame) == len(getattr(result, view))


def test_columns_of_records_have_their_types(result: ArchiveResult) -> None:
    """UTC whatever the hour, known words as categories, numbers that can be missing."""
    frame = result.records.to_pandas()
    dtypes = types(frame)
    assert list(dtypes) == [column.name for column in columns_of(ArchivedCourseEnrollment)]
    assert all("UTC" in dtype for name, dtype in dtypes.items() if name.endswith("_at"))
    assert dtypes["user_id"] == dtypes["time_spent"] == "Int64"
    assert (dtypes["score"], dtypes["user_is_active"]) == ("Float64", "boolean")
    assert (dtypes["status"], dtypes["level"]) == ("category", "category")
    assert [moment.to_pydatetime() for moment in frame["completed_at"]] == [DONE, DONE]
    assert list(frame["status"].cat.categories)[:3] == ["enrolled", "in_progress", "completed"]
    assert list(frame["user_is_active"].isna()) == [True, True]


def odd(harness: Harness) -> ArchiveResult:
    """A record with a word, a date and a name that nobody expects."""
    harness.load(1)
    harness.change(
        "UPDATE enrollments SET enrollment_validity_end_datetime = '9999-12-31 23:59:59', "
        "enrollment_score = NULL"
    )
    harness.change("UPDATE users SET username = '=1+1'")
    planned = harness.plan(1, users=[1001])
    result = harness.apply(planned)
    path = harness.folder / "odd.sqlite"
    (archived,) = result.records
    plain = archived.to_dict()
    plain["enrollment"]["status"] = "expelled"
    plain["user"]["first_name"] = "half \ud83d"
    plain["extra"] = {"fresh": [1]}
    record = ArchivedCourseEnrollment.from_dict(plain)
    outcome = Outcome(kind="archived", code="archived", reason="so", record=record)
    with begin(path, planned, [(0, outcome)]):
        return ArchiveResult(path)


def test_odd_values_are_kept(harness: Harness) -> None:
    """Unknown words are categories, the year 9999 fits, unknown fields are JSON, no cell runs."""
    records = odd(harness).records
    frame = records.to_pandas()
    (row,) = frame.to_dict("records")
    assert row["status"] == frame["status"].cat.categories[-1] == "expelled"
    assert row["valid_until"].year == 9999
    assert frame["score"][0] is pd.NA
    records.to_csv(harness.folder / "records.csv")
    with (harness.folder / "records.csv").open(encoding="utf-8", newline="") as file:
        (written,) = csv.DictReader(file)
    assert list(written) == [column.name for column in columns_of(ArchivedCourseEnrollment)]
    assert (written["username"], written["score"]) == ("'=1+1", "")
    assert written["completed_at"] == "2025-02-03 04:05:06+00:00"
    assert row["user_first_name"] == written["user_first_name"] == "half \\ud83d"
    assert row["extra"] == written["extra"] == '{"fresh": [1]}'


def test_records_of_both_kinds_have_the_columns_of_both(harness: Harness) -> None:
    """A job on courses and plans has the columns of both; ids that are missing are missing."""
    load_plans(harness, {5: [2, 3]}, users=1)
    harness.sandbox.load(
        courses=[{"code": "C1", "id_course": 1}], enrollments=[done(user_id=1001, id_course=1)]
    )
    result = harness.apply(plan(harness, 5, courses=[1]))
    frame = result.records.to_pandas()
    names = [
        column.name
        for column in columns_of(ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)
    ]
    assert list(frame.columns) == names
    assert list(frame["learning_plan_id"].fillna(0)) == [5, 0]
    assert list(frame["course_id"].fillna(0)) == [0, 1]
    assert list(frame["learning_plan_courses"]) == [(2, 3), None]
    result.records.to_csv(harness.folder / "records.csv")
    with (harness.folder / "records.csv").open(encoding="utf-8", newline="") as file:
        assert [row["learning_plan_courses"] for row in csv.DictReader(file)] == ["2,3", ""]


@pytest.mark.parametrize(
    ("kind", "cls"),
    [("course", ArchivedCourseEnrollment), ("learning_plan", ArchivedLearningPlanEnrollment)],
)
def test_an_empty_table_has_typed_columns(harness: Harness, kind: str, cls: type) -> None:
    """Where nothing was archived the table is empty, of the kind that was asked for, and typed."""
    harness.load(1)
    harness.sandbox.load(learning_plans=[{"learning_plan_id": 1, "code": "P1", "courses": []}])
    job = from_rows([{"user_id": 5, f"{kind}_id": 1}])
    frame = harness.apply(job.plan(harness.client)).records.to_pandas()
    assert len(frame) == 0
    assert list(frame.columns) == [column.name for column in columns_of(cls)]
    assert (types(frame)["user_id"], types(frame)["status"]) == ("Int64", "category")


@pytest.mark.parametrize(
    ("module", "extra", "method"),
    [("pandas", "pandas", "to_pandas"), ("pyarrow", "arrow", "to_arrow")],
)
def test_a_missing_extra_is_the_line_to_type(
    result: ArchiveResult, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, method: str
) -> None:
    """Without the extra, the error is what to type; CSV needs none."""
    monkeypatch.setitem(sys.modules, module, None)
    words = re.escape(f"{module} is missing: pip install 'lms-archive[{extra}]'")
    for table in (result, result.failed, result.records):
        with pytest.raises(LmsArchiveError, match=words):
            getattr(table, method)()
    result.records.to_csv(result.ledger.with_suffix(".csv"))


# Arrow


@pytest.mark.parametrize("view", ["outcomes", "skipped", "failed", "records"])
def test_arrow_has_the_rows_of_pandas(result: ArchiveResult, view: str) -> None:
    """Row by row, of the same columns."""
    frame, table = getattr(result, view).to_pandas(), getattr(result, view).to_arrow()
    assert table.column_names == list(frame.columns)
    rows = table.to_pylist()
    for row in rows:
        row.update({name: tuple(cell) for name, cell in row.items() if isinstance(cell, list)})
    assert rows == frame.astype(object).where(frame.notna(), None).to_dict("records")
    assert pa.types.is_dictionary(result.to_arrow().schema.field("outcome_code").type)


def test_an_empty_arrow_table_has_the_schema_of_a_full_one(result: ArchiveResult) -> None:
    """So that tables can be put together again."""
    empty = result.failed.to_arrow()
    assert empty.num_rows == 0
    assert empty.schema == result.to_arrow().schema
    assert empty.schema.field("outcome_archived_at").type == pa.timestamp("us", tz="UTC")
    assert empty.schema.field("outcome_record_id").type == pa.int64()


def test_arrow_comes_in_batches(result: ArchiveResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds more than a batch: by Arrow's own stream, and the words go together again."""
    monkeypatch.setattr(frames, "_BATCH", 1)
    reader = pa.RecordBatchReader.from_stream(result)
    batches = list(reader)
    assert [batch.num_rows for batch in batches] == [1, 1, 1]
    table = pa.Table.from_batches(batches)
    assert table.column("outcome_code").to_pylist() == ["archived", "archived", "not_enrolled"]
    assert table.to_pylist() == result.to_arrow().to_pylist()
