"""The one table of what this platform answers; its swagger is made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lms_archive.sandbox import archived, courses, jobs, users
from lms_archive.sandbox.archiving import MODES
from lms_archive.sandbox.ask import Ask, Parameter
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
_SEARCH = Parameter("search_text", "query", "string")
_USERS = Parameter("user_id[]", "query", "integers")
_ARCHIVED = "/course/v1/courses/{course_id}/enrollments/archived"

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
        "/learningplan/v1/learningplans",
        courses.list_learning_plans,
        (_SEARCH, *PAGING),
        "List learning plans",
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
        "/course/v1/courses/{course_id}/enrollments",
        courses.course_enrollments,
        (
            _COURSE,
            _USERS,
            Parameter("enrollment_status[]", "query", "strings"),
            Parameter("extra_fields[]", "query", "strings"),
            *PAGING,
            *CURSOR,
        ),
        "List the active enrollments of a course",
    ),
    Route(
        "archive_course_enrollments",
        "PUT",
        "/learn/v1/enrollments",
        archived.archive_course_enrollments,
        (
            Parameter("course_id", "body", "integers"),
            Parameter("user_id", "body", "integers"),
            Parameter("enrollment_mode", "body", "string", enum=MODES),
            Parameter("reset_tracking", "body", "boolean", default=False),
        ),
        "Update multiple enrollments; with enrollment_mode, archive them",
    ),
    Route(
        "archived_course_enrollments",
        "GET",
        _ARCHIVED,
        archived.archived_course_enrollments,
        (
            _COURSE,
            Parameter("archived_from", "query", "moment"),
            Parameter("archived_to", "query", "moment"),
            Parameter("archived_by[]", "query", "integers"),
            Parameter("user_status", "query", "string", enum=("0", "1")),
            _USERS,
            *PAGING,
            *CURSOR,
        ),
        "List the archived enrollments of a course",
    ),
    Route(
        "delete_archived_course_enrollments",
        "DELETE",
        _ARCHIVED,
        archived.delete_archived_course_enrollments,
        (_COURSE, Parameter("ids", "body", "integers")),
        "Delete archived enrollments of a course",
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
OPERATIONS = ("token", "swagger", *(route.operation for route in ROUTES))
