"""The address and the account that the environment names."""

from __future__ import annotations

import os

from lms_archive.errors import InvalidInputError
from lms_archive.wire.auth import PasswordGrant, StaticToken

__all__ = ["address_and_auth"]

_LOGIN = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")


def address_and_auth(base_url: str | None = None) -> tuple[str, PasswordGrant | StaticToken]:
    """The base URL, unless given, and who is calling. No variable here holds a secret.

    Raises:
        InvalidInputError: variables are missing; all of them are named.
    """
    with_token = bool(_value("TOKEN"))
    needed = ("URL",) if with_token else ("URL", *_LOGIN)
    missing = [name for name in needed if not _value(name) and not (name == "URL" and base_url)]
    if missing:
        names = ", ".join(f"LMS_ARCHIVE_{name}" for name in missing)
        hint = "" if with_token else " (or LMS_ARCHIVE_TOKEN instead of the last four)"
        raise InvalidInputError(f"not set in the environment: {names}{hint}")
    url = base_url or _value("URL")
    if with_token:
        return url, StaticToken(_value("TOKEN"))
    return url, PasswordGrant(*map(_value, _LOGIN))


def _value(name: str) -> str:
    return os.environ.get(f"LMS_ARCHIVE_{name}", "")
