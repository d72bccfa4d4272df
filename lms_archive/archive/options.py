"""The arguments of `apply` and `resume`, and what is refused before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from attrs import field, fields, frozen
from attrs.validators import optional

from lms_archive.archive.events import OnEvent
from lms_archive.archive.planning.estimate import affected
from lms_archive.archive.values.chunks import Chunk
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, TooManyAffectedError
from lms_archive.limits import IS_DECISION, must_be
from lms_archive.wire.waits import StopSignal

_IS_NUMBER: Final = must_be(
    "a whole number of enrollments, 0 or more",
    lambda value: type(value) is int and value >= 0,
)
_IS_LISTENER: Final = must_be("a function that takes a RunEvent", callable)
_IS_STOP: Final = must_be(
    "an object with is_set(), such as threading.Event()",
    lambda value: callable(getattr(value, "is_set", None)) and not isinstance(value, type),
)
_IS_TEXT: Final = must_be("text (str)", lambda value: isinstance(value, str))


class RunOptions(TypedDict, total=False):
    """How a job is run: the options of `ArchivePlan.apply` and `resume`; see `apply`."""

    max_affected: int | None
    canary: int | None
    progress: bool
    on_event: OnEvent | None
    stop: StopSignal | None
    trust_contract: bool
    allow_changes: bool
    note: str | None


@frozen(kw_only=True)
class Options:
    """How a job is run: the options of `apply` and `resume`, checked."""

    max_affected: int | None = field(default=None, validator=optional(_IS_NUMBER))
    canary: int = field(default=1, validator=_IS_NUMBER)
    progress: bool = field(default=False, validator=IS_DECISION)
    on_event: OnEvent | None = field(default=None, validator=optional(_IS_LISTENER))
    stop: StopSignal | None = field(default=None, validator=optional(_IS_STOP))
    trust_contract: bool = field(default=False, validator=IS_DECISION)
    allow_changes: bool = field(default=False, validator=IS_DECISION)
    note: str | None = field(default=None, validator=optional(_IS_TEXT))

    @classmethod
    def of(cls, options: RunOptions, *, canary: int) -> Options:
        """Check options; *canary* is how many enrollments are sent alone first by default."""
        values: dict[str, Any] = {**options}
        if values.get("canary") is None:
            values["canary"] = canary
        return cls(**values)

    def check_ceiling(self, chunks: Sequence[Chunk]) -> None:
        """Refuse a plan that may archive more than `max_affected`."""
        if self.max_affected is not None and (count := affected(chunks)) > self.max_affected:
            raise TooManyAffectedError(count, self.max_affected)


RUN_DEFAULTS: Final[Mapping[str, Any]] = {
    **{option.name: option.default for option in fields(Options)},
    "canary": None,
}
"""The defaults of these options; `apply` and `resume` decide that of the canary."""


def check_client(client: object) -> None:
    """Refuse what is not a client."""
    if not isinstance(client, Client):
        raise InvalidInputError(f"client must be a Client, not {client!r:.60}")
