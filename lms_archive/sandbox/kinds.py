"""The two things one can be enrolled in: courses and learning plans, and how they are called."""

from dataclasses import dataclass
from sqlite3 import Row
from typing import NamedTuple

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two, with the names that differ.

    Attributes:
        name: in words.
        table: of the courses or plans themselves.
        key: their id in that table.
        column: their id everywhere else, calls included.
        code: their code in rows to be loaded.
        enrollments: the table of the active enrollments.
        archived: the table of the archived ones.
        users: the parameter of the archive call that picks users by hand.
    """

    name: str
    table: str
    key: str
    column: str
    code: str
    enrollments: str
    archived: str
    users: str


COURSE = Kind(
    name="course",
    table="courses",
    key="id_course",
    column="course_id",
    code="course_code",
    enrollments="enrollments",
    archived="archived_enrollments",
    users="user_id",
)
PLAN = Kind(
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
    """Whose enrollment in what."""

    kind: Kind
    target_id: int
    user_id: int


def find(kind: Kind, ask: Ask) -> Row:
    """Return the row of the course or plan that the path names, or refuse with 404."""
    given = ask.args[kind.column]
    sql = f"SELECT * FROM {kind.table} WHERE {kind.key} = ?"  # noqa: S608  # own names
    row = ask.db.execute(sql, [given]).fetchone()
    if row is None:
        raise Refusal(404, f"{kind.name.capitalize()} {given} not found.")
    return row  # type: ignore[no-any-return]
