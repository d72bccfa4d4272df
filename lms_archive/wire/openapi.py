"""Read a platform's description of its own calls: Swagger 2.0 or OpenAPI 3, as JSON.

A document is untrusted and may have any size and shape: only references inside it are followed,
loops end, and values of an unexpected type are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice, product
from typing import Any, Literal, TypeGuard
from urllib.parse import unquote, urljoin, urlsplit

from attrs import field, frozen

__all__ = ["ApiOperation", "NotOpenApiError", "Parameter", "Place", "path_shape", "read_openapi"]

Place = Literal["query", "path", "body", "form", "elsewhere"]

_METHODS = ("get", "put", "post", "delete", "patch")
_PLACES: dict[str, Place] = {"query": "query", "path": "path", "formData": "form"}
_COMBINED = ("allOf", "oneOf", "anyOf")
_LONGEST = 300
_MOST = 2_000
_MOST_VALUES = 100
_HOPS = 20
_DEPTH = 3


class NotOpenApiError(ValueError):
    """The document is neither Swagger 2.0 nor OpenAPI 3."""


@frozen
class Parameter:
    """A value that an operation takes.

    Attributes:
        name: as the platform spells it, with its `[]`. A property inside an object of the body
            has a dot (`"filters.enrollment_status"`), a property inside a list has `[].`.
        place: the part of the call; headers, cookies and other bodies are "elsewhere".
        required: whether the call needs it.
        is_list: whether a list is expected; None where the document does not say.
        values: the allowed values, as text; empty where they are not listed.
    """

    name: str
    place: Place
    required: bool = False
    is_list: bool | None = None
    values: tuple[str, ...] = ()

    @property
    def plain_name(self) -> str:
        """The name without the `[]` at its end."""
        return self.name.removesuffix("[]")


@frozen
class ApiOperation:
    """An operation as the platform describes it; its path begins at the platform's root."""

    method: str
    path: str
    operation_id: str = ""
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def placeholders(self) -> list[str]:
        """The names in its path, in order."""
        return re.findall(r"{([^{}]*)}", self.path)


def path_shape(path: str) -> str:
    """Return a path without the names of its placeholders and without a slash at its end."""
    return re.sub(r"{[^{}]*}", "{}", path).rstrip("/")


def read_openapi(data: Any, *, location: str, root: str = "") -> tuple[ApiOperation, ...]:
    """Read the operations of a document.

    Args:
        data: the decoded JSON.
        location: the path it was read from; relative servers begin there.
        root: the path of the platform's base URL, which operations do not repeat.

    Raises:
        NotOpenApiError: the document is neither Swagger 2.0 nor OpenAPI 3.
    """
    if isinstance(data, dict) and "paths" not in data:
        data = data.get("data")  # some services use the envelope of their other answers
    if not isinstance(data, dict):
        raise NotOpenApiError("not a JSON object")
    version = str(data.get("openapi") or data.get("swagger"))[:9]
    if not re.match(r"[23](\.|$)", version) or not isinstance(data.get("paths"), dict):
        raise NotOpenApiError("neither Swagger 2.0 nor OpenAPI 3")
    return tuple(_Document(data, location, root.rstrip("/")).operations())


