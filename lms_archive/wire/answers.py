"""From an answer to a value or an error: what the status, the headers and the body say."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
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
from lms_archive.wire.hiding import MARK, forms_of, one_line, without_secrets
from lms_archive.wire.transport import MAX_BODY, Response

__all__ = ["Reply", "read_answer"]

_DEPTH = 100
_NESTED = frozenset({dict, list})
_VALUES = 1_000_000
_DIGITS = 4_300
"""Python's own limit, where it has one."""
_A_SECRET = 16
_MAY_NOT = (
    "the account may not do this. Archiving is for Superadmins; Power Users cannot archive "
    "learning plan enrollments, nor delete archived ones (article)"
)
_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        AuthenticationError,
        "the token is not accepted; a static one (LMS_ARCHIVE_TOKEN) must be made anew",
    ),
    403: (PermissionDeniedError, "the account may not do this"),
    404: (NotFoundError, ""),
    408: (PlatformUnavailableError, "the platform gave up waiting"),
    429: (RateLimitError, "the hour's calls are used up; other integrations share them"),
}


@frozen
class Reply:
    """A good answer: its JSON, and the platform's clock (UTC) when it was given, if told."""

    data: Any = field(repr=False)
    date: datetime | None


def read_answer(request: Request, answer: Response, secrets: Iterable[str | None] = ()) -> Reply:
    """The JSON of a 2xx (its bytes where `raw`), or the error that the answer means.

    Args:
        request: what was sent.
        answer: what came.
        secrets: what no error may quote, in case the answer does.

    Raises:
        ApiError: what the platform said, by family.
    """
    headers = {name.lower(): value for name, value in answer.headers.items()}
    hidden = forms_of(secrets)
    if not 200 <= answer.status < 300:  # noqa: PLR2004  HTTP's own
        _refused(request, answer, headers, hidden)
    return Reply(_decode(request, answer, headers, hidden), _date(headers.get("date")))


def _decode(
    request: Request, answer: Response, headers: Mapping[str, str], hidden: Iterable[str]
) -> Any:
    def bad(words: str) -> UnexpectedResponseError:
        return UnexpectedResponseError(
            request.method, request.path, status=answer.status, message=words, in_doubt=True
        )

    if len(answer.body) > MAX_BODY:
        raise bad(f"more than {MAX_BODY // 2**20} MiB")
    if request.raw:
        return answer.body
    if not answer.body.strip():
        return None
    brackets = answer.body.count(b"[") + answer.body.count(b"{")
    # Each value costs up to a hundred times the one byte that it may be written in.
    if len(answer.body) > _VALUES and brackets + answer.body.count(b",") > _VALUES:
        raise bad(f"JSON of more than {_VALUES:,} values")
    fault = ""
    try:
        data = json.loads(
            _unquoted(request, answer.body, hidden),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_parse_int(),
        )
        deep = _deeper_than(data, _DEPTH, brackets)
    except ValueError as error:
        fault = str(error)  # not the error itself: that holds the whole body
    except RecursionError:
        deep = True
    if fault:
        kind = one_line(headers.get("content-type", "no content type"), hidden)
        raise bad(f"not JSON ({kind}): {_words(answer.body, headers, hidden)!r}; {fault}")
    if deep:
        raise bad(f"JSON nested deeper than {_DEPTH}")
    return data


def _unquoted(request: Request, body: bytes, hidden: Iterable[str]) -> bytes:
    """The body without the token, which a platform may send back: records are kept on disk.

    The answer to a login is left as it is: it may give the same refresh token again.
    """
    for form in hidden:
        if request.form is None and len(form) >= _A_SECRET:
            body = body.replace(form.encode(errors="replace"), MARK.encode())
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number


def _parse_int() -> Callable[[str], int] | None:
    """What makes whole numbers: Python itself, unless it would take as many digits as come."""
    limit = getattr(sys, "get_int_max_str_digits", int)()  # not before 3.10.7
    return None if 0 < limit <= _DIGITS else _integer


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"Exceeds the limit of {_DIGITS:,} digits: a number of {len(text):,}")
    return int(text)


def _deeper_than(data: Any, depth: int, brackets: int) -> bool:
    """Whether a value is nested so deep; its text has so many opening brackets at most."""
    level = [data] if type(data) in _NESTED else []
    for nested in range(depth):
        brackets -= len(level)
        if nested + 1 + brackets <= depth:
            return False  # too few are left to get there: most pages are not looked into
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
    request: Request, answer: Response, headers: Mapping[str, str], hidden: Iterable[str]
) -> NoReturn:
    status, words = answer.status, _words(answer.body, headers, hidden)
    if 300 <= status < 400:  # noqa: PLR2004
        where = one_line(headers.get("location", "nowhere"), hidden)
        raise ApiError(
            request.method,
            request.path,
            status=status,
            message=f"redirects to {where}",
            advice="redirects are not followed: check the base URL and the contract's path",
        )
    family, advice = _BY_STATUS.get(status, (ApiError, ""))
    if family is PermissionDeniedError and request.is_write:
        advice = _MAY_NOT
    if status >= 500:  # noqa: PLR2004
        family, advice = PlatformUnavailableError, ""
    raise family(
        request.method,
        request.path,
        status=status,
        message=words,
        advice=advice,
        retry_after=_retry_after(headers),
        in_doubt=family is PlatformUnavailableError,
    )


def _words(body: bytes, headers: Mapping[str, str], hidden: Iterable[str]) -> str:
    """The platform's own words: `message` may be text or an object (seen); a proxy sends HTML."""
    text = without_secrets(body[: 64 * 1024].decode("utf-8", "replace"), hidden)
    said = _said(text)
    if said is not None:
        text = said
    elif "html" in headers.get("content-type", "").lower() or text.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        found = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
        text = f"an HTML page: {found}"
    return one_line(text, hidden)


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
