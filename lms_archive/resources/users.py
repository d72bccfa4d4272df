"""Users of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.errors import NotFound
from lms_archive.records.active import User
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, pages, structured

__all__ = ["Users"]


class Users:
    """`client.users`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, search: str | None = None) -> Iterator[User]:
        """Every user, or those that the platform finds for a text; page by page.

        Calls `GET /manage/v1/user` (2017 and seen), 200 users a call.

        Raises:
            ApiError: a call failed.
        """
        for page in self.pages(search=search):
            yield from page.items

    def pages(self, *, search: str | None = None) -> Iterator[Page[User]]:
        """The same, a page at a time, with what the platform says of the whole."""
        return pages(self._wire, "list_users", User, search=search)

    def get(self, user_id: int) -> User:
        """The user of that id.

        Calls `GET /manage/v1/user/{user_id}` (path seen; its answer seen, weak).

        Raises:
            NotFound: there is none.
        """
        given = {"user_id": user_id}
        reply = self._wire.call("get_user", **given)
        return structured(self._wire, "get_user", User, reply.data, None, given)

    def find(self, username: str) -> User:
        """The user with exactly that username, upper and lower case told apart.

        Calls `GET /manage/v1/user` with the name as search text, `match_type=full` (seen).

        Raises:
            NotFound: nobody has it.
        """
        found = pages(self._wire, "list_users", User, search=username, match="full")
        for page in found:
            for user in page.items:
                if user.username == username:
                    return user
        row = self._wire.operation("list_users")
        raise NotFound(row.method, row.path, words=f"no user has the name {username!r}")
