"""The outcome of a row: one of four kinds, a stable code, and a reason that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast, get_args

from attrs import asdict, field, frozen

from lms_archive.archive.selection import Label, Row, Target, plain_label
from lms_archive.records.archived import ArchivedRecord

OutcomeKind = Literal["archived", "skipped", "failed", "unknown"]
OutcomeView = Literal[OutcomeKind, "incomplete", "needs attention"]
KINDS: Final[tuple[OutcomeKind, ...]] = get_args(OutcomeKind)

CourseStatus = Literal[
    "archived", "not_enrolled", "not_archived", "still_enrolled", "not_re_enrolled", "missing"
]

_Archived = Literal[
    "archived",
    "archived_meanwhile",
    "still_enrolled",
    "enrolled_again",
    "not_re_enrolled",
    "tracking_not_reset",
    "tracking_lost",
    "validity_ended",
]
_Skipped = Literal[
    "bad_row",
    "bad_enrollment",
    "duplicate",
    "unknown_course",
    "ambiguous_course",
    "unknown_learning_plan",
    "ambiguous_learning_plan",
    "disagree",
    "not_enrolled",
    "unknown_user",
    "ambiguous_user",
    "other_status",
    "archived_earlier",
    "status",
    "no_status",
    "staff",
    "undated",
    "archived_recently",
    "shared",
    "in_learning_plan",
    "archived_with_learning_plan",
    "not_archived_with_learning_plan",
    "changed",
    "target_missing",
]
_Failed = Literal[
    "refused",
    "not_archived",
]
_Unknown = Literal[
    "not_seen",
    "no_answer",
    "job_not_ended",
    "unreadable",
]
OutcomeCode = Literal[_Archived, _Skipped, _Failed, _Unknown]

CODES: Final[Mapping[str, OutcomeKind]] = {
    **dict.fromkeys(get_args(_Archived), "archived"),
    **dict.fromkeys(get_args(_Skipped), "skipped"),
    **dict.fromkeys(get_args(_Failed), "failed"),
    **dict.fromkeys(get_args(_Unknown), "unknown"),
}
"""The kind of each code. `docs/reference/outcomes.md` explains causes and remedies."""

NOT_CHECKED: Final = "(not checked: spelling, other status, archived earlier)"
"""The part of a reason that `plan(..., explain=True)` replaces."""

CONFLICTING: Final = "; tracking not checkable: "
"""The part of a reason that quotes evidence that conflicts."""

NOTHING_TO_DO: Final = frozenset(
    {
        *("not_enrolled", "other_status", "status", "duplicate"),
        *("archived_earlier", "archived_recently", "archived_with_learning_plan"),
    }
)
"""The codes of skipped rows that need no attention."""

AS_REQUESTED: Final = frozenset({"archived", "not_enrolled"})
"""The statuses of a course with which the row of its learning plan is complete."""


@frozen
class CourseOutcome:
    """The outcome of a user's enrollment in one course of the learning plan.

    Attributes:
        course_id: the course.
        status: `"archived"`: as requested. `"not_enrolled"`: the user was not enrolled, and
            nothing was archived. `"not_archived"`: the enrollment is unchanged.
            `"still_enrolled"`: archived, but still active. `"not_re_enrolled"`: archived, but not
            enrolled again. `"missing"`: the course was deleted meanwhile, and its lists are gone.
        record_id: the id of the archived record, or None.
    """

    course_id: int
    status: CourseStatus
    record_id: int | None = None


@frozen(kw_only=True)
class Outcome:
    """The outcome of one row of a job.

    Attributes:
        kind: `"archived"`: an archived record of exactly this enrollment was read back.
            `"skipped"`: not sent, or not again. `"failed"`: sent, but still active.
            `"unknown"`: not decided yet; the reason says whether it was sent, and `resume` reads
            it again.
        code: a stable word for the reason.
        reason: a sentence about this row.
        line: the line of the file where the row begins (the header is line 1), or None.
        row: the cells of the row, unchanged, by column.
        target: the course or learning plan that the row names, or None.
        user: the user that the row names: an id (int), a username (str), or None.
        record: the archived enrollment, or None.
        courses: for a learning plan, the outcome of each of its courses.
        differences: differences between the archived record and the enrollment as planned.
        user_id: the user's id, or None where it is unknown.
        position: the position of the row in the input, from 0, blank rows included.
        label: the label of the row in the index of its DataFrame, or None: a tuple where the
            index has several levels, NaN for a missing label.
    """

    kind: OutcomeKind
    code: OutcomeCode
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
        """Whether the row is archived, but not exactly as requested."""
        if self.kind != "archived":
            return False
        courses = any(course.status not in AS_REQUESTED for course in self.courses)
        as_asked = self.code in ("archived", "archived_meanwhile")
        return bool(courses or self.differences) or not as_asked

    @property
    def needs_attention(self) -> bool:
        """Whether a person must look at the row.

        It failed, is unknown, is archived but not exactly as requested, has conflicting evidence,
        or was skipped with any other code than `not_enrolled`, `other_status`, `status`,
        `duplicate`, `archived_earlier`, `archived_recently` and `archived_with_learning_plan`.
        """
        if self.kind == "archived":
            return self.is_incomplete or CONFLICTING in self.reason
        return self.code not in NOTHING_TO_DO

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as nested dicts of JSON values; times are in ISO 8601, UTC."""
        return {
            **asdict(self, recurse=False),
            "row": dict(self.row),
            "target": self.target and asdict(self.target),
            "record": self.record and self.record.to_dict(),
            "courses": [asdict(course) for course in self.courses],
            "differences": list(self.differences),
            "label": plain_label(self.label),
        }

    @classmethod
    def of(cls, row: Row, code: str, reason: str, **details: Any) -> Outcome:
        """Return an outcome of a row; the code determines the kind.

        Lone surrogates, which the platform may send but no file can hold, are escaped.
        """
        reason = reason.encode("utf-8", "backslashreplace").decode()
        return cls(
            kind=CODES[code],
            code=cast("OutcomeCode", code),
            reason=reason,
            line=row.line,
            position=row.position,
            label=row.label,
            row=row.cells,
            target=row.target,
            user=user_of(row),
            **details,
        )


def user_of(row: Row) -> int | str | None:
    """Return the user that a row names: the username, where it names both."""
    return row.user[1] if isinstance(row.user, tuple) else row.user


@frozen
class PendingRow:
    """A row that has no outcome yet.

    Attributes:
        line: the line of the file where the row begins (the header is line 1), or None.
        row: the cells of the row, unchanged, by column.
        target: the course or learning plan that the row names.
        user: the user that the row names: an id (int) or a username (str).
        position: the position of the row in the input, as in `Outcome`.
        label: the label of the row in the index of its DataFrame, as in `Outcome`.
    """

    line: int | None
    row: Mapping[str, Any]
    target: Target | None
    user: int | str | None
    position: int | None = None
    label: Label | None = None


@frozen
class Skip:
    """A row that is not sent, and why; `username` is the name that the platform has for its user.

    If the row of a learning plan archives a course row as well, `learning_plan_row` is the index
    of the plan's row, and `course_id` the course.
    """

    row: int
    code: str
    reason: str
    user_id: int | None = None
    learning_plan_row: int | None = None
    course_id: int | None = None
    username: str | None = None

    @property
    def is_unexplained(self) -> bool:
        """Whether `plan(..., explain=True)` can say why there is no enrollment."""
        return self.code == "not_enrolled" and NOT_CHECKED in self.reason

    @property
    def names_similar(self) -> bool:
        """Whether the reason names a user, course or plan with a similar name."""
        return " differs " in self.reason
