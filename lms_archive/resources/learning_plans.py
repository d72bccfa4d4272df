"""Learning plans of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.errors import UnexpectedResponseError
from lms_archive.records.active import Course, LearningPlan, LearningPlanCourse
from lms_archive.resources.arguments import checked_id, checked_target
from lms_archive.resources.base import Resource, fetch
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page, pages
from lms_archive.wire.tracebacks import short_tracebacks


@short_tracebacks
class LearningPlans(Resource[LearningPlan]):
    """`client.learning_plans`: the learning plans of the platform."""

    _record = LearningPlan
    _noun = "learning plan"
    _id = "learning_plan_id"
    _list = "list_learning_plans"
    _get = "get_learning_plan"

    def list(self, *, search: str | None = None) -> Listing[LearningPlan]:
        """List all learning plans, or those that match a search, reading page by page.

        Calls `GET /learningplan/v1/learningplans` (seen), 200 plans a call.

        Args:
            search: text that the platform looks for in code and title.

        Raises:
            InvalidInputError: the search is not text, or contains half a character.
            ApiError: a call failed.
        """
        return self._listing(search=search)

    def pages(self, *, search: str | None = None) -> Iterator[Page[LearningPlan]]:
        """Yield `Page` objects with the platform's totals; arguments as for `list`."""
        return self._pages(search=search)

    def get(self, learning_plan_id: int) -> LearningPlan:
        """Get a learning plan by its id.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}` (path and title seen).

        Raises:
            InvalidInputError: the id is not a whole number.
            NotFoundError: the learning plan does not exist.
            UnexpectedResponseError: the answer is about another learning plan.
        """
        return self._fetch(checked_id("learning_plan_id", learning_plan_id, "code use find"))

    def find(self, code: str) -> LearningPlan:
        """Find the learning plan with exactly this code.

        Calls `GET /learningplan/v1/learningplans` with the code as search text (seen).

        Raises:
            NotFoundError: no learning plan has this code.
            InvalidInputError: several learning plans have this code; use the id.
        """
        return self._find_exact("code", code, search=code)

    def courses(self, learning_plan: int | str) -> Listing[LearningPlanCourse]:
        """List the courses of a learning plan, in its order.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/courses` (seen, weak).

        Args:
            learning_plan: its id (int), or its code (str), which is looked up with `find`.

        Raises:
            InvalidInputError: the learning plan is neither an id nor a code.
            NotFoundError: the learning plan does not exist.
        """
        target = checked_target("learning plan", learning_plan)

        def read() -> Iterator[Page[LearningPlanCourse]]:
            plan_id = target
            if isinstance(plan_id, str):
                plan_id = self.find(plan_id).learning_plan_id
            where = {"learning_plan_id": plan_id}
            return pages(self._session, "learning_plan_courses", LearningPlanCourse, **where)

        return Listing(LearningPlanCourse, read)

    def of_course(self, course_id: int) -> tuple[int, ...]:
        """Return the ids of the learning plans that contain a course.

        Calls `GET /learn/v1/courses/{course_id}` (2017; that it lists all plans of the course,
        not only the caller's, is assumed).

        Raises:
            InvalidInputError: the id is not a whole number.
            NotFoundError: the course does not exist.
        """
        checked_id("course_id", course_id, "code use client.courses.find")
        _, answer = fetch(self._session, "get_course", Course, "course_id", course_id)
        row = self._session.operation("get_course")
        plans = row.find(answer, "learning_plans")
        try:
            return tuple(int(str(row.find(plan, "learning_plan_id"))) for plan in plans)
        except (TypeError, ValueError):
            where = row.answer["learning_plans"]
            faults = [f"$.{where}: expected the course's learning plans, not {plans!r:.60}"]
            path = row.request(course_id=course_id).path
            raise UnexpectedResponseError(row.method, path, status=200, faults=faults) from None
