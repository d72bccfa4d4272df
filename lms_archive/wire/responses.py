"""Turn an answer into a value or an error, by its status, headers and body."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, NamedTuple

from attrs import field, frozen

from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.wire.calls import Request
from lms_archive.wire.masking import Mask
from lms_archive.wire.transport import MAX_BODY, Response

_MAY_NOT = (
    "the account may not do this. Power Users cannot archive learning plan enrollments, nor delete "
    "archived ones, and need a permission to archive in courses; log in as a Superadmin"
)
_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        AuthenticationError,
        "the token is not accepted; a static token (LMS_ARCHIVE_TOKEN) must be replaced",
    ),
    403: (PermissionDeniedError, "the account may not do this"),
    404: (NotFoundError, ""),
    408: (PlatformUnavailableError, "the platform timed out waiting for the request"),
    429: (RateLimitError, "the calls of this hour are used up; other integrations share them"),
}


@frozen
class Payload:
    """The JSON of a good answer, or the `Response`, and its time on the platform (UTC), or None."""

    data: Any = field(repr=False)
    date: datetime | None


class _Answer(NamedTuple):
    """An answer, with its request and the mask for messages about it."""

    request: Request
    response: Response
    mask: Mask

    def error(self, family: type[ApiError], **details: Any) -> ApiError:
        return family(
            self.request.method, self.request.path, status=self.response.status, **details
        )

    def header(self, name: str, default: str = "") -> str:
        return self.response.headers.get(name, default)

    @property
    def is_html(self) -> bool:
        start = self.response.body[:256].lstrip().lower()
        is_named = "html" in self.header("content-type").lower()
        return is_named or start.startswith((b"<!doctype html", b"<html"))

    @property
    def text(self) -> str:
        return self.mask(self.response.body[: 64 * 1024].decode("utf-8", "replace"))

    @property
    def title(self) -> str:
        title = re.search(r"<title[^<>]*>([^<]*)", self.text, re.IGNORECASE)
        return self.mask.line(title[1] if title else re.sub(r"<[^<>]*>", " ", self.text))

    @property
    def message(self) -> str:
        """The platform's message on one line, without secrets."""
        text = self.text
        message = _json_message(text)
        if message is None and (self.is_html or text.lstrip()[:1] == "<"):
            return self.mask.line(f"an HTML page: {self.title}")
        return self.mask.line(text if message is None else message)


def parse_response(request: Request, response: Response, mask: Mask | None = None) -> Payload:
    """Return the JSON of a 2xx answer (a `Response` where `raw`); raise an error for another."""
    answer = _Answer(request, response, mask or Mask())
    if not 200 <= response.status < 300:  # noqa: PLR2004  statuses of HTTP
        raise _refusal(answer)
    return Payload(_decode(answer), _date(answer.header("date")))


def _decode(answer: _Answer) -> Any:
    body, is_login = answer.response.body, answer.request.form is not None
    if len(body) > MAX_BODY:
        raise _unreadable(answer, f"more than {MAX_BODY // 2**20} MiB")
    if answer.request.raw:
        if answer.is_html:
            raise _web_page(answer)
        headers = {name: answer.mask(value) for name, value in answer.response.headers.items()}
        return Response(answer.response.status, headers, answer.mask.in_bytes(body))
    if not body.strip():
        return None
    data = _json(answer, body if is_login else answer.mask.in_bytes(body))
    if isinstance(data, dict) and data.get("success") is False:
        raise answer.error(ApiError, message=answer.message, in_doubt=True)
    return data


def _json(answer: _Answer, body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        fault = "JSON nested too deeply"
    except ValueError as error:
        content_type = answer.mask.line(answer.header("content-type", "no content type"))
        fault = f"not JSON ({content_type}): {answer.message!r}; {error}"
    # Not raised from the error of json, which holds the whole body.
    is_login = answer.request.form is not None
    raise _web_page(answer) if answer.is_html and not is_login else _unreadable(answer, fault)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.20} is not a finite number")
    return number


def _unreadable(answer: _Answer, message: str) -> ApiError:
    return answer.error(UnexpectedResponseError, message=message, in_doubt=True)


def _web_page(answer: _Answer) -> ApiError:
    """Return the error for HTML instead of data: the platform refused with its login page."""
    return answer.error(
        PermissionDeniedError,
        message=f"the platform answered with a web page: {answer.title}",
        advice="the account is not permitted to do this, or is not logged in",
        in_doubt=True,
    )


def _refusal(answer: _Answer) -> ApiError:
    status = answer.response.status
    if 300 <= status < 400:  # noqa: PLR2004
        return answer.error(
            ApiError,
            message=f"redirects to {answer.mask.line(answer.header('location', 'nowhere'))}",
            advice="redirects are not followed: check the base URL and the contract's path",
            in_doubt=True,
        )
    family, advice = _BY_STATUS.get(status, (ApiError, ""))
    if family is PermissionDeniedError and answer.request.is_write:
        advice = _MAY_NOT
    if status >= 500:  # noqa: PLR2004
        family = PlatformUnavailableError
    return answer.error(
        family,
        message=answer.message,
        advice=advice,
        retry_after=_retry_after(answer),
        in_doubt=family is PlatformUnavailableError,
    )


def _json_message(text: str) -> str | None:
    """Return the message and code of an error in JSON; None for any other text.

    Forms: `{"status", "name", "message", "code"}`, where `message` may be an object (seen),
    `{"success", "error", "errorCode"}` (seen), and OAuth2's `{"error", "error_description"}`.
    """
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            return None
        names = ("error", "error_description")
        parts = [_as_text(data[name]) for name in names if data.get(name)]
        message = data.get("message") or ": ".join(parts)
        shown = _as_text(message or data)
    except (ValueError, RecursionError):
        return None
    code = next((data[name] for name in ("code", "errorCode") if data.get(name)), None)
    return f"{shown} [code {code}]" if message and type(code) in (int, str) else shown


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _retry_after(answer: _Answer) -> float | None:
    """Return the seconds to wait; a date counts from the answer's own `Date`, if it has one."""
    value = answer.header("retry-after").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    now = _date(answer.header("date")) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())
