"""The one table of what this platform answers; its swagger is made from it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from lms_archive.sandbox.foreign import Foreign
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
    operation_id: str = ""

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


def routes_of(foreign: Foreign) -> tuple[Route, ...]:
    """Return the table of a platform that differs.

    Raises:
        ValueError: no such operation or parameter, or a call that cannot be.
    """
    table = {route.operation: route for route in ROUTES}
    changed = [*foreign.calls, *foreign.parameters, *foreign.answers]
    if unknown := [name for name in changed if name not in table]:
        raise ValueError(f"unknown operation {unknown[0]!r}: {', '.join(table)}")
    return tuple(
        _elsewhere(route, foreign) for route in ROUTES if foreign.calls.get(route.operation, "/")
    )


def _elsewhere(route: Route, foreign: Foreign) -> Route:
    """Return the route as that platform has it."""
    call = foreign.calls.get(route.operation) or f"{route.method} {route.path}"
    names = foreign.parameters.get(route.operation, {})
    known = [parameter.name for parameter in route.parameters]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{route.operation} has no {unknown[0]!r}: {', '.join(known)}")
    matched = re.fullmatch(r"([A-Z]+) (/\w+/\S+)(?: (.+))?", call)
    if matched is None:
        raise ValueError(
            f"{route.operation}: {call!r} is no call: 'POST /service/v1/path what it does'"
        )
    method, path, summary = matched.groups(default=route.summary)
    in_path = re.findall(r"{(\w+)}", path)
    parameters = tuple(_renamed(one, names, in_path, foreign) for one in route.parameters)
    placed = [one.shown for one in parameters if one.place == "path"]
    if sorted(in_path) != sorted(placed):
        raise ValueError(f"{route.operation}: {path} has no place for {placed}, or for nothing")
    words = re.findall(r"\w+", f"{method.lower()} {path}")
    operation_id = "_".join(words) if route.operation in foreign.calls else ""
    return Route(route.operation, method, path, route.handler, parameters, summary, operation_id)


def _renamed(
    parameter: Parameter, names: Mapping[str, str | None], in_path: list[str], foreign: Foreign
) -> Parameter:
    told = names.get(parameter.name, parameter.name)
    match (told or "").split(" "):
        case [""]:
            return replace(parameter, place="nowhere")
        case [name] if name in in_path:
            changed = replace(parameter, sent_as=name, place="path")
        case [name]:
            changed = replace(parameter, sent_as=name)
        case ["query" | "body" as place, name]:
            changed = replace(parameter, sent_as=name, place=place)
        case _:
            raise ValueError(f"{told!r} is no parameter: 'query name', 'body name' or 'name'")
    if changed.name != "enrollment_mode":
        return changed
    meant = {foreign.modes.get(mode, mode): mode for mode in MODES}
    return replace(changed, enum=tuple(meant), meanings=tuple(meant.items()))
