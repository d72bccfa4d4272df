"""Files that are whole, or not there at all, and their owner's alone."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lms_archive.errors import InvalidInputError

__all__ = ["fault_of", "private_folder", "whole_file"]


@contextmanager
def whole_file(
    path: str | os.PathLike[str], *, newline: str | None = None, binary: bool = False
) -> Iterator[IO[Any]]:
    """A file (text in UTF-8) that appears under its name only when all of it is on the disk.

    It is readable by its owner alone: it holds people's training records.

    Raises:
        InvalidInputError: the path is a symbolic link or something else than an ordinary file.
        OSError: it cannot be written.
    """
    place = Path(path)
    if fault := fault_of(place):
        raise InvalidInputError(fault, source=str(place))
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:40]}.")
    try:
        with (
            os.fdopen(handle, "wb")
            if binary
            else os.fdopen(
                handle, "w", encoding="utf-8", newline=newline, errors="backslashreplace"
            )
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)


def fault_of(place: Path) -> str | None:
    """Why nothing is written under this name, or None: somebody else may have put a link there."""
    try:
        mode = place.lstat().st_mode
    except OSError:
        return None
    if stat.S_ISLNK(mode):
        return "is a symbolic link, and nothing is written through one: name the file itself"
    if not stat.S_ISREG(mode):
        return "is no ordinary file: name one that is, or that is not there yet"
    return None


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone.

    Raises:
        InvalidInputError: it is a symbolic link.
        OSError: it cannot be made.
    """
    if path.is_symlink():
        what = "is a symbolic link, and nothing is written through one: name the folder itself"
        raise InvalidInputError(what, source=str(path))
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
