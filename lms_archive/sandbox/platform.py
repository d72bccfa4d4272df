"""The `Sandbox`: start it, load data, script faults, and check what calls did."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from attrs import frozen

from lms_archive.sandbox.application import Application, Call
from lms_archive.sandbox.clock import Clock, WallClock
from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.loader import NAMES, Loader, Rows, change, number_rows, read_csv
from lms_archive.sandbox.oauth import Account, OAuth
from lms_archive.sandbox.request import NeverLoggedIn, Settings, SharedReading
from lms_archive.sandbox.routes import OPERATIONS, routes_of
from lms_archive.sandbox.schema import connect
from lms_archive.sandbox.server import Server
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind
from lms_archive.sandbox.variant import PlatformVariant

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from lms_archive.client import Client
    from lms_archive.wire.settings import ClientOptions

Role = Literal["superadmin", "power_user", "power_user_without"]


@frozen
class _Run:
    """The parts of a sandbox that exist only while it runs."""

    path: Path
    db: sqlite3.Connection
    application: Application
    server: Server
    resources: ExitStack


class Sandbox:
    """A simulated platform on `http://127.0.0.1`, over a SQLite file.

    Use it as a context manager, which starts and stops it. It answers every call of the contract
    table and follows the rules of archiving: permissions, statuses, at most 200 enrollments in a
    call (10,000 with `select_all`), a background job for two or more, and a plan's courses are
    archived with the plan. Three accounts can sign in: `superadmin`, `power_user` (may archive in
    courses, not in plans) and `power_user_without` (may not archive).

    Args:
        path: the SQLite file; None: a file in a folder that is deleted when the sandbox stops.
        port: the port; 0: a free port.
        job_seconds: how many seconds a background job takes; 0: it is done at the next call.
        clock: an object with `now()` (aware, UTC) and `sleep(seconds)`; every time, also in the
            `Date` header, comes from it. None: the real time.
        calls_per_hour: further calls are answered with 429 and Retry-After (1,000: doc). None: no
            limit.
        token_seconds: the lifetime of a token (3,600: doc).
        more_data_lies: `has_more_data` is true on the last page too (seen).
        shared_courses_rule: what unenrolling from a plan does where courses are shared with other
            plans (the article can be read both ways). A: nothing happens to the enrollments of
            such a plan; the job counts them as errors. B: only the shared courses and the other
            plans are spared.
        ignores_filters: whether to ignore the filters of enrollment lists, of archived lists and
            of `select_all`, so that everything is listed or selected.
        never_logged_in: the place of users without any login in ascending order of last access.
        variant: another contract or other rules: see `PlatformVariant`.

    Raises:
        ValueError: `variant` names an unknown operation or parameter.
    """

    def __init__(
        self,
        *,
        path: str | Path | None = None,
        port: int = 0,
        job_seconds: float = 0.2,
        clock: Clock | None = None,
        calls_per_hour: int | None = None,
        token_seconds: float = 3600,
        more_data_lies: bool = False,
        shared_courses_rule: SharedReading = "A",
        ignores_filters: bool = False,
        never_logged_in: NeverLoggedIn = "first",
        variant: PlatformVariant | None = None,
    ) -> None:
        self.faults: Faults = Faults(OPERATIONS)
        self._path = None if path is None else Path(path)
        self._port = port
        self._clock: Clock = clock or WallClock()
        self._settings = Settings(
            job_seconds=job_seconds,
            more_data_lies=more_data_lies,
            calls_per_hour=calls_per_hour,
            shared_courses_rule=shared_courses_rule,
            ignores_filters=ignores_filters,
            never_logged_in=never_logged_in,
            variant=variant or PlatformVariant(),
        )
        self._routes = routes_of(self._settings.variant)
        self._oauth = OAuth(token_seconds)
        self._calls: list[Call] = []
        self._run: _Run | None = None

    def __enter__(self) -> Self:
        return self if self._run else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Open the file, start the server, and return the sandbox."""
        if self._run:
            raise RuntimeError("this sandbox is already running")
        with ExitStack() as resources:
            path = self._path
            if path is None:
                folder = tempfile.TemporaryDirectory(prefix="lms-archive-sandbox-")
                path = Path(resources.enter_context(folder)) / "platform.sqlite"
            application = Application(
                connect(path),
                self._clock,
                oauth=self._oauth,
                faults=self.faults,
                settings=self._settings,
                routes=self._routes,
                calls=self._calls,
            )
            resources.callback(application.close)
            server = Server(application, self._port)
            server.start()
            resources.callback(server.stop)
            self._run = _Run(path, application.db, application, server, resources.pop_all())
        return self

    def stop(self) -> None:
        """Close connections and file; delete a temporary file. A second call does nothing."""
        run, self._run = self._run, None
        if run:
            run.resources.close()

    @property
    def url(self) -> str:
        """The base URL: http, on loopback, without a slash at the end."""
        return f"http://127.0.0.1:{self._running.server.port}"

    @property
    def path(self) -> Path:
        """The SQLite file, after doing the work of background jobs that is due."""
        self.advance()
        return self._running.path

    @property
    def calls(self) -> list[Call]:
        """The calls that the sandbox received, in order."""
        return list(self._calls)

    @property
    def assertion(self) -> str:
        """The only assertion that the grant jwt-bearer accepts; it signs in the Superadmin."""
        return self._oauth.assertion

    @property
    def notifications(self) -> int:
        """The number of notifications: one for each archived enrollment."""
        self.advance()
        sql = "SELECT COALESCE(SUM(seq), 0) FROM sqlite_sequence WHERE name IN (?, ?)"
        with self._running.application.lock:
            (count,) = self._running.db.execute(sql, [COURSE.archived, PLAN.archived]).fetchone()
        return int(count)

    def advance(self) -> None:
        """Do the work of background jobs that is due; each request does this too."""
        with self._running.application.lock:
            self._running.application.advance(self._clock.now())

    def __repr__(self) -> str:
        return f"<Sandbox {self.url if self._run else '(not started)'}>"

    def _account(self, role: Role) -> Account:
        accounts = self._oauth.accounts
        if role not in accounts:
            raise ValueError(f"role must be one of {', '.join(accounts)}, not {role!r:.60}")
        return accounts[role]

    def client(self, role: Role = "superadmin", **options: Unpack[ClientOptions]) -> Client:
        """Return the SDK's client, signed in as *role*; *options* are those of `Client`."""
        from lms_archive.client import Client  # noqa: PLC0415  the sandbox is independent
        from lms_archive.wire.auth import PasswordGrant  # noqa: PLC0415

        account = self._account(role)
        grant = PasswordGrant(
            self._oauth.client_id, self._oauth.client_secret, account.username, account.password
        )
        return Client(self.url, grant, **options)

    def env(self, role: Role = "superadmin") -> dict[str, str]:
        """Return the five environment variables that `Client.from_env()` needs."""
        account = self._account(role)
        return {
            "LMS_ARCHIVE_URL": self.url,
            "LMS_ARCHIVE_CLIENT_ID": self._oauth.client_id,
            "LMS_ARCHIVE_CLIENT_SECRET": self._oauth.client_secret,
            "LMS_ARCHIVE_USERNAME": account.username,
            "LMS_ARCHIVE_PASSWORD": account.password,
        }

    def load(
        self,
        *,
        users: Iterable[Mapping[str, Any]] = (),
        courses: Iterable[Mapping[str, Any]] = (),
        learning_plans: Iterable[Mapping[str, Any]] = (),
        enrollments: Iterable[Mapping[str, Any]] = (),
        learning_plan_enrollments: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Add rows, all or none of them.

        The keys are the columns of the tables with the same names. Users need a `username`;
        courses and plans a `code`; enrollments a `username` or `user_id`, and a `course_code`,
        `id_course`, `learning_plan_code` or `learning_plan_id`. `courses` of a plan are codes
        separated by commas, or a list of codes and ids. Missing ids are assigned; `None` and `""`
        mean no value; times are text in UTC or aware datetimes. A plan without `created_on` was
        created a year ago; an enrollment without `enrollment_created_at` was created now; in a
        course, tracking kept from an archived enrollment supplies missing values. `certificate`
        gives an enrollment a certificate that the sandbox serves; `certificate_url` is your own
        link.

        Raises:
            ValueError: a key, user, course or plan is unknown; a value is invalid; a username or
                id is in use; or there is an active enrollment already. The message names the row.
        """
        rows = (users, courses, learning_plans, enrollments, learning_plan_enrollments)
        self._load({name: number_rows(name, part) for name, part in zip(NAMES, rows, strict=True)})

    def load_csv(
        self,
        *,
        users: str | Path | TextIO | None = None,
        courses: str | Path | TextIO | None = None,
        learning_plans: str | Path | TextIO | None = None,
        enrollments: str | Path | TextIO | None = None,
        learning_plan_enrollments: str | Path | TextIO | None = None,
    ) -> None:
        """Add the rows of CSV files (UTF-8, comma, a header with the keys of `load`).

        Raises:
            ValueError: as for `load`; the message names file and line.
        """
        files = (users, courses, learning_plans, enrollments, learning_plan_enrollments)
        self._load({name: read_csv(file) for name, file in zip(NAMES, files, strict=True)})

    def _load(self, rows: Mapping[str, Rows]) -> None:
        with self._running.application.lock, self._running.db as db:
            author = self._oauth.accounts["superadmin"].user_id
            Loader(db, author, self._clock.now(), self.url).load(rows)

    def change_course(self, course: int | str, **columns: Any) -> None:
        """Change a course, given by its id (int) or code (str); archived records stay.

        Raises:
            ValueError: the course or a column is unknown, or a value is invalid.
        """
        self._change(COURSE, course, columns)

    def change_learning_plan(self, learning_plan: int | str, **columns: Any) -> None:
        """Change a learning plan, given by its id (int) or code (str); `updated_on` becomes now.

        Raises:
            ValueError: the plan, a course or a column is unknown, or a value is invalid.
        """
        self._change(PLAN, learning_plan, columns)

    def _change(self, kind: TargetKind, target: int | str, columns: Mapping[str, Any]) -> None:
        self.advance()
        with self._running.application.lock, self._running.db as db:
            change(db, kind, target, columns, self._clock.now())

    @property
    def _running(self) -> _Run:
        if self._run is None:
            raise RuntimeError("this sandbox is not running: use `with Sandbox() as sandbox:`")
        return self._run
