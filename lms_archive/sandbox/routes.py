"""The one table of what this platform answers; its swagger is made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lms_archive.sandbox import courses, jobs, plans, users
from lms_archive.sandbox.archived import (
    archive_enrollments,
    archived_enrollments,
    delete_archived_enrollments,
)
from lms_archive.sandbox.archiving import MODES
from lms_archive.sandbox.ask import Ask, Parameter
from lms_archive.sandbox.enrollments import active_enrollments
from lms_archive.sandbox.kinds import COURSE, PLAN
from lms_archive.sandbox.listing import CURSOR, PAGING


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its name in the contract table, its call, and who answers it."""

    operation: str
    method: str
    path: str
    handler: Callable[[Ask], dict[str, Any]]
    parameters: tuple[Parameter, ...]
    summary: str

    @property
    def service(self) -> str:
        """The service whose swagger describes it: the first part of its path."""
        return self.path.split("/")[1]


_COURSE = Parameter("course_id", "path", "integer")
_PLAN = Parameter("learning_plan_id", "path", "integer")
_SEARCH = Parameter("search_text", "query", "string")
_USERS = Parameter("user_id[]", "query", "integers")
_IDS = Parameter("ids", "body", "integers")
_OF_ACTIVE = (
    _USERS,
    Parameter("enrollment_status[]", "query", "strings"),
    Parameter("extra_fields[]", "query", "strings"),
    *PAGING,
    *CURSOR,
)
_OF_ARCHIVED = (
    Parameter("archived_from", "query", "moment"),
    Parameter("archived_to", "query", "moment"),
    Parameter("archived_by[]", "query", "integers"),
    Parameter("user_status", "query", "string", enum=("0", "1")),
    _USERS,
    *PAGING,
    *CURSOR,
)
_HOW = (
    Parameter("select_all", "body", "boolean", default=False),
    Parameter("filters", "body", "filters", enum=("enrollment_status",)),
    Parameter("enrollment_mode", "body", "string", enum=MODES),
    Parameter("reset_tracking", "body", "boolean", default=False),
    Parameter("notify", "body", "boolean", default=False),
)
_PLANS = "/learningplan/v1/learningplans"
_IN_COURSE = "/course/v1/courses/{course_id}/enrollments"
_IN_PLAN = f"{_PLANS}/{{learning_plan_id}}/enrollments"

ROUTES: tuple[Route, ...] = (
    Route(
        "list_courses",
        "GET",
        "/course/v1/courses",
        courses.list_courses,
        (_SEARCH, *PAGING),
        "List courses",
    ),
    Route(
        "get_course",
        "GET",
        "/learn/v1/courses/{course_id}",
        courses.get_course,
        (_COURSE,),
        "Get a course",
    ),
    Route(
        "list_learning_plans",
        "GET",
        _PLANS,
        plans.list_learning_plans,
        (_SEARCH, *PAGING),
        "List learning plans",
    ),
    Route(
        "get_learning_plan",
        "GET",
        f"{_PLANS}/{{learning_plan_id}}",
        plans.get_learning_plan,
        (_PLAN,),
        "Get a learning plan",
    ),
    Route(
        "learning_plan_courses",
        "GET",
        f"{_PLANS}/{{learning_plan_id}}/courses",
        plans.learning_plan_courses,
        (_PLAN, *PAGING),
        "List the courses of a learning plan",
    ),
    Route(
        "get_user",
        "GET",
        "/manage/v1/user/{user_id}",
        users.get_user,
        (Parameter("user_id", "path", "integer"),),
        "Get a user",
    ),
    Route(
        "list_users",
        "GET",
        "/manage/v1/user",
        users.list_users,
        (
            _SEARCH,
            Parameter("match_type", "query", "string"),
            Parameter("sort_attr", "query", "string"),
            Parameter("sort_dir", "query", "string", enum=("asc", "desc"), default="asc"),
            *PAGING,
        ),
        "List users",
    ),
    Route(
        "course_enrollments",
        "GET",
        _IN_COURSE,
        partial(active_enrollments, COURSE),
        (_COURSE, *_OF_ACTIVE),
        "List the active enrollments of a course",
    ),
    Route(
        "learning_plan_enrollments",
        "GET",
        _IN_PLAN,
        partial(active_enrollments, PLAN),
        (_PLAN, *_OF_ACTIVE),
        "List the active enrollments of a learning plan",
    ),
    Route(
        "archive_course_enrollments",
        "PUT",
        "/learn/v1/enrollments",
        partial(archive_enrollments, COURSE),
        (
            Parameter("course_id", "body", "integers"),
            Parameter("user_id", "body", "integers"),
            *_HOW,
        ),
        "Update multiple enrollments; with enrollment_mode, archive them",
    ),
    Route(
        "archive_learning_plan_enrollments",
        "PUT",
        _IN_PLAN,
        partial(archive_enrollments, PLAN),
        (_PLAN, Parameter("user_ids", "body", "integers"), *_HOW),
        "Update enrollments of a learning plan; with enrollment_mode, archive them",
    ),
    Route(
        "archived_course_enrollments",
        "GET",
        f"{_IN_COURSE}/archived",
        partial(archived_enrollments, COURSE),
        (_COURSE, *_OF_ARCHIVED),
        "List the archived enrollments of a course",
    ),
    Route(
        "archived_learning_plan_enrollments",
        "GET",
        f"{_IN_PLAN}/archived",
        partial(archived_enrollments, PLAN),
        (_PLAN, *_OF_ARCHIVED),
        "List the archived enrollments of a learning plan",
    ),
    Route(
        "delete_archived_course_enrollments",
        "DELETE",
        f"{_IN_COURSE}/archived",
        partial(delete_archived_enrollments, COURSE),
        (_COURSE, _IDS),
        "Delete archived enrollments of a course",
    ),
    Route(
        "delete_archived_learning_plan_enrollments",
        "DELETE",
        f"{_IN_PLAN}/archived",
        partial(delete_archived_enrollments, PLAN),
        (_PLAN, _IDS),
        "Delete archived enrollments of a learning plan",
    ),
    Route(
        "get_job",
        "GET",
        "/manage/v1/job/{hash}",
        jobs.get_job,
        (Parameter("hash", "path", "string"),),
        "Get a background job",
    ),
    Route(
        "list_jobs",
        "GET",
        "/manage/v1/job",
        jobs.list_jobs,
        (
            Parameter("id_author", "query", "integer"),
            Parameter("status", "query", "string", enum=jobs.STATUSES),
            *PAGING,
        ),
        "List background jobs",
    ),
)

#: Every name that a call or a fault can have.
OPERATIONS = ("token", "swagger", "certificate", *(route.operation for route in ROUTES))
