"""Read the labels in the index of a DataFrame, store them in a ledger, and restore them.

A label is a whole number, a text, a number, a flag, a day, a time or a duration, or several of
these in an index of several levels. A missing label is NaN. Aware times are stored in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any, Final

from lms_archive.archive.selection.cells import to_python

if TYPE_CHECKING:
    from typing_extensions import Self

Label = int | str | float | date | timedelta | tuple[Any, ...]
"""A label that can be stored; `date` includes `datetime`, `int` includes `bool`."""

_MARK: Final = "label:"
"""The prefix of the JSON of a label that is neither a whole number nor an ordinary text."""
_LARGEST: Final = 2**63
_MICROSECOND: Final = timedelta(microseconds=1)


class Levels(tuple[Any, ...]):  # noqa: SLOT001  a tuple cannot have slots
    """A label in an index of several levels, with the names of the levels."""

    names: Sequence[str | None]

    def __new__(cls, values: Iterable[Any], names: Sequence[str | None] = ()) -> Self:
        """Join the values of the levels."""
        label = super().__new__(cls, values)
        label.names = names
        return label


def read_labels(frame: Any) -> tuple[list[Label], str | None]:
    """Return the labels of a DataFrame, unless they are plain positions, and a note.

    If the labels cannot be stored, return none, and a note that says so.
    """
    index = frame.index
    names = [name if isinstance(name, str) else None for name in index.names]
    is_levels = getattr(index, "nlevels", 1) > 1
    try:
        labels = [
            Levels([_checked(value) for value in label], names) if is_levels else _checked(label)
            for label in index
        ]
    except (ValueError, OverflowError):  # UTC cannot hold every time of other zones
        return [], (
            f"the index of the DataFrame ({type(index).__name__}) cannot be stored: the index of "
            "to_pandas() will be the position of each row, from 0"
        )
    if all(type(label) is int for label in labels) and labels == list(range(len(labels))):
        return [], None
    return labels, None


def _checked(value: Any) -> Label:
    """Return a value of an index in the form that is stored.

    Raises:
        ValueError, OverflowError: it cannot be stored without loss.
    """
    if getattr(value, "nanosecond", 0) > 0 or getattr(value, "nanoseconds", 0) > 0:
        raise ValueError(value)
    label = to_python(value)
    if label is None:
        return nan
    if isinstance(label, datetime):
        label = datetime.fromisoformat(label.isoformat())  # not pandas' own type
        return label if label.tzinfo is None else label.astimezone(timezone.utc)
    if isinstance(label, timedelta):
        return timedelta(days=label.days, seconds=label.seconds, microseconds=label.microseconds)
    is_number = type(label) is float and isfinite(label)
    is_small = type(label) is int and abs(label) < _LARGEST
    if type(label) in (str, bool, date) or is_number or is_small:
        kept: Label = label
        return kept
    raise ValueError(value)


def to_label(label: Label | None) -> int | str | None:
    """Return a label as the value of a column; `label_from` is the inverse."""
    if label is None or type(label) is int:
        return label
    if type(label) is str and not label.startswith(_MARK):
        return label
    return _MARK + json.dumps(_plain(label), ensure_ascii=True)


def _plain(label: Any) -> list[Any]:
    if isinstance(label, Levels):
        return ["levels", list(map(_plain, label)), list(label.names)]
    if isinstance(label, datetime):
        return ["time", label.isoformat()]
    if isinstance(label, date):
        return ["day", label.isoformat()]
    if isinstance(label, timedelta):
        return ["duration", label // _MICROSECOND]
    return ["missing", None] if isinstance(label, float) and isnan(label) else ["value", label]


def plain_label(label: Label | None) -> Any:
    """Return a label as a JSON value for readers; unlike `to_label`, types may be lost."""
    if isinstance(label, tuple):
        return list(map(plain_label, label))
    if isinstance(label, date):
        return label.isoformat()
    if isinstance(label, timedelta):
        return str(label)
    return None if isinstance(label, float) and isnan(label) else label


def label_from(kept: int | str | None) -> Label | None:
    """Return the label from the value of a column."""
    if not isinstance(kept, str) or not kept.startswith(_MARK):
        return kept
    label: Label = _label(*json.loads(kept.removeprefix(_MARK)))
    return label


def _label(kind: str, value: Any, names: Sequence[str | None] = ()) -> Any:
    if kind == "levels":
        return Levels([_label(*level) for level in value], names)
    if kind == "time":
        return datetime.fromisoformat(value)
    if kind == "day":
        return date.fromisoformat(value)
    if kind == "duration":
        return value * _MICROSECOND
    return nan if kind == "missing" else value


def indexed(frame: Any, rows: Iterable[Any]) -> Any:
    """Set the index of a DataFrame to the `label` of each row, or else its `position`."""
    labels = [row.position if row.label is None else row.label for row in rows]
    levels = [label for label in labels if isinstance(label, Levels)]
    if levels and len(levels) == len(labels):
        frame = frame.set_index([list(level) for level in zip(*levels, strict=True)])
        frame.index.names = list(levels[0].names)
    else:
        frame.index = labels
    return frame
