"""Loading from mappings and CSV files."""

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sandbox_tools import FakeClock, rows

from lms_archive.sandbox import Sandbox

USERS = "username,first_name,last_access_date\nann,Ann,2024-01-01\nbob,,0000-00-00\n"
COURSES = "code,name\nA,Alpha\nA,Another\nB,Beta\n"


def test_csv_files(tmp_path: Path) -> None:
    """CSV files are loaded, ids assigned, and blanks mean none."""
    (tmp_path / "users.csv").write_text("\ufeff" + USERS, encoding="utf-8")
    enrollments = io.StringIO("username,course_code,enrollment_status\nann,B,completed\n\nbob,B,\n")
    with Sandbox(clock=FakeClock()) as sandbox:
        sandbox.load_csv(users=tmp_path / "users.csv", courses=io.StringIO(COURSES))
        sandbox.load_csv(enrollments=enrollments)
        users = rows(sandbox, "SELECT user_id, username, first_name, last_access_date FROM users")
        courses = rows(sandbox, "SELECT id_course, code, uidCourse, course_type FROM courses")
        columns = "user_id, course_id, enrollment_status, enrollment_created_at"
        enrolled = rows(sandbox, f"SELECT {columns} FROM enrollments")
    assert users == [(10_001, "ann", "Ann", "2024-01-01 00:00:00"), (10_002, "bob", None, None)]
    assert courses == [
        (1, "A", "E-000001", "elearning"),
        (2, "A", "E-000002", "elearning"),
        (3, "B", "E-000003", "elearning"),
    ]
    assert enrolled == [
        (10_001, 3, "completed", "2026-03-01 12:00:00"),
        (10_002, 3, "enrolled", "2026-03-01 12:00:00"),
    ]


def test_mappings(lms_sandbox: Sandbox) -> None:
    """Mappings take ids, aware datetimes and None; an enrollment can be undated."""
    at = datetime(2024, 5, 6, 9, tzinfo=timezone(timedelta(hours=2)))
    lms_sandbox.load(users=[{"username": "ann", "user_id": 5, "last_access_date": at}])
    lms_sandbox.load(users=[{"username": "bob"}], courses=[{"code": "B", "id_course": 70}])
    lms_sandbox.load(
        enrollments=[{"user_id": 5, "id_course": 70, "enrollment_created_at": None}],
        courses=[{"code": "C"}],
    )
    assert rows(lms_sandbox, "SELECT user_id, last_access_date FROM users ORDER BY 1") == [
        (5, "2024-05-06 07:00:00"),
        (10_001, None),
    ]
    assert rows(lms_sandbox, "SELECT id_course FROM courses") == [(70,), (71,)]
    assert rows(lms_sandbox, "SELECT enrollment_created_at FROM enrollments") == [(None,)]


@pytest.mark.parametrize(
    ("enrollments", "message"),
    [
        ("username,course_code,shoe\nann,B,44\n", r"line 2: unknown column 'shoe'"),
        ("username,course_code\nann,B\n\nzoe,B\n", r"line 4: unknown user 'zoe'"),
        ("username,course_code\nann,Z\n", r"line 2: unknown course 'Z'"),
        ("username,id_course\nann,99\n", r"line 2: unknown course 99"),
        ("username,course_code\nann,A\n", r"line 2: course 'A' stands for 2 ids"),
        ("username,course_code\n,B\n", r"line 2: no user"),
        ("username,course_code\nann,B\nann,B\n", r"line 3: UNIQUE constraint failed"),
        ("username,user_id,course_code\nann,10002,B\n", r"line 2: unknown user 10002"),
        ("username,id_course\nann,three\n", r"line 2: id_course cannot be 'three'"),
        (
            "username,course_code,enrollment_created_at\nann,B,1.2.2024\n",
            r"line 2: enrollment_created_at cannot be '1.2.2024'",
        ),
        ("username,course_code\nann\n", r"line 2: 1 cells under 2 columns"),
        ('username,course_code\n"an\nn",B\n', r"line 2: unknown user"),
    ],
)
def test_bad_enrollments(
    tmp_path: Path, lms_sandbox: Sandbox, enrollments: str, message: str
) -> None:
    """A row that cannot be is an error with file and line, and nothing of the file is loaded."""
    path = tmp_path / "enrollments.csv"
    path.write_text(enrollments, encoding="utf-8")
    lms_sandbox.load_csv(users=io.StringIO(USERS), courses=io.StringIO(COURSES))
    with pytest.raises(ValueError, match=f"enrollments.csv, {message}"):
        lms_sandbox.load_csv(enrollments=path)
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM enrollments") == [(0,)]


def test_bad_mappings(lms_sandbox: Sandbox) -> None:
    """Of mappings the place is the index; nothing of the whole call is loaded."""
    users = [{"username": "ann"}, {"username": "ann"}]
    with pytest.raises(ValueError, match=r"users\[1\]: UNIQUE constraint failed: users.username"):
        lms_sandbox.load(users=users)
    with pytest.raises(ValueError, match=r"users\[0\]: status cannot be 2"):
        lms_sandbox.load(users=[{"username": "ann", "status": 2}])
    with pytest.raises(ValueError, match=r"courses\[0\]: NOT NULL constraint failed"):
        lms_sandbox.load(users=[{"username": "ann"}], courses=[{"name": "no code"}])
    assert rows(lms_sandbox, "SELECT COUNT(*) FROM users") == [(0,)]
