"""What a job does with its rows, and which enrollments it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import Attribute, field, fields, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.records.status import ARCHIVABLE, STATUS_WORDS, ArchiveMode, EnrollmentStatus

__all__ = ["Terms"]


def _mode(value: ArchiveMode | str) -> ArchiveMode:
    try:
        return ArchiveMode(value)
    except ValueError:
        raise InvalidInputError(f"mode is 'unenroll' or 're-enroll', not {value!r}") from None


def _decided(_: Terms, attribute: Attribute[bool], value: bool) -> None:  # noqa: FBT001  attrs'
    if not isinstance(value, bool):
        raise InvalidInputError(f"{attribute.name} is a decision: True or False, not {value!r}")


def _only(value: str | Iterable[str]) -> tuple[EnrollmentStatus, ...]:
    is_one = isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
    words = [value] if is_one else list(value)
    if words == ["any"]:
        return tuple(sorted(ARCHIVABLE))
    found = []
    for word in words:
        status = STATUS_WORDS.get(str(word))
        if status not in ARCHIVABLE:
            known = ", ".join(repr(str(one)) for one in sorted(ARCHIVABLE))
            raise InvalidInputError(f"only={word!r}: what can be archived is {known}, or 'any'")
        found.append(status)
    if not found:
        raise InvalidInputError("only names no status")
    return tuple(sorted(set(found)))


@frozen(kw_only=True)
class Terms:
    """What a job does with each of its rows, and which enrollments it takes."""

    mode: ArchiveMode = field(converter=_mode)
    reset_tracking: bool = field(validator=_decided)
    only: tuple[EnrollmentStatus, ...] = field(converter=_only)
    include_staff: bool = field(default=False, validator=_decided)

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


def _shown(term: object) -> str:
    return " or ".join(term) if isinstance(term, tuple) else str(term)
