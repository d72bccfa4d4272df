"""Check and hold the settings of a client."""

from __future__ import annotations

import ipaddress
import math
import pickle
import platform
import re
from typing import Any, TypedDict, TypeVar
from urllib.parse import urlsplit

from attrs import asdict, field, frozen

from lms_archive._version import __version__
from lms_archive.errors import InvalidInputError
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.wire.auth import Auth, StaticToken
from lms_archive.wire.calls import OnCall
from lms_archive.wire.contract import Contract
from lms_archive.wire.environment import PREFIX, address_and_auth
from lms_archive.wire.transport import Transport

__all__ = ["ChangedOptions", "ClientOptions", "Settings", "check_pickled"]

T = TypeVar("T")

_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}


def checked_base_url(url: str) -> str:
    """Return the platform's address with the host in lower case, and no default port or last slash.

    Raises:
        InvalidInputError: it is not an https address of a host (http is for loopback only), or it
            contains a user, a query or a fragment.
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


def checked_timeout(timeout: float | tuple[float, float]) -> tuple[float, float]:
    """Return seconds to connect and seconds to read; one number sets both.

    Raises:
        InvalidInputError: one of them is not a finite number above 0.
    """
    pair: Any = timeout if isinstance(timeout, (tuple, list)) else (timeout, timeout)
    if len(pair) != 2 or not all(_is_seconds(value) for value in pair):  # noqa: PLR2004
        raise InvalidInputError(
            "timeout must be a number of seconds above 0, or a pair of them (to connect, to read), "
            f"not {timeout!r:.60}"
        )
    return float(pair[0]), float(pair[1])


def _is_seconds(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 < value < math.inf  # type: ignore[operator]


def checked_calls_per_hour(calls: int | None) -> int | None:
    """Return the number of calls, or None for no limit.

    Raises:
        InvalidInputError: it is neither None nor a whole number above 0.
    """
    if calls is None or (type(calls) is int and calls >= 1):
        return calls
    raise InvalidInputError(
        f"calls_per_hour must be a whole number, at least 1, or None, not {calls!r:.60}"
    )


def checked_app_info(app_info: str | None) -> str | None:
    """Return the name if it can be sent in a header, or None for an empty one.

    Raises:
        InvalidInputError: it cannot be sent in a header.
    """
    if app_info is None or app_info == "":
        return None
    value: object = app_info
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]+", value):
        raise InvalidInputError(
            "app_info goes into the user agent: it must be one line of plain ASCII, "
            f"not {app_info!r:.60}"
        )
    return app_info


def checked_auth(auth: Auth | StaticToken) -> Auth | StaticToken:
    """Return the login if it is one of the four kinds, or has their methods.

    Raises:
        InvalidInputError: it is not a login. The message does not quote the value, which may be a
            secret.
    """
    value: Any = auth
    if isinstance(value, StaticToken):
        return value
    if isinstance(value, type) or not callable(getattr(value, "form", None)):
        raise InvalidInputError(
            "auth must be a PasswordGrant, ClientCredentials, JwtBearer or StaticToken(...), not "
            + (f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__)
        )
    return auth


def checked_transport(transport: Transport | None) -> Transport | None:
    """Return the transport if it can be called.

    Raises:
        InvalidInputError: it cannot be called.
    """
    value: object = transport
    if value is None or (callable(value) and not isinstance(value, type)):
        return transport
    raise InvalidInputError(
        "transport must be a callable that carries one exchange (see lms_archive.wire.Transport), "
        f"not {transport!r:.60}"
    )


def checked_contract(contract: Contract | None) -> Contract:
    """Return the contract, or the default one for None."""
    default = Contract.default()
    return _checked("contract", contract, default, "Contract.default()")


def checked_limits(limits: Limits | None) -> Limits:
    """Return the limits, or the default ones for None."""
    return _checked("limits", limits, Limits(), "Limits(page_size=50)")


def checked_retry(retry: RetryPolicy | None) -> RetryPolicy:
    """Return the policy, or the default one for None."""
    return _checked("retry", retry, RetryPolicy(), "RetryPolicy(attempts=3)")


def _checked(name: str, value: T | None, default: T, example: str) -> T:
    if value is None:
        return default
    if not isinstance(value, type(default)):
        expected = f"{name} must be a {type(default).__name__}, such as {example}"
        raise InvalidInputError(f"{expected}, not {value!r:.60}")
    return value


def checked_on_call(on_call: OnCall | None) -> OnCall | None:
    """Return the listener.

    Raises:
        InvalidInputError: it cannot be called.
    """
    value: object = on_call
    if value is None or callable(value):
        return on_call
    raise InvalidInputError(f"on_call must be a function that takes a Call, not {on_call!r:.60}")


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

    base_url: str = field(converter=checked_base_url)
    auth: Auth | StaticToken = field(converter=checked_auth)
    contract: Contract = field(default=None, converter=checked_contract)
    limits: Limits = field(default=None, converter=checked_limits)
    timeout: tuple[float, float] = field(default=(10, 60), converter=checked_timeout)
    retry: RetryPolicy = field(default=None, converter=checked_retry)
    calls_per_hour: int | None = field(default=800, converter=checked_calls_per_hour)
    app_info: str | None = field(default=None, converter=checked_app_info)
    transport: Transport | None = field(default=None, converter=checked_transport)
    on_call: OnCall | None = field(default=None, converter=checked_on_call)
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
        for name in ("auth", "transport", "on_call"):
            check_pickled(name, kept.get(name))
        return _settings, (kept,)


def _settings(kept: dict[str, Any]) -> Settings:
    if kept["from_env"]:
        base_url, auth = address_and_auth(kept.get("base_url"), kept["env_prefix"])
        kept = {"base_url": base_url, "auth": auth, **kept}
    return Settings(**kept)


def check_pickled(name: str, value: object) -> None:
    """Check that a value can be pickled.

    Raises:
        InvalidInputError: it cannot be pickled.
    """
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001  pickling runs code of the value
        raise InvalidInputError(
            f"a client with this {name} cannot be pickled ({type(error).__name__}): create the "
            f"client where it is used, or give it a {name} whose class is at the top of a module"
        ) from None
