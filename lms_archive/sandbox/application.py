"""The WSGI application: one call, from request to answer."""

import json
import math
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import http_date
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from lms_archive.sandbox import certificates
from lms_archive.sandbox.ask import Ask, Settings, read_parameters
from lms_archive.sandbox.clock import Clock
from lms_archive.sandbox.faults import INSTEAD, Fault, Faults
from lms_archive.sandbox.jobs import advance
from lms_archive.sandbox.oauth import Account, OAuth
from lms_archive.sandbox.refusal import Refusal, error_body
from lms_archive.sandbox.routes import Route, routes_of
from lms_archive.sandbox.swagger import swagger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HOUR = timedelta(hours=1)
_API_PAGE = "<!DOCTYPE html><html><body><h1>API browser</h1></body></html>"
_PROXY_PAGE = "<!DOCTYPE html><html><body><h1>Please wait</h1>Your proxy is busy.</body></html>"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was asked of the sandbox.

    `operation` is its name in the contract table, None for an unknown path; `query` the
    decoded pairs in order; `body` what was sent (never of a login); `status` None where the
    connection was cut; `username` None where nobody was signed in; `at` in UTC.
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


@dataclass(slots=True)
class _Visit:
    """A request on its way: where it goes and, once known, who makes it."""

    request: Request
    now: datetime
    route: Route | None
    operation: str | None
    arguments: Mapping[str, Any]
    refusal: Refusal | None
    account: Account | None = None

    @property
    def bearer(self) -> str | None:
        authorization = self.request.authorization
        if authorization is None or authorization.type != "bearer":
            return None
        return authorization.token

    def record(self, status: int | None) -> Call:
        request = self.request
        query = tuple(request.args.items(multi=True))
        body = request.get_data(as_text=True) if self.route else ""
        username = self.account.username if self.account else None
        return Call(
            request.method, request.path, self.operation, query, body, status, username, self.now
        )


