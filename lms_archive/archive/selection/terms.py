"""The terms of a job: the mode, the tracking, and which enrollments it includes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import Attribute, field, frozen

from lms_archive.errors import InvalidInputError
from lms_archive.records.status import ARCHIVABLE, STATUS_WORDS, ArchiveMode, EnrollmentStatus

__all__ = ["Terms"]


def _mode(value: ArchiveMode | str) -> ArchiveMode:
    try:
        return ArchiveMode(value)
    except ValueError:
        raise InvalidInputError(f"mode must be 'unenroll' or 're-enroll', not {value!r}") from None


def _decided(_: Terms, attribute: Attribute[bool], value: bool) -> None:  # noqa: FBT001  attrs'
    if not isinstance(value, bool):
        raise InvalidInputError(f"{attribute.name} must be True or False, not {value!r}")


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
            raise InvalidInputError(f"only={word!r} is not possible: give {known}, or 'any' alone")
        found.append(status)
    if not found:
        raise InvalidInputError("only is empty: give a status, several, or 'any'")
    return tuple(sorted(set(found)))


@frozen(kw_only=True)
class Terms:
    """The rules that apply to every row of a job, and which enrollments it includes."""

    mode: ArchiveMode = field(converter=_mode)
    reset_tracking: bool = field(validator=_decided)
    only: tuple[EnrollmentStatus, ...] = field(converter=_only)
    include_staff: bool = field(default=False, validator=_decided)
