"""What is written holds people's records: private, whole or not there, and never through a link."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Harness
from wire_tools import answer, scripted

from lms_archive import (
    ArchivedCourseEnrollment,
    ArchivePlan,
    ArchiveResult,
    Client,
    InvalidInputError,
    resume,
)
from lms_archive.archive.result import SavedCertificates, save_certificates
from lms_archive.errors import LedgerError
from lms_archive.files import write_atomically
from lms_archive.records import (
    ArchivedCourse,
    ArchiveDetails,
    ArchivedUser,
    CourseEnrollmentDetails,
)
from lms_archive.records.archived import read_from

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")


@pytest.fixture
def pdfs() -> Client:
    """A client of a platform that answers everything with a PDF."""
    client, _ = scripted(answer(b"%PDF-1.4"))
    return client


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A user whose files anybody could read, were it not for us."""
    before = os.umask(0)
    yield
    os.umask(before)


def record(number: int, username: str, **more: Any) -> ArchivedCourseEnrollment:
    """An archived record with a certificate, read from the platform of `pdfs`."""
    made = ArchivedCourseEnrollment(
        archiving=ArchiveDetails(record_id=number),
        user=ArchivedUser(user_id=1, username=username),
        course=ArchivedCourse(course_id=1, certificate_url="/c.pdf", **more),
        enrollment=CourseEnrollmentDetails(),
    )
    return read_from(made, "https://acme.example.com")


@pytest.fixture
def done(harness: Harness) -> tuple[ArchivePlan, ArchiveResult]:
    """A plan and its result."""
    harness.load(2)
    plan = harness.plan()
    return plan, harness.apply(plan)


Done = tuple[ArchivePlan, ArchiveResult]
WRITERS: dict[str, Callable[[Done, Client, Path], object]] = {
    "plan": lambda done, _, path: done[0].save(path),
    "plan as CSV": lambda done, _, path: done[0].to_csv(path),
    "outcomes as CSV": lambda done, _, path: done[1].to_csv(path),
    "failed as CSV": lambda done, _, path: done[1].failed.to_csv(path),
    "certificate": lambda _, pdfs, path: pdfs.archived.download_certificate(record(1, "a"), path),
}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


def mode(path: Path) -> str:
    """Who may do what."""
    return oct(stat.S_IMODE(path.lstat().st_mode))


