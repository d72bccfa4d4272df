"""The arguments of `apply` and `resume`, and what is refused before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypedDict

from attrs import Attribute, field, frozen
from attrs.validators import optional

from lms_archive.archive.events import OnEvent
from lms_archive.archive.planning.estimate import affected
from lms_archive.archive.values.chunks import Chunk
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, TooManyAffectedError
from lms_archive.wire.waits import StopSignal

__all__ = [
    "RUN_DEFAULTS",
    "Options",
    "RunOptions",
    "check_ceiling",
    "check_client",
    "check_platform",
]


def _is_number(_: object, name: Attribute[int], value: object) -> None:
    if type(value) is not int or value < 0:
        raise InvalidInputError(f"{name.name} is a whole number of enrollments, not {value!r}")


def _is_decision(_: object, name: Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name.name} is True or False, not {value!r:.60}")


def _is_listener(_: object, name: Attribute[OnEvent | None], value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidInputError(
            f"{name.name} is a function that takes a RunEvent, not {value!r:.60}"
        )


def _is_stop(_: object, name: Attribute[StopSignal | None], value: object) -> None:
    if value is not None and not callable(getattr(value, "is_set", None)):
        raise InvalidInputError(
            f"{name.name} is an object with is_set(), such as threading.Event(), not {value!r:.60}"
        )


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


RUN_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "max_affected": None,
        "canary": None,
        "progress": False,
        "on_event": None,
        "stop": None,
        "trust_contract": False,
        "allow_changes": False,
        "note": None,
    }
)
"""The defaults of these options."""


@frozen(kw_only=True)
class Options:
    """How a job is run: the options of `apply` and `resume`, checked."""

    max_affected: int | None = field(default=None, validator=optional(_is_number))
    canary: int = field(default=1, validator=_is_number)
    progress: bool = field(default=False, validator=_is_decision)
    on_event: OnEvent | None = field(default=None, validator=_is_listener)
    stop: StopSignal | None = field(default=None, validator=_is_stop)
    trust_contract: bool = field(default=False, validator=_is_decision)
    allow_changes: bool = field(default=False, validator=_is_decision)
    note: str | None = None

    @classmethod
    def of(cls, options: RunOptions, *, canary: int) -> Options:
        """Check options; *canary* is how many enrollments are sent alone first by default."""
        values: dict[str, Any] = {**RUN_DEFAULTS, **options}
        if values["canary"] is None:
            values["canary"] = canary
        return cls(**values)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.note, (str, type(None))):
            raise InvalidInputError(f"note is a text, not {self.note!r}")


def check_platform(platform: str, client: Client) -> None:
    """Refuse a client of another platform than the plan's."""
    check_client(client)
    if client.base_url != platform:
        raise InvalidInputError(
            f"the plan was read from {platform}, and this client is for {client.base_url}"
        )


def check_client(client: object) -> None:
    """Refuse what is not a client."""
    if not isinstance(client, Client):
        raise InvalidInputError(f"client must be a Client, not {client!r:.60}")


def check_ceiling(chunks: Sequence[Chunk], max_affected: int | None) -> None:
    """Refuse a plan that may archive more than is allowed."""
    if max_affected is not None and (count := affected(chunks)) > max_affected:
        raise TooManyAffectedError(count, max_affected)
