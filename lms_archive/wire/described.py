"""Operations as a platform describes them itself: values, whatever format they were read from."""

from __future__ import annotations

import re
from typing import Literal

from attrs import field, frozen

__all__ = ["Described", "Parameter", "Place", "shape"]

Place = Literal["query", "path", "body", "form", "elsewhere"]


@frozen
class Parameter:
    """One value that an operation takes.

    Attributes:
        name: as the platform spells it, its `[]` included.
        place: where it goes; header, cookie and other bodies are "elsewhere".
        one: whether a single value can be given.
        many: whether a list can be given.
        required: whether the call needs it.
        values: those that are allowed, as text; empty where they are not listed.
        inside: of a body, the property that holds it (`"data."`, `"[]."`); empty at the top.
    """

    name: str
    place: Place
    one: bool = True
    many: bool = True
    required: bool = False
    values: tuple[str, ...] = ()
    inside: str = ""

    @property
    def plain(self) -> str:
        """The name without its `[]`."""
        return self.name.removesuffix("[]")


@frozen
class Described:
    """One operation of a platform, as it describes it itself.

    Attributes:
        service: whose document it stands in.
        method: upper case.
        path: the whole path, beginning with one slash, with the platform's placeholders.
        operation_id: its name there, or empty.
        summary: its line of text there, shortened, or empty.
        parameters: every value it takes, properties of its body included.
        whole: False where it was too large to be read to its end.
    """

    service: str
    method: str
    path: str
    operation_id: str = ""
    summary: str = ""
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    whole: bool = True

    @property
    def shape(self) -> str:
        """The path without the names of its placeholders and the slash at its end."""
        return shape(self.path)

    @property
    def placeholders(self) -> list[str]:
        """The names in its path, in order."""
        return re.findall(r"{([^{}]*)}", self.path)


def shape(path: str) -> str:
    """A path without the names of its placeholders and the slash at its end."""
    return re.sub(r"{[^{}]*}", "{}", path).rstrip("/")
