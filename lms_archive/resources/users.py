"""Users of the platform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone

from attrs import evolve

from lms_archive.errors import InvalidInputError, UnexpectedResponseError
from lms_archive.records.active import Account, User
from lms_archive.resources.arguments import as_utc, checked_id
from lms_archive.resources.base import Resource
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page, tolerant_pages, with_partial
from lms_archive.wire.tracebacks import short_tracebacks

Since = date | datetime | timedelta
"""A day (from its midnight, UTC), an aware time, or how long ago by the platform's clock."""


@short_tracebacks
class Users(Resource[User]):
    """`client.users`: the users of the platform."""

    _record = User
    _noun = "user"
    _id = "user_id"
    _list = "list_users"
    _get = "get_user"

    def list(self, *, search: str | None = None) -> Listing[User]:
        """List all users, or those that match a search, reading page by page.

        Calls `GET /manage/v1/user` (2017 and seen), 200 users a call.

        Args:
            search: text that the platform looks for in username, names and e-mail.

        Raises:
            ApiError: a call failed.
        """
        return self._listing(search=search)

    def pages(self, *, search: str | None = None) -> Iterator[Page[User]]:
        """Yield `Page` objects with the platform's totals; arguments as for `list`."""
        return self._pages(search=search)

    def get(self, user_id: int) -> User:
        """Get a user by id.

        Calls `GET /manage/v1/user/{user_id}` (path seen; its answer seen, weak).

        Raises:
            InvalidInputError: the id is not a whole number.
            NotFoundError: the user does not exist.
            UnexpectedResponseError: the answer is about another user.
        """
        return self._fetch(checked_id("user_id", user_id, "username use find"))

    def find(self, username: str) -> User:
        """Find the user with exactly this username; the case must match.

        Calls `GET /manage/v1/user` with the name as search text, `match_type=full` (seen).

        Raises:
            NotFoundError: no user has this username.
        """
        return self._find_exact("username", username, search=username, match="full")

    def me(self) -> Account:
        """Get the account that this client is logged in as.

        Calls `GET /manage/v1/user/session` (seen).

        Raises:
            NotFoundError: the platform has no such call.
            ApiError: the call failed or was refused.
        """
        row, answer = self._session.operation("session"), self._session.call("session").data
        user_id, username, level = (
            str(row.find(answer, word) or "") for word in ("user_id", "username", "user_level")
        )
        return Account(
            user_id=int(user_id) if user_id.isdecimal() else None,
            username=username or None,
            level=level or None,
        )

    def inactive(self, *, since: Since, never_logged_in: bool = False) -> Listing[User]:
        """List the users whose last login is before a time.

        Calls `GET /manage/v1/user` sorted by last login (2017), 200 users a call, and stops at
        the first more recent user; if the platform does not keep the order, it reads all users.
        Users who never logged in may be at either end of the order. A user whose last login
        cannot be read is left out.

        Args:
            since: a day (its midnight, UTC), an aware time, or how long ago by the platform's
                clock.
            never_logged_in: whether to include users who never logged in, after the others.

        Raises:
            InvalidInputError: the time has no time zone, or is in the future.
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
            border, inactive = _border(since, page), []
            for user in page.items:
                at = user.last_login_at
                if at is None:
                    never[user.user_id], ended = user, latest is not None
                    continue
                ordered = ordered and not ended and (latest is None or latest <= at)
                latest = at
                if at < border:
                    inactive.append(user)
            yield _of_unknown_total(page, inactive)
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
        parameters = {"sort": "last_access_date", "direction": direction}
        listed = tolerant_pages(self._session, "list_users", User, parameters)
        return with_partial(listed, frozenset({"last_login_at"}))


def _of_unknown_total(page: Page[User], users: Sequence[User]) -> Page[User]:
    return evolve(page, items=users, total=None)


def checked_since(since: Since) -> datetime | timedelta:
    """Return the time in UTC, or how long ago it is."""
    if isinstance(since, timedelta):
        if since < timedelta():
            raise InvalidInputError(
                f"since must be in the past, not {since!r}: give how long ago, such as {-since!r}"
            )
        return since
    if isinstance(since, datetime):
        return as_utc("since", since)
    if isinstance(since, date):
        return datetime.combine(since, time(), timezone.utc)
    raise InvalidInputError(
        f"since must be a date, an aware datetime or a timedelta, not {since!r}"
    )


def _border(since: datetime | timedelta, page: Page[User]) -> datetime:
    """Return the time before which a last login counts as inactive."""
    if page.date is None:
        faults = ["no Date header: without it inactivity cannot be computed"]
        raise UnexpectedResponseError("GET", page.path, faults=faults)
    try:
        border = page.date - since if isinstance(since, timedelta) else since
    except OverflowError:
        raise InvalidInputError(f"since={since} is before the year 1: use a shorter time") from None
    if border > page.date:
        raise InvalidInputError(
            f"since {border} is in the future: it is {page.date} on the platform"
        )
    return border
