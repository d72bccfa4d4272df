"""Keep secrets out of text: values that never print, and masks for the platform's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from lms_archive.errors import InvalidInputError

MASK = "[secret]"
_MAX_TEXT = 300
_TOKEN = 16
"""From this length on, a secret is removed from good answers too, which are stored on disk, and
the value of a field such as `access_token` is masked, whatever it is."""
_FIELD = re.compile(
    r"""((?:access_token|refresh_token|id_token|client_secret|token|password|assertion)"""
    r"""[\\"']*\s*[:=]\s*[\\"']*)([^\\"'&\s,;}<]+)""",
    re.IGNORECASE,
)
"""`name=value` or `"name": "value"`, where the name is that of a secret."""


@frozen(repr=False)
class Secret:
    """A text that only `reveal()` returns; its repr is masked."""

    _value: str = field()

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"


def secret(value: str | Secret) -> Secret:
    """Wrap a text that must not be printed; the error for another value does not quote it."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise InvalidInputError(f"a secret must be a str, not {type(value).__name__}")
    if not is_encodable(value):
        raise InvalidInputError("a secret contains half a character (a lone surrogate)")
    return Secret(value)


def is_encodable(text: str) -> bool:
    """Return whether a text can be sent; half a character (a lone surrogate) cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Mask:
    """A filter that removes secrets from text that the platform sent.

    A secret is removed wherever it occurs, in each encoding in which it may be quoted. A secret
    that could be part of an ordinary sentence (short letters and digits, or a plain word) is
    removed only where it is the value of a field whose name says that it is secret; so is any long
    value of a field such as `access_token`.
    """

    def __init__(self, secrets: Iterable[Secret | None] = ()) -> None:
        values = [value.reveal() for value in secrets if value is not None]
        strong = [value for value in values if not _is_common(value)]
        self._strong = sorted(
            {text for value in strong for text in encodings_of(value)}, key=len, reverse=True
        )
        self._common = frozenset(value for value in values if _is_common(value))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for value in self._strong:
            text = text.replace(value, MASK)
        return _FIELD.sub(self._mask_field, text)

    def _mask_field(self, match: re.Match[str]) -> str:
        name, value = match.groups()
        named = "_" in name and len(value) >= _TOKEN
        return name + MASK if named or value in self._common else name + value

    def in_bytes(self, body: bytes) -> bytes:
        """Return the body of a good answer without long secrets."""
        for value in self._strong:
            if len(value) >= _TOKEN:
                body = body.replace(value.encode(errors="replace"), MASK.encode())
        return body

    def line(self, text: str) -> str:
        """Return the text on one line, without secrets and control characters, shortened."""
        text = self(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."


def _is_common(value: str) -> bool:
    """Return whether a sentence of the platform may contain this text by chance."""
    if len(value) < 4:  # noqa: PLR2004  too short to be a secret, and occurs everywhere
        return True
    return re.fullmatch(r"[^\W_]{1,7}|[^\W\d_]{1,15}", value) is not None


def encodings_of(value: str) -> set[str]:
    """Return the forms in which an answer may quote a text: as is, JSON, form-encoded, HTML."""
    as_json = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    as_json |= {text.replace("/", "\\/") for text in as_json}
    encoded = {quote_plus(value), quote(value), quote(value, safe="")}
    return {value, *as_json, *encoded, escape(value), escape(value, quote=False)}