@frozen
class _Document:
    data: Mapping[str, Any]
    location: str
    root: str
    bodies: dict[tuple[int, str], list[Parameter]] = field(factory=dict)

    def operations(self) -> Iterator[ApiOperation]:
        bases = self._bases()
        for path, node in self.data["paths"].items():
            item = self._resolve(node)
            operations = {m: item[m] for m in _METHODS if isinstance(item.get(m), dict)}
            for (method, operation), base in product(operations.items(), bases):
                full = self._join(base, path)
                if _is_word(full) and re.fullmatch(r"/[^?#\s]+", full):
                    yield ApiOperation(
                        method.upper(),
                        full,
                        _one_line(operation.get("operationId")),
                        _one_line(operation.get("summary")),
                        self._parameters(operation, item),
                    )

    def _bases(self) -> list[str]:
        """Return the base paths of the operations; hosts are ignored."""
        if isinstance(self.data.get("basePath"), str):
            return [self.data["basePath"]]
        urls = [_mapping(node).get("url") for node in _list(self.data.get("servers"))[:_HOPS]]
        bases = [self._path_of(url) for url in urls if isinstance(url, str)]
        return list(dict.fromkeys(base for base in bases if base is not None)) or [""]

    def _path_of(self, url: str) -> str | None:
        try:
            return urlsplit(urljoin(self.location, url)).path
        except ValueError:
            return None

    def _join(self, base: str, path: str) -> str:
        base = f"/{base.strip('/')}".rstrip("/")
        # Some documents have a base path, and repeat it in each path.
        full = path if base and path.startswith(f"{base}/") else f"{base}/{path.lstrip('/')}"
        return full.removeprefix(self.root) if full.startswith(f"{self.root}/") else full

    def _parameters(self, *holders: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the parameters of an operation; its own override those of its path."""
        parameters = dict[tuple[str, str], Parameter]()
        for parameter in islice(self._every_parameter(*holders), _MOST):
            parameters.setdefault((parameter.name, parameter.place), parameter)
        return tuple(parameters.values())

    def _every_parameter(self, *holders: Mapping[str, Any]) -> Iterator[Parameter]:
        for node in chain.from_iterable(_list(holder.get("parameters")) for holder in holders):
            parameter = self._resolve(node)
            name, where = parameter.get("name"), str(parameter.get("in"))
            if where == "body":
                yield from self._body(parameter.get("schema"), "body")
            elif _is_word(name):
                schema = parameter.get("schema", parameter)
                required = parameter.get("required") is True
                yield self._parameter(name, _PLACES.get(where, "elsewhere"), schema, required)
        content = self._resolve(holders[0].get("requestBody")).get("content")
        for kind, media in _mapping(content).items():
            place: Place = "body" if "json" in kind else "elsewhere"
            place = "form" if "x-www-form-urlencoded" in kind else place
            yield from self._body(_mapping(media).get("schema"), place)

    def _body(self, schema: Any, place: Place) -> list[Parameter]:
        """Return the properties of a body, which many operations may share."""
        part = self._resolve(schema)
        if (id(part), place) not in self.bodies:
            self.bodies[id(part), place] = list(islice(self._properties(part, place), _MOST))
        return self.bodies[id(part), place]

    def _properties(self, schema: Any, place: Place) -> Iterator[Parameter]:
        """Read the properties of a body, the outermost first."""
        nodes: list[tuple[Any, str, bool]] = [(schema, "", True)]
        visited = set[tuple[int, str]]()
        for node, prefix, is_certain in nodes:  # grows while it is read
            part = self._resolve(node)
            if (id(part), prefix) in visited or prefix.count(".") > _DEPTH:
                continue
            visited.add((id(part), prefix))
            needed = _list(part.get("required")) if is_certain else []
            for name, value in _mapping(part.get("properties")).items():
                if _is_word(name):
                    yield self._parameter(prefix + name, place, value, name in needed)
                    nodes.append((value, f"{prefix}{name}.", False))
            nodes += [(inner, prefix, is_certain) for inner in _list(part.get("allOf"))]
            for kind in ("oneOf", "anyOf"):
                nodes += [(inner, prefix, False) for inner in _list(part.get(kind))]
            if "items" in part:
                nodes.append((part["items"], f"{prefix.removesuffix('.')}[].", False))

    def _parameter(self, name: str, place: Place, schema: Any, required: bool) -> Parameter:  # noqa: FBT001
        parts = self._alternatives(schema)
        items = [part["items"] for part in parts if "items" in part]
        kinds = {"array"} if items or name.endswith("[]") else set[str]()
        values = dict[str, None]()
        for part in parts:
            kind = part.get("type")
            kinds.update(name for name in _list(kind) or [kind] if isinstance(name, str))
        for part in [*parts, *chain.from_iterable(map(self._alternatives, items))]:
            listed = [*_list(part.get("enum"))[:_MOST_VALUES], part.get("const")]
            values.update((str(v), None) for v in listed if type(v) in (str, int, float))
        kinds.discard("null")
        is_list = "array" in kinds if len(kinds) == 1 else None
        return Parameter(name, place, required, is_list, tuple(filter(_is_word, values)))

    def _alternatives(self, schema: Any) -> list[Mapping[str, Any]]:
        """Return a schema and the schemas that it combines."""
        parts = [self._resolve(schema)]
        for part in parts:  # grows while it is read
            combined = chain.from_iterable(_list(part[kind]) for kind in _COMBINED if kind in part)
            new = [inner for inner in map(self._resolve, combined) if inner not in parts]
            parts += new[: _MOST_VALUES - len(parts)]
        return parts

    def _resolve(self, node: Any) -> Mapping[str, Any]:
        """Return the object itself, or the object that its reference inside the document names."""
        for _ in range(_HOPS):
            reference = _mapping(node).get("$ref")
            if not isinstance(reference, str):
                return _mapping(node)
            node = self.data if reference.startswith("#/") else None
            for part in unquote(reference[2:]).split("/"):
                node = _mapping(node).get(part.replace("~1", "/").replace("~0", "~"))
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_word(value: Any) -> TypeGuard[str]:
    """Return whether a value can be shown and sent: a text of one line, not too long."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _one_line(value: Any) -> str:
    text = value[:_LONGEST] if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
