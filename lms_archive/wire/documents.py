"""Find and read the swagger documents of a platform, or read documents saved in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from attrs import evolve

from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    NotFoundError,
    PlatformUnavailableError,
    RateLimitError,
    plural,
)
from lms_archive.files import read_text
from lms_archive.wire.calls import Request
from lms_archive.wire.openapi import ApiOperation, UnreadableDocumentError, read_openapi
from lms_archive.wire.session import Session

_HTTPS = 443
_LONGEST = 160
_NEED_LOGIN = "the documents are refused without a token"
_Content = tuple[tuple[Any, ...], str]
"""The parsed content of an answer, and why there is none."""


class Document(NamedTuple):
    """The swagger document of a service: its operations, or why it could not be read."""

    service: str
    address: str
    operations: tuple[ApiOperation, ...] = ()
    refusal: str = ""

    def __str__(self) -> str:
        count = len(self.operations)
        read = f"{self.address} ({plural(count, 'operation')})"
        return f"{self.service:<15} {self.refusal or read}"

    def __repr__(self) -> str:
        return f"<Document {self}>"

    def is_of(self, service: str) -> bool:
        """Return whether it describes a service, by its name or by the paths in it."""
        start = f"/{service}/"
        return self.service == service or any(op.path.startswith(start) for op in self.operations)


class PlatformDocuments:
    """The documents of a platform, each read when it is needed; copies of a client share them.

    Their addresses come from the operation `microservices`. A service that it does not list is
    looked for at `/<service>/v1/swagger`, as are all services where the list is refused. If
    there is a *folder*, each document is saved in it; it must not hold documents yet.
    """

    def __init__(self, session: Session, folder: Path | None = None) -> None:
        if folder is not None and any(folder.glob("*.json")):
            raise InvalidInputError(
                "already holds documents: name a new folder", source=str(folder)
            )
        self.read: dict[str, Document] = {}
        self._session, self._folder = session, folder
        self._row = session.operation("microservices")

    @property
    def source(self) -> str:
        """How the documents were found, as text."""
        _, refusal = self._listed
        if refusal:
            default = self._session.operation("swagger").path
            return f"looked for at {default}, because {refusal}"
        return f"found by {self._row.method} {self._row.path}"

    def of(self, *services: str) -> Iterator[Document]:
        """Read the documents of these services; a refusal is recorded in the document."""
        listed, _ = self._listed
        for service in dict.fromkeys(services):
            default = self._session.operation("swagger").request(service=service)
            own = [each for name, each in listed if service in (name, each.path.split("/")[1])]
            for request in own or [default]:
                yield self._document(service, request)

    def read_all(self) -> None:
        """Read every document that the platform lists, or that of each service of the contract."""
        listed, refusal = self._listed
        for service, request in listed:
            self._document(service, request)
        if refusal:
            rows = self._session.settings.contract.operations.items()
            list(self.of(*(row.service for name, row in rows if name not in ("token", "swagger"))))

    @cached_property
    def _listed(self) -> _Content:
        """The address of each document that the platform lists, or why it lists none."""
        request = evolve(self._row.request(), headers={"X-Requested-With": "XMLHttpRequest"})
        return self._ask("microservices", request, self._addresses)

    def _addresses(self, data: Any) -> tuple[tuple[str, Request], ...]:
        entries = self._row.find(data, "items")
        addresses, other_hosts = list[tuple[str, Request]](), set[str]()
        for entry in entries if isinstance(entries, list) else ():
            name, url = self._row.find(entry, "app"), self._row.find(entry, "url")
            if isinstance(name, str) and isinstance(url, str):
                address = self._address(url)
                if isinstance(address, Request):
                    addresses.append((name, address))
                elif address:
                    other_hosts.add(address)
        if not addresses:
            hosts = ", ".join(sorted(other_hosts))
            elsewhere = f" on this host, but on {hosts}" if hosts else ""
            raise UnreadableDocumentError(f"it lists no documents{elsewhere}")
        return tuple(addresses)

    def _address(self, url: str) -> Request | str:
        """Return the request for an address, or the name of its host if that is another one."""
        base = urlsplit(self._session.settings.base_url)
        try:
            parts = urlsplit(urljoin(f"{base.geturl()}/", url))
            is_ours = parts.port in (base.port or _HTTPS, None) and parts.username is None
        except ValueError:
            return ""
        if parts.hostname != base.hostname or not is_ours:
            return parts.hostname or ""
        path = parts.path.removeprefix(base.path)
        if not parts.path.startswith(f"{base.path}/") or not re.fullmatch(r"/[!-.0-~][!-~]*", path):
            return ""
        return Request("GET", path, query=tuple(parse_qsl(parts.query)))

    def _document(self, service: str, request: Request) -> Document:
        def parse(data: Any) -> tuple[ApiOperation, ...]:
            root = urlsplit(self._session.settings.base_url).path
            operations = read_openapi(data, location=request.path, root=root)
            if self._folder is not None:
                _write(self._folder, service, len(self.read), data)
            return operations

        if _key(request) not in self.read:
            operations, refusal = self._ask("swagger", request, parse)
            self.read[_key(request)] = Document(service, request.path, operations, refusal)
        return self.read[_key(request)]

    def _ask(
        self, name: str, request: Request, parse: Callable[[Any], tuple[Any, ...]]
    ) -> _Content:
        """Return the content of an answer, or why there is none; copies of a client share it.

        Only a lost connection, a failed login and an exceeded rate limit are raised as errors.
        """
        shared, call = self._session.documents, f"{request.method} {request.path}"
        content: _Content | None = shared.get(_key(request))
        if content is not None:
            return content
        may_pass = False
        try:
            content = parse(self._send(name, request)), ""
        except UnreadableDocumentError as error:
            content = (), f"{call}: {error}"[:_LONGEST]
        except ApiError as error:
            has_answer = error.status is not None and error.path == request.path
            if not has_answer or isinstance(error, RateLimitError):
                raise
            content = (), f"{call}: {error.status} {error.message}"[:_LONGEST].rstrip()
            may_pass = isinstance(error, PlatformUnavailableError)
        if not may_pass:
            shared[_key(request)] = content
        return content

    def _send(self, name: str, request: Request) -> Any:
        """Send a request; send the token for a document only where it is refused without."""
        if name == "swagger" and _NEED_LOGIN not in self._session.documents:
            try:
                return self._session.send(evolve(request, with_token=False), name).data
            except (NotFoundError, RateLimitError, PlatformUnavailableError):
                raise
            except ApiError:
                self._session.documents[_NEED_LOGIN] = True
        return self._session.send(request, name).data


def _key(request: Request) -> str:
    return f"{request.path}?{request.query}"


class FolderDocuments:
    """Documents saved in a folder, which can be checked without a platform or a login."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            reason = "is not a folder" if folder.exists() else "the folder does not exist"
            raise InvalidInputError(reason, source=str(folder))
        self.source: str = f"read from {folder}"
        files = sorted(folder.glob("*.json"))
        self.read: dict[str, Document] = {path.name: _of_file(path) for path in files}
        if not files:
            raise InvalidInputError("holds no swagger documents (*.json)", source=str(folder))

    def of(self, *services: str) -> Iterator[Document]:
        """Yield the documents of these services; a missing document has a refusal."""
        for service in services:
            own = [document for document in self.read.values() if document.is_of(service)]
            missing = Document(service, "", refusal=f"the folder has no document of {service}")
            yield from own or [missing]


def _of_file(path: Path) -> Document:
    try:
        data = json.loads(read_text(path))
        operations = read_openapi(data, location=f"/{path.stem}/v1/swagger")
    except (OSError, ValueError, RecursionError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        return Document(path.stem, path.name, refusal=f"{path.name}: {reason}"[:_LONGEST])
    return Document(path.stem, path.name, operations)


def _write(folder: Path, service: str, number: int, data: Any) -> None:
    """Write a document under the name of its service, with a number if the name is in use."""
    name = re.sub(r"[^\w-]+", "-", service)[:80]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path = folder / f"{name}-{number}.json" if path.exists() else path
        text = json.dumps(data, ensure_ascii=False, indent=1)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        reason = f"cannot be written: {error.strerror}"
        raise InvalidInputError(reason, source=str(folder)) from None
