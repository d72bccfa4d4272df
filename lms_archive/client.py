"""The client of a platform: its settings, its calls and its resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json import dumps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlencode

from attrs import evolve

from lms_archive.errors import InvalidInputError
from lms_archive.limits import Limits, RetryPolicy
from lms_archive.resources.archived import Archived
from lms_archive.resources.background_jobs import BackgroundJobs
from lms_archive.resources.check import ClientCheck, check
from lms_archive.resources.courses import Courses
from lms_archive.resources.enrollments import Enrollments
from lms_archive.resources.learning_plans import LearningPlans
from lms_archive.resources.users import Users
from lms_archive.wire.auth import Auth, StaticToken
from lms_archive.wire.calls import OnCall
from lms_archive.wire.contract import Contract
from lms_archive.wire.operation import Operation
from lms_archive.wire.report import ContractReport
from lms_archive.wire.session import Session
from lms_archive.wire.settings import (
    PREFIX,
    ChangedOptions,
    ClientOptions,
    Settings,
    address_and_auth,
    contract_of_environment,
)
from lms_archive.wire.tracebacks import short_tracebacks
from lms_archive.wire.transport import Response, Transport
from lms_archive.wire.verify import verify
from lms_archive.wire.waits import Clock

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on


@short_tracebacks
class Client:
    """A client of one platform, logged in with one account.

    Threads may share a client. Each process has its own connections, locks, token and count of
    the calls of the last hour: a forked child and an unpickled client start without them. A pickle
    carries the auth value (with `StaticToken`, that is the token), but no token that was obtained
    by logging in; the pickle of a client made by `from_env` carries neither, and reads the
    environment again where it is unpickled.

    Attributes:
        courses: list and find courses.
        learning_plans: list and find learning plans, and their courses.
        users: list and find users, and those who have been inactive.
        enrollments: list the active enrollments of a course or learning plan.
        archived: list archived enrollments, download certificates, and delete records.
        background_jobs: list background jobs.

    Args:
        base_url: `https://<platform>`; plain http is for loopback only.
        auth: the login.
        contract: the table of calls, where the platform differs from the default.
        limits: the sizes of calls, and how long to wait for background jobs.
        timeout: seconds to connect and seconds to read; one number sets both.
        retry: how often to attempt a read.
        calls_per_hour: the most calls in any hour; None for no limit. An older page of Docebo
            gives 1,000 an hour for each IP address, shared by all integrations; since June 2025
            the limit in your contract with the vendor seems to apply.
        app_info: name and version of the tool built on this library, for the user agent.
        transport: a callable that carries one HTTP exchange; `RequestsTransport()` by default.
        on_call: a function that receives a `Call` after each exchange, in the thread that made
            it. What it raises passes through, like Ctrl-C.

    Raises:
        InvalidInputError: the base URL or another argument cannot be used.
    """

    courses: Courses
    learning_plans: LearningPlans
    users: Users
    enrollments: Enrollments
    archived: Archived
    background_jobs: BackgroundJobs

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
        on_call: OnCall | None = None,
    ) -> None:
        settings = Settings(
            base_url=base_url,
            auth=auth,
            contract=contract,
            limits=limits,
            timeout=timeout,
            retry=retry,
            calls_per_hour=calls_per_hour,
            app_info=app_info,
            transport=transport,
            on_call=on_call,
        )
        self._connect(Session(settings))

    @classmethod
    def from_env(
        cls,
        *,
        base_url: str | None = None,
        prefix: str = PREFIX,
        **options: Unpack[ClientOptions],
    ) -> Client:
        """Create a client from environment variables.

        Reads `LMS_ARCHIVE_URL` and either `LMS_ARCHIVE_TOKEN` or all of
        `LMS_ARCHIVE_CLIENT_ID`, `_CLIENT_SECRET`, `_USERNAME` and `_PASSWORD`; and, where it is
        set, `LMS_ARCHIVE_CONTRACT`, the path of a file for `Contract.load`.

        Args:
            base_url: in place of `LMS_ARCHIVE_URL`.
            prefix: what the names of the variables begin with: with `"ACME_"` they are
                `ACME_URL`, `ACME_TOKEN` and so on.
            **options: as for `Client`.

        Raises:
            InvalidInputError: variables are missing (the message names all of them), or the
                contract file cannot be used.
        """
        url, auth = address_and_auth(base_url, prefix)
        if options.get("contract") is None:
            options["contract"] = contract_of_environment(prefix)
        client = cls(url, auth, **options)
        names = frozenset({"auth"} if base_url else {"auth", "base_url"})
        settings = evolve(client.session.settings, from_env=names, env_prefix=prefix)
        client._connect(Session(settings))
        return client

    def _connect(self, session: Session) -> None:
        self.session = session
        self.courses = Courses(session)
        self.learning_plans = LearningPlans(session)
        self.users = Users(session)
        self.enrollments = Enrollments(session)
        self.archived = Archived(session)
        self.background_jobs = BackgroundJobs(session)

    def _use_clock(self, clock: Clock) -> None:
        """Replace the clock, so that tests need not wait."""
        self._connect(Session(self.session.settings, clock=clock))

    @property
    def base_url(self) -> str:
        """The platform's address."""
        return self.session.settings.base_url

    @property
    def limits(self) -> Limits:
        """The sizes of calls, and how long to wait for background jobs."""
        return self.session.settings.limits

    def with_options(self, **options: Unpack[ChangedOptions]) -> Client:
        """Return a copy with other settings.

        It shares the call count; and token and connections, unless `auth` or `transport` change.

        Args:
            **options: any argument of `Client` except `base_url`, by name.

        Raises:
            InvalidInputError: an option is unknown or cannot be used. Another base URL needs
                another client.
        """
        names = ["auth", *ClientOptions.__annotations__]
        for name in options:
            if name not in names:
                raise InvalidInputError(
                    f"unknown option {name!r}; the options are: {', '.join(names)}"
                )
        settings = self.session.settings
        from_env = settings.from_env - options.keys()
        changed = evolve(settings, from_env=from_env, **options)
        return _connected(type(self), self.session.with_settings(changed))

    def __reduce__(self) -> tuple[Any, ...]:
        return _connected, (type(self), self.session)

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        raw: Literal[False] = False,
    ) -> Any: ...
    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        raw: Literal[True],
    ) -> Response: ...
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        raw: bool = False,
    ) -> Any:
        """Make any call of the platform and return its decoded JSON.

        Login, throttle and errors are those of every other call. A read is attempted again where
        it fails; a write is sent once. A list in `params` is sent once for each item.

        Args:
            method: the HTTP method.
            path: the path, beginning with `/`.
            params: the query.
            json: the body.
            raw: return a `Response` (status, headers, bytes) instead of the JSON. An error is
                raised as usual, secrets are masked, and a body of more than 16 MiB is refused.

        Raises:
            InvalidInputError: the arguments do not make a call.
            ApiError: the call failed or was refused.
        """
        params = params or {}
        for name, value, kind in (
            ("method", method, str),
            ("path", path, str),
            ("params", params, Mapping),
            ("raw", raw, bool),
        ):
            if not isinstance(value, kind):
                raise _impossible(f"{name} must be {kind.__name__}, not {value!r:.60}")
        try:
            row = Operation(
                method=method.upper(),
                path=path,
                service="",
                evidence="Client.request",
                params={},
                fixed={name: value for name, value in params.items() if value is not None},
            )
            dumps(json, allow_nan=False)
            urlencode([("path", path), *params.items()], doseq=True)
        except UnicodeEncodeError:
            raise _impossible(
                "path or params contain half a character (a lone surrogate)"
            ) from None
        except (ValueError, TypeError) as error:
            raise _impossible(str(error)) from None
        if row.in_path:
            raise _impossible(f"the path {path!r} has a placeholder; fill it in")
        request = evolve(row.request(), json=json, raw=raw)
        return self.session.send(request, repeat=not request.is_write).data

    def verify_contract(self, operations: Iterable[str] | None = None) -> ContractReport:
        """Check the contract's calls against the platform's own swagger.

        Only reads: calls `GET /manage/v1/site/microservices` for the addresses of the documents,
        then reads each document that is needed, or `GET /<service>/v1/swagger` where the addresses
        are refused. The client and its copies read each document once. An operation that is not
        confirmed comes with at most three candidates.

        Args:
            operations: names of operations; by default all, except the login and the two that
                find the documents.

        Raises:
            InvalidInputError: the contract has no such operation.
            ApiError: the login failed, or the platform cannot be reached.
        """
        return verify(self.session, operations)

    def check(self) -> ClientCheck:
        """Check login, role, contract and archived lists before the first job; only reads.

        Calls `GET /manage/v1/user/session`, then those of `verify_contract`
        (`GET /manage/v1/site/microservices`, `GET /<service>/v1/swagger`), then the archived lists
        of the first course (`GET /course/v1/courses`,
        `GET /course/v1/courses/{course_id}/enrollments/archived`) and of the first learning plan
        (`GET /learningplan/v1/learningplans`,
        `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived`). A failure is
        a line of the report, not an exception: `print(client.check())`.
        """
        return check(self.session)

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self.session.close()

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
        if not hasattr(self, "session"):
            return "Client(unfinished)"  # in the traceback of a refused argument
        return f"Client({self.base_url!r}, {self.session.settings.auth!r})"


def _connected(cls: type[Client], session: Session) -> Client:
    client = object.__new__(cls)
    client._connect(session)
    return client


def _impossible(reason: str) -> InvalidInputError:
    return InvalidInputError(f"the call cannot be made: {reason}")
