"""From an answer to a value or an error: what the status, the headers and the body say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from html import escape
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

from attrs import frozen

from lms_archive.errors import (
    ApiError,
    BadAnswer,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    PlatformUnavailable,
    RateLimited,
)
from lms_archive.wire.contract import Request
from lms_archive.wire.transport import MAX_BODY, Answer

__all__ = ["Reply", "read_answer"]

_DEPTH = 100
_NESTED = frozenset({dict, list})
_LONGEST_WORDS = 300
_MAY_NOT = (
    "the account may not do this. Archiving is for Superadmins; Power Users cannot archive "
    "learning plan enrollments, nor delete archived ones (article)"
)
_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        NotAuthenticated,
        "the token is not accepted; a static one (LMS_ARCHIVE_TOKEN) must be made anew",
    ),
    403: (PermissionDenied, "the account may not do this"),
    404: (NotFound, ""),
    408: (PlatformUnavailable, "the platform gave up waiting"),
    429: (RateLimited, "the hour's calls are used up; other integrations share them"),
}


@frozen
class Reply:
    """A good answer: its JSON, and the platform's clock (UTC) when it was given, if told."""

    data: Any
    date: datetime | None


def read_answer(request: Request, answer: Answer, secrets: Iterable[str | None] = ()) -> Reply:
    """The JSON of a 2xx (its bytes where `raw`), or the error that the answer means.

    Args:
        request: what was sent.
        answer: what came.
        secrets: what no error may quote, in case the answer does.

    Raises:
        ApiError: what the platform said, by family.
    """
    headers = {name.lower(): value for name, value in answer.headers.items()}
    hidden = [form for secret in secrets if secret for form in _quoted(secret)]
    if not 200 <= answer.status < 300:  # noqa: PLR2004  HTTP's own
        _refused(request, answer, headers, hidden)
    return Reply(_decode(request, answer, headers, hidden), _date(headers.get("date")))


def _quoted(secret: str) -> set[str]:
    """The forms in which an answer may quote it."""
    as_json = (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return {secret, *as_json, quote_plus(secret), quote(secret), escape(secret)}


def _decode(
    request: Request, answer: Answer, headers: Mapping[str, str], hidden: Iterable[str]
) -> Any:
    def bad(words: str) -> BadAnswer:
        return BadAnswer(
            request.method, request.path, status=answer.status, words=words, in_doubt=True
        )

    if len(answer.body) > MAX_BODY:
        raise bad(f"more than {MAX_BODY // 2**20} MiB")
    if request.raw:
        return answer.body
    if not answer.body.strip():
        return None
    try:
        data = json.loads(answer.body, parse_constant=_refuse_constant)
        deep = _deeper_than(data, _DEPTH)
    except ValueError as error:
        kind = headers.get("content-type", "no content type")
        said = _words(answer.body, headers, hidden)
        raise bad(f"not JSON ({kind}): {said!r}; {error}") from None
    except RecursionError:
        deep = True
    if deep:
        raise bad(f"JSON nested deeper than {_DEPTH}")
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _deeper_than(data: Any, depth: int) -> bool:
    level = [data] if type(data) in _NESTED else []
    for _ in range(depth):
        level = [
            child
            for one in level
            for inside in [one.values() if type(one) is dict else one]
            if not _NESTED.isdisjoint(map(type, inside))
            for child in inside
            if type(child) in _NESTED
        ]
        if not level:
            return False
    return True


def _refused(
    request: Request, answer: Answer, headers: Mapping[str, str], hidden: Iterable[str]
) -> NoReturn:
    status, words = answer.status, _words(answer.body, headers, hidden)
    if 300 <= status < 400:  # noqa: PLR2004
        where = headers.get("location", "nowhere")[:_LONGEST_WORDS]
        raise ApiError(
            request.method,
            request.path,
            status=status,
            words=f"redirects to {where}",
            advice="redirects are not followed: check the base URL and the contract's path",
        )
    family, advice = _BY_STATUS.get(status, (ApiError, ""))
    if family is PermissionDenied and request.is_write:
        advice = _MAY_NOT
    if status >= 500:  # noqa: PLR2004
        family, advice = PlatformUnavailable, ""
    raise family(
        request.method,
        request.path,
        status=status,
        words=words,
        advice=advice,
        retry_after=_retry_after(headers),
        in_doubt=family is PlatformUnavailable,
    )


def _words(body: bytes, headers: Mapping[str, str], hidden: Iterable[str]) -> str:
    """The platform's own words: `message` may be text or an object (seen); a proxy sends HTML."""
    text = body[: 64 * 1024].decode("utf-8", "replace")
    said = _said(text)
    if said is not None:
        text = said
    elif "html" in headers.get("content-type", "").lower() or text.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        found = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
        text = f"an HTML page: {found}"
    for secret in hidden:
        text = text.replace(secret, "[secret]")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _LONGEST_WORDS else text[: _LONGEST_WORDS - 3] + "..."


def _said(text: str) -> str | None:
    """What an error's JSON object says, with its code; None where the text is none."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            return None
        oauth = [str(data[name]) for name in ("error", "error_description") if data.get(name)]
        said = data.get("message") or (": ".join(oauth) if oauth else data)
        words = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    code = data.get("code")
    return f"{words} [code {code}]" if type(code) in (int, str) and said is not data else words


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; a date is measured against the answer's own `Date`, if it has one."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date")) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())
