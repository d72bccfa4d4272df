"""The two kinds of target: courses and learning plans."""

from __future__ import annotations

from sqlite3 import Row
from typing import NamedTuple

from attrs import frozen

from lms_archive.sandbox.answers import Refusal
from lms_archive.sandbox.request import ApiRequest


@frozen(kw_only=True)
class TargetKind:
    """A kind of target: the names that differ between courses and learning plans.

    Attributes:
        name: the name of the kind, as text.
        table: the table of the courses or plans.
        key: the column of the id in that table.
        column: the name of the id everywhere else, also in calls.
        code: the column of the code in rows to be loaded.
        enrollments: the table of the active enrollments.
        archived: the table of the archived enrollments.
        users: the parameter of the archive call that lists users.
    """

    name: str
    table: str
    key: str
    column: str
    code: str
    enrollments: str
    archived: str
    users: str


COURSE = TargetKind(
    name="course",
    table="courses",
    key="id_course",
    column="course_id",
    code="course_code",
    enrollments="enrollments",
    archived="archived_enrollments",
    users="user_id",
)
PLAN = TargetKind(
    name="learning plan",
    table="learning_plans",
    key="learning_plan_id",
    column="learning_plan_id",
    code="learning_plan_code",
    enrollments="learning_plan_enrollments",
    archived="archived_learning_plan_enrollments",
    users="user_ids",
)


class Enrollment(NamedTuple):
    """The enrollment of a user in a target."""

    kind: TargetKind
    target_id: int
    user_id: int


def find(kind: TargetKind, request: ApiRequest) -> Row:
    """Return the row of the course or plan in the request, or refuse with 404."""
    target_id = request.args[kind.column]
    sql = f"SELECT * FROM {kind.table} WHERE {kind.key} = ?"  # noqa: S608  own names
    row = request.db.execute(sql, [target_id]).fetchone()
    if row is None:
        raise Refusal(404, f"{kind.name.capitalize()} {target_id} not found.")
    return row  # type: ignore[no-any-return]
