"""From a platform's own description of its calls to plain operations.

Reads Swagger 2.0 and OpenAPI 3.x that came as JSON. Such a document is foreign text of any size
and shape: only references inside it are followed, loops end, and the work is bounded.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, TypeGuard
from urllib.parse import unquote, urljoin, urlsplit

from attrs import evolve

from lms_archive.wire.described import Described, Parameter, Place

__all__ = ["NotASwagger", "read_swagger"]

_METHODS = ("get", "put", "post", "delete", "patch")
_PLACES: dict[Any, Place] = {"query": "query", "path": "path", "formData": "form"}
_MEDIA: tuple[tuple[str, Place], ...] = (
    ("json", "body"),
    ("application/x-www-form-urlencoded", "form"),
)
_COMBINED = ("allOf", "oneOf", "anyOf")
_HOLDS = {"$ref", "properties", "items", *_COMBINED}
_OPERATIONS = 20_000
_BASES = 5
_HOPS = 20
_DEPTH = 8
_LONGEST = 300
_VALUES = 100
_PER_OPERATION = 2_000
_PER_DOCUMENT = 300_000


class NotASwagger(ValueError):
    """The document is neither Swagger 2.0 nor OpenAPI 3.x."""


def read_swagger(
    data: Any, *, service: str, location: str, root: str = ""
) -> tuple[Described, ...]:
    """The operations of a document.

    Args:
        data: the decoded JSON.
        service: whose document it is.
        location: the path that it was read from; relative servers begin there.
        root: the path of the platform's base URL, which is no part of an operation's path.

    Raises:
        NotASwagger: it is something else.
    """
    if isinstance(data, Mapping) and isinstance(data.get("data"), Mapping) and "paths" not in data:
        data = data["data"]  # in the envelope of every other answer
    if not isinstance(data, Mapping):
        raise NotASwagger("no JSON object")
    version = data.get("openapi") or data.get("swagger")
    known = isinstance(version, (str, float, int)) and re.match(r"[23](\.|$)", str(version)[:9])
    if not known or not isinstance(data.get("paths"), Mapping):
        raise NotASwagger("neither Swagger 2.0 nor OpenAPI 3.x")
    return tuple(_Reader(data, service, location, root).operations())


class _Reader:
    """One document on its way to operations."""

    def __init__(self, data: Mapping[str, Any], service: str, location: str, root: str) -> None:
        self._data, self._service, self._location, self._root = data, service, location, root
        self._left = _PER_DOCUMENT
        self._in_operation = 0

    def operations(self) -> Iterator[Described]:
        """Every operation, at most 20,000."""
        found = 0
        for path, item in self._data["paths"].items():
            item = self._resolved(item)  # noqa: PLW2901
            for method in _METHODS:
                row = item.get(method)
                if not isinstance(row, Mapping):
                    continue
                read = self._operation(method, item, row)
                for base in self._bases(row, item, self._data):
                    full = self._joined(base, path)
                    if found < _OPERATIONS and _is_word(full) and re.fullmatch(r"/[^?#\s]+", full):
                        found += 1
                        yield evolve(read, path=full)

    def _bases(self, *holders: Mapping[str, Any]) -> list[str]:
        """The paths under which an operation is found; hosts are left out, whatever they are."""
        base = self._data.get("basePath")
        if isinstance(base, str):
            return [base[:_LONGEST]]
        for holder in holders:
            bases = [self._server(one) for one in _list(holder.get("servers"), _BASES)]
            if bases:
                return list(dict.fromkeys(base for base in bases if base is not None))
        return [""]

    def _server(self, server: Any) -> str | None:
        url, variables = _mapping(server).get("url"), _mapping(_mapping(server).get("variables"))
        if not isinstance(url, str) or len(url) > _LONGEST:
            return None

        def filled(found: re.Match[str]) -> str:
            return str(_mapping(variables.get(found[1])).get("default", ""))[:99]

        try:
            url = re.sub(r"{([^{}]*)}", filled, url)
            return urlsplit(urljoin(self._location, url)).path if url else ""
        except ValueError:
            return None

    def _joined(self, base: str, path: str) -> str:
        base = "/" + base.strip("/") if base.strip("/") else ""
        # Some documents give whole paths and a base as well.
        full = path if base and path.startswith(f"{base}/") else f"{base}/{path.lstrip('/')}"
        root = self._root.rstrip("/")
        return full.removeprefix(root) if root and full.startswith(f"{root}/") else full

    def _operation(self, method: str, item: Mapping[str, Any], row: Mapping[str, Any]) -> Described:
        self._in_operation = _PER_OPERATION
        found: dict[tuple[str, str, str], Parameter] = {}
        for one in self._parameters(item, row):
            found.setdefault((one.name, one.place, one.inside), one)
        return Described(
            self._service,
            method.upper(),
            "",
            _line(row.get("operationId")),
            _line(row.get("summary") or row.get("description")),
            tuple(found.values()),
            whole=self._in_operation > 0 and self._left > 0,
        )

    def _parameters(self, *holders: Mapping[str, Any]) -> Iterator[Parameter]:
        for holder in reversed(holders):  # the operation's own hide those of its path
            for one in _list(holder.get("parameters"), _PER_OPERATION):
                if not self._spend():
                    return
                parameter = self._resolved(one)
                name, where = parameter.get("name"), parameter.get("in")
                if where == "body":
                    yield from self._body(parameter.get("schema"), "body")
                elif _is_word(name):
                    place = _PLACES.get(where, "elsewhere") if isinstance(where, str) else None
                    schema = parameter.get("schema") or self._first_media(parameter) or parameter
                    required = parameter.get("required") is True
                    yield self._parameter(name, schema, place or "elsewhere", required=required)
        body = self._resolved(holders[-1].get("requestBody"))
        for kind, media in islice(_mapping(body.get("content")).items(), _BASES):
            places = [place for word, place in _MEDIA if word in kind.lower()]
            yield from self._body(_mapping(media).get("schema"), next(iter(places), "elsewhere"))

    @staticmethod
    def _first_media(parameter: Mapping[str, Any]) -> Any:
        media = next(iter(_mapping(parameter.get("content")).values()), None)
        return _mapping(media).get("schema")

    def _body(self, schema: Any, place: Place) -> Iterator[Parameter]:
        """The properties of a body, the outermost first."""
        start: tuple[Any, str, bool, tuple[int, ...]] = (schema, "", True, ())
        level = deque([start])
        while level and self._spend():
            schema, inside, sure, above = level.popleft()
            schema = self._resolved(schema)
            if id(schema) in above or len(above) > _DEPTH or len(inside) > _LONGEST:
                continue
            below = (*above, id(schema))
            needed = _list(schema.get("required"), _VALUES) if sure and not inside else []
            for name, one in _mapping(schema.get("properties")).items():
                if not self._spend():
                    return
                if _is_word(name):
                    required = name in needed
                    yield self._parameter(name, one, place, required=required, inside=inside)
                    if _is_holder(one):
                        level.append((one, f"{inside}{name}.", False, below))
            for kind in _COMBINED:
                parts = _list(schema.get(kind), _VALUES)
                level += [(one, inside, sure and kind == "allOf", below) for one in parts]
            if "items" in schema:
                level.append((schema["items"], f"{inside.removesuffix('.')}[].", False, below))

    def _parameter(
        self, name: str, schema: Any, place: Place, *, required: bool, inside: str = ""
    ) -> Parameter:
        kinds, values = set[str](), dict[str, None]()
        level = deque([(schema, 0, False)])
        while level and self._spend():
            part, depth, is_item = level.popleft()
            part = self._resolved(part)
            given = part.get("type")
            if not is_item:
                kinds |= {t for t in _list(given, _BASES) or [given] if isinstance(t, str)}
                kinds |= {"array"} if "items" in part else set()
            listed = [*_list(part.get("enum"), _VALUES), part.get("const")]
            values.update((str(v)[:_LONGEST], None) for v in listed if type(v) in (str, int, float))
            if depth < _DEPTH and _is_holder(part):
                combined = [p for kind in _COMBINED for p in _list(part.get(kind), _VALUES)]
                level += [(one, depth + 1, is_item) for one in combined]
                level += [(part["items"], depth + 1, True)] if "items" in part else []
        kinds -= {"null"}
        many = not kinds or "array" in kinds or name.endswith("[]")
        one = not kinds or kinds != {"array"}
        shown = tuple(value for value in values if _is_word(value))[:_VALUES]
        return Parameter(name, place, one, many, required, shown, inside)

    def _spend(self) -> bool:
        self._left -= 1
        self._in_operation -= 1
        return self._left > 0 and self._in_operation > 0

    def _resolved(self, node: Any) -> Mapping[str, Any]:
        """The object itself, or what its reference inside the document names."""
        for _ in range(_HOPS):
            if not isinstance(node, dict):
                return {}
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            node = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#") or len(reference) > _LONGEST:
            return None
        node: Any = self._data
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list):
                node = node[int(key)] if key.isdecimal() and int(key) < len(node) else None
            else:
                node = node.get(key) if isinstance(node, dict) else None
        return node


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any, most: int) -> list[Any]:
    return value[:most] if isinstance(value, list) else []


def _is_holder(schema: Any) -> bool:
    """Whether properties may stand in it; most are plain values."""
    return isinstance(schema, dict) and not _HOLDS.isdisjoint(schema)


def _is_word(value: Any) -> TypeGuard[str]:
    """Whether it can be shown and sent: text of one line, not too long."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _line(value: Any) -> str:
    """Text of any kind as one short line that can be shown."""
    text = value[:_LONGEST] if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
