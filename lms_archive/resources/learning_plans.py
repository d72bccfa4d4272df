"""Learning plans of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from lms_archive.records.active import LearningPlan, LearningPlanCourse
from lms_archive.resources.listing import Listing
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, pages, structured

__all__ = ["LearningPlans"]


class LearningPlans:
    """`client.learning_plans`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, search: str | None = None) -> Listing[LearningPlan]:
        """Every learning plan, or those that the platform finds for a text; page by page.

        Calls `GET /learningplan/v1/learningplans` (seen), 200 plans a call.

        Raises:
            ApiError: a call failed.
        """
        return Listing(LearningPlan, lambda: self.pages(search=search))

    def pages(self, *, search: str | None = None) -> Iterator[Page[LearningPlan]]:
        """The same, a page at a time, with what the platform says of the whole."""
        return pages(self._wire, "list_learning_plans", LearningPlan, search=search)

    def get(self, learning_plan_id: int) -> LearningPlan:
        """The learning plan of that id.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}` (path and title seen).

        Raises:
            NotFoundError: there is none.
        """
        given = {"learning_plan_id": learning_plan_id}
        reply = self._wire.call("get_learning_plan", **given)
        return structured(self._wire, "get_learning_plan", LearningPlan, reply.data, None, given)

    def find(self, code: str) -> LearningPlan:
        """The learning plan with exactly that code.

        Calls `GET /learningplan/v1/learningplans` with the code as search text (seen).

        Raises:
            NotFoundError: no plan has it.
            InvalidInputError: several have it, so that only an id says which is meant.
        """
        found = [plan for plan in self.list(search=code) if plan.code == code]
        if not found:
            row = self._wire.operation("list_learning_plans")
            words = f"no learning plan has the code {code!r}"
            raise NotFoundError(row.method, row.path, status=200, message=words)
        if len(found) > 1:
            ids = ", ".join(str(plan.learning_plan_id) for plan in found)
            words = f"{len(found)} learning plans have the code {code!r} (ids {ids})"
            raise InvalidInputError(f"{words}: give the id")
        return found[0]

    def courses(self, learning_plan_id: int) -> Listing[LearningPlanCourse]:
        """The courses of a learning plan.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/courses` (seen, weak).

        Raises:
            NotFoundError: there is no such plan.
        """
        name, given = "learning_plan_courses", {"learning_plan_id": learning_plan_id}
        return Listing(
            LearningPlanCourse, lambda: pages(self._wire, name, LearningPlanCourse, **given)
        )

    def of_course(self, course_id: int) -> tuple[int, ...]:
        """The ids of the learning plans that hold a course.

        Calls `GET /learn/v1/courses/{course_id}` (2017; that it lists all plans of the course,
        and not only the caller's, is assumed).

        Raises:
            NotFoundError: there is no such course.
        """
        row = self._wire.operation("get_course")
        reply = self._wire.call("get_course", course_id=course_id)
        plans = row.find(reply.data, "learning_plans")
        try:
            return tuple(int(str(row.find(plan, "learning_plan_id"))) for plan in plans)
        except (TypeError, ValueError):
            where = row.answer["learning_plans"]
            faults = [f"$.{where}: expected the course's learning plans, not {plans!r:.60}"]
            path = row.request(course_id=course_id).path
            raise UnexpectedResponseError(row.method, path, status=200, faults=faults) from None
