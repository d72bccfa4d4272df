"""The `Sandbox`: start it, load it, call it, break it, and look at the result."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from attrs import frozen

from lms_archive.sandbox.application import Application, Call
from lms_archive.sandbox.clock import Clock, WallClock
from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.foreign import Foreign
from lms_archive.sandbox.loader import NAMES, Loader, Rows, change, number_rows, read_csv
from lms_archive.sandbox.oauth import OAuth
from lms_archive.sandbox.request import NeverLoggedIn, Settings, SharedReading
from lms_archive.sandbox.routes import OPERATIONS, routes_of
from lms_archive.sandbox.schema import connect
from lms_archive.sandbox.server import Server
from lms_archive.sandbox.targets import COURSE, PLAN, TargetKind

if TYPE_CHECKING:
    from typing_extensions import Self

    from lms_archive.client import Client

Role = Literal["superadmin", "power_user", "power_user_without"]


@frozen
class _Run:
    """What exists of a sandbox only while it runs."""

    path: Path
    folder: tempfile.TemporaryDirectory[str] | None
    db: sqlite3.Connection
    application: Application
    server: Server


class Sandbox:
    """A stand-in platform on `http://127.0.0.1`, over a SQLite file.

    A context manager, which starts and stops it. It answers every call of the contract table
    and keeps the rules of archiving: permissions, statuses, at most 200 enrollments a call
    (10,000 by `select_all`), a background job from two on, a plan's courses with the plan.
    Three accounts can sign in: `superadmin`, `power_user` (may archive in courses, not in plans)
    and `power_user_without` (may not archive).

    Args:
        path: where to keep the SQLite file; None: in a folder that is deleted when it stops.
        port: 0 takes a free one.
        job_seconds: how long a background job takes; 0: it is done at the next call.
        clock: anything with `now()` (aware, UTC) and `sleep(seconds)`; every time, the `Date`
            header too, comes from it. None: the real time.
        calls_per_hour: above it 429 with Retry-After (1,000: doc). None: no limit.
        token_seconds: how long a token lasts (3,600: doc).
        more_data_lies: `has_more_data` is true on the last page too (seen).
        shared_reading: what unenrolling from a plan does where courses are shared with other
            plans (the article can be read both ways). A: nothing happens to such a plan's
            enrollments, they are errors of the job. B: only the shared courses and the other
            plans are spared.
        ignores_filters: the filters of enrollment lists, of archived lists and of `select_all`
            are ignored: everything is listed, or selected.
        never_logged_in: where users without any login are, sorted upwards by last access.
        foreign: a contract or rules of its own: see `Foreign`.

    Raises:
        ValueError: `foreign` names an unknown operation or parameter.
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
        shared_reading: SharedReading = "A",
        ignores_filters: bool = False,
        never_logged_in: NeverLoggedIn = "first",
        foreign: Foreign | None = None,
    ) -> None:
        self.faults: Faults = Faults(OPERATIONS)
        self._path = None if path is None else Path(path)
        self._port = port
        self._clock: Clock = clock or WallClock()
        self._settings = Settings(
            job_seconds=job_seconds,
            more_data_lies=more_data_lies,
            calls_per_hour=calls_per_hour,
            shared_reading=shared_reading,
            ignores_filters=ignores_filters,
            never_logged_in=never_logged_in,
            foreign=foreign or Foreign(),
        )
        routes_of(self._settings.foreign)  # refuses now what `start` could not serve
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
        """Open the file, begin to answer, and return the sandbox itself."""
        if self._run:
            raise RuntimeError("this sandbox is already running")
        path, folder = self._path, None
        if path is None:
            folder = tempfile.TemporaryDirectory(prefix="lms-archive-sandbox-")
            path = Path(folder.name) / "platform.sqlite"
        db = connect(path)
        application = Application(
            db,
            self._clock,
            oauth=self._oauth,
            faults=self.faults,
            settings=self._settings,
            calls=self._calls,
        )
        try:
            server = Server(application, self._port)
        except BaseException:
            db.close()
            if folder:
                folder.cleanup()
            raise
        server.start()
        self._run = _Run(path, folder, db, application, server)
        return self

    def stop(self) -> None:
        """Close connections and file; delete a file of its own. Calling it twice is harmless."""
        run, self._run = self._run, None
        if run:
            run.server.stop()
            with run.application.lock:
                run.db.close()
            if run.folder:
                run.folder.cleanup()

    @property
    def url(self) -> str:
        """The address it answers on: http, on loopback, without a slash at the end."""
        return f"http://127.0.0.1:{self._running.server.port}"

    @property
    def path(self) -> Path:
        """The SQLite file, up to date: due rows of background jobs are done."""
        self.advance()
        return self._running.path

    @property
    def calls(self) -> list[Call]:
        """The calls that it received, in order."""
        return list(self._calls)

    @property
    def assertion(self) -> str:
        """The only assertion that the grant jwt-bearer accepts; it signs in the Superadmin."""
        return self._oauth.assertion

    @property
    def notifications(self) -> int:
        """How many were sent: one for each enrollment archived (article), courses of plans too."""
        self.advance()
        sql = "SELECT COALESCE(SUM(seq), 0) FROM sqlite_sequence WHERE name IN (?, ?)"
        with self._running.application.lock:
            (count,) = self._running.db.execute(sql, [COURSE.archived, PLAN.archived]).fetchone()
        return int(count)

    def advance(self) -> None:
        """Do the work of background jobs that is due; each request does so too."""
        with self._running.application.lock:
            self._running.application.advance(self._clock.now())

    def client(self, role: Role = "superadmin", **options: Any) -> Client:
        """Return the SDK's client, signed in as *role*; *options* are those of `Client`."""
        from lms_archive.client import Client  # noqa: PLC0415  the sandbox stands apart
        from lms_archive.wire.auth import PasswordGrant  # noqa: PLC0415

        account = self._oauth.accounts[role]
        grant = PasswordGrant(
            self._oauth.client_id, self._oauth.client_secret, account.username, account.password
        )
        return Client(self.url, grant, **options)

    def env(self, role: Role = "superadmin") -> dict[str, str]:
        """Return the five environment variables with which `Client.from_env()` signs in."""
        account = self._oauth.accounts[role]
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

        The keys are the columns of the tables of the same names. Required are only `username`;
        `code`; and of enrollments `username` or `user_id` with `course_code` or `id_course`,
        `learning_plan_code` or `learning_plan_id`. `courses` of a plan are codes separated by
        commas, or a list of codes and ids. Missing ids are assigned; `None` and `""` mean none;
        times are text in UTC or aware datetimes. A plan without `created_on` was created a year
        ago, an enrollment without `enrollment_created_at` is dated now; in a course, tracking kept
        from an archived one fills what it does not say. With `certificate` it gets one, served
        here; `certificate_url` is a link of your own.

        Raises:
            ValueError: unknown key, user, course or plan; a value that cannot be; a second
                user of a name or id, or a second active enrollment. Names the row.
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
            ValueError: as `load`; names file and line.
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
            ValueError: unknown course or column, or a value that cannot be.
        """
        self._change(COURSE, course, columns)

    def change_learning_plan(self, learning_plan: int | str, **columns: Any) -> None:
        """Change a learning plan, given by its id (int) or code (str); it is updated now.

        Raises:
            ValueError: unknown plan, course or column, or a value that cannot be.
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
