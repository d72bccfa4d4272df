"""The platform's words for statuses and levels. An unknown word stays unchanged."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class _Word(str, Enum):
    """An enum of words that compares and prints as a `str`."""

    __str__ = str.__str__


class ArchiveMode(_Word):
    """What happens to the learner after archiving: unenrolled, or enrolled again."""

    UNENROLL = "unenroll"
    RE_ENROLL = "re-enroll"


class EnrollmentStatus(_Word):
    """The status of an enrollment; only the first three can be archived."""

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
    """The role of a user in a course."""

    LEARNER = "learner"
    TUTOR = "tutor"
    INSTRUCTOR = "instructor"
    COACH = "coach"


class JobStatus(_Word):
    """The status of a background job."""

    QUEUED = "queued"
    RUNNING = "running"
    ABORTED = "aborted"
    COMPLETED = "completed"


ARCHIVABLE: Final = frozenset(
    {EnrollmentStatus.ENROLLED, EnrollmentStatus.IN_PROGRESS, EnrollmentStatus.COMPLETED}
)
"""The statuses that can be archived (Docebo's pages on courses; for plans assumed)."""

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
