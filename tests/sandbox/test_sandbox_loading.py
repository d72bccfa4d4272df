"""Loading from mappings and CSV files, and changing what was loaded."""

import io
from pathlib import Path
from typing import Any

import pytest
from sandbox_tools import fill_plans, rows

from lms_archive.sandbox import Sandbox

USERS = "username,first_name,last_access_date\nann,Ann,2024-01-01\nbob,,0000-00-00\n"
COURSES = "code,name\nA,Alpha\nA,Another\nB,Beta\n"
PLANS = 'code,title,courses,is_published,credits\nP,,"B",0,1.5\nEMPTY,Nothing,,,\n'
ENROLLED = "username,course_code,enrollment_status\nann,B,completed\n\nbob,B,\n"
IN_PLANS = (
    "username,learning_plan_code,enrollment_status,enrollment_completion_percentage\n"
    "ann,P,completed,\nbob,P,in_progress,40\nann,EMPTY,,\n"
)


def test_csv_files_are_loaded_with_ids_and_defaults_filled_in(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Blanks mean none; a plan is a year old; an enrollment is dated now."""
    (tmp_path / "users.csv").write_text("\ufeff" + USERS, encoding="utf-8")
    sandbox.load_csv(users=tmp_path / "users.csv", courses=io.StringIO(COURSES))
    sandbox.load_csv(
        learning_plans=io.StringIO(PLANS),
        enrollments=io.StringIO(ENROLLED),
        learning_plan_enrollments=io.StringIO(IN_PLANS),
    )
    status, dates = "enrollment_status", "created_on, updated_on"
    progress = f"{status}, enrollment_completion_percentage"
    loaded = [
        rows(sandbox, sql)
        for sql in (
            "SELECT user_id, username, first_name, last_access_date FROM users",
            "SELECT id_course, code, uidCourse, course_type, published FROM courses",
            f"SELECT user_id, course_id, {status}, enrollment_created_at FROM enrollments",
            f"SELECT title, is_published, credits, {dates} FROM learning_plans",
            f"SELECT learning_plan_id, user_id, {progress} FROM learning_plan_enrollments",
        )
    ]
    old = "2025-03-01 12:00:00"
    assert loaded == [
        [(10_001, "ann", "Ann", "2024-01-01 00:00:00"), (10_002, "bob", None, None)],
        [(i, code, f"E-00000{i}", "elearning", 1) for i, code in ((1, "A"), (2, "A"), (3, "B"))],
        [
            (10_001, 3, "completed", "2026-03-01 12:00:00"),
            (10_002, 3, "enrolled", "2026-03-01 12:00:00"),
        ],
        [("P", 0, 1.5, old, old), ("Nothing", 1, None, old, old)],
        [
            (1, 10_001, "completed", 100),
            (1, 10_002, "in_progress", 40),
            (2, 10_001, "enrolled", 0),
        ],
    ]


@pytest.mark.parametrize(
    ("enrollments", "message"),
    [
        ("username,course_code,shoe\nann,B,44\n", r"line 2: unknown column 'shoe'"),
        ("username,course_code\nann,B\n\nzoe,B\n", r"line 4: unknown user 'zoe'"),
        ("username,id_course\nann,99\n", r"line 2: unknown course 99"),
        ("username,course_code\n,B\n", r"line 2: no user"),
        ("username,course_code\nann,A\n", r"line 2: course 'A' has 2 ids"),
        ("username,course_code\nann,B\nann,B\n", r"line 3: UNIQUE constraint failed"),
        (
            "username,course_code,enrollment_created_at\nann,B,1.2.2024\n",
            r"line 2: enrollment_created_at cannot be '1.2.2024'",
        ),
        (
            "username,course_code,enrollment_status\nann,B,complete\n",
            r"line 2: enrollment_status cannot be 'complete'",
        ),
        ("username,course_code\nann\n", r"line 2: 1 cells under 2 columns"),
        ('username,course_code\n"an\nn",B\n', r"line 2: unknown user"),
    ],
)
def test_a_bad_csv_row_loads_nothing_and_names_file_and_line(
    tmp_path: Path, lms_sandbox: Sandbox, enrollments: str, message: str
) -> None:
    """The error names the file, the line and what is wrong."""
    path = tmp_path / "enrollments.csv"
    path.write_text(enrollments, encoding="utf-8")
    lms_sandbox.load_csv(users=io.StringIO(USERS), courses=io.StringIO(COURSES))
    with pytest.raises(ValueError, match=f"enrollments.csv, {message}"):
        lms_sandbox.load_csv(enrollments=path)
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM enrollments") == [(0,)]


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        ("users", {"username": "u100"}, "UNIQUE constraint failed: users.username"),
        ("users", {"username": "zoe", "status": 2}, "CHECK constraint failed: status"),
        ("learning_plans", {"code": "X", "is_published": "maybe"}, "is_published cannot be"),
        ("learning_plans", {"code": "X", "courses": "C9"}, "unknown course 'C9'"),
        ("learning_plans", {"code": "X", "courses": "C1,C1"}, "'C1' is listed twice"),
        (
            "learning_plan_enrollments",
            {"user_id": 100, "learning_plan_code": "TWIN"},
            "learning plan 'TWIN' has 2 ids",
        ),
        (
            "learning_plan_enrollments",
            {"user_id": 100, "learning_plan_code": "OWN", "enrollment_status": "complete"},
            "enrollment_status cannot be 'complete'",
        ),
        (
            "learning_plan_enrollments",
            {"user_id": 100, "course_code": "C1"},
            "unknown column 'course_code'",
        ),
    ],
)
def test_a_bad_mapping_loads_nothing_and_names_its_index(
    lms_sandbox: Sandbox, table: str, row: dict[str, Any], message: str
) -> None:
    """The error names the argument and the index; rows before it are undone."""
    fill_plans(lms_sandbox)
    before = rows(lms_sandbox, "SELECT COUNT(*) FROM courses")
    arguments: dict[str, Any] = {"courses": [{"code": "NEW"}]}
    arguments[table] = [*arguments.get(table, []), row]
    with pytest.raises(ValueError, match=rf"{table}\[\d\]: .*{message}"):
        lms_sandbox.load(**arguments)
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM courses") == before


@pytest.mark.parametrize(
    ("plan", "column", "value"),
    [
        (99, "title", "x"),
        ("TWIN", "title", "x"),
        (50, "colour", "red"),
        (50, "courses", "C1,C1"),
    ],
)
def test_a_bad_change_changes_nothing_and_names_the_plan(
    lms_sandbox: Sandbox, plan: int | str, column: str, value: str
) -> None:
    """Unknown and ambiguous plans, unknown columns and courses are refused."""
    fill_plans(lms_sandbox)
    with pytest.raises(ValueError, match=f"learning plan '?{plan}"):
        lms_sandbox.change_learning_plan(plan, **{column: value})
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM learning_plan_courses") == [(5,)]
