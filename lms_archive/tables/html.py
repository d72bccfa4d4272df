"""Tables for notebooks: plain, escaped HTML in the colours of the page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any, Final

from lms_archive.errors import printable

__all__ = ["MAX_ROWS", "block", "counted", "line", "shown", "table"]

MAX_ROWS: Final = 30
_LONGEST: Final = 200
_WIDE: Final = 40
_CELL: Final = "vertical-align:top;padding:0.2em 0.8em 0.2em 0;"
_SHORT: Final = "white-space:nowrap"
_LONG: Final = "white-space:normal;overflow-wrap:anywhere;min-width:16em;max-width:32em"


def counted(first: int, total: int | None, word: str) -> str:
    """Return how many items of how many are shown: `30 of 4,048 outcomes`, or `1 outcome`."""
    words = word if (first if total is None else total) == 1 else f"{word}s"
    if total is None:
        return f"the first {first:,} {words}; the total is unknown"
    return f"{total:,} {words}" if first >= total else f"{first:,} of {total:,} {words}"


def block(*parts: str) -> str:
    """Join lines and tables into a block that scrolls where it is wider than the page."""
    return f'<div style="max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def line(text: str, *, strong: bool = False) -> str:
    """Return a line of text."""
    content = f"<strong>{_escaped(text)}</strong>" if strong else _escaped(text)
    return f'<p style="margin:0.3em 0">{content}</p>'


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Collection[str] = ()
) -> str:
    """Return a table of at most 30 rows, without columns that are empty in all of them.

    The columns in *numbers* are counts.
    """
    body = [[*row] for row in islice(rows, MAX_ROWS)]
    empty = (None, "")
    kept = [i for i in range(len(header)) if not body or any(row[i] not in empty for row in body)]
    sides = ["right" if name in numbers else "left" for name in header]
    head = "".join(
        f'<th style="text-align:{sides[i]};{_CELL}{_SHORT};border-bottom:1px solid">'
        f"{_escaped(header[i])}</th>"
        for i in kept
    )
    cells = ("".join(_cell(row[i], sides[i]) for i in kept) for row in body)
    rest = "".join(f"<tr>{row}</tr>" for row in cells)
    style = "border-collapse:collapse;margin:0.3em 0;color:inherit"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{rest}</tbody></table>'


def shown(value: Any) -> str:
    """Return a value as text for people: empty for None, times in UTC to the second."""
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else str(value)


def _cell(value: Any, side: str) -> str:
    text = _escaped(f"{value:,}" if side == "right" else value)
    width = _SHORT if len(text) <= _WIDE else _LONG
    return f'<td style="text-align:{side};{_CELL}{width}">{text}</td>'


def _escaped(value: Any) -> str:
    text = shown(value)
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return escape(printable(text))
