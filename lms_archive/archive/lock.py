"""One process at a time: a lock beside the ledger, freed by the operating system on death.

The lock file holds the pid and the host of who has it. It stays; the lock goes.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import IO

from lms_archive.errors import LedgerError

__all__ = ["BESIDE", "hold", "refuse_links"]

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database."""


def refuse_links(path: Path, *beside: str) -> None:
    """Refuse a ledger where a symbolic link has its name, or one of what lies beside it.

    Somebody else may have put it there; and under two names a ledger would have two locks.

    Raises:
        LedgerError: there is one.
    """
    for one in (path, *(Path(f"{path}{rest}") for rest in beside)):
        if one.is_symlink():
            raise LedgerError(f"{one}: is a symbolic link: name the ledger itself, remove others")


def hold(path: Path) -> IO[str]:
    """Hold a ledger until the file returned is closed, or this process ends.

    Raises:
        LedgerError: another process holds it (its pid and host are named), or it cannot be locked.
    """
    refuse_links(path, ".lock")
    try:
        no_link = getattr(os, "O_NOFOLLOW", 0)  # not on Windows
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | no_link, 0o600)
    except OSError as error:
        raise LedgerError(f"{path}: the ledger cannot be locked: {error.strerror}") from error
    file = os.fdopen(handle, "r+", encoding="utf-8")
    try:
        _os_lock(file)
    except OSError:
        holder = file.read().strip() or "another process"
        file.close()
        raise LedgerError(f"{path}: in use by {holder}; one process at a time") from None
    file.truncate(0)
    file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


if os.name == "nt":  # pragma: no cover  the tests run on POSIX
    import msvcrt

    def _os_lock(file: IO[str]) -> None:
        file.seek(4096)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        file.seek(0)
else:
    import fcntl

    def _os_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
