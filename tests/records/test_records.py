"""The records themselves: frozen, slotted, all of them in the contract, and as `__init__` makes."""

import pickle
from collections.abc import Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lms_archive import Contract, records
from lms_archive.records import ArchiveMode, status
from lms_archive.records.structure import Structurer, first_key

CONTRACT = Contract.default()
RECORDS = {name: getattr(records, name) for name in CONTRACT.records}
ALL = [cls for cls in map(records.__dict__.get, records.__all__) if attrs.has(cls)]  # type: ignore[arg-type]


KEYS = {
    name: {path: first_key(key) for path, key in keys.items()}
    for name, keys in CONTRACT.records.items()
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


def paths(cls: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every attribute of a record, those of its groups with a dot."""
    for field in attrs.fields(cls):
        if attrs.has(field.type):
            yield from paths(field.type, f"{before}{field.name}.")
        else:
            yield before + field.name, field


def items(cls: Any, *, bare: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Items of a record, with what it needs, and unless they are bare any of the rest."""
    needed: dict[Any, st.SearchStrategy[Any]] = {}
    more: dict[Any, st.SearchStrategy[Any]] = {}
    for path, field in paths(cls):
        if path in KEYS[cls.__name__]:
            keys = needed if field.default is attrs.NOTHING else more
            keys[KEYS[cls.__name__][path]] = VALUES.get(field.type, WORDS)
    return st.fixed_dictionaries(needed, optional={} if bare else more)


def by_hand(value: Any) -> Any:
    """The same values, by way of the classes' own `__init__`."""
    if not attrs.has(type(value)):
        return value
    names = [field.name for field in attrs.fields(type(value)) if field.init]
    return type(value)(**{name: by_hand(getattr(value, name)) for name in names})


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_records_are_frozen_slotted_and_made_with_names(cls: Any) -> None:
    """Nothing of a record changes, nothing is added to it, and a new field breaks nobody."""
    assert "__slots__" in cls.__dict__
    assert "__dict__" not in dir(cls)
    record = cls.__new__(cls)
    with pytest.raises(FrozenInstanceError):
        record.anything = 1
    with pytest.raises(TypeError):
        cls(1, 2)


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_has_a_key(name: str) -> None:
    """Each attribute has a JSON key in the contract, unless the API does not return it."""
    keys = CONTRACT.records[name]
    assert len(set(keys.values())) == len(keys)
    expected = {
        path
        for path, field in paths(RECORDS[name])
        if path not in ("extra", "platform") and field.metadata.get("returned", True)
    }
    assert set(keys) == expected


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
@settings(max_examples=5)
@given(data=st.data())
def test_a_record_of_the_required_keys_alone_is_none_elsewhere(
    cls: Any, data: st.DataObject
) -> None:
    """Its unknown fields are kept, but do not fill the screen."""
    record = Structurer(KEYS)(cls, data.draw(items(cls, bare=True)))
    for path, field in paths(cls):
        assert field.default is not None or attrgetter(path)(record) is None, path
    assert record.extra == {}
    assert "sauce" not in repr(attrs.evolve(record, extra={"secret_sauce": 1}))


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_record_of_an_item_is_the_one_that_init_makes(cls: Any, data: st.DataObject) -> None:
    """Whichever keys an item has, its record is whole, frozen, and equal to one made by hand."""
    unknown = data.draw(st.dictionaries(st.sampled_from(["branch", "x y", "a", "é"]), WORDS))
    record = Structurer(KEYS)(cls, data.draw(items(cls)) | unknown)
    assert type(record) is cls
    assert list(record.extra.items()) == list(unknown.items())  # in this order
    assert record == by_hand(record)
    assert repr(record) == repr(by_hand(record))
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301  our own
    with pytest.raises(FrozenInstanceError):
        record.extra = {}
    with pytest.raises(FrozenInstanceError):
        del record.extra


def test_a_field_that_no_call_returns_stays_none() -> None:
    """A starred field stays None even if its name comes as a key: that meaning is not known."""
    item = {"id": 1, "user_id": 1, "course_id": 1, "last_login_at": "2026-01-01 00:00:00"}
    record = Structurer(CONTRACT.records)(records.ArchivedCourseEnrollment, item)
    assert record.user.last_login_at is None
    assert record.extra == {"last_login_at": "2026-01-01 00:00:00"}


def test_words_are_texts_and_every_word_is_read() -> None:
    """A word compares, prints and formats as itself, and is found under its own text."""
    for words in (
        {word.value: word for word in ArchiveMode},
        status.STATUS_WORDS,
        status.LEVEL_WORDS,
        status.JOB_WORDS,
    ):
        for word in type(next(iter(words.values()))):
            assert str(word) == f"{word}" == word.value == word
            assert words[word.value] is word


def test_three_statuses_can_be_archived() -> None:
    """Waiting lists, suspended and unknown states stay out of what is archivable."""
    known = {"enrolled", "in_progress", "completed"}
    assert {str(word) for word in status.ARCHIVABLE} == known
