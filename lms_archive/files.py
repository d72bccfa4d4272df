"""Files that are whole, or not there at all, and their owner's alone."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lms_archive.errors import InvalidInputError

__all__ = ["fault_of", "path_from", "private_folder", "sync_folder", "whole_file"]


def path_from(value: Any, name: str, example: str, kind: str = "file") -> Path:
    """Return the path that an argument gives; `name` and `example` are for the error.

    Raises:
        InvalidInputError: no file can have this path; the text says what to give.
    """
    try:
        text = os.fspath(value)
        is_path = isinstance(text, str) and bool(text) and b"\0" not in os.fsencode(text)
    except (TypeError, UnicodeError):  # UnicodeError: half a character
        is_path = False
    if not is_path:
        advice = f"give the path of a {kind}, such as {example!r}"
        raise InvalidInputError(f"{name} is {value!r:.60}: {advice}")
    return Path(text)


@contextmanager
def whole_file(
    path: str | os.PathLike[str], *, newline: str | None = None, binary: bool = False
) -> Iterator[IO[Any]]:
    """Open a file (text in UTF-8) that appears under its name only when it is whole and on disk.

    It is readable by its owner alone: it holds people's training records.

    Raises:
        InvalidInputError: the path is not one, is a symbolic link or something else than an
            ordinary file, or the file cannot be written there. What was there is as it was.
    """
    place = _place(path)
    try:
        if fault := fault_of(place):
            raise InvalidInputError(fault, source=str(place))
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:40]}.")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unwritable(place, error) from None
    text: Any = {"encoding": "utf-8", "newline": newline, "errors": "backslashreplace"}
    try:
        with os.fdopen(handle, "wb") if binary else os.fdopen(handle, "w", **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(place, error) from None
        raise
    sync_folder(place.parent)


def _place(path: Any) -> Path:
    try:
        return Path(path)
    except TypeError:
        raise InvalidInputError(f"a file is named by its path, not by {path!r:.60}") from None


def _unwritable(place: Path, error: Exception) -> InvalidInputError:
    if isinstance(error, InvalidInputError):
        return error
    if isinstance(error, FileNotFoundError):
        what = f"cannot be written: there is no folder {place.parent}; make it first"
    elif isinstance(error, OSError) and error.errno == errno.EBUSY:
        what = (
            "cannot be replaced, because it is in use or mounted on its own (as a file of a "
            "container): name a file in a folder that is mounted"
        )
    else:
        what = f"cannot be written: {getattr(error, 'strerror', None) or error}"
    return InvalidInputError(what, source=str(place))


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
        InvalidInputError: it is a symbolic link, or cannot be made.
    """
    try:
        if path.is_symlink():
            what = "is a symbolic link, and nothing is written through one: name the folder itself"
            raise InvalidInputError(what, source=str(path))
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise InvalidInputError("is a file, not a folder", source=str(path)) from None
    except OSError as error:
        what = f"the folder cannot be made: {error.strerror}"
        raise InvalidInputError(what, source=str(path)) from None


def sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
