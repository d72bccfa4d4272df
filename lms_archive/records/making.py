"""Makes records of the platform's flat items, as fast as if each were written out by hand.

A frozen record is set attribute by attribute through `object.__setattr__`, which takes most of
the time. So for each class a function is written that sets a twin of the class, which is not
frozen, and then gives it its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

import attrs

from lms_archive.records.leaves import hook_of

__all__ = ["maker", "twin"]

_SMALL = 2**30
_AS_IT_IS: Mapping[Any, str] = {
    int: "type({0}) is int and -small < {0} < small",
    int | None: "{0} is None or type({0}) is int and -small < {0} < small",
    str | None: "{0} is None or type({0}) is str",
    int | str | None: "{0} is None or type({0}) is int",
    float | None: "{0} is None",
    datetime | None: "{0} is None",
}
"""For types of attributes, when a value is taken as it is: most are, and need no hook."""


def maker(cls: type, keys: Mapping[str, str]) -> Callable[[Mapping[str, Any]], Any]:
    """The function that makes a record of an item.

    Args:
        cls: the record's class. Its groups are made of the same item; its `extra` takes what is
            under no key.
        keys: for each attribute (`"user.user_id"` where grouped), the key it is found under; two or
            more. An attribute without one is None.
    """
    known = {*keys.values()}
    values = {path: f"value{number}" for number, path in enumerate(keys)}
    given: dict[str, Any] = {
        "new": object.__new__,
        "small": _SMALL,
        "keys": tuple(keys.values()),
        "every": itemgetter(*keys.values()),
        "known": known,
    }
    names = ", ".join(values.values())
    lines = (
        "def make(item):",
        f"    try: {names} = every(item)",
        f"    except KeyError: {names} = map(item.get, keys); more = True",
        f"    else: more = len(item) > {len(known)}",
        *(f"    {line}" for line in _lines(cls, "record", "", values, given)),
        "    return record",
    )
    exec("\n".join(lines), given)  # noqa: S102  it holds names of attributes, nothing of a stranger
    return given["make"]  # type: ignore[no-any-return]


def _lines(
    cls: Any, name: str, under: str, values: Mapping[str, str], given: dict[str, Any]
) -> Iterator[str]:
    """The lines that make one of this class under that name; `given` is what they use."""
    given[f"{name}_class"], given[f"{name}_twin"] = cls, twin(cls)
    yield f"{name} = new({name}_twin)"
    for field in attrs.fields(cls):
        path, set_to = under + field.name, "None"
        if attrs.has(field.type):
            yield from _lines(field.type, field.name, f"{path}.", values, given)
            set_to = field.name
        elif path in values:
            value, hook = values[path], f"hook{len(given)}"
            given[hook], same = hook_of(field.type), _AS_IT_IS.get(field.type, "False")
            set_to = f"{value} if {same.format(value)} else {hook}({value})"
        elif field.name == "extra":
            set_to = "{key: item[key] for key in item if key not in known} if more else {}"
        yield f"{name}.{field.name} = {set_to}"
    yield f"{name}.__class__ = {name}_class"


def twin(cls: type) -> Any:
    """A class with the same slots whose instances can be set, and then be given this class."""
    unlocked = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), {"__slots__": (), **unlocked})
