"""Save the certificates of archived enrollments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from lms_archive.client import Client
from lms_archive.errors import ApiError, InvalidInputError, plural
from lms_archive.files import private_folder
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedRecord
from lms_archive.records.status import EnrollmentStatus
from lms_archive.resources.archived import certificate_of

__all__ = ["SavedCertificates", "save_certificates"]

_LONGEST = 80


@frozen
class SavedCertificates:
    """The result of saving the certificates of archived records.

    Attributes:
        saved: the files, one for each certificate.
        without: how many completed enrollments had no certificate.
        failed: why a certificate could not be saved, by the id of its record.
    """

    saved: tuple[Path, ...] = ()
    without: int = 0
    failed: Mapping[int, str] = field(factory=dict)

    def __str__(self) -> str:
        saved = plural(len(self.saved), "certificate")
        counts = f"{saved} saved, {len(self.failed):,} failed"
        return f"{counts}; completed without certificate: {self.without:,}"


def save_certificates(
    client: Client, records: Iterable[ArchivedRecord], folder: Path
) -> SavedCertificates:
    """Save each certificate as a PDF; a failure does not stop the others."""
    private_folder(folder)
    taken: set[str] = set()
    saved: list[Path] = []
    failed: dict[int, str] = {}
    without = 0
    for record in records:
        if certificate_of(record) is None:
            without += record.enrollment.status == EnrollmentStatus.COMPLETED
            continue
        name, record_id = _name(record), record.archiving.record_id
        if name.casefold() in taken:
            failed[record_id] = f"{name} is already the file of another certificate"
            continue
        taken.add(name.casefold())
        try:
            saved.append(client.archived.download_certificate(record, folder / name))
        except (ApiError, InvalidInputError, OSError) as error:
            failed[record_id] = str(error)
    return SavedCertificates(tuple(saved), without, failed)


def _name(record: ArchivedRecord) -> str:
    """Return a safe file name: it has no folder, and the id at its start avoids reserved names."""
    course = isinstance(record, ArchivedCourseEnrollment)
    code = record.course.code if course else record.learning_plan.code  # type: ignore[union-attr]
    words = f"{record.archiving.record_id}_{'course' if course else 'plan'}"
    text = f"{words}_{record.user.username or record.user.user_id}_{code or ''}"
    return re.sub(r"[^\w.@-]+", "_", text, flags=re.ASCII)[:_LONGEST].rstrip("._") + ".pdf"
