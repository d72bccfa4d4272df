"""The records themselves: frozen, slotted, and all of them in the contract."""

import pickle
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import attrs
import pytest

from lms_archive import Contract, records
from lms_archive.records import ArchiveMode, active, archived, status
from lms_archive.records.structure import Structurer, first_key

CONTRACT = Contract.default()
RECORDS = {name: getattr(records, name) for name in CONTRACT.records}
PUBLIC = [getattr(module, name) for module in (active, archived) for name in module.__all__]
ALL = [cls for cls in PUBLIC if isinstance(cls, type)]  # not the union of two of them


def paths(cls: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every attribute of a record, those of its groups with a dot."""
    for field in attrs.fields(cls):
        if attrs.has(field.type):
            yield from paths(field.type, f"{before}{field.name}.")
        else:
            yield before + field.name, field


def bare(cls: Any) -> Any:
    """A record of the least that the platform may give."""
    keys = CONTRACT.records[cls.__name__]
    needed = {path for path, field in paths(cls) if field.default is attrs.NOTHING}
    return Structurer(CONTRACT.records)(cls, {first_key(keys[path]): "1" for path in needed})


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_records_are_frozen_slotted_and_made_with_names(cls: Any) -> None:
    """Nothing of a record changes, nothing is added to it, and a new field breaks nobody."""
    assert "__slots__" in cls.__dict__
    assert "__dict__" not in dir(cls)
    record = cls.__new__(cls)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
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


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_the_required_keys_alone_is_none_elsewhere(name: str) -> None:
    """It pickles, and its unknown fields are kept, but do not fill the screen."""
    record = bare(RECORDS[name])
    for path, field in paths(RECORDS[name]):
        assert field.default is not None or attrgetter(path)(record) is None, path
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301  our own
    assert record.extra == {}
    assert "sauce" not in repr(attrs.evolve(record, extra={"secret_sauce": 1}))


def test_a_field_that_no_call_returns_stays_none() -> None:
    """A starred field stays None even if its name comes as a key: that meaning is not known."""
    item = {"id": 1, "user_id": 1, "course_id": 1, "last_login_at": "2026-01-01 00:00:00"}
    record = Structurer(CONTRACT.records)(archived.ArchivedCourseEnrollment, item)
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
