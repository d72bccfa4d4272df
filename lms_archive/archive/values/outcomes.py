"""What became of a row: four kinds, a stable code, a reason that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from lms_archive.archive.selection import Label, Row, Target
from lms_archive.records.archived import ArchivedRecord

__all__ = ["AS_ASKED", "CODES", "KINDS", "CourseOutcome", "Outcome", "PendingRow", "Skip"]

KINDS: Final = ("archived", "skipped", "failed", "unknown")

CODES: Final[Mapping[str, str]] = {
    "archived": "archived",
    "archived_meanwhile": "archived",
    "still_enrolled": "archived",
    "not_re_enrolled": "archived",
    "tracking_not_reset": "archived",
    "tracking_lost": "archived",
    "validity_ended": "archived",
    "bad_row": "skipped",
    "bad_enrollment": "skipped",
    "duplicate": "skipped",
    "unknown_course": "skipped",
    "ambiguous_course": "skipped",
    "unknown_learning_plan": "skipped",
    "ambiguous_learning_plan": "skipped",
    "disagree": "skipped",
    "not_enrolled": "skipped",
    "status": "skipped",
    "no_status": "skipped",
    "staff": "skipped",
    "undated": "skipped",
    "archived_lately": "skipped",
    "shared": "skipped",
    "in_learning_plan": "skipped",
    "carried_along": "skipped",
    "not_carried": "skipped",
    "changed": "skipped",
    "target_missing": "skipped",
    "refused": "failed",
    "still_active": "failed",
    "not_seen": "unknown",
    "no_answer": "unknown",
    "job_not_ended": "unknown",
    "unreadable": "unknown",
}
"""Every code and the kind it belongs to. `docs/reference/outcomes.md`: causes and cures."""

AS_ASKED: Final = frozenset({"archived", "not_enrolled"})
"""What may become of a course without the row being incomplete."""


@frozen
class CourseOutcome:
    """What became of a user's enrollment in one course of the learning plan.

    Attributes:
        course_id: the course.
        status: `"archived"`: as asked. `"not_enrolled"`: neither enrolled nor archived now.
            `"not_archived"`: still as it was. `"still_enrolled"`: archived, and active all the
            same. `"not_re_enrolled"`: archived, and not enrolled again. `"missing"`: the
            course was deleted meanwhile, and its lists are not found any more.
        record_id: the archived record, where there is one.
    """

    course_id: int
    status: str
    record_id: int | None = None


@frozen(kw_only=True)
class Outcome:
    """What became of one row asked for.

    Attributes:
        kind: `"archived"`: an archived record of exactly this enrollment was read back.
            `"skipped"`: never sent. `"failed"`: sent, and the enrollment is still active.
            `"unknown"`: sent, and not settled yet: `resume` looks again.
        code: a stable word for the reason.
        reason: a sentence that says what to do.
        line: where the row begins in its file (the header is line 1), or None.
        row: the row as given.
        target: the course or learning plan asked for, or None where the row names none.
        user: the user asked for: an id (int) or a username (str), or None likewise.
        record: the archived enrollment, where there is one.
        courses: for a learning plan: what became of each of its courses.
        differences: where what was archived disagrees with what was read before.
        user_id: the user's id, where it was found out.
        position: the place of the row among the rows that were given, from 0, blank rows counted.
        label: its label in the index of the DataFrame that it came from, if that has labels:
            a tuple where the index has several levels, NaN where it is missing there.
    """

    kind: str
    code: str
    reason: str
    line: int | None = None
    row: Mapping[str, Any] = field(factory=dict)
    target: Target | None = None
    user: int | str | None = None
    record: ArchivedRecord | None = None
    courses: tuple[CourseOutcome, ...] = ()
    differences: tuple[str, ...] = ()
    user_id: int | None = None
    position: int | None = None
    label: Label | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether it is archived, and something is not as asked all the same."""
        if self.kind != "archived":
            return False
        courses = any(one.status not in AS_ASKED for one in self.courses)
        as_asked = self.code in ("archived", "archived_meanwhile")
        return bool(courses or self.differences) or not as_asked

    @classmethod
    def of(cls, row: Row, code: str, reason: str, **more: Any) -> Outcome:
        """The outcome of a row; its kind is that of the code.

        Half a character, which a platform's words may hold and no file can, is shown escaped.
        """
        reason = reason.encode("utf-8", "backslashreplace").decode()
        user = row.user[1] if isinstance(row.user, tuple) else row.user
        return cls(
            kind=CODES[code],
            code=code,
            reason=reason,
            line=row.line,
            position=row.position,
            label=row.label,
            row=row.cells,
            target=row.target,
            user=user,
            **more,
        )


@frozen
class PendingRow:
    """A row that has no outcome yet.

    Attributes:
        line: where the row begins in its file (the header is line 1), or None.
        row: the row as given.
        target: the course or learning plan asked for.
        user: the user asked for: an id (int) or a username (str).
        position: the place of the row among the rows that were given, as in `Outcome`.
        label: its label in the index of a DataFrame, as in `Outcome`.
    """

    line: int | None
    row: Mapping[str, Any]
    target: Target | None
    user: int | str | None
    position: int | None = None
    label: Label | None = None


@frozen
class Skip:
    """A row that is not sent, and why; `username` is the name that was found for its user.

    A course row that is carried along names the `along` row of the plan, and its course.
    """

    row: int
    code: str
    reason: str
    user_id: int | None = None
    along: int | None = None
    course_id: int | None = None
    username: str | None = None
