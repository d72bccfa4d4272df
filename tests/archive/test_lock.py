"""The lock of a ledger: one process at a time, on POSIX and, as far as it can be tried, Windows."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from archive_tools import begin, from_rows
from virtual_time import Harness

from lms_archive import resume
from lms_archive.archive.ledger import Ledger, lock
from lms_archive.archive.values.events import Noted
from lms_archive.errors import LedgerError, LedgerInUseError

_HOLD = """
import sys, time
from lms_archive.archive.ledger import Ledger
with Ledger.open(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A ledger that was closed, so that the file of its lock names a process."""
    path = tmp_path / "book.sqlite"
    with begin(path, from_rows([])) as ledger:
        ledger.append(Noted("kept"))
    return path


def test_one_process_at_a_time(book: Path) -> None:
    """While another process holds it, pid and host are named; its death frees the ledger."""
    command = [sys.executable, "-c", _HOLD, str(book)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=rf"in use by pid {child.pid} on \S+"):
            Ledger.open(book)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with Ledger.open(book) as again:
            assert list(again.events()) == [Noted("kept")]


def test_not_even_this_process_opens_it_twice(harness: Harness) -> None:
    """A second `resume` beside a running job is refused before any call."""
    harness.load(3)

    def second() -> None:
        with pytest.raises(LedgerError, match="in use by pid"):
            resume(harness.ledger, harness.client)

    harness.line.once(lambda exchange: exchange.is_write, second)
    harness.check(harness.apply(), archived=3)


_LOCAL_DISK = r"cannot be locked here \({reason}\): a ledger needs a local disk"
_IN_USE = "in use by {holder}; wait until that process ends"


@pytest.mark.parametrize("holder", ["pid 17 on some-host", ""])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        *((number, _LOCAL_DISK) for number in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO)),
        *((number, _LOCAL_DISK) for number in (errno.EINTR, errno.ENOSYS)),
        *((number, _IN_USE) for number in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)),
    ],
)
def test_only_a_lock_that_would_block_is_in_use(
    book: Path, number: int, words: str, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder is then named, if the file says who; any other error names the cure."""
    Path(f"{book}.lock").write_text(holder)

    def refuse(_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(book)
    reason = re.escape(os.strerror(number))
    expected = words.format(reason=reason, holder=holder or "another process")
    assert re.search(expected, str(caught.value))
    assert isinstance(caught.value, LedgerInUseError) is (words == _IN_USE)
    assert ("pid" in str(caught.value)) is (words == _IN_USE and bool(holder))


def test_a_lock_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There one byte is locked, far behind the text, which another process can then read."""
    held: set[tuple[int, int]] = set()

    def locking(handle: int, _: int, count: int) -> None:
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if place in held:
            raise OSError(errno.EACCES, "Permission denied")
        held.add(place)
        assert count == 1

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    path = tmp_path / "a.sqlite"
    with lock.hold(path):
        assert Path(f"{path}.lock").read_text().startswith(f"pid {os.getpid()} on ")
        ((_, byte),) = held
        assert byte > 1000
        with pytest.raises(LedgerInUseError, match=f"in use by pid {os.getpid()} on"):
            lock.hold(path)
