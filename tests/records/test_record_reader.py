"""Records that are read from items are those that `__init__` would make."""

import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lms_archive import Contract, records
from lms_archive.records.structure import Structurer, first_key

KEYS = {
    name: {field: first_key(key) for field, key in fields.items()}
    for name, fields in Contract.default().records.items()
}
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(0, 2**40).map(str)
TIMES = st.datetimes(datetime(1000, 1, 1)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}")  # noqa: DTZ001
WORDS = st.text(max_size=5)
VALUES: Mapping[Any, st.SearchStrategy[Any]] = {
    int: NUMBERS,
    int | None: st.none() | NUMBERS,
    float | None: st.none() | st.floats(allow_nan=False, allow_infinity=False) | NUMBERS,
    bool | None: st.none() | st.booleans() | st.sampled_from(["0", "1"]),
    datetime | None: st.none() | TIMES | st.just("0000-00-00 00:00:00"),
    tuple[int, ...]: st.none() | st.lists(NUMBERS, max_size=3),
}


def by_hand(value: Any) -> Any:
    """The same values, by way of the classes' own `__init__`."""
    if not attrs.has(type(value)):
        return value
    names = [field.name for field in attrs.fields(type(value)) if field.init]
    return type(value)(**{name: by_hand(getattr(value, name)) for name in names})


def items(cls: Any, keys: Mapping[str, str], under: str = "") -> st.SearchStrategy[dict[str, Any]]:
    """Items of that record, with what it needs and any of the rest."""
    needed: dict[Any, st.SearchStrategy[Any]] = {}
    more: dict[Any, st.SearchStrategy[Any]] = {}
    parts = []
    for field in attrs.fields(cls):
        path = under + field.name
        if attrs.has(field.type):
            parts.append(items(field.type, keys, f"{path}."))
        elif path in keys:
            which = needed if field.default is attrs.NOTHING else more
            which[keys[path]] = VALUES.get(field.type, WORDS)
    own = st.fixed_dictionaries(needed, optional=more)
    return st.tuples(own, *parts).map(lambda dicts: {k: v for d in dicts for k, v in d.items()})


@pytest.mark.parametrize("name", sorted(KEYS))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_record_of_an_item_is_the_one_that_init_makes(name: str, data: st.DataObject) -> None:
    """Whichever keys an item has, its record is whole, frozen, and equal to one made by hand."""
    cls = getattr(records, name)
    item = data.draw(items(cls, KEYS[name]))
    unknown = data.draw(st.dictionaries(st.sampled_from(["branch", "x y", "a", "é"]), WORDS))
    made = Structurer(KEYS)(cls, item | unknown)
    assert type(made) is cls
    assert list(made.extra.items()) == list(unknown.items())  # in this order
    assert made == by_hand(made)
    assert repr(made) == repr(by_hand(made))
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301  our own
    with pytest.raises(FrozenInstanceError):
        made.extra = {}
    with pytest.raises(FrozenInstanceError):
        del made.extra
