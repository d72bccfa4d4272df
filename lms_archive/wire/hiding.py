"""What people and tools are shown holds no secret: neither words nor a traceback's variables."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, quote_plus

__all__ = ["MARK", "forget_variables", "forms_of", "one_line", "without_secrets"]

MARK = "[secret]"
_LONGEST = 300
_SHORTEST = 4
_NAMED = re.compile(
    r"((?:access_token|refresh_token|id_token|client_secret|password|assertion|bearer)"
    r"""[\\"'\s:=]+)[^\\"'&\s,;}<]+""",
    re.IGNORECASE,
)


def forms_of(secrets: Iterable[str | None]) -> list[str]:
    """The forms in which an answer may quote these, the longest first.

    What is shorter than four characters would garble every text, and hide nothing.
    """
    found: set[str] = set()
    for secret in secrets:
        if secret and len(secret) >= _SHORTEST:
            as_json = {json.dumps(secret, ensure_ascii=only)[1:-1] for only in (True, False)}
            found |= {secret, quote_plus(secret), quote(secret), quote(secret, safe="")}
            found |= as_json | {one.replace("/", "\\/") for one in as_json}
            found |= {escape(secret), escape(secret, quote=False)}
    return sorted(found, key=len, reverse=True)


def without_secrets(text: str, forms: Iterable[str]) -> str:
    """The text without these, nor what it calls a token or a password itself."""
    for form in forms:
        text = text.replace(form, MARK)
    return _NAMED.sub(rf"\g<1>{MARK}", text)


def one_line(text: str, hidden: Iterable[str]) -> str:
    """A stranger's text on one line, without secrets, cut where it is long."""
    text = without_secrets(text, hidden)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def forget_variables(error: BaseException, handled: BaseException | None) -> None:
    """Clear the variables of the frames that an error came through, and its causes.

    Those frames hold token and login, and tools print them. Their lines stay.

    Args:
        error: what passes.
        handled: what the caller was handling already: its frames are the caller's.
    """
    seen, left = {id(handled)}, [error]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
