"""From an answer to a value or an error: what the status, the headers and the body say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

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
_LONGEST_WORDS = 300
_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        NotAuthenticated,
        "the token is not accepted; a static one (LMS_ARCHIVE_TOKEN) must be made anew",
    ),
    403: (PermissionDenied, "the account may not do this: archiving is for Superadmins"),
    404: (NotFound, ""),
    408: (PlatformUnavailable, "the platform gave up waiting"),
    429: (RateLimited, "the hour's calls are used up; other integrations share them"),
}


@frozen
class Reply:
    """A good answer: its JSON, and the platform's clock (UTC) when it was given, if told."""

    data: Any
    date: datetime | None


def read_answer(request: Request, answer: Answer) -> Reply:
    """The JSON of a 2xx, or the error that the answer means.

    Raises:
        ApiError: what the platform said, by family.
    """
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if not 200 <= answer.status < 300:  # noqa: PLR2004  HTTP's own
        _refused(request, answer, headers)
    return Reply(_decode(request, answer, headers), _date(headers.get("date")))


def _decode(request: Request, answer: Answer, headers: Mapping[str, str]) -> Any:
    def bad(words: str) -> BadAnswer:
        return BadAnswer(
            request.method, request.path, status=answer.status, words=words, in_doubt=True
        )

    if len(answer.body) > MAX_BODY:
        raise bad(f"more than {MAX_BODY // 2**20} MiB")
    if not answer.body.strip():
        return None
    try:
        data = json.loads(answer.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        kind = headers.get("content-type", "no content type")
        raise bad(f"not JSON ({kind}): {_words(answer.body, headers)!r}; {error}") from None
    if _deeper_than(data, _DEPTH):
        raise bad(f"JSON nested deeper than {_DEPTH}")
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _deeper_than(data: Any, depth: int) -> bool:
    level = [data]
    for _ in range(depth):
        level = [
            child
            for one in level
            if isinstance(one, (dict, list))
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _refused(request: Request, answer: Answer, headers: Mapping[str, str]) -> NoReturn:
    status, words = answer.status, _words(answer.body, headers)
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


def _words(body: bytes, headers: Mapping[str, str]) -> str:
    """The platform's own words: `message` may be text or an object (seen); a proxy sends HTML."""
    text = body[: 64 * 1024].decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        oauth = [data[name] for name in ("error", "error_description") if data.get(name)]
        said = data.get("message") or (": ".join(map(str, oauth)) if oauth else data)
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    elif "html" in headers.get("content-type", "").lower() or text.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        found = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
        text = f"an HTML page: {found}"
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _LONGEST_WORDS else text[: _LONGEST_WORDS - 3] + "..."


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; a date is measured against the answer's own `Date`, not our clock."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until, now = _date(value), _date(headers.get("date"))
    if until is None or now is None:
        return None
    return max(0.0, (until - now).total_seconds())
