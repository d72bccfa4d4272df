"""Tables for notebooks: plain HTML that takes the page's colours, everything escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any, Final

from lms_archive.errors import printable

__all__ = ["MAX_ROWS", "block", "counted", "line", "table"]

MAX_ROWS: Final = 30
_LONGEST: Final = 200
_WIDE: Final = 40
_CELL: Final = "vertical-align:top;padding:0.2em 0.8em 0.2em 0;"
_SHORT: Final = "white-space:nowrap"
_LONG: Final = "white-space:normal;overflow-wrap:anywhere;min-width:16em;max-width:32em"


def counted(shown: int, total: int | None, what: str) -> str:
    """How many of how many are shown: `30 of 4,048 outcomes`."""
    many = what + "s" * ((shown if total is None else total) != 1)
    if total is None:
        return f"the first {shown:,} {many}; how many there are is not told"
    return f"{total:,} {many}" if shown >= total else f"{shown:,} of {total:,} {many}"


def block(*parts: str) -> str:
    """Lines and tables as one piece, which scrolls where it is wider than its place."""
    return f'<div style="max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def line(text: str, *, strong: bool = False) -> str:
    """A line of text."""
    shown = _shown(text)
    return f'<p style="margin:0.3em 0">{f"<strong>{shown}</strong>" if strong else shown}</p>'


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Collection[str] = ()
) -> str:
    """A table of at most 30 rows, without columns that are empty in all of them.

    The columns in `numbers` are counts.
    """
    shown = [[*row] for row in islice(rows, MAX_ROWS)]
    empty = (None, "")
    kept = [i for i in range(len(header)) if not shown or any(row[i] not in empty for row in shown)]
    sides = ["right" if name in numbers else "left" for name in header]
    head = "".join(
        f'<th style="text-align:{sides[i]};{_CELL}{_SHORT};border-bottom:1px solid">'
        f"{_shown(header[i])}</th>"
        for i in kept
    )
    body = "".join(
        "<tr>" + "".join(_cell(row[i], sides[i]) for i in kept) + "</tr>" for row in shown
    )
    style = "border-collapse:collapse;margin:0.3em 0;color:inherit"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: Any, side: str) -> str:
    text = _shown(f"{value:,}" if side == "right" else value)
    width = _SHORT if len(text) <= _WIDE else _LONG
    return f'<td style="text-align:{side};{_CELL}{width}">{text}</td>'


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    text = str(value)
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return escape(printable(text))
