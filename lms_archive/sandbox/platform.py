"""The `Sandbox`: start, load, ask, break, and look at what became of it."""

import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from lms_archive.sandbox.application import Application, Call
from lms_archive.sandbox.ask import Settings
from lms_archive.sandbox.clock import Clock, WallClock
from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.loading import Rows, load, numbered, read_csv
from lms_archive.sandbox.oauth import OAuth
from lms_archive.sandbox.routes import OPERATIONS
from lms_archive.sandbox.server import Server
from lms_archive.sandbox.store import connect

if TYPE_CHECKING:
    from typing_extensions import Self

    from lms_archive.client import Client

Role = Literal["superadmin", "power_user", "power_user_without"]


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists only between start and stop."""

    path: Path
    folder: tempfile.TemporaryDirectory[str] | None
    db: sqlite3.Connection
    application: Application
    server: Server


class Sandbox:
    """A stand-in platform on `http://127.0.0.1`, over a SQLite file.

    A context manager, which starts and stops it. It answers the course side of the contract
    table and keeps the rules of archiving: permissions, statuses, at most 200 enrollments a
    call, a background job from two on. Three may sign in: `superadmin`, `power_user` (may
    archive) and `power_user_without` (may not).

    Args:
        path: where the SQLite file is kept; None: in a folder that goes when it stops.
        port: 0 takes a free one.
        job_seconds: how long a background job takes; 0: done at the next look.
        clock: anything with `now()` (aware, UTC) and `sleep(seconds)`; every time, the `Date`
            header too, comes from it. None: the real time.
        calls_per_hour: above it 429 with Retry-After (1,000: doc). None: no limit.
        token_seconds: how long a token lasts (3,600: doc).
        more_data_lies: `has_more_data` is true on the last page too (seen).
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
    ) -> None:
        self.faults = Faults(OPERATIONS)
        self._path = None if path is None else Path(path)
        self._port = port
        self._clock: Clock = clock or WallClock()
        self._settings = Settings(job_seconds, more_data_lies, calls_per_hour)
        self._oauth = OAuth(token_seconds)
        self._calls: list[Call] = []
        self._now_running: _Running | None = None

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
        folder = None
        path = self._path
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
        self._now_running = _Running(path, folder, db, application, server)
        return self

    def stop(self) -> None:
        """Close connections and file; a file of its own is removed. Twice does no harm."""
        running, self._now_running = self._now_running, None
        if running:
            running.server.stop()
            with running.application.lock:
                running.db.close()
            if running.folder:
                running.folder.cleanup()

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
        """How many notifications were set off: one for each enrollment archived (article)."""
        self.advance()
        with self._running.application.lock:
            row = self._running.db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'archived_enrollments'"
            ).fetchone()
        return 0 if row is None else int(row[0])

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
        enrollments: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Add rows, all or none of them.

        The keys are the platform's: those of the tables `users`, `courses` and `enrollments`.
        Needed are only `username`; `code`; and `username` or `user_id` with `course_code` or
        `id_course`. Missing ids are assigned; `None` and `""` mean none; times are text in UTC
        or aware datetimes. An enrollment without the key `enrollment_created_at` is dated now.

        Raises:
            ValueError: unknown key, user or course; a value that cannot be; a second user of
                a name or id, or a second active enrollment. Names the row.
        """
        self._load(
            numbered("users", users),
            numbered("courses", courses),
            numbered("enrollments", enrollments),
        )

    def load_csv(
        self,
        *,
        users: str | Path | TextIO | None = None,
        courses: str | Path | TextIO | None = None,
        enrollments: str | Path | TextIO | None = None,
    ) -> None:
        """Add the rows of CSV files (UTF-8, comma, a header with the keys of `load`).

        Raises:
            ValueError: as `load`; names file and line.
        """
        self._load(read_csv(users), read_csv(courses), read_csv(enrollments))

    def _load(self, users: Rows, courses: Rows, enrollments: Rows) -> None:
        with self._running.application.lock, self._running.db as db:
            author = self._oauth.accounts["superadmin"].user_id
            load(db, users, courses, enrollments, author=author, now=self._clock.now())

    @property
    def _running(self) -> _Running:
        if self._now_running is None:
            raise RuntimeError("this sandbox is not running: use `with Sandbox() as sandbox:`")
        return self._now_running
