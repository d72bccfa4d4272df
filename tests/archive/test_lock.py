"""The lock of a ledger where Python has no `fcntl`: Windows, as far as it can be tried here."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lms_archive.archive.ledger.lock import hold
from lms_archive.errors import LedgerError, LedgerInUseError


def test_a_system_without_fcntl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused and reads who holds the ledger."""
    held: set[tuple[int, int]] = set()

    def locking(handle: int, _: int, __: int) -> None:
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        assert place[1] > 1000  # a locked byte cannot be read there: it is behind the text
        if place in held:
            raise OSError(errno.EACCES, "Permission denied")
        held.add(place)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    path = tmp_path / "a.sqlite"
    with hold(path), pytest.raises(LedgerInUseError, match=f"in use by pid {os.getpid()} on "):
        hold(path)


def test_a_system_with_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock no ledger is opened: any other error is not about another process."""

    def locking(*_: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    with pytest.raises(LedgerError, match="cannot be locked here") as caught:
        hold(tmp_path / "a.sqlite")
    assert not isinstance(caught.value, LedgerInUseError)
