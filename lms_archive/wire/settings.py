"""What a client was told, checked."""

from __future__ import annotations

import ipaddress
import math
import pickle
import platform
import re
from typing import Any
from urllib.parse import urlsplit

from attrs import asdict, field, frozen

from lms_archive._version import __version__
from lms_archive.errors import InvalidInputError
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.wire.auth import Auth, StaticToken
from lms_archive.wire.contract import Contract
from lms_archive.wire.environment import address_and_auth
from lms_archive.wire.transport import Transport

__all__ = ["Settings", "check_pickled"]


_UNFIT = re.compile(r"[\s\\\x00-\x1f\x7f]")


def checked_base_url(url: str) -> str:
    """The platform's address without a slash at its end.

    Raises:
        InvalidInputError: it is no https address of a host (http is for loopback only), or it
            carries a user, a query or a fragment.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("https", "http") or not host or _UNFIT.search(url):
        may_hold_a_secret = "@" in url or "?" in url
        shown = "what was given" if may_hold_a_secret else repr(url)
        raise InvalidInputError(
            f"the base URL must look like 'https://acme.example.com', not {shown}"
        )
    if parts.username is not None or parts.query or parts.fragment:
        shown = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"
        raise InvalidInputError(
            f"the base URL must hold no user, query or fragment; give {shown!r}"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidInputError(
            f"plain http would show the token to the network: use https://{host}"
        )
    return parts.geturl().rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback and "%" not in host
    except ValueError:
        return host == "localhost"


def checked_timeout(timeout: float | tuple[float, float]) -> tuple[float, float]:
    """Seconds to connect and seconds to read; one number stands for both.

    Raises:
        InvalidInputError: one is no number above 0, or has no end.
    """
    given: Any = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    try:
        connect, read = map(float, given)
    except (TypeError, ValueError):
        connect = read = math.nan
    if not (0 < connect < math.inf and 0 < read < math.inf):
        raise InvalidInputError(
            f"timeout is seconds to connect and seconds to read, not {timeout!r}"
        )
    return connect, read


def checked_app_info(app_info: str | None) -> str | None:
    """The name as it can stand in a header.

    Raises:
        InvalidInputError: it cannot.
    """
    if app_info and not re.fullmatch(r"[ -~]+", app_info):
        raise InvalidInputError(
            f"app_info goes into the user agent: plain ASCII only, not {app_info!r}"
        )
    return app_info


def checked_auth(auth: Auth | StaticToken) -> Auth | StaticToken:
    """Who is calling.

    Raises:
        InvalidInputError: it cannot log in; its value is not quoted, because it may be a secret.
    """
    given: object = auth
    if isinstance(given, type) or not (isinstance(given, StaticToken) or hasattr(given, "form")):
        raise InvalidInputError(
            "auth is a PasswordGrant, ClientCredentials, JwtBearer or StaticToken(...)"
        )
    return auth


@frozen(kw_only=True)
class Settings:
    """Everything a client was told; `from_env` names what the environment told."""

    base_url: str = field(converter=checked_base_url)
    auth: Auth | StaticToken = field(converter=checked_auth)
    contract: Contract
    limits: Limits
    timeout: tuple[float, float] = field(converter=checked_timeout)
    retry: RetryPolicy
    calls_per_hour: int | None
    app_info: str | None = field(default=None, converter=checked_app_info)
    transport: Transport | None = None
    from_env: frozenset[str] = frozenset()

    @property
    def user_agent(self) -> str:
        """Library, Python, and the tool built on top."""
        own = f"lms-archive/{__version__} python/{platform.python_version()}"
        return f"{own} {self.app_info}" if self.app_info else own

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without what the environment told: that is read again."""
        kept = asdict(self, recurse=False, filter=lambda field, _: field.name not in self.from_env)
        for name in ("auth", "transport"):
            check_pickled(name, kept.get(name))
        return _settings, (kept,)


def _settings(kept: dict[str, Any]) -> Settings:
    if kept["from_env"]:
        base_url, auth = address_and_auth(kept.get("base_url"))
        kept = {"base_url": base_url, "auth": auth, **kept}
    return Settings(**kept)


def check_pickled(name: str, value: object) -> None:
    """Refuse what cannot go to another process.

    Raises:
        InvalidInputError: this cannot be pickled.
    """
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001  pickling runs the code of what is pickled
        raise InvalidInputError(
            f"a client with this {name} cannot be pickled ({type(error).__name__}): make it "
            f"where it is used, or give it a {name} of a class at the top of a module"
        ) from None
