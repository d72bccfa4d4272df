"""Archived records from JSON, against frozen pydantic v2 dataclasses of the same shape.

Both take the platform's flat items and make nested records: dates such as
`2026-01-31 23:59:59` in UTC, zero dates as None, ids from digits, words of the platform as enum
members, unknown fields kept in `extra`. pydantic gets the flat item for each group, under
aliases, so that nothing is copied for it. Needs the extra `bench`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

import attrs

from lms_archive import ArchivedCourseEnrollment, Contract
from lms_archive.records.status import LEVEL_WORDS, STATUS_WORDS, EnrollmentLevel, EnrollmentStatus
from lms_archive.records.structure import Structurer

from .common import alternating, archived_items, cpu_seconds, figure

_COUNT, _ROUNDS = 1_000, 60
_KEYS: Mapping[str, Any] = Contract.default().records["ArchivedCourseEnrollment"]


def _moment(text: str | None) -> datetime | None:
    if text is None or text.startswith("0000-00-00"):
        return None
    return datetime.fromisoformat(text + "+00:00")


def by_pydantic() -> Callable[[dict[str, Any]], Any]:
    """Return what makes the same records as pydantic dataclasses."""
    from pydantic import Field, PlainValidator, TypeAdapter  # noqa: PLC0415  only needed here
    from pydantic.dataclasses import dataclass  # noqa: PLC0415

    kinds: list[tuple[Any, Any]] = [
        (datetime | None, Annotated[datetime | None, PlainValidator(_moment)]),
        (
            EnrollmentStatus | str | None,
            Annotated[Any, PlainValidator(lambda word: STATUS_WORDS.get(word, word))],
        ),
        (
            EnrollmentLevel | str | None,
            Annotated[Any, PlainValidator(lambda word: LEVEL_WORDS.get(word, word))],
        ),
    ]

    def shape(cls: Any, group: str = "") -> Any:
        types: dict[str, Any] = {}
        space: dict[str, Any] = {"__annotations__": types}
        for attribute in attrs.fields(cls):
            name, kind, key = attribute.name, attribute.type, _KEYS.get(group + attribute.name)
            if not attribute.init:
                continue
            if attrs.has(kind):
                types[name], key = shape(kind, f"{name}."), name
            elif name == "extra":
                types[name], key = dict[str, Any], name
            else:
                types[name] = next((other for own, other in kinds if own == kind), kind)
            default = field(default=None)
            space[name] = default if key is None else Field(default=None, validation_alias=key)
        return dataclass(frozen=True, slots=True, kw_only=True)(type(cls.__name__, (), space))

    make: Any = TypeAdapter(shape(ArchivedCourseEnrollment)).validate_python
    groups = [
        one.name
        for one in attrs.fields(ArchivedCourseEnrollment)
        if one.type and attrs.has(one.type)
    ]
    known = frozenset(_KEYS.values())

    def record(item: dict[str, Any]) -> Any:
        extra = {key: item[key] for key in item if key not in known}
        plan = item["learning_plan_id"]
        return make({**dict.fromkeys(groups, item), "learning_plan_id": plan, "extra": extra})

    return record


def main() -> None:
    """Compare, after a look whether both sides make the same of an item."""
    items, structurer = list(archived_items(_COUNT)), Structurer(Contract.default().records)
    makers: dict[str, Callable[[dict[str, Any]], Any]] = {
        "lms_archive": lambda item: structurer(ArchivedCourseEnrollment, item),
        "pydantic": by_pydantic(),
    }
    ours, theirs = (make(items[0]) for make in makers.values())
    own, other = (
        (one.enrollment.enrolled_at, one.user.user_id, one.extra) for one in (ours, theirs)
    )
    if own != other:
        raise RuntimeError("the sides do not make the same record")

    def measure(make: Callable[[dict[str, Any]], Any]) -> Callable[[], float]:
        return lambda: cpu_seconds(lambda: deque(map(make, items), maxlen=0))

    took = alternating({name: measure(make) for name, make in makers.items()}, _ROUNDS)
    for name, seconds in took.items():
        figure(f"{name}: microseconds a record", seconds / _COUNT * 1e6, "us")
    figure("as fast as pydantic", took["pydantic"] / took["lms_archive"], goal=">= 1.2")
