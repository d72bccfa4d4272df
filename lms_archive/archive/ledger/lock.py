"""Lock a ledger, so that one process at a time runs its job.

The lock is a file beside the ledger that holds the pid and the host of the process. The operating
system releases the lock when the process ends; the file stays.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import IO, Any

from lms_archive.errors import InvalidInputError, LedgerError, LedgerInUseError
from lms_archive.files import path_from

BESIDE = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite creates beside a database."""

_IN_USE = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
"""The error numbers that mean that another process holds the lock."""

_WINDOWS_BYTE = 4096
"""The byte to lock on Windows, where a locked byte cannot be read: far behind the text."""


def ledger_path(value: Any, name: str = "ledger") -> Path:
    """Return the absolute path of a file that exists or can be created.

    Raises:
        InvalidInputError: no file can have this path; the message says what to give.
    """
    path = path_from(value, name, f"{name}.sqlite").absolute()
    try:
        is_folder, has_folder = path.is_dir() and not path.is_symlink(), path.parent.is_dir()
        path.exists()
    except OSError as error:  # the name is too long, or a folder above is closed to this account
        raise InvalidInputError(
            f"cannot be used: {error.strerror}; choose another path", source=str(path)
        ) from None
    if is_folder:
        example = str(path / f"{name}.sqlite")
        raise InvalidInputError(
            f"is a folder: give a file in it, such as {example!r}", source=str(path)
        )
    if not has_folder:
        raise InvalidInputError(
            f"the folder {str(path.parent)!r} does not exist: create it, or choose another path",
            source=str(path),
        )
    return path


def refuse_links(path: Path, *beside: str) -> None:
    """Raise an error if a ledger, or a file beside it, is a symbolic link.

    Another user may have created the link; and under two names a ledger would have two locks.

    Raises:
        LedgerError: a file is a symbolic link.
    """
    for file in (path, *(Path(f"{path}{suffix}") for suffix in beside)):
        if file.is_symlink():
            raise LedgerError(
                f"{file}: is a symbolic link: name the ledger itself, and remove links beside it"
            )


def hold(path: Path) -> IO[str]:
    """Lock a ledger until the returned file is closed, or this process ends.

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
            in_use = f"in use by {holder or 'another process'}; wait until that process ends"
            raise LedgerInUseError(f"{path}: {in_use}") from None
        raise LedgerError(
            f"{path}: the ledger cannot be locked here ({error.strerror}): a ledger needs a local "
            "disk, not a network folder"
        ) from error
    return file


def _lock(file: IO[str]) -> None:
    """Lock an open file without waiting."""
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
