"""Check and hold the settings of a client, or read them from environment variables."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
from typing import Any, TypedDict, TypeVar
from urllib.parse import urlsplit

from attrs import Attribute, asdict, field, frozen

from lms_archive._version import __version__
from lms_archive.errors import InvalidInputError
from lms_archive.limits import LONGEST, Limits, RetryPolicy, Validator
from lms_archive.wire.auth import Auth, PasswordGrant, StaticToken
from lms_archive.wire.calls import OnCall
from lms_archive.wire.contract import Contract
from lms_archive.wire.transport import Transport

T = TypeVar("T")

PREFIX = "LMS_ARCHIVE_"
_LOGIN = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")
_TRANSPORT = "a callable that carries one exchange (see lms_archive.wire.Transport)"
_ON_CALL = "a function that takes a Call"
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}


def _base_url(url: str) -> str:
    """Return the platform's address with the host in lower case, and no default port or last slash.

    It must be an https address of a host (http is for loopback only), without a user, a query or a
    fragment. The message quotes nothing that may be a secret.
    """
    if not isinstance(url, str):
        raise InvalidInputError(f"base_url must be a str, not {type(url).__name__}")
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in _PORTS or not host or _UNSAFE.search(url):
        may_hold_a_secret = "@" in url or "?" in url
        shown = "this value" if may_hold_a_secret else repr(url)
        raise InvalidInputError(
            f"the base URL must look like 'https://acme.example.com', not {shown}"
        )
    name = f"[{host}]" if ":" in host else host
    shown_port = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    address = f"{parts.scheme}://{name}{shown_port}{parts.path}".rstrip("/")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInputError(
            f"the base URL must not contain a user, a query or a fragment; give {address!r}"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidInputError(
            f"plain http would expose the token on the network: use https://{name}"
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback and "%" not in host
    except ValueError:
        return host == "localhost"


def _timeout(value: float | tuple[float, float]) -> tuple[float, float]:
    pair: Any = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(  # noqa: PLR2004
        type(seconds) in (int, float) and 0 < seconds <= LONGEST for seconds in pair
    ):
        raise InvalidInputError(
            f"timeout must be a number of seconds above 0, at most {LONGEST:,}, or a pair of them "
            f"(to connect, to read), not {value!r:.60}"
        )
    return float(pair[0]), float(pair[1])


def _check_calls_per_hour(_: Any, __: Any, calls: Any) -> None:
    if calls is not None and not (type(calls) is int and calls >= 1):
        raise InvalidInputError(
            f"calls_per_hour must be a whole number, at least 1, or None, not {calls!r:.60}"
        )


def _check_app_info(_: Any, __: Any, app_info: Any) -> None:
    fits = isinstance(app_info, str) and re.fullmatch(r"[ -~]*", app_info)
    if app_info is not None and not fits:
        raise InvalidInputError(
            "app_info goes into the user agent: it must be one line of plain ASCII, "
            f"not {app_info!r:.60}"
        )


def _check_auth(_: Any, __: Any, auth: Any) -> None:
    """Check that a login is one of the four kinds, or has their methods; never quote it."""
    is_login = isinstance(auth, StaticToken) or callable(getattr(auth, "form", None))
    if isinstance(auth, type) or not is_login:
        shown = f"the class {auth.__name__}" if isinstance(auth, type) else type(auth).__name__
        raise InvalidInputError(
            "auth must be a PasswordGrant, ClientCredentials, JwtBearer or StaticToken(...), "
            f"not {shown}"
        )


def _contract(value: Contract | None) -> Contract:
    return _checked("contract", value, Contract.default(), "Contract.default()")


def _limits(value: Limits | None) -> Limits:
    return _checked("limits", value, Limits(), "Limits(page_size=50)")


def _retry(value: RetryPolicy | None) -> RetryPolicy:
    return _checked("retry", value, RetryPolicy(), "RetryPolicy(attempts=3)")


def _checked(name: str, value: T | None, default: T, example: str) -> T:
    if value is None:
        return default
    if not isinstance(value, type(default)):
        expected = f"{name} must be a {type(default).__name__}, such as {example}"
        raise InvalidInputError(f"{expected}, not {value!r:.60}")
    return value


def _is_function(description: str) -> Validator:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and (not callable(value) or isinstance(value, type)):
            raise InvalidInputError(f"{attribute.name} must be {description}, not {value!r:.60}")

    return check


class ClientOptions(TypedDict, total=False):
    """The options of `Client` and `Client.from_env`, for type checkers."""

    contract: Contract | None
    limits: Limits | None
    timeout: float | tuple[float, float]
    retry: RetryPolicy | None
    calls_per_hour: int | None
    app_info: str | None
    transport: Transport | None
    on_call: OnCall | None


class ChangedOptions(ClientOptions, total=False):
    """The options of `Client.with_options`, for type checkers."""

    auth: Auth | StaticToken


@frozen(kw_only=True)
class Settings:
    """The arguments of a client; `from_env` names those that come from the environment."""

    base_url: str = field(converter=_base_url)
    auth: Auth | StaticToken = field(validator=_check_auth)
    contract: Contract = field(default=None, converter=_contract)
    limits: Limits = field(default=None, converter=_limits)
    timeout: tuple[float, float] = field(default=(10, 60), converter=_timeout)
    retry: RetryPolicy = field(default=None, converter=_retry)
    calls_per_hour: int | None = field(default=800, validator=_check_calls_per_hour)
    app_info: str | None = field(default=None, validator=_check_app_info)
    transport: Transport | None = field(default=None, validator=_is_function(_TRANSPORT))
    on_call: OnCall | None = field(default=None, validator=_is_function(_ON_CALL))
    from_env: frozenset[str] = frozenset()
    env_prefix: str = PREFIX

    @property
    def user_agent(self) -> str:
        """The versions of the library and of Python, and the tool built on the library."""
        own = f"lms-archive/{__version__} python/{platform.python_version()}"
        return f"{own} {self.app_info}" if self.app_info else own

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the settings from the environment, which unpickling reads again."""
        kept = asdict(self, recurse=False, filter=lambda field, _: field.name not in self.from_env)
        return _settings, (kept,)


