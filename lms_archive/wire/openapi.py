"""Read a platform's description of its own calls: Swagger 2.0 or OpenAPI 3, as JSON.

A document is untrusted and may have any size and shape: only references inside it are followed,
values of an unexpected type are ignored, and a document that expands without end is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Any, Literal, TypeGuard
from urllib.parse import unquote, urljoin, urlsplit

from attrs import field, frozen

from lms_archive.errors import printable

Location = Literal["query", "json", "form"]

_METHODS = ("get", "put", "post", "delete", "patch")
_LOCATIONS: dict[str, Location] = {"query": "query", "formData": "form"}
_MEDIA: dict[str, Location] = {"json": "json", "x-www-form-urlencoded": "form"}
_COMBINED = ("allOf", "oneOf", "anyOf")
_LONGEST_TEXT = 300
_LONGEST_LIST = 200
_MOST_STEPS = 100_000
_MOST_REFERENCES = 20
_NOTHING: Mapping[str, Any] = {}


class UnreadableDocumentError(ValueError):
    """The document has another shape than expected, or expands without end."""


@frozen
class ApiOperation:
    """An operation as the platform describes it.

    `takes` has the parameters in its query, JSON body or form, and the allowed values of each, or
    none where they are not listed. Names are written as in the contract: in JSON a list ends with
    `[]`, and a property of an object has a dot. A property that may be a list or not has both
    names. `required` has the names that the call needs, without `[]`.
    """

    method: str
    path: str  # from the platform's root
    summary: str = ""
    takes: Mapping[Location, Mapping[str, tuple[str, ...]]] = field(factory=dict, hash=False)
    required: frozenset[str] = frozenset()


def path_shape(path: str) -> str:
    """Return a path without the names of its placeholders and without a slash at its end."""
    return re.sub(r"{[^{}]*}", "{}", path).rstrip("/")


def read_openapi(data: Any, *, location: str, root: str = "") -> tuple[ApiOperation, ...]:
    """Read the operations of a document, or raise `UnreadableDocumentError`.

    Relative servers begin at *location*, the path that the document was read from; *root* is the
    path of the platform's base URL, which operations do not repeat.
    """
    if isinstance(data, dict) and "paths" not in data:
        data = data.get("data")  # some services use the envelope of their other answers
    if not isinstance(data, dict):
        raise UnreadableDocumentError("not a JSON object")
    version = str(data.get("openapi") or data.get("swagger"))[:9]
    if not re.match(r"[23](\.|$)", version) or not isinstance(data.get("paths"), dict):
        raise UnreadableDocumentError("neither Swagger 2.0 nor OpenAPI 3")
    return tuple(_Reader(data).operations(location, root.rstrip("/")))


_Parameter = tuple[Location, str, tuple[str, ...], bool]


class _Reader:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data, self.steps_left = data, _MOST_STEPS

    def operations(self, address: str, root: str) -> Iterator[ApiOperation]:
        for base, path in product(self._bases(address), self.data["paths"]):
            self._count(1)
            item, full = self._resolve(self.data["paths"][path]), _join(base, path, root)
            is_path = _is_word(full) and re.fullmatch(r"/[^/?#\s][^?#\s]*", full)
            for method in _METHODS if is_path else ():
                if isinstance(operation := item.get(method), dict):
                    takes: dict[Location, dict[str, tuple[str, ...]]] = {}
                    required = set[str]()
                    for location, name, values, is_required in self._parameters(operation, item):
                        takes.setdefault(location, {}).setdefault(name, values)
                        required |= {name.removesuffix("[]")} if is_required else set()
                    summary = _one_line(operation.get("summary"))
                    yield ApiOperation(method.upper(), full, summary, takes, frozenset(required))

    def _bases(self, location: str) -> list[str]:
        """Return the base paths of the operations; hosts are ignored."""
        servers = [_mapping(node).get("url") for node in _list(self.data.get("servers"))]
        bases = dict[str, None]()
        for url in filter(_is_word, [self.data.get("basePath"), *servers]):
            with suppress(ValueError):  # not an address
                bases[urlsplit(urljoin(location, url)).path] = None
        return [*bases] or [""]

    def _parameters(self, *holders: Mapping[str, Any]) -> Iterator[_Parameter]:
        """Yield the parameters of an operation, then those of its path."""
        for node in (node for holder in holders for node in _list(holder.get("parameters"))):
            parameter = self._resolve(node)
            name, location = parameter.get("name"), str(parameter.get("in"))
            if location == "body":
                yield from self._body(parameter.get("schema"), "json")
            elif _is_word(name) and location in _LOCATIONS:
                _, values = self._value(parameter.get("schema", parameter))
                yield _LOCATIONS[location], name, values, parameter.get("required") is True
        content = self._resolve(holders[0].get("requestBody")).get("content")
        for media_type, media in _mapping(content).items():
            for part, sent in _MEDIA.items():
                if part in media_type:
                    yield from self._body(_mapping(media).get("schema"), sent)

    def _body(self, schema: Any, location: Location, prefix: str = "") -> Iterator[_Parameter]:
        """Yield the properties of a body, and those of each object in it."""
        needed = [] if prefix else _list(self._resolve(schema).get("required"))
        properties = dict[str, Any]()
        for part in self._parts(schema):
            for name in filter(_is_word, _mapping(part.get("properties"))):
                properties.setdefault(name, part["properties"][name])
        for name, value in properties.items():
            is_list, values = self._value(value)
            plain = prefix + (name if location == "form" else name.removesuffix("[]"))
            if location == "form" or not is_list:
                yield location, plain, values, name in needed
            if location == "json" and is_list in (True, None):
                yield location, f"{plain}[]", values, name in needed
        for name, value in () if prefix else properties.items():
            yield from self._body(value, location, f"{name}.")

    def _value(self, schema: Any) -> tuple[bool | None, tuple[str, ...]]:
        """Return whether a value is a list, or None if that is open, and the values allowed."""
        parts = self._parts(schema)
        items = [part["items"] for part in parts if "items" in part]
        types = {"array"} if items else set[str]()
        values = dict[str, None]()
        for part in parts:
            types |= {"object"} if "properties" in part else set()
            kinds = _list(part.get("type")) or [part.get("type")]
            types.update(kind for kind in kinds if isinstance(kind, str) and kind != "null")
        for part in parts + [inner for item in items for inner in self._parts(item)]:
            listed = [*_list(part.get("enum")), part.get("const")]
            values |= {str(value): None for value in listed if type(value) in (str, int, float)}
        is_list = "array" in types if len(types) == 1 else None
        return is_list, tuple(filter(_is_word, values))

    def _parts(self, schema: Any) -> list[Mapping[str, Any]]:
        """Return a schema and all schemas that it combines, each once."""
        parts, nodes = dict[int, Mapping[str, Any]](), [schema]
        for part in map(self._resolve, nodes):  # grows while it is read
            if id(part) not in parts:
                parts[id(part)] = part
                nodes += [node for kind in _COMBINED for node in _list(part.get(kind))]
        self._count(len(nodes))
        return [*parts.values()]

    def _count(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise UnreadableDocumentError("it has too many operations or schemas")

    def _resolve(self, node: Any) -> Mapping[str, Any]:
        """Return the object itself, or the object that its reference inside the document names."""
        for _ in range(_MOST_REFERENCES):
            reference = _mapping(node).get("$ref")
            if not isinstance(reference, str):
                return _mapping(node)
            node = self.data if reference.startswith("#/") else None
            for name in unquote(reference[2:_LONGEST_TEXT]).split("/"):
                node = _mapping(node).get(name.replace("~1", "/").replace("~0", "~"))
        return _NOTHING


def _join(base: str, path: str, root: str) -> str:
    base = f"/{base.strip('/')}".rstrip("/")
    # Some documents have a base path, and repeat it in each path.
    full = path if base and path.startswith(f"{base}/") else f"{base}/{path.lstrip('/')}"
    return full.removeprefix(root) if full.startswith(f"{root}/") else full


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _list(value: Any) -> list[Any]:
    return value[:_LONGEST_LIST] if isinstance(value, list) else []


def _is_word(value: Any) -> TypeGuard[str]:
    """Return whether a value can be shown and sent: a text of one line, not too long."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _one_line(value: Any) -> str:
    return " ".join(printable(value[:_LONGEST_TEXT]).split()) if isinstance(value, str) else ""
