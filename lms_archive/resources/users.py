"""Users of the platform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone

from attrs import evolve

from lms_archive.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from lms_archive.records.active import User
from lms_archive.resources.listing import Listing
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, pages, structured

__all__ = ["Since", "Users", "checked_since"]

Since = date | datetime | timedelta
"""A day (from its midnight, UTC), an aware time, or how long ago by the platform's clock."""


class Users:
    """`client.users`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, search: str | None = None) -> Listing[User]:
        """Every user, or those that the platform finds for a text; page by page.

        Calls `GET /manage/v1/user` (2017 and seen), 200 users a call.

        Raises:
            ApiError: a call failed.
        """
        return Listing(User, lambda: self.pages(search=search))

    def pages(self, *, search: str | None = None) -> Iterator[Page[User]]:
        """The same, a page at a time, with what the platform says of the whole."""
        return pages(self._wire, "list_users", User, search=search)

    def get(self, user_id: int) -> User:
        """The user of that id.

        Calls `GET /manage/v1/user/{user_id}` (path seen; its answer seen, weak).

        Raises:
            NotFoundError: there is none.
        """
        given = {"user_id": user_id}
        reply = self._wire.call("get_user", **given)
        return structured(self._wire, "get_user", User, reply.data, None, given)

    def find(self, username: str) -> User:
        """The user with exactly that username, upper and lower case told apart.

        Calls `GET /manage/v1/user` with the name as search text, `match_type=full` (seen).

        Raises:
            NotFoundError: nobody has it.
        """
        found = pages(self._wire, "list_users", User, search=username, match="full")
        for page in found:
            for user in page.items:
                if user.username == username:
                    return user
        row = self._wire.operation("list_users")
        words = f"no user has the name {username!r}"
        raise NotFoundError(row.method, row.path, status=200, message=words)

    def inactive(self, *, since: Since, never_logged_in: bool = False) -> Listing[User]:
        """The users whose last access lies before a time.

        Calls `GET /manage/v1/user` sorted by last access (2017), 200 users a call, and stops
        where the others are more recent; where the platform does not keep that order, all users
        are read. Users without any login may stand at either end of it.

        Args:
            since: a day (from its midnight, UTC), an aware time, or how long ago by the
                platform's clock.
            never_logged_in: whether users without any login are given too, after the others.

        Raises:
            InvalidInputError: a time without a zone, or one that lies in the future.
            ApiError: a call failed.
        """
        moment = checked_since(since)
        return Listing(User, lambda: self._inactive(moment, never_logged_in=never_logged_in))

    def _inactive(
        self, since: datetime | timedelta, *, never_logged_in: bool
    ) -> Iterator[Page[User]]:
        never: dict[int, User] = {}
        latest: datetime | None = None
        ordered, ended = True, False
        for page in self._by_last_login("asc"):
            border, found = _border(since, page), []
            for user in page.items:
                at = user.last_login_at
                if at is None:
                    never[user.user_id], ended = user, latest is not None
                    continue
                ordered = ordered and not ended and (latest is None or latest <= at)
                latest = at
                if at < border:
                    found.append(user)
            yield _of_unknown_total(page, found)
            if ordered and latest is not None and latest >= border:
                break
        if not never_logged_in:
            return
        if latest is not None and not never:
            for page in self._by_last_login("desc"):
                never.update((u.user_id, u) for u in page.items if u.last_login_at is None)
                if any(user.last_login_at is not None for user in page.items):
                    break
        yield _of_unknown_total(page, [*never.values()])

    def _by_last_login(self, direction: str) -> Iterator[Page[User]]:
        given = {"sort": "last_access_date", "direction": direction}
        return pages(self._wire, "list_users", User, **given)


def _of_unknown_total(page: Page[User], found: Sequence[User]) -> Page[User]:
    return evolve(page, items=found, total=None)


def checked_since(since: Since) -> datetime | timedelta:
    """The moment meant, or how long ago.

    Raises:
        InvalidInputError: a time without a zone, or no time at all.
    """
    if isinstance(since, timedelta):
        if since < timedelta():
            raise InvalidInputError(
                f"since={since} lies in the future: give how long ago, as {-since}"
            )
        return since
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise InvalidInputError(f"since={since} needs a time zone, such as timezone.utc")
        return since.astimezone(timezone.utc)
    if isinstance(since, date):
        return datetime.combine(since, time(), timezone.utc)
    raise InvalidInputError(f"since is a date, an aware datetime or a timedelta, not {since!r}")


def _border(since: datetime | timedelta, page: Page[User]) -> datetime:
    """The moment before which a last access is inactive, never in the platform's future."""
    if page.date is None:
        faults = ["no Date header: what is inactive cannot be told without"]
        raise UnexpectedResponseError("GET", page.path, faults=faults)
    try:
        border = page.date - since if isinstance(since, timedelta) else since
    except OverflowError:
        raise InvalidInputError(
            f"since={since} lies before the year 1: give a shorter time"
        ) from None
    if border > page.date:
        raise InvalidInputError(
            f"since {border} lies in the future: it is {page.date} on the platform"
        )
    return border
