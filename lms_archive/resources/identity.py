"""Check that an answer or a record belongs to the request."""

from __future__ import annotations

from typing import Any

from lms_archive.errors import InvalidInputError, UnexpectedResponseError
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.wire.session import Session

__all__ = ["require_archived_record", "require_same_id"]


def require_same_id(session: Session, name: str, answered: object, **requested: Any) -> None:
    """Check that an answer is about the requested course, user, plan or job.

    Args:
        session: the platform.
        name: the operation.
        answered: the id in the answer.
        requested: the requested id, under the contract's name for it.

    Raises:
        UnexpectedResponseError: the ids differ.
    """
    ((word, wanted),) = requested.items()
    if str(answered) != str(wanted):
        request = session.operation(name).request(**requested)
        raise UnexpectedResponseError(
            request.method,
            request.path,
            status=200,
            faults=[f"asked for {word} {wanted}, but the answer is about {answered}"],
        )


def require_archived_record(session: Session, record: ArchivedRecord) -> None:
    """Check that a value is an archived record of this session's platform.

    Raises:
        InvalidInputError: it is not an archived record, or its platform is another or unknown.
    """
    if not isinstance(record, (ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)):
        raise InvalidInputError(f"expected archived records, not {record!r:.60}")
    here, record_id = session.settings.base_url, record.archiving.record_id
    if record.platform is None:
        raise InvalidInputError(
            f"record {record_id} does not say which platform it was read from, and another "
            "platform may use the same id: read it again with client.archived"
        )
    if record.platform != here:
        raise InvalidInputError(
            f"record {record_id} was read from {record.platform}, but this client is for {here}: "
            "use the client that read it"
        )
