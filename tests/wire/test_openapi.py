"""Reading a platform's own description: paths, parameters, references, and hostile text."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from swagger_documents import ids, json_body, openapi3, swagger2, takes, text

from lms_archive.wire.openapi import (
    ApiOperation,
    NotOpenApiError,
    Parameter,
    path_shape,
    read_openapi,
)

LOCATION = "/learn/v1/swagger"


def read(document: Any, root: str = "") -> tuple[ApiOperation, ...]:
    """The operations of a document of the service learn."""
    return read_openapi(document, location=LOCATION, root=root)


def only(document: Any) -> ApiOperation:
    """The one operation of a document."""
    (one,) = read(document)
    return one


def body_of(one: ApiOperation) -> dict[str, Parameter]:
    """The properties of its body, by the whole name of each."""
    return {p.name: p for p in one.parameters if p.place == "body"}


GET: dict[str, Any] = {"get": {}}
BASES: dict[str, tuple[Any, list[str]]] = {
    "base path": (swagger2({"/x": GET}, "/learn/v1"), ["/learn/v1/x"]),
    "a slash as base path": (swagger2({"/learn/v1/x": GET}, "/"), ["/learn/v1/x"]),
    "base path and whole paths": (swagger2({"/learn/v1/x": GET}, "/learn/v1"), ["/learn/v1/x"]),
    "base path that only looks alike": (swagger2({"/learn/v1x": GET}, "/learn/v1"),
        ["/learn/v1/learn/v1x"]),
    "a server's path": (openapi3({"/x": GET}, "/learn/v1"), ["/learn/v1/x"]),
    "another host": (openapi3({"/x": GET}, "https://evil.example/learn/v1/"), ["/learn/v1/x"]),
    "a host without scheme": (openapi3({"/x": GET}, "//evil.example/learn/v1"), ["/learn/v1/x"]),
    "relative to the document": (openapi3({"/x": GET}, "."), ["/learn/v1/x"]),
    "two servers": (openapi3({"/x": GET}, "/a", "https://b.example/b"), ["/a/x", "/b/x"]),
    "no address at all": (openapi3({"/x": GET}, "https://[", "/a"), ["/a/x"]),
    "a path of control characters": (swagger2({"/x\x1b[31m": GET, "/y": GET}), ["/y"]),
    "in the envelope": ({"data": swagger2({"/y": GET}), "version": "1.0.0"}, ["/y"]),
}  # fmt: skip


@pytest.mark.parametrize(("document", "paths"), BASES.values(), ids=BASES.keys())
def test_a_path_is_base_path_and_path_whatever_the_host(document: Any, paths: list[str]) -> None:
    """A path is made of base and path, whatever host the document names."""
    assert [one.path for one in read(document)] == paths


def test_the_path_of_the_base_url_is_left_out() -> None:
    """A base URL with a path of its own is no part of the operations' paths."""
    document = swagger2({"/x": GET}, "/lms/learn/v1")
    assert [one.path for one in read(document, root="/lms")] == ["/learn/v1/x"]
    assert [one.path for one in read(document, root="/lm")] == ["/lms/learn/v1/x"]


def test_names_of_placeholders_make_no_difference_to_a_shape() -> None:
    """Names of placeholders and a slash at the end make no difference to a shape."""
    assert path_shape("/x/{id}/y/") == path_shape("/x/{course_id}/y") != path_shape("/x/a/y")
    (one,) = read(swagger2({"/x/{course_id}/y": GET}))
    assert one.placeholders == ["course_id"]


def test_each_method_of_a_path_is_an_operation() -> None:
    """Each method of a path is an operation; other keys of a path are none."""
    item: dict[str, Any] = {
        m: {} for m in ("get", "put", "post", "patch", "delete", "options", "x-y", "summary")
    }
    assert sorted(one.method for one in read(swagger2({"/x": item}))) == [
        "DELETE", "GET", "PATCH", "POST", "PUT",
    ]  # fmt: skip


def test_where_swagger_2_sends_a_parameter() -> None:
    """Query, path, form and header differ; a path's parameters are its operations' too."""
    item = {
        "parameters": [
            {"name": "id", "in": "path", "type": "integer", "required": True},
            {"name": "page", "in": "query", "type": "integer", "description": "hidden"},
        ],
        "post": {
            "parameters": [
                {"name": "page", "in": "query", "type": "string", "enum": ["a", "b"]},
                {"name": "user_id[]", "in": "formData", **ids()},
                {"name": "X-Key", "in": "header", "type": "string"},
                {"name": "odd", "in": ["query"], "type": "string"},
            ]
        },
    }
    found = {p.name: p for p in only(swagger2({"/x/{id}": item})).parameters}
    assert {name: p.place for name, p in found.items()} == {
        "id": "path", "page": "query", "user_id[]": "form", "X-Key": "elsewhere",
        "odd": "elsewhere",
    }  # fmt: skip
    assert found["page"].values == ("a", "b")
    assert found["id"].required
    assert (found["user_id[]"].is_list, found["page"].is_list) == (True, False)


