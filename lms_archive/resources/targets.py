"""Courses and learning plans by id or code, as jobs take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from lms_archive.resources.arguments import checked_code
from lms_archive.resources.courses import Courses
from lms_archive.resources.learning_plans import LearningPlans
from lms_archive.wire.pages import Page
from lms_archive.wire.session import Session

__all__ = ["pages_of_course", "pages_of_learning_plan"]

T = TypeVar("T")


def pages_of_course(
    session: Session, course: int | str, read: Callable[[int], Iterator[Page[T]]]
) -> Iterator[Page[T]]:
    """Yield what `read` gives for the id of a course; a code is looked up first."""
    if isinstance(course, str):
        course = Courses(session).find(checked_code("course", course)).course_id
    yield from read(course)


def pages_of_learning_plan(
    session: Session, learning_plan: int | str, read: Callable[[int], Iterator[Page[T]]]
) -> Iterator[Page[T]]:
    """Yield what `read` gives for the id of a learning plan; a code is looked up first."""
    if isinstance(learning_plan, str):
        code = checked_code("learning plan", learning_plan)
        learning_plan = LearningPlans(session).find(code).learning_plan_id
    yield from read(learning_plan)
