"""The WSGI application, which answers the calls."""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import define, frozen
from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from lms_archive.sandbox import certificates
from lms_archive.sandbox.answers import API_PAGE, Refusal, fault_answer, html_answer, json_answer
from lms_archive.sandbox.clock import Clock
from lms_archive.sandbox.faults import Fault, Faults
from lms_archive.sandbox.jobs import advance
from lms_archive.sandbox.oauth import Account, OAuth
from lms_archive.sandbox.request import ApiRequest, Parameter, Settings, read_parameters
from lms_archive.sandbox.routes import Route
from lms_archive.sandbox.swagger import microservices, swagger
from lms_archive.sandbox.variant import SwaggerKind

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HOUR = timedelta(hours=1)
_ASIDE = (
    ("token", "POST", "/oauth2/token"),
    ("swagger", "GET", "/{service}/v1/swagger"),
    ("microservices", "GET", "/manage/v1/site/microservices"),
    ("certificate", "GET", "/certificates/{name}"),
)
"""The calls that are not in the table of routes, nor in the swagger."""


@frozen
class Call:
    """A call that the sandbox received.

    `operation` is its name in the contract table, or None for an unknown path; `query` holds the
    decoded pairs in order; `body` the body (empty for a login); `status` is None where the
    connection was cut; `username` is None where no account was signed in; `at` is in UTC.
    """

    method: str
    path: str
    operation: str | None
    query: tuple[tuple[str, str], ...]
    body: str
    status: int | None
    username: str | None
    at: datetime


class ConnectionCut(Exception):
    """Tells the server to close the connection without an answer."""


@define
class _Visit:
    """A request that is being handled: its operation and, after login, its account."""

    request: Request
    now: datetime
    operation: str | None
    arguments: Mapping[str, Any]
    refusal: Refusal | None = None
    account: Account | None = None

    @property
    def bearer(self) -> str | None:
        authorization = self.request.authorization
        if authorization is None or authorization.type != "bearer":
            return None
        return authorization.token

    def call(self, status: int | None) -> Call:
        request = self.request
        return Call(
            request.method,
            request.path,
            self.operation,
            tuple(request.args.items(multi=True)),
            "" if self.operation in (None, "token") else request.get_data(as_text=True),
            status,
            self.account.username if self.account else None,
            self.now,
        )


