"""Answer calls about users and about the account that is signed in."""

from __future__ import annotations

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.answers import Refusal
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.pages import Select, read_page
from lms_archive.sandbox.request import ApiRequest

SORTABLE = (
    "user_id",
    "username",
    "first_name",
    "last_name",
    "email",
    "last_access_date",
    "creation_date",
)


def get_session(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /manage/v1/user/session`; a Superadmin's word for user_level is assumed."""
    account = request.account
    level = "power_user" if account.is_power_user else "superadmin"
    return {"id": account.user_id, "username": account.username, "user_level": level}


def list_users(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /manage/v1/user`.

    `search_text` is searched in username, names and e-mail; with `match_type=full` it must be
    exactly the username. An unknown `sort_attr` is ignored. Here `user_id` is a string.
    """
    select = Select("*", "users", _order(request))
    text = request.args["search_text"]
    if text and request.args["match_type"] == "full":
        select.where("username = ?", text)
    else:
        select.where_contains(text, "username", "first_name", "last_name", "email")
    return read_page(request, select, lambda row: _item(request, row))


def get_user(request: ApiRequest) -> dict[str, Any]:
    """Answer `GET /manage/v1/user/{user_id}`."""
    user_id = request.args["user_id"]
    row = request.db.execute("SELECT * FROM users WHERE user_id = ?", [user_id]).fetchone()
    if row is None:
        raise Refusal(404, f"User {user_id} not found.")
    return {"user_data": _item(request, row)}


def _item(request: ApiRequest, row: Row) -> dict[str, Any]:
    expires = row["expiration_date"]
    expired = expires is not None and expires <= stamp(request.now)
    return {**row, "user_id": str(row["user_id"]), "expired": expired}


def _order(request: ApiRequest) -> str:
    """Return the order; `never_logged_in` places users without any login in ascending order."""
    attribute, direction = request.args["sort_attr"], request.args["sort_dir"].upper()
    column = attribute if attribute in SORTABLE else "user_id"
    never = request.settings.never_logged_in if column == "last_access_date" else "first"
    nulls = "FIRST" if (never == "first") == (direction == "ASC") else "LAST"
    return f"{column} {direction} NULLS {nulls}, user_id {direction}"
