"""The platform's swagger (version 2.0), generated from its routes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lms_archive.sandbox.answers import Refusal
from lms_archive.sandbox.request import Parameter, ValueType
from lms_archive.sandbox.routes import Route

_SERVICES = ("manage", "learn", "course", "learningplan", "enrollment")

_TYPES: dict[ValueType, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "moment": {"type": "string", "format": "date-time"},
    "integers": {"type": "array", "items": {"type": "integer"}},
    "strings": {"type": "array", "items": {"type": "string"}},
    "filters": {"type": "object"},
}


def microservices(host: str, routes: Collection[Route]) -> list[dict[str, str]]:
    """Answer `GET /manage/v1/site/microservices`: each service and its swagger's address."""
    return [
        {"app": service, "url": f"{host}/{service}/v1/swagger"} for service in _services(routes)
    ]


def swagger(service: str, routes: Collection[Route]) -> dict[str, Any]:
    """Answer `GET /<service>/v1/swagger`; refuse an unknown service with 404."""
    if service not in _services(routes):
        raise Refusal(404, f"Service {service} not found.")
    base = f"/{service}/v1"
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.service == service:
            operations = paths.setdefault(route.path.removeprefix(base), {})
            operations[route.method.lower()] = _operation(route)
    return {
        "swagger": "2.0",
        "info": {"title": service, "version": "1.0.0"},
        "host": False,
        "basePath": base,
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
    }


def _services(routes: Collection[Route]) -> list[str]:
    return list(dict.fromkeys([*_SERVICES, *(route.service for route in routes)]))


def _operation(route: Route) -> dict[str, Any]:
    return {
        "operationId": route.operation_id or route.operation,
        "summary": route.summary,
        "parameters": _parameters(route.parameters),
        "responses": {"200": {"description": "OK"}},
    }


def _parameters(parameters: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    for parameter in parameters:
        if parameter.location in ("path", "query"):
            entry = {"name": parameter.shown, "in": parameter.location, **_schema(parameter)}
            if parameter.location == "path":
                entry["required"] = True
            if entry["type"] == "array":
                entry["collectionFormat"] = "multi"
            described.append(entry)
    properties = {p.shown: _schema(p) for p in parameters if p.location == "body"}
    if properties:
        schema = {"type": "object", "properties": properties}
        described.append({"name": "body", "in": "body", "required": True, "schema": schema})
    return described


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = dict(_TYPES[parameter.type])
    if parameter.is_list and parameter.location == "path":
        return dict(schema["items"])
    if parameter.type == "filters":
        schema["properties"] = dict.fromkeys(parameter.enum, _TYPES["strings"])
    elif parameter.enum:
        schema["enum"] = list(parameter.enum)
    return schema
