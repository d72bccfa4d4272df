"""Reading a platform's own description: paths, parameters, references, and hostile text."""

import json
import time
from collections.abc import Iterator
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
    "base path with slashes": (swagger2({"x": GET}, "learn/v1/"), ["/learn/v1/x"]),
    "no base path": (swagger2({"/learn/v1/x": GET}), ["/learn/v1/x"]),
    "a slash as base path": (swagger2({"/learn/v1/x": GET}, "/"), ["/learn/v1/x"]),
    "base path and whole paths": (swagger2({"/learn/v1/x": GET}, "/learn/v1"), ["/learn/v1/x"]),
    "base path that only looks alike": (swagger2({"/learn/v1x": GET}, "/learn/v1"),
        ["/learn/v1/learn/v1x"]),
    "half a base path": (swagger2({"/v1/x": GET}, "/learn"), ["/learn/v1/x"]),
    "base path that is a number": (swagger2({"/x": GET}, basePath=7), ["/x"]),
    "no server": (openapi3({"/learn/v1/x": GET}), ["/learn/v1/x"]),
    "a server's path": (openapi3({"/x": GET}, "/learn/v1"), ["/learn/v1/x"]),
    "another host": (openapi3({"/x": GET}, "https://evil.example/learn/v1/"), ["/learn/v1/x"]),
    "a host without scheme": (openapi3({"/x": GET}, "//evil.example/learn/v1"), ["/learn/v1/x"]),
    "relative to the document": (openapi3({"/x": GET}, "."), ["/learn/v1/x"]),
    "two servers": (openapi3({"/x": GET}, "/a", "https://b.example/b"), ["/a/x", "/b/x"]),
    "the same path twice": (openapi3({"/x": GET}, "https://a.example/a", "/a"), ["/a/x"]),
    "no address at all": (openapi3({"/x": GET}, "https://[", "/a"), ["/a/x"]),
    "a path with a query": (swagger2({"/x?a=1": GET, "/y": GET}), ["/y"]),
    "a path of control characters": (swagger2({"/x\x1b[31m": GET, "/y": GET}), ["/y"]),
    "an endless path": (swagger2({"/" + "x" * 1000: GET, "/y": GET}), ["/y"]),
    "in the envelope": ({"data": swagger2({"/y": GET}), "version": "1.0.0"}, ["/y"]),
}  # fmt: skip


@pytest.mark.parametrize(("document", "paths"), BASES.values(), ids=BASES.keys())
def test_paths(document: Any, paths: list[str]) -> None:
    """A path is made of base and path, whatever host the document names."""
    assert [one.path for one in read(document)] == paths


def test_the_path_of_the_platform_is_left_out() -> None:
    """A base URL with a path of its own is no part of the operations' paths."""
    document = swagger2({"/x": GET}, "/lms/learn/v1")
    assert [one.path for one in read(document, root="/lms")] == ["/learn/v1/x"]
    assert [one.path for one in read(document, root="/lm")] == ["/lms/learn/v1/x"]


def test_shapes() -> None:
    """Names of placeholders and a slash at the end make no difference to a shape."""
    assert path_shape("/x/{id}/y/") == path_shape("/x/{course_id}/y") != path_shape("/x/a/y")
    (one,) = read(swagger2({"/x/{course_id}/y": GET}))
    assert one.placeholders == ["course_id"]


def test_methods() -> None:
    """Each method of a path is an operation; other keys of a path are none."""
    item: dict[str, Any] = {
        m: {} for m in ("get", "put", "post", "patch", "delete", "options", "x-y", "summary")
    }
    assert sorted(one.method for one in read(swagger2({"/x": item}))) == [
        "DELETE", "GET", "PATCH", "POST", "PUT",
    ]  # fmt: skip


def test_places_of_swagger_2() -> None:
    """Query, path, form and header are told apart; a path's parameters are its operations' too."""
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


def test_places_of_openapi_3() -> None:
    """JSON and form bodies are told apart; the same names may stand in both."""
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


def test_references() -> None:
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


def test_nested_bodies() -> None:
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


def test_a_body_that_is_a_list() -> None:
    """A body may be a list of objects: their properties stand in it."""
    schema = {"type": "array", "items": {"properties": {"user_id": {"type": "integer"}}}}
    row = {"parameters": [{"in": "body", "name": "b", "schema": schema}]}
    assert set(body_of(only(swagger2({"/x": {"put": row}})))) == {"[].user_id"}


def test_a_list_a_single_value_or_either() -> None:
    """A list is expected, a single value, or the document leaves it open."""
    either = {"oneOf": [{"type": "integer"}, ids()]}
    row = json_body(
        either=either, many=ids(), one=text(), open={}, maybe={"type": ["null", "array"]}
    )
    found = body_of(only(swagger2({"/x": {"put": row}})))
    assert {name: p.is_list for name, p in found.items()} == {
        "either": None, "many": True, "one": False, "open": None, "maybe": True,
    }  # fmt: skip


def test_values() -> None:
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


LONG = "#/" + "a/" * 500
NOT_FOLLOWED = ["https://evil.example/x.json#/Mode", "x.json", "#/nowhere", "#", "Mode", LONG]


@pytest.mark.parametrize("reference", NOT_FOLLOWED)
def test_what_is_not_in_the_document_is_not_followed(reference: str) -> None:
    """A reference to another document or to nothing is a value of which nothing is known."""
    document = swagger2({"/x": {"put": json_body(mode={"$ref": reference})}})
    (mode,) = only(document).parameters
    assert (mode.name, mode.values, mode.is_list) == ("mode", (), None)


