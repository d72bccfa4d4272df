"""Read ordinary files; write files atomically, readable by their owner alone."""

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

_SQLITE = b"SQLite format 3\0"


def path_from(value: Any, name: str, example: str, kind: str = "file") -> Path:
    """Return the path that an argument names; *name* and *example* appear in the error."""
    try:
        text = os.fspath(value)
        is_path = isinstance(text, str) and bool(text) and b"\0" not in os.fsencode(text)
    except (TypeError, UnicodeError):  # UnicodeError: a lone surrogate
        is_path = False
    if not is_path:
        advice = f"give the path of a {kind}, such as {example!r}"
        raise InvalidInputError(f"{name} is {value!r:.60}: {advice}")
    return Path(text)


def read_text(path: Path) -> str:
    """Return the text of an ordinary file; a byte order mark is allowed.

    Raises:
        OSError: it cannot be read, or is not an ordinary file: a device or a pipe may have no end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not an ordinary file")
    return path.read_text(encoding="utf-8-sig")


@contextmanager
def write_atomically(
    path: str | os.PathLike[str],
    *,
    newline: str | None = None,
    binary: bool = False,
    over_database: bool = False,
) -> Iterator[IO[Any]]:
    """Write a file that appears under its name only when it is complete and on disk.

    Text is in UTF-8. The file is readable by its owner alone: it holds training records.

    Raises:
        InvalidInputError: the path is not a path, names a symbolic link or anything else that is
            not an ordinary file, or cannot be written; or the file is a database, such as a
            ledger, and may not be written *over_database*. An existing file is left unchanged.
    """
    target = path_from(path, "path", "outcome.csv")
    if fault := unwritable_reason(target):
        raise InvalidInputError(fault, source=str(target))
    if not over_database and _is_database(target):
        raise InvalidInputError(
            "exists and is a database, such as a ledger or a saved plan, so it is not "
            "overwritten: give another name",
            source=str(target),
        )
    text: Any = {"encoding": "utf-8", "newline": newline, "errors": "backslashreplace"}
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
        part = Path(name)
        with os.fdopen(handle, "wb") if binary else os.fdopen(handle, "w", **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException as error:
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(target, error) from None
        raise
    sync_folder(target.parent)


def _unwritable(path: Path, error: OSError) -> InvalidInputError:
    reason = f"cannot be written: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        reason = f"cannot be written: the folder {path.parent} does not exist; create it first"
    elif error.errno == errno.EBUSY:
        reason = (
            "cannot be replaced: it is in use, or is itself a mount point (as in a container); "
            "name a file inside a mounted folder"
        )
    return InvalidInputError(reason, source=str(path))


def unwritable_reason(path: Path) -> str | None:
    """Return why a file must not be written under this name, or None.

    Another user of the machine may have put a symbolic link there.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    if stat.S_ISLNK(mode):
        return "is a symbolic link, and files are not written through links: name the file itself"
    if not stat.S_ISREG(mode):
        return "is not an ordinary file: name an ordinary or a new file"
    return None


def _is_database(path: Path) -> bool:
    """Return whether an existing file is an SQLite database, as ledgers and saved plans are."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
    return False


def private_folder(path: Path) -> None:
    """Create a folder and its missing parents, accessible to their owner alone."""
    try:
        if path.is_symlink():
            reason = "is a symbolic link, and files are not written through links: name the folder"
            raise InvalidInputError(reason, source=str(path))
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise InvalidInputError("is a file, not a folder", source=str(path)) from None
    except OSError as error:
        reason = f"the folder cannot be created: {error.strerror}"
        raise InvalidInputError(reason, source=str(path)) from None


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
