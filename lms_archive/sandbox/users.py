"""Users."""

from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.clock import stamp
from lms_archive.sandbox.listing import Select, listing

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
    now = stamp(ask.now)

    def shape(row: Row) -> dict[str, Any]:
        expires = row["expiration_date"]
        expired = expires is not None and expires <= now
        return {**dict(row), "user_id": str(row["user_id"]), "expired": expired}

    return listing(ask, select, shape)


def _order(ask: Ask) -> str:
    """Return the order; the setting says where, counted upwards, users without any login are."""
    attribute, direction = ask.args["sort_attr"], ask.args["sort_dir"].upper()
    column = attribute if attribute in SORTABLE else "user_id"
    never = ask.settings.never_logged_in if column == "last_access_date" else "first"
    nulls = "FIRST" if (never == "first") == (direction == "ASC") else "LAST"
    return f"{column} {direction} NULLS {nulls}, user_id {direction}"
