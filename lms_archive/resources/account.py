"""The account that a client is logged in as, and what its role forbids."""

from __future__ import annotations

from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    PermissionDeniedError,
    PlatformUnavailableError,
    RateLimitError,
)
from lms_archive.records.active import Account
from lms_archive.resources.users import Users
from lms_archive.wire.session import Session

__all__ = ["known_account", "power_user_error", "refuse_power_user"]


def known_account(session: Session) -> Account | None:
    """Return the account that is logged in, or None where the platform does not say.

    A refusal, a missing call and an unreadable answer all mean that the role is not known.

    Raises:
        ApiError: the login failed, the platform cannot be reached, or the hour's calls are used up.
    """
    try:
        return Users(session).me()
    except (AuthenticationError, PlatformUnavailableError, RateLimitError):
        raise
    except ApiError:
        return None


def refuse_power_user(session: Session, act: str) -> None:
    """Refuse an act that Power Users may not do, before anything is sent.

    Raises:
        PermissionDeniedError: the account is a Power User.
        ApiError: as `known_account`.
    """
    account = known_account(session)
    if account is not None and account.is_power_user:
        raise power_user_error(session, account, act)


def power_user_error(session: Session, account: Account, act: str) -> PermissionDeniedError:
    """Return the error that says who is refused, and what to do."""
    row = session.operation("session")
    return PermissionDeniedError(
        row.method,
        row.path,
        message=f"the account {account.username or account.user_id!r} is a Power User, and Power "
        f"Users cannot {act}; log in as a Superadmin. Nothing was sent",
    )
