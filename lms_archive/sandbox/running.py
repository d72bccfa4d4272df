"""What exists of a sandbox only while it runs: its file, its application and its server."""

import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lms_archive.sandbox.application import Application
from lms_archive.sandbox.server import Server
from lms_archive.sandbox.store import connect


@dataclass(frozen=True, slots=True)
class Running:
    """One run, from start to stop."""

    path: Path
    folder: tempfile.TemporaryDirectory[str] | None
    db: sqlite3.Connection
    application: Application
    server: Server

    @classmethod
    def start(
        cls, path: Path | None, port: int, application: Callable[[sqlite3.Connection], Application]
    ) -> "Running":
        """Open the file, in a folder of its own where there is no path, and begin to answer."""
        folder = None
        if path is None:
            folder = tempfile.TemporaryDirectory(prefix="lms-archive-sandbox-")
            path = Path(folder.name) / "platform.sqlite"
        db = connect(path)
        try:
            answering = application(db)
            server = Server(answering, port)
        except BaseException:
            db.close()
            if folder:
                folder.cleanup()
            raise
        server.start()
        return cls(path, folder, db, answering, server)

    def stop(self) -> None:
        """Close connections and file; a folder of its own is removed."""
        self.server.stop()
        with self.application.lock:
            self.db.close()
        if self.folder:
            self.folder.cleanup()