NODE = {"$ref": "#/definitions/Node"}
LOOPS: dict[str, Any] = {
    "itself": {"Node": NODE},
    "each other": {"Node": {"$ref": "#/definitions/B"}, "B": NODE},
    "a property": {"Node": {"properties": {"up": NODE, "z": text()}}},
    "many properties": {"Node": {"properties": {**{f"p{i}": NODE for i in range(9)}, "z": text()}}},
    "allOf": {"Node": {"allOf": [NODE, NODE], "properties": {"z": text()}}},
    "items": {"Node": {"type": "array", "items": NODE, "properties": {"z": text()}}},
    "the document": {"Node": {"$ref": "#"}},
}


@pytest.mark.parametrize("definitions", LOOPS.values(), ids=LOOPS.keys())
def test_loops_end(definitions: Any) -> None:
    """A body that holds itself is read once, with what stands beside the loop."""
    document = swagger2(
        {"/x": {"put": {"parameters": [{"in": "body", "name": "b", "schema": NODE}]}}},
        definitions=definitions,
    )
    found = body_of(only(document))
    assert ("z" in found) == ("z" in json.dumps(definitions))


def _bomb(width: int, levels: int) -> Any:
    definitions: dict[str, Any] = {
        f"L{level}": {
            "allOf": [{"$ref": f"#/definitions/L{level + 1}"}] * width,
            "properties": {f"p{level}_{number}": ids() for number in range(width)},
        }
        for level in range(levels)
    }
    row = {"parameters": [{"in": "body", "name": "b", "schema": {"$ref": "#/definitions/L0"}}]}
    paths = {f"/x{number}": {"put": row, "post": row} for number in range(2_000)}
    return swagger2(paths, definitions=definitions)


HOSTILE = {
    "a wide bomb": lambda: _bomb(20, 20),
    "one wide object": lambda: _bomb(20_000, 1),
    "many values": lambda: swagger2(
        {f"/x{n}": {"put": {"parameters": [{"$ref": "#/parameters/p"}]}} for n in range(2_000)},
        parameters={"p": {"name": "p", "in": "query", "enum": ["v"] * 500_000}},
    ),
    "many servers": lambda: openapi3({f"/x{n}": GET for n in range(2_000)}, *["/a"] * 100_000),
    "variables that grow": lambda: openapi3(
        {"/x": GET},
        servers=[{
            "url": "/{a}" * 70,
            "variables": {c: {"default": f"{{{chr(ord(c) + 1)}}}" * 33} for c in "abcde"},
        }],
    ),
    "a long reference": lambda: swagger2(
        {f"/x{n}": {"put": json_body(a={"$ref": "#/" + "a/" * 1_000})} for n in range(1_000)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE.keys())
def test_work_is_bounded(document: Any) -> None:
    """A document made to be endless is given up after seconds."""
    made, start = document(), time.process_time()
    read(made)
    assert time.process_time() - start < 120  # it ends, on any machine


def test_five_megabytes() -> None:
    """A document of 5 MB is read whole: its last operation is known with its parameters."""
    rows = {f"p{number}": text("a", "b") for number in range(40)}
    document = swagger2({f"/x{number}": {"put": json_body(**rows)} for number in range(2_600)})
    assert len(json.dumps(document)) > 5_000_000
    start = time.process_time()
    last = read(document)[-1]
    assert time.process_time() - start < 120  # it ends, on any machine
    assert len(last.parameters) == 40


NOT_SWAGGER: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "a text": "swagger: '2.0'",
    "an answer": {"data": {"items": []}, "version": "1.0.0"},
    "no paths": {"swagger": "2.0"},
    "paths a list": {"swagger": "2.0", "paths": []},
    "swagger 1": {"swaggerVersion": "1.2", "apis": [], "paths": {}},
    "a later one": {"openapi": "4.0.0", "paths": {}},
    "version a list": {"swagger": ["2.0"], "paths": {}},
    "version 20": {"swagger": "20", "paths": {}},
}


@pytest.mark.parametrize("document", NOT_SWAGGER.values(), ids=NOT_SWAGGER.keys())
def test_not_a_swagger(document: Any) -> None:
    """What is neither Swagger 2.0 nor OpenAPI 3 is said to be something else."""
    with pytest.raises(NotOpenApiError):
        read(document)


@pytest.mark.parametrize("version", ["2.0", 2, 2.0])
def test_versions_of_swagger(version: Any) -> None:
    """The version may be text or a number."""
    assert read({"swagger": version, "paths": {"/x": GET}})


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, (dict, list)):
        for key, one in pairs:
            yield from _nodes(one, (*path, key))


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {}, [[]], {"$ref": "#"}, True])
def test_any_node_may_be_of_a_wrong_kind(wrong: Any) -> None:
    """Whatever stands where something else belongs, reading ends without an accident."""
    row = json_body(a=text("x"), b=ids(), c={"allOf": [text()]}) | {"servers": [{"url": "/a"}]}
    row["parameters"] += takes("page", "user_id[]")["parameters"]
    row["requestBody"] = {"content": {"application/json": {"schema": {"properties": {"d": {}}}}}}
    whole = openapi3({"/x/{id}": {"put": row}}, "/learn/v1")
    texts = json.dumps(whole)
    ended = 0
    for path in list(_nodes(whole))[1:]:
        document = json.loads(texts)
        *above, last = path
        node = document
        for key in above:
            node = node[key]
        node[last] = wrong
        try:
            ended += len(read(document)) >= 0
        except NotOpenApiError:
            ended += 1
    assert ended == len(list(_nodes(whole))) - 1 > 40
