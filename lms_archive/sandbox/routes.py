"""The table of the platform's operations, from which its swagger is generated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, get_args

from attrs import evolve, frozen

from lms_archive.sandbox import jobs
from lms_archive.sandbox.archive_calls import (
    archive_enrollments,
    archived_enrollments,
    delete_archived_enrollments,
)
from lms_archive.sandbox.archive_rules import MODES
from lms_archive.sandbox.catalog import (
    get_course,
    get_learning_plan,
    learning_plan_courses,
    list_courses,
    list_learning_plans,
)
from lms_archive.sandbox.enrollments import all_enrollments, target_enrollments
from lms_archive.sandbox.pages import CURSOR, PAGING
from lms_archive.sandbox.request import ApiRequest, Location, Parameter
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind
from lms_archive.sandbox.users import get_session, get_user, list_users
from lms_archive.sandbox.variant import PlatformVariant

Handler = Callable[[ApiRequest], dict[str, Any]]


@frozen
class Route:
    """An operation: its name in the contract table, its call, and its handler."""

    operation: str
    method: str
    path: str
    summary: str
    handler: Handler
    parameters: tuple[Parameter, ...]
    operation_id: str = ""

    @property
    def service(self) -> str:
        """The service whose swagger describes the call: the first segment of its path."""
        return self.path.split("/")[1]


def _route(name: str, call: str, summary: str, handler: Handler, *parameters: Parameter) -> Route:
    method, path = call.split(" ")
    in_path = (_in_path(word) for word in re.findall(r"{(\w+)}", path))
    return Route(name, method, path, summary, handler, (*in_path, *parameters))


def _in_path(name: str) -> Parameter:
    return Parameter(name, "path", "string" if name == "hash" else "integer")


_SEARCH = Parameter("search_text", "query", "string")
_LIST_USERS = (
    _SEARCH,
    Parameter("match_type", "query", "string"),
    Parameter("sort_attr", "query", "string"),
    Parameter("sort_dir", "query", "string", enum=("asc", "desc"), default="asc"),
    *PAGING,
)
_LIST_JOBS = (
    Parameter("id_author", "query", "integer"),
    Parameter("status", "query", "string", enum=jobs.STATUSES),
    *PAGING,
)
_USERS = Parameter("user_id[]", "query", "integers")
_ACTIVE = (
    _USERS,
    Parameter("enrollment_status[]", "query", "strings"),
    Parameter("extra_fields[]", "query", "strings"),
    *PAGING,
    *CURSOR,
)
_ARCHIVED = (
    Parameter("archived_from", "query", "moment"),
    Parameter("archived_to", "query", "moment"),
    Parameter("archived_by[]", "query", "integers"),
    Parameter("user_status", "query", "string", enum=("0", "1")),
    _USERS,
    *PAGING,
    *CURSOR,
)
_ARCHIVING = (
    Parameter("select_all", "body", "boolean", default=False),
    Parameter("filters", "body", "filters", enum=("enrollment_status",)),
    Parameter("enrollment_mode", "body", "string", enum=MODES),
    Parameter("reset_tracking", "body", "boolean", default=False),
)


def _enrollment_routes(kind: TargetKind, targets: str) -> Iterator[Route]:
    """Yield the calls that courses and learning plans have in common."""
    word, in_target = kind.name.replace(" ", "_"), f"{targets}/{{{kind.column}}}/enrollments"
    yield _route(
        f"{word}_enrollments",
        f"GET {in_target}",
        f"List the active enrollments of a {kind.name}",
        partial(target_enrollments, kind),
        *_ACTIVE,
    )
    yield _route(
        f"all_{word}_enrollments",
        f"GET {targets}/enrollments",
        f"List the active enrollments of all {kind.name}s",
        partial(all_enrollments, kind),
        Parameter(f"{kind.column}[]", "query", "integers"),
        *_ACTIVE,
    )
    yield _route(
        f"archived_{word}_enrollments",
        f"GET {in_target}/archived",
        f"List the archived enrollments of a {kind.name}",
        partial(archived_enrollments, kind),
        *_ARCHIVED,
    )
    yield _route(
        f"delete_archived_{word}_enrollments",
        f"DELETE {in_target}/archived",
        f"Delete archived enrollments of a {kind.name}",
        partial(delete_archived_enrollments, kind),
        Parameter("ids", "body", "integers"),
    )


_COURSES, _PLANS = "/course/v1/courses", "/learningplan/v1/learningplans"

ROUTES: tuple[Route, ...] = (
    _route("list_courses", f"GET {_COURSES}", "List courses", list_courses, _SEARCH, *PAGING),
    _route("get_course", "GET /learn/v1/courses/{course_id}", "Get a course", get_course),
    _route(
        "list_learning_plans", f"GET {_PLANS}", "List plans", list_learning_plans, _SEARCH, *PAGING
    ),
    _route(
        "get_learning_plan", f"GET {_PLANS}/{{learning_plan_id}}", "Get a plan", get_learning_plan
    ),
    _route(
        "learning_plan_courses",
        f"GET {_PLANS}/{{learning_plan_id}}/courses",
        "List the courses of a learning plan",
        learning_plan_courses,
        *PAGING,
    ),
    _route("session", "GET /manage/v1/user/session", "Get the signed-in account", get_session),
    _route("get_user", "GET /manage/v1/user/{user_id}", "Get a user", get_user),
    _route("list_users", "GET /manage/v1/user", "List users", list_users, *_LIST_USERS),
    *_enrollment_routes(COURSE, _COURSES),
    *_enrollment_routes(PLAN, _PLANS),
    _route(
        "archive_course_enrollments",
        "PUT /learn/v1/enrollments",
        "Update multiple enrollments; with enrollment_mode, archive them",
        partial(archive_enrollments, COURSE),
        Parameter("course_id", "body", "integers"),
        Parameter("user_id", "body", "integers"),
        *_ARCHIVING,
    ),
    _route(
        "archive_learning_plan_enrollments",
        f"PUT {_PLANS}/{{learning_plan_id}}/enrollments",
        "Update enrollments of a learning plan; with enrollment_mode, archive them",
        partial(archive_enrollments, PLAN),
        Parameter("user_ids", "body", "integers"),
        *_ARCHIVING,
    ),
    _route("get_job", "GET /manage/v1/job/{hash}", "Get a background job", jobs.get_job),
    _route("list_jobs", "GET /manage/v1/job", "List jobs", jobs.list_jobs, *_LIST_JOBS),
)
OPERATIONS = (
    *("token", "swagger", "microservices", "certificate"),
    *(route.operation for route in ROUTES),
)
"""The operation names that calls and faults may have."""


def routes_of(variant: PlatformVariant) -> tuple[Route, ...]:
    """Return the routes of a platform with another contract.

    Raises:
        ValueError: an operation or parameter is unknown, or a call is malformed.
    """
    table = {route.operation: route for route in ROUTES}
    changed = [*variant.calls, *variant.parameters, *variant.answers]
    if unknown := [name for name in changed if name not in table]:
        raise ValueError(f"unknown operation {unknown[0]!r}: {', '.join(table)}")
    return tuple(
        _changed(route, variant) for route in ROUTES if variant.calls.get(route.operation, "/")
    )


def _changed(route: Route, variant: PlatformVariant) -> Route:
    names = variant.parameters.get(route.operation, {})
    own_names = [parameter.name for parameter in route.parameters]
    if unknown := [name for name in names if name not in own_names]:
        raise ValueError(f"{route.operation} has no {unknown[0]!r}: {', '.join(own_names)}")
    if call := variant.calls.get(route.operation):
        matched = re.fullmatch(r"([A-Z]+) (/\w+/\S+)(?: (.+))?", call)
        if matched is None:
            raise ValueError(f"{call!r} is not a call: 'POST /service/v1/path what it does'")
        method, path, summary = matched.groups(default=route.summary)
        words = "_".join(re.findall(r"\w+", f"{method.lower()} {path}"))
        route = evolve(route, method=method, path=path, summary=summary, operation_id=words)
    in_path = re.findall(r"{(\w+)}", route.path)
    parameters = tuple(
        _renamed(parameter, names.get(parameter.name, parameter.name), in_path, variant.modes)
        for parameter in route.parameters
    )
    placed = {parameter.shown for parameter in parameters if parameter.location == "path"}
    if placed != set(in_path):
        raise ValueError(f"{route.operation}: {route.path} must have {placed or 'no parameter'}")
    return evolve(route, parameters=parameters)


def _renamed(
    parameter: Parameter, target: str | None, in_path: list[str], modes: Mapping[str, str]
) -> Parameter:
    """Return a parameter with the location and the name in *target*, and with other modes."""
    if target is None:
        return evolve(parameter, location="nowhere")
    location, _, name = target.rpartition(" ")
    location = location or ("path" if name in in_path else parameter.location)
    if location not in get_args(Location):
        raise ValueError(f"{target!r} is not a parameter: 'query name', 'body name' or 'name'")
    if parameter.name == "enrollment_mode":
        meanings = {modes.get(mode, mode): mode for mode in MODES}
        parameter = evolve(parameter, enum=tuple(meanings), meanings=meanings)
    return evolve(parameter, sent_as=name, location=location)  # type: ignore[arg-type]  # checked
