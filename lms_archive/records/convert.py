"""Between JSON and records: the only module that knows cattrs.

The platform answers flat items whose keys stand in the contract; records are typed and, where
archived, grouped. Files of our own (contract, plan, ledger) hold records as they are built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from enum import Enum
from math import isfinite
from typing import Any, TypeVar

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError, transform_error
from cattrs.gen import make_dict_structure_fn, override

from lms_archive.records import status as words

__all__ = ["Faults", "Structurer", "from_plain", "to_plain"]

T = TypeVar("T")

_SHOWN = 60
_DIGITS = 20
_LARGEST = 2**63


class Faults(ValueError):
    """What is wrong with some JSON: one text for each fault, beginning with its JSON path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def _integer(value: object, _: object = None) -> int:
    if isinstance(value, str) and len(value) <= _DIGITS:
        value = int(value) if value.isascii() and value.lstrip("-").isdigit() else None
    if type(value) is int and abs(value) < _LARGEST:
        return value
    raise ValueError("expected a whole number")


def _number(value: object, _: object = None) -> float:
    if type(value) in (int, float, str):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            pass
        else:
            if isfinite(number):
                return number
    raise ValueError("expected a number")


def _text(value: object, _: object = None) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise ValueError("expected text")


def _flag(value: object, _: object = None) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1, "0", "1"):
        return value in (1, "1")
    raise ValueError("expected true or false")


def _time(value: object, _: object = None) -> datetime | None:
    """A time in UTC (article: archiving; the rest: seen); zero dates mean none (seen)."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if value.startswith("0000-00-00"):
            return None
        try:
            moment = datetime.fromisoformat(value[:-1] + "+00:00" if value[-1] in "zZ" else value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is None:
                return moment.replace(tzinfo=timezone.utc)
            return moment.astimezone(timezone.utc)
    raise ValueError("expected a time like '2026-01-31 23:59:59'")


def _moment(value: object, _: object = None) -> datetime:
    moment = _time(value)
    if moment is None:
        raise ValueError("expected a time")
    return moment


def _optional(hook: Callable[[object], T]) -> Callable[[object, object], T | None]:
    def structure(value: object, _: object) -> T | None:
        return None if value is None or value == "" else hook(value)

    return structure


def _word(known: Mapping[str, Enum]) -> Callable[[object], Enum | str]:
    def structure(value: object) -> Enum | str:
        text = _text(value)
        return known.get(text) or known.get(text.strip().lower()) or text

    return structure


def _id_or_word(value: object) -> int | str:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() else text


def _ids(value: object, _: object = None) -> tuple[int, ...]:
    """A list of ids; on this platform it may be one text with commas (article)."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(  # noqa: TRY004  a fault of the data, as every other
            "expected ids, such as '12,15,19'"
        )
    return tuple(
        _integer(part.strip() if isinstance(part, str) else part) for part in parts if part != ""
    )


_status = _word(words.STATUS_WORDS)
_LEAVES: tuple[tuple[Any, Callable[[Any, Any], Any]], ...] = (
    (int, _integer),
    (float, _number),
    (str, _text),
    (bool, _flag),
    (int | None, _optional(_integer)),
    (float | None, _optional(_number)),
    (bool | None, _optional(_flag)),
    (str | None, lambda value, _: None if value is None else _text(value)),
    (int | str, lambda value, _: value if type(value) in (int, str) else _text(value)),
    (int | str | None, _optional(_id_or_word)),
    (datetime, _moment),
    (datetime | None, _time),
    (words.EnrollmentStatus | str | None, _optional(_status)),
    (words.EnrollmentLevel | str | None, _optional(_word(words.LEVEL_WORDS))),
    (words.JobStatus | str, lambda value, _: _word(words.JOB_WORDS)(value)),
)


def _converter(**options: Any) -> Converter:
    converter = Converter(**options)
    for shape, hook in _LEAVES:
        converter.register_structure_hook(shape, hook)
    converter.register_structure_hook_func(lambda shape: shape == tuple[int, ...], _ids)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(date, date.isoformat)
    return converter


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
        make = self._made.get(cls)
        if make is None:
            make = self._made[cls] = self._build(cls)
        try:
            return make(item)  # type: ignore[no-any-return]
        except (ValueError, TypeError, KeyError, OverflowError):
            raise Faults(list(self._explain(cls, item, where))) from None

    def _build(self, cls: Any) -> Callable[[Mapping[str, Any]], Any]:
        keys = self._keys[cls.__name__]
        known = frozenset(keys.values())
        groups = []
        for field in attrs.fields(cls):
            if attrs.has(field.type):
                under = f"{field.name}."
                inner = {n.removeprefix(under): k for n, k in keys.items() if n.startswith(under)}
                groups.append((field.name, field.type, self._flat(field.type, inner)))
        plain = self._flat(cls, keys)

        def structure(item: Mapping[str, Any]) -> Any:
            record = plain(item, cls)
            record.extra.update((key, item[key]) for key in item if key not in known)
            return record

        def structure_groups(item: Mapping[str, Any]) -> Any:
            values = {name: make(item, group) for name, group, make in groups}
            for name, key, hook, shape in own:
                values[name] = hook(item.get(key), shape)
            return cls(**values, extra={key: item[key] for key in item if key not in known})

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