def _settings(kept: dict[str, Any]) -> Settings:
    if kept["from_env"]:
        base_url, auth = address_and_auth(kept.get("base_url"), kept["env_prefix"])
        kept = {"base_url": base_url, "auth": auth, **kept}
    return Settings(**kept)


def address_and_auth(
    base_url: str | None = None, prefix: str = PREFIX
) -> tuple[str, PasswordGrant | StaticToken]:
    """Return the base URL (*base_url*, if there is one) and the login; name all missing variables.

    No local variable holds a secret in plain text, because a traceback may show it.
    """
    value: object = prefix
    if not isinstance(value, str):
        raise InvalidInputError(f"prefix must be a text such as 'ACME_', not {prefix!r:.60}")
    with_token = bool(_value("TOKEN", prefix))
    needed = [*([] if base_url else ["URL"]), *([] if with_token else _LOGIN)]
    missing = [name for name in needed if not _value(name, prefix)]
    if missing:
        names = ", ".join(f"{prefix}{name}" for name in missing)
        login = [name for name in missing if name in _LOGIN]
        replaced = "the last four" if len(login) == len(_LOGIN) else "the whole login"
        hint = f" ({prefix}TOKEN can replace {replaced})" if login else ""
        raise InvalidInputError(f"not set in the environment: {names}{hint}")
    url = base_url or _value("URL", prefix)
    if with_token:
        return url, StaticToken(_value("TOKEN", prefix))
    return url, PasswordGrant(*(_value(name, prefix) for name in _LOGIN))


def contract_of_environment(prefix: str = PREFIX) -> Contract | None:
    """Return the contract whose file `LMS_ARCHIVE_CONTRACT` names; None where it is not set."""
    path = _value("CONTRACT", prefix)
    return Contract.load(path) if path else None


def _value(name: str, prefix: str) -> str:
    return os.environ.get(f"{prefix}{name}", "")
