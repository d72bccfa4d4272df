"""Between JSON and records: the only module that knows cattrs.

The platform answers flat items whose keys stand in the contract; records are typed and, where
archived, grouped. Files of our own (contract, plan, ledger) hold records as they are built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from operator import eq
from typing import Any, TypeVar, get_origin

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError, transform_error

from lms_archive.records.leaves import LEAVES, hook_of
from lms_archive.records.making import maker

__all__ = ["Faults", "Structurer", "from_plain", "to_plain"]

T = TypeVar("T")

_SHOWN = 60


class Faults(ValueError):
    """What is wrong with some JSON: one text for each fault, beginning with its JSON path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults: tuple[str, ...] = tuple(faults)


def _converter(**options: Any) -> Converter:
    converter = Converter(**options)
    for shape, hook in LEAVES:
        if get_origin(shape) is tuple:
            converter.register_structure_hook_func(partial(eq, shape), hook)
        else:
            converter.register_structure_hook(shape, hook)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(date, date.isoformat)
    return converter


_FAULTS = (ValueError, TypeError, KeyError, OverflowError)


class Structurer:
    """Makes records of the platform's items by the keys of the contract.

    Args:
        keys: for each record's name, its attributes (`"user.user_id"` where grouped) and the
            JSON key each is found under.
    """

    def __init__(self, keys: Mapping[str, Mapping[str, str]]) -> None:
        self._keys = keys
        self._made: dict[type, Callable[[Mapping[str, Any]], Any]] = {}

    def __call__(self, cls: type[T], item: object, where: str = "$") -> T:
        """One record of one item.

        Raises:
            Faults: every fault of the item, each with its JSON path below `where`.
        """
        if not isinstance(item, Mapping):
            raise Faults([f"{where}: expected an object, not {_shown(item)}"])
        try:
            return self._maker(cls)(item)  # type: ignore[no-any-return]
        except _FAULTS:
            faults = list(self._explain(cls, item, where))
            if not faults:
                raise
            raise Faults(faults) from None

    def many(self, cls: type[T], items: Sequence[Any], where: str = "$") -> list[T]:
        """The records of a list's items.

        Raises:
            Faults: every fault of the first item that has any.
        """
        try:
            return list(map(self._maker(cls), items))
        except _FAULTS:
            return [self(cls, one, f"{where}[{index}]") for index, one in enumerate(items)]

    def _maker(self, cls: type) -> Callable[[Any], Any]:
        make = self._made.get(cls)
        if make is None:
            make = self._made[cls] = maker(cls, self._keys[cls.__name__])
        return make

    def _explain(self, cls: Any, item: Mapping[str, Any], where: str) -> Any:
        keys = self._keys[cls.__name__]
        for path, key in keys.items():
            owner: Any = cls
            *outer, name = path.split(".")
            for group in outer:
                owner = getattr(attrs.fields(owner), group).type
            attribute = getattr(attrs.fields(owner), name)
            if key not in item:
                if attribute.default is attrs.NOTHING:
                    yield f"{where}.{key}: missing"
                continue
            try:
                hook_of(attribute.type)(item[key])
            except (ValueError, TypeError, OverflowError) as fault:
                yield f"{where}.{key}: {fault}, not {_shown(item[key])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_NAMED = re.compile(r"\['([^']*)'\]")
_plain = _converter(forbid_extra_keys=True)
_quick = _converter(forbid_extra_keys=True, detailed_validation=False)


def to_plain(value: Any) -> Any:
    """The JSON form of a record or of a value that holds records; times in ISO 8601, UTC."""
    return _plain.unstructure(value)


def from_plain(cls: type[T], value: object) -> T:
    """The record of its JSON form.

    Raises:
        Faults: every fault, each with its JSON path.
    """
    if attrs.has(cls) and not isinstance(value, Mapping):
        raise Faults([f"$: expected an object, not {_shown(value)}"])
    with suppress(Exception):  # what is wrong, and where, is told by the slower way
        return _quick.structure(value, cls)
    try:
        return _plain.structure(value, cls)
    except (ClassValidationError, IterableValidationError) as error:
        pairs = (text.rpartition(" @ ") for text in transform_error(error, "$", _described))
        faults = [_NAMED.sub(r".\1", path) + ": " + what for what, _, path in pairs]
        raise Faults(faults) from None
    except (ValueError, TypeError, KeyError) as error:
        raise Faults([f"$: {error}"]) from None


def _described(error: BaseException, _: object) -> str:
    if isinstance(error, KeyError):
        return "missing"
    if isinstance(error, (AttributeError, TypeError)):
        return "not of the shape that belongs here"
    extra = getattr(error, "extra_fields", None)
    if extra:
        return f"unknown: {', '.join(sorted(extra))}"
    return str(error)
