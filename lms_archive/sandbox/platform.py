"""The `Sandbox`: start, load, ask, break, and look at what became of it."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from lms_archive.sandbox.application import Application, Call
from lms_archive.sandbox.ask import NeverLoggedIn, Settings, SharedReading
from lms_archive.sandbox.clock import Clock, WallClock
from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.foreign import Foreign
from lms_archive.sandbox.jobs import Mail
from lms_archive.sandbox.kinds import COURSE, PLAN, Kind
from lms_archive.sandbox.loading import Load, Rows, change, numbered, read_csv
from lms_archive.sandbox.oauth import OAuth
from lms_archive.sandbox.routes import OPERATIONS, routes_of
from lms_archive.sandbox.running import Running

if TYPE_CHECKING:
    from typing_extensions import Self

    from lms_archive.client import Client

Role = Literal["superadmin", "power_user", "power_user_without"]


class Sandbox:
    """A stand-in platform on `http://127.0.0.1`, over a SQLite file.

    A context manager, which starts and stops it. It answers every call of the contract table
    and keeps the rules of archiving: permissions, statuses, at most 200 enrollments a call
    (10,000 by `select_all`), a background job from two on, a plan's courses with the plan.
    Three may sign in: `superadmin`, `power_user` (may archive in courses, not in plans) and
    `power_user_without` (may not archive).

    Args:
        path: where the SQLite file is kept; None: in a folder that goes when it stops.
        port: 0 takes a free one.
        job_seconds: how long a background job takes; 0: done at the next look.
        clock: anything with `now()` (aware, UTC) and `sleep(seconds)`; every time, the `Date`
            header too, comes from it. None: the real time.
        calls_per_hour: above it 429 with Retry-After (1,000: doc). None: no limit.
        token_seconds: how long a token lasts (3,600: doc).
        more_data_lies: `has_more_data` is true on the last page too (seen).
        shared_reading: what unenrolling from a plan does where courses are shared with other
            plans (the article can be read both ways). A: nothing happens to such a plan's
            enrollments, they are errors of the job. B: only the shared courses and the other
            plans are spared.
        ignores_filters: the `filters` of `select_all` are ignored: all is selected.
        never_logged_in: where users without any login are, sorted upwards by last access.
        foreign: a contract or rules of its own: see `Foreign`.

    Raises:
        ValueError: `foreign` names no operation or parameter that there is.
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
        self._now_running: Running | None = None

    def __enter__(self) -> "Self":
        return self if self._now_running else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> "Self":
        """Open the file, answer from now on, and return the sandbox itself."""
        if self._now_running:
            raise RuntimeError("this sandbox is already running")
        self._now_running = Running.start(
            self._path,
            self._port,
            lambda db: Application(
                db,
                self._clock,
                oauth=self._oauth,
                faults=self.faults,
                settings=self._settings,
                calls=self._calls,
            ),
        )
        return self

    def stop(self) -> None:
        """Close connections and file; a file of its own is removed. Twice does no harm."""
        running, self._now_running = self._now_running, None
        if running:
            running.stop()

    @property
    def url(self) -> str:
        """The address it answers on, http, on loopback, no slash at its end."""
        return f"http://127.0.0.1:{self._running.server.port}"

    @property
    def path(self) -> Path:
        """The SQLite file, brought up to this moment: due rows of background jobs are done."""
        self.advance()
        return self._running.path

    @property
    def calls(self) -> list[Call]:
        """What was asked of it, in order."""
        return list(self._calls)

    @property
    def assertion(self) -> str:
        """The one assertion that the grant jwt-bearer takes; it signs in the Superadmin."""
        return self._oauth.assertion

    @property
    def notifications(self) -> int:
        """How many were set off: one for each enrollment archived (article), carried ones too."""
        sql = "SELECT COALESCE(SUM(seq), 0) FROM sqlite_sequence WHERE name IN (?, ?)"
        ((count,),) = self._look(sql, [COURSE.archived, PLAN.archived])
        return int(count)

    @property
    def mails(self) -> list[Mail]:
        """What the authors of jobs begun with `notify` (2017) were mailed at their end."""
        names = {account.user_id: account.username for account in self._oauth.accounts.values()}
        rows = self._look("SELECT user_id, job_hash, sent_at FROM mails ORDER BY id")
        return [Mail(names[user_id], job, at) for user_id, job, at in rows]

    def _look(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        self.advance()
        with self._running.application.lock:
            return self._running.db.execute(sql, values).fetchall()

    def advance(self) -> None:
        """Do what background jobs have to do by now; each request does so too."""
        with self._running.application.lock:
            self._running.application.advance(self._clock.now())

    def client(self, role: Role = "superadmin", **options: Any) -> "Client":
        """Return the SDK's client, to be signed in as `role`; `options` are those of `Client`."""
        from lms_archive.client import Client  # noqa: PLC0415  # the sandbox stands apart
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

        The keys are the platform's: those of the tables of the same names. Needed are only
        `username`; `code`; and of enrollments `username` or `user_id` with `course_code` or
        `id_course`, `learning_plan_code` or `learning_plan_id`. `courses` of a plan are codes
        separated by commas, or a list of codes and ids. Missing ids are assigned; `None` and
        `""` mean none; times are text in UTC or aware datetimes. An enrollment without the key
        `enrollment_created_at` is dated now; in a course, tracking kept from an archived one
        fills what it does not say. With `certificate` it gets one, served here;
        `certificate_url` is a link of your own.

        Raises:
            ValueError: unknown key, user, course or plan; a value that cannot be; a second
                user of a name or id, or a second active enrollment. Names the row.
        """
        in_plans = numbered("learning_plan_enrollments", learning_plan_enrollments)
        self._load(
            users=numbered("users", users),
            courses=numbered("courses", courses),
            learning_plans=numbered("learning_plans", learning_plans),
            enrollments=numbered("enrollments", enrollments),
            learning_plan_enrollments=in_plans,
        )

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
        self._load(
            users=read_csv(users),
            courses=read_csv(courses),
            learning_plans=read_csv(learning_plans),
            enrollments=read_csv(enrollments),
            learning_plan_enrollments=read_csv(learning_plan_enrollments),
        )

    def _load(self, **rows: Rows) -> None:
        with self._running.application.lock, self._running.db as db:
            author = self._oauth.accounts["superadmin"].user_id
            Load(db, author, self._clock.now(), self.url).all(**rows)

    def change_course(self, course: int | str, **columns: Any) -> None:
        """Change a course, given by its id (int) or code (str); archived records stay.

        Raises:
            ValueError: unknown course or column, or a value that cannot be.
        """
        self._change(COURSE, course, columns)

    def change_learning_plan(self, learning_plan: int | str, **columns: Any) -> None:
        """Change a learning plan likewise, its `courses` too; it is updated now.

        Raises:
            ValueError: unknown plan, course or column, or a value that cannot be.
        """
        self._change(PLAN, learning_plan, columns)

    def _change(self, kind: Kind, given: int | str, columns: Mapping[str, Any]) -> None:
        self.advance()
        with self._running.application.lock, self._running.db as db:
            change(db, kind, given, columns, self._clock.now())

    @property
    def _running(self) -> Running:
        if self._now_running is None:
            raise RuntimeError("this sandbox is not running: use `with Sandbox() as sandbox:`")
        return self._now_running
