"""The terms of a job: the mode, the tracking, and which enrollments it includes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

from attrs import field, fields, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.limits import IS_DECISION
from lms_archive.records.status import (
    ARCHIVABLE,
    STATUS_WORDS,
    ArchiveMode,
    EnrollmentStatus,
    StatusWord,
)

Status = EnrollmentStatus | StatusWord | Literal["any"]


def _mode(value: ArchiveMode | str) -> ArchiveMode:
    try:
        return ArchiveMode(value)
    except ValueError:
        raise InvalidInputError(f"mode must be 'unenroll' or 're-enroll', not {value!r}") from None


def _only(value: str | Iterable[str]) -> tuple[EnrollmentStatus, ...]:
    is_one = isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
    words = [value] if is_one else list(value)
    if words == ["any"]:
        return tuple(sorted(ARCHIVABLE))
    statuses = []
    for word in words:
        is_word = isinstance(word, str) and not word.isdigit()  # the platform's numbers are not
        status = STATUS_WORDS.get(str(word)) if is_word else None
        if status not in ARCHIVABLE:
            possible = ", ".join(repr(str(allowed)) for allowed in sorted(ARCHIVABLE))
            raise InvalidInputError(
                f"only={word!r} is not possible: give {possible}, or 'any' alone"
            )
        statuses.append(status)
    if not statuses:
        raise InvalidInputError("only is empty: give a status, several, or 'any'")
    return tuple(sorted(set(statuses)))


class _Decisions(TypedDict):
    mode: ArchiveMode | Literal["unenroll", "re-enroll"]
    reset_tracking: bool


class TermOptions(_Decisions, total=False):
    """The terms of a job, as its builders take them; see `ArchiveJob`."""

    only: Status | Iterable[Status]
    include_staff: bool


TERM_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"only": "completed", "include_staff": False}
)
"""The terms that need not be given."""


@frozen(kw_only=True)
class Terms:
    """The rules that apply to every row of a job, and which enrollments it includes."""

    mode: ArchiveMode = field(converter=_mode)
    reset_tracking: bool = field(validator=IS_DECISION)
    only: tuple[EnrollmentStatus, ...] = field(default="completed", converter=_only)
    include_staff: bool = field(default=False, validator=IS_DECISION)

    def difference(self, other: Terms) -> str:
        """Say in words which terms of another job are not these."""
        pairs = (
            (term.name, getattr(self, term.name), getattr(other, term.name))
            for term in fields(Terms)
        )
        return ", ".join(
            f"{name} is {_shown(here)} here, {_shown(there)} there"
            for name, here, there in pairs
            if here != there
        )


def status_words(terms: Terms) -> list[str]:
    """Return the statuses of the enrollments that a job includes, in words."""
    return [status.replace("_", " ") for status in terms.only]


def _shown(term: object) -> str:
    return " or ".join(term) if isinstance(term, tuple) else str(term)
