"""Swagger documents made by hand, and a tiny server that gives them out."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from attrs import define, field, frozen
from wire_tools import http, listening, read_request

from lms_archive import Client, Contract, RetryPolicy, StaticToken
from lms_archive.wire import ContractReport, Operation

SERVICES = ("manage", "enrollment", "course", "learn", "learningplan")
ARCHIVE = "archive_course_enrollments"
ARCHIVE_PLAN = "archive_learning_plan_enrollments"
WRITES = [name for name, row in Contract.default().operations.items() if row.method != "GET"][1:]

Document = Any
Documents = Mapping[str, Document]


@frozen
class Served:
    """One answer of the server, as it is sent."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(factory=dict)


NOTHING = Served(b'{"message": "nothing here"}', 404)


@frozen
class Secured:
    """A document that is refused without a token."""

    refusal: Served
    document: Document


@frozen
class Asked:
    """One request that the server has had."""

    method: str
    path: str
    kind: str
    body: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)


@define
class Platform:
    """A server of documents, and what it was asked."""

    url: str = ""
    answers: dict[str, Served | Secured | Document] = field(factory=dict)
    asked: list[Asked] = field(factory=list)

    def client(self, **options: Any) -> Client:
        """A client of it that tries once and is not throttled."""
        quick: dict[str, Any] = {"calls_per_hour": None, "retry": RetryPolicy(attempts=1)}
        return Client(self.url, StaticToken("a-token"), **{**quick, **options})


@contextmanager
def serving(documents: Documents, prefix: str = "", listed: Any = None) -> Iterator[Platform]:
    """Serve the documents of these services; whatever else is asked for is a 404.

    What is `listed` (service and address, in which `{url}` is the platform's own) is the answer
    of microservices; without it that call is a 404 as well.
    """
    platform = Platform()

    def talk(connection: socket.socket) -> None:
        head, _, body = read_request(connection).decode().partition("\r\n\r\n")
        line, *fields = head.split("\r\n")
        method, path, _ = line.split(" ")
        headers = dict(field.split(": ", 1) for field in fields)
        platform.asked.append(Asked(method, path, headers.get("Content-Type", ""), body, headers))
        answer = platform.answers.get(f"{method} {path}", NOTHING)
        if isinstance(answer, Secured):
            answer = answer.document if "Authorization" in headers else answer.refusal
        if not isinstance(answer, Served):
            answer = Served(json.dumps(answer).encode())
        more = [f"{name}: {value}" for name, value in answer.headers.items()]
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        connection.sendall(http(answer.body, f"Content-Type: {answer.kind}", *more, status=status))

    with listening(talk) as place:
        platform.url = f"http://{place}{prefix}"
        for service, document in documents.items():
            platform.answers[f"GET {prefix}/{service}/v1/swagger"] = document
        if isinstance(listed, Mapping):
            urls = {app: url.format(url=platform.url) for app, url in listed.items()}
            listed = {"data": [{"app": app, "url": url} for app, url in urls.items()]}
        if listed is not None:
            platform.answers[f"GET {prefix}/manage/v1/site/microservices"] = listed
        yield platform


def verify(
    documents: Documents, names: Sequence[str] | None = None, *, listed: Any = None, **options: Any
) -> tuple[ContractReport, list[Asked]]:
    """Verify a contract on a platform that serves these documents; return what was asked, too."""
    with serving(documents, listed=listed) as platform, platform.client(**options) as client:
        return client.verify_contract(names), platform.asked


def swagger2(paths: Mapping[str, Any], base: str | None = None, **others: Any) -> Document:
    """A document of Swagger 2.0."""
    base_path = {} if base is None else {"basePath": base}
    return {"swagger": "2.0", **base_path, "paths": paths, **others}


def openapi3(paths: Mapping[str, Any], *servers: str, **others: Any) -> Document:
    """A document of OpenAPI 3."""
    listed = {"servers": [{"url": url} for url in servers]} if servers else {}
    return {"openapi": "3.0.3", **listed, "paths": paths, **others}


def text(*values: str) -> dict[str, Any]:
    """The schema of a text, one of these if there are any."""
    return {"type": "string", "enum": list(values)} if values else {"type": "string"}


def ids() -> dict[str, Any]:
    """The schema of a list of ids."""
    return {"type": "array", "items": {"type": "integer"}}


