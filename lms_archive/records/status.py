"""The platform's words, each with one meaning here. An unknown word is kept as it came."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

__all__ = [
    "ARCHIVABLE",
    "ArchiveMode",
    "EnrollmentLevel",
    "EnrollmentStatus",
    "JobStatus",
    "StatusWord",
]


class _Word(str, Enum):
    """A `str` that is one of a few: compares and prints as its word."""

    __str__ = str.__str__


class ArchiveMode(_Word):
    """What becomes of the learner after the archiving (article: one or the other)."""

    UNENROLL = "unenroll"
    RE_ENROLL = "re-enroll"


class EnrollmentStatus(_Word):
    """The state of an enrollment; only the first three can be archived."""

    ENROLLED = "enrolled"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    WAITING = "waiting"
    NOT_STARTED = "not_started"
    SUSPENDED = "suspended"
    TO_CONFIRM = "to_confirm"
    OVERBOOKING = "overbooking"


StatusWord = Literal[
    "enrolled",
    "in_progress",
    "completed",
    "waiting",
    "not_started",
    "suspended",
    "to_confirm",
    "overbooking",
]
"""The values of `EnrollmentStatus`, for type checkers."""


class EnrollmentLevel(_Word):
    """The part a user plays in a course (seen)."""

    LEARNER = "learner"
    TUTOR = "tutor"
    INSTRUCTOR = "instructor"
    COACH = "coach"


class JobStatus(_Word):
    """The state of a background job (2017)."""

    QUEUED = "queued"
    RUNNING = "running"
    ABORTED = "aborted"
    COMPLETED = "completed"


ARCHIVABLE: Final = frozenset(
    {EnrollmentStatus.ENROLLED, EnrollmentStatus.IN_PROGRESS, EnrollmentStatus.COMPLETED}
)
"""The states that can be archived (Docebo's pages on courses; for plans assumed)."""

STATUS_WORDS: Final[dict[str, EnrollmentStatus]] = {
    **{word.value: word for word in EnrollmentStatus},
    "subscribed": EnrollmentStatus.ENROLLED,
    "0": EnrollmentStatus.ENROLLED,
    "1": EnrollmentStatus.IN_PROGRESS,
    "2": EnrollmentStatus.COMPLETED,
}
LEVEL_WORDS: Final[dict[str, EnrollmentLevel]] = {
    **{word.value: word for word in EnrollmentLevel},
    "student": EnrollmentLevel.LEARNER,
}
JOB_WORDS: Final[dict[str, JobStatus]] = {word.value: word for word in JobStatus}
