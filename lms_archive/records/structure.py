"""Build records from JSON, and JSON from records. The only module that imports cattrs.

The platform sends flat items whose keys are in the contract; records are typed, and archived
records have groups: `record_reader` builds them. The library's own files (contract, plan, ledger)
hold records in their own form: `to_plain` and `from_plain` write and read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from operator import eq
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import attrs
from cattrs import ClassValidationError, IterableValidationError, transform_error
from cattrs import Converter as CattrsConverter
from cattrs.fns import identity

from lms_archive.records.fields import CONVERTERS, Converter, converter_for

T = TypeVar("T")
Reader = Callable[[Mapping[str, Any]], T]
JsonKey = str | tuple[str, ...]
"""The JSON key of a field, or several keys, of which the first with a value counts."""

_SHOWN = 60
_FAULTS = (ValueError, TypeError, KeyError, OverflowError)


class StructureError(ValueError):
    """A JSON value does not have the expected form.

    Attributes:
        faults: one text for each fault, beginning with its JSON path.
        fields: the fields of the record that have a fault, as in the contract: `"user.user_id"`.
    """

    faults: tuple[str, ...]
    fields: frozenset[str]

    def __init__(self, faults: Sequence[str], fields: Collection[str] = ()) -> None:
        super().__init__("; ".join(faults))
        self.faults, self.fields = tuple(faults), frozenset(fields)


def first_key(key: JsonKey) -> str:
    """Return the key of a field, or the first of several."""
    return key if isinstance(key, str) else key[0]


def _key_in(item: Mapping[str, Any], key: JsonKey) -> str:
    """Return the key under which an item holds a field, or the first key if it does not."""
    if isinstance(key, str):
        return key
    present = [name for name in key if name in item]
    return next((name for name in present if item[name] is not None), next(iter(present), key[0]))


def record_reader(cls: type[T], keys: Mapping[str, str], group: str = "") -> Reader[T]:
    """Build the function that turns a flat item of the API into a frozen, slotted record.

    The values are set through the descriptors of the slots, because the `__init__` of a frozen
    class takes several times as long. Groups are read from the same item; `extra` takes the values
    of unknown keys; a field without a key is None. The function raises one of `_FAULTS` for an item
    that is not such a record.
    """
    values: list[tuple[Any, str, type | None, Converter]] = []
    groups: list[tuple[Any, Reader[Any]]] = []
    empty: list[Any] = []
    set_extra: Any = None
    record_class: Any = cls
    for attribute in attrs.fields(record_class):
        set_slot = getattr(cls, attribute.name).__set__
        key = keys.get(group + attribute.name)
        if attrs.has(attribute.type):
            groups.append((set_slot, record_reader(attribute.type, keys, f"{attribute.name}.")))
        elif attribute.name == "extra":
            set_extra = set_slot
        elif key is None:
            empty.append(set_slot)
        else:
            values.append((set_slot, key, _kept(attribute.type), converter_for(attribute.type)))
    new, mapped = object.__new__, frozenset(keys.values())

    def read(item: Mapping[str, Any]) -> T:
        record, get = new(cls), item.get
        for set_slot, key, kept, convert in values:
            value = get(key)
            set_slot(record, value if type(value) is kept else convert(value))
        for set_slot, read_group in groups:
            set_slot(record, read_group(item))
        for set_slot in empty:
            set_slot(record, None)
        if set_extra is not None:
            is_mapped = item.keys() <= mapped
            set_extra(record, {} if is_mapped else {k: item[k] for k in item if k not in mapped})
        return record

    return read


def _kept(kind: Any) -> type | None:
    """Return the type whose values a field keeps as they are, which saves most of the calls."""
    if kind in (str, str | None):
        return str
    return NoneType if NoneType in get_args(kind) else None


class Structurer:
    """A builder of records from the platform's items, by the keys of the contract.

    Args:
        keys: for the name of each record, its fields (`"user.user_id"` in a group) and the JSON
            key of each; of several keys, the first with a value counts.
    """

    def __init__(self, keys: Mapping[str, Mapping[str, JsonKey]]) -> None:
        self._keys = keys
        self._readers: dict[type, Reader[Any]] = {}

    def __call__(self, cls: type[T], item: object, where: str = "$") -> T:
        """Build the record of one item; the error lists all its faults, each with its path."""
        if not isinstance(item, Mapping):
            raise StructureError([f"{where}: expected an object, not {_shown(item)}"])
        try:
            return self._reader(cls)(item)
        except _FAULTS:
            faults = list(self._faults(cls, item))
            if not faults:
                raise
        texts = [f"{where}.{fault.key}: {fault.text}" for fault in faults]
        raise StructureError(texts, {fault.field for fault in faults})

    def many(self, cls: type[T], items: Sequence[Any], where: str = "$") -> list[T]:
        """Build the records of a list; the error lists the faults of the first faulty item."""
        try:
            return list(map(self._reader(cls), items))
        except (*_FAULTS, AttributeError):  # an item that is not an object has no `get`
            return [self(cls, item, f"{where}[{index}]") for index, item in enumerate(items)]

    def without_faults(self, cls: type[T], item: object) -> T | None:
        """Build the record of a faulty item with the faulty values, unchanged, in `extra`.

        Returns None where a required field has a fault.
        """
        if not isinstance(item, Mapping):
            return None
        keys = {fault.key for fault in self._faults(cls, item)}
        try:
            record: Any = self._reader(cls)({**item, **dict.fromkeys(keys)})
        except _FAULTS:
            return None
        faulty = {key: value for key, value in item.items() if key in keys}
        return attrs.evolve(record, extra={**record.extra, **faulty})  # type: ignore[no-any-return]

    def value(self, cls: type, item: object, name: str) -> Any:
        """Read one field of an item, from any group; None where it cannot be read."""
        for path, key in self._keys[cls.__name__].items():
            if path.rpartition(".")[2] == name and isinstance(item, Mapping):
                with suppress(ValueError, TypeError, OverflowError):
                    return converter_for(_type_of(cls, path))(item.get(_key_in(item, key)))
        return None

    def _reader(self, cls: type[T]) -> Reader[T]:
        if cls not in self._readers:
            keys = self._keys[cls.__name__]
            read = record_reader(cls, {path: first_key(key) for path, key in keys.items()})
            has_choice = not all(isinstance(key, str) for key in keys.values())
            self._readers[cls] = _with_first_keys(read, keys.values()) if has_choice else read
        return self._readers[cls]

    def _faults(self, cls: type, item: Mapping[str, Any]) -> Iterator[_Fault]:
        for path, keys in self._keys[cls.__name__].items():
            field_type, key = _type_of(cls, path), _key_in(item, keys)
            if key not in item:
                if NoneType not in get_args(field_type) and get_origin(field_type) is not tuple:
                    yield _Fault(path, key, "missing")
                continue
            try:
                converter_for(field_type)(item[key])
            except (ValueError, TypeError, OverflowError) as error:
                yield _Fault(path, key, f"{error}, not {_shown(item[key])}")


def _with_first_keys(read: Reader[T], keys: Collection[JsonKey]) -> Reader[T]:
    """Return a reader that moves each value to the first of its keys before it reads an item."""

    def read_moved(item: Mapping[str, Any]) -> T:
        keys_in_item = {first_key(key): _key_in(item, key) for key in keys}
        used = {*keys_in_item.values()}
        moved = {first: item[key] for first, key in keys_in_item.items() if key in item}
        return read({key: item[key] for key in item if key not in used} | moved)

    return read_moved


class _Fault(NamedTuple):
    """A fault in one value of an item."""

    field: str
    key: str
    text: str


def _type_of(cls: Any, field: str) -> Any:
    """Return the type of a field of a record, or of one of its groups."""
    for name in field.split("."):
        cls = getattr(attrs.fields(cls), name).type
    return cls


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_JSON_AS_THEY_ARE = (int | None, float | None, bool | None, str | None, int | str | None)
"""The optional types whose values are JSON already: cattrs would look at the class of each."""


def _hook(convert: Converter) -> Callable[[Any, Any], Any]:
    return lambda value, _: convert(value)


def _cattrs_converter(**options: Any) -> CattrsConverter:
    converter = CattrsConverter(forbid_extra_keys=True, **options)
    for field_type, convert in CONVERTERS:
        if get_origin(field_type) is tuple:
            converter.register_structure_hook_func(partial(eq, field_type), _hook(convert))
        else:
            converter.register_structure_hook(field_type, _hook(convert))
            if field_type in _JSON_AS_THEY_ARE:
                converter.register_unstructure_hook(field_type, identity)
    converter.register_structure_hook(
        JsonKey, lambda key, _: key if type(key) is str else tuple(key)
    )
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    return converter


_NAMED = re.compile(r"\['([^']*)'\]")
_explaining = _cattrs_converter()
_fast = _cattrs_converter(detailed_validation=False, omit_if_default=True)


def to_plain(value: Any, *, omit_defaults: bool = False) -> Any:
    """Return the JSON form of a record, or of a value that contains records.

    Times are in ISO 8601, UTC. With *omit_defaults*, fields that have their default are left out;
    `from_plain` reads both forms.
    """
    return (_fast if omit_defaults else _explaining).unstructure(value)


def from_plain(cls: type[T], value: object) -> T:
    """Build a record from its JSON form; the error lists all faults, each with its JSON path."""
    if attrs.has(cls) and not isinstance(value, Mapping):
        raise StructureError([f"$: expected an object, not {_shown(value)}"])
    with suppress(Exception):  # the slower converter below reports the faults and their paths
        return _fast.structure(value, cls)
    try:
        return _explaining.structure(value, cls)
    except (ClassValidationError, IterableValidationError) as error:
        pairs = (text.rpartition(" @ ") for text in transform_error(error, "$", _described))
        faults = [_NAMED.sub(r".\1", path) + ": " + text for text, _, path in pairs]
        raise StructureError(faults) from None
    except (ValueError, TypeError, KeyError) as error:
        raise StructureError([f"$: {error}"]) from None


def _described(error: BaseException, _: object) -> str:
    if isinstance(error, KeyError):
        return "missing"
    if isinstance(error, (AttributeError, TypeError)):
        return "has a wrong type"
    extra = getattr(error, "extra_fields", None)
    if extra:
        return f"unknown: {', '.join(sorted(extra))}"
    return str(error)
