"""Read the account that a client is logged in as, and report what its role forbids."""

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


def known_account(session: Session) -> Account | None:
    """Return the account that is logged in, or None where the platform does not say.

    Only a failed login, a lost connection and an exceeded rate limit are raised as errors.
    """
    try:
        return Users(session).me()
    except (AuthenticationError, PlatformUnavailableError, RateLimitError):
        raise
    except ApiError:
        return None


def power_user_error(session: Session, account: Account, action: str) -> PermissionDeniedError:
    """Return the error that names the account, the forbidden action, and the remedy."""
    row = session.operation("session")
    return PermissionDeniedError(
        row.method,
        row.path,
        message=f"the account {account.username or account.user_id!r} is a Power User, and Power "
        f"Users cannot {action}; log in as a Superadmin. Nothing was sent",
    )
