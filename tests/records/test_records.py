"""The records themselves: frozen, slotted, and all of them in the contract."""

import pickle
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from lms_archive import Contract, records
from lms_archive.records import (
    ArchiveMode,
    EnrollmentLevel,
    EnrollmentStatus,
    JobStatus,
    active,
    archived,
    status,
)
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
def test_records_are_frozen_and_slotted(cls: Any) -> None:
    """Nothing of a record can change, and nothing can be added to it."""
    assert "__slots__" in cls.__dict__
    assert "__dict__" not in dir(cls)
    one = cls.__new__(cls)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.anything = 1


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_a_record_is_made_with_names_only(cls: Any) -> None:
    """A record is made with names, so that a new field breaks nobody."""
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
    """A record of the required keys alone has None everywhere else, and pickles."""
    record = bare(RECORDS[name])
    for path, field in paths(RECORDS[name]):
        value: Any = record
        for step in path.split("."):
            value = getattr(value, step)
        if field.default is None:
            assert value is None, path
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301  our own
    assert record.extra == {}


@pytest.mark.parametrize("name", RECORDS)
def test_unknown_fields_are_not_printed(name: str) -> None:
    """Unknown fields are kept, but do not fill the screen."""
    record = attrs.evolve(bare(RECORDS[name]), extra={"secret_sauce": 1})
    assert "sauce" not in repr(record)


def test_a_field_that_no_call_returns_stays_none() -> None:
    """A starred field stays None even if its name comes as a key: that meaning is not known."""
    item = {"id": 1, "user_id": 1, "course_id": 1, "last_login_at": "2026-01-01 00:00:00"}
    record = Structurer(CONTRACT.records)(archived.ArchivedCourseEnrollment, item)
    assert record.user.last_login_at is None
    assert record.extra == {"last_login_at": "2026-01-01 00:00:00"}


@pytest.mark.parametrize("word", [ArchiveMode.RE_ENROLL, EnrollmentStatus.COMPLETED])
def test_a_word_is_a_text(word: Any) -> None:
    """A word is a `str`: it compares, prints and formats as itself."""
    assert word == word.value
    assert str(word) == f"{word}" == word.value
    assert type(word)(word.value) is word


def test_every_member_of_an_enum_is_read() -> None:
    """Every member of an enum is found under its own word."""
    assert {status.STATUS_WORDS[word.value] for word in EnrollmentStatus} == set(EnrollmentStatus)
    assert {status.LEVEL_WORDS[word.value] for word in EnrollmentLevel} == set(EnrollmentLevel)
    assert {status.JOB_WORDS[word.value] for word in JobStatus} == set(JobStatus)


def test_three_statuses_can_be_archived() -> None:
    """Waiting lists, suspended and unknown states stay out of what is archivable."""
    known = {"enrolled", "in_progress", "completed"}
    assert {str(word) for word in status.ARCHIVABLE} == known