def json_body(**properties: Any) -> dict[str, Any]:
    """An operation of Swagger 2.0 with this JSON body."""
    schema = {"type": "object", "properties": properties}
    return {"parameters": [{"in": "body", "name": "body", "schema": schema}]}


def takes(*names: str, place: str = "query") -> dict[str, Any]:
    """An operation of Swagger 2.0 with these parameters; a name with `[]` takes a list."""
    return {
        "parameters": [
            {"name": name, "in": place, **(ids() if name.endswith("[]") else text())}
            for name in names
        ]
    }


def archive_body(modes: Sequence[str] = ("delete", "re_enroll"), **others: Any) -> dict[str, Any]:
    """The properties of the body of the contract's own archive call in a course."""
    return {
        "course_id": ids(),
        "user_id": ids(),
        "enrollment_mode": text(*modes),
        "reset_tracking": {"type": "boolean"},
        **others,
    }


def own_documents(contract: Contract | None = None) -> dict[str, Document]:
    """Documents that confirm every row of the contract."""
    rows = (contract or Contract.default()).operations
    paths: dict[str, dict[str, Any]] = {service: {} for service in SERVICES}
    for name, row in sorted(rows.items(), key=lambda item: item[0].endswith("_select_all")):
        if name not in ("token", "swagger"):
            item = paths[row.path.split("/")[1]].setdefault(row.path, {})
            operation = item.setdefault(row.method.lower(), _operation(name, row))
            if name.endswith("_select_all"):  # another form of a call that is there
                other = _operation(name, row)["parameters"][0]["schema"]["properties"]
                operation["parameters"][0]["schema"]["properties"] |= other
    return {service: swagger2(operations) for service, operations in paths.items()}


def _operation(name: str, row: Operation) -> dict[str, Any]:
    """Return the description of a row of the contract."""
    several = {key for key, value in row.fixed.items() if isinstance(value, list)}
    names = [*row.params.values(), *row.fixed]
    schemas = {key: ids() if key.endswith("[]") or key in several else text() for key in names}
    if row.sends == "json":
        flat = {key.removesuffix("[]"): schema for key, schema in schemas.items()}
        body = {key: schema for key, schema in flat.items() if "." not in key}
        for key in flat.keys() - body.keys():
            outer, inner = key.split(".")
            body[outer] = {"type": "object", "properties": {inner: flat[key]}}
        return {"operationId": name} | json_body(**body)
    listed = [{"name": key, "in": "query", **schema} for key, schema in schemas.items()]
    return {"operationId": name, "parameters": listed}


def without_archive(**services: Document) -> dict[str, Document]:
    """Our documents without any archive operation, and these in their place."""
    kept = own_documents()
    for document in kept.values():
        for path, item in list(document["paths"].items()):
            if path.endswith("/archived"):
                del document["paths"][path]
            else:
                item.pop("put", None)
    return {**kept, **services}


def archive_call(**changes: Any) -> dict[str, Document]:
    """A platform whose service `learn` has the contract's archive call, changed like this."""
    path, method = changes.pop("path", "/learn/v1/enrollments"), changes.pop("method", "put")
    base, row = changes.pop("base", None), changes.pop("row", json_body(**archive_body()))
    return {**own_documents(), "learn": swagger2({path: {method: row}}, base, **changes)}


def moved() -> dict[str, Document]:
    """A platform that archives by POST on paths of their own, with values of its own."""
    how = {
        "users": ids(),
        "enrollment_mode": text("archive", "archive_and_reenroll"),
        "reset_tracking": {"type": "boolean"},
    }
    row = {"operationId": "archiveEnrollments", **json_body(**how)}
    course = {"/courses/{courseId}/enrollments/archive": {"post": row}}
    plan = {"/learning-plans/{id}/enrollments/archive/": {"post": row}}
    return without_archive(
        course=swagger2(course, "/course/v1"), enrollment=swagger2(plan, "/enrollment/v1")
    )


