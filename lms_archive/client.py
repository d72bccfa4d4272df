"""The client: what it was told, and the platform's nouns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json import dumps
from types import TracebackType
from typing import Any

from attrs import evolve

from lms_archive.errors import InvalidInputError
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.resources.archived import Archived
from lms_archive.resources.background_jobs import BackgroundJobs
from lms_archive.resources.courses import Courses
from lms_archive.resources.enrollments import Enrollments
from lms_archive.resources.learning_plans import LearningPlans
from lms_archive.resources.users import Users
from lms_archive.wire.auth import Auth, StaticToken
from lms_archive.wire.calls import Wire
from lms_archive.wire.contract import Contract, Operation
from lms_archive.wire.environment import address_and_auth
from lms_archive.wire.report import ContractReport
from lms_archive.wire.settings import Settings
from lms_archive.wire.transport import Transport
from lms_archive.wire.verify import verify

__all__ = ["Client"]


class Client:
    """One platform, seen by one account.

    It can be pickled: with its auth value, never with a token; one made by `from_env` with
    neither, so that it reads the environment again where it is unpickled. It logs in anew there,
    and has an hour's calls of its own.

    Args:
        base_url: `https://<platform>`; plain http is for loopback only.
        auth: who is calling.
        contract: the table of calls, where the platform differs from the default.
        limits: how much goes into one call, and how long jobs are waited for.
        timeout: seconds to connect, seconds to read; one number stands for both.
        retry: how often reads are tried again.
        calls_per_hour: at most so many calls in any hour; None: no throttle. The platform's own
            limit is 1,000 an hour for each IP address (doc, older), shared with every other
            integration there.
        app_info: name and version of the tool built on this library, for the user agent.
        transport: what carries an exchange; requests by default.

    Raises:
        InvalidInputError: the base URL or another argument cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        auth: Auth | StaticToken,
        *,
        contract: Contract | None = None,
        limits: Limits | None = None,
        timeout: float | tuple[float, float] = (10, 60),
        retry: RetryPolicy | None = None,
        calls_per_hour: int | None = 800,
        app_info: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        settings = Settings(
            base_url=base_url,
            auth=auth,
            contract=contract or Contract.default(),
            limits=limits or Limits(),
            timeout=timeout,
            retry=retry or RetryPolicy(),
            calls_per_hour=calls_per_hour,
            app_info=app_info,
            transport=transport,
        )
        self._connect(Wire(settings))

    @classmethod
    def from_env(cls, *, base_url: str | None = None, **options: Any) -> Client:
        """A client of the environment's settings.

        Reads `LMS_ARCHIVE_URL` and either `LMS_ARCHIVE_TOKEN` or all of
        `LMS_ARCHIVE_CLIENT_ID`, `_CLIENT_SECRET`, `_USERNAME` and `_PASSWORD`.

        Args:
            base_url: in place of `LMS_ARCHIVE_URL`.
            **options: as for `Client`.

        Raises:
            InvalidInputError: variables are missing; all of them are named.
        """
        url, auth = address_and_auth(base_url)
        client = cls(url, auth, **options)
        told = frozenset({"auth"} if base_url else {"auth", "base_url"})
        client._connect(Wire(evolve(client.wire.settings, from_env=told)))
        return client

    def _connect(self, wire: Wire) -> None:
        self.wire = wire
        self.courses: Courses = Courses(wire)
        self.learning_plans: LearningPlans = LearningPlans(wire)
        self.users: Users = Users(wire)
        self.enrollments: Enrollments = Enrollments(wire)
        self.archived: Archived = Archived(wire)
        self.background_jobs: BackgroundJobs = BackgroundJobs(wire)

    @property
    def base_url(self) -> str:
        """The platform's address."""
        return self.wire.settings.base_url

    @property
    def limits(self) -> Limits:
        """How much goes into one call, and how long jobs are waited for."""
        return self.wire.settings.limits

    def with_options(self, **options: Any) -> Client:
        """A copy with other settings that shares token, connections and the hour's calls.

        Args:
            **options: any argument of `Client` but `base_url`, by name.

        Raises:
            InvalidInputError: an option is unknown, or is the base URL: make another client.
        """
        known = [name for name in Settings.__annotations__ if name not in ("base_url", "from_env")]
        for name in options:
            if name not in known:
                raise InvalidInputError(
                    f"no option {name!r} to change; there are: {', '.join(known)}"
                )
        settings = self.wire.settings
        changed = evolve(settings, from_env=settings.from_env - options.keys(), **options)
        return _connected(type(self), self.wire.with_settings(changed))

    def __reduce__(self) -> tuple[Any, ...]:
        return _connected, (type(self), self.wire)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Any:
        """The low-level door: any call of the platform, its JSON decoded.

        Login, throttle and errors are those of every other call. A read is tried again; a write
        is sent once, whatever becomes of it. A list in `params` is sent once for each item.

        Raises:
            ApiError: it failed or was refused.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            row = Operation(
                method=method.upper(),
                path=path,
                service="",
                evidence="asked for",
                params={},
                fixed=given,
            )
            dumps(json, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"no call to make: {error}") from None
        if row.in_path:
            raise InvalidInputError(f"no call to make: path {path!r} has a place to be filled in")
        request = evolve(row.request(), json=json)
        return self.wire.send(request, repeat=not request.is_write).data

    def verify_contract(self, operations: Iterable[str] | None = None) -> ContractReport:
        """Ask the platform's own swagger whether the contract's calls are as they are there.

        Reads only: calls `GET /<service>/v1/swagger` (assumed), at most once for each service
        as long as this client and its copies live. What is not confirmed comes with the nearest
        operations that the platform has.

        Args:
            operations: names of rows of the contract; None: all, but token and swagger.

        Raises:
            InvalidInputError: the contract has no such row.
            ApiError: the login failed, or the platform cannot be reached.
        """
        return verify(self.wire, operations)

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self.wire.close()

    def __enter__(self) -> Client:  # noqa: PYI034  typing.Self begins with 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "wire"):
            return "Client(unfinished)"  # seen in the traceback of a refused argument
        return f"Client({self.base_url!r}, {self.wire.settings.auth!r})"


def _connected(cls: type[Client], wire: Wire) -> Client:
    client = object.__new__(cls)
    client._connect(wire)
    return client
