"""Find the courses that several learning plans share: archiving one plan affects the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from operator import attrgetter

from attrs import field, frozen

from lms_archive.archive.target.complete import read_complete
from lms_archive.client import Client
from lms_archive.records.active import LearningPlan, LearningPlanCourse
from lms_archive.wire.pages import Page, tolerant_pages, with_partial

__all__ = ["Sharing", "read_sharing"]


@frozen
class Sharing:
    """Courses and the learning plans that hold them.

    Attributes:
        plans_of: for a course, the ids of the plans that hold it.
        courses_of: for a plan that is a target, its courses.
        names: what a plan is called.
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
    """Read which plans contain which courses: one call per course or per plan, whichever is fewer.

    Args:
        client: the platform.
        courses: courses that are targets.
        plans: plans that are targets.

    Raises:
        NotFoundError: a plan or a course is not there.
        ApiError: a call failed.
    """
    if not (courses or plans):
        return Sharing()
    own = {plan: tuple(client.learning_plans.courses(plan)) for plan in sorted(plans)}
    read = read_complete(lambda: _plan_pages(client), attrgetter("learning_plan_id"))
    listed = read.with_partial(frozenset())
    names = {plan.learning_plan_id: _name(plan) for plan in listed}
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


def _plan_pages(client: Client) -> Iterator[Page[LearningPlan]]:
    """Read the list of plans, of which only the ids have to be readable."""
    pages = tolerant_pages(client.session, "list_learning_plans", LearningPlan, {})
    return with_partial(pages, frozenset())


def _name(plan: LearningPlan) -> str:
    return plan.code or plan.title or f"learning plan {plan.learning_plan_id}"
