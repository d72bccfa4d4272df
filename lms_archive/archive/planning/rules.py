"""Apply the platform's rules to the rows of one job, and read which plans share courses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal

from attrs import define, field, frozen

from lms_archive.archive.planning.resolve import list_targets
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import PlannedEnrollment, PlannedTarget
from lms_archive.archive.values.outcomes import Skip
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError
from lms_archive.records.active import LearningPlanCourse
from lms_archive.records.status import ArchiveMode

OnShared = Literal["skip", "fail", "allow"]
Candidates = Mapping[PlannedTarget, list[PlannedEnrollment]]
"""The rows that may be archived, by target, in input order."""


_INSTRUCTOR_LED = ("classroom", "webinar")


def warn_instructor_led(course: object, types: Iterable[str | None]) -> Iterator[str]:
    """Yield a warning if a course is instructor-led: its sessions keep their enrollments."""
    words = {word for word in types if word is not None and word.lower() in _INSTRUCTOR_LED}
    for word in sorted(words):
        yield (
            f"{course} is instructor-led ({word}): course enrollments are archived, enrollments "
            "in its sessions are not"
        )


@frozen
class Sharing:
    """Courses and the learning plans that hold them.

    Attributes:
        plans_of: for a course, the ids of the plans that hold it.
        courses_of: for a plan that is a target, its courses.
        names: what a plan is called, where it has a code or a title.
    """

    plans_of: Mapping[int, frozenset[int]] = field(factory=dict)
    courses_of: Mapping[int, tuple[LearningPlanCourse, ...]] = field(factory=dict)
    names: Mapping[int, str] = field(factory=dict)

    def plan_names(self, course_id: int) -> list[str]:
        """Return the names of the plans that contain a course."""
        return [self._name(plan) for plan in sorted(self.plans_of.get(course_id, ()))]

    def shared_courses(self, plan_id: int) -> dict[str, list[str]]:
        """Return the courses that a plan shares with others, each with the names of the others."""
        plans_by_course = {}
        for course in self.courses_of.get(plan_id, ()):
            others = self.plans_of.get(course.course_id, frozenset()) - {plan_id}
            if others:
                name = course.code or course.title or f"course {course.course_id}"
                plans_by_course[name] = [self._name(plan) for plan in sorted(others)]
        return plans_by_course

    def _name(self, plan_id: int) -> str:
        return self.names.get(plan_id) or f"learning plan {plan_id}"


def read_sharing(client: Client, *, courses: Collection[int], plans: Collection[int]) -> Sharing:
    """Read which plans contain which courses, for the courses and plans that are targets.

    That takes one call per course or per plan, whichever is fewer.
    """
    if not (courses or plans):
        return Sharing()
    own = {plan: tuple(client.learning_plans.courses(plan)) for plan in sorted(plans)}
    listed = list_targets(client, "learning_plan")
    names = {plan.target_id: plan.code or plan.title or "" for plan in listed}
    wanted = {*courses, *(course.course_id for held in own.values() for course in held)}
    if len(wanted) < len(names) - len(own):
        held_by = {
            course_id: frozenset(client.learning_plans.of_course(course_id))
            for course_id in sorted(wanted)
        }
        return Sharing(held_by, own, names)
    plans_of: dict[int, set[int]] = defaultdict(set)
    for plan in names:
        for course in own.get(plan) or client.learning_plans.courses(plan):
            plans_of[course.course_id].add(plan)
    return Sharing(
        {course_id: frozenset(plans_of.get(course_id, ())) for course_id in wanted}, own, names
    )


@define
class Rules:
    """The rules of one job; `apply` sorts the candidates out.

    Attributes:
        terms: what is done with each row.
        sharing: which plans hold which courses.
        on_shared: what happens to a plan that shares a course with another plan.
        where: describes the position of a row, such as `line 4`.
        skips: the rows that are not sent, filled by `apply`.
        warnings: filled by `apply`.
    """

    terms: Terms
    sharing: Sharing
    on_shared: OnShared
    where: Callable[[int], str]
    skips: list[Skip] = field(factory=list)
    warnings: list[str] = field(factory=list)

    def apply(self, candidates: Candidates) -> dict[PlannedTarget, list[PlannedEnrollment]]:
        """Return the candidates that are sent; plans are decided before courses."""
        kept: dict[PlannedTarget, list[PlannedEnrollment]] = {}
        plans = {t: rows for t, rows in candidates.items() if t.kind == "learning_plan"}
        for target, rows in plans.items():
            kept[target] = self._plan_rows(target, rows)
        if self.terms.mode is ArchiveMode.RE_ENROLL:
            self._skip_overlapping_plans(kept)
        plan_rows = {
            (course.course_id, row.user_id): (target, row.row)
            for target, rows in kept.items()
            for course in self.sharing.courses_of.get(target.target_id, ())
            for row in rows
        }
        for target, rows in candidates.items():
            if target.kind == "course":
                kept[target] = self._course_rows(target, rows, plan_rows)
        return {target: kept[target] for target in candidates}

    def _plan_rows(
        self, target: PlannedTarget, rows: list[PlannedEnrollment]
    ) -> list[PlannedEnrollment]:
        shared = self.sharing.shared_courses(target.target_id)
        if not shared or not rows:
            return rows
        courses = "; ".join(f"{course} (also in {', '.join(of)})" for course, of in shared.items())
        if self.terms.mode is ArchiveMode.RE_ENROLL:
            also = " and their tracking is reset" if self.terms.reset_tracking else ""
            self.warnings.append(
                f"{target}: enrollments in courses of other plans are archived too{also}, and "
                f"would be again with those plans: {courses}"
            )
            return rows
        reason = f"{target} shares courses with other learning plans: {courses}"
        if self._allowed(reason):
            self.warnings.append(
                f"{reason}. Docebo's help says that the platform does not proceed with those "
                "courses and plans: what happened to each course is read back"
            )
            return rows
        cure = "take the course out of one of them, or use on_shared='allow'"
        self._skip(
            rows,
            "shared",
            f"{reason}; Docebo's help says that the platform does not proceed then: {cure}",
        )
        return []

    def _skip_overlapping_plans(self, kept: dict[PlannedTarget, list[PlannedEnrollment]]) -> None:
        """Skip the second of two plans with a common course, when the job re-enrolls.

        It would archive the course enrollment that the first one has just made.
        """
        first_rows: dict[tuple[int, int], tuple[PlannedTarget, int]] = {}
        allowed: Counter[str] = Counter()
        for target, rows in kept.items():
            courses = [
                course.course_id for course in self.sharing.courses_of.get(target.target_id, ())
            ]
            stay = []
            for row in rows:
                first = next(
                    (first_rows[c, row.user_id] for c in courses if (c, row.user_id) in first_rows),
                    None,
                )
                reason = first and (
                    f"{target} shares a course with {first[0]} of {self.where(first[1])}: the "
                    "second would archive the course enrollment that the first has just made"
                )
                if reason and not self._allowed(reason):
                    self._skip([row], "shared", f"{reason}; on_shared='allow' sends it anyway")
                    continue
                if first:
                    allowed[f"{target} shares a course with {first[0]}"] += 1
                stay.append(row)
                first_rows.update(((course, row.user_id), (target, row.row)) for course in courses)
            kept[target] = stay
        self.warnings += (
            f"{text}: {count:,} course enrollments that the first one creates are archived again"
            for text, count in allowed.items()
        )

    def _course_rows(
        self,
        target: PlannedTarget,
        rows: list[PlannedEnrollment],
        plan_rows: Mapping[tuple[int, int], tuple[PlannedTarget, int]],
    ) -> list[PlannedEnrollment]:
        stay = []
        for row in rows:
            plan, plan_row = plan_rows.get((target.target_id, row.user_id), (None, 0))
            if plan is None:
                stay.append(row)
                continue
            code = "archived_with_learning_plan"
            reason = f"{plan} archives this course too: see {self.where(plan_row)}"
            self.skips.append(Skip(row.row, code, reason, row.user_id, plan_row, target.target_id))
        plan_names = self.sharing.plan_names(target.target_id)
        if not plan_names or self.terms.mode is ArchiveMode.RE_ENROLL:
            return stay
        plans = ", ".join(plan_names)
        reason = (
            f"{target} belongs to {plans}: a course of a learning plan cannot be archived and "
            "unenrolled on its own; archive the plan"
        )
        self._skip(stay, "in_learning_plan", reason)
        return []

    def _allowed(self, reason: str) -> bool:
        if self.on_shared == "fail":
            raise InvalidInputError(f"{reason} (on_shared='fail'; nothing was sent)")
        return self.on_shared == "allow"

    def _skip(self, rows: Iterable[PlannedEnrollment], code: str, reason: str) -> None:
        self.skips += (Skip(row.row, code, reason, row.user_id) for row in rows)
