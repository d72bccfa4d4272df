"""Read the address, the account and the contract from environment variables."""

from __future__ import annotations

import os

from lms_archive.errors import InvalidInputError
from lms_archive.wire.auth import PasswordGrant, StaticToken
from lms_archive.wire.contract import Contract

__all__ = ["PREFIX", "address_and_auth", "contract_of_environment"]

PREFIX = "LMS_ARCHIVE_"
_LOGIN = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")


def address_and_auth(
    base_url: str | None = None, prefix: str = PREFIX
) -> tuple[str, PasswordGrant | StaticToken]:
    """Return the base URL (*base_url*, if there is one) and the login.

    No local variable holds a secret in plain text, because a traceback may show it.

    Raises:
        InvalidInputError: variables are missing; the message names all of them.
    """
    value: object = prefix
    if not isinstance(value, str):
        raise InvalidInputError(f"prefix must be a text such as 'ACME_', not {prefix!r:.60}")
    with_token = bool(_value("TOKEN", prefix))
    needed = ("URL",) if with_token else ("URL", *_LOGIN)
    missing = [
        name for name in needed if not _value(name, prefix) and not (name == "URL" and base_url)
    ]
    if missing:
        names = ", ".join(f"{prefix}{name}" for name in missing)
        has_login = not any(name in _LOGIN for name in missing)
        hint = "" if has_login else f" (or {prefix}TOKEN instead of CLIENT_ID to PASSWORD)"
        raise InvalidInputError(f"not set in the environment: {names}{hint}")
    url = base_url or _value("URL", prefix)
    if with_token:
        return url, StaticToken(_value("TOKEN", prefix))
    return url, PasswordGrant(*(_value(name, prefix) for name in _LOGIN))


def contract_of_environment(prefix: str = PREFIX) -> Contract | None:
    """Return the contract whose file `LMS_ARCHIVE_CONTRACT` names; None where it is not set.

    Raises:
        InvalidInputError: the file cannot be read, or is not a contract.
    """
    path = _value("CONTRACT", prefix)
    return Contract.load(path) if path else None


def _value(name: str, prefix: str) -> str:
    return os.environ.get(f"{prefix}{name}", "")
