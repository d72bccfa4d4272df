"""One process at a time: a lock beside the ledger, freed by the operating system on death.

The lock file holds the pid and the host of the process that has it. The file stays; the lock
goes.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import IO, Any

from lms_archive.errors import InvalidInputError, LedgerError, LedgerInUseError
from lms_archive.files import path_from

__all__ = ["BESIDE", "hold", "ledger_path", "refuse_links"]

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database."""

_IN_USE = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
"""How a system says that another process has the lock; any other error is not about that."""

_WINDOWS_BYTE = 4096
"""The byte that is locked on Windows, where a locked byte cannot be read: far behind the text."""


def ledger_path(value: Any, name: str = "ledger") -> Path:
    """The whole path of a file that is there, or can be made.

    Raises:
        InvalidInputError: no file can have this path; the text says what to give.
    """
    path = path_from(value, name, f"{name}.sqlite").absolute()
    try:
        is_folder, has_folder = path.is_dir() and not path.is_symlink(), path.parent.is_dir()
        path.exists()
    except OSError as error:  # the name is too long, or a folder above is closed to this account
        raise InvalidInputError(
            f"cannot be used: {error.strerror}; name another place", source=str(path)
        ) from None
    if is_folder:
        example = str(path / f"{name}.sqlite")
        raise InvalidInputError(
            f"is a folder: give a file in it, such as {example!r}", source=str(path)
        )
    if not has_folder:
        raise InvalidInputError(
            f"there is no folder {str(path.parent)!r}: create it, or name another place",
            source=str(path),
        )
    return path


def refuse_links(path: Path, *beside: str) -> None:
    """Refuse a ledger where a symbolic link has its name, or the name of a file beside it.

    Another user may have put it there; and under two names a ledger would have two locks.

    Raises:
        LedgerError: there is one.
    """
    for place in (path, *(Path(f"{path}{rest}") for rest in beside)):
        if place.is_symlink():
            raise LedgerError(f"{place}: is a symbolic link: name the ledger itself, remove others")


def hold(path: Path) -> IO[str]:
    """Hold a ledger until the file returned is closed, or this process ends.

    Raises:
        LedgerInUseError: another process holds it; its pid and host are named.
        LedgerError: it cannot be locked where it is.
    """
    refuse_links(path, ".lock")
    try:
        no_link = getattr(os, "O_NOFOLLOW", 0)  # not on Windows
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | no_link, 0o600)
    except OSError as error:
        raise LedgerError(f"{path}: the ledger cannot be locked: {error.strerror}") from error
    file = os.fdopen(handle, "r+", encoding="utf-8")
    try:
        _lock(file)
        file.truncate(0)
        file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
    except OSError as error:
        with file:
            holder = file.read().strip() if error.errno in _IN_USE else ""
        if error.errno in _IN_USE:
            in_use = f"in use by {holder or 'another process'}; one process at a time"
            raise LedgerInUseError(f"{path}: {in_use}") from None
        raise LedgerError(
            f"{path}: the ledger cannot be locked here ({error.strerror}): a ledger needs a local "
            "disk, not a network folder"
        ) from error
    return file


def _lock(file: IO[str]) -> None:
    """Lock an open file, at once or not at all."""
    try:
        import fcntl  # noqa: PLC0415  not on Windows
    except ImportError:
        _lock_on_windows(file)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_on_windows(file: IO[str]) -> None:
    import msvcrt  # noqa: PLC0415  only on Windows

    windows: Any = msvcrt
    file.seek(_WINDOWS_BYTE)
    try:
        windows.locking(file.fileno(), windows.LK_NBLCK, 1)
    finally:
        file.seek(0)
