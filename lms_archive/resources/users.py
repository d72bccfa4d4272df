"""Users of the platform."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone

from attrs import define, evolve

from lms_archive.errors import InvalidInputError, UnexpectedResponseError, plural
from lms_archive.records.active import Account, User
from lms_archive.resources.arguments import as_utc, checked_id
from lms_archive.resources.base import Resource
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import (
    IncompleteListError,
    Page,
    UnreadableItem,
    tolerant_pages,
    with_partial,
)
from lms_archive.wire.tracebacks import short_tracebacks

log: logging.Logger = logging.getLogger(__name__)

_READINGS = 3
_STEPS = 9
"""How many times a login must be later than the one before to show that the order is kept.

Ten unsorted logins are in order by chance once in 3.6 million.
"""

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
            InvalidInputError: the search is not text, or contains half a character.
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

        Calls `GET /manage/v1/user` sorted by last login (2017), 200 users a call, and stops after
        the first more recent user once ten logins show that the platform keeps the order; if it
        does not, it reads all users. Users who never logged in may be at either end of the order,
        and show nothing. A user whose last login cannot be read is left out, with a warning in
        the log. A list in which a user comes twice, or whose number is not the total, is read
        again, three times in all.

        Args:
            since: a day (its midnight, UTC), an aware time, or how long ago by the platform's
                clock.
            never_logged_in: whether to include users who never logged in, after the others.

        Raises:
            InvalidInputError: the time has no time zone, or is in the future.
            UnexpectedResponseError: the list changed during each reading.
            ApiError: a call failed.
        """
        moment = checked_since(since)
        return Listing(User, lambda: self._inactive(moment, never_logged_in=never_logged_in))

    def _inactive(
        self, since: datetime | timedelta, *, never_logged_in: bool
    ) -> Iterator[Page[User]]:
        """Yield each user once; where the list changed while it was read, read it again."""
        ids: set[int] = set()
        flaw: IncompleteListError | None = None
        for _ in range(_READINGS):
            try:
                for page in self._read_inactive(since, never_logged_in=never_logged_in):
                    users = [user for user in page.items if user.user_id not in ids]
                    ids.update(user.user_id for user in users)
                    yield evolve(page, items=users, total=None)
            except IncompleteListError as error:  # noqa: PERF203  it may be read again
                flaw = error
            else:
                return
        if flaw is not None:
            raise IncompleteListError(
                flaw.method,
                flaw.path,
                faults=[f"read {_READINGS} times and never whole: {'; '.join(flaw.faults)}"],
                advice="the list changed while it was being read; try again later",
            )

    def _read_inactive(
        self, since: datetime | timedelta, *, never_logged_in: bool
    ) -> Iterator[Page[User]]:
        never: dict[int, User] = {}
        order, unreadable, is_whole = _Order(), 0, True
        for page in self._by_last_login("asc"):
            border, inactive = _border(since, page), []
            for user in page.items:
                order.add(user.last_login_at)
                if user.last_login_at is None:
                    never[user.user_id] = user
                elif user.last_login_at < border:
                    inactive.append(user)
            unreadable += len(page.unreadable)
            yield evolve(page, items=inactive)
            if order.has_passed(border):
                is_whole = False
                break
        if unreadable:
            number = plural(unreadable, "user")
            log.warning("%s left out of the inactive users: the last login is unreadable", number)
        if not never_logged_in:
            return
        if not is_whole and (order.ended or not never):
            never.update((user.user_id, user) for user in self._last_of_all())
        yield evolve(page, items=[*never.values()])

    def _last_of_all(self) -> Iterator[User]:
        """Yield the users who never logged in, where they are at the end of the order."""
        for page in self._by_last_login("desc"):
            yield from (user for user in page.items if user.last_login_at is None)
            if any(user.last_login_at is not None for user in page.items):
                return

    def _by_last_login(self, direction: str) -> Iterator[Page[User]]:
        parameters = {"sort": "last_access_date", "direction": direction}
        listed = tolerant_pages(self._session, "list_users", User, parameters)
        return _each_once(with_partial(listed, frozenset({"last_login_at"})))


@define
class _Order:
    """What the logins that were read show of the order of their list."""

    ended: bool = False  # users who never logged in come after the logins
    _latest: datetime | None = None
    _is_kept: bool = True
    _steps: int = 0

    def add(self, at: datetime | None) -> None:
        """Add the last login of the next user."""
        if at is None:
            self.ended = self._latest is not None
            return
        if self._latest is not None:
            self._is_kept = self._is_kept and not self.ended and self._latest <= at
            self._steps += self._latest < at
        self._latest = at

    def has_passed(self, border: datetime) -> bool:
        """Return whether the order is kept, and no earlier login follows."""
        is_shown = self._is_kept and self._steps >= _STEPS
        return is_shown and self._latest is not None and self._latest >= border


def _each_once(listed: Iterator[Page[User]]) -> Iterator[Page[User]]:
    """Yield these pages; raise an error if a user comes twice, or their number is not the total.

    An item that moved to another page lets another one slip past the pages.
    """
    ids: set[int] = set()
    count, totals, path = 0, set[int](), ""
    for page in listed:
        users: list[User | UnreadableItem[User]] = [*page.items, *page.unreadable]
        new = [user.user_id for user in users if user.user_id is not None]
        twice = len(ids) + len(new) - len(ids.union(new))
        if twice:
            raise _incomplete(page.path, f"{plural(twice, 'user')} came twice")
        ids.update(new)
        count, path = count + len(users), page.path
        totals |= set() if page.total is None else {page.total}
        yield page
    if not totals <= {count}:
        expected = " or ".join(f"{total:,}" for total in sorted(totals))
        raise _incomplete(path, f"{plural(count, 'user')}, where the total is {expected}")


def _incomplete(path: str, fault: str) -> IncompleteListError:
    return IncompleteListError("GET", path, status=200, faults=[fault])


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