class Application:
    """Everything that answers. Whoever uses `advance` or the file holds `lock` meanwhile."""

    def __init__(
        self,
        db: sqlite3.Connection,
        clock: Clock,
        *,
        oauth: OAuth,
        faults: Faults,
        settings: Settings,
        calls: list[Call],
    ) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._calls = calls
        self._db = db
        self._clock = clock
        self._oauth = oauth
        self._faults = faults
        self._settings = settings
        self._recent: deque[datetime] = deque()
        self._routes = {route.operation: route for route in routes_of(settings.foreign)}
        self._urls = Map(_rules(self._routes.values()), merge_slashes=False).bind("127.0.0.1")

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one call (WSGI)."""
        request = Request(environ)
        with self.lock:
            now = self._clock.now()
            self.advance(now)
            visit = self._visit(request, now)
            fault = self._faults.answer(visit.operation, request.method, now)
            response = self._respond(visit, fault)
            cut = fault is not None and fault.kind.startswith("cut")
            self._calls.append(visit.record(None if cut else response.status_code))
        if cut:
            raise ConnectionCut
        if fault is not None and fault.kind == "slow":
            self._clock.sleep(fault.details["seconds"])
        return response(environ, start_response)

    def advance(self, now: datetime) -> None:
        """Do what background jobs have to do by now."""
        with self._db:
            advance(self._db, now, self._settings)

    def _visit(self, request: Request, now: datetime) -> _Visit:
        try:
            operation, arguments = self._urls.match(request.path, request.method)
        except MethodNotAllowed as wrong:
            allowed = {"Allow": ", ".join(sorted(wrong.valid_methods or ()))}
            refusal = Refusal(405, "Method Not Allowed.", headers=allowed)
            return _Visit(request, now, None, None, {}, refusal)
        except HTTPException:
            return _Visit(request, now, None, None, {}, Refusal(404, "Page not found."))
        return _Visit(request, now, self._routes.get(operation), operation, arguments, None)

    def _respond(self, visit: _Visit, fault: Fault | None) -> Response:
        """Do the work, or what `fault` puts in its place."""
        kind = fault.kind if fault else None
        if fault and kind in INSTEAD:
            response = _instead(fault)
        else:
            if kind == "expired_token":
                self._oauth.revoke(visit.bearer)
            try:
                response = self._work(visit)
            except Refusal as refusal:
                response = _json(refusal.status, refusal.body, refusal.headers)
            if fault and kind == "error_after":
                response = _failure(fault.details["status"])
        response.headers["Date"] = http_date(visit.now)
        return response

    def _work(self, visit: _Visit) -> Response:
        self._count(visit.now)
        if visit.refusal:
            raise visit.refusal
        request = visit.request
        if visit.operation == "token":
            return _json(200, self._oauth.grant(request.form, visit.now))
        if visit.operation == "swagger":
            return self._swagger(visit.arguments["service"])
        visit.account = self._oauth.account(visit.bearer, visit.now)
        if visit.route is None:
            certificate = certificates.read(self._db, visit.arguments["name"])
            return Response(certificate, content_type="application/pdf")
        args = read_parameters(
            visit.route.parameters, visit.arguments, request.args, request.get_data()
        )
        ask = Ask(
            visit.route.operation,
            request.method,
            request.path,
            args,
            visit.account,
            visit.now,
            self._db,
            self._settings,
            self._faults,
        )
        with self._db:
            data = visit.route.handler(ask)
        answer = {"data": data, "version": "1.0.0", "_links": []}
        return _json(200, self._settings.foreign.answer(ask.operation, answer))

    def _swagger(self, service: str) -> Response:
        match self._settings.foreign.swagger:
            case "missing":
                raise Refusal(404, "Page not found.")
            case "forbidden":
                raise Refusal(403, "You are not allowed to read this.")
            case "html":
                return Response(_API_PAGE, content_type="text/html; charset=utf-8")
            case _:
                return _json(200, swagger(service, self._routes.values()))

    def _count(self, now: datetime) -> None:
        """Refuse with 429 what is above the limit of any 3,600 seconds; logins count too."""
        limit, recent = self._settings.calls_per_hour, self._recent
        if limit is None:
            return
        while recent and recent[0] <= now - _HOUR:
            recent.popleft()
        if len(recent) >= limit:
            wait = math.ceil((recent[0] + _HOUR - now).total_seconds()) if recent else 3600
            raise Refusal(429, "API rate limit exceeded.", headers={"Retry-After": str(wait)})
        recent.append(now)


def _rules(routes: Iterable[Route]) -> list[Rule]:
    rules = [
        Rule("/oauth2/token", endpoint="token", methods=["POST"]),
        Rule("/<service>/v1/swagger", endpoint="swagger", methods=["GET"]),
        Rule("/certificates/<name>", endpoint="certificate", methods=["GET"]),
    ]
    for route in routes:
        path = route.path
        for parameter in route.parameters:
            if parameter.place == "path":
                converter = "int" if parameter.kind.startswith("integer") else "string"
                path = path.replace(f"{{{parameter.shown}}}", f"<{converter}:{parameter.shown}>")
        rules.append(Rule(path, endpoint=route.operation, methods=[route.method]))
    return rules


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, separators=(",", ":"))
    return Response(text, status, headers, content_type="application/json; charset=UTF-8")


def _failure(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _json(status, error_body(status, "The platform cannot answer now."), headers)


def _instead(fault: Fault) -> Response:
    """Return the answer of a fault that does no work; that of `cut_before` is never sent."""
    details = fault.details
    match fault.kind:
        case "html":
            return Response(_PROXY_PAGE, details["status"], content_type="text/html; charset=utf-8")
        case "redirect":
            return Response("", details["status"], {"Location": details["location"]})
        case "status" if isinstance(details["body"], str):
            return Response(details["body"], details["status"], details["headers"])
        case "status":
            return _json(details["status"], details["body"], details["headers"])
        case "cut_before":
            return Response()
        case code:
            after = details["retry_after"]
            return _failure(int(code), None if after is None else {"Retry-After": str(after)})
