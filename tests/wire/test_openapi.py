"""Hostile and odd documents: reading one ends soon, and raises nothing of Python's own."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from swagger_documents import ids, json_body, openapi3, swagger2, takes, text

from lms_archive.wire.openapi import ApiOperation, UnreadableDocumentError, read_openapi


def read(document: Any) -> tuple[ApiOperation, ...]:
    """Read a document of the service learn."""
    return read_openapi(document, location="/learn/v1/swagger")


NODE = {"$ref": "#/definitions/Node"}
BODY = {"parameters": [{"in": "body", "name": "b", "schema": NODE}]}
LOOPS: dict[str, Any] = {
    "itself": NODE,
    "a property": {"properties": {"up": NODE, "z": text()}},
    "a list of itself": {"properties": {"z": {"type": "array", "items": NODE}}},
    "allOf": {"allOf": [NODE, NODE], "properties": {"z": text()}},
    "the document": {"$ref": "#"},
    "another document": {"$ref": "https://evil.example/x.json#/Node"},
    "nothing": {"$ref": "#/nowhere"},
}


@pytest.mark.parametrize("node", LOOPS.values(), ids=LOOPS.keys())
def test_a_body_that_refers_to_itself_is_read_once(node: Any) -> None:
    """References that loop or lead elsewhere end; the properties beside them are read."""
    (operation,) = read(swagger2({"/x": {"put": BODY}}, definitions={"Node": node}))
    names = {name.removesuffix("[]") for name in operation.takes.get("json", ())}
    assert ("z" in names) == ("z" in json.dumps(node.get("properties", {})))


def _levels(width: int, depth: int) -> Any:
    """Return a document with a body of width ** depth properties."""
    definitions = {
        f"L{level}": {
            "allOf": [{"$ref": f"#/definitions/L{level + 1}"}] * width,
            "properties": {
                f"p{level}_{number}": {"$ref": f"#/definitions/L{level + 1}"}
                for number in range(width)
            },
        }
        for level in range(depth)
    }
    return swagger2({"/x": {"put": BODY}}, definitions={**definitions, "Node": definitions["L0"]})


def _shared(operations: int, properties: int) -> Any:
    """Return a document in which many operations have the same large body."""
    node = {"properties": {f"p{number}": text() for number in range(properties)}}
    return swagger2(
        {f"/x{number}": {"put": BODY} for number in range(operations)}, definitions={"Node": node}
    )


LARGE = {
    "many values": (swagger2({"/x": {"put": json_body(a=text(*map(str, range(100_000))))}}), 1),
    "hundreds of operations": (_shared(300, 50), 300),
    "thousands of operations with the same large body": (_shared(3_000, 1_000), None),
    "twenty levels of twenty": (_levels(20, 20), None),
    "thousands of operations at hundreds of servers": (
        openapi3({f"/x{n}": {"put": {}} for n in range(3_000)}, *(f"/s{n}" for n in range(200))),
        None,
    ),
    "a thousand levels": (_levels(1, 1_000), None),
}


@pytest.mark.parametrize(("document", "count"), LARGE.values(), ids=LARGE.keys())
def test_a_document_that_expands_without_end_is_refused_soon(
    document: Any, count: int | None
) -> None:
    """A large document is read; one that grows with each reference is refused, not read in part."""
    start = time.process_time()
    if count is None:
        with pytest.raises(UnreadableDocumentError, match="too many operations or schemas"):
            read(document)
    else:
        assert len(read(document)) == count
    assert time.process_time() - start < 10


NOT_SWAGGER: dict[str, Any] = {
    "a list": [],
    "an answer": {"data": {"items": []}, "version": "1.0.0"},
    "no paths": {"swagger": "2.0"},
    "swagger 1": {"swaggerVersion": "1.2", "apis": [], "paths": {}},
    "a later version": {"openapi": "4.0.0", "paths": {}},
}


@pytest.mark.parametrize("document", NOT_SWAGGER.values(), ids=NOT_SWAGGER.keys())
def test_other_documents_are_refused(document: Any) -> None:
    """A document that is neither Swagger 2.0 nor OpenAPI 3 is refused."""
    with pytest.raises(UnreadableDocumentError):
        read(document)


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, node in pairs:
            yield from _nodes(node, (*path, key))


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {}, [[{}]], {"$ref": "#"}, {"$ref": []}])
def test_a_node_of_a_wrong_type_is_ignored_or_refused(wrong: Any) -> None:
    """Any node of a document may have any type."""
    row = json_body(a=text("x"), b=ids(), c={"allOf": [text()]}) | {"servers": [{"url": "/a"}]}
    row["parameters"][0]["schema"] |= {"required": ["a"], "oneOf": [{"const": 1}]}
    row["parameters"] += takes("page", "user_id[]")["parameters"]
    row["requestBody"] = {"content": {"application/json": {"schema": {"properties": {"d": {}}}}}}
    whole = openapi3({"/x/{id}": {"put": row}}, "/learn/v1", basePath="/learn/v1")
    for *above, last in list(_nodes(whole))[1:]:
        document = json.loads(json.dumps(whole))
        node = document
        for key in above:
            node = node[key]
        node[last] = wrong
        with suppress(UnreadableDocumentError):
            read(document)