class Application:
    """The application. Hold `lock` while you use `advance` or the file."""

    def __init__(
        self,
        db: sqlite3.Connection,
        clock: Clock,
        *,
        oauth: OAuth,
        faults: Faults,
        settings: Settings,
        routes: Iterable[Route],
        calls: list[Call],
    ) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.db: sqlite3.Connection = db
        self._calls = calls
        self._clock = clock
        self._oauth = oauth
        self._faults = faults
        self._settings = settings
        self._recent: deque[datetime] = deque()
        self._routes = {route.operation: route for route in routes}
        self._calls_by_path = [(name, verb, _pattern(path)) for name, verb, path in _ASIDE]
        self._calls_by_path += [
            (route.operation, route.method, _pattern(route.path, route.parameters))
            for route in self._routes.values()
        ]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call (WSGI)."""
        request = Request(environ)
        with self.lock:
            now = self._clock.now()
            self.advance(now)
            visit = self._visit(request, now)
            fault = self._faults.of_answer(visit.operation, request.method, now)
            response = self._respond(visit, fault)
            cut = fault is not None and fault.cuts_connection
            self._calls.append(visit.call(None if cut else response.status_code))
        if cut:
            raise ConnectionCut
        if fault is not None and fault.kind == "slow":
            self._clock.sleep(fault.details["seconds"])
        return response(environ, start_response)

    def advance(self, now: datetime) -> None:
        """Do the work of background jobs that is due."""
        with self.db:
            advance(self.db, now, self._settings)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.db.close()

    def _visit(self, request: Request, now: datetime) -> _Visit:
        methods = []
        for operation, method, pattern in self._calls_by_path:
            if matched := pattern.fullmatch(request.path):
                if method == request.method:
                    return _Visit(request, now, operation, matched.groupdict())
                methods.append(method)
        refusal = Refusal(404, "Page not found.")
        if methods:
            refusal = Refusal(405, "Method Not Allowed.", {"Allow": ", ".join(sorted(methods))})
        return _Visit(request, now, None, {}, refusal)

    def _respond(self, visit: _Visit, fault: Fault | None) -> Response:
        """Do the work and return its answer, or the answer of *fault*."""
        form, response = self._settings.variant.errors, None
        if fault is not None and fault.kind == "expired_token":
            self._oauth.revoke(visit.bearer)
        if fault is None or not fault.prevents_work:
            try:
                response = self._work(visit)
            except Refusal as refusal:
                response = refusal.answer(form)
        if response is None or (fault is not None and fault.replaces_answer):
            assert fault is not None  # noqa: S101  only a fault prevents the work
            response = fault_answer(fault, form)
        response.headers["Date"] = http_date(visit.now)
        return response

    def _work(self, visit: _Visit) -> Response:
        self._count(visit.now)
        if visit.refusal:
            raise visit.refusal
        request, variant, routes = visit.request, self._settings.variant, self._routes.values()
        if visit.operation == "token":
            return json_answer(200, self._oauth.grant(request.form, visit.now))
        if visit.operation == "swagger":
            service = visit.arguments["service"]
            return _document(variant.swagger) or json_answer(200, swagger(service, routes))
        visit.account = self._oauth.account(visit.bearer, visit.now)
        if visit.operation == "microservices":
            services = microservices(request.host_url.rstrip("/"), routes)
            return _document(variant.microservices or variant.swagger) or json_answer(
                200, _envelope(services)
            )
        if visit.operation == "certificate":
            certificate = certificates.read(self.db, visit.arguments["name"])
            return Response(certificate, content_type="application/pdf")
        return self._call(self._routes[str(visit.operation)], visit, visit.account)

    def _call(self, route: Route, visit: _Visit, account: Account) -> Response:
        sent = visit.request
        api_request = ApiRequest(
            route.operation,
            sent.method,
            sent.path,
            read_parameters(route.parameters, visit.arguments, sent.args, sent.get_data()),
            account,
            visit.now,
            self.db,
            self._settings,
            self._faults,
        )
        with self.db:
            answer = _envelope(route.handler(api_request))
        return json_answer(200, self._settings.variant.answer(route.operation, answer))

    def _count(self, now: datetime) -> None:
        """Refuse calls above the limit for any 3,600 seconds with 429; logins count too."""
        limit, recent = self._settings.calls_per_hour, self._recent
        if limit is None:
            return
        while recent and recent[0] <= now - _HOUR:
            recent.popleft()
        if len(recent) >= limit:
            wait = math.ceil((recent[0] + _HOUR - now).total_seconds()) if recent else 3600
            raise Refusal(429, "API rate limit exceeded.", headers={"Retry-After": str(wait)})
        recent.append(now)


def _pattern(path: str, parameters: Iterable[Parameter] = ()) -> re.Pattern[str]:
    """Return the regular expression of a path; ids in it are digits."""
    ids = {p.shown for p in parameters if p.location == "path" and p.type.startswith("integer")}
    return re.compile(
        re.sub(r"{(\w+)}", lambda x: f"(?P<{x[1]}>{'[0-9]+' if x[1] in ids else '[^/]+'})", path)
    )


def _document(kind: SwaggerKind) -> Response | None:
    """Return an HTML page, or refuse, as the platform is set up; None where it serves JSON."""
    if kind == "missing":
        raise Refusal(404, "Page not found.")
    if kind == "forbidden":
        raise Refusal(403, "You are not allowed to read this.")
    return html_answer(API_PAGE) if kind == "html" else None


def _envelope(data: Any) -> dict[str, Any]:
    return {"data": data, "version": "1.0.0", "_links": []}
