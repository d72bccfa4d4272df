"""Find and read the swagger documents of a platform, or read documents saved in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit

from attrs import evolve, field, frozen

from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.wire.contract import Request
from lms_archive.wire.openapi import ApiOperation, NotOpenApiError, read_openapi
from lms_archive.wire.session import Session

__all__ = ["Document", "Documents", "FolderDocuments", "PlatformDocuments"]

_HTTPS = 443
_LONGEST = 160
_NEED_LOGIN = "the documents are refused without a token"
_REFUSED = (301, 302, 303, 307, 308, 401, 403)
_Listed = tuple[tuple[tuple[str, Request], ...], str]


@frozen
class Document:
    """The swagger document of a service: its operations, or why it could not be read."""

    service: str
    address: str
    operations: tuple[ApiOperation, ...] = field(default=(), repr=False)
    refusal: str = ""

    def __str__(self) -> str:
        count = len(self.operations)
        read = f"{self.address} ({count:,} operation{'s' * (count != 1)})"
        return f"{self.service:<15} {self.refusal or read}"


class Documents(Protocol):
    """A source of documents; `read` holds those that were read so far, by address."""

    read: dict[str, Document]

    @property
    def source(self) -> str:
        """How the documents were found, as text."""

    def of(self, *services: str) -> Iterator[Document]:
        """Read the documents of these services, one after the other."""


class PlatformDocuments:
    """The documents of a platform, each read when it is needed; copies of a client share them.

    Their addresses come from the operation `microservices`. A service that it does not list is
    looked for at `/<service>/v1/swagger`, as are all services where the list is refused.

    Args:
        session: the platform.
        folder: the folder to save each document in; None: do not save them.

    Raises:
        InvalidInputError: the folder already holds documents.
    """

    def __init__(self, session: Session, folder: Path | None = None) -> None:
        if folder is not None and any(folder.glob("*.json")):
            raise InvalidInputError(
                "already holds documents: name a new folder", source=str(folder)
            )
        self.read: dict[str, Document] = {}
        self._session, self._shared, self._folder = session, session.documents, folder
        self._row = session.operation("microservices")

    @property
    def source(self) -> str:
        """How the documents were found, as text."""
        _, refusal = self._listed
        default = self._session.operation("swagger").path
        if refusal:
            return f"looked for at {default}, because {refusal}"
        return f"found by {self._row.method} {self._row.path}"

    def of(self, *services: str) -> Iterator[Document]:
        """Read the documents of these services, one after the other.

        Raises:
            ApiError: the platform cannot be reached, the login failed, or the rate limit was
                exceeded for too long. Any other refusal is recorded in the document.
        """
        for service in dict.fromkeys(services):
            requests = [
                request
                for name, request in self._listed[0]
                if service in (name, request.path.split("/")[1])
            ]
            default = self._session.operation("swagger").request(service=service)
            for request in requests or [default]:
                yield self._document(service, request)

    def read_all(self) -> None:
        """Read every document that the platform lists, or that of each service of the contract."""
        listed, refusal = self._listed
        for name, request in listed:
            self._document(name, request)
        if refusal:
            rows = self._session.settings.contract.operations.items()
            list(self.of(*(row.service for name, row in rows if name not in ("token", "swagger"))))

    @cached_property
    def _listed(self) -> _Listed:
        """The address of each document that the platform lists, or why it lists none."""
        cached: _Listed | None = self._shared.get(self._row.path)
        if cached is not None:
            return cached
        headers = {"X-Requested-With": "XMLHttpRequest"}
        request = evolve(self._row.request(), headers=headers)
        addresses, others = list[tuple[str, Request]](), set[str]()
        refusal, is_final = "", True
        try:
            entries = self._row.find(self._session.send(request, "microservices").data, "items")
        except ApiError as error:
            refusal, is_final = _refusal(request, error), not _may_pass(error)
        else:
            for entry in entries if isinstance(entries, list) else ():
                name, url = self._row.find(entry, "app"), self._row.find(entry, "url")
                if isinstance(name, str) and isinstance(url, str):
                    address = self._address(url)
                    if isinstance(address, Request):
                        addresses.append((name, address))
                    elif address:
                        others.add(address)
            if not addresses:
                elsewhere = f" on this host, but on {', '.join(sorted(others))}" if others else ""
                refusal = f"{request.method} {request.path} lists no documents{elsewhere}"
        listed: _Listed = (tuple(addresses), refusal[:_LONGEST])
        if is_final:
            self._shared[self._row.path] = listed
        return listed

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
        key = f"{request.path}?{request.query}"
        if key in self.read:
            return self.read[key]
        document = self._shared.get(key) if self._folder is None else None
        if document is None:
            document, is_final = self._fetch(service, request)
            if is_final:
                self._shared[key] = document
        self.read[key] = document
        return document

    def _fetch(self, service: str, request: Request) -> tuple[Document, bool]:
        """Read a document; return also whether the result may be cached."""
        refusal = ""
        try:
            data = self._send(request)
            root = urlsplit(self._session.settings.base_url).path
            operations = read_openapi(data, location=request.path, root=root)
        except ApiError as error:
            refusal = _refusal(request, error)
            return Document(service, request.path, refusal=refusal), not _may_pass(error)
        except NotOpenApiError as error:
            refusal = f"{request.method} {request.path}: {error}"
            return Document(service, request.path, refusal=refusal), True
        if self._folder is not None:
            _write(self._folder, service, len(self.read), data)
        return Document(service, request.path, operations), True

    def _send(self, request: Request) -> Any:
        """Send the request without the token, and with it only where that is refused."""
        if _NEED_LOGIN not in self._shared:
            try:
                return self._session.send(evolve(request, with_token=False), "swagger").data
            except ApiError as error:
                is_page = isinstance(error, (UnexpectedResponseError, PermissionDeniedError))
                if error.status not in _REFUSED and not is_page:
                    raise
            self._shared[_NEED_LOGIN] = True
        return self._session.send(request, "swagger").data


class FolderDocuments:
    """Documents saved in a folder, which can be checked without a platform or a login.

    Raises:
        InvalidInputError: the folder holds no document.
    """

    def __init__(self, folder: Path) -> None:
        self.source: str = f"read from {folder}"
        files = sorted(folder.glob("*.json"))
        self.read: dict[str, Document] = {path.name: _of_file(path) for path in files}
        if not files:
            raise InvalidInputError("holds no swagger documents (*.json)", source=str(folder))

    def of(self, *services: str) -> Iterator[Document]:
        """Yield the documents of these services; a missing document has a refusal."""
        for service in services:
            documents = [document for document in self.read.values() if _is_of(document, service)]
            yield from documents
            if not documents:
                yield Document(service, "", refusal=f"the folder has no document of {service}")


def _is_of(document: Document, service: str) -> bool:
    start = f"/{service}/"
    paths = (operation.path for operation in document.operations)
    return document.service == service or any(path.startswith(start) for path in paths)


def _of_file(path: Path) -> Document:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        operations = read_openapi(data, location=f"/{path.stem}/v1/swagger")
    except (OSError, ValueError, RecursionError) as error:
        return Document(path.stem, path.name, refusal=f"{path.name}: {error}"[:_LONGEST])
    return Document(path.stem, path.name, operations)


def _write(folder: Path, service: str, number: int, data: Any) -> None:
    """Write a document under the name of its service, with a number if the name is in use.

    Raises:
        InvalidInputError: it cannot be written.
    """
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


def _may_pass(error: ApiError) -> bool:
    return isinstance(error, PlatformUnavailableError)


def _refusal(request: Request, error: ApiError) -> str:
    """Return why a document or the list of documents could not be read.

    Raises:
        ApiError: there was no answer, the login failed, or the rate limit was exceeded.
    """
    if error.status is None or isinstance(error, RateLimitError) or error.path != request.path:
        raise error
    return f"{request.method} {request.path}: {error.status} {error.message}"[:_LONGEST].rstrip()
