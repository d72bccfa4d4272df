"""The columns of tables: page and code say the same, and each kind is what it says."""

import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from public_names import PUBLIC

from lms_archive import ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment
from lms_archive.archive.added_columns import OUTCOME_COLUMNS, PLAN_COLUMNS
from lms_archive.records import (
    ArchivedCourse,
    ArchiveDetails,
    ArchivedUser,
    CourseEnrollment,
    CourseEnrollmentDetails,
    Record,
)
from lms_archive.tables.columns import Column, columns_of, inferred_columns, rows_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "columns.md").read_text(encoding="utf-8")
WORDS = {"integer": "whole number"}
CLASSES = [
    public
    for public in PUBLIC.values()
    if isinstance(public, type) and issubclass(public, Record) and public is not Record
]
AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def columns_on_page(heading: str) -> list[tuple[str, str]]:
    """The columns that the page lists below a heading."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(\w+)`(?: \*)? \| ([\w ]+) \|", section, re.MULTILINE)


TABLES = {
    **{cls.__name__: columns_of(cls) for cls in CLASSES},
    "Outcomes": OUTCOME_COLUMNS,
    "Plans": PLAN_COLUMNS,
}


@pytest.mark.parametrize(("heading", "columns"), TABLES.items(), ids=TABLES.keys())
def test_the_page_lists_the_columns(heading: str, columns: tuple[Column, ...]) -> None:
    """Names, kinds and order of the columns of records, results and plans are those of the page."""
    as_on_page = [(column.name, WORDS.get(column.kind, column.kind)) for column in columns]
    assert columns_on_page(heading) == as_on_page


def test_every_record_has_a_heading() -> None:
    """Nine kinds of records, nine tables."""
    assert len(CLASSES) == 9
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == sorted(
        (cls.__name__ for cls in CLASSES), key=lambda name: PAGE.index(f"### {name}\n")
    )


def test_active_and_archived_share_names() -> None:
    """What an active enrollment and its archived record both hold has one name and one kind."""
    active = {column.name: column for column in columns_of(CourseEnrollment)}
    archived = {column.name: column for column in columns_of(ArchivedCourseEnrollment)}
    assert set(active) - set(archived) == set()
    assert all(active[name] == archived[name] for name in active)


def test_a_table_of_both_kinds_has_each_column_once() -> None:
    """A table of both kinds has each column once."""
    both = columns_of(ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)
    names = [column.name for column in both]
    assert len(names) == len(set(names))
    assert {"course_id", "learning_plan_id", "learning_plan_courses"} <= set(names)
    assert tuple(both[: len(columns_of(ArchivedCourseEnrollment))]) == columns_of(
        ArchivedCourseEnrollment
    )


def test_a_record_is_one_flat_row() -> None:
    """Groups are flat, words are plain texts, unknown fields are JSON, and what is not is None."""
    record = ArchivedCourseEnrollment(
        archiving=ArchiveDetails(record_id=1, archived_at=AT, archived_by=13),
        user=ArchivedUser(user_id=7, username="ada", language="de"),
        course=ArchivedCourse(course_id=3, code="C3", credits=1.5),
        enrollment=CourseEnrollmentDetails(status="expelled", score=88.0, time_spent=60),
        extra={"new": ["ü", 1]},
    )
    (row,) = rows_of([record])
    assert list(row) == [column.name for column in columns_of(ArchivedCourseEnrollment)]
    filled = {name: value for name, value in row.items() if value is not None}
    assert json.loads(filled.pop("extra")) == {"new": ["ü", 1]}
    assert filled == {
        "record_id": 1,
        "archived_at": AT,
        "archived_by": "13",
        "user_id": 7,
        "username": "ada",
        "user_language": "de",
        "course_id": 3,
        "course_code": "C3",
        "course_credits": 1.5,
        "status": "expelled",
        "score": 88.0,
        "time_spent": 60,
    }


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2**63 - 1], "integer"),
        ([1, 2**63], "text"),
        ([1, 1.5], "number"),
        ([2**53, 0.5], "number"),
        ([2**53 + 1, 0.5], "text"),
        ([2**53 + 1, 1], "integer"),
        ([True, None], "flag"),
        ([True, 1], "text"),
        (["1", 1], "text"),
        ([[1, 2]], "text"),
        ([None], "text"),
    ],
)
def test_a_given_column_is_of_the_kind_of_all_its_values(values: list[object], kind: str) -> None:
    """A column of which nobody has said what it holds is what all of its values are, else text."""
    assert inferred_columns({"a": value} for value in values) == [Column("a", kind)]  # type: ignore[arg-type]