@writers
def test_a_file_is_private_and_nothing_but_a_file_is_replaced(
    write: Any, done: Done, pdfs: Client, tmp_path: Path
) -> None:
    """An old file is; a link and a pipe are refused (as root that could be /dev/null)."""
    path, theirs = tmp_path / "it", tmp_path / "theirs"
    write(done, pdfs, path)
    path.chmod(0o666)
    old = path.stat().st_ino
    write(done, pdfs, path)
    assert mode(path) == "0o600"
    assert path.stat().st_ino != old
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".it")] == []
    theirs.write_text("precious")
    for name in ("theirs", "nowhere"):
        path.unlink()
        path.symlink_to(tmp_path / name)
        with pytest.raises(InvalidInputError, match="is a symbolic link, and files are not"):
            write(done, pdfs, path)
        assert path.is_symlink()
    assert theirs.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="is not an ordinary file"):
        write(done, pdfs, tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


@pytest.mark.parametrize("moment", ["in the middle", "at the sync", "at the end"])
def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks while it is written: the old file stays, and nothing lies beside it."""
    path = tmp_path / ("x" * 255)  # as long as a file system takes
    path.write_text("old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if moment == "at the sync":
        monkeypatch.setattr(os, "fsync", broken)
    if moment == "at the end":
        monkeypatch.setattr(Path, "replace", broken)

    def write() -> None:
        with write_atomically(path) as file:
            file.write("new")
            if moment == "in the middle":
                raise KeyboardInterrupt

    with pytest.raises((InvalidInputError, KeyboardInterrupt)):
        write()
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is synced before the name is given, and the folder afterwards."""
    path, synced = tmp_path / "it", []
    sync = os.fsync

    def watched(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append(("folder" if folder else "file", path.exists(), os.fstat(handle).st_size > 2))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with write_atomically(path) as file:
        file.write("all of it")
    assert [entry[:2] for entry in synced] == [("file", False), ("folder", True)]
    assert synced[0][2]


# The ledger


def test_the_ledger_is_private(harness: Harness) -> None:
    """The ledger and all that lies beside it is its owner's alone, from the first moment on."""
    harness.load(3)
    seen: dict[str, set[str]] = {}

    def look(_: object) -> None:
        for path in harness.folder.iterdir():
            seen.setdefault(path.name, set()).add(mode(path))

    harness.line.before.append(look)
    harness.check(harness.apply(), archived=3)
    beside = {f"ledger.sqlite{suffix}" for suffix in ("", "-wal", "-shm", ".lock")}
    assert beside <= seen.keys()
    assert set().union(*seen.values()) == {"0o600"}
    left = sorted(path.name for path in harness.folder.iterdir())
    assert left == ["ledger.sqlite", "ledger.sqlite.lock"]


BESIDE = ["", "-wal", "-shm", "-journal", ".lock"]


@pytest.mark.parametrize("rest", BESIDE)
def test_a_new_ledger_is_written_through_no_link(harness: Harness, rest: str) -> None:
    """A link under any name that it takes is refused or removed, never followed."""
    harness.load(1)
    theirs = harness.folder / "theirs"
    theirs.write_text("precious")
    (harness.folder / f"ledger.sqlite{rest}").symlink_to(theirs)
    (harness.folder / f".ledger.sqlite.new{rest}").symlink_to(theirs)
    if rest in ("", ".lock"):
        with pytest.raises(LedgerError, match="is a symbolic link"):
            harness.apply()
        assert harness.writes == []
    else:
        harness.check(harness.apply(), archived=1)
    assert theirs.read_text() == "precious"


@pytest.mark.parametrize("rest", BESIDE)
def test_a_ledger_is_not_resumed_or_read_through_a_link(harness: Harness, rest: str) -> None:
    """A ledger is not taken up, nor read, where a link lies in place of one of its files.

    Under two names it would have two locks: two processes could archive at once.
    """
    harness.load(1)
    result = harness.apply()
    path = harness.folder / f"ledger.sqlite{rest}"
    theirs = harness.folder / "theirs"
    if path.exists():
        path.rename(theirs)
    else:
        theirs.write_text("precious")
    before = theirs.read_bytes()
    path.symlink_to(theirs)
    with pytest.raises(LedgerError, match="is a symbolic link"):
        resume(harness.ledger, harness.client)
    if rest != ".lock":
        with pytest.raises(LedgerError, match="is a symbolic link"):
            assert result.counts
    assert theirs.read_bytes() == before


# Certificates


def names(saved: SavedCertificates, folder: Path) -> list[str]:
    """What was saved, all of it in the folder and private."""
    found = sorted(path.name for path in folder.iterdir())
    assert sorted(path.name for path in saved.saved) == found
    assert {mode(path) for path in saved.saved} == {"0o600"}
    return found


EVIL = [
    "../../evil", "..", "", "/etc/passwd", "C:\\x", "con", "aux.txt", "x.", "x ", "a\0b", "a\nb",
    "\ud800", "\u202egnp.exe", "e\u0301", "é", "x" * 4000, "%2e%2e%2f", "$(reboot)", "CON.pdf",
]  # fmt: skip
RESERVED = {"con", "prn", "aux", "nul", *(f"{a}{n}" for a in ("com", "lpt") for n in range(10))}


def test_a_certificate_cannot_leave_its_folder(pdfs: Client, tmp_path: Path) -> None:
    """A name cannot leave its folder, is none that Windows reserves, and is never too long."""
    folder = tmp_path / "certificates"
    records = [record(7 + i, name, code=name) for i, name in enumerate(EVIL)]
    saved = save_certificates(pdfs, records, folder)
    assert saved.failed == {}
    found = names(saved, folder)
    assert len(found) == len(EVIL)
    for name in found:
        assert name.isascii()
        assert len(name) <= 84
        assert set(name).isdisjoint('<>:"/\\|?*\0 ')
        assert name.split(".")[0].lower() not in RESERVED
        assert name.endswith(".pdf")
        assert name[0].isdigit()
    assert len({name.casefold() for name in found}) == len(found)


def test_certificates_do_not_overwrite_each_other(pdfs: Client, tmp_path: Path) -> None:
    """Two records of one name, or of names that only differ in case, do not overwrite each other.

    A record's number is its own: a second record with it is not saved.
    """
    again = [record(1, "Anna"), record(1, "anna"), record(2, "anna")]
    saved = save_certificates(pdfs, again, tmp_path / "c")
    assert names(saved, tmp_path / "c") == ["1_course_Anna.pdf", "2_course_anna.pdf"]
    assert saved.failed == {1: "1_course_anna.pdf is already the file of another certificate"}


def test_the_folder_of_certificates_is_private(pdfs: Client, tmp_path: Path) -> None:
    """Every folder that is made is its owner's alone; one that is there stays as it is."""
    top, theirs = tmp_path / "a", tmp_path / "theirs"
    save_certificates(pdfs, [record(1, "ada")], top / "b" / "c")
    assert [mode(folder) for folder in (top, top / "b", top / "b" / "c")] == ["0o700"] * 3
    theirs.mkdir(0o755)
    (tmp_path / "link").symlink_to(theirs)
    with pytest.raises(InvalidInputError, match="is a symbolic link"):
        save_certificates(pdfs, [record(1, "ada")], tmp_path / "link")
    assert list(theirs.iterdir()) == []
    save_certificates(pdfs, [record(1, "ada")], theirs)
    assert mode(theirs) == "0o755"
