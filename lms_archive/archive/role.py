"""What the role of the account means for a plan."""

from __future__ import annotations

from collections.abc import Collection

from lms_archive.client import Client
from lms_archive.resources.account import known_account, power_user_error

__all__ = ["check_role"]


def check_role(client: Client, kinds: Collection[str]) -> list[str]:
    """Return warnings about the account's role, for a job in targets of these kinds.

    Makes one call. Where the platform does not say who is logged in, nothing is refused.

    Raises:
        PermissionDeniedError: a Power User, who cannot archive in learning plans.
        ApiError: the login failed, or the platform cannot be reached.
    """
    account = known_account(client.wire) if kinds else None
    if account is None or not account.is_power_user:
        return []
    if "learning_plan" in kinds:
        act = "archive learning plan enrollments"
        raise power_user_error(client.wire, account, act)
    name = account.username or account.user_id
    return [f"the account {name!r} is a Power User: it needs a permission to archive in courses"]
