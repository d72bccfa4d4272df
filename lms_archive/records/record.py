"""The base class of records, which convert to plain JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from lms_archive.errors import InvalidInputError
from lms_archive.records.structure import StructureError, from_plain, to_plain

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R", bound="Record")


class Record:
    """A frozen record of the platform."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the record as nested dicts of JSON values; times are in ISO 8601, UTC."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the record from the result of `to_dict`.

        Raises:
            InvalidInputError: a field is missing, unknown, or of a wrong type; the message names
                each.
        """
        try:
            return from_plain(cls, data)
        except StructureError as error:
            raise InvalidInputError(f"not a {cls.__name__}: {error}") from None
