"""Certificates: saved under safe names, from the platform only."""

from pathlib import Path

import pytest
from virtual_time import Harness

from lms_archive import ArchiveJob, ArchiveResult, InvalidInputError, redact, resume
from lms_archive.errors import NotFoundError, UnexpectedResponseError

DONE = {"enrollment_status": "completed", "enrollment_created_at": "2024-01-01 10:00:00"}


def _archived(harness: Harness, **links: str | None) -> ArchiveResult:
    """Archive these users; a None has no certificate, a text is the link itself."""
    harness.sandbox.load(
        users=[{"username": name} for name in links],
        courses=[{"id_course": 1, "code": "../C 1", "name": "One"}],
        enrollments=[
            {"username": name, "id_course": 1, **DONE, **_certificate(link)}
            for name, link in links.items()
        ],
    )
    job = ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False)
    return harness.apply(job.users(list(links)).plan(harness.client))


def _certificate(link: str | None) -> dict[str, object]:
    if link is None:
        return {}
    return {"certificate": True} if link == "" else {"certificate_url": link}


def test_certificates_are_pdfs_with_safe_names(harness: Harness, tmp_path: Path) -> None:
    """Each certificate is a PDF with a name that stays in its folder."""
    result = _archived(harness, **{"../../evil": "", "con": "", "bob": None})
    saved = result.save_certificates(tmp_path / "new" / "folder")
    names = [path.name for path in saved.saved]
    assert names == ["1_course_.._.._evil_.._C_1.pdf", "2_course_con_.._C_1.pdf"]
    assert all(path.read_bytes().startswith(b"%PDF-") for path in saved.saved)
    assert sorted(saved.saved) == sorted((tmp_path / "new" / "folder").iterdir())
    assert str(saved) == "2 certificates saved, 0 failed; completed without certificate: 1"


def test_a_certificate_that_cannot_be_had_stops_no_other(harness: Harness, tmp_path: Path) -> None:
    """HTML instead of a PDF, and a 404, are reported by record, and leave no file."""
    result = _archived(harness, ada="", bob="", cleo="")
    harness.sandbox.faults.add("html", operation="certificate")
    harness.sandbox.faults.add("status", operation="certificate", after=1, status=404)
    saved = result.save_certificates(tmp_path / "pdf")
    assert "answered with a web page" in saved.failed[1]
    assert "404" in saved.failed[2]
    assert [path.name for path in (tmp_path / "pdf").iterdir()] == [saved.saved[0].name]


def test_one_certificate_is_saved_or_an_error(harness: Harness, tmp_path: Path) -> None:
    """`download_certificate` raises what `save_certificates` reports."""
    result = _archived(harness, ada="", bob=None, cleo="https://evil.example.com/x.pdf")
    ada, bob, cleo = result.records
    path = harness.client.archived.download_certificate(ada, tmp_path / "ada.pdf")
    assert path.read_bytes().startswith(b"%PDF-")
    with pytest.raises(InvalidInputError, match="record 2 has no certificate"):
        harness.client.archived.download_certificate(bob, tmp_path / "bob.pdf")
    with pytest.raises(UnexpectedResponseError, match="leads outside the platform"):
        harness.client.archived.download_certificate(cleo, tmp_path / "cleo.pdf")
    harness.sandbox.faults.add("status", operation="certificate", status=404)
    with pytest.raises(NotFoundError):
        harness.client.archived.download_certificate(ada, tmp_path / "gone.pdf")
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["ada.pdf"]


def test_a_redacted_ledger_has_no_certificates(harness: Harness, tmp_path: Path) -> None:
    """It says so, and does not count the certificates as missing."""
    result = _archived(harness, ada="")
    redact(harness.ledger)
    with pytest.raises(InvalidInputError, match="is redacted, so it has no links to certificates"):
        result.save_certificates(tmp_path / "pdf")
    assert not (tmp_path / "pdf").exists()


def test_a_result_without_a_client(harness: Harness, tmp_path: Path) -> None:
    """A result made of a ledger alone says where a client comes from."""
    result = _archived(harness, ada="")
    with pytest.raises(InvalidInputError, match="resume"):
        ArchiveResult(result.ledger).save_certificates(tmp_path)
    again = resume(result.ledger, harness.client)
    assert len(again.save_certificates(tmp_path / "pdf").saved) == 1