def test_where_openapi_3_sends_a_parameter() -> None:
    """JSON and form bodies differ; the same names may be in both."""
    schema = {"properties": {"a": text(), "b": ids()}, "required": ["a"]}
    kinds = ("application/json; charset=utf-8", "application/x-www-form-urlencoded",
             "multipart/form-data")  # fmt: skip
    row = {
        "parameters": [
            {"name": "q", "in": "query", "schema": {"$ref": "#/components/schemas/Words"}}
        ],
        "requestBody": {"content": {kind: {"schema": schema} for kind in kinds}},
    }
    parts = {"schemas": {"Words": {"type": "array", "items": text("x", "y")}}}
    one = only(openapi3({"/x": {"post": row}}, components=parts))
    assert [(p.name, p.place) for p in one.parameters] == [
        ("q", "query"), ("a", "body"), ("b", "body"), ("a", "form"), ("b", "form"),
        ("a", "elsewhere"), ("b", "elsewhere"),
    ]  # fmt: skip
    assert one.parameters[0].values == ("x", "y")
    assert one.parameters[0].is_list
    assert [p.required for p in one.parameters[1:3]] == [True, False]


def test_references_inside_the_document_are_followed() -> None:
    """Parameters, paths, bodies and properties may stand elsewhere in the document."""
    document = swagger2(
        {"/x": {"$ref": "#/shared/a~1b%20c"}},
        parameters={"page": {"name": "page", "in": "query", "type": "integer"}},
        definitions={
            "Body": {"properties": {"mode": {"$ref": "#/definitions/Mode"}}},
            "Mode": {"$ref": "#/definitions/Real"},
            "Real": text("delete", "keep"),
        },
        shared={"a/b c": {"put": {"parameters": [
            {"$ref": "#/parameters/page"},
            {"in": "body", "name": "b", "schema": {"$ref": "#/definitions/Body"}},
            {"$ref": "#/parameters/none"},
        ]}}},
    )  # fmt: skip
    one = only(document)
    assert [p.name for p in one.parameters] == ["page", "mode"]
    assert one.parameters[1].values == ("delete", "keep")


def test_nested_properties_have_the_path_to_them() -> None:
    """Properties below allOf are at the top, those of objects and lists say what holds them."""
    schema = {
        "allOf": [
            {"properties": {"a": text()}, "required": ["a"]},
            {"oneOf": [{"properties": {"b": text()}, "required": ["b"]},
                       {"anyOf": [{"properties": {"c": text()}}]}]},
        ],
        "properties": {
            "data": {"properties": {"d": {"allOf": [text("x")]}}, "required": ["d"]},
            "items": {"type": "array", "items": {"properties": {"e": ids()}}},
                },
    }  # fmt: skip
    row = {"parameters": [{"in": "body", "name": "b", "schema": schema}]}
    found = body_of(only(swagger2({"/x": {"put": row}})))
    assert set(found) == {"a", "b", "c", "data", "data.d", "items", "items[].e"}
    assert [name for name, p in found.items() if p.required] == ["a"]
    assert found["data.d"].values == ("x",)
    assert found["items"].is_list


def test_a_body_may_be_a_list_of_objects() -> None:
    """A body may be a list of objects: their properties stand in it."""
    schema = {"type": "array", "items": {"properties": {"user_id": {"type": "integer"}}}}
    row = {"parameters": [{"in": "body", "name": "b", "schema": schema}]}
    assert set(body_of(only(swagger2({"/x": {"put": row}})))) == {"[].user_id"}


def test_whether_a_list_is_expected() -> None:
    """A list is expected, a single value, or the document leaves it open."""
    either = {"oneOf": [{"type": "integer"}, ids()]}
    row = json_body(
        either=either, many=ids(), one=text(), open={}, maybe={"type": ["null", "array"]}
    )
    found = body_of(only(swagger2({"/x": {"put": row}})))
    assert {name: p.is_list for name, p in found.items()} == {
        "either": None, "many": True, "one": False, "open": None, "maybe": True,
    }  # fmt: skip


