"""Between JSON and records: the only module that knows cattrs.

The platform answers flat items whose keys stand in the contract; records are typed and, where
archived, grouped. Files of our own (contract, plan, ledger) hold records as they are built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from itertools import filterfalse
from typing import Any, TypeVar

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError, transform_error
from cattrs.gen import make_dict_structure_fn, override

from lms_archive.records.leaves import LEAVES, ids

__all__ = ["Faults", "Structurer", "from_plain", "to_plain"]

T = TypeVar("T")

_SHOWN = 60
_DIGITS = 20
_LARGEST = 2**63


class Faults(ValueError):
    """What is wrong with some JSON: one text for each fault, beginning with its JSON path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults: tuple[str, ...] = tuple(faults)


def _converter(**options: Any) -> Converter:
    converter = Converter(**options)
    for shape, hook in LEAVES:
        converter.register_structure_hook(shape, hook)
    converter.register_structure_hook_func(lambda shape: shape == tuple[int, ...], ids)
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
        self._converter = _converter(detailed_validation=False)
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
            raise Faults(list(self._explain(cls, item, where))) from None

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
            make = self._made[cls] = self._build(cls)
        return make

    def _build(self, cls: Any) -> Callable[[Mapping[str, Any]], Any]:
        keys = self._keys[cls.__name__]
        is_known = frozenset(keys.values()).__contains__
        groups = []
        for field in attrs.fields(cls):
            if attrs.has(field.type):
                under = f"{field.name}."
                inner = {n.removeprefix(under): k for n, k in keys.items() if n.startswith(under)}
                groups.append((field.name, field.type, self._flat(field.type, inner)))
        plain = self._flat(cls, keys)

        def structure(item: Mapping[str, Any]) -> Any:
            record = plain(item, cls)
            for key in filterfalse(is_known, item):
                record.extra[key] = item[key]
            return record

        def structure_groups(item: Mapping[str, Any]) -> Any:
            values = {name: make(item, group) for name, group, make in groups}
            for name, key, hook, shape in own:
                values[name] = hook(item.get(key), shape)
            return cls(**values, extra={key: item[key] for key in filterfalse(is_known, item)})

        own = [
            (f.name, keys[f.name], self._converter.get_structure_hook(f.type), f.type)
            for f in attrs.fields(cls)
            if f.name in keys
        ]
        return structure_groups if groups else structure

    def _flat(self, cls: Any, keys: Mapping[str, str]) -> Callable[[Mapping[str, Any], Any], Any]:
        names = [field.name for field in attrs.fields(cls)]
        options: dict[str, Any] = {
            n: override(rename=keys[n]) if n in keys else override(omit=True) for n in names
        }
        return make_dict_structure_fn(
            cls, self._converter, _cattrs_detailed_validation=False, **options
        )

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
                self._converter.structure(item[key], attribute.type)
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
