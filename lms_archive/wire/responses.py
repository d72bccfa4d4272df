"""Turn an answer into a value or an error, by its status, headers and body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, NoReturn

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
from lms_archive.wire.contract import Request
from lms_archive.wire.masking import Mask
from lms_archive.wire.transport import MAX_BODY, Response

__all__ = ["Payload", "parse_response"]

_TOKEN = 16
"""The shortest secret that is removed from good answers too: records are stored on disk."""
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


@frozen
class _Answer:
    """An answer, with its request and the mask for messages about it."""

    request: Request
    response: Response
    headers: Mapping[str, str]
    mask: Mask

    def error(self, family: type[ApiError], **details: Any) -> ApiError:
        return family(
            self.request.method, self.request.path, status=self.response.status, **details
        )

    @property
    def is_html(self) -> bool:
        start = self.response.body[:256].lstrip().lower()
        return start.startswith((b"<!doctype html", b"<html")) or (
            "html" in self.headers.get("content-type", "").lower()
        )


def parse_response(request: Request, response: Response, mask: Mask | None = None) -> Payload:
    """Return the JSON of a 2xx answer (a `Response` where `raw`), or raise the error for another.

    Args:
        request: the request that was sent.
        response: the answer.
        mask: removes secrets from the parts of the answer that an error quotes.

    Raises:
        ApiError: the platform refused or failed; the class depends on the status.
    """
    headers = response.headers
    answer = _Answer(request, response, headers, mask or Mask())
    if not 200 <= response.status < 300:  # noqa: PLR2004  statuses of HTTP
        _raise_refusal(answer)
    return Payload(_decode(answer), _date(headers.get("date")))


def _decode(answer: _Answer) -> Any:
    request, body = answer.request, answer.response.body
    if len(body) > MAX_BODY:
        raise _unreadable(answer, f"more than {MAX_BODY // 2**20} MiB")
    if request.raw:
        if answer.is_html:
            raise _web_page(answer)
        headers = {name: answer.mask(value) for name, value in answer.response.headers.items()}
        return Response(answer.response.status, headers, answer.mask.in_bytes(body, _TOKEN))
    if not body.strip():
        return None
    data = _json(answer)
    if isinstance(data, dict) and data.get("success") is False:
        raise answer.error(ApiError, message=_message(answer), in_doubt=True)
    return data


def _json(answer: _Answer) -> Any:
    body, is_login = answer.response.body, answer.request.form is not None
    if not is_login:  # the answer to a login may hold the same refresh token again
        body = answer.mask.in_bytes(body, _TOKEN)
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        fault = "JSON nested too deeply"
    except ValueError as error:
        kind = answer.mask.line(answer.headers.get("content-type", "no content type"))
        fault = f"not JSON ({kind}): {_message(answer)!r}; {error}"
    # Not raised from the error of json, which holds the whole body.
    raise _web_page(answer) if answer.is_html and not is_login else _unreadable(answer, fault)


def _unreadable(answer: _Answer, message: str) -> ApiError:
    return answer.error(UnexpectedResponseError, message=message, in_doubt=True)


def _web_page(answer: _Answer) -> ApiError:
    """Return the error for HTML instead of data: the platform refused, and showed its login page.

    Evidence: seen.
    """
    return answer.error(
        PermissionDeniedError,
        message=f"the platform answered with a web page: {answer.mask.line(_title(_text(answer)))}",
        advice="the account is not permitted to do this, or is not logged in",
        in_doubt=True,
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number


def _raise_refusal(answer: _Answer) -> NoReturn:
    status = answer.response.status
    if 300 <= status < 400:  # noqa: PLR2004
        location = answer.mask.line(answer.headers.get("location", "nowhere"))
        raise answer.error(
            ApiError,
            message=f"redirects to {location}",
            advice="redirects are not followed: check the base URL and the contract's path",
        )
    family, advice = _BY_STATUS.get(status, (ApiError, ""))
    if family is PermissionDeniedError and answer.request.is_write:
        advice = _MAY_NOT
    if status >= 500:  # noqa: PLR2004
        family, advice = PlatformUnavailableError, ""
    raise answer.error(
        family,
        message=_message(answer),
        advice=advice,
        retry_after=_retry_after(answer.headers),
        in_doubt=family is PlatformUnavailableError,
    )


def _message(answer: _Answer) -> str:
    """Return the platform's message on one line, without secrets."""
    text = _text(answer)
    message = _json_message(text)
    if message is None and (answer.is_html or text.lstrip()[:1] == "<"):
        message = f"an HTML page: {_title(text)}"
    return answer.mask.line(text if message is None else message)


def _text(answer: _Answer) -> str:
    return answer.mask(answer.response.body[: 64 * 1024].decode("utf-8", "replace"))


def _title(html: str) -> str:
    title = re.search(r"<title[^<>]*>([^<]*)", html, re.IGNORECASE)
    return title.group(1) if title else re.sub(r"<[^<>]*>", " ", html)


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


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait; a date counts from the answer's own `Date`, if it has one."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date")) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())