def test_values_come_from_enum_and_const() -> None:
    """Values come from enum and const, of items and alternatives too, as text."""
    row = json_body(
        a={"type": "integer", "enum": [1, 2, None, True, ["x"]]},
        b={"oneOf": [{"const": "x"}, {"const": "y"}]},
        c={"type": "array", "items": text("z")},
        d={"enum": [f"v{number}" for number in range(500)]},
        e={"enum": ["\x1b[2J", "fine"]},
    )
    found = body_of(only(swagger2({"/x": {"put": row}})))
    assert [found[name].values for name in "abc"] == [("1", "2"), ("x", "y"), ("z",)]
    assert len(found["d"].values) == 100
    assert found["e"].values == ("fine",)


NOT_FOLLOWED = ["https://evil.example/x.json#/Mode", "x.json", "#/nowhere", "#"]


@pytest.mark.parametrize("reference", NOT_FOLLOWED)
def test_references_to_elsewhere_are_not_followed(reference: str) -> None:
    """A reference to another document or to nothing is a value of which nothing is known."""
    document = swagger2({"/x": {"put": json_body(mode={"$ref": reference})}})
    (mode,) = only(document).parameters
    assert (mode.name, mode.values, mode.is_list) == ("mode", (), None)


NODE = {"$ref": "#/definitions/Node"}
LOOPS: dict[str, Any] = {
    "itself": {"Node": NODE},
    "a property": {"Node": {"properties": {"up": NODE, "z": text()}}},
    "allOf": {"Node": {"allOf": [NODE, NODE], "properties": {"z": text()}}},
    "the document": {"Node": {"$ref": "#"}},
}


@pytest.mark.parametrize("definitions", LOOPS.values(), ids=LOOPS.keys())
def test_a_body_that_refers_to_itself_is_read_once(definitions: Any) -> None:
    """A body that holds itself is read once, with what stands beside the loop."""
    document = swagger2(
        {"/x": {"put": {"parameters": [{"in": "body", "name": "b", "schema": NODE}]}}},
        definitions=definitions,
    )
    found = body_of(only(document))
    assert ("z" in found) == ("z" in json.dumps(definitions))


def test_a_document_that_expands_without_end_is_read_in_part() -> None:
    """Twenty levels of twenty references each are 20**20 properties."""
    definitions: dict[str, Any] = {
        f"L{level}": {
            "allOf": [{"$ref": f"#/definitions/L{level + 1}"}] * 20,
            "properties": {f"p{level}_{number}": ids() for number in range(20)},
        }
        for level in range(20)
    }
    row = {"parameters": [{"in": "body", "name": "b", "schema": {"$ref": "#/definitions/L0"}}]}
    assert len(only(swagger2({"/x": {"put": row}}, definitions=definitions)).parameters) >= 20


NOT_SWAGGER: dict[str, Any] = {
    "a list": [],
    "an answer": {"data": {"items": []}, "version": "1.0.0"},
    "no paths": {"swagger": "2.0"},
    "swagger 1": {"swaggerVersion": "1.2", "apis": [], "paths": {}},
    "a later one": {"openapi": "4.0.0", "paths": {}},
}


@pytest.mark.parametrize("document", NOT_SWAGGER.values(), ids=NOT_SWAGGER.keys())
def test_other_documents_are_refused(document: Any) -> None:
    """What is neither Swagger 2.0 nor OpenAPI 3 is said to be something else."""
    with pytest.raises(NotOpenApiError):
        read(document)
    assert read({"swagger": 2.0, "paths": {"/x": GET}})  # the version may be a number


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, (dict, list)):
        for key, one in pairs:
            yield from _nodes(one, (*path, key))


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {}, {"$ref": "#"}])
def test_a_node_of_a_wrong_kind_is_no_crash(wrong: Any) -> None:
    """Whatever stands where something else belongs, reading ends without an accident."""
    row = json_body(a=text("x"), b=ids(), c={"allOf": [text()]}) | {"servers": [{"url": "/a"}]}
    row["parameters"] += takes("page", "user_id[]")["parameters"]
    row["requestBody"] = {"content": {"application/json": {"schema": {"properties": {"d": {}}}}}}
    whole = openapi3({"/x/{id}": {"put": row}}, "/learn/v1")
    texts = json.dumps(whole)
    for path in list(_nodes(whole))[1:]:
        document = json.loads(texts)
        *above, last = path
        node = document
        for key in above:
            node = node[key]
        node[last] = wrong
        with suppress(NotOpenApiError):
            read(document)