def forms() -> dict[str, Document]:
    """A platform (OpenAPI 3, its server elsewhere) that archives by forms."""

    def form(target: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{target}"}
        media = {"application/x-www-form-urlencoded": {"schema": schema}}
        return {"summary": "Archive enrollments", "requestBody": {"content": media}}

    def names(target: str, kind: Any) -> dict[str, Any]:
        return {
            "properties": {
                target: kind,
                "id_user[]": ids(),
                "enrollment_mode": {"$ref": "#/components/schemas/Mode"},
                "reset_tracking": {"type": "boolean"},
            }
        }

    schemas = {
        "course": names("id_course", {"type": "integer"}),
        "plan": names("learning_plan_ids[]", ids()),
        "Mode": text("delete", "re_enroll"),
    }
    paths = {
        "/bulk/courses": {"post": form("course")},
        "/bulk/learningplans": {"post": form("plan")},
    }
    server = "https://api.elsewhere.example/enrollment/v1"
    return without_archive(enrollment=openapi3(paths, server, components={"schemas": schemas}))


def camels() -> dict[str, Document]:
    """A platform with JSON names in camel case, ids in the body, and a plural of courses."""

    def row(name: str, **target: Any) -> dict[str, Any]:
        body = json_body(
            userIds=ids(),
            enrollmentMode=text("unenroll", "reEnroll"),
            resetTracking={"type": "boolean"},
            **target,
        )
        return {"operationId": name, **body}

    paths = {
        "/course/v2/enrollments": {"patch": row("updateMany", courseIds=ids())},
        "/learningplan/v2/enrollments": {
            "patch": row("updateManyOfPlan", learningPlanId={"type": "integer"})
        },
    }
    return without_archive(course=swagger2(paths, "/"))


NOISE: dict[str, Document] = {
    "mail": swagger2(
        {
            "/users/{userId}/messages/batchArchive": {"post": json_body(ids=ids(), inputs=ids())},
            "/users/{userId}/archive": {"get": takes("page"), "delete": takes("ids[]")},
            "/lists/{id}/members/archive": {"post": json_body(users=ids(), mode=text("delete"))},
        },
        "/mail/v1",
    ),
    "devices": swagger2(
        {
            "/devices/enrollments/archive": {"post": json_body(device_ids=ids(), user_id=ids())},
            "/devices/enrollments/archived": {"get": takes("page", "user_id[]")},
        },
        "/mdm/v1",
    ),
    "another school": swagger2(
        {
            "/courses/{course_id}/enrollments/{id}": {
                "delete": json_body(task=text("conclude", "delete", "inactivate")),
                "put": {"operationId": "conclude_enrollment", **json_body(user_id=ids())},
            },
            "/courses/{course_id}/archive": {"post": json_body(user_ids=ids())},
        },
        "/api/v1",
    ),
    "the same platform, other calls": swagger2(
        {
            "/learn/v1/enrollments": {"delete": json_body(user_ids=ids(), course_ids=ids())},
            "/learn/v1/enrollments/bulk": {"delete": json_body(**archive_body())},
            "/learn/v1/enrollments/unarchive": {"post": json_body(**archive_body())},
            "/learn/v1/courses/{course_id}/users/{user_id}/enrollments/archive": {
                "post": json_body(enrollment_mode=text(), reset_tracking=text())
            },
            "/enrollment/v1/enrollments/archive": {
                "post": json_body(**archive_body() | {"user_id": {"type": "integer"}}),
                "put": json_body(course_id=ids(), user_ids=ids()),
                "patch": json_body(
                    enrollment_ids=ids(), enrollment_mode=text(), reset_tracking=text()
                ),
            },
            "/learn/v1/enrollments/reset": {
                "post": json_body(user_ids=ids(), course_id=ids(), reset_tracking=text())
            },
            "/course/v1/courses/{course_id}": {
                "put": json_body(enrollment_mode=text("delete", "re_enroll"), archive=text())
            },
            "/course/v1/courses/{course_id}/enrollments/archive/search": {
                "post": {"operationId": "searchArchive", **json_body(user_ids=ids())}
            },
            "/course/v1/courses/{course_id}/enrollments/archived/export": {
                "get": takes("page", "archived_from", "archived_to")
            },
            "/course/v1/courses/{course_id}/enrollments/archived/{id}": {
                "get": takes("page"),
                "delete": {"summary": "Delete one"},
            },
            "/learningplan/v1/learningplans/archive": {
                "post": {"summary": "Archive plans", **json_body(learning_plan_ids=ids())}
            },
        }
    ),
}
"""Calls that are not the archive call, however much they look like it."""
