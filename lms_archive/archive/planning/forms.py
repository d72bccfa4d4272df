"""The two forms of a write: name each user, or archive all enrollments of a target in one call.

The select-all form takes up to 10,000 enrollments on the screen (article); for the API that is
assumed. Its filter might be ignored, so it is only used where the selection is every active
enrollment of the target: then an ignored filter can change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from lms_archive.archive.selection import Form

PLAN_CHECK_INTERVAL: Final = 60.0
"""Seconds between two checks of a learning plan while its chunks are sent."""


@frozen
class WriteForm:
    """A form of a write; the names of its operations end in `suffix`."""

    suffix: str = ""

    def operation(self, kind: str) -> str:
        """Return the contract's row of the call, for targets of this kind."""
        return f"archive_{kind}_enrollments{self.suffix}"


FORMS: Final[Mapping[Form, WriteForm]] = MappingProxyType(
    {"hand_picked": WriteForm(), "select_all": WriteForm("_select_all")}
)
"""The forms by the name that a chunk keeps."""
