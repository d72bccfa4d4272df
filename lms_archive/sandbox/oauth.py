"""OAuth2: the accounts, the four grants, and the valid tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import field, frozen

from lms_archive.sandbox.answers import Refusal

_FIRST_ACCOUNT_ID = 2_000_000_001
"""Far from the ids of users, which start at 10,001."""
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_RIGHTS = {
    "superadmin": (True, False),
    "power_user": (True, True),
    "power_user_without": (False, True),
}
"""For each role whether it may archive, and whether it is a Power User.

Evidence: Power Users need a permission (doc); none of them may archive enrollments of learning
plans, or delete archived enrollments (article)."""


@frozen
class Account:
    """An account that can sign in. Accounts are not rows of `users`, and share no ids with them."""

    role: str
    user_id: int
    username: str
    password: str = field(repr=False)
    may_archive: bool
    is_power_user: bool


class OAuth:
    """The token endpoint and its tokens, which are valid for *token_seconds*."""

    def __init__(self, token_seconds: float) -> None:
        self.client_id = "lms-archive-sandbox"
        self.client_secret: str = secrets.token_urlsafe(12)
        self.assertion: str = secrets.token_urlsafe(24)
        self.accounts: dict[str, Account] = {
            role: Account(role, _FIRST_ACCOUNT_ID + n, role, secrets.token_urlsafe(12), *rights)
            for n, (role, rights) in enumerate(_RIGHTS.items())
        }
        self._lifetime = timedelta(seconds=token_seconds)
        self._tokens: dict[str, tuple[Account, datetime]] = {}
        self._refresh: dict[str, Account] = {}

    def grant(self, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Answer `POST /oauth2/token`; status and words of the errors are assumed."""
        client = (form.get("client_id"), form.get("client_secret"))
        if client != (self.client_id, self.client_secret):
            raise _denied(400, "invalid_client", "The client credentials are invalid")
        superadmin, account = self.accounts["superadmin"], None
        match form.get("grant_type"):
            case "client_credentials":
                return self._issue(superadmin, now, refresh=False)
            case "password":
                named = self.accounts.get(form.get("username", ""))
                if named is None or named.password != form.get("password"):
                    raise _denied(401, "invalid_grant", "Invalid username and password combination")
                account = named
            case "refresh_token":
                account = self._refresh.pop(form.get("refresh_token", ""), None)
            case grant if grant == _JWT_BEARER:
                account = superadmin if form.get("assertion") == self.assertion else None
            case grant:
                raise _denied(400, "unsupported_grant_type", f"Grant type {grant!r} not supported")
        if account is None:
            raise _denied(400, "invalid_grant", "Invalid refresh token or JWT assertion")
        return self._issue(account, now, refresh=True)

    def account(self, bearer: str | None, now: datetime) -> Account:
        """Return the account of a token, or refuse with 401."""
        account, expires_at = self._tokens.get(bearer or "", (None, now))
        if account is None or expires_at <= now:
            raise Refusal(401, "Your request was made with invalid or expired credentials.")
        return account

    def revoke(self, bearer: str | None) -> None:
        """Make a token invalid before it expires."""
        self._tokens.pop(bearer or "", None)

    def _issue(self, account: Account, now: datetime, *, refresh: bool) -> dict[str, Any]:
        access = secrets.token_hex(20)
        self._tokens[access] = account, now + self._lifetime
        answer: dict[str, Any] = {
            "access_token": access,
            "expires_in": int(self._lifetime.total_seconds()),
            "token_type": "Bearer",
            "scope": "api",
        }
        if refresh:
            answer["refresh_token"] = secrets.token_hex(20)
            self._refresh[answer["refresh_token"]] = account
        return answer


def _denied(status: int, error: str, description: str) -> Refusal:
    body = {"error": error, "error_description": description}
    return Refusal(status, description, body=body)
