"""Tables and bars for notebooks: plain, escaped HTML in the colors of the page, light or dark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any, Final

from lms_archive.errors import plural, printable

MAX_ROWS: Final = 30
_LONGEST: Final = 200
_WIDE: Final = 40
_CELL: Final = "vertical-align:top;padding:0.2em 0.8em 0.2em 0;"
_SHORT: Final = "white-space:nowrap"
_LONG: Final = "white-space:normal;overflow-wrap:anywhere;min-width:16em;max-width:32em"

_BAR: Final = "width:8em;margin-left:0.3em"
_BESIDE_BARS: Final = "padding-right:9.1em;"
_NARROWEST: Final = 1.0
_POSITIONS: Final = ("line", "row")
"""The columns with the positions of rows, aligned like counts."""

COLORS: Final[Mapping[str, str]] = {
    "archived": "seagreen",
    "skipped": "gray",
    "failed": "crimson",
    "unknown": "chocolate",
    "pending": "steelblue",
}
"""The color of each kind of outcome, of medium lightness: readable on white and on black."""


def counted(first: int, total: int | None, word: str) -> str:
    """Return how many items of how many are shown: `30 of 4,048 outcomes`, or `1 outcome`."""
    if total is None:
        return f"the first {plural(first, word)}; the total is unknown"
    return plural(total, word) if first >= total else f"{first:,} of {plural(total, word)}"


def block(*parts: str) -> str:
    """Join lines and tables into a block that scrolls where it is wider than the page."""
    return f'<div style="max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def line(text: str, *, strong: bool = False, is_caption: bool = False) -> str:
    """Return a line of text; a caption is set off from what is above it."""
    content = f"<strong>{_escaped(text)}</strong>" if strong else _escaped(text)
    return f'<p style="margin:{"0.8em 0 0.3em" if is_caption else "0.3em 0"}">{content}</p>'


def bar(
    parts: Sequence[tuple[float, str]],
    label: str = "",
    style: str = "width:100%",
    *,
    names: Sequence[str] = (),
) -> str:
    """Return a bar as inline SVG; each part has a length (of 100 in all) and a color.

    Parts too small to be seen are drawn wider. *label* is for screen readers; *names*, one for
    each part or none, are shown under the mouse.
    """
    start, drawn = 0.0, []
    scale = 100 / max(100, sum(max(length, _NARROWEST) for length, _ in parts))
    for number, (length, color) in enumerate(parts):
        size = max(length, _NARROWEST) * scale
        title = f"<title>{_escaped(names[number])}</title>" if names else ""
        drawn.append(
            f'<rect x="{start:.2f}" y="0" width="{size:.2f}" height="10" fill="{color}">'
            f"{title}</rect>"
        )
        start += size
    described = f'role="img" aria-label="{_escaped(label)}"' if label else 'aria-hidden="true"'
    style = f"{style};height:0.7em;max-width:40em;vertical-align:baseline"
    return (
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" {described} style="{style}">'
        f"{''.join(drawn)}</svg>"
    )


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    numbers: Collection[str] = (),
    bars: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return a table of at most 30 rows, without columns that are empty in all of them.

    The columns in *numbers* are counts; *bars* has, by column, the color of the bar in each row.
    """
    body = [[*row] for row in islice(rows, MAX_ROWS)]
    empty = (None, "")
    kept = [i for i in range(len(header)) if not body or any(row[i] not in empty for row in body)]
    sides = ["right" if name in {*numbers, *_POSITIONS} else "left" for name in header]
    drawn = {
        header.index(name): [*_bars(body, name, header, of)] for name, of in (bars or {}).items()
    }
    head = "".join(
        f'<th style="text-align:{sides[i]};{_CELL}{_BESIDE_BARS if i in drawn else ""}{_SHORT};'
        f'border-bottom:1px solid">{_escaped(header[i])}</th>'
        for i in kept
    )
    cells = (
        "".join(
            _cell(
                f"{row[i]:,}" if header[i] in numbers else row[i],
                sides[i],
                drawn[i][n] if i in drawn else "",
            )
            for i in kept
        )
        for n, row in enumerate(body)
    )
    rest = "".join(f"<tr>{row}</tr>" for row in cells)
    style = "border-collapse:collapse;margin:0.3em 0;color:inherit"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{rest}</tbody></table>'


def shown(value: Any) -> str:
    """Return a value as text for people: empty for None, times in UTC to the second."""
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else str(value)


def _bars(
    body: Sequence[Sequence[Any]], name: str, header: Sequence[str], colors: Sequence[str]
) -> Iterable[str]:
    """Yield the bar of each row; the largest count has the longest."""
    counts = [row[header.index(name)] for row in body]
    largest = max(counts, default=0) or 1
    for count, color in zip(counts, colors, strict=False):
        yield bar([(100 * count / largest, color)], style=_BAR)


def _cell(value: Any, side: str, drawn: str) -> str:
    text = _escaped(value)
    width = _SHORT if len(text) <= _WIDE else _LONG
    return f'<td style="text-align:{side};{_CELL}{width}">{text}{drawn}</td>'


def _escaped(value: Any) -> str:
    text = shown(value)
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return escape(printable(text))
