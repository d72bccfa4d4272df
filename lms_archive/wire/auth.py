"""Who is calling: the grants, and the one token that all threads share."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from lms_archive.errors import AuthenticationError, InvalidInputError
from lms_archive.wire.clock import Clock

__all__ = [
    "Auth",
    "ClientCredentials",
    "JwtBearer",
    "PasswordGrant",
    "StaticToken",
    "TokenKeeper",
]

RENEW_BEFORE = 60.0

Fetch = Callable[[Mapping[str, str]], Mapping[str, Any]]


class Auth(Protocol):
    """A way to a bearer token: `form()` is what the token call sends."""

    @property
    def client_id(self) -> str:
        """The OAuth2 app."""
        ...

    @property
    def client_secret(self) -> str:
        """The app's secret."""
        ...

    def form(self) -> Mapping[str, str]:
        """The fields of the token call."""
        ...


@frozen
class PasswordGrant:
    """Log in as a user through an OAuth2 app (doc). The account's rights decide what works."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)

    def form(self) -> Mapping[str, str]:
        """The fields of the token call (doc)."""
        return {
            "grant_type": "password",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": self.username,
            "password": self.password,
            "scope": "api",
        }


@frozen
class ClientCredentials:
    """Log in as the OAuth2 app itself (doc)."""

    client_id: str
    client_secret: str = field(repr=False)

    def form(self) -> Mapping[str, str]:
        """The fields of the token call (doc)."""
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scope": "api",
        }


@frozen
class JwtBearer:
    """Log in with a signed assertion (the grant: doc; that it works so: named by others).

    `assertion` is the signed JWT, or a callable without arguments that makes one. It is called
    for every login, since an assertion soon expires.
    """

    client_id: str
    client_secret: str = field(repr=False)
    assertion: str | Callable[[], str] = field(repr=False)

    def form(self) -> Mapping[str, str]:
        """The fields of the token call (named by others)."""
        made = self.assertion() if callable(self.assertion) else self.assertion
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "assertion": made,
            "scope": "api",
        }


@frozen(init=False)
class StaticToken:
    """A bearer token made elsewhere; it cannot be renewed."""

    token: str = field(repr=False)

    def __init__(self, token: str) -> None:
        if not is_token(token.strip()):
            del token  # a traceback that shows variables begins here
            raise InvalidInputError(
                "the token is empty or holds what no token holds (LMS_ARCHIVE_TOKEN)"
            )
        self.__attrs_init__(token.strip())


def is_token(value: object) -> bool:
    """Whether it can stand in a header as a bearer token (RFC 6750)."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


class TokenKeeper:
    """One bearer token for all threads, renewed 60 s before its end and after a 401.

    Where the platform gave a refresh token, that is used (seen), and the grant only where it is
    refused.
    """

    def __init__(self, auth: Auth | StaticToken, clock: Clock) -> None:
        self._auth, self._clock = auth, clock
        self._lock = threading.Lock()
        self._token: str | None = auth.token if isinstance(auth, StaticToken) else None
        self._refresh: str | None = None
        self._renew_at = float("inf")

    @property
    def renewable(self) -> bool:
        """Whether a new token can be had."""
        return not isinstance(self._auth, StaticToken)

    def token(self, fetch: Fetch, *, rejected: str | None = None) -> str:
        """The token to use now; one that the platform has `rejected` is replaced, once for all.

        Args:
            fetch: makes the token call with these fields, and gives its JSON.
            rejected: the token that was answered with 401.

        Raises:
            ApiError: the token call failed.
        """
        with self._lock:
            late = self._clock.monotonic() >= self._renew_at
            if self.renewable and (late or self._token == rejected):
                self._token = None
            if self._token is None:
                self._token = self._new_token(fetch)
            return self._token

    def _new_token(self, fetch: Fetch) -> str:
        begun = self._clock.monotonic()
        answer = self._login(fetch)
        lifetime = _seconds(answer.get("expires_in"))
        self._renew_at = begun + max(lifetime - RENEW_BEFORE, lifetime / 2)
        refresh = answer.get("refresh_token")
        self._refresh = refresh if isinstance(refresh, str) else None
        return str(answer["access_token"])

    def _login(self, fetch: Fetch) -> Mapping[str, Any]:
        assert not isinstance(self._auth, StaticToken)  # noqa: S101  a type guard
        refresh, self._refresh = self._refresh, None
        if refresh is not None:
            form = {
                "grant_type": "refresh_token",
                "client_id": self._auth.client_id,
                "client_secret": self._auth.client_secret,
                "refresh_token": refresh,
            }
            try:
                return fetch(form)
            except AuthenticationError:
                pass
        return fetch(self._auth.form())


def _seconds(lifetime: object) -> float:
    """How long a token lasts; an hour where the platform does not say (doc)."""
    try:
        seconds = float(lifetime)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 3600.0
    return seconds if seconds > 0 else 3600.0
