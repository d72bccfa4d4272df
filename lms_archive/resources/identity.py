"""Whether an answer, or a record, is about what was asked for."""

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


def require_same_id(session: Session, name: str, answered: object, **asked: Any) -> None:
    """Refuse an answer about another course, user, plan or job than the one asked for.

    Args:
        session: the platform.
        name: the operation.
        answered: the id in the answer.
        asked: the id asked for, under our name for it.

    Raises:
        UnexpectedResponseError: they differ.
    """
    ((word, wanted),) = asked.items()
    if str(answered) != str(wanted):
        request = session.operation(name).request(**asked)
        raise UnexpectedResponseError(
            request.method,
            request.path,
            status=200,
            faults=[f"asked for {word} {wanted}, and the answer is about {answered}"],
        )


def require_archived_record(session: Session, record: ArchivedRecord) -> None:
    """Refuse what is not an archived record of this session's platform.

    Raises:
        InvalidInputError: it is not one, is another platform's, or does not say whose it is.
    """
    if not isinstance(record, (ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)):
        raise InvalidInputError(f"wanted archived records, not {record!r:.60}")
    here, record_id = session.settings.base_url, record.archiving.record_id
    if record.platform is None:
        raise InvalidInputError(
            f"record {record_id} does not say which platform it was read from, and ids of two "
            "platforms look alike: read it again with client.archived"
        )
    if record.platform != here:
        raise InvalidInputError(
            f"record {record_id} was read from {record.platform}, and this client is {here}'s: "
            "use the client that read it"
        )
