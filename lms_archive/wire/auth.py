"""Log in: the OAuth2 grants, and the token that all threads share."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import Attribute, field, frozen

from lms_archive.errors import AuthenticationError, InvalidInputError
from lms_archive.wire.masking import Secret, is_encodable, secret
from lms_archive.wire.waits import Clock

RENEW_BEFORE = 60.0
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Form = Mapping[str, str | Secret]
Fetch = Callable[[Form], Mapping[str, Any]]


class Auth(Protocol):
    """A login that obtains a bearer token: the token call sends `form()`."""

    @property
    def client_id(self) -> str:
        """The id of the OAuth2 app."""
        ...

    @property
    def client_secret(self) -> str | Secret:
        """The secret of the OAuth2 app."""
        ...

    def form(self) -> Mapping[str, str | Secret]:
        """Return the fields of the token call."""
        ...


def _form(auth: Auth, grant_type: str, **fields: str | Secret) -> Form:
    app = {"client_id": auth.client_id, "client_secret": auth.client_secret}
    return {"grant_type": grant_type, **app, **fields}


def _is_text(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidInputError(f"{attribute.name} must be a str, not {type(value).__name__}")
    if not is_encodable(value):
        raise InvalidInputError(f"{attribute.name} contains half a character (a lone surrogate)")


@frozen
class PasswordGrant(Auth):
    """A login as a user through an OAuth2 app. The account's permissions decide what works."""

    client_id: str = field(validator=_is_text)
    client_secret: Secret = field(converter=secret, repr=False)
    username: str = field(validator=_is_text)
    password: Secret = field(converter=secret, repr=False)

    def form(self) -> Mapping[str, str | Secret]:
        """Return the fields of the token call."""
        return _form(self, "password", username=self.username, password=self.password, scope="api")


@frozen
class ClientCredentials(Auth):
    """A login as the OAuth2 app itself."""

    client_id: str = field(validator=_is_text)
    client_secret: Secret = field(converter=secret, repr=False)

    def form(self) -> Mapping[str, str | Secret]:
        """Return the fields of the token call."""
        return _form(self, "client_credentials", scope="api")


def _assertion(value: str | Secret | Callable[[], str]) -> Secret | Callable[[], str]:
    return value if callable(value) else secret(value)


@frozen
class JwtBearer(Auth):
    """A login with a signed assertion.

    `assertion` is the signed JWT, or a callable without arguments that returns it. It is called
    for every login, because an assertion soon expires. Evidence: the grant is in Docebo's pages;
    the form of the call is only named by others.
    """

    client_id: str = field(validator=_is_text)
    client_secret: Secret = field(converter=secret, repr=False)
    assertion: Secret | Callable[[], str] = field(converter=_assertion, repr=False)

    def form(self) -> Mapping[str, str | Secret]:
        """Return the fields of the token call."""
        assertion = secret(self.assertion() if callable(self.assertion) else self.assertion)
        return _form(self, _JWT_BEARER, assertion=assertion, scope="api")


def _token(value: str | Secret) -> Secret:
    text = secret(value).reveal().strip()
    if not is_token(text):
        raise InvalidInputError(
            "the token is empty or contains characters that a token cannot have (LMS_ARCHIVE_TOKEN)"
        )
    return Secret(text)


@frozen
class StaticToken:
    """A bearer token obtained elsewhere; it cannot be renewed."""

    token: Secret = field(converter=_token, repr=False)


def is_token(value: object) -> bool:
    """Return whether a value can be sent in a header as a bearer token (RFC 6750)."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


class TokenKeeper:
    """The bearer token of all threads, renewed 60 s before it expires and after a 401.

    Where the platform sent a refresh token, that is used first (seen), and the grant where the
    platform refuses it.
    """

    def __init__(self, auth: Auth | StaticToken, clock: Clock) -> None:
        self._auth, self._clock = auth, clock
        self._lock = threading.Lock()
        self._token: Secret | None = auth.token if isinstance(auth, StaticToken) else None
        self._refresh: Secret | None = None
        self._renew_at = float("inf")

    @property
    def renewable(self) -> bool:
        """Whether a new token can be requested."""
        return not isinstance(self._auth, StaticToken)

    def token(self, fetch: Fetch, *, rejected: Secret | None = None) -> Secret:
        """Return the current token; replace the one that was answered with 401 (*rejected*)."""
        with self._lock:
            late = self._clock.monotonic() >= self._renew_at
            if self.renewable and (late or self._token == rejected):
                self._token = None
            if self._token is None:
                self._token = self._new_token(fetch)
            return self._token

    def _new_token(self, fetch: Fetch) -> Secret:
        started = self._clock.monotonic()
        answer = self._login(fetch)
        lifetime = _seconds(answer.get("expires_in"))
        self._renew_at = started + max(lifetime - RENEW_BEFORE, lifetime / 2)
        refresh = answer.get("refresh_token")
        self._refresh = Secret(refresh) if isinstance(refresh, str) else None
        return Secret(str(answer["access_token"]))

    def _login(self, fetch: Fetch) -> Mapping[str, Any]:
        assert not isinstance(self._auth, StaticToken)  # noqa: S101  a type guard
        refresh, self._refresh = self._refresh, None
        if refresh is not None:
            try:
                return fetch(_form(self._auth, "refresh_token", refresh_token=refresh))
            except AuthenticationError:
                pass
        return fetch(self._auth.form())


def _seconds(lifetime: object) -> float:
    """Return the lifetime of a token; an hour where the platform does not say."""
    try:
        seconds = float(lifetime)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 3600.0
    return seconds if seconds > 0 else 3600.0


def login_advice(message: str, grant: str, prefix: str) -> str:
    """Return which setting to check after a refused login, by the error codes of OAuth2."""
    text = message.lower()
    app = f"client_id and client_secret ({prefix}CLIENT_ID, _CLIENT_SECRET)"
    account = {
        "password": f"username and password ({prefix}USERNAME, _PASSWORD)",
        "client_credentials": app,
    }.get(grant, "the assertion: its issuer, its audience and its expiry")
    if "client" in text:
        return f"check {app}: the platform does not know this OAuth2 app"
    if "grant_type" in text or "grant type" in text:
        return f"the OAuth2 app does not allow the grant {grant!r}: enable it there"
    if any(word in text for word in ("grant", "user", "password", "credential")):
        return f"check {account}"
    return f"check {app}, then {account}"
