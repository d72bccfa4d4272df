"""Users."""

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.listing import Select, listing
from lms_archive.sandbox.refusal import Refusal

SORTABLE = (
    "user_id",
    "username",
    "first_name",
    "last_name",
    "email",
    "last_access_date",
    "creation_date",
)


def list_users(ask: Ask) -> dict[str, Any]:
    """Answer `GET /manage/v1/user` (2017 + seen).

    `search_text` looks into username, names and e-mail; with `match_type=full` it is the
    username, exactly. An unknown `sort_attr` is ignored. Here `user_id` is a string.
    """
    select = Select("*", "users", _order(ask))
    text = ask.args["search_text"]
    if text and ask.args["match_type"] == "full":
        select.where("username = ?", text)
    else:
        select.where_found(text, "username", "first_name", "last_name", "email")
    return listing(ask, select, lambda row: _shown(ask, row))


def get_user(ask: Ask) -> dict[str, Any]:
    """Answer `GET /manage/v1/user/{user_id}` (path seen; its answer seen, weak)."""
    given = ask.args["user_id"]
    row = ask.db.execute("SELECT * FROM users WHERE user_id = ?", [given]).fetchone()
    if row is None:
        raise Refusal(404, f"User {given} not found.")
    return {"user_data": _shown(ask, row)}


def _shown(ask: Ask, row: Row) -> dict[str, Any]:
    expires = row["expiration_date"]
    expired = expires is not None and expires <= stamp(ask.now)
    return {**dict(row), "user_id": str(row["user_id"]), "expired": expired}


def _order(ask: Ask) -> str:
    """Return the order; the setting says where, counted upwards, users without any login are."""
    attribute, direction = ask.args["sort_attr"], ask.args["sort_dir"].upper()
    column = attribute if attribute in SORTABLE else "user_id"
    never = ask.settings.never_logged_in if column == "last_access_date" else "first"
    nulls = "FIRST" if (never == "first") == (direction == "ASC") else "LAST"
    return f"{column} {direction} NULLS {nulls}, user_id {direction}"
