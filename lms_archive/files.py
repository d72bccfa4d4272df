"""Files that are whole, or not there at all, and their owner's alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["whole_file"]


@contextmanager
def whole_file(
    path: str | os.PathLike[str], *, newline: str | None = None, binary: bool = False
) -> Iterator[IO[Any]]:
    """A file (text in UTF-8) that appears under its name only when all of it is written.

    It is readable by its owner alone: it holds people's training records.
    """
    place = Path(path)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with (
            os.fdopen(handle, "wb")
            if binary
            else os.fdopen(
                handle, "w", encoding="utf-8", newline=newline, errors="backslashreplace"
            )
        ) as file:
            yield file
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
