"""Answers without data: refusals, HTML pages, and the answers of faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import responses
from typing import Any

from attrs import define, field
from werkzeug.wrappers import Response

from lms_archive.sandbox.faults import Fault
from lms_archive.sandbox.variant import ErrorForm

Message = str | Mapping[str, list[str]]

API_PAGE = "<!DOCTYPE html><html><body><h1>API browser</h1></body></html>"
_PROXY_PAGE = "<!DOCTYPE html><html><body><h1>Please wait</h1>Your proxy is busy.</body></html>"
_LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head>"
    '<body><form action="/login"><input name="username"></form></body></html>'
)


@define
class Refusal(Exception):
    """A handler refuses a request.

    Attributes:
        status: the HTTP status.
        message: text, or for validation errors an object: parameter -> list of texts.
        headers: additional headers.
        body: replaces the usual body.
    """

    status: int
    message: Message
    headers: Mapping[str, str] = field(factory=dict)
    body: Mapping[str, Any] | None = None

    def answer(self, form: ErrorForm) -> Response:
        """Return the refusal as an answer, in the platform's form of errors."""
        if self.body is not None:
            return json_answer(self.status, self.body, self.headers)
        return error_answer(form, self.status, self.message, self.headers)


def invalid(parameter: str, reason: str) -> Refusal:
    """Return a refusal with 400 for a wrong parameter."""
    return Refusal(400, {parameter: [reason]})


def json_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    text = json.dumps(body, separators=(",", ":"))
    return Response(text, status, headers, content_type="application/json; charset=UTF-8")


def html_answer(page: str, status: int = 200) -> Response:
    """Return an HTML page."""
    return Response(page, status, content_type="text/html; charset=utf-8")


def error_answer(
    form: ErrorForm, status: int, message: Message, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in one of the forms that the platform's services use."""
    if form == "text":
        text = message if isinstance(message, str) else json.dumps(message)
        return Response(text, status, headers, content_type="text/plain; charset=utf-8")
    if form == "code":
        body = {"success": False, "error": message, "errorCode": status}
    else:
        body = {"status": status, "name": responses.get(status, "Error"), "message": message}
    return json_answer(status, body, headers)


def fault_answer(fault: Fault, form: ErrorForm) -> Response:
    """Return the answer of a fault; that of `cut_before` is never sent."""
    details = fault.details
    if fault.kind in ("html", "login_page"):
        page = _PROXY_PAGE if fault.kind == "html" else _LOGIN_PAGE
        return html_answer(page, details.get("status", 200))
    if fault.kind == "redirect":
        return Response("", details["status"], {"Location": details["location"]})
    if fault.kind == "status":
        status, body, headers = details["status"], details["body"], details["headers"]
        is_text = isinstance(body, str)
        return Response(body, status, headers) if is_text else json_answer(status, body, headers)
    if fault.kind == "cut_before":
        return Response()
    status, after = details.get("status", fault.kind), details.get("retry_after")
    headers = None if after is None else {"Retry-After": str(after)}
    return error_answer(form, int(status), "The platform cannot answer now.", headers)
