"""What every record can do: become plain JSON values, and be made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from lms_archive.errors import InvalidInputError
from lms_archive.records.structure import StructureError, from_plain, to_plain

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Record"]

R = TypeVar("R", bound="Record")


class Record:
    """A frozen record of the platform."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as nested dicts of JSON's own values; times in ISO 8601, UTC."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record of what `to_dict` gave.

        Raises:
            InvalidInputError: something is missing, unknown, or not of its type; each is named.
        """
        try:
            return from_plain(cls, data)
        except StructureError as error:
            raise InvalidInputError(f"no {cls.__name__}: {error}") from None
